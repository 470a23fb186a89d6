// What can be chosen before a clip is made. Holds the draft; knows nothing of sending it.
import { h, style, svg } from "./dom.js";
import { t } from "./i18n.js";
import { duration, money, number } from "./format.js";
import { recallJson, remember } from "./memory.js";
import { note } from "./notes.js";
import { presetRatio, presets } from "./preset.js";

const MOVES = ["auto", "push_in", "drift", "orbit"];
const SHAPES = { "16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1 };
const KEPT = ["prompt", "negative", "model", "recipe", "seconds", "aspect", "seed", "quality", "move"];

export const OFFLINE_CONFIG = {
  default_model: "",
  defaults: { prompt: "", negative_prompt: "", seconds: 4, fps: 24, aspect: "16:9", seed: 0, quality: "standard", currency: "KRW" },
  aspects: { "16:9": [1920, 1080], "9:16": [1080, 1920], "1:1": [1080, 1080] },
  qualities: ["draft", "standard", "high"],
  limits: { max_image_bytes: 50_000_000, max_frames: 1441, max_prompt_characters: 2000 },
};

const kind = (model) => (model.id === "fake" ? "engine_fake" : model.moves === "camera" ? "engine_camera" : "engine_person");

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
}

export function createForm(form, { onChange, onSubmit }) {
  let config = OFFLINE_CONFIG;
  let models = [];
  const draft = { prompt: null, negative: null, model: null, recipe: "", seconds: null, aspect: null, seed: null, quality: null, move: "auto" };
  const saved = recallJson("draft") ?? {};
  for (const name of KEPT) if (saved[name] !== undefined) draft[name] = saved[name];

  const chosen = () => {
    const { defaults } = config;
    const model = models.find((one) => one.id === draft.model && one.available) ?? models.find((one) => one.id === config.default_model) ?? models.find((one) => one.available) ?? models[0];
    return {
      prompt: draft.prompt ?? defaults.prompt,
      negative: draft.negative ?? defaults.negative_prompt,
      model: model ?? null,
      recipe: model?.recipes?.includes(draft.recipe) ? draft.recipe : "",
      seconds: Number(draft.seconds ?? defaults.seconds),
      aspect: config.aspects[draft.aspect] ? draft.aspect : defaults.aspect,
      seed: draft.seed ?? defaults.seed,
      quality: config.qualities.includes(draft.quality) ? draft.quality : defaults.quality,
      move: MOVES.includes(draft.move) ? draft.move : "auto",
    };
  };

  function set(name, value) {
    draft[name] = value;
    const { defaults } = config;
    // A default is not remembered as a choice: the server may change it.
    const plain = { prompt: defaults.prompt, negative: defaults.negative_prompt };
    if (name in plain && value === plain[name]) draft[name] = null;
    remember("draft", JSON.stringify(draft));
    onChange(name);
  }

  function seedError(text) {
    return /^\d{1,16}$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER ? "" : t("seed_bad");
  }

  function text(id, name, value, standard, rows) {
    const area = h("textarea", { id, rows, maxlength: config.limits.max_prompt_characters, value, spellcheck: "false", "aria-describedby": `${id}-hint` });
    const back = h("button", { type: "button", class: "link small", text: t("restore"), hidden: value === standard || !standard });
    area.addEventListener("input", () => {
      back.hidden = area.value === standard || !standard;
      set(name, area.value);
    });
    back.addEventListener("click", () => {
      area.value = standard;
      back.hidden = true;
      set(name, standard);
      area.focus();
    });
    return h(
      "div",
      { class: "field" },
      h("div", { class: "head" }, h("label", { for: id, text: t(name) }), back),
      area,
      h("p", { class: "hint", id: `${id}-hint` }),
    );
  }

  function choices(name, legend, options) {
    return h(
      "fieldset",
      {},
      h("legend", { text: legend }),
      h(
        "div",
        { class: "choices" },
        options.map(({ value, word, before }) =>
          h("label", {}, h("input", { type: "radio", name, value, checked: chosen()[name] === value, onchange: () => set(name, value) }), before, word),
        ),
      ),
    );
  }

  function engines() {
    if (!models.length) return null;
    const now = chosen().model;
    return h(
      "fieldset",
      {},
      h("legend", { text: t("engine") }),
      h(
        "div",
        { class: "engines" },
        models.map((model) =>
          h(
            "label",
            {},
            h("input", {
              type: "radio", name: "model", value: model.id, checked: now?.id === model.id, disabled: !model.available,
              onchange: () => {
                set("model", model.id);
                render();
                form.querySelector(`input[name="model"][value="${CSS.escape(model.id)}"]`)?.focus();
              },
            }),
            h("strong", { text: t(kind(model), { id: model.id }) }),
            model.available
              ? h("span", { class: "hint", text: t(`${kind(model)}_hint`) })
              : h("span", { class: "hint why-not" }, h("span", note(model.reason))),
          ),
        ),
      ),
    );
  }

  function length() {
    const { fps } = config.defaults;
    const most = Math.min(20, Math.floor(config.limits.max_frames / fps));
    const words = (value) => t("seconds", { n: number(value, value % 1 ? 1 : 0) });
    const now = Math.min(most, chosen().seconds);
    const readout = h("output", { for: "seconds", text: words(now) });
    const range = h("input", {
      type: "range", id: "seconds", min: 1, max: most, step: 0.5, "aria-valuetext": words(now),
      oninput: () => {
        readout.textContent = words(Number(range.value));
        range.setAttribute("aria-valuetext", words(Number(range.value)));
        set("seconds", Number(range.value));
      },
    });
    range.value = String(now); // after min, max and step, or they would bend it
    return h("div", { class: "field" }, h("label", { for: "seconds", text: t("length") }), h("div", { class: "length" }, range, readout));
  }

  function seed() {
    const error = h("p", { class: "error", id: "seed-error", hidden: true });
    const input = h("input", {
      type: "text", inputmode: "numeric", id: "seed", autocomplete: "off", value: String(chosen().seed), "aria-describedby": "seed-hint seed-error",
      oninput: () => {
        const wrong = seedError(input.value.trim());
        error.textContent = wrong;
        error.hidden = !wrong;
        input.toggleAttribute("aria-invalid", false);
        if (wrong) input.setAttribute("aria-invalid", "true");
        else set("seed", Number(input.value.trim()));
      },
    });
    const dice = h(
      "button",
      {
        type: "button", class: "dice", id: "dice", "aria-label": t("dice"), title: t("dice"),
        onclick: () => {
          input.value = String(randomSeed());
          input.dispatchEvent(new Event("input"));
        },
      },
      svg(
        "svg",
        { viewBox: "0 0 24 24", "aria-hidden": "true" },
        svg("rect", { x: 3, y: 3, width: 18, height: 18, rx: 3 }),
        [[8, 8], [16, 8], [12, 12], [8, 16], [16, 16]].map(([cx, cy]) => svg("circle", { cx, cy, r: 1.5 })),
      ),
    );
    return h(
      "div",
      { class: "field" },
      h("label", { for: "seed", text: t("seed") }),
      h("div", { class: "seed" }, input, dice),
      error,
      h("p", { class: "unseen", id: "seed-hint", text: t("seed_hint") }),
    );
  }

  function recipes() {
    const { model, recipe } = chosen();
    if (!model?.recipes?.length) return null;
    const select = h("select", { id: "recipe", onchange: () => set("recipe", select.value) });
    for (const value of ["", ...model.recipes]) {
      select.append(h("option", { value, text: value || t("recipe_own") }));
    }
    select.value = recipe;
    return h("div", { class: "field" }, h("label", { for: "recipe", text: t("recipe") }), select);
  }

  let estimateBox = null;

  function render() {
    const open = form.querySelector("details.more")?.open ?? false;
    const now = chosen();
    const { defaults } = config;
    estimateBox = h("div", { class: "estimate", id: "estimate" });
    const goButton = h("button", { type: "submit", class: "loud go", id: "go", text: t("make") });
    const camera = now.model?.moves === "camera";
    const prompt = text("prompt", "prompt", now.prompt, defaults.prompt, 2);
    const moves = choices("move", t("move"), MOVES.map((value) => ({ value, word: t(`move_${value}`) })));
    // What an engine does not read is not put in front of the user, but stays within reach.
    form.replaceChildren(
      engines() ?? "",
      camera ? (now.model.id === "camera" ? moves : "") : prompt,
      h("div", { class: "two" }, length(), seed()),
      choices("aspect", t("aspect"), Object.keys(config.aspects).map((value) => ({
        value, word: t(`aspect_${value.replace(":", "_")}`), before: style(h("span", { class: "shape", "aria-hidden": "true" }), { "--shape": SHAPES[value] ?? 1 }),
      }))),
      h(
        "details",
        { class: "more", open },
        h("summary", { text: t("more_settings") }),
        h(
          "div",
          { class: "more-inside" },
          camera && prompt,
          text("negative", "negative", now.negative, defaults.negative_prompt, 5),
          recipes(),
          choices("quality", t("quality"), config.qualities.map((value) => ({ value, word: t(`quality_${value}`) }))),
        ),
      ),
      estimateBox,
      h("p", { class: "error", id: "form-error", role: "alert", hidden: true }),
      goButton,
    );
    for (const hint of form.querySelectorAll("#prompt-hint, #negative-hint")) {
      hint.textContent = camera ? t("prompt_camera") : "";
      hint.hidden = !camera;
    }
    showEstimate(lastEstimate);
  }

  let lastEstimate = null;
  function showEstimate(found) {
    lastEstimate = found;
    if (!estimateBox) return;
    const pair = (word, figure, more) => h("div", {}, h("dt", { text: word }), h("dd", {}, figure, more && h("small", { text: more })));
    if (!found) {
      estimateBox.replaceChildren(h("dl", {}, pair(t("about_time"), "–"), pair(t("about_cost"), "–")));
      return;
    }
    const [first, second] = found.costs ?? [];
    const none = found.seconds === null || found.seconds === undefined;
    const about = (text) => t("about", { n: text });
    estimateBox.replaceChildren(
      h(
        "dl",
        {},
        pair(t("about_time"), none ? "–" : about(duration(found.seconds))),
        pair(t("about_cost"), none || !first ? "–" : about(money(first.amount, first.currency)), !none && second ? money(second.amount, second.currency) : null),
      ),
      h("p", { class: "hint", text: basis(found, none) }),
    );
  }

  function basis(found, none) {
    const clips = /measured here \((\d+) clip/.exec(found.basis ?? "");
    const words = [none ? t("estimate_unknown") : clips ? t("estimate_measured", { n: clips[1] }) : t("estimate_guess")];
    if (!none && found.seconds_high > found.seconds * 1.15) words.push(t("estimate_range", { low: duration(found.seconds_low), high: duration(found.seconds_high) }));
    if (found.queue_seconds > 1) words.push(t("estimate_queue", { n: duration(found.queue_seconds) }));
    return words.join(" ");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = form.querySelector("#seed");
    if (input && seedError(input.value.trim())) {
      input.focus();
      return;
    }
    onSubmit();
  });

  return {
    render,
    chosen,
    set,
    showEstimate,
    learn(nextConfig, nextModels) {
      config = nextConfig;
      models = nextModels;
      render();
    },
    config: () => config,
    models: () => models,
    aspect: () => {
      if (presetRatio()) return presetRatio();
      const [width, height] = config.aspects[chosen().aspect];
      return width / height;
    },
    shape: () => (presets().size ? { size: presets().size } : { aspect: chosen().aspect }),
    fields() {
      const now = chosen();
      const fields = { prompt: now.prompt, negative_prompt: now.negative, seconds: String(now.seconds), aspect: now.aspect, seed: String(now.seed), quality: now.quality };
      if (now.model) fields.model = now.model.id;
      if (now.recipe) fields.recipe = now.recipe;
      if (now.model?.id === "camera" && now.move !== "auto") fields["options[move]"] = now.move;
      const wanted = presets();
      if (wanted.size) delete fields.aspect;
      if (wanted.num_frames) delete fields.seconds;
      return { ...fields, ...wanted };
    },
    fail(message) {
      const line = form.querySelector("#form-error");
      line.textContent = message;
      line.hidden = !message;
    },
  };
}
