// Values that the browser remembers. A private window may forbid it: then they last as long as the page.
const fallback = new Map();

function storage(lasting) {
  try {
    return lasting ? localStorage : sessionStorage;
  } catch {
    return null;
  }
}

// lasting: false keeps the value for this tab only.
export function save(name, value, lasting = true) {
  fallback.set(name, value);
  try {
    storage(lasting)?.setItem(`vivant.${name}`, value);
  } catch {
    // full or forbidden: the fallback has it
  }
}

export function load(name) {
  try {
    const found = storage(true)?.getItem(`vivant.${name}`) ?? storage(false)?.getItem(`vivant.${name}`);
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
      storage(lasting)?.removeItem(`vivant.${name}`);
    } catch {
      // forbidden: nothing was stored
    }
  }
}

export function loadJson(name) {
  try {
    return JSON.parse(load(name) ?? "null");
  } catch {
    return null;
  }
}
