// The card of a finished job: the verdict and the files, or the error.
import { h, sign } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { duration, money, number, when } from "../shared/format.js";
import { areTakes, cardId } from "../shared/job_state.js";
import { translatedNote } from "../shared/server_notes.js";
import { attemptList } from "../job/attempts.js";
import { answers } from "./questions.js";
import { errorText } from "../server/error_text.js";

// report: null until it is loaded; five: the element of summary(), with the report.
export function resultCard(job, { report, five }, links, config, { onAgain, onMend, onRetry, onNew, onDelete }) {
  const found = { report, five };
  if (job.status === "completed") return completed(job, found, links, { onAgain, onMend, onNew, onDelete });
  const cancelled = job.error?.code === "cancelled";
  const expired = job.error?.code === "expired";
  const { text, detail } = errorText(job.error ?? {}, config);
  return [
    h("h3", {
      class: "big",
      id: "done-title",
      tabindex: "-1",
      text: t(cancelled ? "cancelled_title" : expired ? "expired_title" : "failed_title"),
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
      !expired && h("button", { type: "button", class: "loud", id: "retry", onclick: onRetry, text: t("retry") }),
      h("button", { type: "button", class: "plain", id: "new", onclick: onNew, text: t("new_clip") }),
      h("button", { type: "button", class: "link danger", id: "delete", onclick: onDelete, text: t("delete") }),
    ),
  ];
}

function completed(job, { report, five }, links, { onAgain, onMend, onNew, onDelete }) {
  const verdict = job.verdict ?? report?.verdict ?? "not_measured";
  const seal = sign(verdict);
  seal.className = "seal";
  const mendable = verdict === "fail" && !job.until_pass;
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
    attemptList(job.gate),
    downloads(job, links),
    five,
    facts(job),
    cardId(job) === job.batch ? groupLink(job.batch) : null,
    notes([...(job.warnings ?? []), ...(report?.warnings ?? [])]),
    h(
      "div",
      { class: "stack" },
      mendable && h("button", { type: "button", class: "plain", id: "mend", onclick: onMend, text: t("mend") }),
      h("button", { type: "button", class: "plain", id: "again", onclick: onAgain, text: t("again") }),
      h("button", { type: "button", class: "plain", id: "new", onclick: onNew, text: t("new_clip") }),
      h("button", { type: "button", class: "link danger", id: "delete", onclick: onDelete, text: t("delete") }),
    ),
    h("p", { class: "small quiet", text: job.expires_at ? t("expires", { when: when(job.expires_at) }) : "" }),
  ];
}

function groupLink(batch) {
  const text = t(areTakes(batch) ? "takes_part" : "compare_part");
  return h("p", { class: "small" }, h("a", { href: `#${batch}`, text }));
}

// The clip first, then what belongs to publishing it, then the files for experts.
function downloads(job, links) {
  const file = (variant, word) =>
    job.variants?.includes(variant) &&
    h("a", { class: "plain", id: `download-${variant}`, href: links.download(variant), download: "", text: t(word) });
  const page = { class: "plain", id: "open-report", href: links.report_html, target: "_blank", rel: "noopener" };
  return h(
    "div",
    { class: "downloads" },
    h("a", { class: "loud", id: "download", href: links.download("video"), download: "", text: t("download_clip") }),
    file("thumbnail", "download_thumbnail"),
    links.report_html && h("a", { ...page, text: t("open_report") }),
    file("contact_sheet", "download_sheet"),
    file("report", "download_report"),
  );
}

// sentences: of the server and of the report, in English; one may be in both.
function notes(sentences) {
  const found = [...new Set(sentences)];
  if (!found.length) return null;
  return h(
    "details",
    {},
    h("summary", { class: "small", text: t("notes", { n: found.length }) }),
    h(
      "ul",
      { class: "notes" },
      found.map((sentence) => h("li", translatedNote(sentence))),
    ),
  );
}

// What to look at is counted once the report tells how much there is.
function verdictTitle(verdict, report) {
  if (!["fail", "warn"].includes(verdict) || !report) return t(`finished_${verdict}`);
  const questions = answers(report.scores).flatMap((group) => group.questions);
  const count = questions.filter((question) => question.verdict === verdict).length;
  return count === 1 ? t(`finished_${verdict}_one`) : t(`finished_${verdict}_many`, { n: number(count) });
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
