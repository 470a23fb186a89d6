// Saves the clips of a batch as one ZIP file. They are stored as they are: video does not get smaller.
import { h } from "../shared/dom.js";
import { session } from "../shared/session.js";

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}

// [size in bytes, value] fields as little-endian bytes.
function record(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view;
}

const VERSION = 20;
const UTF8 = 0x0800;
const DATE = 0x21; // 1 January 1980: the format has no date without a time zone

// files: [{ name, blob }] in this order, less than 4 GB together. Returns the archive (PKWARE APPNOTE 6.3).
export async function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    const path = new TextEncoder().encode(name);
    const common = [
      [2, VERSION],
      [2, UTF8],
      [2, 0],
      [2, 0],
      [2, DATE],
      [4, crc],
      [4, blob.size],
      [4, blob.size],
      [2, path.length],
      [2, 0],
    ];
    parts.push(record([[4, 0x04034b50], ...common]), path, blob);
    const rest = [
      [2, 0],
      [2, 0],
      [2, 0],
      [4, 0],
      [4, offset],
    ];
    directory.push(record([[4, 0x02014b50], [2, VERSION], ...common, ...rest]), path);
    offset += 30 + path.length + blob.size;
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const end = [
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, files.length],
    [2, files.length],
    [4, size],
    [4, offset],
    [2, 0],
  ];
  return new Blob([...parts, ...directory, record(end)], { type: "application/zip" });
}

// onPart(part): from 0 to 1.
export async function saveZip(jobs, name, onPart) {
  const files = [];
  const used = new Set();
  for (const job of jobs) {
    files.push({ name: unused(job.file_name ?? job.id, used), blob: await session.api.file(job.id, "video") });
    onPart(files.length / jobs.length);
  }
  const url = URL.createObjectURL(await zip(files));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may still be reading it
}

function unused(stem, used) {
  let name = `${stem}.mp4`;
  for (let number = 2; used.has(name); number++) name = `${stem}-${number}.mp4`;
  used.add(name);
  return name;
}
