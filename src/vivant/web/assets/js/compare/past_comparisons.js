// Links to the newest comparisons, so that each is found again from any device.
import { byId, h } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { number, when } from "../shared/format.js";
import { isOver } from "../shared/job_state.js";
import { session } from "../shared/session.js";

export function createPastComparisons() {
  let past = [];

  async function refresh() {
    past = await session.api.comparisons().catch(() => []); // an older server has none
    render();
  }

  function render() {
    const nav = byId("compared");
    nav.hidden = !past.length;
    nav.replaceChildren(h("h3", { id: "compared-name", text: t("compared") }), h("ul", {}, past.map(item)));
  }

  return { refresh, render };
}

function item(one) {
  const state = isOver(one) ? t("compare_count", { n: number(one.clips) }) : `${number(one.progress)}%`;
  return h(
    "li",
    {},
    h("a", { href: `#${one.id}` }, one.title[language()]),
    h("span", { class: "small quiet", text: ` · ${when(one.created_at)} · ${state}` }),
  );
}
