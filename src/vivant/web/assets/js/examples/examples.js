// Three framed clips under the empty frame. A click takes their picture, mood and shape into the form.
import { creditLine } from "../shared/credit.js";
import { h, style } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { loopingVideo, playAgain } from "../shared/looping_video.js";
import { session } from "../shared/session.js";

const POLL_MS = 1000;
const MOST_POLLS = 40; // the server makes them when they are first asked for

// onChoose({ preset, aspect }): an example was clicked.
// onFound(): the server has examples.
export function createExamples({ onChoose, onFound }) {
  const list = h("ul", {});
  const title = h("p", { class: "small quiet", id: "examples-name" });
  const credits = h("div", {});
  const parts = [title, list, credits];
  const root = h("section", { class: "examples", "aria-labelledby": "examples-name", hidden: true }, parts);
  const shown = new Map(); // preset → { item, poster, clip }
  let credit = null; // of the sample picture

  async function load(polls = 0) {
    const { endpoint } = session.api;
    const answer = await session.api.examples().catch(() => ({ data: [] })); // an older server has none
    if (endpoint !== session.api.endpoint) return;
    const found = answer.data;
    credit = answer.credit ?? null;
    showCredit();
    for (const one of found) show(one);
    const first = root.hidden && found.length > 0;
    root.hidden = found.length === 0;
    if (first) onFound();
    if (found.some((one) => !one.clip) && polls < MOST_POLLS) setTimeout(() => load(polls + 1), POLL_MS);
  }

  function show(one) {
    const item = shown.get(one.preset) ?? addItem(one);
    const picture = item.button.querySelector(".thumb");
    if (one.poster && !item.poster) {
      item.poster = h("img", { src: session.api.endpoint + one.poster, crossorigin: "anonymous", alt: "" });
      picture.append(item.poster);
    }
    if (one.clip && !item.clip) {
      item.clip = loopingVideo(session.api.endpoint + one.clip);
      picture.append(item.clip);
    }
  }

  function addItem(one) {
    const words = h("span", { class: "label" });
    const picture = style(h("span", { class: "thumb" }), { "--aspect": one.width / one.height });
    const button = h(
      "button",
      { type: "button", class: "example", id: `example-${one.preset}`, onclick: () => onChoose(one) },
      h("span", { class: "small-frame" }, picture),
      words,
    );
    const item = { button, words, one, poster: null, clip: null };
    shown.set(one.preset, item);
    list.append(style(h("li", {}, button), { "--aspect": one.width / one.height }));
    translateItem(item);
    return item;
  }

  function translateItem({ words, one }) {
    words.replaceChildren(t(`mood_${one.preset}`), " ", h("small", { text: one.aspect }));
  }

  const showCredit = () => credits.replaceChildren(creditLine(credit) ?? "");

  function translate() {
    showCredit();
    title.textContent = t("examples");
    for (const item of shown.values()) translateItem(item);
  }

  // For another server.
  function clear() {
    shown.clear();
    list.replaceChildren();
    root.hidden = true;
  }

  // The clips go on after they were taken out of the page and put back.
  function resume() {
    for (const { clip } of shown.values()) if (clip) playAgain(clip);
  }

  translate();
  return { root, load, clear, translate, resume, any: () => shown.size > 0, credit: () => credit };
}
