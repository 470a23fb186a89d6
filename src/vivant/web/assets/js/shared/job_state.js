// A job (a clip) or a comparison that will not change any more.
export function isOver(job) {
  return job.status === "completed" || job.status === "failed";
}
