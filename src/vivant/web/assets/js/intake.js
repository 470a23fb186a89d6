// How a picture comes in: chosen, photographed, dropped or pasted.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { firstPicture } from "./picture.js";

const dragged = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

// target is marked while a file hangs over the page.
export function createIntake(target, onFile) {
  const input = (attributes) => {
    const element = h("input", {
      type: "file", hidden: true, ...attributes,
      onchange: () => {
        const [file] = element.files;
        onFile(file);
        element.value = ""; // the same file may be chosen again
      },
    });
    document.body.append(element);
    return element;
  };
  const chooser = input({ id: "file", accept: "image/*,.heic,.heif,.avif,.tif,.tiff" });
  const camera = input({ id: "camera", accept: "image/*", capture: "user" });

  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!dragged(event)) return;
      event.preventDefault();
      target.toggleAttribute("data-over", true);
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) target.removeAttribute("data-over");
  });
  document.addEventListener("drop", (event) => {
    if (!dragged(event)) return;
    event.preventDefault();
    target.removeAttribute("data-over");
    onFile(firstPicture(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    const file = firstPicture(event.clipboardData);
    if (!file) return;
    event.preventDefault();
    onFile(file);
  });

  return {
    choose: () => chooser.click(),
    photograph: () => camera.click(),
    translate() {
      chooser.setAttribute("aria-label", t("picture_file"));
      camera.setAttribute("aria-label", t("picture_camera"));
    },
  };
}
