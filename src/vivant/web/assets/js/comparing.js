// "Which is better?": one comparison, sent, followed and told; and the way back to earlier ones.
import { byId, h, style } from "./dom.js";
import { language, t } from "./i18n.js";
import { go } from "./address.js";
import { showBanner } from "./banner.js";
import { askSure } from "./dialogs.js";
import { croppedPicture } from "./frame.js";
import { duration, money, number, when } from "./format.js";
import { say, showPanel } from "./panels.js";
import { row } from "./rows.js";
import { session } from "./session.js";
import { sources, stillPicture } from "./stills.js";

const LOOK_MS = 2000;
const LINE_ATTEMPTS = 3;
const ICONS = { use: "✓", keep: "↩", choose: "⇄", same: "=", more: "?", identical: "≡", nothing: "–", wait: "…" };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const newKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");

export const isComparison = (id) => id?.startsWith("comparison_");
const isOver = (found) => found.status === "completed" || found.status === "failed";

// onRefused(words) when the server did not take it, or the user did not wait for that.
export function createComparing(frame, shelf, { onRefused }) {
  const root = byId("comparison");
  let timer = null;
  let shown = null; // { id, found, said }: what is open
  let earlier = [];

  async function send(fields, { picture, framing, others }) {
    session.openId = null;
    const sent = (session.sending = { abort: new AbortController(), part: 0 });
    showPanel("comparison", "title_comparison");
    const [width, height] = fields.size.split("x");
    frame.hang("running", width / height, [croppedPicture(picture, framing.crop, t("your_picture"))]);
    frame.gild(0);
    render();
    scrollTo({ top: 0 });
    byId("comparison-title").focus({ preventScroll: true });
    try {
      const found = await accepted(fields, [picture.file, ...others], sent);
      session.sending = null;
      sources.set(found.data[0].video, { picture, crop: framing.state === "found" ? framing.crop : null });
      say(t("say_started"));
      go(found.id);
      gathered();
    } catch (error) {
      session.sending = null;
      go("");
      onRefused(error);
    }
  }

  // The key makes a repeated request safe: the server answers with the same comparison.
  async function accepted(fields, files, sent) {
    const idempotencyKey = newKey();
    const onUpload = (part) => {
      sent.part = part;
      render();
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await session.api.compare(fields, files, { idempotencyKey, signal: sent.abort.signal, onUpload });
      } catch (error) {
        if (error.code !== "network" || attempt === LINE_ATTEMPTS) throw error;
        await wait(700 * attempt);
      }
    }
  }

  function open(id) {
    close();
    shown = { id, found: null, said: 0 };
    showPanel("comparison", "title_comparison");
    document.title = "⋯ · Vivant";
    frame.hang("running", 16 / 9, []);
    frame.gild(0);
    render();
    look();
    byId("comparison-title")?.focus({ preventScroll: true });
  }

  function close() {
    clearTimeout(timer);
    shown = null;
  }

  async function look() {
    const id = shown?.id;
    if (!id) return;
    clearTimeout(timer);
    try {
      const found = await session.api.comparison(id);
      if (shown?.id !== id) return;
      if (!shown.found) hang(found);
      shown.found = found;
      tell(found);
    } catch (error) {
      if (shown?.id !== id) return;
      showBanner(error);
      if (error.status === 404) return go("");
    }
    render();
    const found = shown.found;
    if (found && isOver(found)) return gathered();
    timer = setTimeout(look, LOOK_MS);
  }

  // Screen readers hear each quarter, and what came of it.
  function tell(found) {
    if (isOver(found)) {
      const [first] = found.findings?.recommendations ?? [];
      if (shown.said < 5 && shown.said > 0) say(first ? first.heading[language()] : t("failed_title"));
      shown.said = 5;
      return;
    }
    const quarter = 1 + Math.floor(found.progress / 25);
    if (shown.said && quarter > shown.said) say(t("compare_running", { n: number(through(found)), total: number(found.clips) }));
    shown.said = quarter;
  }

  async function hang(found) {
    try {
      const job = await session.api.get(found.data[0].video);
      if (shown?.id === found.id) frame.hang("running", job.width / job.height, [stillPicture(job)]);
    } catch {
      // the clip is gone, and its picture with it
    }
  }

  async function end() {
    try {
      await session.api.endBatch(shown.id);
    } catch (error) {
      showBanner(error);
    }
    look();
  }

  async function remove() {
    const { id } = shown;
    const sure = await askSure(t("compare_delete_title"), t("compare_delete_text"), t("delete"));
    if (!sure) return;
    try {
      await session.api.removeComparison(id);
    } catch (error) {
      if (error.status !== 404) return showBanner(error);
    }
    say(t("deleted"));
    go("");
    gathered();
  }

  function render() {
    if (session.sending?.part !== undefined) return sending(session.sending);
    delete root.dataset.is;
    if (!shown) return;
    const { found } = shown;
    const focused = document.activeElement?.id;
    const opened = byId("comparison-all")?.open ?? false;
    if (!found) {
      root.replaceChildren(h("h3", { class: "big", id: "comparison-title", tabindex: "-1", text: t("title_comparison") }));
      return;
    }
    const over = isOver(found);
    frame.gild(found.progress / 100);
    document.title = over ? "✓ · Vivant" : `${found.progress}% · Vivant`;
    const done = { n: number(through(found)), total: number(found.clips) };
    root.replaceChildren(
      h("p", { class: "small quiet", text: found.title[language()] }),
      h("h3", { class: "big", id: "comparison-title", tabindex: "-1", text: over ? t("compare_done", done) : t("compare_running", done) }),
      over ? "" : bar(found.progress),
      found.error ? h("div", { class: "message", "data-kind": "fail" }, h("p", { text: t("compare_nothing") }), h("p", { class: "small", lang: "en", text: found.error.message })) : "",
      h("div", { class: "advices" }, (found.findings?.recommendations ?? []).map(advice)),
      page(found),
      facts(found),
      failures(found),
      h("details", { id: "comparison-all", open: opened }, h("summary", { class: "small", text: t("compare_all", { n: number(found.clips) }) }), h("ol", { class: "rows" }, found.data.map((one) => line(one, found)))),
      over ? h("p", { class: "small quiet", text: kept(found) }) : h("p", { class: "small quiet", text: t("line_live") }),
      h(
        "div",
        { class: "stack" },
        over ? null : h("button", { type: "button", class: "plain", id: "comparison-end", onclick: end, text: t("batch_end") }),
        h("button", { type: "button", class: "plain", id: "comparison-new", onclick: () => go(""), text: t("new_clip") }),
        over ? h("button", { type: "button", class: "link danger", id: "comparison-delete", onclick: remove, text: t("delete") }) : null,
      ),
    );
    if (focused && root.querySelector(`#${CSS.escape(focused)}`)) byId(focused).focus({ preventScroll: true });
  }

  function sending(sent) {
    const percent = Math.round(100 * sent.part);
    const title = sent.part < 1 ? t("uploading_all", { n: number(percent) }) : t("uploaded");
    const old = byId("comparison-title");
    if (old && root.dataset.is === "sending") {
      old.textContent = title;
      style(root.querySelector(".bar"), { "--done": sent.part }).setAttribute("aria-valuenow", percent);
      return;
    }
    root.dataset.is = "sending";
    root.replaceChildren(
      h("h3", { class: "big", id: "comparison-title", tabindex: "-1", text: title }),
      bar(percent),
      h("p", { class: "small quiet", text: t("uploading_hint") }),
      h("div", { class: "stack" }, h("button", { type: "button", class: "plain", id: "comparison-cancel", onclick: () => sent.abort.abort(), text: t("cancel") })),
    );
  }

  // The newest ones, so that what was started is found again from any device.
  async function list() {
    try {
      earlier = await session.api.comparisons();
    } catch {
      earlier = []; // a server from before there were any
    }
    paint();
  }

  // Its clips hang on the wall like any others.
  function gathered() {
    list();
    shelf.refresh().catch(showBanner);
  }

  function paint() {
    const nav = byId("compared");
    nav.hidden = !earlier.length;
    nav.replaceChildren(
      h("h3", { id: "compared-name", text: t("compared") }),
      h("ul", {}, earlier.map((one) => h("li", {}, h("a", { href: `#${one.id}` }, one.title[language()]), h("span", { class: "small quiet", text: ` · ${when(one.created_at)} · ${isOver(one) ? t("compare_count", { n: number(one.clips) }) : `${number(one.progress)}%`}` })))),
    );
  }

  return {
    send, open, close, list,
    render: () => {
      delete root.dataset.is; // in other words now
      render();
      paint();
    },
  };
}

