// The line above the button: time and cost of the clip before it is made, and what that rests on.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { duration, money, number } from "./format.js";

// found: the answer of /v1/estimate, or of /v1/comparisons/estimate, which is of many clips; null where there is none.
export function showEstimate(box, found) {
  const pair = (word, figure, more) => h("div", {}, h("dt", { text: word }), h("dd", {}, figure, more && h("small", { text: more })));
  if (!found) {
    box.replaceChildren(h("dl", {}, pair(t("about_time"), "–"), pair(t("about_cost"), "–")));
    return;
  }
  const [first, second] = found.costs ?? [];
  const none = found.seconds === null || found.seconds === undefined;
  const about = (text) => t("about", { n: text });
  box.replaceChildren(
    h(
      "dl",
      {},
      pair(t("about_time"), none ? "–" : about(duration(found.seconds))),
      pair(t("about_cost"), none || !first ? "–" : about(money(first.amount, first.currency)), !none && second ? money(second.amount, second.currency) : null),
    ),
    h("p", { class: "hint", text: basis(found, none) }),
  );
}

function basis(found, none) {
  const clips = /measured here \((\d+) clip/.exec(found.basis ?? "");
  const words = found.clips ? [t(found.fits ? "compare_clips" : "compare_too_many", { n: number(found.clips), most: number(found.max_clips) })] : [];
  words.push(none ? t("estimate_unknown") : clips ? t("estimate_measured", { n: clips[1] }) : t("estimate_guess"));
  if (!none && found.seconds_high > found.seconds * 1.15) words.push(t("estimate_range", { low: duration(found.seconds_low), high: duration(found.seconds_high) }));
  if (found.queue_seconds > 1) words.push(t("estimate_queue", { n: duration(found.queue_seconds) }));
  return words.join(" ");
}
