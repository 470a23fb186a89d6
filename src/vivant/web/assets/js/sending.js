// Sends a picture with its settings and sees it accepted once, however often the line breaks.
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { go } from "./address.js";
import { showBanner } from "./banner.js";
import { croppedPicture } from "./frame.js";
import { say, showPanel } from "./panels.js";
import { centredCrop, openPicture } from "./picture.js";
import { session } from "./session.js";
import { sources } from "./stills.js";
import { explain } from "./trouble.js";

const ATTEMPTS = 3;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const newKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");

// onRefused(error) when the server did not take it, or the user did not wait for that.
export function createSending(frame, run, form, shelf, { onRefused }) {
  async function send(fields, picture, framing) {
    form.fail("");
    const [width, height] = fields.size ? fields.size.split("x") : session.config.aspects[fields.aspect];
    session.openId = null;
    const sent = (session.sending = { abort: new AbortController(), all: false, unwanted: false });
    showPanel("run", "title_run");
    frame.hang("running", width / height, [croppedPicture(picture, framing.crop, t("your_picture"))]);
    frame.gild(0);
    run.show({ job: null, upload: 0, line: "live", cancelling: false });
    scrollTo({ top: 0 });
    run.focus();
    try {
      const job = await accepted(fields, picture, sent);
      session.sending = null;
      sources.set(job.id, { picture, crop: framing.state === "found" ? framing.crop : null });
      shelf.keep(job);
      say(t("say_started"));
      if (sent.unwanted) shelf.keep(await session.api.cancel(job.id));
      shelf.paint();
      go(job.id);
    } catch (error) {
      session.sending = null;
      go("");
      onRefused(error);
      if (error.name === "AbortError") return;
      const { text, detail } = explain(error, session.config);
      form.fail(detail && detail !== text ? `${text} (${detail})` : text);
      byId("go")?.focus();
    }
  }

  async function accepted(fields, picture, sent) {
    // The key makes a repeated request safe: the server answers with the same job.
    const idempotencyKey = newKey();
    const onUpload = (part) => {
      sent.all = part === 1;
      run.show({ upload: part });
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await session.api.create(fields, picture.file, { idempotencyKey, signal: sent.abort.signal, onUpload });
      } catch (error) {
        if (error.code !== "network" || attempt === ATTEMPTS) throw error;
        await wait(700 * attempt);
      }
    }
  }

  async function again(job, seed) {
    try {
      const own = sources.get(job.id) ?? { picture: await fromServer(job), crop: null };
      const { width, height } = own.picture;
      const crop = own.crop ?? centredCrop(width, height, job.width / job.height);
      await send(fieldsOf(job, seed), own.picture, { state: own.crop ? "found" : "centred", crop });
    } catch (error) {
      showBanner(error);
    }
  }

  // Once all is sent the server has the job: it is accepted first, then cancelled.
  function cancel() {
    session.sending.unwanted = true;
    run.show({ cancelling: true });
    if (!session.sending.all) session.sending.abort.abort();
  }

  return { send, again, cancel };
}

async function fromServer(job) {
  const blob = await session.api.file(job.id, "source");
  return openPicture(new File([blob], "picture", { type: blob.type }));
}

function fieldsOf(job, seed) {
  const fields = {
    prompt: job.prompt ?? "", negative_prompt: job.negative_prompt ?? "", model: job.model,
    num_frames: String(job.num_frames), fps: String(job.fps), size: `${job.width}x${job.height}`,
    seed: String(seed), quality: job.quality, upscaler: job.upscaler,
    ...(job.until_pass ? { until_pass: "true", budget: job.budget } : {}),
  };
  for (const [name, value] of Object.entries(job.options ?? {})) fields[`options[${name}]`] = String(value);
  return fields;
}
