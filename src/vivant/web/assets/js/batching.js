// Several pictures, or several seeds, in one go: each clip is a job of its own under the batch's name.
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { go } from "./address.js";
import { showBanner } from "./banner.js";
import { duration, money, number } from "./format.js";
import { isOver } from "./gallery.js";
import { say, showPanel } from "./panels.js";
import { row } from "./rows.js";
import { session } from "./session.js";
import { stillPicture } from "./stills.js";
import { explain } from "./trouble.js";

const LOOK_MS = 1500;
const LINE_ATTEMPTS = 3;
const PREFIX = "batch_";
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const random = () => [...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join("");

export const isBatch = (id) => id?.startsWith(PREFIX);

export function createBatching(frame, shelf) {
  const root = byId("batch");
  // Pictures that were refused are known to this page only: they never became a job.
  const mine = new Map(); // batch id → [{ name, seed, job, problem }]
  let timer = null;
  let shown = null; // { id, found, ended }

  async function send(files, seeds, fields) {
    const id = PREFIX + random();
    const rows = files.flatMap((file) => seeds.map((seed) => ({ name: file.name || t("pasted"), file, seed, job: null, problem: null })));
    mine.set(id, rows);
    session.openId = id;
    go(id);
    say(t("batch_sending", { n: rows.length }));
    for (const row of rows) {
      if (rows.ended) {
        row.problem = t("cancelled_title");
        row.file = null;
        continue;
      }
      try {
        row.job = await accepted({ ...fields, seed: String(row.seed), batch: id }, row.file);
        shelf.keep(row.job);
        shelf.paint();
      } catch (error) {
        row.problem = explain(error, session.config).text;
      }
      row.file = null;
      if (shown?.id === id) render();
    }
    if (rows.ended) await session.api.endBatch(id).catch(() => {});
    if (session.openId === id) look();
  }

  // The queue may be full for a while, and the line may break: the key makes a repeated request safe.
  async function accepted(fields, file) {
    const idempotencyKey = random();
    for (let attempt = 1; ; ) {
      try {
        return await session.api.create(fields, file, { idempotencyKey, onUpload: () => {} });
      } catch (error) {
        if (error.status === 429) await wait(1000 * (error.retryAfter || 5));
        else if (error.code !== "network" || attempt === LINE_ATTEMPTS) throw error;
        else await wait(700 * attempt++);
      }
    }
  }

  function open(id) {
    close();
    shown = { id, found: null, ended: false };
    showPanel("batch", "title_batch");
    document.title = "⋯ · Vivant";
    frame.hang("running", 16 / 9, []);
    frame.gild(0);
    render();
    look();
    byId("batch-title")?.focus({ preventScroll: true });
  }

  function close() {
    clearTimeout(timer);
    shown = null;
  }

  async function look() {
    const id = shown?.id;
    if (!id) return;
    clearTimeout(timer);
    const sending = mine.get(id)?.some((row) => row.file);
    try {
      const found = await session.api.batch(id);
      if (shown?.id !== id) return;
      if (!shown.found) hang(found.data[0]);
      shown.found = found;
      found.data.forEach((job) => shelf.keep(job));
      shelf.paint();
    } catch (error) {
      if (shown?.id !== id) return;
      if (error.status !== 404) showBanner(error);
      else if (!mine.has(id)) {
        showBanner(error);
        return go("");
      }
    }
    const over = !sending && (shown.found?.data ?? []).every(isOver);
    if (over && !shown.over) say(t("batch_over"));
    shown.over = over;
    render();
    if (!over) timer = setTimeout(look, LOOK_MS);
  }

  function hang(job) {
    frame.hang("running", job.width / job.height, [stillPicture(job)]);
  }

  async function end() {
    const { id } = shown;
    const rows = mine.get(id);
    if (rows) rows.ended = true;
    try {
      shown.found = await session.api.endBatch(id);
    } catch (error) {
      if (error.status !== 404) showBanner(error);
    }
    look();
  }

  function render() {
    if (!shown) return;
    const { id, found, over } = shown;
    const known = new Map((found?.data ?? []).map((job) => [job.id, job]));
    const own = mine.get(id);
    const rows = own
      ? own.map((row) => ({ ...row, job: row.job && (known.get(row.job.id) ?? row.job) }))
      : [...known.values()].map((job) => ({ name: job.picture_name || job.id, seed: job.seed, job, problem: null }));
    const done = rows.filter((row) => row.problem || (row.job && isOver(row.job))).length;
    const focused = document.activeElement?.id;
    frame.gild(rows.length ? done / rows.length : 0);
    document.title = over ? "✓ · Vivant" : `${done}/${rows.length} · Vivant`;
    const fact = (word, figure) => h("div", {}, h("dt", { text: t(word) }), h("dd", { text: figure }));
    const { cost } = found ?? {};
    root.replaceChildren(
      h("h3", { class: "big", id: "batch-title", tabindex: "-1", text: t(over ? "batch_done" : "batch_running", { n: number(done), total: number(rows.length) }) }),
      h("ol", { class: "rows" }, rows.map(line)),
      h(
        "dl",
        { class: "facts" },
        found ? fact("took", duration(found.inference_time_s)) : null,
        cost ? fact(over ? "cost" : "cost_so_far", cost.currency ? money(cost.amount, cost.currency) : money(cost.usd, "USD")) : null,
      ),
      own ? "" : h("p", { class: "small quiet", text: t("batch_known") }),
      h(
        "div",
        { class: "stack" },
        over ? null : h("button", { type: "button", class: "plain", id: "batch-end", onclick: end, text: t("batch_end") }),
        h("button", { type: "button", class: "plain", id: "batch-new", onclick: () => go(""), text: t("new_clip") }),
      ),
    );
    if (focused && root.querySelector(`#${CSS.escape(focused)}`)) byId(focused).focus({ preventScroll: true });
  }

  return { send, open, close, render };
}

function line({ name, seed, job, problem }) {
  const title = `${name} · ${t("seed_is", { n: seed })}`;
  const failed = problem || (job?.status === "failed" && (job.error?.code === "cancelled" ? t("cancelled_title") : explain(job.error ?? {}, session.config).text));
  const word = job?.status === "in_progress" ? `${number(job.progress)}%` : t(job ? "queued" : "batch_waits");
  return row({ title, id: job?.id, verdict: job?.status === "completed" ? job.verdict ?? "not_measured" : null, failed, word });
}
