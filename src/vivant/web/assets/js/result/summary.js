// The five questions of a client, answered in plain words, as on the first screen of the report.
import { h, sign } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { SUMMARY } from "./check_words.js";
import { answers, scoreName, worst } from "./questions.js";

const NAMED = 2; // troubles that are named in one answer

const isIdentity = (score) => score.name.startsWith("identity");

function topicOf({ group, scores }) {
  if (group !== "fidelity") return group;
  return scores.some(isIdentity) ? "person" : "face";
}

function lineOf({ topic, answers: sentences, ...question }, scores) {
  let verdict = worst(scores);
  // A face was found, but nobody knows whose.
  const unknown = topic === "person" && worst(scores.filter(isIdentity)) === "not_measured";
  if (unknown && verdict !== "fail") verdict = "not_measured";
  const deciding = scores.filter((score) => score.verdict === verdict);
  const what = deciding.slice(0, NAMED).map((score) => scoreName(score.name)).join(", ");
  const sentence = (sentences[verdict] ?? SUMMARY.unknown)[language()];
  const troubled = ["fail", "warn"].includes(verdict);
  const shown = troubled ? deciding.find((score) => Number.isInteger(score.frame)) : null;
  return { asked: question[language()], answer: sentence.replace("{what}", what), verdict, shown };
}

// player: of createPlayer. Returns a list; a question without any check is left out.
export function summary(report, player) {
  const questions = answers(report.scores).flatMap((group) => group.questions);
  const scoresOf = (topic) => questions.filter((one) => topicOf(one) === topic).flatMap((one) => one.scores);
  const lines = SUMMARY.questions.map((one) => [one, scoresOf(one.topic)]).filter(([, scores]) => scores.length);
  return h("ul", { class: "five", id: "five" }, lines.map(([one, scores]) => row(lineOf(one, scores), player)));
}

function row({ asked, answer, verdict, shown }, player) {
  const onclick = () => player.point(shown.frame, shown.region);
  const show = shown && h("button", { type: "button", class: "link", onclick, text: t("show_frame") });
  return h("li", { "data-verdict": verdict }, sign(verdict), h("b", { text: asked }), h("p", {}, answer, " ", show));
}
