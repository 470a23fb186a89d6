// The blind test: it shows two clips without their names, takes one answer, and shows the next pair.
import { byId } from "/assets/js/shared/dom.js";
import { save } from "/assets/js/shared/storage.js";

const STRINGS = {
  motto: ["Blind test: choose without names", "블라인드 테스트: 이름 가리고 고르기"],
  question: ["Which clip would you rather publish?", "어느 영상을 올리고 싶으세요?"],
  language: ["한국어", "English"],
  theme: ["Light or dark", "밝게 / 어둡게"],
  progress: ["Pairs judged", "고른 쌍"],
  count: ["{done} of {total} pairs", "{total}쌍 중 {done}쌍"],
  clips: ["Two clips", "두 영상"],
  clip_a: ["Clip A", "영상 A"],
  clip_b: ["Clip B", "영상 B"],
  loading: ["Loading the clips…", "영상을 불러오는 중입니다…"],
  a_better: ["A is better", "A가 더 좋음"],
  b_better: ["B is better", "B가 더 좋음"],
  tie: ["No difference", "차이 없음"],
  back: ["Back to the last pair", "이전 쌍으로"],
  pause: ["Pause", "일시정지"],
  play: ["Play", "재생"],
  results: ["See the results", "결과 보기"],
  keys: [
    "Keys: ← A, → B, ↓ no difference, Space pauses, Backspace goes back.",
    "단축키: ← A, → B, ↓ 차이 없음, 스페이스 일시정지, 백스페이스 이전.",
  ],
  honest: [
    "Names and scores are hidden until you look at the results. Every answer is kept at once: stop whenever you like.",
    "결과를 보기 전까지 이름과 점수는 보이지 않습니다. 답은 바로 저장되니 언제든 멈춰도 됩니다.",
  ],
  done: ["All pairs are judged. Thank you.", "모든 쌍을 골랐습니다. 고맙습니다."],
  lost: [
    "The answer could not be saved: {why}. Is `vivant rate` still running?",
    "답을 저장하지 못했습니다: {why}. vivant rate가 실행 중인지 확인하세요.",
  ],
  broken: ["These clips cannot be played: {why}.", "이 영상은 재생할 수 없습니다: {why}."],
};

const root = document.documentElement;
const clips = { a: byId("a"), b: byId("b") };
const stage = byId("stage");
const answers = byId("answers");
let pairs = [];
let at = 0;
let began = 0;
let busy = true;
let playing = true;
let turn = 0;
let problem = null;
// Pair id → promise of two object URLs.
const urls = new Map();

const word = (key, values = {}) =>
  STRINGS[key][root.lang === "ko" ? 1 : 0].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

function translate() {
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = word(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]"))
    element.setAttribute("aria-label", word(element.dataset.tLabel));
  byId("language").textContent = word("language");
  document.title = `${word("motto")} – Vivant`;
  count();
  showProblem(problem);
}

const judgedCount = () => pairs.filter((pair) => pair.judged).length;

function count() {
  byId("count").textContent = word("count", { done: judgedCount(), total: pairs.length });
  byId("bar").value = pairs.length ? judgedCount() / pairs.length : 0;
}

function showProblem(found) {
  problem = found;
  byId("banner").hidden = !found;
  byId("trouble").textContent = found ? word(found.key, { why: found.why }) : "";
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(String(response.status));
  return URL.createObjectURL(await response.blob());
}

// Both clips are loaded completely, so that they start together and loop without a pause.
function load(pair) {
  if (pair && !urls.has(pair.id)) {
    const both = Promise.all(["a", "b"].map((side) => fetched(`/clips/${pair.id}/${side}`)));
    both.catch(() => urls.delete(pair.id));
    urls.set(pair.id, both);
  }
  return pair ? urls.get(pair.id) : null;
}

function forget(keep) {
  for (const [id, both] of urls) {
    if (keep.includes(id)) continue;
    urls.delete(id);
    both.then(
      (found) => found.forEach((url) => URL.revokeObjectURL(url)),
      () => {},
    );
  }
}

