// The only connection for events, and how one learns what is the matter when it cannot be had.
import { getJSON } from "../api.js";

const PATIENCE_MS = 10_000;
const RETRY_MS = 10_000;
const AFTER_PROBE_MS = 1000;
// The server gives a sign of life every 15 s. A connection may die without a word: a laptop slept, a router forgot it.
const STALL_MS = 45_000;
const TOO_MANY_REQUESTS = 429;

/**
 * States that are told: connecting, live, reconnecting, polling, limited, offline.
 *
 * @typedef {object} Listener
 * @property {(state: string) => void} onState also when it is what it was: a sign of life
 * @property {(body: any, id: string) => void} onEvent
 * @property {(before: string) => void} onOpen there may be news that no event tells of
 */
export class Connection {
  /** @type {EventSource | null} */
  #source = null;
  #state = "";
  #lastId = "";
  // What was asked before the last beginning or end has no say any more.
  #turn = 0;
  #retryTimer = 0;
  #patienceTimer = 0;
  #stallTimer = 0;

  /** @param {{eventsUrl: string, refreshUrl: string, listener: Listener}} options */
  constructor({ eventsUrl, refreshUrl, listener }) {
    this.eventsUrl = eventsUrl;
    this.refreshUrl = refreshUrl;
    this.listener = listener;
  }

  get state() {
    return this.#state;
  }

  get lastId() {
    return this.#lastId;
  }

  /** @param {string} state what is shown meanwhile @param {string} [lastId] goes on after that event */
  start(state, lastId = this.#lastId) {
    this.stop();
    this.#lastId = lastId;
    this.#setState(state);
    this.#losePatienceLater();
    const source = new EventSource(lastId ? `${this.eventsUrl}?last_event_id=${lastId}` : this.eventsUrl);
    this.#source = source;
    this.#expectSignOfLife();
    source.addEventListener("open", () => this.#onOpen());
    source.addEventListener("message", (event) => this.#onMessage(event));
    source.addEventListener("keep-alive", (event) => this.#onSignOfLife(event));
    source.addEventListener("error", () => this.#onError(source));
  }

  stop() {
    this.#turn += 1;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#patienceTimer);
    clearTimeout(this.#stallTimer);
    this.#source?.close();
    this.#source = null;
  }

  #onOpen() {
    clearTimeout(this.#patienceTimer);
    this.#expectSignOfLife();
    this.listener.onOpen(this.#state);
    this.#setState("live");
  }

  #onSignOfLife(event) {
    this.#expectSignOfLife();
    this.#lastId = event.lastEventId || this.#lastId;
    this.listener.onState(this.#state);
  }

  #expectSignOfLife() {
    clearTimeout(this.#stallTimer);
    // A chip that says "polling" goes on saying so until there is something better to say.
    const retry = () => this.start(this.#state === "live" ? "reconnecting" : this.#state);
    this.#stallTimer = setTimeout(retry, STALL_MS);
  }

  #onMessage(event) {
    this.#expectSignOfLife();
    let body;
    try {
      body = JSON.parse(event.data);
    } catch {
      return;
    }
    this.#lastId = event.lastEventId || this.#lastId;
    this.listener.onEvent(body, this.#lastId);
  }

  #onError(source) {
    if (source !== this.#source) {
      return;
    }
    if (source.readyState === EventSource.CLOSED) {
      this.stop();
      this.#askWhy();
      return;
    }
    if (this.#state === "live") {
      this.#setState("reconnecting");
      this.#losePatienceLater();
    }
  }

  /** An EventSource does not tell why it was refused, so the same question is asked once more in the open. */
  async #askWhy() {
    const turn = this.#turn;
    const probe = new AbortController();
    let status = 0;
    let retryAfter = RETRY_MS;
    try {
      const response = await fetch(this.eventsUrl, {
        headers: { Accept: "text/event-stream" },
        signal: AbortSignal.any([probe.signal, AbortSignal.timeout(PATIENCE_MS)]),
      });
      status = response.status;
      retryAfter = (Number(response.headers.get("Retry-After")) || 0) * 1000 || RETRY_MS;
    } catch {
      // Not reached at all; the state says so.
    }
    probe.abort();
    if (turn !== this.#turn) {
      return;
    }
    if (status === 200) {
      this.#retryIn(AFTER_PROBE_MS);
      return;
    }
    this.#retryIn(retryAfter);
    if (status === TOO_MANY_REQUESTS) {
      this.#setState("limited");
    } else {
      await this.look();
    }
  }

  #retryIn(milliseconds) {
    clearTimeout(this.#retryTimer);
    // The state stays until it is known to be better: a chip that flickers tells nothing.
    this.#retryTimer = setTimeout(() => this.start(this.#state), milliseconds);
  }

  #losePatienceLater() {
    clearTimeout(this.#patienceTimer);
    this.#patienceTimer = setTimeout(() => this.look(), PATIENCE_MS);
  }

  /** Make the server look at its active jobs, and learn by the way whether it can be reached at all. */
  async look() {
    const turn = this.#turn;
    let isReached = true;
    try {
      await getJSON(this.refreshUrl);
    } catch (error) {
      isReached = error.status > 0;
    }
    if (turn !== this.#turn || this.#state === "live" || (this.#state === "limited" && isReached)) {
      return;
    }
    if (isReached) {
      this.#setState("polling");
    } else {
      this.#setState(navigator.onLine ? "reconnecting" : "offline");
    }
  }

  #setState(state) {
    if (state !== this.#state) {
      this.#state = state;
      this.listener.onState(state);
    }
  }
}
