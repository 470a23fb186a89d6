// A plot of one score over the clip. A click in it shows that frame.
import { h, svg } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { number, value } from "../shared/format.js";

const WIDTH = 300;
const HEIGHT = 80;

// Which side of the limit is bad: it follows from the value and its verdict. null if it cannot be known.
function badIsBelow(score) {
  if (typeof score.value !== "number" || typeof score.limit !== "number") return null;
  const good = score.verdict === "pass";
  return score.value === score.limit ? null : good === score.value > score.limit;
}

export function scorePlot(score, name, last, fps, player) {
  const points = score.series.filter((pair) => Number.isFinite(pair[1]));
  if (points.length < 2) return null;
  const values = points.map((pair) => pair[1]);
  const limit = typeof score.limit === "number" ? score.limit : null;
  let low = Math.min(...values, limit ?? Infinity);
  let high = Math.max(...values, limit ?? -Infinity);
  const room = (high - low || Math.abs(high) || 1) * 0.12;
  low -= room;
  high += room;
  const x = (frame) => (last ? (frame / last) * WIDTH : 0);
  const y = (height) => HEIGHT - ((height - low) / (high - low)) * HEIGHT;
  const below = badIsBelow(score);
  const head = svg("line", { class: "head", x1: 0, x2: 0, y1: 0, y2: HEIGHT });
  const picture = svg(
    "svg",
    {
      class: "plot",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": t("plot_label", {
        name,
        low: number(Math.min(...values), 2),
        high: number(Math.max(...values), 2),
      }),
    },
    limit !== null &&
      below !== null &&
      svg("rect", {
        class: "zone",
        x: 0,
        width: WIDTH,
        y: below ? y(limit) : 0,
        height: below ? HEIGHT - y(limit) : y(limit),
      }),
    svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }),
    limit !== null && svg("line", { class: "limit", x1: 0, x2: WIDTH, y1: y(limit), y2: y(limit) }),
    svg("polyline", {
      class: "curve",
      points: points.map(([frame, height]) => `${x(frame).toFixed(1)},${y(height).toFixed(1)}`).join(" "),
    }),
    head,
  );
  const go = (event) => {
    if (event.type === "pointermove" && event.buttons === 0) return;
    const { left, width } = picture.getBoundingClientRect();
    player?.seek(Math.round(((event.clientX - left) / width) * last));
  };
  picture.addEventListener("pointerdown", go);
  picture.addEventListener("pointermove", go);
  picture.addEventListener("click", () => player?.reveal());
  player?.follow((frame) => {
    head.setAttribute("x1", x(frame));
    head.setAttribute("x2", x(frame));
  });
  return h(
    "div",
    {},
    picture,
    h(
      "div",
      { class: "plot-scale", "aria-hidden": "true" },
      h("span", { text: t("seconds", { n: "0" }) }),
      limit !== null && h("span", { text: t("limit_is", { n: value(limit, score.unit) }) }),
      h("span", { text: t("seconds", { n: number(last / fps, 1) }) }),
    ),
  );
}
