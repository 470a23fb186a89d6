// Which scores answer which question of the checklist. The tables come from the checks.
import { language, t } from "../shared/i18n.js";
import { CHECKLIST, SENTENCES } from "./check_words.js";
import { pythonFormat } from "../shared/format.js";

const WORST = ["fail", "warn", "pass", "not_measured"];

export function worst(scores) {
  const verdicts = new Set(scores.map((score) => score.verdict));
  return WORST.find((verdict) => verdicts.has(verdict)) ?? "not_measured";
}

const word = (pair) => pair?.[language()] ?? "";

export function scoreName(name) {
  return word(CHECKLIST.titles[name]) || name.replaceAll("_", " ");
}

// The reason of a score, in the page's language if its sentence is known, else in the server's English.
export function reason(score) {
  const sentence = SENTENCES[score.facts?.message]?.[language()];
  if (language() === "en" || !sentence) return { text: score.reason, lang: "en" };
  return { text: pythonFormat(sentence, score.facts), lang: language() };
}

// The question about the size names the requested size.
function filled(words, scores) {
  const size = scores.find((score) => score.name === "size")?.limit ?? "1920x1080";
  return words.replace("{size}", String(size).replace("x", "×"));
}

// Every question with the scores that answer it. Scores without a question follow at the end of their group.
export function answers(scores) {
  const left = new Set(scores);
  const asked = CHECKLIST.questions.map((question) => {
    const found = question.scores.flatMap((name) => scores.filter((score) => score.name === name));
    found.forEach((score) => left.delete(score));
    const note = word(CHECKLIST.notes[question.note]) || t("nothing_measures_this");
    return { group: question.group, asked: filled(word(question), found), scores: found, verdict: worst(found), note };
  });
  for (const score of left) {
    asked.push({ group: score.group, asked: scoreName(score.name), scores: [score], verdict: score.verdict, note: "" });
  }
  const groups = new Set([...Object.keys(CHECKLIST.groups), ...asked.map(({ group }) => group)]);
  return [...groups].map((group) => ({
    group,
    title: word(CHECKLIST.groups[group]) || String(group).replaceAll("_", " "),
    questions: asked.filter((question) => question.group === group),
  }));
}
