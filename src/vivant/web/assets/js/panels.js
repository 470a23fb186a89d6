// Which of the card's panels is shown, the heading, and what screen readers are told.
import { byId } from "./dom.js";
import { t } from "./i18n.js";

const NAMES = { form: "card_new", run: "card_run", done: "card_done", batch: "card_batch", comparison: "card_comparison" };

export function say(words) {
  byId("say").textContent = words;
}

export function showPanel(name, heading) {
  for (const id of Object.keys(NAMES)) byId(id).hidden = id !== name;
  byId("card-name").textContent = t(NAMES[name]);
  byId("title").textContent = t(heading);
  byId("proof").hidden = true;
}