function through(found) {
  return (found.counts.completed ?? 0) + (found.counts.failed ?? 0);
}

function bar(percent) {
  const element = h("div", { class: "bar", role: "progressbar", "aria-label": t("progress"), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent }, h("i"));
  return style(element, { "--done": percent / 100 });
}

function advice(one) {
  const code = language();
  return h(
    "section",
    { class: "advice", "data-is": one.advice },
    h("span", { class: "advice-mark", "aria-hidden": "true", text: ICONS[one.advice] ?? "?" }),
    h("div", {}, h("h4", { text: one.heading[code] }), h("p", { text: one.text[code] }), one.price[code] ? h("p", { class: "small quiet", text: one.price[code] }) : null),
  );
}

function page(found) {
  if (!found.findings || !(isOver(found) || found.findings.recommendations.some((one) => one.pairs))) return "";
  const { theme } = document.documentElement.dataset;
  const query = { lang: language(), ...(theme ? { theme } : {}) };
  return h(
    "div",
    { class: "downloads" },
    h("a", { class: isOver(found) ? "loud" : "plain", id: "comparison-page", href: session.api.comparisonPage(found, query), target: "_blank", rel: "noopener", text: t("compare_open") }),
    isOver(found) ? h("a", { class: "plain", id: "comparison-download", href: session.api.comparisonPage(found, { ...query, download: "1" }), download: "", text: t("compare_download") }) : null,
  );
}

