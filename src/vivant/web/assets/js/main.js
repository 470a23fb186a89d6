// Puts the parts together and decides which of them is shown: a new clip, one being made, or a finished one.
import { byId } from "./dom.js";
import { onLanguage, t, translate } from "./i18n.js";
import { addressed, go, strayed } from "./address.js";
import { ApiError } from "./api.js";
import { showBanner, translateBanner } from "./banner.js";
import { createBatching, isBatch } from "./batching.js";
import { createComparing, isComparison } from "./comparing.js";
import { createCompose } from "./compose.js";
import { createConnection, offered } from "./connection.js";
import { askSure } from "./dialogs.js";
import { forgetReport, showFinished } from "./finished.js";
import { createForetell } from "./foretell.js";
import { createForm } from "./form.js";
import { createFrame } from "./frame.js";
import { isOver } from "./gallery.js";
import { createMaking } from "./making.js";
import { say } from "./panels.js";
import { createRun } from "./run.js";
import { createSending } from "./sending.js";
import { randomSeed } from "./seed.js";
import { session } from "./session.js";
import { createShelf } from "./shelf.js";
import { sources } from "./stills.js";
import { explain } from "./trouble.js";
import { dressTools, startTools } from "./tools.js";

const LOOK_MS = 2000; // between questions about what no event tells

const frame = createFrame(byId("frame"), byId("art"), byId("under"));
const form = createForm(byId("form"), { onChange: changed, onSubmit: submit });
const run = createRun(byId("run"), { onCancel: () => (session.sending ? sending : making).cancel(), onNew: () => go("") });
const shelf = createShelf({ onDelete: remove });
const compose = createCompose(frame, form, { onTake: taken });
const foretell = createForetell(form, () => compose.count());
const batching = createBatching(frame, shelf);
const comparing = createComparing(frame, shelf, { onRefused: notCompared });
const connection = createConnection({ onChanged: shelf.clear, onReady: ready });
const making = createMaking(frame, run, shelf, { onEnded: ended, onServer: connection.connect });
const sending = createSending(frame, run, form, shelf, { onRefused: refused });

async function ready(arriving) {
  form.render();
  compose.show();
  await Promise.all([shelf.refresh(), comparing.list()]);
  foretell();
  // The open job is in the address; it is found again once there is a server to ask.
  if (arriving && location.hash.length > 1 && !making.following() && !session.sending) await route();
  if (compose.waits()) compose.crop();
}

function changed(name) {
  if (name === "aspect") compose.crop();
  if (["aspect", "seconds", "model", "recipe", "aim", "preset", "repeats"].includes(name)) foretell();
}

function submit() {
  if (session.sending) return;
  const chosen = compose.chosen();
  const seeds = form.seeds();
  if (chosen && form.compares()) {
    comparing.send(form.comparison(), chosen);
    return;
  }
  if (chosen && (chosen.others.length || seeds.length > 1)) {
    batching.send([chosen.picture.file, ...chosen.others], seeds, form.fields());
    return;
  }
  if (chosen) {
    sending.send(form.fields(), chosen.picture, chosen.framing);
    return;
  }
  form.fail(t("picture_first"));
  byId("choose")?.focus();
}

// Another number of pictures is another estimate of a comparison.
function taken() {
  if (session.openId) go("");
  if (form.compares()) foretell();
}

function notCompared(error) {
  refused(error);
  if (error.name === "AbortError") return;
  const { text, detail } = explain(error, session.config);
  form.fail(detail && detail !== text ? `${text} (${detail})` : text);
  byId("go")?.focus();
}

function refused(error) {
  compose.show();
  if (error.status === 401) connection.ask(true);
}

function show(job, options) {
  if (!isOver(job)) return making.show(job, options);
  const acts = {
    onAgain: () => sending.again(job, randomSeed()),
    onRetry: () => sending.again(job, job.seed),
    onNew: () => go(""),
    onDelete: () => remove(job),
  };
  return showFinished(frame, job, acts, options);
}

async function ended(job, attended) {
  const cancelled = job.error?.code === "cancelled";
  say(job.status === "completed" ? t("say_done", { verdict: t(`finished_${job.verdict ?? "not_measured"}`) }) : t(cancelled ? "say_cancelled" : "say_failed"));
  shelf.paint();
  await show(job, { focus: attended });
  foretell();
}

async function remove(job) {
  const sure = await askSure(t("delete_title"), isOver(job) ? t("delete_text") : t("delete_running"), t("delete"));
  if (!sure) return;
  try {
    await session.api.remove(job.id);
  } catch (error) {
    if (error.status !== 404) return showBanner(error);
  }
  sources.delete(job.id);
  forgetReport(job.id);
  say(t("deleted"));
  if (session.openId === job.id) go("");
  shelf.drop(job.id);
  (byId("gallery").querySelector(".open") ?? byId("main")).focus();
}

async function route() {
  const id = addressed();
  if (id === "main" || session.sending) return;
  making.unfollow();
  batching.close();
  comparing.close();
  session.openId = id || null;
  shelf.paint();
  if (!id) return compose.show();
  if (!session.online) return;
  if (isBatch(id)) return batching.open(id);
  if (isComparison(id)) return comparing.open(id);
  let job = shelf.find(id);
  try {
    if (!job) job = shelf.keep(await session.api.get(id));
  } catch (error) {
    if (session.openId !== id) return;
    session.openId = null;
    strayed();
    compose.show();
    return showBanner(error);
  }
  if (session.openId !== id) return;
  show(job, { anew: true });
  if (scrollY > byId("main").offsetTop) scrollTo({ top: 0 });
  byId(isOver(job) ? "done-title" : "run-title")?.focus({ preventScroll: true });
  if (!isOver(job)) making.follow(id);
}

async function look() {
  if (!session.online || document.hidden) return;
  try {
    // A worker may come up after the page: until an engine can be used, the engines are asked for again.
    if (!session.models.some((model) => model.available)) {
      const models = await session.api.models();
      if (models.some((model) => model.available)) {
        session.models = models;
        session.presets = await offered(session.api);
        form.render();
        foretell();
      }
    }
    // Other jobs that run are asked after together, so that no browser limit on open lines is met.
    if (shelf.othersRun()) await shelf.refresh();
  } catch (error) {
    if (error instanceof ApiError && error.code === "network") showBanner(error, connection.connect);
  }
}

onLanguage(() => {
  dressTools();
  compose.translate();
  connection.show();
  form.render();
  run.render();
  translateBanner();
  shelf.paint();
  const job = session.openId && shelf.find(session.openId);
  if (job) show(job, { anew: true });
  else compose.show();
  batching.render();
  comparing.render();
});

window.addEventListener("hashchange", route);
byId("home").addEventListener("click", (event) => {
  event.preventDefault();
  if (!session.sending) go("");
});
setInterval(look, LOOK_MS);
setInterval(run.tick, 1000);

translate(document);
startTools();
compose.translate();
connection.show();
form.render();
compose.show();
connection.connect();
