// A new clip: takes a picture in, asks the server for its crop, and shows both in the frame.
import { byId } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { bytes } from "../shared/format.js";
import { announce, showPanel } from "../shared/panels.js";
import { isAboutNoFace, translatedNote } from "../shared/server_notes.js";
import { session } from "../shared/session.js";
import { croppedPicture, place } from "../frame/cropped_picture.js";
import { dropArea } from "../frame/drop_area.js";
import { pictureDetails } from "../frame/picture_details.js";
import { cropText } from "../frame/crop_math.js";
import { createHandCrop } from "../frame/hand_crop.js";
import {
  centredCrop,
  closePicture,
  looksLikePicture,
  openPicture,
  turnedPicture,
  wholePicture,
} from "../frame/picture.js";
import { createExamples } from "../examples/examples.js";
import { errorLine, errorText } from "../server/error_text.js";
import { createPictureInput } from "./picture_input.js";

const NO_CROP = { state: "none" };

// onTake is called before a new picture is shown, so that an open clip is closed.
export function createNewClip(frame, form, { onTake }) {
  const examples = createExamples({ onChoose: takeExample, onFound: () => !picture && show() });
  const input = createPictureInput(frame.root, ([file, ...more]) => take(file, more));
  let picture = null;
  let others = []; // more pictures: they are made with the same settings, as one batch
  let framing = NO_CROP; // { state, crop, faces, warnings }; state: none, looking, found, centred or refused
  let cropping = null;
  let byHand = null; // the crop that the user chose; null: the server chooses
  let turned = 0; // degrees clockwise, for a picture that lies on its side
  const handCrop = createHandCrop({
    now: () => ({ crop: framing.crop, picture, aspect: form.aspect() }),
    onMove: moveCrop,
    onSettled: () => findCrop(),
    onReset: () => {
      byHand = null;
      findCrop();
    },
  });

  // What is wrong with the file, as a function that says it in the page's language; null: nothing.
  function problemOf(file) {
    const limit = session.config.limits.max_image_bytes;
    if (!looksLikePicture(file)) return () => t("picture_bad_type", { name: file.name });
    if (file.size === 0) return () => t("picture_empty");
    const sizes = () => ({ size: bytes(file.size), limit: bytes(limit) });
    return file.size > limit ? () => t("picture_too_big", sizes()) : null;
  }

  // credit: of the sample picture.
  async function take(file, more = [], credit = null) {
    onTake();
    const problem = problemOf(file);
    form.fail(problem, "picture");
    if (problem) return;
    const opened = await openPicture(file);
    closePicture(picture);
    picture = { ...opened, credit };
    others = more;
    byHand = null;
    turned = 0;
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
    const crop = byHand ?? centredCrop(width, height, form.aspect());
    framing = { ...framing, state: session.online ? "looking" : "centred", crop };
    show();
    if (!session.online) return;
    preview(); // it is sent at once: the server draws the moods as soon as it has found the face
    try {
      const answer = await session.api.crop(picture.file, { ...form.shape(), ...cropFields() }, mine.signal);
      if (byHand) byHand = answer.crop;
      framing = { state: "found", ...answer };
      picture.width ||= answer.picture?.width ?? 0;
      picture.height ||= answer.picture?.height ?? 0;
    } catch (error) {
      if (error.name === "AbortError") return;
      const { about } = errorText(error, session.config);
      framing = { ...framing, state: about === "picture" ? "refused" : "centred" };
      if (error.code !== "network") form.fail(() => errorLine(error, session.config), "picture");
    }
    if (cropping !== mine) return;
    show();
    if (framing.state !== "found") form.preview(null);
  }

  // A crop by hand is for one picture, and a comparison chooses its own.
  const croppable = () =>
    picture.drawable && !others.length && !form.judges() && ["found", "looking", "centred"].includes(framing.state);

  function moveCrop(crop) {
    cropping?.abort();
    byHand = crop;
    framing = { ...framing, state: "found", crop, faces: framing.faces ?? [] };
    show();
  }

  // As fields of the API.
  function cropFields() {
    return {
      ...(byHand && !others.length && !form.judges() ? { crop: cropText(byHand) } : {}),
      ...(turned ? { rotate: String(turned) } : {}),
    };
  }

  // The server sees a face in the picture once it is turned.
  async function turn(degrees) {
    const upright = await turnedPicture(picture, degrees);
    closePicture(picture);
    picture = upright;
    turned = (turned + degrees) % 360;
    byHand = null;
    findCrop();
  }

  // Small moving pictures of the moods.
  function preview() {
    form.preview(picture, byHand ? { crop: cropText(byHand) } : {});
  }

  function takeExample({ preset, aspect }) {
    form.use({ model: "living", mood: preset, aspect });
    takeSample();
  }

  async function takeSample() {
    try {
      const file = new File([await session.api.sample()], "christophe-henner.jpg", { type: "image/jpeg" });
      take(file, [], examples.credit());
    } catch (error) {
      form.fail(() => errorText(error, session.config).text, "picture");
    }
  }

  function remove() {
    cropping?.abort();
    closePicture(picture);
    picture = null;
    others = [];
    framing = NO_CROP;
    form.fail(null);
    preview();
    show();
    announce(t("picture_removed"));
    byId("choose")?.focus();
  }

  function notes() {
    // they advise to take another picture, which does not help whoever only tries the page
    const warnings = (framing.warnings ?? []).filter((text) => !isAboutNoFace(text)); // the line above says it
    const found = picture.credit ? [] : warnings.map(translatedNote);
    const names = others.map((file) => file.name).join(", ");
    const words = form.takesMoods() ? "pictures_first_only" : "pictures_more";
    return others.length ? [...found, { text: t(words, { n: others.length, names }) }] : found;
  }

  function show() {
    if (session.openId || session.upload) return;
    showPanel("form", "title_new");
    document.title = "Vivant";
    frame.showProgress(0);
    const faceless = picture && framing.state === "found" && framing.faces.length === 0;
    form.note(faceless && !byHand ? t("no_face_note") : "");
    const active = document.activeElement;
    if (picture) showPicture();
    else showDropArea();
    keepFocus(active);
  }

  // The buttons are made anew each time, and an element that is moved loses its focus.
  function keepFocus(active) {
    if (document.activeElement === active) return;
    const again = active?.isConnected ? active : byId(active?.id);
    again?.focus({ preventScroll: true });
  }

  function showDropArea() {
    const buttons = {
      onChoose: input.choose,
      onPhotograph: input.photograph,
      onSample: session.online && !examples.any() && takeSample, // an example is the sample, too
    };
    frame.show("empty", form.aspect(), [dropArea(buttons)], [examples.root]);
    examples.resume();
  }

  function showPicture() {
    const { width, height, url } = picture;
    // The whole picture until the face is found; then CSS moves it to the crop.
    const looking = framing.state === "looking" && !byHand;
    const visible = looking ? wholePicture(width, height, form.aspect()) : framing.crop;
    const shown = frame.art.querySelector(".cropped img");
    const same = shown?.src === url && frame.root.dataset.state === "chosen";
    if (same) place(shown, visible);
    const inside = same ? null : [croppedPicture(picture, visible, t("preview_alt"), framing)];
    const actions = { onChoose: input.choose, onRemove: remove, onTurn: turn };
    const details = pictureDetails(picture, { ...framing, byHand, movable: croppable() }, notes(), actions);
    frame.show("chosen", form.aspect(), inside, [details]);
    showCropTools(same, visible);
  }

  function showCropTools(attached, visible) {
    const area = frame.art.querySelector(".cropped");
    frame.art.querySelector(".crop-tools")?.remove();
    if (!area || !croppable()) return;
    if (!attached) handCrop.attach(area);
    area.toggleAttribute("data-whole-height", visible.height > 0.999);
    frame.art.append(handCrop.buttons(byHand !== null));
  }

  return {
    show,
    // Asks for the crop again, after the server or what is made has changed.
    findCrop,
    // The clip has another shape: a crop by hand does not fit any more.
    reshape() {
      byHand = null;
      findCrop();
    },
    // { picture, framing, others, fields }, or null without a picture. fields: of the API, about its crop.
    chosen: () => picture && { picture, framing, others, fields: cropFields() },
    count: () => (picture ? 1 + others.length : 0),
    needsCrop: () => picture !== null && framing.state !== "found",
    // Asks again after the engine has changed.
    preview,
    // The server answers, or another one does.
    connected() {
      examples.clear();
      examples.load();
    },
    translate() {
      input.translate();
      examples.translate();
    },
  };
}
