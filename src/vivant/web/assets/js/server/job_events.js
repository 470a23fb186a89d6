// Follows one job until it ends, by server-sent events; by polling while the event stream keeps breaking.
import { ApiError } from "./api.js";

const FINAL = new Set(["completed", "failed", "cancelled", "deleted"]);
const LOST_PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const POLL_MS = 1500;
const RECONNECT_MS = 250;
// After more failures than this, the job is polled.
const STREAM_FAILURES = 2;
// The job cannot be read any more: no key, not found, expired.
const GONE = [401, 404, 410];

const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

// Calls onEvent(data) for each event; returns true after a final event.
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

// onEvent(data): the data of an event, or a whole video object. onLine(state): "live", "polling" or "lost".
// onEnd(error): the job is over, or cannot be read any more.
export function followJob(api, id, { onEvent, onEnd, onLine }) {
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
        if (error instanceof ApiError && GONE.includes(error.status)) return onEnd(error);
      }
      if (signal.aborted) return;
      // The stream broke. A request tells whether the server still answers.
      failures += 1;
      try {
        const job = await api.get(id);
        if (signal.aborted) return;
        onLine(failures > STREAM_FAILURES ? "polling" : "live");
        onEvent(job);
        if (job.status === "completed" || job.status === "failed") return onEnd();
        await pause(failures > STREAM_FAILURES ? POLL_MS : RECONNECT_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && GONE.includes(error.status)) return onEnd(error);
        onLine("lost");
        await pause(LOST_PAUSES_MS[Math.min(failures, LOST_PAUSES_MS.length) - 1], signal);
      }
    }
  }
  follow();
  return () => stop.abort();
}
