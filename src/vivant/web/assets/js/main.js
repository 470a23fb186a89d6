// Connects the parts of the page and decides what is open: a new clip, a job, a batch or a comparison.
import { byId } from "./shared/dom.js";
import { onLanguage, t, translate } from "./shared/i18n.js";
import { addressedId, clearAddress, go } from "./shared/address.js";
import { showBanner, translateBanner } from "./shared/banner.js";
import { confirmDialog } from "./shared/confirm_dialog.js";
import { showHeader, startHeader } from "./shared/header.js";
import { cardId, isOver } from "./shared/job_state.js";
import { announce } from "./shared/panels.js";
import { session } from "./shared/session.js";
import { createBatch, isBatch } from "./batch/batch.js";
import { createComparison, isComparison } from "./compare/comparison.js";
import { createEstimator } from "./form/estimate.js";
import { createForm } from "./form/form.js";
import { createNewClip } from "./form/new_clip.js";
import { randomSeed } from "./form/seed.js";
import { createFrame } from "./frame/frame.js";
import { sentPictures } from "./frame/job_picture.js";
import { createGalleryStore } from "./gallery/gallery_store.js";
import { createProgressCard } from "./job/progress_card.js";
import { createRunningJob } from "./job/running_job.js";
import { createSubmission } from "./job/submit.js";
import { availablePresets, createConnection } from "./server/connection.js";
import { errorLine } from "./server/error_text.js";

const REFRESH_MS = 2000;
// For all attempts to make a clip without the failed check.
const MEND_SECONDS = 300;
// Settings that change the estimate.
const ESTIMATED = ["aspect", "seconds", "model", "recipe", "aim", "preset", "repeats"];

// What shows finished clips is a fifth of the page, and loaded when it is first needed.
let finished = null;
const loadFinished = async () => (finished ??= await import("./result/finished_job.js"));

const frame = createFrame(byId("frame"), byId("art"), byId("under"));
const form = createForm(byId("form"), { onChange: settingChanged, onSubmit: submitForm });
const card = createProgressCard(byId("run"), { onCancel: cancelOpenJob, onNew: () => go("") });
const gallery = createGalleryStore({ onDelete: removeJobs });
const newClip = createNewClip(frame, form, { onTake: pictureTaken });
const estimate = createEstimator(form, () => newClip.count());
const batch = createBatch(frame, gallery, { onTake: takeOver });
const comparison = createComparison(frame, gallery, { onRefused: refused });
const connection = createConnection({ onChanged: gallery.clear, onReady: connected });
const runningJob = createRunningJob(frame, card, gallery, { onEnded: jobEnded, onServerBack: connection.connect });
const submission = createSubmission(frame, card, gallery, { onRefused: refused });

async function connected(returning) {
  form.render();
  newClip.show();
  if (returning) newClip.connected();
  await Promise.all([gallery.refresh(), comparison.refreshPast()]);
  estimate();
  // The open job is in the address. It can be loaded only now.
  if (returning && location.hash.length > 1 && !runningJob.following() && !session.upload) await openAddress();
  if (newClip.needsCrop()) newClip.findCrop();
}

function settingChanged(name) {
  if (name === "aspect") newClip.reshape();
  if (name === "aim" || name === "preset") newClip.findCrop();
  if (name === "model") newClip.preview();
  if (ESTIMATED.includes(name)) estimate();
}

function submitForm() {
  if (session.upload) return;
  form.fail(null);
  const chosen = newClip.chosen();
  if (!chosen) {
    form.fail(() => t("picture_first"), "picture");
    return;
  }
  const { picture, framing, others } = chosen;
  const seeds = form.seeds();
  const fields = { ...form.fields(), ...chosen.fields };
  if (form.takesMoods()) batch.sendTakes(chosen, form.moodTakes());
  else if (form.compares()) comparison.send(form.comparison(), chosen);
  else if (others.length || seeds.length > 1) batch.send(chosen, seeds, fields);
  else submission.submit(fields, picture, framing);
}

// "This one": its mood is the next clip's, too.
function takeOver(job) {
  form.use({ aim: "clip", model: "living", mood: job.options.preset });
  go(job.id);
}

function cancelOpenJob() {
  if (session.upload) submission.cancel();
  else runningJob.cancel();
}

