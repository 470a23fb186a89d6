// The card while a clip is waiting or being made.
import { h, style } from "./dom.js";
import { known, t } from "./i18n.js";
import { duration, money, number } from "./format.js";
import { tries } from "./tries.js";

export const STAGES = ["image", "load", "generate", "upscale", "encode", "verify", "store"];

export function createRun(root, { onCancel, onNew }) {
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
  root.replaceChildren(parts.title, parts.percent, parts.bar, parts.stages, parts.tries, parts.facts, parts.line, h("div", { class: "stack" }, parts.cancel, parts.another));
  let shown = { job: null, at: 0, upload: null, line: "live", cancelling: false };

  function render() {
    const { job, upload, line, cancelling } = shown;
    parts.cancel.textContent = t(cancelling ? "cancelling" : "cancel");
    parts.cancel.disabled = cancelling;
    parts.another.textContent = t("make_another");
    parts.another.hidden = !job;
    parts.bar.setAttribute("aria-label", t("progress"));
    if (!job) {
      progress(upload ?? 0, false);
      parts.percent.hidden = true;
      parts.title.textContent = cancelling ? t("cancelling") : upload >= 1 ? t("uploaded") : t("uploading", { n: number(Math.round((upload ?? 0) * 100)) });
      parts.stages.replaceChildren();
      parts.tries.replaceChildren();
      parts.facts.replaceChildren();
      parts.line.textContent = t("uploading_hint");
      return;
    }
    const waiting = job.status === "queued";
    parts.title.textContent = cancelling ? t("cancelling") : waiting ? queueWord(job) : t(`doing_${STAGES.includes(job.stage) ? job.stage : "image"}`);
    progress(job.progress / 100, waiting);
    parts.stages.replaceChildren(...(waiting ? [] : stageRows(job)));
    parts.tries.replaceChildren(tries(job.gate) ?? "");
    const since = (performance.now() - shown.at) / 1000;
    const elapsed = (job.elapsed_seconds ?? 0) + (waiting ? 0 : since);
    const left = job.eta_seconds === null || job.eta_seconds === undefined ? null : Math.max(1, job.eta_seconds - since);
    const fact = (word, figure, more) => h("div", {}, h("dt", { text: word }), h("dd", {}, figure, more ? h("small", { text: ` ${more}` }) : null));
    parts.facts.replaceChildren(
      fact(t("left"), left === null ? "–" : t("about", { n: duration(left, false) })),
      fact(t("elapsed"), duration(elapsed)),
      job.cost ? fact(t("cost_so_far"), money(job.cost.amount, job.cost.currency), job.cost.currency === "USD" ? "" : money(job.cost.usd, "USD")) : "",
    );
    const words = [];
    if (job.attempt > 1) words.push(t("attempt", { n: job.attempt }));
    words.push(t(line === "lost" ? "line_lost" : line === "polling" ? "line_polling" : "line_live"));
    parts.line.textContent = words.join(" ");
  }

  function progress(fraction, waiting) {
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
    tick: () => shown.job && render(),
    render,
    focus: () => parts.title.focus({ preventScroll: true }),
    has: (element) => root.contains(element),
  };
}

function queueWord(job) {
  if (job.queue_position === null || job.queue_position === undefined) return t("queued");
  return job.queue_position === 0 ? t("queued_next") : t("queued_behind", { n: job.queue_position });
}

function stageRows(job) {
  const begun = new Map((job.stages ?? []).map((stage) => [stage.stage, stage]));
  return STAGES.filter((name) => begun.has(name) || ["generate", "encode", "verify"].includes(name)).map((name) => {
    const stage = begun.get(name);
    const finished = stage && stage.total > 0 && stage.done >= stage.total;
    const counted = stage && stage.total > 1;
    return h(
      "li",
      { "data-is": !stage ? "later" : finished ? "done" : "now" },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { text: known(`stage_${name}`) ? t(`stage_${name}`) : name }),
      h("span", { class: "count", text: counted ? t(`count_${["frame", "step"].includes(stage.unit) ? stage.unit : "other"}`, { n: number(stage.done), total: number(stage.total) }) : finished ? t("stage_done") : "" }),
      counted && !finished ? style(h("div", { class: "bar", "aria-hidden": "true" }, h("i")), { "--done": (stage.done / stage.total).toFixed(4) }) : null,
    );
  });
}
