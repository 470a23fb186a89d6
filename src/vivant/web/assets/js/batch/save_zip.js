// Saves the clips of a batch as one ZIP file. They are stored as they are: video does not get smaller.
import { h } from "../shared/dom.js";
import { session } from "../shared/session.js";
import { downloadZip } from "../vendor/client-zip.js";

// One clip after the other. onPart(part): from 0 to 1.
async function* clipFiles(jobs, onPart) {
  const used = new Set();
  for (const [index, job] of jobs.entries()) {
    const input = await session.api.file(job.id, "video");
    yield { name: unused(job.file_name ?? job.id, used), lastModified: new Date(job.created_at * 1000), input };
    onPart((index + 1) / jobs.length);
  }
}

export async function saveZip(jobs, name, onPart) {
  const archive = await downloadZip(clipFiles(jobs, onPart)).blob();
  const url = URL.createObjectURL(archive);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may still be reading it
}

function unused(stem, used) {
  let name = `${stem}.mp4`;
  for (let number = 2; used.has(name); number++) name = `${stem}-${number}.mp4`;
  used.add(name);
  return name;
}
