// The settings card for "which is better?": a ready comparison, and how often each picture is made.
import { h } from "./dom.js";
import { language, t } from "./i18n.js";
import { REPEATS, compared } from "./draft.js";
import { choiceField } from "./fields.js";
import { number } from "./format.js";
import { session } from "./session.js";

// A clip, or a comparison? Nothing where the server has nothing to compare.
export function aimField(onChoose) {
  if (!session.presets.length) return "";
  const options = ["clip", "compare"].map((value) => ({ value, word: t(`aim_${value}`) }));
  return choiceField("aim", { legend: t("aim"), value: compared() ? "compare" : "clip", options, onChoose });
}

export function versusFields({ onPreset, onRepeats, shapes }) {
  const { preset, repeats } = compared();
  return [
    h("p", { class: "small quiet", text: t("compare_hint") }),
    h("fieldset", {}, h("legend", { text: t("compare_what") }), h("div", { class: "engines" }, session.presets.map((one) => ready(one, one.id === preset.id, onPreset)))),
    h(
      "div",
      { class: "field" },
      choiceField("repeats", { legend: t("compare_repeats"), value: repeats, options: REPEATS.map((value) => ({ value, word: number(Number(value)) })), onChoose: onRepeats }),
      h("p", { class: "hint", text: t("compare_repeats_hint") }),
    ),
    shapes,
  ];
}

function ready(one, checked, onChoose) {
  const words = one.variants.map(({ title }) => title[language()]).join(" ↔ ");
  const shape = t("compare_shape", { frames: number(one.num_frames), size: one.size.replace("x", "×") });
  return h(
    "label",
    {},
    h("input", { type: "radio", name: "preset", value: one.id, checked, onchange: () => onChoose(one.id) }),
    h("strong", { text: one.title[language()] }),
    h("span", { class: "hint" }, h("bdi", { text: words }), h("br"), shape, one.note ? [h("br"), one.note[language()]] : null),
  );
}
