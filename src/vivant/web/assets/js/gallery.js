// Earlier clips and those being made, newest first.
import { h, sign, style } from "./dom.js";
import { t } from "./i18n.js";
import { number, when } from "./format.js";

export function isOver(job) {
  return job.status === "completed" || job.status === "failed";
}

export function showGallery(list, jobs, { openId, link, standard, onDelete }) {
  // Pieces are kept, so that pictures do not load again and the focus stays where it is.
  const old = new Map([...list.querySelectorAll(":scope > .piece")].map((piece) => [piece.dataset.id, piece]));
  const pieces = jobs.map((job) => {
    const state = `${job.status} ${job.progress} ${job.verdict} ${job.queue_position} ${job.error?.code} ${document.documentElement.lang} ${job.id === openId}`;
    const kept = old.get(job.id);
    if (kept?.dataset.state === state) return kept;
    const piece = hangPiece(job, job.id === openId, { link, standard, onDelete });
    piece.dataset.state = state;
    if (kept?.contains(document.activeElement)) queueMicrotask(() => piece.querySelector(".open").focus());
    return piece;
  });
  const same = pieces.length === list.children.length && pieces.every((piece, index) => list.children[index] === piece);
  if (!same) list.replaceChildren(...pieces);
}

function hangPiece(job, open, { link, standard, onDelete }) {
  const done = job.status === "completed";
  const thumb = style(h("span", { class: "thumb" }), { "--aspect": job.width / job.height || 1 });
  if (done && job.variants?.includes("thumbnail")) thumb.append(h("img", { src: link(job, "thumbnail"), crossorigin: "anonymous", alt: "", loading: "lazy" }));
  else {
    if (job.variants?.includes("reference")) thumb.append(h("img", { class: "faint", src: link(job, "reference"), crossorigin: "anonymous", alt: "", loading: "lazy" }));
    thumb.append(h("span", { class: "state" }, ...stateWords(job)));
  }
  // The default prompt tells pieces apart no better than a seed does.
  const plain = !job.prompt || job.prompt === standard;
  const title = plain ? `${job.model} · ${t("seed_is", { n: job.seed })}` : job.prompt;
  return h(
    "li",
    { class: "piece", "data-id": job.id, "data-open": open },
    h(
      "a",
      { class: "open", href: `#${job.id}`, "aria-current": open ? "true" : null },
      h("span", { class: "small-frame" }, thumb),
      h(
        "span",
        { class: "label" },
        h("b", {}, done ? sign(job.verdict ?? "not_measured") : null, h("bdi", { text: title.length > 48 ? `${title.slice(0, 47)}…` : title })),
        h("span", { text: [done ? t(`verdict_${job.verdict ?? "not_measured"}`) : null, plain ? null : t("seed_is", { n: job.seed }), when(job.created_at)].filter(Boolean).join(" · ") }),
      ),
    ),
    h("button", { type: "button", class: "link remove", onclick: () => onDelete(job), "aria-label": t("delete_named", { name: `${title} · ${when(job.created_at)}` }), text: t("delete") }),
  );
}

function stateWords(job) {
  if (job.status === "in_progress") return [`${number(job.progress)}%`, h("small", { text: t("being_made") })];
  if (job.status === "queued") return ["⋯", h("small", { text: job.queue_position > 0 ? t("queued_behind", { n: job.queue_position }) : t("queued") })];
  if (job.error?.code === "cancelled") return ["–", h("small", { text: t("cancelled_title") })];
  return ["!", h("small", { text: t("failed_title") })];
}
