// The clips of a batch as a grid, and how many of them are ready.
import { h, sign } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { number } from "../shared/format.js";
import { session } from "../shared/session.js";
import { playWhilePointedAt, thumbnail } from "../gallery/gallery_view.js";
import { errorText } from "../server/error_text.js";

// A clip whose checks failed is made, but it is not counted as ready.
const ready = ({ job }) => job?.status === "completed" && job.verdict !== "fail";
const failedCheck = ({ job }) => job?.status === "completed" && job.verdict === "fail";

export const takesTitle = (over) => t(over ? "takes_done" : "takes_running");

export function progressTitle(rows, done) {
  return t("batch_running", { n: number(done), total: number(rows.length) });
}

export function resultTitle(rows) {
  return t("batch_done", { n: number(rows.filter(ready).length), total: number(rows.length) });
}

export function rest(rows) {
  const look = rows.filter(failedCheck).length;
  const missing = rows.filter(({ job }) => job?.status !== "completed").length;
  return [
    look ? t("batch_look", { n: number(look) }) : "",
    missing ? t("batch_missing", { n: number(missing) }) : "",
  ].join(" ");
}

// onTake: for takes, else false.
export function batchCell(row, onTake) {
  const { job, problem } = row;
  const done = job?.status === "completed";
  const failed = (problem || job?.status === "failed") && reason(problem ?? job.error);
  const verdict = done ? (job.verdict ?? "not_measured") : null;
  const shown = verdict ?? (failed ? "fail" : null);
  // The small picture of a job that waits or runs says how far it is.
  const word = verdict ? t(`verdict_${verdict}`) : failed || (job ? null : t("batch_waits"));
  const picture = job ? thumbnail(job, session.api.link) : noPicture(failed);
  const inside = [picture, h("b", {}, shown ? sign(shown) : null, h("bdi", { text: cellTitle(row) }))];
  const card = job ? h("a", { href: `#${job.id}` }, inside) : h("div", {}, inside);
  if (done) playWhilePointedAt(card, picture, () => session.api.link(job, "video"));
  return h(
    "li",
    { "data-is": shown ?? "later" },
    card,
    word && h("p", { class: "small quiet", text: word }),
    done && onTake ? takeButton(row, onTake) : null,
  );
}

// Of a clip that the server has not taken.
function noPicture(failed) {
  return h("span", { class: "thumb" }, h("span", { class: "state", "aria-hidden": "true", text: failed ? "!" : "⋯" }));
}

function cellTitle({ name, seed, mood }) {
  return mood ? t(`mood_${mood}`) : `${name} · ${t("seed_is", { n: seed })}`;
}

function takeButton({ job, mood }, onTake) {
  const attributes = { type: "button", class: "plain take", id: `take-${mood}`, onclick: () => onTake(job) };
  return h("button", { ...attributes, "aria-label": t("take_named", { mood: t(`mood_${mood}`) }), text: t("take") });
}

function reason(error) {
  return error?.code === "cancelled" ? t("cancelled_title") : errorText(error ?? {}, session.config).text;
}
