// A chosen picture, and crops of it. The page checks little; the server decides what can be used.

const REDUCED_SIDE = 1280;
const PICTURES = /\.(jpe?g|png|webp|avif|hei[cf]|gif|bmp|tiff?|jfif)$/i;

export function looksLikePicture(file) {
  return file.type.startsWith("image/") || PICTURES.test(file.name);
}

// Returns { file, url, drawable, width, height }. Most browsers cannot draw HEIC and TIFF; they are sent all the same.
export async function openPicture(file) {
  const url = URL.createObjectURL(file);
  const probe = new Image();
  probe.src = url;
  try {
    await probe.decode();
    return { file, url, drawable: true, width: probe.naturalWidth, height: probe.naturalHeight };
  } catch {
    return { file, url, drawable: false, width: 0, height: 0 };
  }
}

// The same file, drawn turned by degrees clockwise (a multiple of 90).
export async function turnedPicture(picture, degrees) {
  const image = new Image();
  image.src = picture.url;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = degrees % 180 ? [height, width] : [width, height];
  const context = canvas.getContext("2d");
  context.translate(canvas.width / 2, canvas.height / 2);
  context.rotate((degrees * Math.PI) / 180);
  context.drawImage(image, -width / 2, -height / 2);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  const url = URL.createObjectURL(blob);
  return { ...picture, url, width: canvas.width, height: canvas.height, drawnTurned: true };
}

export function closePicture(picture) {
  if (picture) URL.revokeObjectURL(picture.url);
}

const reduced = new WeakMap(); // picture → promise of a file

// A JPEG of at most REDUCED_SIDE pixels, enough to look at; the file itself where it is small or cannot be drawn.
export function reducedPicture(picture) {
  if (!reduced.has(picture)) reduced.set(picture, reduce(picture));
  return reduced.get(picture);
}

async function reduce({ file, url, drawable, width, height, drawnTurned = false }) {
  const scale = Math.min(1, REDUCED_SIDE / Math.max(width, height));
  if (!drawable || (scale === 1 && !drawnTurned)) return file;
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
  return blob ? new File([blob], "picture.jpg", { type: "image/jpeg" }) : file;
}

// The largest part of the aspect, centred and a little above the middle. Used until the server has found the face.
export function centredCrop(width, height, aspect) {
  if (!width || !height) return { left: 0, top: 0, width: 1, height: 1 };
  if (width / height > aspect) {
    const share = (height * aspect) / width;
    return { left: (1 - share) / 2, top: 0, width: share, height: 1 };
  }
  const share = width / aspect / height;
  return { left: 0, top: 0.4 * (1 - share), width: 1, height: share };
}

// The whole picture in an area of the aspect, with empty space beside it.
export function wholePicture(width, height, aspect) {
  if (!width || !height) return { left: 0, top: 0, width: 1, height: 1 };
  const across = Math.max(1, (aspect * height) / width);
  const down = Math.max(1, width / aspect / height);
  return { left: (1 - across) / 2, top: (1 - down) / 2, width: across, height: down };
}

// The pictures among the files. Without any, the first file, so that the error can name it.
export function picturesOf(files) {
  const all = [...(files ?? [])];
  const pictures = all.filter(looksLikePicture);
  return pictures.length ? pictures : all.slice(0, 1);
}
