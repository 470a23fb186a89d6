// The settings of the next clip: the user's choice, else the server's default. The browser remembers them.
import { addressFields, addressRatio } from "../shared/address_fields.js";
import { session } from "../shared/session.js";
import { loadJson, save } from "../shared/storage.js";

export const MOVES = ["auto", "push_in", "drift", "orbit"];
// Presets of the living engine; with "auto" the prompt chooses.
export const MOODS = ["auto", "calm", "attentive", "warm", "portrait-still"];
// Clips of each picture, with consecutive seeds.
export const TAKES = ["1", "2", "3", "5"];
// Seconds within which a clip is tried again until no check fails.
export const RETRIES = ["off", "300", "900"];
// A small text in the clip, in this language; "off" leaves it to the server, which may have one for all clips.
export const LABELS = ["off", "ko", "en"];
export const SOUNDS = ["off", "on"];
// Seeds of each picture in a comparison.
export const REPEATS = ["3", "5", "10", "20"];
const NAMES = [
  "aim",
  "preset",
  "repeats",
  "prompt",
  "negative",
  "model",
  "recipe",
  "seconds",
  "aspect",
  "seed",
  "quality",
  "move",
  "mood",
  "again_if",
  "takes",
  "label",
  "sound",
];
// Texts with a default of the server. The default is not saved as a choice, because the server may change it.
const TEXTS = { prompt: "prompt", negative: "negative_prompt" };

const draft = Object.fromEntries(NAMES.map((name) => [name, null]));
const saved = loadJson("draft") ?? {};
for (const name of NAMES) if (saved[name] !== undefined) draft[name] = saved[name];

export function choose(name, value) {
  draft[name] = value === session.config.defaults[TEXTS[name]] ? null : value;
  save("draft", JSON.stringify(draft));
}

export function chosen() {
  const { config, models } = session;
  const { defaults } = config;
  const usable = (id) => models.find((model) => model.id === id && model.available);
  const model =
    usable(draft.model) ??
    models.find((one) => one.id === config.default_model) ??
    models.find((one) => one.available) ??
    models[0] ??
    null;
  const seconds = Number(draft.seconds ?? defaults.seconds);
  return {
    prompt: draft.prompt ?? defaults.prompt,
    negative: draft.negative ?? defaults.negative_prompt,
    model,
    recipe: model?.recipes?.includes(draft.recipe) ? draft.recipe : "",
    seconds,
    aspect: config.aspects[draft.aspect] ? draft.aspect : defaults.aspect,
    seed: draft.seed ?? defaults.seed,
    quality: config.qualities.includes(draft.quality) ? draft.quality : defaults.quality,
    move: MOVES.includes(draft.move) ? draft.move : "auto",
    mood: MOODS.includes(draft.mood) ? draft.mood : "auto",
    takes: TAKES.includes(draft.takes) ? draft.takes : TAKES[0],
    label: LABELS.includes(draft.label) ? draft.label : LABELS[0],
    sound: soundFits(model, seconds) && SOUNDS.includes(draft.sound) ? draft.sound : SOUNDS[0],
    again_if: RETRIES.includes(draft.again_if) ? draft.again_if : RETRIES[0],
  };
}

// Seconds up to which the engine makes a sound of its own, in steps of the slider; 0: it makes none.
export function soundSeconds(model) {
  if (!model?.sound) return 0;
  const frames = model.sound_max_frames; // an older server does not say
  return frames ? Math.floor((2 * (frames - 1)) / session.config.defaults.fps) / 2 : Infinity;
}

const soundFits = (model, seconds) => seconds <= soundSeconds(model);

// The same picture in each mood. It is not judged: the user chooses by looking. So it is a batch, not a comparison.
const TAKES_OF_MOODS = { id: "moods", takes: true };

// What can be compared: the ready comparisons of the server, and the moods, if somebody can come to life.
export function comparisons() {
  const living = session.models.some((model) => model.id === "living" && model.available);
  return living ? [TAKES_OF_MOODS, ...session.presets] : session.presets;
}

// The moods as batches take them: title and fields of each clip.
export function moodTakes() {
  const fields = { ...clipRequest(), model: "living" };
  return MOODS.filter((mood) => mood !== "auto").map((mood) => ({
    mood,
    fields: { ...fields, "options[preset]": mood },
  }));
}

// The chosen comparison; null if a clip is wanted or the server has nothing to compare.
export function chosenComparison() {
  const preset = comparisons().find((one) => one.id === draft.preset) ?? comparisons()[0];
  if (draft.aim !== "compare" || !preset) return null;
  if (preset.takes) return { preset };
  const own = String(preset.seeds);
  const usual = REPEATS.includes(own) ? own : REPEATS[1];
  return { preset, repeats: REPEATS.includes(draft.repeats) ? draft.repeats : usual, aspect: chosen().aspect };
}

// The comparison as fields of the API. The preset's size is turned to the chosen shape.
export function comparisonRequest() {
  const { preset, repeats, aspect } = chosenComparison();
  const [width, height] = preset.size.split("x").map(Number);
  const short = Math.min(width, height);
  const [across, down] = aspect.split(":").map(Number);
  const size = across === down ? `${short}x${short}` : across > down ? preset.size : `${height}x${width}`;
  const { num_frames, currency, priority, size: wanted } = addressFields();
  const more = Object.entries({ num_frames, currency, priority }).filter(([, value]) => value);
  return { preset: preset.id, seeds: repeats, size: wanted ?? size, ...Object.fromEntries(more) };
}

export function ratio() {
  if (addressRatio()) return addressRatio();
  const [width, height] = session.config.aspects[chosen().aspect];
  return width / height;
}

export function shape() {
  return addressFields().size ? { size: addressFields().size } : { aspect: chosen().aspect };
}

export function seeds() {
  const now = chosen();
  return Array.from({ length: Number(now.takes) }, (_, index) => Number(now.seed) + index);
}

// Seconds for all attempts together: at least what two clips take. expected: seconds of one clip, or null.
export function budgetSeconds(expected) {
  return Math.max(Number(chosen().again_if), Math.ceil(2 * (expected ?? 0)));
}

// The settings as fields of the API. Fields in the page's address come last.
export function clipRequest(expected = null) {
  const now = chosen();
  const fields = {
    prompt: now.prompt,
    negative_prompt: now.negative,
    seconds: String(now.seconds),
    aspect: now.aspect,
    seed: String(now.seed),
    quality: now.quality,
  };
  if (now.model) fields.model = now.model.id;
  if (now.recipe) fields.recipe = now.recipe;
  if (now.model?.id === "camera" && now.move !== "auto") fields["options[move]"] = now.move;
  if (now.model?.id === "living" && now.mood !== "auto") fields["options[preset]"] = now.mood;
  if (now.label !== "off") fields.label = now.label;
  if (now.sound === "on") fields.generate_audio = "true";
  if (now.again_if !== "off") {
    fields.until_pass = "true";
    fields.budget = `${budgetSeconds(expected)}s`;
  }
  const wanted = addressFields();
  if (wanted.until_pass === "false") delete fields.budget;
  if (wanted.size) delete fields.aspect;
  if (wanted.num_frames) delete fields.seconds;
  return { ...fields, ...wanted };
}
