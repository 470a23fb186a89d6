// What an empty frame shows: where to drop a picture, and buttons to choose one.
import { h, svg } from "../shared/dom.js";
import { t } from "../shared/i18n.js";

const touch = () => matchMedia("(pointer: coarse)").matches;

export function dropArea({ onChoose, onPhotograph, onSample }) {
  return h(
    "div",
    { class: "drop" },
    svg(
      "svg",
      { class: "nail", viewBox: "0 0 48 48", "aria-hidden": "true" },
      svg("path", { d: "M24 5L9 18h30zM6 18h36v26H6zM11 23h26v16H11z" }),
      svg("path", { class: "wave", d: "M15 34c4-8 7 4 11-3s5-4 7-4" }),
    ),
    h("strong", { text: t("empty_title") }),
    h("p", { text: t(touch() ? "empty_touch" : "empty_desk") }),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", class: "loud", id: "choose", onclick: onChoose, text: t("choose") }),
      touch() &&
        h("button", { type: "button", class: "plain", id: "photograph", onclick: onPhotograph, text: t("photograph") }),
      onSample && h("button", { type: "button", class: "plain", id: "sample", onclick: onSample, text: t("sample") }),
    ),
    h("p", { class: "small", text: t("empty_hint") }),
  );
}
