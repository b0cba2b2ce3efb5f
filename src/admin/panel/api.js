// Asks the admin API, and turns whatever goes wrong into an error with words for its reader.

import { session } from "./state.js";

/** `status` is 0 when nobody answered. `faults` are those of a configuration: `[{ key, message }]`. */
export class ApiError extends Error {
  constructor(status, title, detail, { name, faults } = {}) {
    super(title);
    Object.assign(this, { status, title, detail, problem: name, faults: faults ?? [] });
  }

  /** Whether this gateway doesn't have the call. */
  get isMissing() {
    return this.status === 501 || (this.status === 404 && this.problem === "not-found");
  }
}

/** Called when the session is over. */
export const signedOut = new EventTarget();

/** When somebody last did something, as far as the gateway knows (milliseconds of `performance.now`). */
let touched = 0;

/**
 * `GET /v1/apis` is `call("GET", "/v1/apis")`. Gives `{ data, etag }`.
 * `unattended`: what the page asks by itself, which doesn't keep a session alive. `match`, `unless`: If-Match and If-None-Match.
 */
export async function call(method, path, { body, match, unless, unattended, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (session?.csrf && method !== "GET") headers["X-Freshgate-CSRF"] = session.csrf;
  if (unattended) headers["X-Freshgate-Unattended"] = "1";
  else touched = performance.now();
  if (match) headers["If-Match"] = match;
  if (unless) headers["If-None-Match"] = unless;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  let text;
  try {
    const content = body === undefined ? undefined : JSON.stringify(body);
    answer = await fetch(path, { method, headers, body: content, signal, cache: "no-store", credentials: "same-origin" });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The gateway can't be reached", "It may be restarting, or the network is down. Nothing is known of what was asked last.");
  }
  const data = parsed(text);
  if (answer.ok) return { data, etag: answer.headers.get("ETag") ?? data?.etag ?? null };
  const error = problem(answer, data);
  if (error.status === 401 && path !== "/session") signedOut.dispatchEvent(new Event("over"));
  throw error;
}

function parsed(text) {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

function problem(answer, data) {
  const status = answer.status;
  const name = String(data?.type ?? "").split(":").pop();
  const words = { name, faults: data?.faults };
  if (status === 429) {
    const seconds = Number(answer.headers.get("Retry-After"));
    return new ApiError(status, "Too many wrong tokens came from here", `Try again in ${seconds || 60} seconds.`, words);
  }
  return new ApiError(status, data?.title ?? `The gateway answered ${status}`, data?.detail ?? "", words);
}

/** All APIs, however many pages they come in. */
export async function allApis(options) {
  const all = [];
  let cursor = null;
  do {
    const more = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    const { data } = await call("GET", `/v1/apis${more}`, options);
    all.push(...data.apis);
    cursor = data.cursor ?? null;
  } while (cursor !== null);
  return all;
}

/** `/v1/apis/{name}/{version}` and what is below it. */
export function apiPath(api, below = "") {
  return `/v1/apis/${encodeURIComponent(api.name)}/${encodeURIComponent(api.version)}${below}`;
}

/** A page that only watches asks unattended; so that its reader stays signed in while there is one, the gateway is told, once a minute. */
export function keepAlive() {
  const told = () => {
    if (session === null || performance.now() - touched < 60_000) return;
    call("GET", "/session").catch((error) => {
      if (error.status === 401) signedOut.dispatchEvent(new Event("over"));
    });
  };
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, told, { passive: true });
}
