// Asks the server how long a clip will take and what it will cost, once the settings stand still.
import { session } from "./session.js";

const STILL_MS = 150;

export function createForetell(form) {
  let asking = null;
  let timer = null;

  async function ask() {
    if (!session.online) return;
    asking?.abort();
    asking = new AbortController();
    const { model, seconds, recipe } = form.chosen();
    const query = { seconds, ...form.shape(), ...(model ? { model: model.id } : {}), ...(recipe ? { recipe } : {}) };
    try {
      form.showEstimate(await session.api.estimate(query, asking.signal));
    } catch (error) {
      if (error.name !== "AbortError") form.showEstimate(null);
    }
  }

  return () => {
    clearTimeout(timer);
    timer = setTimeout(ask, STILL_MS);
  };
}
