// <notice-board>: what is not well, below the head of the page. What the page came with has its place there, and leaves
// it empty when it is over; what comes later lies over the page's end, so that nothing moves below a reader's hand. The
// next page has all of it in its place.
import { on } from "../bus.js";
import { morph } from "../morph.js";

customElements.define(
  "notice-board",
  class extends HTMLElement {
    #life = new AbortController();
    #later = document.createElement("div");
    /** @type {Element[]} notices that the page did not come with */
    #fresh = [];
    /** @type {Map<string, Element>} what other parts of the page have to say, by key */
    #told = new Map();

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      this.#later.className = "later-notices";
      this.#later.setAttribute("role", "status");
      this.append(this.#later);
      this.addEventListener("fresh", (event) => this.#onFresh(event), { signal });
      on("notice", ({ key, strip }) => this.#onTold(key, strip), signal);
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    #onFresh(event) {
      event.preventDefault();
      const fresh = noticesIn(event.detail);
      for (const [key, place] of noticesIn(event.target)) {
        const notice = fresh.get(key);
        if (notice) {
          morph(place, notice);
          fresh.delete(key);
        }
        place.toggleAttribute("data-over", !notice);
      }
      this.#fresh = [...fresh.values()];
      this.#show();
    }

    #onTold(key, strip) {
      if (strip) {
        this.#told.set(key, strip);
      } else {
        this.#told.delete(key);
      }
      this.#show();
    }

    #show() {
      const lines = this.#fresh.filter((notice) => notice.matches("li"));
      const others = this.#fresh.filter((notice) => !notice.matches("li"));
      const strips = [...(lines.length > 0 ? [listOf(lines)] : []), ...others, ...this.#told.values()];
      // What stays as it is keeps its focus, and is not read out again.
      if (strips.map((strip) => strip.outerHTML).join("") !== this.#later.innerHTML) {
        this.#later.replaceChildren(...strips);
      }
    }
  },
);

/** Notices by their key, in their order. */
function noticesIn(element) {
  return new Map([...element.querySelectorAll("[data-key]")].map((notice) => [notice.dataset.key, notice]));
}

function listOf(lines) {
  const list = document.createElement("ul");
  list.className = "strip-content";
  list.append(...lines);
  const strip = document.createElement("aside");
  strip.className = "strip strip-warning";
  strip.append(list);
  return strip;
}
