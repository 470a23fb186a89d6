// A new clip: takes a picture in, asks the server for its crop, and shows both in the frame.
import { byId } from "../shared/dom.js";
import { language, t } from "../shared/i18n.js";
import { bytes } from "../shared/format.js";
import { announce, showPanel } from "../shared/panels.js";
import { translatedNote } from "../shared/server_notes.js";
import { session } from "../shared/session.js";
import { croppedPicture, place } from "../frame/cropped_picture.js";
import { dropArea } from "../frame/drop_area.js";
import { pictureDetails } from "../frame/picture_details.js";
import { centredCrop, closePicture, looksLikePicture, openPicture, wholePicture } from "../frame/picture.js";
import { errorText } from "../server/error_text.js";
import { createPictureInput } from "./picture_input.js";

const NO_CROP = { state: "none" };

// onTake is called before a new picture is shown, so that an open clip is closed.
export function createNewClip(frame, form, { onTake }) {
  const input = createPictureInput(frame.root, ([file, ...more]) => take(file, more));
  let picture = null;
  let others = []; // more pictures: they are made with the same settings, as one batch
  let framing = NO_CROP; // { state, crop, faces, warnings }; state: none, looking, found, centred or refused
  let cropping = null;

  function problemOf(file) {
    const limit = session.config.limits.max_image_bytes;
    if (!looksLikePicture(file)) return t("picture_bad_type", { name: file.name });
    if (file.size === 0) return t("picture_empty");
    return file.size > limit ? t("picture_too_big", { size: bytes(file.size), limit: bytes(limit) }) : "";
  }

  async function take(file, more = []) {
    onTake();
    const problem = problemOf(file);
    form.fail(problem, "picture");
    if (problem) return;
    const opened = await openPicture(file);
    closePicture(picture);
    picture = opened;
    others = more;
    const crop = centredCrop(opened.width, opened.height, form.aspect());
    framing = { state: "looking", crop, faces: [], warnings: [] };
    show();
    frame.root.scrollIntoView({ block: "nearest" });
    announce(t("picture_chosen", { name: file.name || t("pasted") }));
    byId("go")?.focus({ preventScroll: true });
    findCrop();
  }

  async function findCrop() {
    cropping?.abort();
    if (!picture) return show();
    const mine = new AbortController();
    cropping = mine;
    const { width, height } = picture;
    const crop = centredCrop(width, height, form.aspect());
    framing = { ...framing, state: session.online ? "looking" : "centred", crop };
    show();
    if (!session.online) return;
    try {
      const answer = await session.api.crop(picture.file, form.shape(), mine.signal);
      framing = { state: "found", ...answer };
      picture.width ||= answer.picture?.width ?? 0;
      picture.height ||= answer.picture?.height ?? 0;
    } catch (error) {
      if (error.name === "AbortError") return;
      const { text, detail, about } = errorText(error, session.config);
      framing = { ...framing, state: about === "picture" ? "refused" : "centred" };
      if (error.code !== "network") {
        form.fail(detail && language() === "ko" ? `${text} (${detail})` : text, "picture");
      }
    }
    if (cropping === mine) show();
  }

  async function takeSample() {
    try {
      take(new File([await session.api.sample()], "eileen-collins.png", { type: "image/png" }));
    } catch (error) {
      form.fail(errorText(error, session.config).text, "picture");
    }
  }

  function remove() {
    cropping?.abort();
    closePicture(picture);
    picture = null;
    others = [];
    framing = NO_CROP;
    form.fail("");
    show();
    announce(t("picture_removed"));
    byId("choose")?.focus();
  }

  function notes() {
    const found = (framing.warnings ?? []).map(translatedNote);
    const names = others.map((file) => file.name).join(", ");
    return others.length ? [...found, { text: t("pictures_more", { n: others.length, names }) }] : found;
  }

  function show() {
    if (session.openId || session.upload) return;
    showPanel("form", "title_new");
    document.title = "Vivant";
    frame.showProgress(0);
    if (picture) showPicture();
    else showDropArea();
  }

  function showDropArea() {
    const buttons = {
      onChoose: input.choose,
      onPhotograph: input.photograph,
      onSample: session.online && takeSample,
    };
    frame.show("empty", form.aspect(), [dropArea(buttons)]);
  }

  function showPicture() {
    const active = document.activeElement?.id;
    const { width, height, url } = picture;
    // The whole picture until the face is found; then CSS moves it to the crop.
    const visible = framing.state === "looking" ? wholePicture(width, height, form.aspect()) : framing.crop;
    const shown = frame.art.querySelector(".cropped img");
    const same = shown?.src === url && frame.root.dataset.state === "chosen";
    if (same) place(shown, visible);
    const inside = same ? null : [croppedPicture(picture, visible, t("preview_alt"), framing)];
    const details = pictureDetails(picture, framing, notes(), { onChoose: input.choose, onRemove: remove });
    frame.show("chosen", form.aspect(), inside, [details]);
    if (active === "change" || active === "remove") byId(active)?.focus();
  }

  return {
    show,
    // Asks for the crop again, after the shape or the server has changed.
    findCrop,
    // { picture, framing, others }, or null without a picture.
    chosen: () => picture && { picture, framing, others },
    count: () => (picture ? 1 + others.length : 0),
    needsCrop: () => picture !== null && framing.state !== "found",
    translate: input.translate,
  };
}
