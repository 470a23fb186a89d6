// Asks for the server's address and key.
import { byId, h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { cleanEndpoint } from "./api.js";

// fixed: the page comes from its server, so that there is no address to enter. onSave returns an error text or null.
export function askConnection({ endpoint, key, lasting, fixed, needsKey }, onSave) {
  const dialog = byId("connection");
  const error = h("p", { class: "error", role: "alert", tabindex: "-1", hidden: true });
  const address = h("input", {
    type: "text",
    inputmode: "url",
    id: "endpoint",
    value: endpoint,
    placeholder: "https://…",
    autocomplete: "url",
    spellcheck: "false",
  });
  const secret = h("input", { type: "password", id: "key", value: key, autocomplete: "off", spellcheck: "false" });
  const keep = h("input", { type: "checkbox", id: "keep", checked: lasting });
  const form = h(
    "form",
    { method: "dialog", novalidate: true },
    fixed
      ? null
      : h(
          "div",
          { class: "field" },
          h("label", { for: "endpoint", text: t("endpoint") }),
          address,
          h("p", { class: "hint", text: t("endpoint_hint") }),
        ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "key", text: t(needsKey ? "key_needed" : "key") }),
      secret,
      h("p", { class: "hint", text: t("key_hint") }),
    ),
    h("label", { class: "row small" }, keep, t("key_keep")),
    error,
    h(
      "div",
      { class: "row" },
      h("button", { type: "submit", class: "loud", id: "save-connection", text: t("connect_do") }),
      h("button", { type: "button", class: "plain", onclick: () => dialog.close(), text: t("close") }),
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let cleaned = endpoint;
    try {
      if (!fixed) cleaned = cleanEndpoint(address.value);
      if (!fixed && !cleaned) throw new TypeError("empty");
    } catch {
      error.textContent = t("endpoint_bad");
      error.hidden = false;
      address.focus();
      return;
    }
    const problem = await onSave({ endpoint: cleaned, key: secret.value.trim(), lasting: keep.checked });
    error.textContent = problem ?? "";
    error.hidden = !problem;
    if (problem) error.focus();
    else dialog.close();
  });
  dialog.replaceChildren(
    h("h2", { id: "connection-name", text: t("connection") }),
    h("p", { class: "quiet small", text: t(fixed ? "connection_here" : "connection_away") }),
    form,
  );
  if (!dialog.open) dialog.showModal();
}
