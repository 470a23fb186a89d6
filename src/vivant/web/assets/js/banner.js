// One line above everything: what went wrong with the server, and a way to try again.
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { session } from "./session.js";
import { explain } from "./trouble.js";

let shown = null;

export function showBanner(error, again) {
  shown = { error, again };
  const box = byId("banner");
  const { text, detail } = explain(error, session.config);
  box.dataset.kind = error.code === "network" ? "warn" : "fail";
  box.replaceChildren(
    h("p", {}, text, detail && detail !== text ? h("span", { class: "small", lang: "en", text: ` ${detail}` }) : null),
    again ? h("button", { type: "button", class: "plain", onclick: again, text: t("try_again") }) : "",
  );
  box.hidden = false;
}

export function hideBanner() {
  shown = null;
  byId("banner").hidden = true;
  byId("banner").replaceChildren();
}

export function bannerIs(code) {
  return shown?.error.code === code;
}

export function translateBanner() {
  if (shown) showBanner(shown.error, shown.again);
}
