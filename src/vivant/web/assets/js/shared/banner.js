// One message at the top of the window, always in view: what is wrong with the server, and a way to try again.
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { session } from "./session.js";
import { errorText } from "../server/error_text.js";

let shown = null;

export function showBanner(error, again) {
  shown = { error, again };
  const box = byId("banner");
  const { text, detail } = errorText(error, session.config);
  box.dataset.kind = ["network", "file_page"].includes(error.code) ? "warn" : "fail";
  box.replaceChildren(
    h("p", {}, text, detail && h("span", { class: "small", lang: "en", text: ` ${detail}` })),
    again ? h("button", { type: "button", class: "plain", onclick: again, text: t("try_again") }) : "",
  );
  box.hidden = false;
}

export function hideBanner() {
  shown = null;
  byId("banner").hidden = true;
  byId("banner").replaceChildren();
}

// Whether the banner says that the server cannot be reached.
export function bannerSaysUnreachable() {
  return ["network", "file_page"].includes(shown?.error.code);
}

export function translateBanner() {
  if (shown) showBanner(shown.error, shown.again);
}
