// The attempts at a clip that is made again until no check fails: what was changed, why, the verdict, time and cost.
import { h, sign } from "../shared/dom.js";
import { known, language, t } from "../shared/i18n.js";
import { duration, money } from "../shared/format.js";
import { scoreName } from "../result/questions.js";

const names = (scores) => scores.map(scoreName).join(language() === "ko" ? ", " : "; ");

// gate: of a video object or an event; null if one clip was wanted, whatever its verdict.
export function attemptList(gate) {
  if (!gate) return null;
  const { attempts, trying } = gate;
  const over = gate.stop !== null;
  const chosen = (attempt) => over && attempt.number === gate.chosen && attempts.length > 1;
  const rows = attempts.map((attempt) => finishedRow(attempt, chosen(attempt)));
  if (trying && attempts.length) rows.push(runningRow(attempts.length + 1, trying));
  if (!rows.length || (over && rows.length === 1 && gate.passed)) return null;
  return h(
    "section",
    { class: "tries", "aria-label": t("tries") },
    h("h4", { text: t("tries") }),
    h("ol", {}, rows),
    over ? h("p", { class: "small", text: whyEnded(gate) }) : null,
  );
}

function finishedRow(attempt, chosen) {
  const verdict = attempt.verdict ?? "not_measured";
  return h(
    "li",
    { "data-is": verdict },
    sign(verdict),
    h(
      "div",
      {},
      h(
        "p",
        {},
        h("strong", { text: `${attempt.number}. ` }),
        change(attempt),
        chosen ? h("em", { text: ` · ${t("try_chosen")}` }) : null,
      ),
      h("p", { class: "small quiet", text: `${outcome(attempt)} · ${spent(attempt)}` }),
    ),
  );
}

function runningRow(number, trying) {
  return h(
    "li",
    { "data-is": "now" },
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("p", {}, h("strong", { text: `${number}. ` }), change(trying)),
  );
}

function change({ code, remedy, why }) {
  const what = code === "" ? t("try_first") : known(`try_${code}`) ? t(`try_${code}`) : remedy;
  return why?.length ? t("try_against", { what, why: names(why) }) : what;
}

function outcome({ verdict, failed }) {
  if (verdict === null) return t("try_unfinished");
  return failed.length ? t("try_failed", { names: names(failed) }) : t("try_passed");
}

function spent({ seconds, usd }) {
  return usd === null || usd === undefined ? duration(seconds) : `${duration(seconds)} · ${money(usd, "USD")}`;
}

function whyEnded({ stop, stopped, budget, attempts }) {
  if (!known(`tries_${stop}`)) return stopped;
  const last = attempts.at(-1);
  return t(`tries_${stop}`, {
    budget: budgetText(budget),
    limit: withObjectParticle(budgetText(budget)),
    names: names(last?.failed ?? []),
    why: last?.trouble ?? "",
  });
}

// Korean marks an object by 을 or 를, after how the last word sounds: "5분을", "45초를", "₩100을", "$0.50를".
function withObjectParticle(text) {
  if (language() !== "ko") return text;
  return text + (text.endsWith("초") || text.startsWith("$") ? "를" : "을");
}

// The server writes a budget as "300 s" or "$0.50".
function budgetText(budget) {
  const seconds = /^([\d.]+) ?s$/.exec(budget ?? "");
  if (!seconds) return budget;
  const total = Number(seconds[1]);
  return total >= 60 && total % 60 === 0 ? t("whole_minutes", { n: total / 60 }) : duration(total);
}
