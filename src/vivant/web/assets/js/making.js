// A job that waits or runs: shown, followed to its end, and cancelled.
import { t } from "./i18n.js";
import { go } from "./address.js";
import { bannerIs, hideBanner, showBanner } from "./banner.js";
import { isOver } from "./gallery.js";
import { say, showPanel } from "./panels.js";
import { session } from "./session.js";
import { stillPicture } from "./stills.js";
import { watch } from "./watch.js";

// onEnded(job, attended) when the job is over; attended: the user was at it. onServer: it answers again.
export function createMaking(frame, run, shelf, { onEnded, onServer }) {
  let stop = null;
  let quarter = 0; // the last one said aloud

  function show(job, { anew = false } = {}) {
    const before = !anew && frame.root.dataset.job === job.id;
    showPanel("run", "title_run");
    if (!before) {
      frame.hang("running", job.width / job.height, [stillPicture(job)]);
      frame.root.dataset.job = job.id;
    }
    frame.gild(job.progress / 100);
    run.show({ job, upload: null });
    document.title = `${job.status === "queued" ? "⋯" : `${job.progress}%`} · Vivant`;
  }

  function follow(id) {
    unfollow();
    run.show({ line: "live", cancelling: false });
    quarter = 0;
    stop = watch(session.api, id, {
      onLine: (line) => {
        run.show({ line });
        if (line === "lost") return;
        if (bannerIs("network")) hideBanner();
        if (session.online === false) onServer();
      },
      onEvent: (data) => session.openId === id && take(id, data),
      onEnd: (error) => {
        stop = null;
        if (session.openId === id) ended(id, error);
      },
    });
  }

  function take(id, data) {
    const { event, seq, at, done, total, unit, step, frame: index, ...known } = data;
    if (isOver(known)) return; // the whole object is fetched at the end
    // Events do not tell of files: the framed picture is there once work on it has begun.
    if (known.stages?.length) known.variants = ["source", "reference"];
    const job = shelf.keep({ ...known, id });
    show(job);
    shelf.paint();
    const now = Math.floor(job.progress / 25);
    if (now > quarter) {
      quarter = now;
      say(t("say_progress", { n: job.progress, stage: t(`doing_${job.stage ?? "image"}`) }));
    }
  }

  async function ended(id, error) {
    try {
      if (error) throw error;
      const job = shelf.keep(await session.api.get(id));
      if (session.openId !== id) return;
      await onEnded(job, run.has(document.activeElement) || document.activeElement === document.body);
    } catch (problem) {
      if (problem.status !== 404) return showBanner(problem, () => follow(id));
      shelf.drop(id);
      if (error) showBanner(problem);
      go("");
    }
  }

  function unfollow() {
    stop?.();
    stop = null;
  }

  async function cancel() {
    const id = session.openId;
    if (!id) return;
    run.show({ cancelling: true });
    try {
      const job = shelf.keep(await session.api.cancel(id));
      if (isOver(job) && session.openId === id && frame.root.dataset.job === id) {
        unfollow();
        await onEnded(job, true);
      }
    } catch (error) {
      run.show({ cancelling: false });
      showBanner(error);
    }
  }

  return { show, follow, unfollow, cancel, following: () => stop !== null };
}
