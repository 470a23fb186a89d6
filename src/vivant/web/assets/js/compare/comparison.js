// A comparison of settings: it is sent, followed to its end, and shown with its advice.
import { byId, h, style } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { go } from "../shared/address.js";
import { showBanner } from "../shared/banner.js";
import { confirmDialog } from "../shared/confirm_dialog.js";
import { number } from "../shared/format.js";
import { createGroupPanel, groupTitle, loadingLine, progressBar } from "../shared/group_panel.js";
import { isOver } from "../shared/job_state.js";
import { announce, showPanel } from "../shared/panels.js";
import { session } from "../shared/session.js";
import { croppedPicture } from "../frame/cropped_picture.js";
import { jobPicture, sentPictures } from "../frame/job_picture.js";
import { untilAnswered } from "../server/retry.js";
import { comparisonView, finishedClips } from "./comparison_view.js";
import { createPastComparisons } from "./past_comparisons.js";

const ENDED = 5; // a comparison announces its four quarters, then its result

export const isComparison = (id) => id?.startsWith("comparison_");

// onRefused(error): the server refused the comparison, or the user cancelled the upload.
export function createComparison(frame, gallery, { onRefused }) {
  const past = createPastComparisons();
  const panel = createGroupPanel({
    name: "comparison",
    heading: "title_comparison",
    frame,
    fetch: (id) => session.api.comparison(id),
    mayBeMissing: () => false,
    onState,
    isOver: ({ state }) => state !== null && isOver(state),
    draw,
  });

  async function send(fields, { picture, framing, others }) {
    session.openId = null;
    const upload = (session.upload = { abort: new AbortController(), part: 0 });
    showPanel("comparison", "title_comparison");
    const [width, height] = fields.size.split("x");
    frame.show("running", width / height, [croppedPicture(picture, framing.crop, t("your_picture"))]);
    frame.showProgress(0);
    drawUpload(upload);
    scrollTo({ top: 0 });
    byId("comparison-title").focus({ preventScroll: true });
    try {
      const state = await create(fields, [picture.file, ...others], upload);
      session.upload = null;
      sentPictures.set(state.data[0].video, { picture, crop: framing.state === "found" ? framing.crop : null });
      announce(t("say_started"));
      go(state.id);
      refreshLists();
    } catch (error) {
      session.upload = null;
      go("");
      onRefused(error);
    }
  }

  function create(fields, files, upload) {
    const { signal } = upload.abort;
    const onUpload = (part) => {
      upload.part = part;
      drawUpload(upload);
    };
    return untilAnswered((idempotencyKey) => session.api.compare(fields, files, { idempotencyKey, signal, onUpload }));
  }

  function drawUpload({ part, abort }) {
    const percent = Math.round(100 * part);
    const title = part < 1 ? t("uploading_all", { n: number(percent) }) : t("uploaded");
    const drawn = panel.root.querySelector("#comparison-cancel");
    if (drawn) {
      byId("comparison-title").textContent = title;
      style(panel.root.querySelector(".bar"), { "--done": part }).setAttribute("aria-valuenow", percent);
      return;
    }
    const cancel = { type: "button", class: "plain", id: "comparison-cancel", onclick: () => abort.abort() };
    panel.root.replaceChildren(
      groupTitle("comparison", title),
      progressBar(percent),
      h("p", { class: "small quiet", text: t("uploading_hint") }),
      h("div", { class: "stack" }, h("button", { ...cancel, text: t("cancel") })),
    );
  }

  function onState(group, first) {
    if (first) showPicture(group);
    announceProgress(group);
    if (isOver(group.state)) refreshLists();
  }

  async function showPicture(group) {
    try {
      const job = await session.api.get(group.state.data[0].video);
      if (panel.group() === group) frame.show("running", job.width / job.height, [jobPicture(job)]);
    } catch {
      // the clip has expired, and its picture with it
    }
  }

  // Screen readers hear each quarter, and the result. What was over when the page was opened is not announced.
  function announceProgress(group) {
    const { state, announced } = group;
    const quarter = isOver(state) ? ENDED : 1 + Math.floor(state.progress / 25);
    group.announced = quarter;
    if (!announced || quarter <= announced) return;
    const [advice] = state.findings?.recommendations ?? [];
    const result = () => (advice ? advice.heading[language()] : t("failed_title"));
    const progress = () => t("compare_running", { n: number(finishedClips(state)), total: number(state.clips) });
    announce(quarter === ENDED ? result() : progress());
  }

  function draw({ state, over }) {
    if (!state) return [groupTitle("comparison", t("title_comparison")), loadingLine()];
    frame.showProgress(state.progress / 100);
    document.title = over ? "✓ · Vivant" : `${state.progress}% · Vivant`;
    const opened = byId("comparison-all")?.open ?? false;
    return comparisonView(state, { opened, onCancel: cancelRest, onRemove: remove });
  }

  async function cancelRest() {
    try {
      await session.api.endBatch(panel.group().id);
    } catch (error) {
      showBanner(error);
    }
    panel.poll();
  }

  async function remove() {
    const { id } = panel.group();
    const sure = await confirmDialog(t("compare_delete_title"), t("compare_delete_text"), t("delete"));
    if (!sure) return;
    try {
      await session.api.removeComparison(id);
    } catch (error) {
      if (error.status !== 404) return showBanner(error);
    }
    announce(t("deleted"));
    go("");
    refreshLists();
  }

  // The clips of a comparison are in the gallery, too.
  function refreshLists() {
    past.refresh();
    gallery.refresh().catch(showBanner);
  }

  // After the language has changed.
  function render() {
    if (session.upload?.part !== undefined) {
      panel.root.replaceChildren();
      drawUpload(session.upload);
    }
    panel.render();
    past.render();
  }

  return { send, open: panel.open, close: panel.close, refreshPast: past.refresh, render };
}
