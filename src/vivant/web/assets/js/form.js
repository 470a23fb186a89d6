// The settings card: which fields are shown, in which order. Knows nothing of sending.
import { h, style } from "./dom.js";
import { t } from "./i18n.js";
import { MOVES, RETRIES, TAKES, budgetSeconds, choose, chosen, compared, comparisonFields, ratio, requestFields, seeds, shape } from "./draft.js";
import { showEstimate } from "./estimate.js";
import { duration, money, number } from "./format.js";
import { choiceField, engineField, lengthField, recipeField, seedField, wordsField } from "./fields.js";
import { isSeed } from "./seed.js";
import { session } from "./session.js";
import { aimField, versusFields } from "./versus.js";

const LONGEST_SECONDS = 20;
const SHAPES = { "16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1 };

export function createForm(form, { onChange, onSubmit }) {
  const estimateBox = h("div", { class: "estimate", id: "estimate" });
  const retryHint = h("p", { class: "hint", id: "again-if-hint" });
  let estimate = null;

  function set(name, value) {
    choose(name, value);
    if (name === "again_if") showRetry();
    onChange(name);
  }

  function words(name, value, rows, camera) {
    const { defaults, limits } = session.config;
    const standard = name === "prompt" ? defaults.prompt : defaults.negative_prompt;
    return wordsField(name, {
      label: t(name), value, standard, rows, most: limits.max_prompt_characters,
      hint: camera ? t("prompt_camera") : "",
      onInput: (text) => set(name, text),
    });
  }

  function engines(now) {
    return engineField({
      models: session.models,
      value: now.model?.id,
      onChoose: (id) => {
        set("model", id);
        render(); // other engines read other fields
      },
    });
  }

  function choices(name, now, values, dressed) {
    return choiceField(name, {
      legend: t(name), value: now[name],
      options: values.map((value) => ({ value, ...dressed(value) })),
      onChoose: (value) => set(name, value),
    });
  }

  // Another question has other fields, and another estimate.
  function turn(name, value) {
    estimate = null;
    set(name, value);
    render();
  }

  function end(word) {
    return [estimateBox, h("p", { class: "error", id: "form-error", role: "alert", hidden: true }), h("button", { type: "submit", class: "loud go", id: "go", text: t(word) })];
  }

  // The engines may become known while somebody is at it: the focus stays where it is.
  function render() {
    const { id, name, value, type } = form.contains(document.activeElement) ? document.activeElement : {};
    build();
    const same = id ? `#${CSS.escape(id)}` : name && type === "radio" && `input[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`;
    if (same) form.querySelector(same)?.focus({ preventScroll: true });
  }

  function build() {
    const { config } = session;
    const outline = (value) => style(h("span", { class: "shape", "aria-hidden": "true" }), { "--shape": SHAPES[value] ?? 1 });
    const shapes = choices("aspect", chosen(), Object.keys(config.aspects), (value) => ({ word: t(`aspect_${value.replace(":", "_")}`), before: outline(value) }));
    const aim = aimField((value) => turn("aim", value));
    if (compared()) {
      const fields = versusFields({ onPreset: (id) => set("preset", id), onRepeats: (value) => set("repeats", value), shapes });
      form.replaceChildren(aim, ...fields, ...end("compare_do"));
      showEstimate(estimateBox, estimate);
      return;
    }
    const open = form.querySelector("details.more")?.open ?? false;
    const now = chosen();
    const camera = now.model?.moves === "camera";
    const prompt = words("prompt", now.prompt, 2, camera);
    const most = Math.min(LONGEST_SECONDS, Math.floor(config.limits.max_frames / config.defaults.fps));
    // What an engine does not read is not put in front of the user, but stays within reach.
    const first = !camera ? prompt : now.model.id === "camera" ? choices("move", now, MOVES, (value) => ({ word: t(`move_${value}`) })) : "";
    form.replaceChildren(
      aim,
      engines(now) ?? "",
      first,
      h(
        "div",
        { class: "two" },
        lengthField({ value: Math.min(most, now.seconds), most, onInput: (value) => set("seconds", value) }),
        seedField({ value: now.seed, onInput: (value) => set("seed", value) }),
      ),
      shapes,
      h("div", { class: "field" }, choices("again_if", now, RETRIES, (value) => ({ word: value === "off" ? t("again_if_off") : t("again_if_within", { n: number(Number(value) / 60) }) })), retryHint),
      h(
        "details",
        { class: "more", open },
        h("summary", { text: t("more_settings") }),
        h(
          "div",
          { class: "more-inside" },
          camera && prompt,
          words("negative", now.negative, 5, camera),
          recipeField({ recipes: now.model?.recipes, value: now.recipe, onChoose: (value) => set("recipe", value) }),
          choices("takes", now, TAKES, (value) => ({ word: number(Number(value)) })),
          choices("quality", now, config.qualities, (value) => ({ word: t(`quality_${value}`) })),
        ),
      ),
      ...end("make"),
    );
    showEstimate(estimateBox, estimate);
    showRetry();
  }

  // What trying again may take at most, in time and, where the device has a rate, in money.
  function showRetry() {
    const off = chosen().again_if === "off";
    const seconds = budgetSeconds(expected());
    const [cost] = estimate?.costs ?? [];
    const most = estimate?.seconds && cost ? t("again_if_cost", { cost: money((cost.amount * seconds) / estimate.seconds, cost.currency) }) : "";
    retryHint.textContent = off ? t("again_if_hint_off") : t("again_if_hint", { n: seconds % 60 ? duration(seconds) : t("whole_minutes", { n: number(seconds / 60) }), cost: most });
  }

  const expected = () => estimate?.seconds_high ?? estimate?.seconds ?? null;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const seed = form.querySelector("#seed");
    if (!seed || isSeed(seed.value.trim())) onSubmit();
    else seed.focus();
  });

  return {
    render, chosen, seeds, shape,
    aspect: ratio,
    fields: () => requestFields(expected()),
    compares: () => compared() !== null,
    comparison: comparisonFields,
    showEstimate(found) {
      estimate = found;
      showEstimate(estimateBox, found);
      showRetry();
    },
    fail(message) {
      const line = form.querySelector("#form-error");
      line.textContent = message;
      line.hidden = !message;
    },
  };
}
