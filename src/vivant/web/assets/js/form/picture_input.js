// Takes pictures in: chosen, photographed, dropped or pasted.
import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { picturesOf } from "../frame/picture.js";

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

// target: the element to highlight while files are dragged over the page. onFiles gets one or more files.
export function createPictureInput(target, onFiles) {
  const input = (attributes) => {
    const element = h("input", {
      type: "file",
      hidden: true,
      ...attributes,
      onchange: () => {
        const files = [...element.files];
        if (files.length) onFiles(files);
        element.value = ""; // the same file may be chosen again
      },
    });
    document.body.append(element);
    return element;
  };
  const chooser = input({ id: "file", accept: "image/*,.heic,.heif,.avif,.tif,.tiff", multiple: true });
  const camera = input({ id: "camera", accept: "image/*", capture: "user" });

  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      target.toggleAttribute("data-over", true);
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) target.removeAttribute("data-over");
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    target.removeAttribute("data-over");
    const files = picturesOf(event.dataTransfer?.files);
    if (files.length) onFiles(files);
  });
  document.addEventListener("paste", (event) => {
    const files = picturesOf(event.clipboardData?.files);
    if (!files.length) return;
    event.preventDefault();
    onFiles(files);
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
