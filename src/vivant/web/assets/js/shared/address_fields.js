// Fields of the API that the form lacks can stand in the page's address, e.g. ?size=1280x720&fps=30.
const FIELDS = /^(size|fps|num_frames|upscaler|priority|until_pass|budget|currency|options\[\w{1,40}\])$/;

export function addressFields() {
  return Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => FIELDS.test(name)));
}

// Width / height of the size in the address; null without one.
export function addressRatio() {
  const found = /^(\d+)x(\d+)$/.exec(addressFields().size ?? "");
  return found && Number(found[2]) ? Number(found[1]) / Number(found[2]) : null;
}
