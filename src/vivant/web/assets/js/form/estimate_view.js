// Time and cost beside the button, and below the settings what the estimate is based on.
import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { duration, money, number } from "../shared/format.js";

const about = (text) => t("about", { n: text });

// found: the answer of /v1/estimate or of /v1/comparisons/estimate; null without one.
export function showEstimate(box, found) {
  const seconds = found?.seconds ?? null;
  const [first, second] = seconds === null ? [] : (found.costs ?? []);
  box.replaceChildren(
    h(
      "dl",
      {},
      figure("about_time", seconds === null ? "–" : about(duration(seconds))),
      figure(
        "about_cost",
        first ? about(money(first.amount, first.currency)) : "–",
        second ? money(second.amount, second.currency) : null,
      ),
      found?.clips ? figure("compare_total", t("compare_clips", { n: number(found.clips) })) : null,
    ),
  );
}

function figure(word, value, more = null) {
  return h("div", {}, h("dt", { text: t(word) }), h("dd", {}, value, more && h("small", { text: more })));
}

export function estimateBasis(found) {
  if (!found) return "";
  const clips = /measured here \((\d+) clip/.exec(found.basis ?? "");
  const unknown = found.seconds === null || found.seconds === undefined;
  const words = [];
  if (found.clips && !found.fits) {
    words.push(t("compare_too_many", { n: number(found.clips), most: number(found.max_clips) }));
  }
  words.push(unknown ? t("estimate_unknown") : clips ? t("estimate_measured", { n: clips[1] }) : t("estimate_guess"));
  if (!unknown && found.seconds_high > found.seconds * 1.15) {
    words.push(t("estimate_range", { low: duration(found.seconds_low), high: duration(found.seconds_high) }));
  }
  if (found.rare_clip?.costs?.length) words.push(rareClip(found.rare_clip));
  if (found.queue_seconds > 1) words.push(t("estimate_queue", { n: duration(found.queue_seconds) }));
  return words.join(" ");
}

// Where a container is started for a clip and charged until it stops, the first clip costs more than the next.
function rareClip({ start_seconds, waiting_seconds, costs: [cost] }) {
  const times = { start: duration(start_seconds, false), wait: duration(waiting_seconds, false) };
  return t("estimate_rare", { cost: money(cost.amount, cost.currency), ...times });
}
