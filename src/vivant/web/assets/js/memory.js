// What the browser remembers. Private windows may forbid it: then it lasts as long as the page.
const fallback = new Map();

function box(lasting) {
  try {
    return lasting ? localStorage : sessionStorage;
  } catch {
    return null;
  }
}

export function remember(name, value, lasting = true) {
  fallback.set(name, value);
  try {
    box(lasting)?.setItem(`vivant.${name}`, value);
  } catch {
    // full or forbidden: the fallback has it
  }
}

export function recall(name) {
  try {
    const found = box(true)?.getItem(`vivant.${name}`) ?? box(false)?.getItem(`vivant.${name}`);
    if (found !== null && found !== undefined) return found;
  } catch {
    // forbidden: the fallback may have it
  }
  return fallback.get(name) ?? null;
}

export function forget(name) {
  fallback.delete(name);
  for (const lasting of [true, false]) {
    try {
      box(lasting)?.removeItem(`vivant.${name}`);
    } catch {
      // there was nothing to forget
    }
  }
}

export function recallJson(name) {
  try {
    return JSON.parse(recall(name) ?? "null");
  } catch {
    return null;
  }
}
