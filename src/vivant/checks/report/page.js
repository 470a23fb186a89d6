"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const clip = byId("clip");
  const fps = {{ fps }};

  // A browser may forbid storage.
  const keep = (name, value) => {
    try {
      if (value === undefined) return localStorage.getItem(name);
      localStorage.setItem(name, value);
    } catch {
      return null;
    }
    return value;
  };

  const say = (language) => {
    root.dataset.lang = language;
    root.lang = language;
  };
  const asked = location.hash.slice(1);
  const usual = (navigator.language || "").startsWith("ko") ? "ko" : "en";
  say(["ko", "en"].includes(asked) ? asked : keep("vivant-lang") || usual);
  byId("lang").onclick = () => {
    say(root.dataset.lang === "ko" ? "en" : "ko");
    keep("vivant-lang", root.dataset.lang);
    tick();
  };

  const theme = keep("vivant-theme");
  if (theme) root.dataset.theme = theme;
  byId("theme").onclick = () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    keep("vivant-theme", root.dataset.theme);
  };

  // The clip is in the page once: the link gets the same address.
  byId("download").href = clip.getAttribute("src");
  byId("print").onclick = () => print();
  // On paper: the first screen, and the checklist without its numbers.
  const folds = all("details");
  let before = [];
  addEventListener("beforeprint", () => {
    before = folds.map((fold) => fold.open);
    folds.forEach((fold) => (fold.open = fold.id === "checklist"));
  });
  addEventListener("afterprint", () => folds.forEach((fold, index) => (fold.open = before[index])));

  const refuse = () => {
    byId("unplayable").hidden = false;
    all(".jump,#clock").forEach((element) => (element.hidden = true));
  };
  clip.addEventListener("error", refuse);
  if (clip.error) refuse();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) clip.play().catch(() => {}); // a browser may refuse

  const go = (frame) => {
    clip.pause();
    clip.currentTime = (Number(frame) + 0.5) / fps;
  };
  all("[data-frame]").forEach((button) => {
    button.onclick = () => {
      go(button.dataset.frame);
      clip.scrollIntoView({ block: "center" });
    };
  });
  const plots = all("svg[data-last]");
  const heads = plots.map((plot) => [plot.querySelector(".head"), Number(plot.dataset.last)]);
  plots.forEach((plot) => {
    plot.onclick = (event) => {
      const { left, width } = plot.getBoundingClientRect();
      go(Math.max(0, Math.min(1, (event.clientX - left) / width)) * plot.dataset.last);
    };
  });

  const tick = () => {
    const now = clip.currentTime;
    const [time, frame] = [now.toFixed(2), Math.floor(now * fps + 1e-3)];
    const korean = root.dataset.lang === "ko";
    byId("clock").textContent = korean ? `${time}초 · ${frame}번 프레임` : `${time} s · frame ${frame}`;
    for (const [head, last] of heads) {
      const x = 4 + 312 * Math.min(1, (now * fps) / Math.max(1, last));
      head.setAttribute("x1", x);
      head.setAttribute("x2", x);
    }
    if (!clip.paused) requestAnimationFrame(tick);
  };
  ["play", "seeked", "timeupdate"].forEach((name) => clip.addEventListener(name, tick));
  tick();

  addEventListener("keydown", (event) => {
    if (event.target.closest("button,summary,video,input,a") && event.key === " ") return;
    if (event.key === " ") {
      event.preventDefault();
      if (clip.paused) clip.play();
      else clip.pause();
    }
    if (event.key === "," || event.key === ".") {
      go(Math.max(0, Math.floor(clip.currentTime * fps) + (event.key === "." ? 1 : -1)));
    }
  });
})();
