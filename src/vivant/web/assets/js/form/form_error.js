// The form's error message. It appears beside its cause, in view and focused: in the frame for a problem with
// the picture, else beside the button.
import { byId } from "../shared/dom.js";

export function showFormError(message, place = "button") {
  const line = byId("form-error");
  line.textContent = message;
  line.hidden = !message;
  if (!message) return;
  byId(place === "picture" ? "frame-message" : "button-message").append(line);
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "nearest" });
}
