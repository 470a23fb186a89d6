// The search field and the switch above the gallery, and which cards they leave.
import { byId } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { cardId } from "../shared/job_state.js";
import { isFavourite } from "./favourites.js";

// onChange(): the search or the switch has changed.
export function createGalleryFilter(onChange) {
  const search = byId("gallery-search");
  const only = byId("gallery-favourites");
  search.addEventListener("input", onChange);
  only.addEventListener("change", onChange);

  const words = (job) =>
    [job.picture_name, job.prompt, job.file_name, job.model, `${job.seed}`].join(" ").normalize("NFC").toLowerCase();

  // jobs: of one card.
  function passes(jobs) {
    if (only.checked && !isFavourite(cardId(jobs[0]))) return false;
    const wanted = search.value.normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);
    return jobs.some((job) => wanted.every((word) => words(job).includes(word)));
  }

  function translate() {
    search.placeholder = t("gallery_search");
    search.setAttribute("aria-label", t("gallery_search"));
  }

  translate();
  return { passes, translate, active: () => only.checked || search.value.trim() !== "" };
}

// A cancelled clip has nothing to show. It stays while it is open.
export function isGone(job, openId) {
  return job.error?.code === "cancelled" && job.id !== openId;
}

// One entry for each card of the gallery, in the order of the newest job: [job] or [job, job, …].
export function grouped(jobs) {
  const groups = new Map();
  for (const job of jobs) groups.set(cardId(job), [...(groups.get(cardId(job)) ?? []), job]);
  return [...groups.values()];
}
