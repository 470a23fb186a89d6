// The HTTP API of docs/api.md.

export class ApiError extends Error {
  constructor({ status = 0, code = "network", message = "", param = null, retryAfter = null }) {
    super(message);
    Object.assign(this, { status, code, param, retryAfter });
  }
}

async function errorOf(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // the body is not JSON: a proxy answered, not the server
  }
  return new ApiError({
    status: response.status,
    code: error.code ?? `http_${response.status}`,
    message: error.message ?? "",
    param: error.param ?? null,
    retryAfter: Number(response.headers.get("Retry-After")) || null,
  });
}

export function cleanEndpoint(text) {
  let trimmed = text.trim();
  if (!trimmed) return "";
  if (!/^https?:\/\//i.test(trimmed)) {
    trimmed = (/^(localhost|127\.|\[::1\]|192\.168\.|10\.)/i.test(trimmed) ? "http://" : "https://") + trimmed;
  }
  if (/\s/.test(trimmed)) throw new TypeError("spaces");
  const url = new URL(trimmed);
  return (url.origin + url.pathname).replace(/\/+(v1\/?)?$/, "");
}

function form(fields, pictures) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  for (const picture of pictures) body.append("input_reference", picture, picture.name || "picture");
  return body;
}

// onReachable(answered) is called after each request: whether the server has answered it.
export function createApi(endpoint, key, onReachable = () => {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};

  async function call(path, options = {}) {
    let response;
    try {
      response = await fetch(endpoint + path, { ...options, headers: { ...headers, ...options.headers } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      onReachable(false);
      throw new ApiError({ message: String(error.message) });
    }
    onReachable(true);
    if (!response.ok) throw await errorOf(response);
    return response;
  }
  const json = async (path, options) => (await call(path, options)).json();
  const comparison = (id) => `/v1/comparisons/${encodeURIComponent(id)}`;
  const video = (id) => `/v1/videos/${encodeURIComponent(id)}`;

  // XMLHttpRequest, because fetch does not report the progress of an upload.
  function upload(path, fields, pictures, { idempotencyKey, onUpload, signal }) {
    const body = form(fields, pictures);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", endpoint + path);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.setRequestHeader("Idempotency-Key", idempotencyKey);
      request.responseType = "text";
      request.upload.onprogress = (event) => event.lengthComputable && onUpload(event.loaded / event.total);
      request.onerror = () => {
        onReachable(false);
        reject(new ApiError({}));
      };
      request.onabort = () => reject(new DOMException("aborted", "AbortError"));
      request.onload = async () => {
        const response = new Response(request.responseText, {
          status: request.status,
          headers: { "Retry-After": request.getResponseHeader("Retry-After") ?? "" },
        });
        if (response.ok) resolve(await response.json());
        else reject(await errorOf(response));
      };
      signal?.addEventListener("abort", () => request.abort());
      request.send(body);
    });
  }

  return {
    endpoint,
    create: (fields, picture, options) => upload("/v1/videos", fields, [picture], options),
    compare: (fields, pictures, options) => upload("/v1/comparisons", fields, pictures, options),
    presets: async () => (await json("/v1/comparisons/presets")).data,
    comparisons: async () => (await json("/v1/comparisons?limit=8")).data,
    comparison: (id) => json(comparison(id)),
    removeComparison: (id) => json(comparison(id), { method: "DELETE" }),
    // Opens in a new tab, which cannot send a header: the token in the address gives access.
    comparisonPage: (found, query) =>
      `${endpoint}${comparison(found.id)}/page?${new URLSearchParams({ access: found.access, ...query })}`,
    estimateComparison: (fields, signal) =>
      json("/v1/comparisons/estimate", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(fields),
        signal,
      }),
    config: (signal) => json("/v1/config", { signal }),
    // Whether anything answers at this address, even if it does not let this page read the answer.
    async answers() {
      try {
        await fetch(`${endpoint}/health`, { mode: "no-cors" });
        return true;
      } catch {
        return false;
      }
    },
    models: async () => (await json("/v1/models")).data,
    sample: async () => (await call("/sample.jpg")).blob(),
    estimate: (query, signal) => json(`/v1/estimate?${new URLSearchParams(query)}`, { signal }),
    examples: () => json("/examples"),
    crop: (picture, fields, signal) => json("/v1/crops", { method: "POST", body: form(fields, [picture]), signal }),
    previews: (picture, fields, signal) =>
      json("/v1/previews", { method: "POST", body: form(fields, [picture]), signal }),
    list: (after) => json(`/v1/videos?limit=24${after ? `&after=${encodeURIComponent(after)}` : ""}`),
    get: (id) => json(video(id)),
    cancel: (id) => json(`${video(id)}/cancel`, { method: "POST" }),
    remove: (id) => json(video(id), { method: "DELETE" }),
    batch: (id) => json(`/v1/batches/${encodeURIComponent(id)}`),
    endBatch: (id) => json(`/v1/batches/${encodeURIComponent(id)}/cancel`, { method: "POST" }),
    report: (id) => json(`${video(id)}/content?variant=report`),
    file: async (id, variant) => (await call(`${video(id)}/content?variant=${variant}`)).blob(),
    events: (id, last, signal) =>
      call(`${video(id)}/events`, {
        signal,
        headers: { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": String(last) } : {}) },
      }),
    // For <img>, <video> and downloads, which cannot send a header: the job's read token gives access.
    // more: further parameters: download, or small for a small copy of a picture.
    link(job, variant, more = {}) {
      const query = new URLSearchParams({ variant, ...more });
      if (job.access) query.set("access", job.access);
      return `${endpoint}${video(job.id)}/content?${query}`;
    },
  };
}