// The number of pictures changes the estimate of a comparison.
function pictureTaken() {
  if (session.openId) go("");
  if (form.compares()) estimate();
}

function refused(error) {
  newClip.show();
  if (error.status === 401) connection.ask(true);
  else if (error.name !== "AbortError") form.fail(() => errorLine(error, session.config));
}

function showJob(job, options) {
  if (!isOver(job)) return runningJob.show(job, options);
  const actions = {
    onAgain: () => submission.again(job, randomSeed()),
    onMend: () => submission.again(job, job.seed, { until_pass: "true", budget: `${MEND_SECONDS}s` }),
    onRetry: () => submission.again(job, job.seed),
    onNew: () => go(""),
    onDelete: () => removeJobs([job]),
  };
  return finished.showFinished(frame, job, actions, options);
}

async function jobEnded(job, focused) {
  const done = t("say_done", { verdict: t(`finished_${job.verdict ?? "not_measured"}`) });
  const stopped = t(job.error?.code === "cancelled" ? "say_cancelled" : "say_failed");
  announce(job.status === "completed" ? done : stopped);
  gallery.render();
  await loadFinished();
  if (session.openId !== job.id) return;
  await showJob(job, { focus: focused });
  estimate();
}

// jobs: of one card.
async function removeJobs(jobs) {
  const several = jobs.length > 1;
  const title = several ? t("delete_title_many", { n: jobs.length }) : t("delete_title");
  const text = !jobs.every(isOver) ? t("delete_running") : t(several ? "delete_text_many" : "delete_text");
  if (!(await confirmDialog(title, text, t("delete")))) return;
  for (const job of jobs) {
    try {
      await session.api.remove(job.id);
    } catch (error) {
      if (error.status !== 404) return showBanner(error);
    }
    sentPictures.delete(job.id);
    finished?.forgetReport(job.id);
    if ([job.id, cardId(job)].includes(session.openId)) go("");
    gallery.remove(job.id);
  }
  announce(t("deleted"));
  (byId("gallery").querySelector(".open") ?? byId("main")).focus();
}

// Opens what the address names.
async function openAddress() {
  const id = addressedId();
  if (id === "main" || session.upload) return;
  runningJob.unfollow();
  batch.close();
  comparison.close();
  session.openId = id || null;
  gallery.render();
  if (!id) return newClip.show();
  if (!session.online) return;
  if (isBatch(id)) return batch.open(id);
  if (isComparison(id)) return comparison.open(id);
  await openJob(id);
}

async function openJob(id) {
  let job = gallery.find(id);
  try {
    if (!job) job = gallery.put(await session.api.get(id));
    if (isOver(job)) await loadFinished();
  } catch (error) {
    if (session.openId !== id) return;
    session.openId = null;
    clearAddress();
    newClip.show();
    return showBanner(error);
  }
  if (session.openId !== id) return;
  showJob(job, { reopen: true });
  if (scrollY > byId("main").offsetTop) scrollTo({ top: 0 });
  byId(isOver(job) ? "done-title" : "run-title")?.focus({ preventScroll: true });
  if (!isOver(job)) runningJob.follow(id);
}

async function refresh() {
  if (!session.online || document.hidden) return;
  try {
    if (!session.models.some((model) => model.available)) await refreshModels();
    // One request for all other running jobs: a browser limits the open event streams.
    if (gallery.othersRun()) await gallery.refresh();
  } catch {
    // the connection has noticed it
  }
}

// A worker may start after the page was opened.
async function refreshModels() {
  const models = await session.api.models();
  if (!models.some((model) => model.available)) return;
  session.models = models;
  session.presets = await availablePresets(session.api);
  form.render();
  estimate();
}

onLanguage(() => {
  showHeader();
  newClip.translate();
  connection.show();
  form.render();
  form.translateError();
  card.render();
  translateBanner();
  gallery.render();
  const job = session.openId && gallery.find(session.openId);
  if (job) showJob(job, { reopen: true });
  else newClip.show();
  batch.render();
  comparison.render();
});

window.addEventListener("hashchange", openAddress);
byId("home").addEventListener("click", (event) => {
  event.preventDefault();
  if (!session.upload) go("");
});
setInterval(refresh, REFRESH_MS);
setInterval(card.tick, 1000);

translate(document);
startHeader();
newClip.translate();
connection.show();
form.render();
newClip.show();
connection.connect();
