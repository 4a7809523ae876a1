// <view-settings>: the form inside works without it; with it the page need not be loaded again.
import { postForm } from "../api.js";
import { emit } from "../bus.js";
import { closeLikeAMenu } from "../menus.js";

customElements.define(
  "view-settings",
  class extends HTMLElement {
    connectedCallback() {
      this.addEventListener("submit", (event) => this.#choose(event));
      this.querySelector('[data-part="shortcuts"]')?.addEventListener("click", () => emit("shortcuts-help"));
      closeLikeAMenu(this.parentElement);
    }

    async #choose(event) {
      const button = event.submitter;
      // Another language is another page: the form fetches it.
      if (!button?.name || button.name === "language") {
        return;
      }
      event.preventDefault();
      this.#show(button);
      try {
        await postForm(event.target.action, new FormData(event.target, button));
      } catch (error) {
        emit("toast", { text: error.message, tone: "error" });
      }
    }

    #show(button) {
      for (const other of this.querySelectorAll(`button[name="${button.name}"]`)) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      document.documentElement.dataset[button.name] = button.value;
      if (button.name === "theme") {
        const scheme = button.value === "system" ? "light dark" : button.value;
        document.querySelector('meta[name="color-scheme"]')?.setAttribute("content", scheme);
      }
      emit("look", { name: button.name });
    }
  },
);
