// The connection to the server: opens it, checks that it still answers, and opens it again after it was lost.
import { byId } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { hideBanner, showBanner } from "../shared/banner.js";
import { announce } from "../shared/panels.js";
import { session } from "../shared/session.js";
import { forget, load, save } from "../shared/storage.js";
import { ApiError, createApi } from "./api.js";
import { askConnection } from "./connection_dialog.js";
import { errorText } from "./error_text.js";

const RETRY_MS = 5000;
const CHECK_MS = 10_000;
const CHECK_TIMEOUT_MS = 15_000;

// The single-file page has this element. Opened from a disk, it needs the server's address.
const fileMark = document.querySelector('meta[name="vivant-endpoint"]');
const served = fileMark === null || location.protocol !== "file:";
const ownAddress = served ? location.origin + location.pathname.replace(/\/[^/]*$/, "") : "";

function remembered() {
  return {
    endpoint: served ? ownAddress : (load("endpoint") ?? fileMark?.content ?? ""),
    key: load("key") ?? "",
  };
}

// The ready comparisons that a worker can make now. An older server has none.
export async function availablePresets(api) {
  const presets = await api.presets().catch(() => []);
  return presets.filter((one) => one.available);
}

// The true cause: a server that runs but does not let a page opened from a file in looks like no server at all.
async function causeOf(error, api) {
  const refused = error.code === "network" && !served && (await api.answers());
  return refused ? new ApiError({ code: "file_page" }) : error;
}

// onReady(returning): the server has answered; returning: it had not answered before.
export function createConnection({ onChanged, onReady }) {
  let retry = null;

  async function connect() {
    clearTimeout(retry);
    const { endpoint, key } = remembered();
    if (!endpoint) {
      session.online = false;
      show();
      ask();
      return;
    }
    const api = createApi(endpoint, key, (answered) => !answered && session.online && lost());
    session.api = api;
    show();
    try {
      const [config, models, presets] = await Promise.all([api.config(), api.models(), availablePresets(api)]);
      const returning = session.online !== true;
      Object.assign(session, { online: true, config, models, presets });
      hideBanner();
      await onReady(returning);
    } catch (error) {
      lost(error);
    }
    show();
  }

  async function lost(error = new ApiError({})) {
    session.online = false;
    show();
    clearTimeout(retry);
    if (error.status === 401) ask(true);
    else retry = setTimeout(connectAgain, RETRY_MS);
    showBanner(await causeOf(error, session.api), connect);
  }

  function connectAgain() {
    if (session.online === false && !byId("connection").open) connect();
  }

  // Nothing else may be asked of the server for a while: this notices that it is gone.
  async function check() {
    if (!session.online || document.hidden) return;
    try {
      await session.api.config(AbortSignal.timeout(CHECK_TIMEOUT_MS));
    } catch {
      // the API has reported it already
    }
  }

  function ask(needsKey = false) {
    askConnection({ ...remembered(), lasting: true, fixed: served, needsKey }, async (next) => {
      const trial = createApi(next.endpoint, next.key);
      try {
        await trial.config();
        await trial.list();
      } catch (error) {
        const cause = await causeOf(error, trial);
        return cause.code === "network" && !served
          ? t("error_endpoint_network")
          : errorText(cause, session.config).text;
      }
      forget("key");
      if (!served) save("endpoint", next.endpoint, next.lasting);
      if (next.key) save("key", next.key, next.lasting);
      announce(t("connected"));
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
    byId("save-page").hidden = !served || fileMark !== null;
  }

  byId("connect").addEventListener("click", () => ask());
  window.addEventListener("online", connect);
  document.addEventListener("visibilitychange", check);
  setInterval(check, CHECK_MS);
  return { connect, ask, show };
}
