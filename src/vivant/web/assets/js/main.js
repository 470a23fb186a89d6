// Puts the parts together: which job is open, what the frame shows, what the server said.
import { byId, h } from "./dom.js";
import { language, onLanguage, t, translate } from "./i18n.js";
import { forget, recall, remember } from "./memory.js";
import { ApiError, createApi } from "./api.js";
import { bytes } from "./format.js";
import { watch } from "./watch.js";
import { centredCrop, closePicture, looksLikePicture, openPicture, wholePicture } from "./picture.js";
import { createFrame, croppedPicture, emptyFrame, place, plaque } from "./frame.js";
import { createForm, randomSeed } from "./form.js";
import { createRun } from "./run.js";
import { createPlayer } from "./player.js";
import { doneCard } from "./done.js";
import { checklist } from "./checklist.js";
import { isOver, showGallery } from "./gallery.js";
import { askConnection, askSure } from "./dialogs.js";
import { createIntake } from "./intake.js";
import { dressTools, startTools } from "./tools.js";
import { explain } from "./trouble.js";
import { note } from "./notes.js";

const alone = document.querySelector('meta[name="vivant-endpoint"]'); // the single-file page has it
const standing = alone === null || location.protocol !== "file:";
const here = standing ? location.origin + location.pathname.replace(/\/[^/]*$/, "") : "";

let api = createApi("", "");
let online = null; // null: not known yet
let picture = null;
let found = { state: "none" };
let openId = null;
let player = null;
let stopWatching = null;
let sending = null;
let jobs = [];
let hasMore = false;
const sources = new Map(); // job id → the picture it was made from, while this page lives
const reports = new Map();
const lines = { saidAt: 0 };

const say = (words) => (byId("say").textContent = words);
const frame = createFrame(byId("frame"), byId("art"), byId("under"));
const form = createForm(byId("form"), { onChange: changed, onSubmit: submit });
const run = createRun(byId("run"), { onCancel: cancel, onNew: () => go("") });
const intake = createIntake(frame.root, take);

// ---- the connection

function connection() {
  const baked = alone?.content ?? "";
  return {
    endpoint: standing ? here : recall("endpoint") ?? baked,
    key: recall("key") ?? "",
  };
}

async function connect() {
  const { endpoint, key } = connection();
  if (!endpoint) {
    online = false;
    showServer();
    openConnection();
    return;
  }
  api = createApi(endpoint, key);
  showServer();
  try {
    const [config, models] = await Promise.all([api.config(), api.models()]);
    const arriving = online !== true;
    online = true;
    form.learn(config, models);
    banner(null);
    await refresh();
    estimate();
    // The open job is in the address; it is found again once there is a server to ask.
    if (arriving && location.hash.length > 1 && !stopWatching && !sending) await route();
    if (picture && found.state !== "found") findCrop();
  } catch (error) {
    online = false;
    banner(error, connect);
    if (error.status === 401) openConnection(true);
    setTimeout(() => online === false && connection().endpoint === endpoint && error.status !== 401 && !byId("connection").open && connect(), 5000);
  }
  showServer();
}

function openConnection(needsKey = false) {
  askConnection({ ...connection(), lasting: true, fixed: standing, needsKey }, async (next) => {
    const trial = createApi(next.endpoint, next.key);
    try {
      await trial.config();
      await trial.list();
    } catch (error) {
      return error.code === "network" && !standing ? t("error_endpoint_network") : explain(error, form.config()).text;
    }
    forget("key");
    if (!standing) remember("endpoint", next.endpoint, next.lasting);
    if (next.key) remember("key", next.key, next.lasting);
    say(t("connected"));
    jobs = [];
    online = null;
    await connect();
    return null;
  });
}

function showServer() {
  const word = t(online === null ? "server_wait" : online ? "server_on" : "server_off");
  byId("connect-word").textContent = word;
  byId("connect").setAttribute("aria-label", t("server_label", { state: word }));
  document.querySelector("#connect .lamp").dataset.is = online === null ? "wait" : online ? "on" : "off";
  byId("save-page").hidden = !standing || alone !== null;
}

let bannerError = null;
function banner(error, again) {
  const box = byId("banner");
  bannerError = error ? { error, again } : null;
  box.hidden = !error;
  if (!error) {
    box.replaceChildren();
    return;
  }
  const { text, detail } = explain(error, form.config());
  box.dataset.kind = error.code === "network" ? "warn" : "fail";
  box.replaceChildren(
    h("p", {}, text, detail && detail !== text ? h("span", { class: "small", lang: "en", text: ` ${detail}` }) : null),
    again ? h("button", { type: "button", class: "plain", onclick: again, text: t("try_again") }) : "",
  );
}

