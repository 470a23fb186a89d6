// The settings card: which fields are shown, and in which order.
import { byId, h, style } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { duration, money, number } from "../shared/format.js";
import { session } from "../shared/session.js";
import { comparisonFields, taskField } from "./comparison_fields.js";
import {
  MOVES,
  RETRIES,
  TAKES,
  budgetSeconds,
  choose,
  chosen,
  chosenComparison,
  clipRequest,
  comparisonRequest,
  moodTakes,
  ratio,
  seeds,
  shape,
} from "./draft.js";
import { labelField, soundField } from "./publishing_fields.js";
import { estimateBasis, showEstimate } from "./estimate_view.js";
import { choiceField, engineField, lengthField, recipeField, seedField, textField } from "./fields.js";
import { showFormError, translateFormError } from "./form_error.js";
import { moodField } from "./mood_field.js";
import { createPreviews } from "./previews.js";
import { isSeed } from "./seed.js";

const LONGEST_SECONDS = 20;
const SHAPES = { "16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1 };

export function createForm(form, { onChange, onSubmit }) {
  const retryHint = h("p", { class: "hint", id: "again-if-hint" });
  const basis = h("p", { class: "hint", id: "estimate-basis" });
  const previews = createPreviews({ onReady: () => !form.hidden && render() });
  let estimate = null;
  let pictureNote = "";

  function set(name, value) {
    choose(name, value);
    if (name === "again_if") showFigures();
    if (name === "seconds") form.querySelector("#sound-field")?.replaceWith(soundBox()); // a long clip may have none
    onChange(name);
  }

  // Another engine or task has other fields.
  function setAndRender(name, value) {
    if (name === "aim" || name === "preset") estimate = null;
    set(name, value);
    render();
  }

  function prompt(name, value, rows) {
    const { defaults, limits } = session.config;
    return textField(name, {
      label: t(name),
      value,
      standard: name === "prompt" ? defaults.prompt : defaults.negative_prompt,
      rows,
      most: limits.max_prompt_characters,
      onInput: (text) => set(name, text),
    });
  }

  function choices(name, now, values, option) {
    return choiceField(name, {
      legend: t(name),
      value: now[name],
      options: values.map((value) => ({ value, ...option(value) })),
      onChoose: (value) => set(name, value),
    });
  }

  // The engines may become known while the user fills in the form: the focus stays where it is.
  function render() {
    const { id, name, value, type } = form.contains(document.activeElement) ? document.activeElement : {};
    build();
    const radio = name && type === "radio" && `input[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`;
    const same = id ? `#${CSS.escape(id)}` : radio;
    if (same) form.querySelector(same)?.focus({ preventScroll: true });
  }

  function build() {
    const comparing = chosenComparison() !== null;
    const task = taskField((value) => setAndRender("aim", value));
    form.replaceChildren(task, ...(comparing ? comparisonSettings() : clipSettings()), basis);
    byId("go").textContent = t(takesMoods() ? "compare_moods_do" : comparing ? "compare_do" : "make");
    showFigures();
  }

  function comparisonSettings() {
    return comparisonFields({
      onPreset: (id) => setAndRender("preset", id),
      onRepeats: (value) => set("repeats", value),
      shapes: shapes(chosen()),
    });
  }

  function shapes(now) {
    const outline = (value) =>
      style(h("span", { class: "shape", "aria-hidden": "true" }), { "--shape": SHAPES[value] ?? 1 });
    return choices("aspect", now, Object.keys(session.config.aspects), (value) => ({
      word: t(`aspect_${value.replace(":", "_")}`),
      before: outline(value),
    }));
  }

  function clipSettings() {
    const { config } = session;
    const now = chosen();
    const camera = now.model?.moves === "camera";
    const living = now.model?.id === "living";
    const most = Math.min(LONGEST_SECONDS, Math.floor(config.limits.max_frames / config.defaults.fps));
    const promptField = prompt("prompt", now.prompt, 2);
    const moves = () => choices("move", now, MOVES, (value) => ({ word: t(`move_${value}`) }));
    const moods = () =>
      moodField({ value: now.mood, previews, aspect: ratio(), onChoose: (value) => set("mood", value) });
    // The living engine only reads a mood from the prompt, so that it is not put first.
    const prompted = now.model && !camera; // before the server has answered, nobody knows whether there is a prompt
    const first = living ? moods() : prompted ? promptField : now.model?.id === "camera" ? moves() : "";
    return [
      first,
      lengthField({ value: Math.min(most, now.seconds), most, onInput: (value) => set("seconds", value) }),
      shapes(now),
      soundBox(),
      moreSettings(now, living && promptField),
    ];
  }

  function soundBox() {
    return h("div", { id: "sound-field" }, soundField({ ...chosen(), onChoose: (value) => set("sound", value) }));
  }

  function moreSettings(now, promptField) {
    const { config, models } = session;
    const retries = choices("again_if", now, RETRIES, (value) => ({
      word: value === "off" ? t("again_if_off") : t("again_if_within", { n: number(Number(value) / 60) }),
    }));
    return h(
      "details",
      { class: "more", open: form.querySelector("details.more")?.open ?? false },
      h("summary", { text: t("more_settings") }),
      h(
        "div",
        { class: "more-inside" },
        engineField({ models, value: now.model?.id, onChoose: (id) => setAndRender("model", id) }),
        h("div", { class: "field" }, retries, retryHint),
        seedField({ value: now.seed, onInput: (value) => set("seed", value) }),
        choices("takes", now, TAKES, (value) => ({ word: number(Number(value)) })),
        promptField,
        now.model?.generative && prompt("negative", now.negative, 5),
        recipeField({ recipes: now.model?.recipes, value: now.recipe, onChoose: (value) => set("recipe", value) }),
        choices("quality", now, config.qualities, (value) => ({ word: t(`quality_${value}`) })),
        labelField({ ...now, standard: config.defaults.label, onChoose: (value) => setAndRender("label", value) }),
      ),
    );
  }

  const takesMoods = () => chosenComparison()?.preset.takes === true;
  const secondsOfOne = () => estimate?.seconds_high ?? estimate?.seconds ?? null;

  // What to know before pressing the button.
  function actionNote() {
    if (chosenComparison()) return "";
    const words = [pictureNote, chosen().model?.moves === "camera" ? t("camera_moves") : ""].filter(Boolean);
    if (clipRequest().until_pass === "true") words.push(t("estimate_most", { n: retryLimit() }));
    return words.join(" ");
  }

  function retryLimit() {
    const seconds = budgetSeconds(secondsOfOne());
    return seconds % 60 ? duration(seconds) : t("whole_minutes", { n: number(seconds / 60) });
  }

  function showFigures() {
    showEstimate(byId("estimate"), estimate);
    byId("action-note").textContent = actionNote();
    basis.textContent = estimateBasis(estimate);
    retryHint.textContent = chosen().again_if === "off" ? t("again_if_hint_off") : retryText();
  }

  // What all attempts together may take in time and, if the server knows a rate, in money.
  function retryText() {
    const seconds = budgetSeconds(secondsOfOne());
    const [cost] = estimate?.costs ?? [];
    const most =
      estimate?.seconds && cost
        ? t("again_if_cost", { cost: money((cost.amount * seconds) / estimate.seconds, cost.currency) })
        : "";
    return t("again_if_hint", { n: retryLimit(), cost: most });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const seed = form.querySelector("#seed");
    if (!seed || isSeed(seed.value.trim())) return onSubmit();
    form.querySelector("details.more").open = true;
    seed.focus({ preventScroll: true });
    form.querySelector("#seed-error").scrollIntoView({ block: "center" }); // not under the bar at the bottom
  });

  return {
    render,
    chosen,
    seeds,
    shape,
    aspect: ratio,
    fields: () => clipRequest(secondsOfOne()),
    compares: () => chosenComparison() !== null,
    // Whether a comparison of the server is chosen, with findings.
    judges: () => chosenComparison() !== null && !takesMoods(),
    takesMoods,
    moodTakes,
    comparison: comparisonRequest,
    // Takes several choices over, from an example or a comparison.
    use(choices) {
      for (const [name, value] of Object.entries(choices)) choose(name, value);
      render();
      for (const name of Object.keys(choices)) onChange(name);
    },
    // Shows how each mood would move this picture; null: none.
    preview(picture, crop) {
      previews.request(chosen().model?.id === "living" ? picture : null, { ...shape(), ...crop });
    },
    // What to know of the picture before pressing the button; "": nothing.
    note(words) {
      pictureNote = words;
      showFigures();
    },
    showEstimate(found) {
      estimate = found;
      showFigures();
    },
    fail: showFormError,
    translateError: translateFormError,
  };
}
