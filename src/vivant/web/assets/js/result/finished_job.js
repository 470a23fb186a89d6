// A finished job: the clip with its player, the result card, and the checklist once the report is loaded.
import { byId, h } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { checklist } from "./checklist.js";
import { resultCard } from "./result_card.js";
import { showPanel } from "../shared/panels.js";
import { createPlayer } from "./player.js";
import { summary } from "./summary.js";
import { isExpired } from "../shared/job_state.js";
import { session } from "../shared/session.js";
import { jobPicture } from "../frame/job_picture.js";

// Job id → its report, until the page is closed.
const reports = new Map();

export function forgetReport(id) {
  reports.delete(id);
}

// actions: what the buttons of the card do.
export async function showFinished(frame, found, actions, { focus = false } = {}) {
  const job = isExpired(found) ? { ...found, status: "failed", error: { code: "expired" } } : found;
  const links = linksOf(job);
  const done = job.status === "completed";
  showPanel("done", done ? "title_done" : "title_failed");
  // A second answer about the same end must not take the focus away.
  const fillCard = (found) => {
    const focused = byId("done").contains(document.activeElement) && document.activeElement.id;
    byId("done").replaceChildren(...resultCard(job, found, links, session.config, actions).filter(Boolean));
    if (focused) byId(focused)?.focus({ preventScroll: true });
  };
  fillCard({ report: reports.get(job.id) ?? null });
  frame.showProgress(done ? 1 : 0);
  document.title = done ? "✓ · Vivant" : "Vivant";
  if (!done) {
    frame.show(job.error?.code === "cancelled" ? "cancelled" : "failed", job.width / job.height, [jobPicture(job)]);
    if (focus) focusMessage();
    return;
  }
  frame.show("done", job.width / job.height, []);
  const player = createPlayer(job, links, frame.root);
  frame.showPlayer(player);
  if (focus) byId("done-title").focus({ preventScroll: true });
  try {
    if (!reports.has(job.id)) reports.set(job.id, await session.api.report(job.id));
  } catch {
    if (frame.shows(player))
      showProof([h("h2", { id: "proof-name", text: t("proof") }), h("p", { text: t("report_missing") })]);
    return;
  }
  if (!frame.shows(player)) return;
  const report = reports.get(job.id);
  fillCard({ report, five: summary(report, player) });
  showProof(checklist(report, job, links, player));
}

// The page may stand anywhere when a job fails: its card becomes shorter, and another card may be long.
function focusMessage() {
  byId("done-title").focus({ preventScroll: true });
  byId("done").querySelector(".message").scrollIntoView({ block: "nearest" });
  byId("done-title").scrollIntoView({ block: "nearest" });
}

function showProof(parts) {
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
    download: (variant) => session.api.link(job, variant, { download: 1 }),
  };
}
