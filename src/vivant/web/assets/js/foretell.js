// Asks the server how long a clip will take and what it will cost, once the settings stand still.
import { session } from "./session.js";

const STILL_MS = 150;

// pictures: how many there are to compare.
export function createForetell(form, pictures) {
  let asking = null;
  let timer = null;

  async function ask() {
    if (!session.online) return;
    asking?.abort();
    asking = new AbortController();
    if (form.compares()) return together();
    const { model, seconds, recipe } = form.chosen();
    const query = { seconds, ...form.shape(), ...(model ? { model: model.id } : {}), ...(recipe ? { recipe } : {}) };
    try {
      form.showEstimate(await session.api.estimate(query, asking.signal));
    } catch (error) {
      if (error.name !== "AbortError") form.showEstimate(null);
    }
  }

  async function together() {
    const { num_frames, ...fields } = form.comparison();
    try {
      form.showEstimate(
        await session.api.estimateComparison(
          { ...fields, seeds: Number(fields.seeds), pictures: Math.max(1, pictures()), ...(num_frames ? { num_frames: Number(num_frames) } : {}) },
          asking.signal,
        ),
      );
    } catch (error) {
      if (error.name !== "AbortError") form.showEstimate(null);
    }
  }

  return () => {
    clearTimeout(timer);
    timer = setTimeout(ask, STILL_MS);
  };
}
