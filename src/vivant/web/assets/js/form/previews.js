// Asks the server how each mood would move the chosen picture, and keeps the small clips for the form.
import { loopingVideo, playAgain } from "../shared/looping_video.js";
import { session } from "../shared/session.js";
import { reducedPicture } from "../frame/picture.js";

// onReady(): there are clips, or there are none any more.
export function createPreviews({ onReady }) {
  let asked = "";
  let waiting = null;
  let videos = new Map(); // preset → element

  // picture: null clears them. shape: fields of the API.
  async function request(picture, shape) {
    const key = picture ? JSON.stringify([picture.url, shape, session.api.endpoint]) : "";
    if (key === asked) return;
    asked = key;
    waiting?.abort();
    clear();
    if (!picture || !session.online) return;
    waiting = new AbortController();
    try {
      const file = await reducedPicture(picture);
      const { data } = await session.api.previews(file, shape, waiting.signal);
      if (asked !== key) return;
      videos = new Map(data.map(({ preset, clip }) => [preset, loopingVideo(urlOf(clip))]));
      onReady();
    } catch {
      if (asked === key) asked = ""; // the form works without them; the next change asks again
    }
  }

  function clear() {
    if (!videos.size) return;
    for (const video of videos.values()) URL.revokeObjectURL(video.src);
    videos = new Map();
    onReady();
  }

  // The clip of a mood, to be put into the page; null without one.
  function of(preset) {
    const video = videos.get(preset) ?? null;
    if (video) playAgain(video);
    return video;
  }

  return { request, of, any: () => videos.size > 0 };
}

// A data URL as a blob URL: the page's policy allows clips of the second kind only.
function urlOf(dataUrl) {
  const [head, body] = dataUrl.split(",");
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: /^data:([^;]+)/.exec(head)[1] }));
}
