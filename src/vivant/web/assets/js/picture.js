// A chosen picture: checked a little here, properly by the server.

const PICTURES = /\.(jpe?g|png|webp|avif|hei[cf]|gif|bmp|tiff?|jfif)$/i;

export function looksLikePicture(file) {
  return file.type.startsWith("image/") || PICTURES.test(file.name);
}

// { file, url, drawable, width, height }; HEIC and TIFF are sent although most browsers cannot draw them.
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

// The largest centred part of the aspect, a little above the middle: until the server has looked for a face.
export function centredCrop(width, height, aspect) {
  if (!width || !height) return { left: 0, top: 0, width: 1, height: 1 };
  if (width / height > aspect) {
    const share = (height * aspect) / width;
    return { left: (1 - share) / 2, top: 0, width: share, height: 1 };
  }
  const share = width / aspect / height;
  return { left: 0, top: 0.4 * (1 - share), width: 1, height: share };
}

// The whole picture in a window of the aspect, with air beside it.
export function wholePicture(width, height, aspect) {
  if (!width || !height) return { left: 0, top: 0, width: 1, height: 1 };
  const across = Math.max(1, (aspect * height) / width);
  const down = Math.max(1, width / aspect / height);
  return { left: (1 - across) / 2, top: (1 - down) / 2, width: across, height: down };
}

// Those of the files that are pictures; where none is, the first one, so that it can be said what it is not.
export function picturesOf(files) {
  const all = [...(files ?? [])];
  const pictures = all.filter(looksLikePicture);
  return pictures.length ? pictures : all.slice(0, 1);
}
