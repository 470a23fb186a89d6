// The checklist under a finished clip, made from its report.json.
import { h, sign } from "../shared/dom.js";
import { known, t } from "../shared/i18n.js";
import { duration, money, value } from "../shared/format.js";
import { scorePlot } from "./score_plot.js";
import { answers, reason, scoreName } from "./questions.js";

function tally(questions) {
  return h(
    "p",
    { class: "tally" },
    ["pass", "warn", "fail", "not_measured"]
      .map((verdict) => [verdict, questions.filter((question) => question.verdict === verdict).length])
      .filter(([, count]) => count)
      .map(([verdict, count]) => h("span", {}, sign(verdict), t("tally", { word: t(`verdict_${verdict}`), n: count }))),
  );
}

// Folded on a telephone, where the five answers of the card come first.
const UNFOLDED = "(min-width: 60.01rem)";

export function checklist(report, job, links, player) {
  const last = Math.max(0, job.num_frames - 1);
  const groups = answers(report.scores);
  return [
    h(
      "details",
      { class: "fold", id: "checklist", open: matchMedia(UNFOLDED).matches },
      h(
        "summary",
        { class: "section-head" },
        h("h2", { id: "proof-name", text: t("proof") }),
        tally(groups.flatMap(({ questions }) => questions)),
      ),
      overTime(report.scores, last, player),
      h(
        "div",
        { class: "groups" },
        groups.map((group) => groupOf(group, last, player)),
      ),
    ),
    provenance(report, links),
  ];
}

function groupOf({ group, title, questions }, last, player) {
  return h(
    "section",
    { class: "group", "data-group": group, "aria-labelledby": `group-${group}` },
    h("h3", { id: `group-${group}`, text: title }),
    h(
      "ul",
      {},
      questions.map((question) => row(question, last, player)),
    ),
  );
}

const HEADLINES = ["identity_mean", "face_deformation", "motion", "face_sharpness"];

// The most telling plots stand open; each other plot stands with its question.
function overTime(scores, last, player) {
  const lines = HEADLINES.map((name) => scores.find((score) => score.name === name)).filter(
    (score) => score?.series?.length > 1,
  );
  if (!lines.length) return null;
  return h(
    "section",
    { class: "over-time", "aria-labelledby": "over-time" },
    h("h3", { id: "over-time", text: t("over_time") }),
    h("p", { class: "small quiet", text: t("over_time_hint") }),
    h(
      "div",
      { class: "lines" },
      lines.map((score) =>
        h(
          "div",
          {},
          h(
            "p",
            { class: "line" },
            h("strong", { text: scoreName(score.name) }),
            h("span", { class: "figures", text: value(score.value, score.unit) }),
          ),
          scorePlot(score, scoreName(score.name), last, player.fps, player),
        ),
      ),
    ),
  );
}

function row({ asked, verdict, scores, note }, last, player) {
  // The scores that decide the answer are shown; the others open with a click.
  const shown = scores.filter((score) => score.verdict === verdict);
  const said = shown.length ? shown.slice(0, verdict === "pass" ? 1 : 3) : [];
  return h(
    "li",
    { class: "question", "data-verdict": verdict },
    sign(verdict),
    h("span", { class: "ask", text: asked }),
    h("span", { class: "word", "data-is": verdict, text: t(`verdict_${verdict}`) }),
    h("div", { class: "why" }, said.length ? said.map((score) => sentence(score)) : h("p", { text: note })),
    scores.length
      ? h(
          "details",
          {},
          h("summary", { text: t("numbers", { n: scores.length }) }),
          scores.map((score) => measure(score, last, player)),
        )
      : null,
  );
}

function sentence(score) {
  const { text, lang } = reason(score);
  return h("p", { lang, text });
}

function measure(score, last, player) {
  const name = scoreName(score.name);
  return h(
    "div",
    { class: "measure" },
    h("p", { class: "line" }, h("strong", { text: name }), h("span", { class: "figures", text: figure(score) })),
    sentence(score),
    scorePlot(score, name, last, player.fps, player),
    Number.isInteger(score.frame) &&
      h("button", {
        type: "button",
        class: "link",
        onclick: () => player.point(score.frame, score.region),
        text: t("show_frame"),
      }),
  );
}

// A value in words ("index first") is not shown: its sentence says it in the page's language.
function figure({ value: found, unit }) {
  if (found === null) return t("verdict_not_measured");
  return typeof found === "number" ? value(found, unit) : "";
}

function provenance(report, links) {
  const settings = report.settings ?? {};
  const pairs = [
    [t("engine"), report.engine?.name],
    [t("moves"), report.engine?.moves === "camera" ? t("moves_camera") : t("moves_person")],
    [t("upscaler"), report.upscaler],
    [t("device"), report.engine?.device],
    [t("seed"), settings.seed],
    [t("prompt"), settings.prompt],
    [t("negative"), settings.negative_prompt],
    [t("took"), duration(report.seconds)],
    [
      t("cost"),
      report.bill ? `${money(report.bill.amount, report.bill.currency)} · ${money(report.bill.usd, "USD")}` : null,
    ],
    ...(report.stages ?? []).map(({ stage, seconds }) => [
      known(`stage_${stage}`) ? t(`stage_${stage}`) : stage,
      duration(seconds),
    ]),
    [t("version"), report.vivant_version],
  ].filter(([, found]) => found !== undefined && found !== null && found !== "");
  return h(
    "details",
    { class: "provenance" },
    h("summary", { text: t("provenance") }),
    h(
      "dl",
      {},
      pairs.map(([name, found]) => h("div", {}, h("dt", { text: name }), h("dd", { text: String(found) }))),
    ),
    links.contact_sheet &&
      h("img", {
        class: "sheet",
        src: links.contact_sheet,
        crossorigin: "anonymous",
        alt: t("contact_sheet_alt"),
        loading: "lazy",
      }),
  );
}