// ---- the picture

async function take(file) {
  if (!file) return;
  if (openId) go("");
  const limit = form.config().limits.max_image_bytes;
  const wrong = !looksLikePicture(file)
    ? t("picture_bad_type", { name: file.name })
    : file.size === 0
      ? t("picture_empty")
      : file.size > limit
        ? t("picture_too_big", { size: bytes(file.size), limit: bytes(limit) })
        : "";
  form.fail(wrong);
  if (wrong) return;
  const opened = await openPicture(file);
  closePicture(picture);
  picture = opened;
  found = { state: "looking", crop: centredCrop(opened.width, opened.height, form.aspect()), faces: [], warnings: [] };
  showCompose();
  say(t("picture_chosen", { name: file.name || t("pasted") }));
  byId("go")?.focus({ preventScroll: true });
  findCrop();
}

let cropping = null;
async function findCrop() {
  cropping?.abort();
  if (!picture) return;
  const mine = new AbortController();
  cropping = mine;
  const { width, height } = picture;
  found = { ...found, state: online ? "looking" : "centred", crop: centredCrop(width, height, form.aspect()) };
  showCompose();
  if (!online) return;
  try {
    const answer = await api.crop(picture.file, form.shape(), mine.signal);
    found = { state: "found", ...answer };
    picture.width ||= answer.picture?.width ?? 0;
    picture.height ||= answer.picture?.height ?? 0;
  } catch (error) {
    if (error.name === "AbortError") return;
    found = { ...found, state: "centred" };
    const { text, detail } = explain(error, form.config());
    if (error.code !== "network") form.fail(detail && language() === "ko" ? `${text} (${detail})` : text);
  }
  if (cropping === mine) showCompose();
}

function removePicture() {
  cropping?.abort();
  closePicture(picture);
  picture = null;
  found = { state: "none" };
  form.fail("");
  showCompose();
  say(t("picture_removed"));
  byId("choose")?.focus();
}

// ---- showing

function panel(name) {
  for (const id of ["form", "run", "done"]) byId(id).hidden = id !== name;
  byId("card-name").textContent = t({ form: "card_new", run: "card_run", done: "card_done" }[name]);
}

function heading(key) {
  byId("title").textContent = t(key);
}

function showCompose() {
  if (openId || sending) return;
  leave();
  panel("form");
  heading("title_new");
  byId("proof").hidden = true;
  document.title = "Vivant";
  frame.gild(0);
  if (!picture) {
    frame.hang("empty", form.aspect(), [emptyFrame({ onChoose: intake.choose, onPhotograph: intake.photograph })]);
    return;
  }
  const active = document.activeElement?.id;
  // Until the face is found the whole picture is shown; then it glides into its framing.
  const window = found.state === "looking" ? wholePicture(picture.width, picture.height, form.aspect()) : found.crop;
  const hung = byId("art").querySelector(".cropped img");
  const same = hung?.src === picture.url && frame.root.dataset.state === "chosen";
  if (same) place(hung, window);
  frame.hang(
    "chosen",
    form.aspect(),
    same ? null : [croppedPicture(picture, window, t("preview_alt"))],
    [plaque(picture, found, (found.warnings ?? []).map(note), { onChoose: intake.choose, onRemove: removePicture })],
  );
  if (active === "change" || active === "remove") byId(active)?.focus();
}

function leave() {
  player?.close();
  player = null;
}

function stillPicture(job) {
  const kept = sources.get(job.id);
  if (kept?.crop && kept.picture.drawable) return croppedPicture(kept.picture, kept.crop, t("your_picture"));
  const framed = job.variants?.includes("reference");
  if (!framed && kept?.picture.drawable) {
    const { picture: own } = kept;
    return croppedPicture(own, centredCrop(own.width, own.height, job.width / job.height), t("your_picture"));
  }
  if (!framed && !job.variants?.includes("source")) return "";
  const img = h("img", { class: framed ? "whole" : "cover", src: api.link(job, framed ? "reference" : "source"), crossorigin: "anonymous", alt: t("your_picture") });
  img.addEventListener("error", () => img.remove(), { once: true });
  return img;
}

