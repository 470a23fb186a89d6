// Runs before the first paint and before all modules.
(() => {
  const root = document.documentElement;
  const read = (name) => {
    try {
      return localStorage.getItem(`vivant.${name}`);
    } catch {
      return null; // storage is switched off
    }
  };

  // The remembered language and theme are set here, so that the page does not flash.
  const language = read("language");
  const preferred = (navigator.languages || [navigator.language || "en"])[0];
  root.lang = language || (/^ko\b/i.test(preferred) ? "ko" : "en");
  const theme = read("theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;

  // If one module cannot be loaded, no module runs and the page stays empty. The browser does not try again.
  // So the page is loaded anew, at most twice; the number of tries is kept in the tab's history entry.
  const MOST_RELOADS = 2;
  const RELOAD_MS = 500;
  const SENTENCE = {
    en: "A part of this page could not be loaded. Check the connection, then reload the page.",
    ko: "페이지의 일부를 불러오지 못했습니다. 연결을 확인한 뒤 새로 고침하세요.",
  };
  let whole = true;
  const failed = (event) => {
    if (event.target.tagName !== "SCRIPT") return;
    whole = false;
    const reloads = history.state?.reloads ?? 0;
    if (reloads < MOST_RELOADS) {
      history.replaceState({ reloads: reloads + 1 }, "");
      setTimeout(() => location.reload(), RELOAD_MS);
      return;
    }
    history.replaceState(null, "");
    const banner = document.getElementById("banner");
    banner.textContent = SENTENCE[root.lang] ?? SENTENCE.en;
    banner.hidden = false;
  };
  addEventListener("error", failed, { capture: true });
  addEventListener("load", () => {
    removeEventListener("error", failed, { capture: true });
    if (whole && history.state?.reloads) history.replaceState(null, "");
  });
})();
