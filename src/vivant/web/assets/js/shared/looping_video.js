// A small silent clip that plays again and again. Nothing moves for people who asked their system for less motion.
import { h } from "./dom.js";

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function loopingVideo(source) {
  const video = h("video", { src: source, crossorigin: "anonymous", loop: "", playsinline: "", tabindex: "-1" });
  video.setAttribute("aria-hidden", "true");
  video.muted = true; // the attribute has no effect on an element that a script made
  playAgain(video);
  return video;
}

// After the element was moved in the page, which stops it.
export function playAgain(video) {
  if (!still()) queueMicrotask(() => video.play().catch(() => {})); // a browser may refuse: the first frame stays
}
