// The fields of the form: a text, a choice, the length, the seed, the engine.
import { h, svg } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { number } from "../shared/format.js";
import { translatedNote } from "../shared/server_notes.js";
import { isSeed, randomSeed } from "./seed.js";

export function textField(id, { label, value, standard, rows, most, onInput }) {
  const area = h("textarea", {
    id,
    rows,
    maxlength: most,
    value,
    spellcheck: "false",
  });
  const back = h("button", {
    type: "button",
    class: "link small",
    text: t("restore"),
    hidden: value === standard || !standard,
  });
  const changed = () => {
    back.hidden = area.value === standard || !standard;
    onInput(area.value);
  };
  area.addEventListener("input", changed);
  back.addEventListener("click", () => {
    area.value = standard;
    changed();
    area.focus();
  });
  return h(
    "div",
    { class: "field" },
    h("div", { class: "head" }, h("label", { for: id, text: label }), back),
    area,
  );
}

// options: [{ value, word, before }]
export function choiceField(name, { legend, value, options, onChoose }) {
  const choice = (one) =>
    h(
      "label",
      {},
      h("input", {
        type: "radio",
        name,
        value: one.value,
        checked: one.value === value,
        onchange: () => onChoose(one.value),
      }),
      one.before,
      one.word,
    );
  return h("fieldset", {}, h("legend", { text: legend }), h("div", { class: "choices" }, options.map(choice)));
}

export function lengthField({ value, most, onInput }) {
  const words = (seconds) => t("seconds", { n: number(seconds, seconds % 1 ? 1 : 0) });
  const readout = h("output", { for: "seconds", text: words(value) });
  const range = h("input", {
    type: "range",
    id: "seconds",
    min: 1,
    max: most,
    step: 0.5,
    "aria-valuetext": words(value),
    oninput: () => {
      readout.textContent = words(Number(range.value));
      range.setAttribute("aria-valuetext", words(Number(range.value)));
      onInput(Number(range.value));
    },
  });
  range.value = String(value); // after min, max and step, because they limit it
  return h(
    "div",
    { class: "field" },
    h("label", { for: "seconds", text: t("length") }),
    h("div", { class: "length" }, range, readout),
  );
}

export function seedField({ value, onInput }) {
  const error = h("p", { class: "error", id: "seed-error", hidden: true });
  const input = h("input", {
    type: "text",
    inputmode: "numeric",
    id: "seed",
    autocomplete: "off",
    value: String(value),
    "aria-describedby": "seed-hint seed-error",
    oninput: () => {
      const good = isSeed(input.value.trim());
      error.textContent = good ? "" : t("seed_bad");
      error.hidden = good;
      if (good) {
        input.removeAttribute("aria-invalid");
        onInput(Number(input.value.trim()));
      } else input.setAttribute("aria-invalid", "true");
    },
  });
  const roll = () => {
    input.value = String(randomSeed());
    input.dispatchEvent(new Event("input"));
  };
  return h(
    "div",
    { class: "field" },
    h("label", { for: "seed", text: t("seed") }),
    h(
      "div",
      { class: "seed" },
      input,
      h(
        "button",
        { type: "button", class: "dice", id: "dice", "aria-label": t("dice"), title: t("dice"), onclick: roll },
        diceDrawing(),
      ),
    ),
    error,
    h("p", { class: "unseen", id: "seed-hint", text: t("seed_hint") }),
  );
}

function diceDrawing() {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", "aria-hidden": "true" },
    svg("rect", { x: 3, y: 3, width: 18, height: 18, rx: 3 }),
    [
      [8, 8],
      [16, 8],
      [12, 12],
      [8, 16],
      [16, 16],
    ].map(([cx, cy]) => svg("circle", { cx, cy, r: 1.5 })),
  );
}

const engineKind = (model) => {
  if (["fake", "living"].includes(model.id)) return `engine_${model.id}`;
  return model.moves === "camera" ? "engine_camera" : "engine_person";
};

// Engines that this server cannot run are left out, unless the server can run none.
export function engineField({ models, value, onChoose }) {
  const available = models.filter((model) => model.available || model.id === value);
  const offered = available.length ? available : models;
  if (!offered.length) return null;
  const engine = (model) =>
    h(
      "label",
      {},
      h("input", {
        type: "radio",
        name: "model",
        value: model.id,
        checked: model.id === value,
        disabled: !model.available,
        onchange: () => onChoose(model.id),
      }),
      h("strong", { text: t(engineKind(model), { id: model.id }) }),
      model.available
        ? h("span", { class: "hint", text: t(`${engineKind(model)}_hint`) })
        : h("span", { class: "hint why-not" }, h("span", translatedNote(model.reason))),
    );
  return h("fieldset", {}, h("legend", { text: t("engine") }), h("div", { class: "engines" }, offered.map(engine)));
}

export function recipeField({ recipes, value, onChoose }) {
  if (!recipes?.length) return null;
  const select = h("select", { id: "recipe", onchange: () => onChoose(select.value) });
  for (const one of ["", ...recipes]) select.append(h("option", { value: one, text: one || t("recipe_own") }));
  select.value = value;
  return h("div", { class: "field" }, h("label", { for: "recipe", text: t("recipe") }), select);
}
