// Elements, never markup: text that comes from a server or a file name stays text.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "text") element.textContent = value;
    else if (name === "value") element.value = value;
    else if (name === "checked") element.checked = true;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(
    ...children
      .flat(Infinity)
      .filter((child) => child !== null && child !== undefined && child !== false && child !== ""),
  );
  return element;
}

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function byId(id) {
  return document.getElementById(id);
}

// Custom properties and positions go through the object model, which a strict policy allows.
export function style(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

const ICONS = {
  play: "M7 4v16l13-8z",
  pause: "M6 4h4v16H6zM14 4h4v16h-4z",
  back: "M17 5v14L7 12zM5 5h2v14H5z",
  forward: "M7 5v14l10-7zM17 5h2v14h-2z",
  sound: "M4 9v6h4l5 5V4L8 9zM16 8.5a5 5 0 0 1 0 7l-1.2-1.3a3 3 0 0 0 0-4.4z",
  silent: "M4 9v6h4l5 5V4L8 9zM16 9.4l1.3-1.3 2 2 2-2 1.3 1.3-2 2 2 2-1.3 1.3-2-2-2 2-1.3-1.3 2-2z",
  heart: "M12 20.5C5.5 15.7 3 12.6 3 9.2A4.7 4.7 0 0 1 12 7a4.7 4.7 0 0 1 9 2.2c0 3.4-2.5 6.5-9 11.3z",
  fullscreen: "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

// Four signs that differ in shape, not only in colour. A dashed ring is no tick.
export function sign(verdict) {
  const drawn = {
    pass: [
      ["circle", { cx: 12, cy: 12, r: 10 }],
      ["path", { d: "M7 12.5l3.5 3.5L17 8.5" }],
    ],
    warn: [
      ["path", { d: "M12 3L22 20.5H2z" }],
      ["path", { d: "M12 9.5v5M12 17.2v.6" }],
    ],
    fail: [
      ["path", { d: "M7.5 2h9L22 7.5v9L16.5 22h-9L2 16.5v-9z" }],
      ["path", { d: "M8 8l8 8M16 8l-8 8" }],
    ],
    not_measured: [
      ["circle", { cx: 12, cy: 12, r: 10, "stroke-dasharray": "3.2 3.1" }],
      ["path", { d: "M8.5 12h7" }],
    ],
  }[verdict];
  const picture = svg(
    "svg",
    {
      viewBox: "0 0 24 24",
      "aria-hidden": "true",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 2,
      "stroke-linejoin": "round",
      "stroke-linecap": "round",
    },
    drawn.map(([tag, attributes]) => svg(tag, attributes)),
  );
  return h("span", { class: "sign", "data-is": verdict }, picture);
}
