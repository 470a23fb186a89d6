// Who made a picture, and its licence: the sample's licence asks for this.
import { h } from "./dom.js";
import { t } from "./i18n.js";

const link = (text, href) => h("a", { href, target: "_blank", rel: "noopener", text });

// credit: { authors, source, licence, licence_url } of the server; nothing without one.
export function creditLine(credit) {
  if (!credit) return null;
  const parts = [link(credit.authors, credit.source), ", ", link(credit.licence, credit.licence_url)];
  return h("p", { class: "small quiet credit" }, t("sample_credit"), " ", parts);
}
