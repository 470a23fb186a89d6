// Error messages in plain words, with what to do, in the page's language.
import { known, language, t } from "../shared/i18n.js";
import { bytes, duration } from "../shared/format.js";

// In English, the server's own sentence says more than these.
const GENERAL = new Set(["error_other", "error_invalid_option"]);
// Where the server's English sentence says something that these words do not.
const DETAILED = new Set([
  ...GENERAL,
  "error_invalid_image",
  "error_internal",
  "error_engine_failed",
  "error_missing_part",
  "error_output_not_writable",
]);
// In English, the server's sentence about a picture names its size and the limit.
const MEASURED = new Set([
  "error_invalid_image",
  "error_image_too_small",
  "error_image_side_too_long",
  "error_image_too_many_pixels",
]);
const isAboutPicture = (key) => key.startsWith("error_image_") || key === "error_invalid_image";

// error: an ApiError, or the {code, message} of a job. Returns { text, detail, about }: detail is the server's English
// sentence, about is "picture" if the picture is the cause.
export function errorText(error, config) {
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
  const about = isAboutPicture(key) ? "picture" : "";
  const text = t(key, values);
  const told = message && language() === "en" && (MEASURED.has(key) || GENERAL.has(key));
  if (told) return { text: sentence(message), detail: "", about };
  return { text, detail: DETAILED.has(key) && message !== text ? message : "", about };
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

// For a line of its own: the text, with the server's sentence in brackets.
export function errorLine(error, config) {
  const { text, detail } = errorText(error, config);
  return detail ? `${text} (${detail})` : text;
}
