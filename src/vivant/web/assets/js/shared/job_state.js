// A job (a clip) or a comparison that will not change any more.
export function isOver(job) {
  return job.status === "completed" || job.status === "failed";
}

// Whether a clip was made and its files are gone, because the time for which they are kept is over.
export function isExpired(job) {
  return job.status === "completed" && !job.variants?.includes("video");
}

export const TAKES_PREFIX = "batch_takes_"; // of the id of a batch with the same picture in each mood
export const areTakes = (batch) => batch?.startsWith(TAKES_PREFIX) ?? false;

// The id of what shares one card of the gallery: the clips of a comparison, four takes, or one clip.
export function cardId(job) {
  return job.batch?.startsWith("comparison_") || areTakes(job.batch) ? job.batch : job.id;
}
