// Several pictures, or several seeds: each clip is a job of its own, and all jobs carry the id of the batch.
import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { go } from "../shared/address.js";
import { showBanner } from "../shared/banner.js";
import { number } from "../shared/format.js";
import { createGroupPanel, groupTitle, loadingLine, spending } from "../shared/group_panel.js";
import { TAKES_PREFIX, areTakes, isOver } from "../shared/job_state.js";
import { loopingVideo } from "../shared/looping_video.js";
import { announce } from "../shared/panels.js";
import { session } from "../shared/session.js";
import { jobPicture, sentPictures } from "../frame/job_picture.js";
import { untilAnswered } from "../server/retry.js";
import { batchCell, progressTitle, rest, resultTitle, takesTitle } from "./batch_grid.js";
import { saveZip } from "./save_zip.js";

const PREFIX = "batch_";
const random = () => [...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join("");

export const isBatch = (id) => id?.startsWith(PREFIX);

// onTake(job): one of the four moods was chosen.
export function createBatch(frame, gallery, { onTake }) {
  // Batch id → { rows, cancelled }, rows: [{ name, seed, file, job, problem }], problem: an error. Only this page
  // knows the pictures that the server refused, because they never became a job.
  const sent = new Map();
  const zipping = new Map(); // batch id → percent, while its ZIP is made
  const panel = createGroupPanel({
    name: "batch",
    heading: "title_batch",
    frame,
    fetch: (id) => session.api.batch(id),
    mayBeMissing: (id) => sent.has(id),
    onState,
    isOver: batchIsOver,
    draw,
  });

  // Each picture with each seed, all with the same fields.
  // chosen: { picture, framing, others }, the first with its crop.
  function send(chosen, seeds, fields) {
    const files = [chosen.picture.file, ...chosen.others];
    const row = (file, seed) => newRow(file, { ...fields, seed: String(seed) });
    return sendRows(PREFIX + random(), chosen, files.flatMap((file) => seeds.map((seed) => row(file, seed))));
  }

  // One picture in each mood; takes: [{ mood, fields }].
  function sendTakes(chosen, takes) {
    const row = ({ mood, fields }) => ({ ...newRow(chosen.picture.file, { ...fields, ...chosen.fields }), mood });
    return sendRows(TAKES_PREFIX + random(), chosen, takes.map(row));
  }

  const newRow = (file, fields) => ({
    name: file.name || t("pasted"),
    seed: Number(fields.seed),
    file,
    fields,
    job: null,
    problem: null,
  });

  async function sendRows(id, { picture, framing }, rows) {
    const batch = { rows, cancelled: false };
    sent.set(id, batch);
    session.openId = id;
    go(id);
    scrollTo({ top: 0 });
    announce(t("batch_sending", { n: rows.length }));
    for (const row of rows) {
      if (batch.cancelled) row.problem = { code: "cancelled" };
      else await sendRow(row, { ...row.fields, batch: id });
      const crop = framing.state === "found" ? framing.crop : null;
      if (row.job && row.file === picture.file) sentPictures.set(row.job.id, { picture, crop });
      row.file = null;
      if (panel.group()?.id === id) panel.render();
    }
    if (batch.cancelled) await session.api.endBatch(id).catch(() => {});
    if (session.openId === id) panel.poll();
  }

  async function sendRow(row, fields) {
    const onUpload = () => {};
    try {
      row.job = await untilAnswered(
        (idempotencyKey) => session.api.create(fields, row.file, { idempotencyKey, onUpload }),
        { waitWhileFull: true },
      );
      gallery.put(row.job);
      gallery.render();
    } catch (error) {
      row.problem = error;
    }
  }

  // The first picture; again once the server has cropped it.
  function showPicture(group, job, first) {
    const cropped = job?.variants?.includes("reference") ?? false;
    if (job && (first || (cropped && !group.cropped))) {
      frame.show("running", job.width / job.height, [jobPicture(job)]);
    }
    group.cropped = cropped;
  }

  function onState(group, first) {
    const { state } = group;
    showPicture(group, state.data[0], first);
    for (const one of state.data) gallery.put(one);
    gallery.render();
  }

  function batchIsOver(group) {
    const sending = sent.get(group.id)?.rows.some((row) => row.file);
    const over = !sending && (group.state?.data ?? []).every(isOver);
    if (over && !group.over) announce(t("batch_over"));
    if (over && areTakes(group.id)) showTakes(group.state?.data ?? []);
    return over;
  }

  // The finished takes play side by side in the frame.
  function showTakes(jobs) {
    const done = jobs.filter((job) => job.status === "completed");
    if (!done.length) return;
    const take = (job) =>
      h(
        "figure",
        {},
        loopingVideo(session.api.link(job, "video")),
        h("figcaption", { "data-t": `mood_${job.options.preset}`, text: t(`mood_${job.options.preset}`) }),
      );
    frame.show("takes", done[0].width / done[0].height, [h("div", { class: "takes" }, done.map(take))]);
  }

  async function cancelRest() {
    const group = panel.group();
    const own = sent.get(group.id);
    if (own) own.cancelled = true;
    try {
      group.state = await session.api.endBatch(group.id);
    } catch (error) {
      if (error.status !== 404) showBanner(error);
    }
    panel.poll();
  }

  function rowsOf({ id, state }) {
    const jobs = new Map((state?.data ?? []).map((job) => [job.id, job]));
    const own = sent.get(id);
    if (own) return own.rows.map((row) => ({ ...row, job: row.job && (jobs.get(row.job.id) ?? row.job) }));
    return [...jobs.values()].map((job) => ({
      name: job.picture_name || job.id,
      seed: job.seed,
      mood: areTakes(id) ? job.options.preset : undefined,
      job,
      problem: null,
    }));
  }

  function draw(group) {
    const { id, state, over } = group;
    if (!state && !sent.has(id)) return [groupTitle("batch", t("title_batch")), loadingLine()];
    const rows = rowsOf(group);
    const done = rows.filter((row) => row.problem || (row.job && isOver(row.job))).length;
    frame.showProgress(rows.length ? done / rows.length : 0);
    document.title = over ? "✓ · Vivant" : `${done}/${rows.length} · Vivant`;
    const finished = rows.filter(({ job }) => job?.status === "completed").map(({ job }) => job);
    const button = (name, action, word) =>
      h("button", { type: "button", class: "plain", id: `batch-${name}`, onclick: action, text: t(word) });
    return [
      groupTitle("batch", areTakes(id) ? takesTitle(over) : over ? resultTitle(rows) : progressTitle(rows, done)),
      over && rest(rows) ? h("p", { class: "small quiet", text: rest(rows) }) : null,
      h("ul", { class: "rows batch-grid" }, rows.map((row) => batchCell(row, areTakes(id) && onTake))),
      h("dl", { class: "facts" }, state && spending(state, over)),
      sent.has(id) ? null : h("p", { class: "small quiet", text: t("batch_known") }),
      h(
        "div",
        { class: "stack" },
        over && finished.length > 1 ? zipButton(finished) : null,
        over ? null : button("end", cancelRest, "batch_end"),
        button("new", () => go(""), "new_clip"),
      ),
    ];
  }

  function zipButton(jobs) {
    const { id } = panel.group();
    const percent = zipping.get(id);
    const busy = percent !== undefined;
    const text = busy ? t("batch_zipping", { n: number(percent) }) : t("batch_zip", { n: number(jobs.length) });
    const attributes = { type: "button", class: "loud", id: "batch-zip", disabled: busy, text };
    return h("button", { ...attributes, onclick: () => saveAll(id, jobs) });
  }

  async function saveAll(id, jobs) {
    const tell = (percent) => {
      if (percent === null) zipping.delete(id);
      else zipping.set(id, percent);
      panel.render();
    };
    tell(0);
    try {
      await saveZip(jobs, `vivant-${jobs.length}.zip`, (part) => tell(Math.round(100 * part)));
    } catch (error) {
      showBanner(error);
    }
    tell(null);
  }

  return { send, sendTakes, open: panel.open, close: panel.close, render: panel.render };
}
