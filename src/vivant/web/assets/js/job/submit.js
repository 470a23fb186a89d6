// Sends one picture with its settings, until the server has accepted it as a job.
import { t } from "../shared/i18n.js";
import { go } from "../shared/address.js";
import { showBanner } from "../shared/banner.js";
import { announce, showPanel } from "../shared/panels.js";
import { session } from "../shared/session.js";
import { croppedPicture } from "../frame/cropped_picture.js";
import { sentPictures } from "../frame/job_picture.js";
import { centredCrop, openPicture } from "../frame/picture.js";
import { untilAnswered } from "../server/retry.js";

// onRefused(error): the server refused the job, or the user cancelled the upload.
export function createSubmission(frame, card, gallery, { onRefused }) {
  async function submit(fields, picture, framing) {
    const [width, height] = fields.size ? fields.size.split("x") : session.config.aspects[fields.aspect];
    session.openId = null;
    const upload = (session.upload = { abort: new AbortController(), sent: false, cancelled: false });
    showPanel("run", "title_run");
    frame.show("running", width / height, [croppedPicture(picture, framing.crop, t("your_picture"))]);
    frame.showProgress(0);
    card.show({ job: null, upload: 0, line: "live", cancelling: false });
    scrollTo({ top: 0 });
    card.focus();
    try {
      const job = await create(fields, picture, upload);
      session.upload = null;
      sentPictures.set(job.id, { picture, crop: framing.state === "found" ? framing.crop : null });
      gallery.put(job);
      announce(t("say_started"));
      if (upload.cancelled) gallery.put(await session.api.cancel(job.id));
      gallery.render();
      go(job.id);
    } catch (error) {
      session.upload = null;
      go("");
      onRefused(error);
    }
  }

  function create(fields, picture, upload) {
    const onUpload = (part) => {
      upload.sent = part === 1;
      card.show({ upload: part });
    };
    const { signal } = upload.abort;
    return untilAnswered((idempotencyKey) =>
      session.api.create(fields, picture.file, { idempotencyKey, signal, onUpload }),
    );
  }

  // Makes a clip from the picture and settings of another one. more: fields of the API to add.
  async function again(job, seed, more = {}) {
    try {
      const own = sentPictures.get(job.id) ?? { picture: await download(job), crop: null };
      const { width, height } = own.picture;
      const crop = own.crop ?? centredCrop(width, height, job.width / job.height);
      await submit({ ...fieldsOf(job, seed), ...more }, own.picture, { state: own.crop ? "found" : "centred", crop });
    } catch (error) {
      showBanner(error);
    }
  }

  // Once the whole picture is sent, the server may have the job: then it is accepted first and cancelled after that.
  function cancel() {
    session.upload.cancelled = true;
    card.show({ cancelling: true });
    if (!session.upload.sent) session.upload.abort.abort();
  }

  return { submit, again, cancel };
}

async function download(job) {
  const blob = await session.api.file(job.id, "source");
  return openPicture(new File([blob], "picture", { type: blob.type }));
}

function fieldsOf(job, seed) {
  const fields = {
    prompt: job.prompt ?? "",
    negative_prompt: job.negative_prompt ?? "",
    model: job.model,
    num_frames: String(job.num_frames),
    fps: String(job.fps),
    size: `${job.width}x${job.height}`,
    seed: String(seed),
    quality: job.quality,
    upscaler: job.upscaler,
  };
  for (const name of ["crop", "focus", "label"]) if (job[name]) fields[name] = job[name];
  for (const name of ["rotate", "label_seconds"]) if (job[name]) fields[name] = String(job[name]);
  if (job.generate_audio) fields.generate_audio = "true";
  if (job.until_pass) Object.assign(fields, { until_pass: "true", budget: job.budget });
  for (const [name, value] of Object.entries(job.options ?? {})) fields[`options[${name}]`] = String(value);
  return fields;
}
