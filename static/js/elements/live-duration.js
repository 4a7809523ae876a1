// <live-duration since>: a duration that still grows.
import { everySecond, serverNow } from "../clock.js";
import { duration } from "../format.js";

customElements.define(
  "live-duration",
  class extends HTMLElement {
    #life = new AbortController();

    connectedCallback() {
      this.#life = new AbortController();
      everySecond(() => this.#show(), this.#life.signal);
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    adopt() {
      this.#show();
    }

    #show() {
      const since = Date.parse(this.getAttribute("since") ?? "");
      if (Number.isNaN(since)) {
        return;
      }
      const words = duration((serverNow() - since) / 1000);
      if (this.textContent !== words) {
        this.textContent = words;
      }
    }
  },
);
