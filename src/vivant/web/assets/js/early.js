// Before the first paint: the remembered language and theme, so that nothing flashes.
(() => {
  const root = document.documentElement;
  const read = (name) => {
    try {
      return localStorage.getItem(`vivant.${name}`);
    } catch {
      return null; // storage is switched off: what the browser says is used
    }
  };
  const language = read("language");
  const preferred = (navigator.languages || [navigator.language || "en"])[0];
  root.lang = language || (/^ko\b/i.test(preferred) ? "ko" : "en");
  const theme = read("theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
})();
