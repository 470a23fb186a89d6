// The jobs that this page knows, newest first. It draws the gallery from them.
import { byId } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { showBanner } from "../shared/banner.js";
import { isOver } from "../shared/job_state.js";
import { session } from "../shared/session.js";
import { toggleFavourite } from "./favourites.js";
import { createGalleryFilter, grouped, isGone } from "./gallery_filter.js";
import { showGallery } from "./gallery_view.js";

export function createGalleryStore({ onDelete }) {
  let jobs = [];
  let hasMore = false;
  const filter = createGalleryFilter(render);
  const find = (id) => jobs.find((job) => job.id === id);

  // Adds a job, or updates the fields of a known one. Returns the whole job.
  function put(job) {
    const at = jobs.findIndex((one) => one.id === job.id);
    if (at >= 0) jobs[at] = { ...jobs[at], ...job };
    else jobs.unshift(job);
    return find(job.id);
  }

  function remove(id) {
    jobs = jobs.filter((job) => job.id !== id);
    render();
  }

  async function refresh() {
    const page = await session.api.list();
    const ids = new Set(page.data.map((job) => job.id));
    const oldest = page.has_more ? (page.data.at(-1)?.created_at ?? 0) : -Infinity;
    // A job of this page's time that the server does not list was deleted elsewhere. Older jobs stay.
    const older = jobs.filter((job) => !ids.has(job.id) && job.created_at < oldest);
    jobs = [...page.data, ...older];
    hasMore = older.length ? hasMore : page.has_more;
    render();
  }

  async function loadMore() {
    try {
      const page = await session.api.list(jobs.at(-1)?.id);
      jobs.push(...page.data.filter((job) => !find(job.id)));
      hasMore = page.has_more;
      render();
    } catch (error) {
      showBanner(error);
    }
  }

  function render() {
    const shown = jobs.filter((job) => !isGone(job, session.openId));
    const found = grouped(shown).filter(filter.passes);
    filter.translate();
    byId("gallery-tools").hidden = !shown.length;
    byId("gallery-note").textContent = note(shown, found);
    showGallery(byId("gallery"), found, {
      openId: session.openId,
      link: session.api.link,
      standard: session.config.defaults.prompt,
      onDelete,
      onFavourite,
    });
    byId("more").hidden = !hasMore;
  }

  function note(shown, found) {
    if (!shown.length) return t(session.online ? "gallery_empty" : "gallery_offline");
    if (filter.active() && !found.length) return t(hasMore ? "gallery_none_yet" : "gallery_none");
    const running = shown.filter((job) => !isOver(job)).length;
    return running ? t("gallery_running", { n: running }) : "";
  }

  // id: of a card.
  function onFavourite(id) {
    toggleFavourite(id);
    render();
  }

  byId("more").addEventListener("click", loadMore);
  return {
    find,
    put,
    remove,
    refresh,
    render,
    // For another server, which has other jobs.
    clear: () => (jobs = []),
    othersRun: () => jobs.some((job) => !isOver(job) && job.id !== session.openId),
  };
}
