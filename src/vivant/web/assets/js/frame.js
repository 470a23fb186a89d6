// The frame on the wall. Knows what hangs in it, not why.
import { h, style, svg } from "./dom.js";
import { t } from "./i18n.js";
import { bytes } from "./format.js";

export function createFrame(frame, art, under) {
  let aspect = 16 / 9;
  let held = null;

  // inside: null keeps what hangs there.
  function hang(state, ratio, inside, below = []) {
    aspect = ratio;
    held?.close();
    held = null;
    frame.dataset.state = state;
    delete frame.dataset.view;
    delete frame.dataset.job;
    style(frame, { "--aspect": ratio, "--aspect-row": ratio * 2, "--aspect-column": ratio / 2 });
    frame.toggleAttribute("data-tall", ratio < 0.9);
    if (inside) art.replaceChildren(...inside);
    under.replaceChildren(...below);
  }

  // A player, closed when something else is hung.
  function mount(player) {
    held = player;
    art.replaceChildren(player.inside);
    under.replaceChildren(player.controls);
  }

  // Gold runs round the frame, clockwise from the upper left corner, at an even pace.
  function gild(fraction) {
    const shares = [aspect, 1, aspect, 1].map((side) => side / (2 * aspect + 2));
    let left = Math.min(1, Math.max(0, fraction));
    shares.forEach((share, edge) => {
      const part = Math.min(left, share);
      left -= part;
      style(frame, { [`--e${edge + 1}`]: (part / share).toFixed(4) });
    });
  }

  return { hang, mount, gild, holds: (player) => held === player, root: frame, art };
}

const touch = () => matchMedia("(pointer: coarse)").matches;

export function emptyFrame({ onChoose, onPhotograph, onSample }) {
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
      touch() && h("button", { type: "button", class: "plain", id: "photograph", onclick: onPhotograph, text: t("photograph") }),
      onSample && h("button", { type: "button", class: "plain", id: "sample", onclick: onSample, text: t("sample") }),
    ),
    h("p", { class: "small", text: t("empty_hint") }),
  );
}

// The picture placed so that the crop, in fractions of it, fills the frame.
export function croppedPicture(picture, crop, alt, found = {}) {
  if (!picture.drawable) {
    const refused = found.state === "refused";
    return h(
      "div",
      { class: "unseeable" },
      h("strong", { text: t(refused ? "refused_title" : "undrawable_title") }),
      h("p", { class: "small", text: refused ? found.why : t("undrawable") }),
    );
  }
  return h("div", { class: "cropped" }, place(h("img", { src: picture.url, alt, draggable: "false" }), crop));
}

// Moves a picture behind its window; the style sheet lets it glide there.
export function place(img, crop) {
  return style(img, {
    left: `${(-crop.left / crop.width) * 100}%`,
    top: `${(-crop.top / crop.height) * 100}%`,
    width: `${100 / crop.width}%`,
    height: `${100 / crop.height}%`,
  });
}

// Below the chosen picture: the whole of it with the crop drawn in, its name, and what to know.
export function plaque(picture, found, notes, { onChoose, onRemove }) {
  const { file } = picture;
  const size = picture.width ? `${picture.width} × ${picture.height}` : "";
  return h(
    "div",
    { class: "plaque" },
    picture.drawable ? inset(picture, found) : h("span"),
    h(
      "div",
      {},
      h("p", { class: "name", text: file.name || t("pasted") }),
      h("p", { class: "quiet small figures", text: [size, bytes(file.size)].filter(Boolean).join(" · ") }),
      h("p", { class: "small", id: "crop-word", text: cropWord(found) }),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "link", id: "change", onclick: onChoose, text: t("change_picture") }),
        h("button", { type: "button", class: "link", id: "remove", onclick: onRemove, text: t("remove_picture") }),
      ),
    ),
    notes.length ? h("ul", { class: "notes" }, notes.map((note) => h("li", note))) : null,
  );
}

function cropWord(found) {
  if (found.state === "looking") return t("crop_looking");
  if (found.state === "refused") return t("crop_refused");
  if (found.state !== "found") return t("crop_centred");
  const faces = found.faces.length;
  return faces === 0 ? t("crop_no_face") : faces === 1 ? t("crop_face") : t("crop_faces", { n: faces });
}

function inset(picture, found) {
  const { crop } = found;
  const box = ({ left, top, width, height }) => ({ x: left * 100, y: top * 100, width: width * 100, height: height * 100 });
  const { x, y, width, height } = box(crop);
  return h(
    "div",
    { class: "inset", "aria-hidden": "true" },
    h("img", { src: picture.url, alt: "" }),
    svg(
      "svg",
      { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      found.state !== "looking" && svg("path", { class: "veil", d: `M0 0h100v100H0zM${x} ${y}h${width}v${height}h${-width}z` }),
      (found.faces ?? []).map((face) => svg("rect", { class: "face", ...box(face) })),
      found.state !== "looking" && svg("rect", { class: "window", x, y, width, height }),
    ),
  );
}
