// Fields about publishing: the label in the clip, and sound.
import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { number } from "../shared/format.js";
import { LABELS, SOUNDS, soundSeconds } from "./draft.js";
import { choiceField } from "./fields.js";

// Engines without a generative model move the pixels of the picture, and the label says so.
const kindOf = (model) => (model?.generative ? "generated" : "altered");

// As the clip says it, whatever the page's language is.
const LABEL_WORDS = {
  ko: { generated: "AI로 만든 영상", altered: "사진을 움직인 영상" },
  en: { generated: "Made with AI", altered: "Animated from a photo" },
};

// standard: the server's own label, which clips have if no other is chosen; "" for none.
export function labelField({ label, model, standard, onChoose }) {
  const words = { off: t(standard ? "label_standard" : "label_off"), ko: "한국어", en: "English" };
  const options = LABELS.map((value) => ({ value, word: words[value] }));
  const text = label === "off" ? "" : t("label_text", { text: LABEL_WORDS[label][kindOf(model)] });
  return h(
    "div",
    { class: "field" },
    choiceField("label", { legend: t("label"), value: label, options, onChoose }),
    h("p", { class: "hint" }, text, " ", t("label_rules")),
  );
}

// Empty for an engine without sound; in words up to which length there is one, if the clip is longer.
export function soundField({ sound, model, seconds, onChoose }) {
  const most = soundSeconds(model);
  if (!most) return "";
  const tooLong = () => t("sound_limit", { n: number(most, 1) });
  if (seconds > most) return h("p", { class: "hint", id: "sound-limit", text: tooLong() });
  const options = SOUNDS.map((value) => ({ value, word: t(`sound_${value}`) }));
  return choiceField("sound", { legend: t("sound"), value: sound, options, onChoose });
}