function showRun(job) {
  const before = !byId("run").hidden && frame.root.dataset.job === job.id;
  panel("run");
  heading("title_run");
  byId("proof").hidden = true;
  if (!before) {
    leave();
    frame.hang("running", job.width / job.height, [stillPicture(job)]);
    frame.root.dataset.job = job.id;
  }
  frame.gild(job.progress / 100);
  run.show({ job, upload: null });
  document.title = `${job.status === "queued" ? "⋯" : `${job.progress}%`} · Vivant`;
}

async function showDone(job, { focus = false } = {}) {
  leave();
  delete frame.root.dataset.job;
  panel("done");
  const links = {
    video: api.link(job, "video"),
    reference: api.link(job, "reference"),
    thumbnail: job.variants?.includes("thumbnail") ? api.link(job, "thumbnail") : null,
    contact_sheet: job.variants?.includes("contact_sheet") ? api.link(job, "contact_sheet") : null,
    download: (variant) => api.link(job, variant, true),
  };
  const acts = { onAgain: () => again(job, randomSeed()), onRetry: () => again(job, job.seed), onNew: () => go(""), onDelete: () => remove(job) };
  const done = job.status === "completed";
  heading(done ? "title_done" : "title_failed");
  const fill = (report) => byId("done").replaceChildren(...doneCard(job, report, links, form.config(), acts).filter(Boolean));
  frame.gild(done ? 1 : 0);
  if (!done) {
    fill(null);
    frame.hang(job.error?.code === "cancelled" ? "cancelled" : "failed", job.width / job.height, [stillPicture(job)]);
    byId("proof").hidden = true;
    document.title = "Vivant";
    if (focus) byId("done-title").focus({ preventScroll: true });
    return;
  }
  document.title = `✓ · Vivant`;
  frame.hang("done", job.width / job.height, []);
  const mine = (player = createPlayer(job, links, frame.root));
  byId("art").replaceChildren(mine.inside);
  byId("under").replaceChildren(mine.controls);
  fill(reports.get(job.id) ?? null);
  if (focus) byId("done-title").focus({ preventScroll: true });
  try {
    if (!reports.has(job.id)) reports.set(job.id, await api.report(job.id));
  } catch {
    if (openId !== job.id || player !== mine) return;
    byId("proof").replaceChildren(h("h2", { id: "proof-name", text: t("proof") }), h("p", { text: t("report_missing") }));
    byId("proof").hidden = false;
    return;
  }
  if (openId !== job.id || player !== mine) return;
  const report = reports.get(job.id);
  const focused = document.activeElement?.id;
  fill(report);
  if (focused) byId(focused)?.focus({ preventScroll: true });
  byId("proof").replaceChildren(...checklist(report, job, links, mine));
  byId("proof").hidden = false;
}

function showJob(job, options) {
  if (isOver(job)) showDone(job, options);
  else showRun(job);
}

function paintGallery() {
  const active = jobs.filter((job) => !isOver(job)).length;
  byId("gallery-note").textContent = active ? t("gallery_running", { n: active }) : jobs.length ? "" : t(online ? "gallery_empty" : "gallery_offline");
  showGallery(byId("gallery"), jobs, { openId, link: api.link, standard: form.config().defaults.prompt, onDelete: remove });
  byId("more").hidden = !hasMore;
}

// ---- jobs

const jobOf = (id) => jobs.find((job) => job.id === id);

function keep(job) {
  const at = jobs.findIndex((one) => one.id === job.id);
  if (at >= 0) jobs[at] = { ...jobs[at], ...job };
  else jobs.unshift(job);
  return jobOf(job.id);
}

async function refresh() {
  const page = await api.list();
  const ids = new Set(page.data.map((job) => job.id));
  const oldest = page.has_more ? page.data.at(-1)?.created_at ?? 0 : -Infinity;
  // What the first page should hold and does not was deleted elsewhere; later pages stay.
  const later = jobs.filter((job) => !ids.has(job.id) && job.created_at < oldest);
  jobs = [...page.data, ...later];
  hasMore = later.length ? hasMore : page.has_more;
  paintGallery();
}

byId("more").addEventListener("click", async () => {
  try {
    const page = await api.list(jobs.at(-1)?.id);
    jobs.push(...page.data.filter((job) => !jobOf(job.id)));
    hasMore = page.has_more;
    paintGallery();
  } catch (error) {
    banner(error);
  }
});

