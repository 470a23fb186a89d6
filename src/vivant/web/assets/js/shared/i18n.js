// The page's language, and its words from strings/.
import { COMPARE_STRINGS } from "../strings/compare.js";
import { FORM_STRINGS } from "../strings/form.js";
import { JOB_STRINGS } from "../strings/job.js";
import { PAGE_STRINGS } from "../strings/page.js";
import { RESULT_STRINGS } from "../strings/result.js";
import { SERVER_STRINGS } from "../strings/server.js";
import { save } from "./storage.js";

const STRINGS = {
  ...PAGE_STRINGS,
  ...FORM_STRINGS,
  ...COMPARE_STRINGS,
  ...JOB_STRINGS,
  ...RESULT_STRINGS,
  ...SERVER_STRINGS,
};
const COLUMN = { en: 0, ko: 1 };
const listeners = new Set();

export function language() {
  return document.documentElement.lang === "ko" ? "ko" : "en";
}

export function t(key, values = {}) {
  const pair = STRINGS[key];
  if (!pair) throw new Error(`no string ${key}`);
  return pair[COLUMN[language()]].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

export function known(key) {
  return Object.hasOwn(STRINGS, key);
}

export function setLanguage(next) {
  document.documentElement.lang = next;
  save("language", next);
  translate(document);
  for (const listener of listeners) listener();
}

export function onLanguage(listener) {
  listeners.add(listener);
}

// Static elements name their string in data-t (text) or data-t-label (accessible name).
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  }
}
