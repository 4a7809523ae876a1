// <relative-time><time datetime>: keeps "12 s ago" true, or tells the time in the reader's own zone if that is wanted.
import { everySecond, serverNow } from "../clock.js";
import { on } from "../bus.js";
import { fullTime, relativeTime, shortTime } from "../format.js";

customElements.define(
  "relative-time",
  class extends HTMLElement {
    #life = new AbortController();

    connectedCallback() {
      this.#life = new AbortController();
      on("look", () => this.#show(), this.#life.signal);
      everySecond(() => this.#show(), this.#life.signal);
      this.#show();
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    /** @param {Element} next what the server says now */
    adopt(next) {
      const [current, wanted] = [this.querySelector("time"), next.querySelector("time")];
      if (current && wanted) {
        current.dateTime = wanted.dateTime;
        this.#show(wanted.textContent);
      }
    }

    #show(serversWords) {
      const time = this.querySelector("time");
      const at = time ? new Date(time.dateTime) : null;
      if (!at || Number.isNaN(at.getTime())) {
        return;
      }
      const isAbsolute = document.documentElement.dataset.times === "absolute";
      const words = isAbsolute ? shortTime(at) : (relativeTime((serverNow() - at.getTime()) / 1000) ?? serversWords);
      if (words && time.textContent !== words) {
        time.textContent = words;
      }
      const full = fullTime(at);
      if (time.title !== full) {
        time.title = full;
      }
    }
  },
);
