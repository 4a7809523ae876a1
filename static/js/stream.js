// The page's only connection for events, and what stands in for it when it cannot be had.
import { getJSON } from "./api.js";
import { emit } from "./bus.js";
import { outdated } from "./freshness.js";

const TICK_MS = 30_000;
const PATIENCE_MS = 10_000;
const RETRY_MS = 10_000;
const AFTER_PROBE_MS = 1000;
// The server gives a sign of life every 15 s. A connection may die without a word: a laptop slept, a router forgot it.
const STALL_MS = 45_000;
// Browsers allow six connections to one server: a page that nobody sees must not keep one for good.
const HIDDEN_GRACE_MS = 60_000;
const TOO_MANY_REQUESTS = 429;

/** States that the connection chip shows: connecting, live, reconnecting, polling, limited, offline. */
export class LiveUpdates {
  /** @type {EventSource | null} */
  #source = null;
  #state = "";
  #retryTimer = 0;
  #patienceTimer = 0;
  #hiddenTimer = 0;
  #stallTimer = 0;

  /** @param {{eventsUrl: string, refreshUrl: string}} options */
  constructor({ eventsUrl, refreshUrl }) {
    this.eventsUrl = eventsUrl;
    this.refreshUrl = refreshUrl;
  }

  start() {
    this.#connect("connecting");
    setInterval(() => this.#tick(), TICK_MS);
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    addEventListener("online", () => this.#connect("reconnecting"));
    addEventListener("pagehide", () => this.#disconnect());
    addEventListener("pageshow", (event) => event.persisted && this.#connect("reconnecting"));
  }

  #connect(state) {
    this.#disconnect();
    this.#setState(state);
    this.#losePatienceLater();
    const source = new EventSource(this.eventsUrl);
    this.#source = source;
    this.#expectSignOfLife();
    source.addEventListener("open", () => this.#onOpen());
    source.addEventListener("message", (event) => this.#onMessage(event));
    source.addEventListener("keep-alive", () => this.#expectSignOfLife());
    source.addEventListener("error", () => this.#onError(source));
  }

  #disconnect() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#patienceTimer);
    clearTimeout(this.#stallTimer);
    this.#source?.close();
    this.#source = null;
  }

  #onOpen() {
    clearTimeout(this.#patienceTimer);
    this.#expectSignOfLife();
    // Something may have happened since the page was made, or between two connections: then everything may be old.
    const pace = this.#state === "connecting" ? "quick" : "slow";
    this.#setState("live");
    outdated(pace);
  }

  #expectSignOfLife() {
    clearTimeout(this.#stallTimer);
    // A chip that says "polling" goes on saying so until there is something better to say.
    const retry = () => this.#connect(this.#state === "live" ? "reconnecting" : this.#state);
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
    const type = body?.type;
    if (type === "job_status_changed" || type === "resync") {
      emit(type, body);
      outdated(type === "resync" ? "slow" : "quick");
    } else if (type === "job_budget" || type === "job_cancelling") {
      emit(type, body);
      outdated("slow");
    } else if (type === "history_sync") {
      emit(type, body);
    }
  }

  #onError(source) {
    if (source !== this.#source) {
      return;
    }
    if (source.readyState === EventSource.CLOSED) {
      this.#disconnect();
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
    if (this.#source) {
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
      await this.#look();
    }
  }

  #retryIn(milliseconds) {
    clearTimeout(this.#retryTimer);
    // The state stays until it is known to be better: a chip that flickers tells nothing.
    this.#retryTimer = setTimeout(() => this.#connect(this.#state), milliseconds);
  }

  #losePatienceLater() {
    clearTimeout(this.#patienceTimer);
    this.#patienceTimer = setTimeout(() => this.#look(), PATIENCE_MS);
  }

  /** Make the server look at its active jobs, and learn by the way whether it can be reached at all. */
  async #look() {
    let isReached = true;
    try {
      await getJSON(this.refreshUrl);
    } catch (error) {
      isReached = error.status > 0;
    }
    if (this.#state === "live" || (this.#state === "limited" && isReached)) {
      return;
    }
    if (isReached) {
      this.#setState("polling");
    } else {
      this.#setState(navigator.onLine ? "reconnecting" : "offline");
    }
  }

  /** While live, what moves without an event (cost, time left) is read again; else the server is made to look. */
  async #tick() {
    if (document.hidden) {
      return;
    }
    if (this.#state !== "live") {
      await this.#look();
    }
    outdated("slow");
  }

  #onVisibility() {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => this.#disconnect(), HIDDEN_GRACE_MS);
      return;
    }
    outdated("slow");
    if (!this.#source) {
      this.#connect("reconnecting");
    }
  }

  #setState(state) {
    if (state !== this.#state) {
      this.#state = state;
      emit("connection", { state });
    }
  }
}
