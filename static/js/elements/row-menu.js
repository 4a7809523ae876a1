// <row-menu>: a menu of links in <details>, which opens without this; with it, it closes as menus do.
customElements.define(
  "row-menu",
  class extends HTMLElement {
    #life = new AbortController();

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      this.addEventListener("keydown", (event) => this.#onKey(event), { signal });
      this.addEventListener("focusout", ({ relatedTarget }) => relatedTarget && this.#closeUnless(relatedTarget), {
        signal,
      });
      this.addEventListener("click", (event) => event.target.closest("li") && this.#close(), { signal });
      document.addEventListener("click", ({ target }) => this.#closeUnless(target), { signal });
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    get #details() {
      return this.querySelector("details");
    }

    #close() {
      this.#details.open = false;
    }

    #closeUnless(target) {
      if (this.#details.open && !this.contains(target)) {
        this.#close();
      }
    }

    #onKey(event) {
      if (!this.#details.open) {
        return;
      }
      const items = [...this.querySelectorAll("summary, li a, li button")];
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") {
        event.preventDefault();
        this.#close();
        items[0].focus();
      } else if (step) {
        event.preventDefault();
        const at = items.indexOf(document.activeElement);
        items[(at + step + items.length) % items.length].focus();
      }
    }
  },
);
