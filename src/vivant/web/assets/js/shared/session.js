// The state that all parts of the page share: the server and what it offers, the open job, the running upload.
import { createApi } from "../server/api.js";

// Used until a server has answered: enough to choose a picture and settings.
const OFFLINE_CONFIG = {
  default_model: "",
  defaults: {
    prompt: "",
    negative_prompt: "",
    seconds: 4,
    fps: 24,
    aspect: "16:9",
    seed: 0,
    quality: "standard",
    currency: "KRW",
  },
  aspects: { "16:9": [1920, 1080], "9:16": [1080, 1920], "1:1": [1080, 1080] },
  qualities: ["draft", "standard", "high"],
  limits: { max_image_bytes: 50_000_000, max_frames: 1441, max_prompt_characters: 2000 },
};

export const session = {
  api: createApi("", ""),
  online: null, // null: not known yet
  config: OFFLINE_CONFIG,
  models: [],
  presets: [], // ready comparisons that this server can make now
  openId: null,
  upload: null, // { abort, sent, cancelled, part } while a picture is sent
};
