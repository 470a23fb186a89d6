// Sends a request until the server has answered it once.

const NETWORK_ATTEMPTS = 3;
const NETWORK_PAUSE_MS = 700;
const FULL_PAUSE_S = 5; // where the server names no time

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

// request(idempotencyKey): the key makes a repeated request safe, because the server answers with the same job.
// waitWhileFull: a full queue (429) is waited for, as often as it takes. Other refusals are thrown at once.
export async function untilAnswered(request, { waitWhileFull = false } = {}) {
  const key = newKey();
  for (let attempt = 1; ;) {
    try {
      return await request(key);
    } catch (error) {
      if (waitWhileFull && error.status === 429) {
        await pause(1000 * (error.retryAfter || FULL_PAUSE_S));
        continue;
      }
      if (error.code !== "network" || attempt === NETWORK_ATTEMPTS) throw error;
      await pause(NETWORK_PAUSE_MS * attempt);
      attempt += 1;
    }
  }
}
