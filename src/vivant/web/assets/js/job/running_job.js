// The open job while it waits or runs: shows it, follows its events to the end, and cancels it.
import { t } from "../shared/i18n.js";
import { go } from "../shared/address.js";
import { bannerSaysUnreachable, hideBanner, showBanner } from "../shared/banner.js";
import { isOver } from "../shared/job_state.js";
import { announce, showPanel } from "../shared/panels.js";
import { session } from "../shared/session.js";
import { jobPicture } from "../frame/job_picture.js";
import { followJob } from "../server/job_events.js";

// onEnded(job, focused): the job is over; focused: the keyboard focus was in the card.
// onServerBack(): the server answers again after it could not be reached.
export function createRunningJob(frame, card, gallery, { onEnded, onServerBack }) {
  let stop = null;
  let announcedQuarter = 0;
  let wasCropped = false; // the picture in the frame is the server's crop

  function show(job, { reopen = false } = {}) {
    const shown = !reopen && frame.root.dataset.job === job.id;
    showPanel("run", "title_run");
    const cropped = job.variants?.includes("reference") ?? false;
    if (!shown || (cropped && !wasCropped)) {
      frame.show("running", job.width / job.height, [jobPicture(job)]);
      frame.root.dataset.job = job.id;
    }
    wasCropped = cropped;
    frame.showProgress(job.progress / 100);
    card.show({ job, upload: null });
    document.title = `${job.status === "queued" ? "⋯" : `${job.progress}%`} · Vivant`;
  }

  function follow(id) {
    unfollow();
    card.show({ line: "live", cancelling: false });
    announcedQuarter = 0;
    stop = followJob(session.api, id, {
      onLine: (line) => {
        card.show({ line });
        if (line === "lost") return;
        if (bannerSaysUnreachable()) hideBanner();
        if (session.online === false) onServerBack();
      },
      onEvent: (data) => session.openId === id && take(id, data),
      onEnd: (error) => {
        stop = null;
        if (session.openId === id) ended(id, error);
      },
    });
  }

  function take(id, data) {
    const { event, seq, at, done, total, unit, step, frame: index, ...job } = data;
    if (isOver(job)) return; // the whole object is fetched at the end
    // Events do not list the files. The cropped picture is there once the first stage has begun.
    if (job.stages?.length) job.variants = ["source", "reference"];
    const whole = gallery.put({ ...job, id });
    show(whole);
    gallery.render();
    announceQuarter(whole);
  }

  function announceQuarter(job) {
    const quarter = Math.floor(job.progress / 25);
    if (quarter <= announcedQuarter) return;
    announcedQuarter = quarter;
    announce(t("say_progress", { n: job.progress, stage: t(`doing_${job.stage ?? "image"}`) }));
  }

  async function ended(id, error) {
    try {
      if (error) throw error;
      const job = gallery.put(await session.api.get(id));
      if (session.openId !== id) return;
      await onEnded(job, card.contains(document.activeElement) || document.activeElement === document.body);
    } catch (problem) {
      if (problem.status !== 404) return showBanner(problem, () => follow(id));
      gallery.remove(id);
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
    card.show({ cancelling: true });
    try {
      const job = gallery.put(await session.api.cancel(id));
      if (isOver(job) && session.openId === id && frame.root.dataset.job === id) {
        unfollow();
        await onEnded(job, true);
      }
    } catch (error) {
      card.show({ cancelling: false });
      showBanner(error);
    }
  }

  return { show, follow, unfollow, cancel, following: () => stop !== null };
}
