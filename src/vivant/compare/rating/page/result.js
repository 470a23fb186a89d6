// What the page keeps in the browser lasts as long as the page, where a page on a disk may not store.
const keep = (name, value) => {
  try {
    localStorage.setItem(name, value);
  } catch {
    // not kept
  }
};
const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const { theme } = root.dataset;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  keep("vivant.theme", root.dataset.theme);
});
document.getElementById("language").addEventListener("click", () => {
  root.lang = root.lang === "ko" ? "en" : "ko";
  keep("vivant.language", root.lang);
});
