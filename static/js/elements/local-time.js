// <local-time><time datetime>: a time in full, in the reader's own zone; in UTC when pointed at.
import { fullTime } from "../format.js";

customElements.define(
  "local-time",
  class extends HTMLElement {
    connectedCallback() {
      this.#show(this.querySelector("time")?.textContent ?? "");
    }

    /** @param {Element} next what the server says now */
    adopt(next) {
      const [current, wanted] = [this.querySelector("time"), next.querySelector("time")];
      if (current && wanted && current.dateTime !== wanted.dateTime) {
        current.dateTime = wanted.dateTime;
        this.#show(wanted.textContent);
      }
    }

    #show(inUtc) {
      const time = this.querySelector("time");
      const at = time ? new Date(time.dateTime) : null;
      if (at && !Number.isNaN(at.getTime())) {
        time.textContent = fullTime(at);
        time.title = inUtc;
      }
    }
  },
);
