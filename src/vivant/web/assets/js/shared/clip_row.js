// One row in a list of clips: its title, its state, and a link to it.
import { h, sign } from "./dom.js";
import { t } from "./i18n.js";

// verdict: of a finished clip, else null. failed: why there is no clip. state: words for any other state.
export function clipRow({ title, id, verdict, failed, state }) {
  const shown = verdict ?? (failed ? "fail" : null);
  const name = h("bdi", { text: title });
  return h(
    "li",
    { "data-is": shown ?? "later" },
    shown ? sign(shown) : h("span", { class: "dot", "aria-hidden": "true" }),
    h(
      "div",
      {},
      id ? h("a", { href: `#${id}` }, name) : name,
      h("p", { class: "small quiet", text: verdict ? t(`verdict_${verdict}`) : failed || state }),
    ),
  );
}
