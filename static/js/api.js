// Requests to our own server. Whatever fails becomes an Error whose message can be shown.
import { gettext, language } from "./i18n.js";
import { retold } from "./retold.js";

// A provider may take its time; the server's own deadlines are shorter.
const TIMEOUT_MS = 60_000;
const UNAUTHORIZED = 401;

export class RequestError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 if the server was not reached
   * @param {string} [id] by which the server's log knows the request
   */
  constructor(message, status, id = "") {
    super(message);
    this.status = status;
    this.id = id;
  }
}

/** @param {string} url @param {{signal?: AbortSignal}} [options] */
export async function getJSON(url, options = {}) {
  const response = await send(url, { headers: { Accept: "application/json" } }, options.signal);
  return response.json();
}

/** @param {string} url @param {unknown} [body] */
export async function postJSON(url, body = {}) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  const response = await send(url, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}

/**
 * Send a form as the browser would, but go nowhere then.
 * @param {string} url
 * @param {FormData} form
 */
export async function postForm(url, form) {
  const body = new URLSearchParams([...form].map(([name, value]) => [name, String(value)]));
  await send(url, { method: "POST", headers: { Accept: "text/html" }, body, redirect: "manual" });
}

/** @param {string} url */
export async function deleteJSON(url) {
  const response = await send(url, { method: "DELETE", headers: { Accept: "application/json" } });
  return response.json();
}

/** @param {string} url */
export async function getHTML(url) {
  // In the language of this page, whatever has been chosen in another tab since.
  const headers = { Accept: "text/html", "Page-Language": language };
  const response = await send(url, { headers });
  return response.text();
}

/**
 * @param {string} url
 * @param {RequestInit} init
 * @param {AbortSignal} [signal]
 */
async function send(url, init, signal) {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  const token = meta("csrf-token");
  if (token) {
    init.headers = { ...init.headers, "X-CSRFToken": token };
  }
  let response;
  try {
    response = await fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, deadline]) : deadline });
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    throw new RequestError(
      isLate ? gettext("The server did not answer in time.") : gettext("The server cannot be reached."),
      0,
    );
  }
  if (response.status === UNAUTHORIZED && meta("login")) {
    // The session is over: nothing on this page works any more.
    location.assign(`${meta("login")}?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!response.ok && response.type !== "opaqueredirect") {
    throw new RequestError(await reason(response), response.status, response.headers.get("X-Correlation-ID") ?? "");
  }
  return response;
}

/** What the page says of itself; empty if it says nothing. @param {string} name */
function meta(name) {
  return document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? "";
}

/** @param {Response} response */
async function reason(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === "string" && detail) {
      return retold(detail);
    }
  } catch {
    // Not our own error format: a proxy in between, perhaps.
  }
  return gettext("The server answered with an error.") + ` (${response.status})`;
}
