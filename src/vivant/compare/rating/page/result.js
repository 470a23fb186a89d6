document.getElementById("language").addEventListener("click", () => {
  const next = document.documentElement.lang === "ko" ? "en" : "ko";
  document.documentElement.lang = next;
  try {
    localStorage.setItem("vivant.language", next);
  } catch {
    // a page on a disk may not store: it lasts as long as the page
  }
});
