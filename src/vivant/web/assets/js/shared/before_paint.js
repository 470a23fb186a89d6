// Runs before the first paint: sets the remembered language and theme, so that the page does not flash.
(() => {
  const root = document.documentElement;
  const read = (name) => {
    try {
      return localStorage.getItem(`vivant.${name}`);
    } catch {
      return null; // storage is switched off
    }
  };
  const language = read("language");
  const preferred = (navigator.languages || [navigator.language || "en"])[0];
  root.lang = language || (/^ko\b/i.test(preferred) ? "ko" : "en");
  const theme = read("theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
})();
