// The card of a finished job: the verdict and the files, or the error.
import { h, sign } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { duration, money, number, when } from "../shared/format.js";
import { translatedNote } from "../shared/server_notes.js";
import { attemptList } from "../job/attempts.js";
import { answers } from "./questions.js";
import { errorText } from "../server/error_text.js";

export function resultCard(job, report, links, config, { onAgain, onMend, onRetry, onNew, onDelete }) {
  if (job.status === "completed") return completed(job, report, links, { onAgain, onMend, onNew, onDelete });
  const cancelled = job.error?.code === "cancelled";
  const { text, detail } = errorText(job.error ?? {}, config);
  return [
    h("h3", {
      class: "big",
      id: "done-title",
      tabindex: "-1",
      text: t(cancelled ? "cancelled_title" : "failed_title"),
    }),
    cancelled
      ? h("div", { class: "message", "data-kind": "quiet" }, h("p", { text: t("cancelled_text") }))
      : h(
          "div",
          { class: "message", "data-kind": "fail" },
          h("p", { text }),
          detail ? h("p", { class: "small", lang: "en", text: detail }) : null,
        ),
    facts(job),
    h(
      "div",
      { class: "stack" },
      h("button", { type: "button", class: "loud", id: "retry", onclick: onRetry, text: t("retry") }),
      h("button", { type: "button", class: "plain", id: "new", onclick: onNew, text: t("new_clip") }),
      h("button", { type: "button", class: "link danger", id: "delete", onclick: onDelete, text: t("delete") }),
    ),
  ];
}

function completed(job, report, links, { onAgain, onMend, onNew, onDelete }) {
  const verdict = job.verdict ?? report?.verdict ?? "not_measured";
  const seal = sign(verdict);
  seal.className = "seal";
  const notes = [...new Set([...(job.warnings ?? []), ...(report?.warnings ?? [])])];
  const files = [
    ["thumbnail", "download_thumbnail"],
    ["report", "download_report"],
    ["contact_sheet", "download_sheet"],
  ].filter(([variant]) => job.variants?.includes(variant));
  return [
    h(
      "div",
      { class: "verdict" },
      seal,
      h(
        "div",
        {},
        h("h3", { class: "big", id: "done-title", tabindex: "-1", text: verdictTitle(verdict, report) }),
        h("p", { class: "small quiet", text: t(`finished_${verdict}_hint`) }),
      ),
    ),
    facts(job),
    job.batch?.startsWith("comparison_")
      ? h("p", { class: "small" }, h("a", { href: `#${job.batch}`, text: t("compare_part") }))
      : null,
    attemptList(job.gate),
    notes.length
      ? h(
          "details",
          {},
          h("summary", { class: "small", text: t("notes", { n: notes.length }) }),
          h(
            "ul",
            { class: "notes" },
            notes.map((sentence) => h("li", translatedNote(sentence))),
          ),
        )
      : null,
    h(
      "div",
      { class: "downloads" },
      h("a", { class: "loud", id: "download", href: links.download("video"), download: "", text: t("download_clip") }),
      links.report_html
        ? h("a", {
            class: "plain",
            id: "open-report",
            href: links.report_html,
            target: "_blank",
            rel: "noopener",
            text: t("open_report"),
          })
        : null,
      files.map(([variant, word]) =>
        h("a", {
          class: "plain",
          id: `download-${variant}`,
          href: links.download(variant),
          download: "",
          text: t(word),
        }),
      ),
    ),
    h(
      "div",
      { class: "stack" },
      verdict === "fail" && !job.until_pass
        ? h("button", { type: "button", class: "plain", id: "mend", onclick: onMend, text: t("mend") })
        : null,
      h("button", { type: "button", class: "plain", id: "again", onclick: onAgain, text: t("again") }),
      h("button", { type: "button", class: "plain", id: "new", onclick: onNew, text: t("new_clip") }),
      h("button", { type: "button", class: "link danger", id: "delete", onclick: onDelete, text: t("delete") }),
    ),
    h("p", { class: "small quiet", text: job.expires_at ? t("expires", { when: when(job.expires_at) }) : "" }),
  ];
}

// A failed check is counted once the report tells how many there are.
function verdictTitle(verdict, report) {
  if (verdict !== "fail" || !report) return t(`finished_${verdict}`);
  const questions = answers(report.scores).flatMap((group) => group.questions);
  const failed = questions.filter((question) => question.verdict === "fail").length;
  return failed === 1 ? t("finished_fail_one") : t("finished_fail_many", { n: number(failed) });
}

function facts(job) {
  const fact = (word, figure, more) =>
    h("div", {}, h("dt", { text: word }), h("dd", {}, figure, more ? h("small", { text: ` ${more}` }) : null));
  const took = job.inference_time_s ?? job.elapsed_seconds;
  return h(
    "dl",
    { class: "facts" },
    took ? fact(t("took"), duration(took)) : null,
    job.cost
      ? fact(
          t("cost"),
          money(job.cost.amount, job.cost.currency),
          job.cost.currency === "USD" ? "" : money(job.cost.usd, "USD"),
        )
      : null,
    fact(t("size"), `${job.width}×${job.height}`),
    fact(t("length"), t("seconds", { n: number(job.num_frames / (Number(job.fps) || 24), 1) })),
    fact(t("seed"), String(job.seed)),
    fact(t("engine"), job.model),
  );
}