function facts(found) {
  const fact = (word, figure) => h("div", {}, h("dt", { text: t(word) }), h("dd", { text: figure }));
  const { cost } = found;
  const over = isOver(found);
  return h(
    "dl",
    { class: "facts" },
    fact("took", duration(found.inference_time_s)),
    fact(over ? "cost" : "cost_so_far", cost.currency ? money(cost.amount, cost.currency) : money(cost.usd, "USD")),
    found.eta_seconds ? fact("left", t("about", { n: duration(found.eta_seconds, false) })) : null,
  );
}

function failures(found) {
  if (!found.failures.length) return "";
  const what = (one) => [one.picture, one.variant && called(found, one.variant), one.seed !== null && t("seed_is", { n: one.seed })].filter(Boolean).join(" · ");
  return h(
    "details",
    {},
    h("summary", { class: "small", text: t("compare_left_out", { n: number(found.failures.length) }) }),
    h("ul", { class: "notes" }, found.failures.map((one) => h("li", {}, h("bdi", { text: what(one) }), ": ", h("span", { lang: "en", text: one.reason })))),
  );
}

function called(found, name) {
  return found.plan.variants.find((variant) => variant.name === name)?.words?.[language()] ?? name;
}

function line(one, found) {
  const verdict = one.status === "completed" ? one.verdict ?? "not_measured" : null;
  return row({
    title: `${called(found, one.variant)} · ${one.picture} · ${t("seed_is", { n: one.seed })}`,
    id: found.clips_kept || !isOver(found) ? one.video : null,
    verdict,
    failed: one.status === "failed" ? t("failed_title") : null,
    word: t(one.status === "in_progress" ? "being_made" : "queued"),
  });
}

function kept(found) {
  if (found.clips_expire_at) return t("compare_expires", { when: when(found.clips_expire_at) });
  return found.findings ? t("compare_expired") : "";
}
