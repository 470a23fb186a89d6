// A picture of which only the crop is visible.
import { h, style } from "../shared/dom.js";
import { t } from "../shared/i18n.js";

// crop: left, top, width and height as fractions of the picture.
export function croppedPicture(picture, crop, alt, found = {}) {
  if (!picture.drawable) {
    const refused = found.state === "refused";
    return h(
      "div",
      { class: "unseeable" },
      h("strong", { text: t(refused ? "refused_title" : "undrawable_title") }),
      refused ? null : h("p", { class: "small", text: t("undrawable") }),
    );
  }
  return h("div", { class: "cropped" }, place(h("img", { src: picture.url, alt, draggable: "false" }), crop));
}

// Places the picture so that the crop fills the frame. CSS animates the change.
export function place(img, crop) {
  return style(img, {
    left: `${(-crop.left / crop.width) * 100}%`,
    top: `${(-crop.top / crop.height) * 100}%`,
    width: `${100 / crop.width}%`,
    height: `${100 / crop.height}%`,
  });
}