function follow(id) {
  stopWatching?.();
  run.show({ line: "live", cancelling: false });
  lines.saidAt = 0;
  stopWatching = watch(api, id, {
    onLine: (line) => {
      run.show({ line });
      if (line !== "lost" && bannerError?.error.code === "network") banner(null);
      if (line !== "lost" && online === false) connect();
    },
    onEvent: (data) => {
      if (openId !== id) return;
      const { event, seq, at, done, total, unit, step, frame: index, ...known } = data;
      if (isOver(known)) return; // the whole object is fetched at the end
      const job = keep({ ...known, id });
      showRun(job);
      paintGallery();
      const quarter = Math.floor(job.progress / 25);
      if (quarter > lines.saidAt) {
        lines.saidAt = quarter;
        say(t("say_progress", { n: job.progress, stage: t(`doing_${job.stage ?? "image"}`) }));
      }
    },
    onEnd: async (error) => {
      stopWatching = null;
      if (openId !== id) return;
      if (error?.status === 404) {
        jobs = jobs.filter((job) => job.id !== id);
        paintGallery();
        banner(error);
        return go("");
      }
      if (error) return banner(error, () => follow(id));
      try {
        const job = keep(await api.get(id));
        if (openId !== id) return;
        const attended = run.has(document.activeElement) || document.activeElement === document.body;
        await finish(job, attended);
      } catch (problem) {
        if (problem.status === 404) {
          jobs = jobs.filter((job) => job.id !== id);
          paintGallery();
          go("");
        } else banner(problem, () => follow(id));
      }
    },
  });
}

async function finish(job, attended) {
  const code = job.error?.code;
  say(job.status === "completed" ? t("say_done", { verdict: t(`finished_${job.verdict ?? "not_measured"}`) }) : t(code === "cancelled" ? "say_cancelled" : "say_failed"));
  paintGallery();
  await showDone(job, { focus: attended });
  estimate();
}

async function submit() {
  if (sending) return;
  if (!picture) {
    form.fail(t("picture_first"));
    byId("choose")?.focus();
    return;
  }
  await send(form.fields(), picture, found);
}

async function send(fields, shown, framing) {
  form.fail("");
  const aspect = fields.size ? fields.size.split("x") : form.config().aspects[fields.aspect];
  openId = null;
  const sent = (sending = { abort: new AbortController(), all: false, unwanted: false });
  leave();
  panel("run");
  heading("title_run");
  byId("proof").hidden = true;
  frame.hang("running", aspect[0] / aspect[1], [croppedPicture(shown, framing.crop, t("your_picture"))]);
  frame.gild(0);
  run.show({ job: null, upload: 0, line: "live", cancelling: false });
  scrollTo({ top: 0 });
  run.focus();
  const idempotencyKey = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
  try {
    let job = null;
    // The key makes a repeated request safe: the server answers with the same job.
    for (let attempt = 0; !job; attempt += 1) {
      try {
        job = await api.create(fields, shown.file, {
          idempotencyKey,
          signal: sent.abort.signal,
          onUpload: (part) => {
            sent.all = part === 1;
            run.show({ upload: part });
          },
        });
      } catch (error) {
        if (error.code !== "network" || attempt === 2) throw error;
        await new Promise((resolve) => setTimeout(resolve, 700 * (attempt + 1)));
      }
    }
    sending = null;
    sources.set(job.id, { picture: shown, crop: framing.state === "found" ? framing.crop : null });
    keep(job);
    say(t("say_started"));
    if (sent.unwanted) keep(await api.cancel(job.id));
    paintGallery();
    go(job.id);
  } catch (error) {
    sending = null;
    go("");
    showCompose();
    if (error.name === "AbortError") return;
    const { text, detail } = explain(error, form.config());
    form.fail(detail && detail !== text ? `${text} (${detail})` : text);
    if (error.status === 401) openConnection(true);
    byId("go")?.focus();
  }
}

async function again(job, seed) {
  try {
    let kept = sources.get(job.id);
    if (!kept) {
      const blob = await api.file(job.id, "source");
      const opened = await openPicture(new File([blob], "picture", { type: blob.type }));
      kept = { picture: opened, crop: null };
    }
    const fields = { prompt: job.prompt ?? "", negative_prompt: job.negative_prompt ?? "", model: job.model, num_frames: String(job.num_frames), fps: String(job.fps), size: `${job.width}x${job.height}`, seed: String(seed), quality: job.quality, upscaler: job.upscaler };
    for (const [name, value] of Object.entries(job.options ?? {})) fields[`options[${name}]`] = String(value);
    const centred = centredCrop(kept.picture.width, kept.picture.height, job.width / job.height);
    await send(fields, kept.picture, { state: kept.crop ? "found" : "centred", crop: kept.crop ?? centred });
  } catch (error) {
    banner(error);
  }
}

