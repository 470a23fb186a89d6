// The form's error message. It appears beside its cause, in view and focused: in the frame for a problem with
// the picture, else beside the button.
import { byId } from "../shared/dom.js";

let words = null;

// message(): the text in the page's language; null takes the error away.
export function showFormError(message, place = "button") {
  words = message;
  translateFormError();
  if (!message) return;
  const line = byId("form-error");
  byId(place === "picture" ? "frame-message" : "button-message").append(line);
  line.focus({ preventScroll: true });
  if (place === "picture") byId("frame").scrollIntoView({ block: "nearest" }); // with the buttons that help
  line.scrollIntoView({ block: "nearest" });
}

export function translateFormError() {
  const line = byId("form-error");
  line.textContent = words?.() ?? "";
  line.hidden = !words;
}
