// The gallery: finished clips and those being made, newest first.
import { h, icon, sign, style } from "../shared/dom.js";
import { known, t } from "../shared/i18n.js";
import { number, when } from "../shared/format.js";
import { areTakes, cardId, isExpired, isOver } from "../shared/job_state.js";
import { isFavourite } from "./favourites.js";

const LONGEST_TITLE = 48;

// groups: the jobs of each card: one clip, the clips of one comparison, or four takes.
// options: { openId, link(job, variant, more), standard, onDelete(jobs), onFavourite(cardId) }; standard: the server's
// default prompt.
export function showGallery(list, groups, options) {
  // Unchanged items are kept, so that pictures do not load again and the focus stays where it is.
  const old = new Map([...list.querySelectorAll(":scope > .piece")].map((item) => [item.dataset.id, item]));
  const items = groups.map((jobs) => {
    const state = jobs.map((job) => stateOf(job, options.openId)).join(" ");
    const id = cardId(jobs[0]);
    const kept = old.get(id);
    if (kept?.dataset.state === state) return kept;
    const item = id === jobs[0].batch ? groupItem(jobs, options) : clipItem(jobs[0], options);
    item.dataset.state = state;
    const focused = kept?.contains(document.activeElement) && document.activeElement.className.split(" ")[0];
    if (focused) queueMicrotask(() => item.querySelector(`.${focused}`)?.focus());
    return item;
  });
  const same = items.length === list.children.length && items.every((item, index) => list.children[index] === item);
  if (!same) list.replaceChildren(...items);
}

// Everything that changes how an item looks.
function stateOf(job, openId) {
  const { id, status, progress, verdict, queue_position: position, error, variants = [] } = job;
  const { lang } = document.documentElement;
  const open = id === openId || job.batch === openId;
  const marked = isFavourite(cardId(job));
  return [id, status, progress, verdict, position, error?.code, variants.length, lang, open, marked].join(" ");
}

function clipItem(job, { openId, link, standard, onDelete, onFavourite }) {
  const title = pictureOf(job);
  const own = job.prompt && job.prompt !== standard ? shortened(job.prompt) : null;
  const done = job.status === "completed" && !isExpired(job);
  const verdict = job.verdict ?? "not_measured";
  const mood = known(`mood_${job.options?.preset}`) ? t(`mood_${job.options.preset}`) : null;
  const seed = t("seed_is", { n: job.seed });
  const details = [done ? t(`verdict_${verdict}`) : null, own, mood ?? seed];
  const thumb = thumbnail(job, link);
  const shown = { verdict: done ? verdict : null, title, details, made: job.created_at };
  const item = card({ id: job.id, open: job.id === openId, thumb, ...shown });
  const name = `${title} · ${when(job.created_at)}`;
  const actions = { onDelete: () => onDelete([job]), onFavourite: done && (() => onFavourite(job.id)) };
  item.append(tools({ name, ...actions }, job.id));
  if (done) playWhilePointedAt(item.querySelector(".open"), thumb, () => link(job, "video"));
  return item;
}

// One card for all clips of a comparison, or for four takes. A comparison is deleted on its own panel, with its result.
function groupItem(jobs, { openId, link, onDelete, onFavourite }) {
  const [job] = jobs;
  const takes = areTakes(job.batch);
  const running = jobs.find((one) => !isOver(one));
  const shown = running ?? jobs.find((one) => one.status === "completed") ?? job;
  const thumb = thumbnail(shown, link);
  const kind = t(takes ? "compare_moods" : "title_comparison");
  const details = [t("compare_count", { n: number(jobs.length) }), takes && kind];
  const title = takes ? pictureOf(job) : `${kind} · ${pictureOf(job)}`;
  const words = { verdict: null, title, details, made: job.created_at };
  const item = card({ id: job.batch, open: job.batch === openId, thumb, ...words });
  item.classList.add("stacked");
  const name = `${kind} · ${pictureOf(job)} · ${when(job.created_at)}`;
  const mark = !running && (() => onFavourite(job.batch));
  const actions = { onDelete: takes && (() => onDelete(jobs)), onFavourite: mark };
  item.append(tools({ name, ...actions }, job.batch));
  return item;
}

const pictureOf = (job) => job.picture_name ?? job.model;

// Under a card: delete it, and mark it; false leaves a button out.
function tools({ name, onDelete, onFavourite }, id) {
  const remove = { type: "button", class: "remove link", "aria-label": t("delete_named", { name }), text: t("delete") };
  return h(
    "div",
    { class: "piece-tools" },
    onDelete ? h("button", { ...remove, onclick: onDelete }) : h("span"),
    onFavourite ? heart(isFavourite(id), name, onFavourite) : null,
  );
}

// made: seconds since 1970.
function card({ id, open, thumb, verdict, title, details, made }) {
  const frame = h("span", { class: "small-frame" }, thumb);
  style(frame, { "--aspect": thumb.style.getPropertyValue("--aspect") });
  return h(
    "li",
    { class: "piece", "data-id": id, "data-open": open },
    h(
      "a",
      { class: "open", href: `#${id}`, "aria-current": open ? "true" : null },
      frame,
      h(
        "span",
        { class: "label" },
        h("b", {}, verdict ? sign(verdict) : null, h("bdi", { text: shortened(title) })),
        h("span", {}, h("bdi", { text: details.filter(Boolean).join(" · ") })),
        h("span", { text: when(made) }),
      ),
    ),
  );
}

function heart(marked, name, onclick) {
  return h(
    "button",
    {
      type: "button",
      class: "heart",
      "aria-pressed": String(marked),
      "aria-label": t("favourite_named", { name }),
      onclick,
    },
    icon("heart"),
  );
}

// The clip plays in its small frame while the pointer or the keyboard is on it.
export function playWhilePointedAt(target, thumb, source) {
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

// The clip's first frame, or its state in words.
export function thumbnail(job, link) {
  const image = (variant, faint) => {
    const src = link(job, variant, { small: 1 });
    return h("img", { class: faint, src, crossorigin: "anonymous", alt: "", loading: "lazy" });
  };
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
  if (isExpired(job)) return ["–", small(t("expired_title"))];
  if (job.error?.code === "cancelled") return ["–", small(t("cancelled_title"))];
  return ["!", small(t("failed_title"))];
}
