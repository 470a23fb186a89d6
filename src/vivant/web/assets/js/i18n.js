// Which language, and the words in it. The table is strings.js.
import { STRINGS } from "./strings.js";
import { remember } from "./memory.js";

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
  remember("language", next);
  translate(document);
  for (const listener of listeners) listener();
}

export function onLanguage(listener) {
  listeners.add(listener);
}

// Static elements say their key in data-t (text) or data-t-label (accessible name).
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
}
