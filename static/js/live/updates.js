// What happens, in every tab of a browser, over the one connection that they share (docs/live-pages.md).
import { emit } from "../bus.js";
import { outdated } from "../freshness.js";
import { Connection } from "./connection.js";
import { Leadership } from "./leadership.js";

const TICK_MS = 30_000;
// A page that nobody sees must not keep the connection for good, nor be the one that all others depend on.
const HIDDEN_GRACE_MS = 60_000;
// The leader speaks at every tick. One that missed two of them is frozen, or as good as gone.
const LEADER_SILENT_MS = 75_000;
// Another tab takes over quicker than that: nothing to tell anybody.
const TAKEOVER_MS = 500;
const STATUS_CHANGED = "job_status_changed";
const READ_ANEW = { job_budget: "slow", job_cancelling: "slow", resync: "slow", [STATUS_CHANGED]: "quick" };

export class LiveUpdates {
  #state = "";
  #lastId = "";
  #hiddenTimer = 0;
  #silenceTimer = 0;
  #showTimer = 0;
  #connection;
  #leadership;
  /** @type {BroadcastChannel | null} */
  #channel = null;

  /** @param {{eventsUrl: string, refreshUrl: string, reader: string}} options `reader`: whose events they are */
  constructor({ eventsUrl, refreshUrl, reader }) {
    this.name = `simpletuner-cloud-events-${reader}`;
    const listener = {
      onState: () => this.#share(this.#standing),
      onEvent: (body, id) => this.#share({ kind: "event", body, id }),
      // Something may have happened since the page was made, or between two connections: then everything may be old.
      onOpen: (before) => this.#share({ kind: "outdated", pace: before === "connecting" ? "quick" : "slow" }),
    };
    this.#connection = new Connection({ eventsUrl, refreshUrl, listener });
    this.#leadership = new Leadership(this.name, {
      onGain: () => this.#lead(),
      onLoss: () => this.#connection.stop(),
    });
  }

  get #standing() {
    return { kind: "state", state: this.#connection.state, lastId: this.#connection.lastId };
  }

  start() {
    this.#join("connecting");
    setInterval(() => this.#tick(), TICK_MS);
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    addEventListener("online", () => this.#leadership.isLeader && this.#connection.start("reconnecting"));
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", (event) => event.persisted && this.#join("reconnecting"));
  }

  #join(state) {
    if (this.#channel) {
      return;
    }
    this.#channel = new BroadcastChannel(this.name);
    this.#channel.addEventListener("message", ({ data }) => this.#hear(data));
    this.#show(state);
    this.#expectLeader();
    this.#leadership.seek();
    if (!this.#leadership.isLeader) {
      this.#channel.postMessage({ kind: "hello" });
    }
  }

  #leave() {
    clearTimeout(this.#silenceTimer);
    this.#leadership.giveUp();
    this.#channel?.close();
    this.#channel = null;
  }

  /** Go on where the leader before has ended. */
  #lead() {
    clearTimeout(this.#silenceTimer);
    this.#connection.start(this.#state === "live" ? "reconnecting" : this.#state, this.#lastId);
  }

  /** Tell the others, and take to heart oneself. */
  #share(message) {
    if (navigator.locks) {
      this.#channel?.postMessage(message);
    }
    this.#take(message);
  }

  #hear(message) {
    if (message.kind === "hello") {
      if (this.#leadership.isLeader && navigator.locks) {
        this.#channel?.postMessage(this.#standing);
      }
      return;
    }
    // One that has been replaced, and does not know it yet, has nothing to say.
    if (navigator.locks && !this.#leadership.isLeader) {
      this.#expectLeader();
      this.#take(message);
    }
  }

  #take(message) {
    if (message.kind === "event") {
      this.#onEvent(message.body, message.id);
    } else if (message.kind === "outdated") {
      outdated(message.pace);
    } else {
      this.#lastId = message.lastId || this.#lastId;
      if (this.#state === "connecting" && message.state === "live" && !this.#leadership.isLeader) {
        outdated("quick");
      }
      this.#show(message.state);
    }
  }

  #onEvent(body, id) {
    const type = body?.type;
    const isOld = type === STATUS_CHANGED && Number(id) <= Number(this.#lastId);
    // A resync may lead back: the store was reset.
    this.#lastId = id || this.#lastId;
    if (isOld) {
      return;
    }
    if (Object.hasOwn(READ_ANEW, type ?? "")) {
      emit(type, body);
      outdated(READ_ANEW[type]);
    } else if (type === "history_sync") {
      emit(type, body);
    }
  }

  #expectLeader() {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => {
      if (!document.hidden && navigator.locks) {
        this.#leadership.seize();
      }
    }, LEADER_SILENT_MS);
  }

  /** While live, what moves without an event (cost, time left) is read again; else the server is made to look. */
  async #tick() {
    if (this.#leadership.isLeader) {
      this.#share(this.#standing);
      if (!document.hidden && this.#state !== "live") {
        await this.#connection.look();
      }
    }
    if (!document.hidden) {
      outdated("slow");
    }
  }

  #onVisibility() {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => this.#leave(), HIDDEN_GRACE_MS);
      return;
    }
    outdated("slow");
    this.#join("reconnecting");
  }

  #show(state) {
    if (state === this.#state) {
      return;
    }
    const wait = this.#state === "live" && state === "reconnecting" ? TAKEOVER_MS : 0;
    this.#state = state;
    clearTimeout(this.#showTimer);
    if (wait) {
      this.#showTimer = setTimeout(() => emit("connection", { state }), wait);
    } else {
      emit("connection", { state });
    }
  }
}
