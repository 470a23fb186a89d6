// A chosen picture, and crops of it. The page checks little; the server decides what can be used.

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

export function closePicture(picture) {
  if (picture) URL.revokeObjectURL(picture.url);
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
