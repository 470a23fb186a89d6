// The settings of a comparison: which ready comparison, and how often each picture is made.
import { h } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { number } from "../shared/format.js";
import { REPEATS, chosenComparison, comparisons } from "./draft.js";
import { choiceField } from "./fields.js";

// One clip, or a comparison? Not shown if the server has nothing to compare.
export function taskField(onChoose) {
  if (!comparisons().length) return "";
  const options = ["clip", "compare"].map((value) => ({ value, word: t(`aim_${value}`) }));
  return choiceField("aim", { legend: t("aim"), value: chosenComparison() ? "compare" : "clip", options, onChoose });
}

export function comparisonFields({ onPreset, onRepeats, shapes }) {
  const { preset, repeats } = chosenComparison();
  const presets = comparisons().map((one) => presetChoice(one, one.id === preset.id, onPreset));
  return [
    h("p", { class: "small quiet", text: t(preset.takes ? "compare_moods_hint" : "compare_hint") }),
    h("fieldset", {}, h("legend", { text: t("compare_what") }), h("div", { class: "engines" }, presets)),
    preset.takes ? "" : repeatsField(repeats, onRepeats),
    shapes,
  ];
}

function repeatsField(value, onChoose) {
  const options = REPEATS.map((times) => ({ value: times, word: number(Number(times)) }));
  return h(
    "div",
    { class: "field" },
    choiceField("repeats", { legend: t("compare_repeats"), value, options, onChoose }),
    h("p", { class: "hint", text: t("compare_repeats_hint") }),
  );
}

function presetChoice(one, checked, onChoose) {
  const about = one.takes ? [t("compare_moods_what")] : aboutPreset(one);
  return h(
    "label",
    {},
    h("input", { type: "radio", name: "preset", value: one.id, checked, onchange: () => onChoose(one.id) }),
    h("strong", { text: one.takes ? t("compare_moods") : one.title[language()] }),
    h("span", { class: "hint" }, about),
  );
}

function aboutPreset(one) {
  const variants = one.variants.map(({ title }) => title[language()]).join(" ↔ ");
  const shape = t("compare_shape", { frames: number(one.num_frames), size: one.size.replace("x", "×") });
  const note = one.note ? [h("br"), one.note[language()]] : [];
  return [h("bdi", { text: variants }), h("br"), shape, ...note];
}
