// <history-import action stop>: the forms inside work without it; with it the page stays where it is. The fragment
// inside, which the server renders, says how far the import is; this element acts on what it says.
import { deleteJSON, postJSON } from "../api.js";
import { emit, on } from "../bus.js";
import { outdated } from "../freshness.js";
import { gettext } from "../i18n.js";

// Events tell of every step; without them the page asks by itself.
const ASK_EVERY_MS = 4000;
// Whoever listens wants to hear that it goes on, not every number.
const SPEAK_EVERY_MS = 30_000;
const OPEN = ["running", "waiting"];

customElements.define(
  "history-import",
  class extends HTMLElement {
    #life = new AbortController();
    #timer = 0;
    #state = "";
    #isBusy = false;
    #lastSpoken = -Infinity;
    #lastHeard = -Infinity;

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      this.addEventListener("submit", (event) => this.#onSubmit(event), { signal });
      on("history_sync", () => (this.#lastHeard = performance.now()), signal);
      on("refreshed", ({ id }) => id === this.#fragment().id && this.#look(), signal);
      this.#timer = setInterval(() => this.#ask(), ASK_EVERY_MS);
      this.#state = this.#told().walkState;
      this.#show();
    }

    disconnectedCallback() {
      this.#life.abort();
      clearInterval(this.#timer);
    }

    async #onSubmit(event) {
      event.preventDefault();
      if (this.#isBusy) {
        return;
      }
      this.#isBusy = true;
      const isStop = event.target.matches('[data-part="stop"]');
      try {
        if (isStop) {
          await deleteJSON(this.getAttribute("stop"));
        } else {
          const { joined } = await postJSON(this.getAttribute("action"));
          // The end of an import is told, also if it was over before this page saw it run.
          this.#state = joined ? this.#state : "running";
        }
      } catch (error) {
        emit("toast", { text: error.message, tone: "error" });
      } finally {
        this.#isBusy = false;
        emit("history_sync", {});
      }
    }

    /** Without a word for a while, look; the fragment listens to the same event as this element. */
    #ask() {
      const isSilent = performance.now() - this.#lastHeard >= ASK_EVERY_MS;
      if (OPEN.includes(this.#state) && isSilent && !document.hidden) {
        emit("history_sync", {});
      }
    }

    #look() {
      const before = this.#state;
      const { walkState: state, outcome } = this.#told();
      this.#state = state;
      this.#show();
      if (OPEN.includes(before) && !OPEN.includes(state) && outcome) {
        emit("toast", { text: outcome, tone: state === "completed" ? "success" : "info" });
        outdated("slow");
      }
      this.#speak(before !== state);
    }

    #show() {
      const isOpen = OPEN.includes(this.#state);
      const stop = this.#part("stop");
      const start = this.#part("start");
      const hadFocus = document.activeElement === start || stop.contains(document.activeElement);
      this.toggleAttribute("open", isOpen);
      stop.hidden = !isOpen;
      start.disabled = this.#state === "running";
      start.setAttribute("aria-busy", String(this.#state === "running"));
      start.querySelector("span").textContent = this.#state === "waiting" ? gettext("Try now") : gettext("Import history");
      if (hadFocus && (isOpen ? start.disabled : stop.hidden)) {
        // What was pressed is gone, though some browsers move the focus from it only with their next frame; whoever uses
        // the keyboard goes on at what has taken its place.
        (isOpen ? stop.querySelector("button") : start).focus();
      }
    }

    #speak(isNews) {
      const now = performance.now();
      if (!OPEN.includes(this.#state) || (!isNews && now - this.#lastSpoken < SPEAK_EVERY_MS)) {
        return;
      }
      this.#lastSpoken = now;
      const words = ["text", "problem"].map((name) => this.#fragment().querySelector(`[data-part="${name}"]`));
      this.#part("spoken").textContent = words.map((part) => part?.textContent.trim() ?? "").join(" ");
    }

    #told() {
      return this.#fragment().querySelector("[data-walk-state]")?.dataset ?? { walkState: "", outcome: "" };
    }

    #fragment() {
      return this.querySelector("live-fragment");
    }

    #part(name) {
      return this.querySelector(`[data-part="${name}"]`);
    }
  },
);
