// Where we are: the address after # is the open job, so that a reload and "back" find it.

export function addressed() {
  return decodeURIComponent(location.hash.slice(1));
}

// Also when it is there already: what is open is shown anew.
export function go(id) {
  if (location.hash.slice(1) === id) window.dispatchEvent(new Event("hashchange"));
  else location.hash = id;
}

// The address named a job that is not there.
export function strayed() {
  history.replaceState(null, "", location.pathname + location.search);
}
