// Asks the server for the time and cost of the clip, or of the comparison, after the settings have changed.
import { session } from "../shared/session.js";

const SETTLE_MS = 150;

// pictureCount(): pictures to compare. Returns a function to call after a change.
export function createEstimator(form, pictureCount) {
  let running = null;
  let timer = null;

  async function estimate() {
    if (!session.online) return;
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    try {
      form.showEstimate(await chosenEstimate(signal));
    } catch (error) {
      if (error.name !== "AbortError") form.showEstimate(null);
    }
  }

  function chosenEstimate(signal) {
    if (form.takesMoods()) return ofTakes(signal);
    return form.compares() ? ofComparison(signal) : ofClip(signal);
  }

  // One clip after the other.
  async function ofTakes(signal) {
    const clips = form.moodTakes().length;
    const query = { seconds: form.chosen().seconds, ...form.shape(), model: "living" };
    const one = await session.api.estimate(query, signal);
    const all = (value) => (value === null || value === undefined ? value : value * clips);
    return {
      ...one,
      clips,
      fits: true,
      seconds: all(one.seconds),
      seconds_low: all(one.seconds_low),
      seconds_high: all(one.seconds_high),
      costs: one.costs.map((cost) => ({ ...cost, amount: all(cost.amount) })),
    };
  }

  function ofClip(signal) {
    const { model, seconds, recipe } = form.chosen();
    const query = { seconds, ...form.shape() };
    if (model) query.model = model.id;
    if (recipe) query.recipe = recipe;
    return session.api.estimate(query, signal);
  }

  function ofComparison(signal) {
    const { num_frames, ...fields } = form.comparison();
    const query = { ...fields, seeds: Number(fields.seeds), pictures: Math.max(1, pictureCount()) };
    if (num_frames) query.num_frames = Number(num_frames);
    return session.api.estimateComparison(query, signal);
  }

  return () => {
    clearTimeout(timer);
    timer = setTimeout(estimate, SETTLE_MS);
  };
}
