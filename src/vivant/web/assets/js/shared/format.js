// Numbers as people read them, in the page's language.
import { known, language, t } from "./i18n.js";

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(
    value,
  );
}

// Measured times have tenths below ten seconds; a guess of what is left has none.
export function duration(seconds, tenths = true) {
  if (tenths && seconds < 9.95) return t("seconds", { n: number(seconds, 1) });
  const whole = Math.round(seconds);
  if (whole < 60) return t("seconds", { n: number(whole) });
  if (whole < 3600) return t("minutes", { m: number(Math.floor(whole / 60)), s: number(whole % 60) });
  return t("hours", { h: number(Math.floor(whole / 3600)), m: number(Math.floor((whole % 3600) / 60)) });
}

const SYMBOLS = { KRW: "₩", USD: "$", EUR: "€", JPY: "¥", GBP: "£" };

export function money(amount, currency) {
  const symbol = SYMBOLS[currency] ?? `${currency} `;
  const small = currency === "USD" ? 4 : amount >= 10 ? 0 : amount >= 1 ? 1 : 2;
  if (amount > 0 && amount < 10 ** -small) return `< ${symbol}${number(10 ** -small, small)}`;
  return `${symbol}${number(amount, small)}`;
}

export function bytes(size) {
  const megabytes = size / 1e6;
  return megabytes < 0.1
    ? `${number(Math.max(1, Math.round(size / 1000)))} KB`
    : `${number(megabytes, megabytes < 10 ? 1 : 0)} MB`;
}

export function when(seconds) {
  return new Intl.DateTimeFormat(language(), {
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
  }).format(seconds * 1000);
}

export function value(found, unit) {
  if (typeof found !== "number") return String(found);
  const size = Math.abs(found);
  const digits = Number.isInteger(found) ? 0 : size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.01 ? 2 : 4;
  if (!unit) return number(found, digits);
  // "% of height" and its like: what it is a part of stands in the sentence beside it
  if (unit.startsWith("%")) return `${number(found, digits)}%`;
  return `${number(found, digits)} ${known(`unit_${unit}`) ? t(`unit_${unit}`) : unit}`;
}

// Python's format fields, as the sentences of the checks use them: {x}, {x:.2f}, {x:.4g}, {x:,.0f}.
export function pythonFormat(template, facts) {
  return template.replace(/\{(\w+)(?::([^}]*))?\}/g, (whole, name, spec) => {
    const found = facts[name];
    if (found === undefined || found === null) return whole;
    if (typeof found !== "number" || !spec) return String(found);
    const parts = /^(\+?)(,?)(?:\.(\d+))?([fg%d]?)$/.exec(spec);
    if (!parts) return String(found);
    const plus = parts[1] && found > 0 ? "+" : "";
    const digits = parts[3] === undefined ? 6 : Number(parts[3]);
    if (parts[4] === "g") return plus + String(Number(found.toPrecision(digits || 1)));
    const shown = parts[4] === "%" ? found * 100 : found;
    const fixed = parts[4] === "d" ? Math.round(shown) : shown;
    const decimals = parts[4] === "d" ? 0 : digits;
    const text = parts[2] ? number(fixed, decimals) : fixed.toFixed(decimals);
    return plus + text + (parts[4] === "%" ? "%" : "");
  });
}
