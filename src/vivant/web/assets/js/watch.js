// Follows one job until it ends: server-sent events, and polling where the line does not hold.
import { ApiError } from "./api.js";

const FINAL = new Set(["completed", "failed", "cancelled", "deleted"]);
const STEPS = [500, 1000, 2000, 4000, 8000];

const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

// Calls onEvent(data) for each; returns true when a final event came.
async function readEvents(response, onEvent, onId) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return false;
    waiting += value.replace(/\r\n?/g, "\n");
    for (let end = waiting.indexOf("\n\n"); end >= 0; end = waiting.indexOf("\n\n")) {
      const fields = { event: "message", data: [] };
      for (const line of waiting.slice(0, end).split("\n")) {
        const [, name, text] = /^(\w+): ?(.*)$/.exec(line) ?? [];
        if (name === "data") fields.data.push(text);
        else if (name) fields[name] = text;
      }
      waiting = waiting.slice(end + 2);
      if (fields.id) onId(fields.id);
      if (!fields.data.length) continue;
      onEvent(JSON.parse(fields.data.join("\n")));
      if (FINAL.has(fields.event)) return true;
    }
  }
}

// onEvent gets event data or a whole video; onLine gets "live", "polling" or "lost".
export function watch(api, id, { onEvent, onEnd, onLine }) {
  const stop = new AbortController();
  const { signal } = stop;
  let last = null;
  let failures = 0;

  async function follow() {
    while (!signal.aborted) {
      try {
        const response = await api.events(id, last, signal);
        onLine("live");
        const ended = await readEvents(
          response,
          (data) => {
            failures = 0;
            onEvent(data);
          },
          (seen) => (last = seen),
        );
        if (ended) return onEnd();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && [401, 404, 410].includes(error.status)) return onEnd(error);
      }
      if (signal.aborted) return;
      // The line broke. A poll tells whether it is the stream or the server that is away.
      failures += 1;
      try {
        const job = await api.get(id);
        if (signal.aborted) return;
        onLine(failures > 2 ? "polling" : "live");
        onEvent(job);
        if (job.status === "completed" || job.status === "failed") return onEnd();
        await pause(failures > 2 ? 1500 : 250, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && [401, 404, 410].includes(error.status)) return onEnd(error);
        onLine("lost");
        await pause(STEPS[Math.min(failures, STEPS.length) - 1], signal);
      }
    }
  }
  follow();
  return () => stop.abort();
}
