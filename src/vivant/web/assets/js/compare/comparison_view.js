// What the card shows of one comparison: its progress or its advice, its clips, and what was left out.
import { h } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { go } from "../shared/address.js";
import { clipRow } from "../shared/clip_row.js";
import { duration, number, when } from "../shared/format.js";
import { fact, groupTitle, progressBar, spending } from "../shared/group_panel.js";
import { isOver } from "../shared/job_state.js";
import { session } from "../shared/session.js";

const ICONS = { use: "✓", keep: "↩", choose: "⇄", same: "=", more: "?", identical: "≡", nothing: "–", wait: "…" };

export function finishedClips({ counts }) {
  return (counts.completed ?? 0) + (counts.failed ?? 0);
}

// state: the comparison object of the API; opened: whether the list of clips is open.
export function comparisonView(state, { opened, onCancel, onRemove }) {
  const over = isOver(state);
  const count = { n: number(finishedClips(state)), total: number(state.clips) };
  return [
    h("p", { class: "small quiet", text: state.title[language()] }),
    groupTitle("comparison", over ? t("compare_done", count) : t("compare_running", count)),
    over ? null : progressBar(state.progress),
    state.error ? errorMessage(state.error) : null,
    h("div", { class: "advices" }, (state.findings?.recommendations ?? []).map(advice)),
    pageLinks(state, over),
    figures(state, over),
    leftOut(state),
    clipList(state, over, opened),
    h("p", { class: "small quiet", text: over ? keptText(state) : t("line_live") }),
    buttons(over, onCancel, onRemove),
  ];
}

function buttons(over, onCancel, onRemove) {
  const button = (name, kind, action, word) =>
    h("button", { type: "button", class: kind, id: `comparison-${name}`, onclick: action, text: t(word) });
  return h(
    "div",
    { class: "stack" },
    over ? null : button("end", "plain", onCancel, "batch_end"),
    button("new", "plain", () => go(""), "new_clip"),
    over ? button("delete", "link danger", onRemove, "delete") : null,
  );
}

function errorMessage(error) {
  return h(
    "div",
    { class: "message", "data-kind": "fail" },
    h("p", { text: t("compare_nothing") }),
    h("p", { class: "small", lang: "en", text: error.message }),
  );
}

function advice(one) {
  const code = language();
  return h(
    "section",
    { class: "advice", "data-is": one.advice },
    h("span", { class: "advice-mark", "aria-hidden": "true", text: ICONS[one.advice] ?? "?" }),
    h(
      "div",
      {},
      h("h4", { text: one.heading[code] }),
      h("p", { text: one.text[code] }),
      one.price[code] ? h("p", { class: "small quiet", text: one.price[code] }) : null,
    ),
  );
}

function pageLinks(state, over) {
  const hasPairs = state.findings?.recommendations.some((one) => one.pairs);
  if (!state.findings || !(over || hasPairs)) return null;
  const { theme } = document.documentElement.dataset;
  const query = { lang: language(), ...(theme ? { theme } : {}) };
  const page = (more) => session.api.comparisonPage(state, { ...query, ...more });
  const open = { id: "comparison-page", href: page(), target: "_blank", rel: "noopener", text: t("compare_open") };
  const download = { id: "comparison-download", href: page({ download: "1" }), download: "" };
  return h(
    "div",
    { class: "downloads" },
    h("a", { class: over ? "loud" : "plain", ...open }),
    over ? h("a", { class: "plain", ...download, text: t("compare_download") }) : null,
  );
}

function figures(state, over) {
  const left = state.eta_seconds;
  return h(
    "dl",
    { class: "facts" },
    spending(state, over),
    left ? fact("left", t("about", { n: duration(left, false) })) : null,
  );
}

function leftOut(state) {
  if (!state.failures.length) return null;
  const name = ({ picture, variant, seed }) =>
    [picture, variant && variantName(state, variant), seed !== null && t("seed_is", { n: seed })]
      .filter(Boolean)
      .join(" · ");
  const item = (one) => h("li", {}, h("bdi", { text: name(one) }), ": ", h("span", { lang: "en", text: one.reason }));
  return h(
    "details",
    {},
    h("summary", { class: "small", text: t("compare_left_out", { n: number(state.failures.length) }) }),
    h("ul", { class: "notes" }, state.failures.map(item)),
  );
}

function clipList(state, over, opened) {
  return h(
    "details",
    { id: "comparison-all", open: opened },
    h("summary", { class: "small", text: t("compare_all", { n: number(state.clips) }) }),
    h(
      "ol",
      { class: "rows" },
      state.data.map((one) => clipItem(one, state, over)),
    ),
  );
}

function clipItem(one, state, over) {
  const done = one.status === "completed";
  return clipRow({
    title: `${variantName(state, one.variant)} · ${one.picture} · ${t("seed_is", { n: one.seed })}`,
    id: state.clips_kept || !over ? one.video : null,
    verdict: done ? (one.verdict ?? "not_measured") : null,
    failed: one.status === "failed" ? t("failed_title") : null,
    state: t(one.status === "in_progress" ? "being_made" : "queued"),
  });
}

function variantName(state, name) {
  return state.plan.variants.find((variant) => variant.name === name)?.words?.[language()] ?? name;
}

function keptText(state) {
  if (state.clips_expire_at) return t("compare_expires", { when: when(state.clips_expire_at) });
  return state.findings ? t("compare_expired") : "";
}
