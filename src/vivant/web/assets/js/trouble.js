// What went wrong, in plain words and with what to do, in both languages.
import { known, language, t } from "./i18n.js";
import { bytes, duration } from "./format.js";

// error: an ApiError, or a job's own {code, message}. Returns {text, detail, about}; detail is the server's
// English, about says whether the picture is at fault.
export function explain(error, config) {
  const { code = "", status = 0, message = "", retryAfter = null } = error ?? {};
  const values = { wait: duration(retryAfter ?? 10), limit: bytes(config?.limits?.max_image_bytes ?? 50e6) };
  let key = "error_other";
  if (code === "network") key = "error_network";
  else if (known(`error_${code}`)) key = `error_${code}`;
  else if (code.startsWith("image_") || code === "invalid_image") key = "error_invalid_image";
  else if (status === 413) key = "error_too_large";
  else if (status === 429) key = "error_rate_limited";
  else if (status === 401 || status === 403) key = "error_invalid_key";
  else if (status === 404) key = "error_not_found";
  else if (status >= 500) key = "error_internal";
  const about = key === "error_invalid_image" ? "picture" : "";
  const text = t(key, values);
  // English readers get the server's own sentence where it says more: value, limit, remedy.
  const detail = message && code !== "network" && code !== "cancelled" ? message : "";
  if (detail && language() === "en" && (key === "error_other" || key === "error_invalid_image" || key === "error_invalid_option")) return { text: capital(detail), detail: "", about };
  return { text, detail, about };
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
