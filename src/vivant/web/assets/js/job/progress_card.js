// The card while a picture is sent, and while a job waits or runs.
import { h, style } from "../shared/dom.js";
import { known, t } from "../shared/i18n.js";
import { duration, money, number } from "../shared/format.js";

const STAGES = ["image", "load", "generate", "upscale", "encode", "verify", "store"];
// Stages of every job: they are listed before they begin.
const ALWAYS = ["generate", "encode", "verify"];

export function createProgressCard(root, { onCancel, onNew }) {
  let attempts = null; // the module, loaded for the first job with attempts: it has the names of all checks
  const parts = {
    title: h("h3", { class: "big", id: "run-title", tabindex: "-1" }),
    percent: h("p", { class: "percent figures", id: "percent" }),
    bar: h("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, id: "bar" }, h("i")),
    stages: h("ul", { class: "stages", id: "stages" }),
    tries: h("div", { id: "run-tries" }),
    facts: h("dl", { class: "facts", id: "run-facts" }),
    line: h("p", { class: "small quiet", id: "line" }),
    cancel: h("button", { type: "button", class: "plain", id: "cancel", onclick: onCancel }),
    another: h("button", { type: "button", class: "link", id: "another", onclick: onNew }),
  };
  const { cancel, another, ...above } = parts;
  root.replaceChildren(...Object.values(above), h("div", { class: "stack" }, cancel, another));
  // upload: sent part from 0 to 1; line: "live", "polling" or "lost"; at: when the job was received.
  let shown = { job: null, at: 0, upload: null, line: "live", cancelling: false };

  function render() {
    const { job, cancelling } = shown;
    parts.cancel.textContent = t(cancelling ? "cancelling" : "cancel");
    parts.cancel.disabled = cancelling;
    parts.another.textContent = t("make_another");
    parts.another.hidden = !job;
    parts.bar.setAttribute("aria-label", t("progress"));
    parts.title.textContent = cancelling ? t("cancelling") : job ? jobTitle(job) : uploadTitle(shown.upload ?? 0);
    if (job) renderJob(job);
    else renderUpload();
  }

  function renderUpload() {
    setProgress(shown.upload ?? 0, false);
    parts.percent.hidden = true;
    for (const part of [parts.stages, parts.tries, parts.facts]) part.replaceChildren();
    parts.line.textContent = t("uploading_hint");
  }

  function renderJob(job) {
    const waiting = job.status === "queued";
    setProgress(job.progress / 100, waiting);
    parts.stages.replaceChildren(...(waiting ? [] : stageRows(job)));
    if (job.gate && !attempts) loadAttempts();
    parts.tries.replaceChildren(attempts?.attemptList(job.gate) ?? "");
    const sinceReceived = (performance.now() - shown.at) / 1000;
    parts.facts.replaceChildren(...figures(job, waiting, sinceReceived));
    const words = job.attempt > 1 ? [t("attempt", { n: job.attempt })] : [];
    parts.line.textContent = [...words, t(`line_${shown.line}`)].join(" ");
  }

  async function loadAttempts() {
    attempts = await import("./attempts.js");
    render();
  }

  function setProgress(fraction, waiting) {
    const whole = Math.round(fraction * 100);
    parts.percent.replaceChildren(number(whole), h("small", { text: "%" }));
    parts.percent.hidden = waiting;
    parts.bar.classList.toggle("waiting", waiting);
    style(parts.bar, { "--done": fraction.toFixed(4) });
    if (waiting) parts.bar.removeAttribute("aria-valuenow");
    else parts.bar.setAttribute("aria-valuenow", String(whole));
  }

  return {
    show(changes) {
      if (changes.job) changes.at = performance.now();
      shown = { ...shown, ...changes };
      render();
    },
    // Time passes between two events.
    tick: () => shown.job && render(),
    render,
    focus: () => parts.title.focus({ preventScroll: true }),
    contains: (element) => root.contains(element),
  };
}

function jobTitle(job) {
  if (job.status !== "queued") return t(`doing_${STAGES.includes(job.stage) ? job.stage : "image"}`);
  if (job.queue_position === null || job.queue_position === undefined) return t("queued");
  return job.queue_position === 0 ? t("queued_next") : t("queued_behind", { n: job.queue_position });
}

function uploadTitle(part) {
  return part >= 1 ? t("uploaded") : t("uploading", { n: number(Math.round(part * 100)) });
}

function figures(job, waiting, sinceReceived) {
  const elapsed = (job.elapsed_seconds ?? 0) + (waiting ? 0 : sinceReceived);
  const left = job.eta_seconds ?? null;
  const fact = (word, figure, more) =>
    h("div", {}, h("dt", { text: t(word) }), h("dd", {}, figure, more ? h("small", { text: ` ${more}` }) : null));
  const { cost } = job;
  const dollars = cost && cost.currency !== "USD" ? money(cost.usd, "USD") : "";
  const remaining = left === null ? "–" : t("about", { n: duration(Math.max(1, left - sinceReceived), false) });
  return [
    fact("left", remaining),
    fact("elapsed", duration(elapsed)),
    cost ? fact("cost_so_far", money(cost.amount, cost.currency), dollars) : "",
  ];
}

function stageRows(job) {
  const begun = new Map((job.stages ?? []).map((stage) => [stage.stage, stage]));
  return STAGES.filter((name) => begun.has(name) || ALWAYS.includes(name)).map((name) =>
    stageRow(name, begun.get(name)),
  );
}

function stageRow(name, stage) {
  const finished = stage && stage.total > 0 && stage.done >= stage.total;
  const counted = stage && stage.total > 1;
  const bar = () =>
    style(h("div", { class: "bar", "aria-hidden": "true" }, h("i")), { "--done": stage.done / stage.total });
  return h(
    "li",
    { "data-is": !stage ? "later" : finished ? "done" : "now" },
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { text: known(`stage_${name}`) ? t(`stage_${name}`) : name }),
    h("span", { class: "count", text: counted ? count(stage) : finished ? t("stage_done") : "" }),
    counted && !finished ? bar() : null,
  );
}

function count({ unit, done, total }) {
  const word = ["frame", "step"].includes(unit) ? unit : "other";
  return t(`count_${word}`, { n: number(done), total: number(total) });
}
