// The settings of the next clip: what was chosen, else the server's defaults. Remembered by the browser.
import { recallJson, remember } from "./memory.js";
import { presetRatio, presets } from "./preset.js";
import { session } from "./session.js";

export const MOVES = ["auto", "push_in", "drift", "orbit"];
// Clips of each picture, with one seed after the other.
export const TAKES = ["1", "2", "3", "5"];
// Seconds within which a clip is tried again until no check fails.
export const RETRIES = ["off", "300", "900"];
// Seeds of each picture in a comparison.
export const REPEATS = ["3", "5", "10", "20"];
const KEPT = ["aim", "preset", "repeats", "prompt", "negative", "model", "recipe", "seconds", "aspect", "seed", "quality", "move", "again_if", "takes"];
// Words the server has a default for. The default is not remembered as a choice: the server may change it.
const WORDS = { prompt: "prompt", negative: "negative_prompt" };

const draft = Object.fromEntries(KEPT.map((name) => [name, null]));
const saved = recallJson("draft") ?? {};
for (const name of KEPT) if (saved[name] !== undefined) draft[name] = saved[name];

export function choose(name, value) {
  draft[name] = value === session.config.defaults[WORDS[name]] ? null : value;
  remember("draft", JSON.stringify(draft));
}

export function chosen() {
  const { config, models } = session;
  const { defaults } = config;
  const usable = (id) => models.find((model) => model.id === id && model.available);
  const model =
    usable(draft.model) ?? models.find((one) => one.id === config.default_model) ?? models.find((one) => one.available) ?? models[0] ?? null;
  return {
    prompt: draft.prompt ?? defaults.prompt,
    negative: draft.negative ?? defaults.negative_prompt,
    model,
    recipe: model?.recipes?.includes(draft.recipe) ? draft.recipe : "",
    seconds: Number(draft.seconds ?? defaults.seconds),
    aspect: config.aspects[draft.aspect] ? draft.aspect : defaults.aspect,
    seed: draft.seed ?? defaults.seed,
    quality: config.qualities.includes(draft.quality) ? draft.quality : defaults.quality,
    move: MOVES.includes(draft.move) ? draft.move : "auto",
    takes: TAKES.includes(draft.takes) ? draft.takes : TAKES[0],
    again_if: RETRIES.includes(draft.again_if) ? draft.again_if : RETRIES[1],
  };
}

// What is to be compared; null where a clip is wanted, or the server has nothing to compare.
export function compared() {
  const preset = session.presets.find((one) => one.id === draft.preset) ?? session.presets[0];
  if (draft.aim !== "compare" || !preset) return null;
  const own = String(preset.seeds);
  const usual = REPEATS.includes(own) ? own : REPEATS[1];
  return { preset, repeats: REPEATS.includes(draft.repeats) ? draft.repeats : usual, aspect: chosen().aspect };
}

// The comparison as fields of the API: the preset's size, turned to the shape that was chosen.
export function comparisonFields() {
  const { preset, repeats, aspect } = compared();
  const [width, height] = preset.size.split("x").map(Number);
  const short = Math.min(width, height);
  const [across, down] = aspect.split(":").map(Number);
  const size = across === down ? `${short}x${short}` : across > down ? preset.size : `${height}x${width}`;
  const { num_frames, currency, priority, size: wanted } = presets();
  const more = Object.entries({ num_frames, currency, priority }).filter(([, value]) => value);
  return { preset: preset.id, seeds: repeats, size: wanted ?? size, ...Object.fromEntries(more) };
}

export function ratio() {
  if (presetRatio()) return presetRatio();
  const [width, height] = session.config.aspects[chosen().aspect];
  return width / height;
}

export function shape() {
  return presets().size ? { size: presets().size } : { aspect: chosen().aspect };
}

export function seeds() {
  const now = chosen();
  return Array.from({ length: Number(now.takes) }, (_, index) => Number(now.seed) + index);
}

// Never less than two clips take, or the first could use it up; expected: seconds of one, where they are known.
export function budgetSeconds(expected) {
  return Math.max(Number(chosen().again_if), Math.ceil(2 * (expected ?? 0)));
}

// The draft as fields of the API; what the page's own address sets comes last.
export function requestFields(expected = null) {
  const now = chosen();
  const fields = { prompt: now.prompt, negative_prompt: now.negative, seconds: String(now.seconds), aspect: now.aspect, seed: String(now.seed), quality: now.quality };
  if (now.model) fields.model = now.model.id;
  if (now.recipe) fields.recipe = now.recipe;
  if (now.model?.id === "camera" && now.move !== "auto") fields["options[move]"] = now.move;
  if (now.again_if !== "off") {
    fields.until_pass = "true";
    fields.budget = `${budgetSeconds(expected)}s`;
  }
  const wanted = presets();
  if (wanted.until_pass === "false") delete fields.budget;
  if (wanted.size) delete fields.aspect;
  if (wanted.num_frames) delete fields.seconds;
  return { ...fields, ...wanted };
}
