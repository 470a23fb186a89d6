// Moves the crop by hand: drag or arrow keys move, two fingers, Ctrl and the wheel, + and - zoom, 0 resets.
import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { moved, zoomed } from "./crop_math.js";

const STEP = 0.04; // of the crop, for each key
const ZOOM = 1.15;
const SETTLE_MS = 350;

// now(): { crop, picture, aspect }; onMove(crop): at once; onSettled(): some time after the last move; onReset().
export function createHandCrop({ now, onMove, onSettled, onReset }) {
  const pointers = new Map(); // id → { x, y } in the window
  let timer = null;

  function change(crop) {
    onMove(crop);
    clearTimeout(timer);
    timer = setTimeout(onSettled, SETTLE_MS);
  }

  function move(dx, dy) {
    change(moved(now().crop, dx, dy));
  }

  function zoom(factor, x, y) {
    const { crop, picture, aspect } = now();
    change(zoomed(crop, picture, aspect, factor, x, y));
  }

  // The middle of the fingers, and their distance; 0 with one.
  function fingers() {
    const [first, second = first] = [...pointers.values()];
    const apart = Math.hypot(second.x - first.x, second.y - first.y);
    return { x: (first.x + second.x) / 2, y: (first.y + second.y) / 2, apart };
  }

  function onPointerMove(event) {
    if (!pointers.has(event.pointerId)) return;
    const before = fingers();
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const after = fingers();
    const box = event.currentTarget.getBoundingClientRect();
    move((before.x - after.x) / box.width, (before.y - after.y) / box.height);
    if (before.apart && after.apart) {
      zoom(after.apart / before.apart, (after.x - box.left) / box.width, (after.y - box.top) / box.height);
    }
  }

  function onWheel(event) {
    if (!event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    const box = event.currentTarget.getBoundingClientRect();
    const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    zoom(Math.exp(-event.deltaY / 200), ...at);
  }

  const KEYS = {
    ArrowLeft: () => move(-STEP, 0),
    ArrowRight: () => move(STEP, 0),
    ArrowUp: () => move(0, -STEP),
    ArrowDown: () => move(0, STEP),
    "+": () => zoom(ZOOM),
    "=": () => zoom(ZOOM),
    "-": () => zoom(1 / ZOOM),
    0: reset,
  };

  function onKey(event) {
    const act = !event.ctrlKey && !event.metaKey && !event.altKey && KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  function reset() {
    clearTimeout(timer);
    onReset();
  }

  // area: the element that shows the crop.
  function attach(area) {
    area.tabIndex = 0;
    area.setAttribute("role", "group");
    area.setAttribute("aria-label", t("crop_area"));
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      area.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      area.toggleAttribute("data-held", true);
    });
    area.addEventListener("pointermove", onPointerMove);
    for (const name of ["pointerup", "pointercancel"]) {
      area.addEventListener(name, (event) => {
        pointers.delete(event.pointerId);
        area.toggleAttribute("data-held", pointers.size > 0);
      });
    }
    area.addEventListener("wheel", onWheel, { passive: false });
    area.addEventListener("keydown", onKey);
  }

  // byHand: the crop was moved, so that it can be reset.
  function buttons(byHand) {
    const zoomButton = (id, word, factor, text) =>
      h("button", { type: "button", class: "zoom", id, "aria-label": t(word), onclick: () => zoom(factor), text });
    return h(
      "div",
      { class: "crop-tools" },
      byHand && h("button", { type: "button", id: "crop-reset", onclick: reset, text: t("crop_reset") }),
      zoomButton("zoom-out", "crop_zoom_out", 1 / ZOOM, "−"),
      zoomButton("zoom-in", "crop_zoom_in", ZOOM, "+"),
    );
  }

  return { attach, buttons };
}
