// A crop: left, top, width and height as fractions of the picture. Its shape in pixels stays that of the clip.

const SMALLEST_SIDE = 64; // pixels of the picture, as the server allows

// The largest and the smallest crop of the shape, as its width.
export function widthLimits(picture, aspect) {
  const largest = Math.min(1, (aspect * picture.height) / picture.width);
  const smallest = Math.max(SMALLEST_SIDE, SMALLEST_SIDE * aspect) / picture.width;
  return { largest, smallest: Math.min(largest, smallest) };
}

const within = (value, low, high) => Math.min(high, Math.max(low, value));

// dx, dy: fractions of the crop's own sides, to the right and down.
export function moved(crop, dx, dy) {
  return {
    ...crop,
    left: within(crop.left + dx * crop.width, 0, 1 - crop.width),
    top: within(crop.top + dy * crop.height, 0, 1 - crop.height),
  };
}

// factor: above 1 shows less of the picture. The point (x, y), fractions of the crop, stays where it is.
export function zoomed(crop, picture, aspect, factor, x = 0.5, y = 0.5) {
  const { largest, smallest } = widthLimits(picture, aspect);
  const width = within(crop.width / factor, smallest, largest);
  const height = (width * picture.width) / aspect / picture.height;
  const left = crop.left + x * (crop.width - width);
  const top = crop.top + y * (crop.height - height);
  return moved({ left, top, width, height }, 0, 0);
}

// As the API takes it.
export function cropText({ left, top, width, height }) {
  return [left, top, width, height].map((share) => `${(100 * share).toFixed(4)}%`).join(",");
}
