// Finds the server and keeps looking for it; asks for its address and key where that is needed.
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { forget, recall, remember } from "./memory.js";
import { createApi } from "./api.js";
import { askConnection } from "./dialogs.js";
import { hideBanner, showBanner } from "./banner.js";
import { say } from "./panels.js";
import { session } from "./session.js";
import { explain } from "./trouble.js";

const AGAIN_MS = 5000;

const alone = document.querySelector('meta[name="vivant-endpoint"]'); // the single-file page has it
const standing = alone === null || location.protocol !== "file:";
const here = standing ? location.origin + location.pathname.replace(/\/[^/]*$/, "") : "";

function remembered() {
  return { endpoint: standing ? here : recall("endpoint") ?? alone?.content ?? "", key: recall("key") ?? "" };
}

// Ready comparisons that a worker can make now; a server from before there were any has none.
export async function offered(api) {
  const presets = await api.presets().catch(() => []);
  return presets.filter((one) => one.available);
}

// onReady(arriving) when the server has answered; arriving: it had not before.
export function createConnection({ onChanged, onReady }) {
  async function connect() {
    const { endpoint, key } = remembered();
    if (!endpoint) {
      session.online = false;
      show();
      ask();
      return;
    }
    session.api = createApi(endpoint, key);
    show();
    try {
      const { api } = session;
      const [config, models, presets] = await Promise.all([api.config(), api.models(), offered(api)]);
      const arriving = session.online !== true;
      Object.assign(session, { online: true, config, models, presets });
      hideBanner();
      await onReady(arriving);
    } catch (error) {
      session.online = false;
      showBanner(error, connect);
      if (error.status === 401) ask(true);
      else setTimeout(() => again(endpoint), AGAIN_MS);
    }
    show();
  }

  function again(endpoint) {
    if (session.online === false && remembered().endpoint === endpoint && !byId("connection").open) connect();
  }

  function ask(needsKey = false) {
    askConnection({ ...remembered(), lasting: true, fixed: standing, needsKey }, async (next) => {
      const trial = createApi(next.endpoint, next.key);
      try {
        await trial.config();
        await trial.list();
      } catch (error) {
        return error.code === "network" && !standing ? t("error_endpoint_network") : explain(error, session.config).text;
      }
      forget("key");
      if (!standing) remember("endpoint", next.endpoint, next.lasting);
      if (next.key) remember("key", next.key, next.lasting);
      say(t("connected"));
      session.online = null;
      onChanged();
      await connect();
      return null;
    });
  }

  function show() {
    const { online } = session;
    const word = t(online === null ? "server_wait" : online ? "server_on" : "server_off");
    byId("connect-word").textContent = word;
    byId("connect").setAttribute("aria-label", t("server_label", { state: word }));
    document.querySelector("#connect .lamp").dataset.is = online === null ? "wait" : online ? "on" : "off";
    byId("save-page").hidden = !standing || alone !== null;
  }

  byId("connect").addEventListener("click", () => ask());
  window.addEventListener("online", connect);
  return { connect, ask, show };
}