const ready = (video) =>
  new Promise((done, fail) => {
    video.oncanplaythrough = () => done();
    video.onerror = () => fail(new Error(video.error ? video.error.message || `code ${video.error.code}` : "?"));
  });

async function show(index) {
  const mine = (turn += 1);
  at = index;
  busy = true;
  byId("back").disabled = at === 0;
  const over = at >= pairs.length;
  stage.hidden = answers.hidden = true;
  byId("play").hidden = over;
  byId("loading").hidden = over;
  byId("question").dataset.t = over ? "done" : "question";
  byId("results").className = over ? "loud" : "plain";
  translate();
  for (const video of Object.values(clips)) video.pause();
  if (over) return;
  const pair = pairs[at];
  forget([pairs[at - 1], pair, pairs[at + 1]].filter(Boolean).map((one) => one.id));
  try {
    const [a, b] = await load(pair);
    if (mine !== turn) return;
    const loaded = Promise.all([ready(clips.a), ready(clips.b)]);
    clips.a.src = a;
    clips.b.src = b;
    await loaded;
  } catch (error) {
    if (mine === turn) showProblem({ key: "broken", why: error.message });
    return;
  }
  if (mine !== turn) return;
  byId("loading").hidden = true;
  stage.hidden = answers.hidden = false;
  showProblem(null);
  run(true);
  began = performance.now();
  busy = false;
  load(pairs[at + 1])?.catch(() => {});
}

function run(on) {
  playing = on;
  byId("play").dataset.t = on ? "pause" : "play";
  byId("play").textContent = word(on ? "pause" : "play");
  for (const video of Object.values(clips)) {
    if (on) video.play().catch(() => {});
    else video.pause();
  }
}

// B follows A, and both start again together.
for (const video of Object.values(clips)) {
  video.addEventListener("ended", () => {
    if (!clips.a.ended || !clips.b.ended) return;
    clips.a.currentTime = clips.b.currentTime = 0;
    if (playing) run(true);
  });
}

function follow() {
  const { a, b } = clips;
  if (
    playing &&
    a.readyState > 2 &&
    b.readyState > 2 &&
    !a.ended &&
    !b.ended &&
    !b.seeking &&
    Math.abs(a.currentTime - b.currentTime) > 0.06
  ) {
    b.currentTime = a.currentTime;
  }
  requestAnimationFrame(follow);
}

async function judge(answer) {
  if (busy || at >= pairs.length) return;
  busy = true;
  const pair = pairs[at];
  try {
    const response = await fetch("/judgements", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ pair: pair.id, answer, seconds: (performance.now() - began) / 1000 }),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(body.error.message);
  } catch (error) {
    showProblem({ key: "lost", why: error.message });
    busy = false;
    return;
  }
  pair.judged = true;
  const next = pairs.findIndex((one, index) => index > at && !one.judged);
  const left = pairs.findIndex((one) => !one.judged);
  await show(next >= 0 ? next : left >= 0 ? left : pairs.length);
}

for (const button of answers.querySelectorAll("button")) button.onclick = () => judge(button.dataset.answer);
byId("back").onclick = () => show(at - 1);
byId("play").onclick = () => run(!playing);
byId("language").onclick = () => {
  root.lang = root.lang === "ko" ? "en" : "ko";
  save("language", root.lang);
  translate();
};
byId("theme").onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  save("theme", root.dataset.theme);
};

const KEYS = { ArrowLeft: "a", ArrowRight: "b", ArrowDown: "tie" };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (KEYS[event.key]) judge(KEYS[event.key]);
  else if (event.key === "Backspace" && at > 0) show(at - 1);
  else if (event.key === " " && !/^(BUTTON|A)$/.test(event.target.tagName)) run(!playing);
  else return;
  event.preventDefault();
});

translate();
try {
  pairs = (await (await fetch("/pairs")).json()).pairs;
} catch (error) {
  showProblem({ key: "lost", why: error.message });
}
follow();
const first = pairs.findIndex((pair) => !pair.judged);
await show(first >= 0 ? first : pairs.length);
