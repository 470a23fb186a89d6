// Asks for a yes before something is removed. Resolves to true after "yes".
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";

export function confirmDialog(title, text, yes) {
  const dialog = byId("confirm");
  return new Promise((resolve) => {
    let answer = false;
    const accept = () => {
      answer = true;
      dialog.close();
    };
    dialog.replaceChildren(
      h("h2", { id: "confirm-name", text: title }),
      h("p", { text }),
      h(
        "form",
        { method: "dialog" },
        h(
          "div",
          { class: "row" },
          h("button", { type: "button", class: "loud", id: "sure", onclick: accept, text: yes }),
          h("button", { type: "button", class: "plain", onclick: () => dialog.close(), text: t("keep") }),
        ),
      ),
    );
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
  });
}
