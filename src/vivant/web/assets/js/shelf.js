// The jobs this page knows, newest first, and the gallery that shows them.
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { showBanner } from "./banner.js";
import { isOver, showGallery } from "./gallery.js";
import { session } from "./session.js";

export function createShelf({ onDelete }) {
  let jobs = [];
  let hasMore = false;
  const find = (id) => jobs.find((job) => job.id === id);

  function keep(job) {
    const at = jobs.findIndex((one) => one.id === job.id);
    if (at >= 0) jobs[at] = { ...jobs[at], ...job };
    else jobs.unshift(job);
    return find(job.id);
  }

  function drop(id) {
    jobs = jobs.filter((job) => job.id !== id);
    paint();
  }

  async function refresh() {
    const page = await session.api.list();
    const ids = new Set(page.data.map((job) => job.id));
    const oldest = page.has_more ? page.data.at(-1)?.created_at ?? 0 : -Infinity;
    // What the first page should hold and does not was deleted elsewhere; later pages stay.
    const later = jobs.filter((job) => !ids.has(job.id) && job.created_at < oldest);
    jobs = [...page.data, ...later];
    hasMore = later.length ? hasMore : page.has_more;
    paint();
  }

  async function more() {
    try {
      const page = await session.api.list(jobs.at(-1)?.id);
      jobs.push(...page.data.filter((job) => !find(job.id)));
      hasMore = page.has_more;
      paint();
    } catch (error) {
      showBanner(error);
    }
  }

  function paint() {
    const active = jobs.filter((job) => !isOver(job)).length;
    const empty = t(session.online ? "gallery_empty" : "gallery_offline");
    byId("gallery-note").textContent = active ? t("gallery_running", { n: active }) : jobs.length ? "" : empty;
    showGallery(byId("gallery"), jobs, { openId: session.openId, link: session.api.link, standard: session.config.defaults.prompt, onDelete });
    byId("more").hidden = !hasMore;
  }

  byId("more").addEventListener("click", more);
  return {
    find, keep, drop, refresh, paint,
    // Another server: its jobs are others.
    clear: () => (jobs = []),
    othersRun: () => jobs.some((job) => !isOver(job) && job.id !== session.openId),
  };
}
