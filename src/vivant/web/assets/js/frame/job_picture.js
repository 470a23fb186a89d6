// The picture that a job was made from, shown in the frame while there is no clip.
import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { session } from "../shared/session.js";
import { croppedPicture } from "./cropped_picture.js";
import { centredCrop } from "./picture.js";

// Job id → { picture, crop } of pictures sent from this page, so that they need not be downloaded again.
export const sentPictures = new Map();

export function jobPicture(job) {
  const own = sentPictures.get(job.id);
  if (own?.crop && own.picture.drawable) return croppedPicture(own.picture, own.crop, t("your_picture"));
  const framed = job.variants?.includes("reference");
  if (!framed && own?.picture.drawable) {
    const { width, height } = own.picture;
    return croppedPicture(own.picture, centredCrop(width, height, job.width / job.height), t("your_picture"));
  }
  if (!framed && !job.variants?.includes("source")) return "";
  const img = h("img", {
    class: framed ? "whole" : "cover",
    src: session.api.link(job, framed ? "reference" : "source"),
    crossorigin: "anonymous",
    alt: t("your_picture"),
  });
  img.addEventListener("error", () => img.remove(), { once: true });
  return img;
}
