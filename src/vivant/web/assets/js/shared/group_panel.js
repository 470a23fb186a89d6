// The panel of several clips that belong together: a batch or a comparison. It is opened by its id in the
// address, asks the server for its state until all clips are over, and is drawn again after each answer.
import { byId, h, style } from "./dom.js";
import { t } from "./i18n.js";
import { go } from "./address.js";
import { showBanner } from "./banner.js";
import { duration, money } from "./format.js";
import { showPanel } from "./panels.js";

const POLL_MS = 2000;

// name: id of the panel's element; heading: string key; fetch(id): the state from the server;
// mayBeMissing(id): the server may not know it yet; onState(group, first): after each answer;
// isOver(group); draw(group): the panel's children, or null to leave them.
// group: { id, state, over, announced }, state null before the first answer.
export function createGroupPanel({ name, heading, frame, fetch, mayBeMissing, onState, isOver, draw }) {
  const root = byId(name);
  let group = null;
  let timer = null;

  function open(id) {
    close();
    group = { id, state: null, over: false, announced: 0 };
    showPanel(name, heading);
    document.title = "⋯ · Vivant";
    frame.show("running", 16 / 9, []);
    frame.showProgress(0);
    render();
    poll();
    byId(`${name}-title`)?.focus({ preventScroll: true });
  }

  function close() {
    clearTimeout(timer);
    group = null;
  }

  async function poll() {
    const asked = group;
    if (!asked) return;
    clearTimeout(timer);
    try {
      const state = await fetch(asked.id);
      if (group !== asked) return;
      const first = asked.state === null;
      asked.state = state;
      onState(asked, first);
    } catch (error) {
      if (group !== asked) return;
      const missing = error.status === 404;
      if (!missing || !mayBeMissing(asked.id)) {
        showBanner(error);
        if (missing) return go("");
      }
    }
    asked.over = isOver(asked);
    if (asked.over) frame.showOver();
    render();
    if (!asked.over) timer = setTimeout(poll, POLL_MS);
  }

  // The focus stays on the element with the same id.
  function render() {
    const children = group && draw(group);
    if (!children) return;
    const focused = document.activeElement?.id;
    root.replaceChildren(...children.filter(Boolean));
    if (focused && root.querySelector(`#${CSS.escape(focused)}`)) byId(focused).focus({ preventScroll: true });
  }

  return { root, open, close, poll, render, group: () => group };
}

export function groupTitle(name, text) {
  return h("h3", { class: "big", id: `${name}-title`, tabindex: "-1", text });
}

// Before the first answer of the server.
export function loadingLine() {
  return h("p", { class: "small quiet", text: t("loading") });
}

export function progressBar(percent) {
  const attributes = {
    class: "bar",
    role: "progressbar",
    "aria-label": t("progress"),
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": percent,
  };
  return style(h("div", attributes, h("i")), { "--done": percent / 100 });
}

export function fact(word, figure) {
  return h("div", {}, h("dt", { text: t(word) }), h("dd", { text: figure }));
}

export function spending(state, over) {
  const { cost, inference_time_s: seconds } = state;
  const spent = cost?.usd > 0; // before the first clip is charged, the currency is not known
  const amount = spent && (cost.currency ? money(cost.amount, cost.currency) : money(cost.usd, "USD"));
  return [fact("took", duration(seconds)), amount && fact(over ? "cost" : "cost_so_far", amount)];
}