async function cancel() {
  if (sending) {
    // Once all is sent the server has the job: it is accepted first, then cancelled.
    sending.unwanted = true;
    run.show({ cancelling: true });
    if (!sending.all) sending.abort.abort();
    return;
  }
  if (!openId) return;
  const id = openId;
  run.show({ cancelling: true });
  try {
    const job = keep(await api.cancel(id));
    if (isOver(job) && openId === id && !byId("run").hidden) {
      stopWatching?.();
      stopWatching = null;
      await finish(job, true);
    }
  } catch (error) {
    run.show({ cancelling: false });
    banner(error);
  }
}

async function remove(job) {
  const sure = await askSure(t("delete_title"), isOver(job) ? t("delete_text") : t("delete_running"), t("delete"));
  if (!sure) return;
  try {
    await api.remove(job.id);
  } catch (error) {
    if (error.status !== 404) return banner(error);
  }
  jobs = jobs.filter((one) => one.id !== job.id);
  sources.delete(job.id);
  reports.delete(job.id);
  say(t("deleted"));
  if (openId === job.id) go("");
  paintGallery();
  (byId("gallery").querySelector(".open") ?? byId("main")).focus();
}

// ---- the estimate

let estimating = null;
let estimateTimer = null;
function estimate() {
  clearTimeout(estimateTimer);
  estimateTimer = setTimeout(async () => {
    if (!online) return;
    estimating?.abort();
    estimating = new AbortController();
    const { model, seconds, recipe } = form.chosen();
    const query = { seconds, ...form.shape(), ...(model ? { model: model.id } : {}), ...(recipe ? { recipe } : {}) };
    try {
      form.showEstimate(await api.estimate(query, estimating.signal));
    } catch (error) {
      if (error.name !== "AbortError") form.showEstimate(null);
    }
  }, 150);
}

function changed(name) {
  if (name === "aspect") {
    if (picture) findCrop();
    else showCompose();
  }
  if (["aspect", "seconds", "model", "recipe"].includes(name)) estimate();
}

// ---- where we are: the address after # is the open job

function go(id) {
  if (location.hash.slice(1) === id) route();
  else location.hash = id;
}

async function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id === "main") return;
  if (sending) return;
  stopWatching?.();
  stopWatching = null;
  openId = id || null;
  paintGallery();
  if (!id) return showCompose();
  if (!online) return;
  let job = jobOf(id);
  try {
    if (!job) job = keep(await api.get(id));
  } catch (error) {
    if (openId !== id) return;
    openId = null;
    history.replaceState(null, "", location.pathname + location.search);
    showCompose();
    return banner(error);
  }
  if (openId !== id) return;
  delete frame.root.dataset.job;
  showJob(job, { focus: false });
  if (scrollY > byId("main").offsetTop) scrollTo({ top: 0 });
  byId(isOver(job) ? "done-title" : "run-title")?.focus({ preventScroll: true });
  if (!isOver(job)) follow(id);
}

window.addEventListener("hashchange", route);

// A worker may come up after the page: until an engine can be used, the engines are asked for again.
setInterval(async () => {
  if (!online || document.hidden || form.models().some((model) => model.available)) return;
  try {
    const models = await api.models();
    if (models.some((model) => model.available)) {
      form.learn(form.config(), models);
      estimate();
    }
  } catch {
    // the connection has its own watch
  }
}, 2000);

// Other jobs that run are asked after together, so that no browser limit on open lines is met.
setInterval(async () => {
  run.tick();
  if (!online || document.hidden) return;
  if (jobs.some((job) => !isOver(job) && job.id !== openId)) {
    try {
      await refresh();
    } catch (error) {
      if (error instanceof ApiError && error.code === "network") banner(error, connect);
    }
  }
}, 2000);
setInterval(() => run.tick(), 1000);
window.addEventListener("online", connect);

// ---- the header

byId("connect").addEventListener("click", () => openConnection());
byId("home").addEventListener("click", (event) => {
  event.preventDefault();
  if (!sending) go("");
});

onLanguage(() => {
  dressTools();
  intake.translate();
  showServer();
  form.render();
  run.render();
  if (bannerError) banner(bannerError.error, bannerError.again);
  paintGallery();
  const job = openId && jobOf(openId);
  if (job) {
    delete frame.root.dataset.job;
    showJob(job);
  } else showCompose();
});

translate(document);
startTools();
intake.translate();
showServer();
form.render();
showCompose();
connect();
