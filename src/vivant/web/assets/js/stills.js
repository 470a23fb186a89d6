// The picture a job was made from, as the frame shows it while there is no clip.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { croppedPicture } from "./frame.js";
import { centredCrop } from "./picture.js";
import { session } from "./session.js";

// Job id → { picture, crop }, while this page lives: the upload need not come back from the server.
export const sources = new Map();

export function stillPicture(job) {
  const own = sources.get(job.id);
  if (own?.crop && own.picture.drawable) return croppedPicture(own.picture, own.crop, t("your_picture"));
  const framed = job.variants?.includes("reference");
  if (!framed && own?.picture.drawable) {
    const { width, height } = own.picture;
    return croppedPicture(own.picture, centredCrop(width, height, job.width / job.height), t("your_picture"));
  }
  if (!framed && !job.variants?.includes("source")) return "";
  const img = h("img", { class: framed ? "whole" : "cover", src: session.api.link(job, framed ? "reference" : "source"), crossorigin: "anonymous", alt: t("your_picture") });
  img.addEventListener("error", () => img.remove(), { once: true });
  return img;
}
