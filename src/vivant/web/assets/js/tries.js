// What was tried until a clip passed: what was changed and against which checks, the verdict, time and cost.
import { h, sign } from "./dom.js";
import { known, language, t } from "./i18n.js";
import { duration, money } from "./format.js";
import { scoreName } from "./questions.js";

const listed = (names) => names.map(scoreName).join(language() === "ko" ? ", " : "; ");

function change({ code, remedy, why }) {
  const what = code === "" ? t("try_first") : known(`try_${code}`) ? t(`try_${code}`) : remedy;
  return why?.length ? t("try_against", { what, why: listed(why) }) : what;
}

function took(attempt) {
  const cost = attempt.usd === null || attempt.usd === undefined ? "" : ` · ${money(attempt.usd, "USD")}`;
  return duration(attempt.seconds) + cost;
}

function row(attempt, chosen) {
  const verdict = attempt.verdict ?? "not_measured";
  const found = attempt.verdict === null ? t("try_unfinished") : attempt.failed.length ? t("try_failed", { names: listed(attempt.failed) }) : t("try_passed");
  return h(
    "li",
    { "data-is": verdict },
    sign(verdict),
    h(
      "div",
      {},
      h("p", {}, h("strong", { text: `${attempt.number}. ` }), change(attempt), chosen ? h("em", { text: ` · ${t("try_chosen")}` }) : null),
      h("p", { class: "small quiet", text: `${found} · ${took(attempt)}` }),
    ),
  );
}

// gate: of a video object or an event; null where one clip was wanted, passed or not.
export function tries(gate) {
  if (!gate) return null;
  const over = gate.stop !== null;
  const rows = gate.attempts.map((attempt) => row(attempt, over && attempt.number === gate.chosen && gate.attempts.length > 1));
  if (gate.trying && gate.attempts.length) {
    rows.push(h("li", { "data-is": "now" }, h("span", { class: "dot", "aria-hidden": "true" }), h("p", {}, h("strong", { text: `${gate.attempts.length + 1}. ` }), change(gate.trying))));
  }
  if (!rows.length || (over && rows.length === 1 && gate.passed)) return null;
  const last = gate.attempts.at(-1);
  const end = !over ? "" : known(`tries_${gate.stop}`) ? t(`tries_${gate.stop}`, { budget: gate.budget, names: listed(last?.failed ?? []), why: last?.trouble ?? "" }) : gate.stopped;
  return h("section", { class: "tries", "aria-label": t("tries") }, h("h4", { text: t("tries") }), h("ol", {}, rows), end ? h("p", { class: "small", text: end }) : null);
}
