// Under the chosen picture: the whole of it with the crop drawn in, its name, and notes about it.
import { creditLine } from "../shared/credit.js";
import { h, svg } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { bytes } from "../shared/format.js";

export function pictureDetails(picture, found, notes, { onChoose, onRemove, onTurn }) {
  const { file } = picture;
  const size = picture.width ? `${picture.width} × ${picture.height}` : "";
  return h(
    "div",
    { class: "plaque" },
    picture.drawable ? overview(picture, found) : h("span"),
    h(
      "div",
      {},
      h("p", { class: "name", text: file.name || t("pasted") }),
      h("p", { class: "quiet small figures", text: [size, bytes(file.size)].filter(Boolean).join(" · ") }),
      h("p", { class: "small", id: "crop-word", text: cropText(found) }),
      creditLine(picture.credit),
      found.movable ? h("p", { class: "small quiet", text: t("crop_hint") }) : null,
      h(
        "div",
        { class: "row" },
        found.suggested_rotate ? turnButton(found.suggested_rotate, found.rotate ?? 0, onTurn) : null,
        h("button", { type: "button", class: "link", id: "change", onclick: onChoose, text: t("change_picture") }),
        h("button", { type: "button", class: "link", id: "remove", onclick: onRemove, text: t("remove_picture") }),
      ),
    ),
    notes.length
      ? h(
          "ul",
          { class: "notes" },
          notes.map((note) => h("li", note)),
        )
      : null,
  );
}

// suggested and now: degrees clockwise.
function turnButton(suggested, now, onTurn) {
  const degrees = (suggested - now + 360) % 360;
  if (!degrees) return null;
  const attributes = { type: "button", class: "plain", id: "turn", onclick: () => onTurn(degrees) };
  return h("button", { ...attributes, text: t("picture_turn") });
}

function cropText(found) {
  if (found.byHand) return t("crop_hand");
  if (found.state === "looking") return t("crop_looking");
  if (found.state === "refused") return t("crop_refused");
  if (found.state !== "found") return t("crop_centred");
  const faces = found.faces.length;
  return faces === 0 ? t("crop_no_face") : faces === 1 ? t("crop_face") : t("crop_faces", { n: faces });
}

function overview(picture, found) {
  const { crop } = found;
  const box = ({ left, top, width, height }) => ({
    x: left * 100,
    y: top * 100,
    width: width * 100,
    height: height * 100,
  });
  const { x, y, width, height } = box(crop);
  return h(
    "div",
    { class: "inset", "aria-hidden": "true" },
    h("img", { src: picture.url, alt: "" }),
    svg(
      "svg",
      { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      found.state !== "looking" &&
        svg("path", { class: "veil", d: `M0 0h100v100H0zM${x} ${y}h${width}v${height}h${-width}z` }),
      (found.faces ?? []).map((face) => svg("rect", { class: "face", ...box(face) })),
      found.state !== "looking" && svg("rect", { class: "window", x, y, width, height }),
    ),
  );
}
