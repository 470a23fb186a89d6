// Settings in the page's own address, e.g. ?size=1280x720&fps=30: fields of the API that the form lacks.
const FIELDS = /^(size|fps|num_frames|upscaler|priority|until_pass|budget|currency|options\[\w{1,40}\])$/;

export function presets() {
  return Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => FIELDS.test(name)));
}

// The shape that a preset size asks for, null without one.
export function presetRatio() {
  const found = /^(\d+)x(\d+)$/.exec(presets().size ?? "");
  return found && Number(found[2]) ? Number(found[1]) / Number(found[2]) : null;
}
