// The server as functions: metadata, and one picture scored at a time. The key lives in sessionStorage and nowhere else.
import { FLOOR } from "./boxes.js";

const KEY = "cva-api-key";
const TRIES = 4;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** `status` 0: the server was not reached. `code` is the server's word for the kind, `hint` says what to do next. */
export class ServerError extends Error {
  constructor(status, message, hint = "", code = "") {
    super(message);
    Object.assign(this, { status, hint, code });
  }
}

export const hasKey = () => Boolean(sessionStorage.getItem(KEY));
export const forgetKey = () => sessionStorage.removeItem(KEY);
export const keepKey = (key) => sessionStorage.setItem(KEY, key);

export const metadata = async () => (await ask("metadata")).json();

/** One picture's bytes to `{boxes, error, ms, model}`; the server decides what is a picture by the bytes alone. */
export async function score(blob, { signal, onWait } = {}) {
  const request = { method: "POST", body: blob, signal, headers: { "content-type": "application/octet-stream" } };
  const response = await ask(`score?threshold=${FLOOR}`, request, onWait);
  const [element] = await response.json();
  return {
    boxes: element.boxes,
    error: element.error ?? null,
    ms: timings(response.headers.get("server-timing")),
    model: { name: response.headers.get("x-model-name"), version: response.headers.get("x-model-version") },
  };
}

async function ask(path, request = {}, onWait = () => {}) {
  const headers = { ...request.headers, ...(hasKey() ? { "x-api-key": sessionStorage.getItem(KEY) } : {}) };
  for (let attempt = 1; ; attempt += 1) {
    const response = await reach(path, { ...request, headers });
    if (response.ok) return response;
    const busy = response.status === 429 || response.status === 503;
    if (!busy || attempt === TRIES) throw await problem(response);
    const seconds = Math.min(10, Math.max(1, Number(response.headers.get("retry-after")) || 1));
    onWait(seconds);
    await pause(seconds);
  }
}

async function reach(path, request) {
  try {
    return await fetch(path, { ...request, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server did not answer.", "Check that it runs and that you are connected, then try again.");
  }
}

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  const { code, message = body.message ?? `The server answered ${response.status}.`, hint = "" } = body.error ?? {};
  const next = hint || (body.request_id ? `Its log says more under request ${body.request_id}.` : "");
  return new ServerError(response.status, message, next, code);
}

/** "decode;dur=7.7, infer;dur=18.1" as {decode: 7.7, infer: 18.1}. */
export function timings(header) {
  const parts = (header ?? "").matchAll(/([\w-]+)\s*;[^,]*?dur=([\d.]+)/g);
  return Object.fromEntries([...parts].map(([, name, ms]) => [name, Number(ms)]));
}
