// Shows one panel of the card, sets the page's heading, and announces messages to screen readers.
import { byId } from "./dom.js";
import { t } from "./i18n.js";

const PANELS = {
  form: "card_new",
  run: "card_run",
  done: "card_done",
  batch: "card_batch",
  comparison: "card_comparison",
};

export function announce(words) {
  byId("say").textContent = words;
}

export function showPanel(name, heading) {
  for (const id of Object.keys(PANELS)) byId(id).hidden = id !== name;
  byId("card-name").textContent = t(PANELS[name]);
  byId("title").textContent = t(heading);
  byId("proof").hidden = true;
  byId("action-bar").hidden = name !== "form";
}
