// <refresh-trouble>: says that parts of the page could not be read anew, since when and why, and lets one try again.
// It lies over the page's end, so that nothing moves when it comes.
import { emit, on } from "../bus.js";
import { outdated } from "../freshness.js";
import { fill, gettext, language } from "../i18n.js";
import { icon } from "../icon.js";

const UNAUTHORIZED = 401;

customElements.define(
  "refresh-trouble",
  class extends HTMLElement {
    #life = new AbortController();
    /** @type {Set<Node>} parts of the page that show what is old */
    #old = new Set();
    #since = new Date();

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      on("refresh-failed", ({ source, error }) => this.#onFailed(source, error), signal);
      on("refresh-done", ({ source }) => this.#onDone(source), signal);
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    #onFailed(source, error) {
      if (error.status === UNAUTHORIZED) {
        // The page is left for the login.
        return;
      }
      if (this.#old.size === 0) {
        this.#since = new Date();
        this.#build();
      }
      this.#old.add(source);
      const time = this.#since.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
      const words = { time, reason: error.message };
      this.#write("words", fill(gettext("Not updated since %(time)s; what is shown may be old. %(reason)s"), words));
      this.#write("id", error.id ? fill(gettext("Error id: %(id)s"), { id: error.id }) : "");
      this.#setBusy(false);
    }

    #onDone(source) {
      this.#old.delete(source);
      for (const part of this.#old) {
        if (!part.isConnected) {
          this.#old.delete(part);
        }
      }
      if (this.#old.size === 0) {
        this.replaceChildren();
      }
    }

    #build() {
      const text = document.createElement("p");
      const words = document.createElement("span");
      words.dataset.part = "words";
      const id = document.createElement("small");
      id.dataset.part = "id";
      text.append(words, " ", id);
      const retry = document.createElement("button");
      retry.type = "button";
      retry.className = "button";
      retry.textContent = gettext("Retry");
      retry.addEventListener("click", () => {
        this.#setBusy(true);
        emit("retry");
        outdated("slow");
      });
      this.replaceChildren(icon("warning"), text, retry);
    }

    #setBusy(isBusy) {
      this.querySelector("button")?.setAttribute("aria-busy", String(isBusy));
    }

    #write(name, words) {
      const part = this.querySelector(`[data-part="${name}"]`);
      if (part && part.textContent !== words) {
        part.textContent = words;
      }
    }
  },
);
