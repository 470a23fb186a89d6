// The settings of a comparison: which ready comparison, and how often each picture is made.
import { h } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { number } from "../shared/format.js";
import { session } from "../shared/session.js";
import { REPEATS, chosenComparison } from "./draft.js";
import { choiceField } from "./fields.js";

// One clip, or a comparison? Not shown if the server has nothing to compare.
export function taskField(onChoose) {
  if (!session.presets.length) return "";
  const options = ["clip", "compare"].map((value) => ({ value, word: t(`aim_${value}`) }));
  return choiceField("aim", { legend: t("aim"), value: chosenComparison() ? "compare" : "clip", options, onChoose });
}

export function comparisonFields({ onPreset, onRepeats, shapes }) {
  const { preset, repeats } = chosenComparison();
  const presets = session.presets.map((one) => presetChoice(one, one.id === preset.id, onPreset));
  const times = REPEATS.map((value) => ({ value, word: number(Number(value)) }));
  return [
    h("p", { class: "small quiet", text: t("compare_hint") }),
    h("fieldset", {}, h("legend", { text: t("compare_what") }), h("div", { class: "engines" }, presets)),
    h(
      "div",
      { class: "field" },
      choiceField("repeats", { legend: t("compare_repeats"), value: repeats, options: times, onChoose: onRepeats }),
      h("p", { class: "hint", text: t("compare_repeats_hint") }),
    ),
    shapes,
  ];
}

function presetChoice(one, checked, onChoose) {
  const variants = one.variants.map(({ title }) => title[language()]).join(" ↔ ");
  const shape = t("compare_shape", { frames: number(one.num_frames), size: one.size.replace("x", "×") });
  return h(
    "label",
    {},
    h("input", { type: "radio", name: "preset", value: one.id, checked, onchange: () => onChoose(one.id) }),
    h("strong", { text: one.title[language()] }),
    h(
      "span",
      { class: "hint" },
      h("bdi", { text: variants }),
      h("br"),
      shape,
      one.note ? [h("br"), one.note[language()]] : null,
    ),
  );
}
