// A new clip: the picture that was taken in, its framing by the server, and the frame that shows both.
import { byId } from "./dom.js";
import { language, t } from "./i18n.js";
import { bytes } from "./format.js";
import { croppedPicture, emptyFrame, place, plaque } from "./frame.js";
import { createIntake } from "./intake.js";
import { note } from "./notes.js";
import { say, showPanel } from "./panels.js";
import { centredCrop, closePicture, looksLikePicture, openPicture, wholePicture } from "./picture.js";
import { session } from "./session.js";
import { explain } from "./trouble.js";

const NOTHING = { state: "none" };

// onTake is called before a new picture is taken in: what else is open is closed.
export function createCompose(frame, form, { onTake }) {
  const intake = createIntake(frame.root, ([file, ...more]) => take(file, more));
  let picture = null;
  let others = []; // more files: they are made with the same settings, in one batch
  let framing = NOTHING;
  let cropping = null;

  function wrong(file) {
    const limit = session.config.limits.max_image_bytes;
    if (!looksLikePicture(file)) return t("picture_bad_type", { name: file.name });
    if (file.size === 0) return t("picture_empty");
    return file.size > limit ? t("picture_too_big", { size: bytes(file.size), limit: bytes(limit) }) : "";
  }

  async function take(file, more = []) {
    onTake();
    const problem = wrong(file);
    form.fail(problem);
    if (problem) return;
    const opened = await openPicture(file);
    closePicture(picture);
    picture = opened;
    others = more;
    framing = { state: "looking", crop: centredCrop(opened.width, opened.height, form.aspect()), faces: [], warnings: [] };
    show();
    say(t("picture_chosen", { name: file.name || t("pasted") }));
    byId("go")?.focus({ preventScroll: true });
    crop();
  }

  async function crop() {
    cropping?.abort();
    if (!picture) return show();
    const mine = new AbortController();
    cropping = mine;
    const { width, height } = picture;
    framing = { ...framing, state: session.online ? "looking" : "centred", crop: centredCrop(width, height, form.aspect()) };
    show();
    if (!session.online) return;
    try {
      const answer = await session.api.crop(picture.file, form.shape(), mine.signal);
      framing = { state: "found", ...answer };
      picture.width ||= answer.picture?.width ?? 0;
      picture.height ||= answer.picture?.height ?? 0;
    } catch (error) {
      if (error.name === "AbortError") return;
      const { text, detail, about } = explain(error, session.config);
      framing = { ...framing, state: about === "picture" ? "refused" : "centred", why: text };
      if (error.code !== "network") form.fail(detail && language() === "ko" ? `${text} (${detail})` : text);
    }
    if (cropping === mine) show();
  }

  async function sample() {
    try {
      take(new File([await session.api.sample()], "eileen-collins.png", { type: "image/png" }));
    } catch (error) {
      form.fail(explain(error, session.config).text);
    }
  }

  function remove() {
    cropping?.abort();
    closePicture(picture);
    picture = null;
    others = [];
    framing = NOTHING;
    form.fail("");
    show();
    say(t("picture_removed"));
    byId("choose")?.focus();
  }

  // What the other files are, said below the first.
  function more() {
    return others.length ? [{ text: t("pictures_more", { n: others.length, names: others.map((file) => file.name).join(", ") }) }] : [];
  }

  function show() {
    if (session.openId || session.sending) return;
    showPanel("form", "title_new");
    document.title = "Vivant";
    frame.gild(0);
    if (!picture) {
      frame.hang("empty", form.aspect(), [emptyFrame({ onChoose: intake.choose, onPhotograph: intake.photograph, onSample: session.online && sample })]);
      return;
    }
    const active = document.activeElement?.id;
    // Until the face is found the whole picture is shown; then it glides into its framing.
    const window = framing.state === "looking" ? wholePicture(picture.width, picture.height, form.aspect()) : framing.crop;
    const hung = frame.art.querySelector(".cropped img");
    const same = hung?.src === picture.url && frame.root.dataset.state === "chosen";
    if (same) place(hung, window);
    frame.hang(
      "chosen",
      form.aspect(),
      same ? null : [croppedPicture(picture, window, t("preview_alt"), framing)],
      [plaque(picture, framing, [...(framing.warnings ?? []).map(note), ...more()], { onChoose: intake.choose, onRemove: remove })],
    );
    if (active === "change" || active === "remove") byId(active)?.focus();
  }

  return {
    show,
    // The shape or the server is another one: look for the face again.
    crop,
    // { picture, framing, others }, or null while there is no picture.
    chosen: () => picture && { picture, framing, others },
    count: () => (picture ? 1 + others.length : 0),
    waits: () => picture !== null && framing.state !== "found",
    translate: intake.translate,
  };
}
