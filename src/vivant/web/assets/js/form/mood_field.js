// The moods of the living engine. Each shows, small, how it would move the chosen picture.
import { h, style } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { MOODS } from "./draft.js";
import { choiceField } from "./fields.js";

// previews: of createPreviews; aspect: width / height of the clip.
export function moodField({ value, previews, aspect, onChoose }) {
  const moving = previews.any();
  const before = (mood) => {
    if (!moving) return null;
    const clip = previews.of(mood);
    return style(h("span", { class: "mood-clip", "aria-hidden": "true" }, clip), { "--aspect": aspect });
  };
  const options = MOODS.map((mood) => ({
    value: mood,
    word: h("span", { text: t(`mood_${mood}`) }),
    before: mood === "auto" ? null : before(mood),
  }));
  const field = choiceField("mood", { legend: t("mood"), value, options, onChoose });
  field.classList.toggle("moods", moving);
  field.toggleAttribute("data-tall", aspect < 0.9);
  return field;
}
