// One clip in a list of clips: what it is, how far, and the way to it.
import { h, sign } from "./dom.js";
import { t } from "./i18n.js";

// verdict: of a finished clip, else null; failed: why there is none; word: what else there is to say.
export function row({ title, id, verdict, failed, word }) {
  const shown = verdict ?? (failed ? "fail" : null);
  return h(
    "li",
    { "data-is": shown ?? "later" },
    shown ? sign(shown) : h("span", { class: "dot", "aria-hidden": "true" }),
    h(
      "div",
      {},
      id ? h("a", { href: `#${id}` }, h("bdi", { text: title })) : h("bdi", { text: title }),
      h("p", { class: "small quiet", text: verdict ? t(`verdict_${verdict}`) : failed || word }),
    ),
  );
}
