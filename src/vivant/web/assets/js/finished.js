// A job that has ended: the clip with its player, the card, and the checklist once the report is there.
import { byId, h } from "./dom.js";
import { language, t } from "./i18n.js";
import { checklist } from "./checklist.js";
import { doneCard } from "./done.js";
import { showPanel } from "./panels.js";
import { createPlayer } from "./player.js";
import { session } from "./session.js";
import { stillPicture } from "./stills.js";

const reports = new Map(); // job id → its report, while this page lives

export function forgetReport(id) {
  reports.delete(id);
}

// acts(job): what the card's buttons do.
export async function showFinished(frame, job, acts, { focus = false } = {}) {
  const links = linksOf(job);
  const done = job.status === "completed";
  showPanel("done", done ? "title_done" : "title_failed");
  const fill = (report) => byId("done").replaceChildren(...doneCard(job, report, links, session.config, acts).filter(Boolean));
  fill(reports.get(job.id) ?? null);
  frame.gild(done ? 1 : 0);
  document.title = done ? "✓ · Vivant" : "Vivant";
  if (!done) {
    frame.hang(job.error?.code === "cancelled" ? "cancelled" : "failed", job.width / job.height, [stillPicture(job)]);
    if (focus) byId("done-title").focus({ preventScroll: true });
    return;
  }
  frame.hang("done", job.width / job.height, []);
  const player = createPlayer(job, links, frame.root);
  frame.mount(player);
  if (focus) byId("done-title").focus({ preventScroll: true });
  try {
    if (!reports.has(job.id)) reports.set(job.id, await session.api.report(job.id));
  } catch {
    if (frame.holds(player)) prove([h("h2", { id: "proof-name", text: t("proof") }), h("p", { text: t("report_missing") })]);
    return;
  }
  if (!frame.holds(player)) return;
  const report = reports.get(job.id);
  const focused = document.activeElement?.id;
  fill(report);
  if (focused) byId(focused)?.focus({ preventScroll: true });
  prove(checklist(report, job, links, player));
}

function prove(parts) {
  byId("proof").replaceChildren(...parts);
  byId("proof").hidden = false;
}

function linksOf(job) {
  const made = (variant) => (job.variants?.includes(variant) ? session.api.link(job, variant) : null);
  return {
    video: session.api.link(job, "video"),
    reference: session.api.link(job, "reference"),
    thumbnail: made("thumbnail"),
    contact_sheet: made("contact_sheet"),
    report_html: made("report_html") && `${made("report_html")}#${language()}`,
    download: (variant) => session.api.link(job, variant, true),
  };
}
