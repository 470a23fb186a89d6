// The gallery: finished clips and those being made, newest first.
import { h, sign, style } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { number, when } from "../shared/format.js";

const LONGEST_TITLE = 48;

// options: { openId, link(job, variant), standard, onDelete(job) }; standard: the server's default prompt.
export function showGallery(list, jobs, options) {
  // Unchanged items are kept, so that pictures do not load again and the focus stays where it is.
  const old = new Map([...list.querySelectorAll(":scope > .piece")].map((item) => [item.dataset.id, item]));
  const items = jobs.map((job) => {
    const state = stateOf(job, options.openId);
    const kept = old.get(job.id);
    if (kept?.dataset.state === state) return kept;
    const item = createItem(job, options);
    item.dataset.state = state;
    if (kept?.contains(document.activeElement)) queueMicrotask(() => item.querySelector(".open").focus());
    return item;
  });
  const same = items.length === list.children.length && items.every((item, index) => list.children[index] === item);
  if (!same) list.replaceChildren(...items);
}

// Everything that changes how an item looks.
function stateOf(job, openId) {
  const { status, progress, verdict, queue_position: position, error } = job;
  return [status, progress, verdict, position, error?.code, document.documentElement.lang, job.id === openId].join(" ");
}

function createItem(job, { openId, link, standard, onDelete }) {
  const open = job.id === openId;
  const title = job.picture_name ?? job.model;
  const own = job.prompt && job.prompt !== standard ? shortened(job.prompt) : null;
  const name = `${title} · ${when(job.created_at)}`;
  const done = job.status === "completed";
  const verdict = job.verdict ?? "not_measured";
  const details = [done ? t(`verdict_${verdict}`) : null, own, t("seed_is", { n: job.seed }), when(job.created_at)];
  const thumb = thumbnail(job, link);
  const item = h(
    "li",
    { class: "piece", "data-id": job.id, "data-open": open },
    h(
      "a",
      { class: "open", href: `#${job.id}`, "aria-current": open ? "true" : null },
      h("span", { class: "small-frame" }, thumb),
      h(
        "span",
        { class: "label" },
        h("b", {}, done ? sign(verdict) : null, h("bdi", { text: shortened(title) })),
        h("span", {}, h("bdi", { text: details.filter(Boolean).join(" · ") })),
      ),
    ),
    h("button", {
      type: "button",
      class: "link remove",
      onclick: () => onDelete(job),
      "aria-label": t("delete_named", { name }),
      text: t("delete"),
    }),
  );
  if (done) playWhilePointedAt(item.querySelector(".open"), thumb, () => link(job, "video"));
  return item;
}

// The clip plays in its small frame while the pointer or the keyboard is on it.
function playWhilePointedAt(target, thumb, source) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const stop = () => thumb.querySelector("video")?.remove();
  const play = () => {
    if (thumb.querySelector("video")) return;
    const video = h("video", { src: source(), crossorigin: "anonymous", loop: "", playsinline: "", tabindex: "-1" });
    video.muted = true; // the attribute has no effect on an element that a script made
    thumb.append(video);
    video.play().catch(stop); // the picture stays
  };
  for (const event of ["pointerenter", "focus"]) target.addEventListener(event, play);
  for (const event of ["pointerleave", "blur"]) target.addEventListener(event, stop);
}

function shortened(title) {
  return title.length > LONGEST_TITLE ? `${title.slice(0, LONGEST_TITLE - 1)}…` : title;
}

function thumbnail(job, link) {
  const image = (variant, faint) =>
    h("img", { class: faint, src: link(job, variant), crossorigin: "anonymous", alt: "", loading: "lazy" });
  const has = (variant) => job.variants?.includes(variant);
  const box = style(h("span", { class: "thumb" }), { "--aspect": job.width / job.height || 1 });
  if (job.status === "completed" && has("thumbnail")) {
    box.append(image("thumbnail", null));
    return box;
  }
  if (has("reference")) box.append(image("reference", "faint"));
  box.append(h("span", { class: "state" }, ...stateWords(job)));
  return box;
}

function stateWords(job) {
  const small = (text) => h("small", { text });
  if (job.status === "in_progress") return [`${number(job.progress)}%`, small(t("being_made"))];
  if (job.status === "queued") {
    return ["⋯", small(job.queue_position > 0 ? t("queued_behind", { n: job.queue_position }) : t("queued"))];
  }
  if (job.error?.code === "cancelled") return ["–", small(t("cancelled_title"))];
  return ["!", small(t("failed_title"))];
}
