// Several pictures, or several seeds: each clip is a job of its own, and all jobs carry the id of the batch.
import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { go } from "../shared/address.js";
import { showBanner } from "../shared/banner.js";
import { clipRow } from "../shared/clip_row.js";
import { number } from "../shared/format.js";
import { createGroupPanel, groupTitle, spending } from "../shared/group_panel.js";
import { isOver } from "../shared/job_state.js";
import { announce } from "../shared/panels.js";
import { session } from "../shared/session.js";
import { jobPicture } from "../frame/job_picture.js";
import { errorText } from "../server/error_text.js";
import { untilAnswered } from "../server/retry.js";

const PREFIX = "batch_";
const newId = () => PREFIX + [...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join("");

export const isBatch = (id) => id?.startsWith(PREFIX);

export function createBatch(frame, gallery) {
  // Batch id → { rows, cancelled }, rows: [{ name, seed, file, job, problem }]. Only this page knows the pictures that
  // the server refused, because they never became a job.
  const sent = new Map();
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

  async function send(files, seeds, fields) {
    const id = newId();
    const rows = files.flatMap((file) =>
      seeds.map((seed) => ({ name: file.name || t("pasted"), seed, file, job: null, problem: null })),
    );
    const batch = { rows, cancelled: false };
    sent.set(id, batch);
    session.openId = id;
    go(id);
    announce(t("batch_sending", { n: rows.length }));
    for (const row of rows) {
      if (batch.cancelled) row.problem = t("cancelled_title");
      else await sendRow(row, { ...fields, seed: String(row.seed), batch: id });
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
      row.problem = errorText(error, session.config).text;
    }
  }

  function onState({ state }, first) {
    const [job] = state.data;
    if (first && job) frame.show("running", job.width / job.height, [jobPicture(job)]);
    for (const one of state.data) gallery.put(one);
    gallery.render();
  }

  function batchIsOver(group) {
    const sending = sent.get(group.id)?.rows.some((row) => row.file);
    const over = !sending && (group.state?.data ?? []).every(isOver);
    if (over && !group.over) announce(t("batch_over"));
    return over;
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
    return [...jobs.values()].map((job) => ({ name: job.picture_name || job.id, seed: job.seed, job, problem: null }));
  }

  function draw(group) {
    const { id, state, over } = group;
    const rows = rowsOf(group);
    const done = rows.filter((row) => row.problem || (row.job && isOver(row.job))).length;
    frame.showProgress(rows.length ? done / rows.length : 0);
    document.title = over ? "✓ · Vivant" : `${done}/${rows.length} · Vivant`;
    const count = { n: number(done), total: number(rows.length) };
    const button = (name, action, word) =>
      h("button", { type: "button", class: "plain", id: `batch-${name}`, onclick: action, text: t(word) });
    return [
      groupTitle("batch", t(over ? "batch_done" : "batch_running", count)),
      h("ol", { class: "rows" }, rows.map(batchRow)),
      h("dl", { class: "facts" }, state && spending(state, over)),
      sent.has(id) ? null : h("p", { class: "small quiet", text: t("batch_known") }),
      h(
        "div",
        { class: "stack" },
        over ? null : button("end", cancelRest, "batch_end"),
        button("new", () => go(""), "new_clip"),
      ),
    ];
  }

  return { send, open: panel.open, close: panel.close, render: panel.render };
}

function batchRow({ name, seed, job, problem }) {
  const done = job?.status === "completed";
  return clipRow({
    title: `${name} · ${t("seed_is", { n: seed })}`,
    id: job?.id,
    verdict: done ? (job.verdict ?? "not_measured") : null,
    failed: problem || (job?.status === "failed" && reason(job.error)),
    state: job?.status === "in_progress" ? `${number(job.progress)}%` : t(job ? "queued" : "batch_waits"),
  });
}

function reason(error) {
  return error?.code === "cancelled" ? t("cancelled_title") : errorText(error ?? {}, session.config).text;
}
