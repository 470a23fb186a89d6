// The language and theme switches in the header. Both choices are remembered.
import { byId } from "./dom.js";
import { language, setLanguage, t } from "./i18n.js";
import { save } from "./storage.js";

const THEMES = ["auto", "light", "dark"];
const theme = () => document.documentElement.dataset.theme ?? "auto";

export function showHeader() {
  byId("language").textContent = t("language_other");
  byId("language").lang = language() === "ko" ? "en" : "ko";
  byId("theme-word").textContent = t(`theme_${theme()}`);
  byId("theme").setAttribute("aria-label", t(`theme_${theme()}`));
}

export function startHeader() {
  byId("language").addEventListener("click", () => setLanguage(language() === "ko" ? "en" : "ko"));
  byId("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    save("theme", next);
    showHeader();
  });
  showHeader();
}
