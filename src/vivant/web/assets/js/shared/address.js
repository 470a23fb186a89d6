// The address after # is the id of the open clip, batch or comparison, so that a reload and "back" find it.

export function addressedId() {
  return decodeURIComponent(location.hash.slice(1));
}

// Opens an id; an id that is open already is opened again.
export function go(id) {
  if (location.hash.slice(1) === id) window.dispatchEvent(new Event("hashchange"));
  else location.hash = id;
}

// For an id that the server does not have.
export function clearAddress() {
  history.replaceState(null, "", location.pathname + location.search);
}
