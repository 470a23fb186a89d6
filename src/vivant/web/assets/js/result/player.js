// The clip in the frame: alone, beside the picture, or under it with a slider between the two.
import { h, icon, style, svg } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { number } from "../shared/format.js";
import { load, save } from "../shared/storage.js";

const VIEWS = ["clip", "beside", "wipe"];
const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function createPlayer(job, links, frameRoot) {
  const fps = Number(job.fps) || 24;
  const last = Math.max(0, job.num_frames - 1);
  const listeners = new Set();
  let view = VIEWS.includes(load("view")) ? load("view") : "clip";
  let frame = 0;
  let cut = 50;

  const video = h("video", {
    src: links.video,
    poster: links.thumbnail,
    crossorigin: "anonymous",
    playsinline: true,
    loop: true,
    preload: "auto",
    "aria-label": t("clip"),
    tabindex: "-1",
  });
  video.muted = true;
  const picture = () =>
    h("img", { src: links.reference, crossorigin: "anonymous", alt: t("your_picture"), draggable: "false" });
  const inside = h("div", { class: "inside" });
  const scrub = h("input", {
    type: "range",
    min: 0,
    max: last,
    step: 1,
    value: 0,
    id: "scrub",
    "aria-label": t("frame"),
  });
  const readout = h("output", { class: "figures", id: "frame-number" });
  const play = h("button", { type: "button", class: "round", id: "play" });
  const views = h(
    "fieldset",
    { class: "views" },
    h("legend", { class: "unseen", text: t("view") }),
    h(
      "div",
      { class: "choices" },
      VIEWS.map((name) =>
        h(
          "label",
          {},
          h("input", {
            type: "radio",
            name: "view",
            value: name,
            checked: name === view,
            onchange: () => choose(name),
          }),
          t(`view_${name}`),
        ),
      ),
    ),
  );

  function choose(name) {
    view = name;
    save("view", name);
    arrange();
  }

  function arrange() {
    if (view === "clip") delete frameRoot.dataset.view;
    else frameRoot.dataset.view = view;
    const wasPlaying = !video.paused;
    if (view === "beside") {
      const side = (word, shown) => h("figure", {}, shown, h("figcaption", { class: "side-word", text: t(word) }));
      inside.replaceChildren(
        h("div", { class: "beside" }, side("side_picture", picture()), side("side_clip", video)),
      );
    } else if (view === "wipe") {
      const wipe = h("input", {
        type: "range",
        min: 0,
        max: 100,
        step: 1,
        value: cut,
        class: "wipe",
        id: "wipe",
        "aria-label": t("wipe"),
        oninput: () => setCut(Number(wipe.value)),
      });
      inside.replaceChildren(
        video,
        h("div", { class: "over" }, picture()),
        h("span", { class: "side-word l", text: t("side_picture") }),
        h("span", { class: "side-word r", text: t("side_clip") }),
        h("div", { class: "seam", "aria-hidden": "true" }),
        wipe,
      );
      // A pointer moves the edge to its position; keys move it by the steps of the range.
      const follow = (event) => {
        if (event.buttons === 0 && event.type === "pointermove") return;
        const { left, width } = inside.getBoundingClientRect();
        wipe.value = Math.round(((event.clientX - left) / width) * 100);
        setCut(Number(wipe.value));
      };
      wipe.addEventListener("pointerdown", follow);
      wipe.addEventListener("pointermove", follow);
      setCut(cut);
    } else {
      inside.replaceChildren(video);
    }
    if (wasPlaying) video.play().catch(() => {});
  }

  function setCut(to) {
    cut = Math.min(100, Math.max(0, to));
    style(inside, { "--cut": `${cut}%` });
    inside.querySelector("#wipe")?.setAttribute("aria-valuetext", t("wipe_value", { n: cut }));
  }

  function showFrameNumber(index) {
    frame = Math.min(last, Math.max(0, index));
    scrub.value = String(frame);
    const words = t("frame_of", { n: number(frame + 1), total: number(last + 1), s: number(frame / fps, 2) });
    readout.textContent = words;
    scrub.setAttribute("aria-valuetext", words);
    for (const notify of listeners) notify(frame);
  }

  // The middle of the frame's time, so that rounding cannot select its neighbour.
  function seek(index) {
    video.pause();
    const target = Math.min(last, Math.max(0, index));
    video.currentTime = (target + 0.5) / fps;
    showFrameNumber(target);
  }

  function toggle() {
    if (video.paused) video.play().catch(() => {});
    else video.pause();
  }

  // The whole frame content, so that a comparison stays one. An iPhone can only show the clip itself.
  function showFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (inside.requestFullscreen) inside.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.();
  }

  // Space plays and F fills the screen, unless the key belongs to a control.
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("button, a, summary, select, textarea, input:not([type=range])")) return;
    if (event.key === " ") toggle();
    else if (event.key.toLowerCase() === "f") showFull();
    else return;
    event.preventDefault();
  }

  function showPlayButton() {
    play.replaceChildren(icon(video.paused ? "play" : "pause"));
    play.setAttribute("aria-label", t(video.paused ? "play" : "pause"));
  }

  // The frame comes into view: what was clicked may stand far below it.
  function reveal() {
    const { top, bottom } = inside.getBoundingClientRect();
    const behavior = reducedMotion() ? "auto" : "smooth";
    if (top < 0 || bottom > innerHeight) frameRoot.scrollIntoView({ block: "start", behavior });
  }

  let marker = null;
  function point(index, region) {
    seek(index);
    reveal();
    marker?.remove();
    if (!region || view === "beside") return;
    marker = svg(
      "svg",
      { class: "blame", viewBox: `0 0 ${job.width} ${job.height}`, "aria-hidden": "true" },
      svg("rect", { x: region.left, y: region.top, width: region.width, height: region.height }),
    );
    inside.append(marker);
    setTimeout(() => marker?.remove(), 4000);
  }

  video.addEventListener("play", showPlayButton);
  video.addEventListener("pause", showPlayButton);
  video.addEventListener("click", toggle);
  play.addEventListener("click", toggle);
  document.addEventListener("keydown", onKey);
  scrub.addEventListener("input", () => seek(Number(scrub.value)));
  const onFrame = (time) => showFrameNumber(Math.floor(time * fps + 1e-3));
  if (video.requestVideoFrameCallback) {
    const loop = (_, { mediaTime }) => {
      if (!video.paused) onFrame(mediaTime);
      if (video.isConnected) video.requestVideoFrameCallback(loop);
    };
    video.requestVideoFrameCallback(loop);
  }
  video.addEventListener(
    "timeupdate",
    () => !video.paused && !video.requestVideoFrameCallback && onFrame(video.currentTime),
  );

  const step = (by, name) =>
    h(
      "button",
      { type: "button", class: "round", "aria-label": t(name), onclick: () => seek(frame + by) },
      icon(by < 0 ? "back" : "forward"),
    );
  // Browsers start a clip by themselves only without its sound.
  const sound = h("button", { type: "button", class: "round", id: "sound", hidden: !job.generate_audio });
  function showSoundButton() {
    sound.replaceChildren(icon(video.muted ? "silent" : "sound"));
    sound.setAttribute("aria-label", t(video.muted ? "sound_play" : "sound_mute"));
  }
  sound.addEventListener("click", () => {
    video.muted = !video.muted;
    showSoundButton();
  });
  showSoundButton();
  const full = h(
    "button",
    { type: "button", class: "round", id: "fullscreen", "aria-label": t("fullscreen"), onclick: showFull },
    icon("fullscreen"),
  );
  full.hidden = !document.fullscreenEnabled && !video.webkitEnterFullscreen;
  const controls = h(
    "div",
    { class: "viewer" },
    views,
    h(
      "div",
      { class: "transport" },
      h("div", { class: "pair" }, play, step(-1, "frame_back"), step(1, "frame_forward"), sound, full),
      scrub,
      readout,
    ),
  );

  arrange();
  showPlayButton();
  showFrameNumber(0);
  if (!reducedMotion()) video.play().catch(() => {});

  return {
    inside,
    controls,
    seek,
    reveal,
    point,
    last,
    fps,
    follow(listener) {
      listeners.add(listener);
      listener(frame);
    },
    close() {
      listeners.clear();
      document.removeEventListener("keydown", onKey);
      video.pause();
      video.removeAttribute("src");
      video.load();
    },
  };
}
