// <filter-form>: the form inside is sent as soon as a choice is made, and makes addresses that say no more than needed.
const FOCUS_KEY = "filter-focus";

customElements.define(
  "filter-form",
  class extends HTMLElement {
    connectedCallback() {
      const form = this.querySelector("form");
      form.addEventListener("change", (event) => {
        // A search is sent when it has been typed: by Enter.
        if (event.target.type !== "search" && event.target.validity.valid) {
          remember(event.target.id);
          form.requestSubmit();
        }
      });
      form.addEventListener("formdata", ({ formData }) => {
        for (const [name, value] of [...formData]) {
          if (!value || form.elements.namedItem(name)?.dataset?.default === value) {
            formData.delete(name);
          }
        }
      });
      // A page from the cache of the back button shows what it shows, and not the choice that led away from it.
      addEventListener("pageshow", ({ persisted }) => persisted && form.reset());
      this.#returnFocus();
    }

    /** Whoever chose by keyboard goes on where they were. */
    #returnFocus() {
      const id = recall();
      if (id) {
        this.querySelector(`#${CSS.escape(id)}`)?.focus({ preventScroll: true });
      }
    }
  },
);

function remember(id) {
  try {
    sessionStorage.setItem(FOCUS_KEY, id);
  } catch {
    // A browser that keeps nothing loses the focus, and nothing else.
  }
}

function recall() {
  try {
    const id = sessionStorage.getItem(FOCUS_KEY);
    sessionStorage.removeItem(FOCUS_KEY);
    return id;
  } catch {
    return null;
  }
}
