// <cancel-job action provider waits>: asks in a dialog; without it the link leads to a page that asks the same.
import { postJSON } from "../api.js";
import { emit } from "../bus.js";
import { outdated } from "../freshness.js";
import { fill, gettext } from "../i18n.js";

customElements.define(
  "cancel-job",
  class extends HTMLElement {
    #isBusy = false;

    connectedCallback() {
      this.querySelector("a").addEventListener("click", (event) => {
        const opensElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
        if (!opensElsewhere) {
          event.preventDefault();
          this.querySelector("dialog").showModal();
        }
      });
      this.#confirmButton.addEventListener("click", () => this.#cancel());
    }

    get #confirmButton() {
      return this.querySelector('[data-part="confirm"]');
    }

    async #cancel() {
      if (this.#isBusy) {
        return;
      }
      this.#setBusy(true);
      try {
        emit("toast", this.#outcome(await postJSON(this.getAttribute("action"))));
      } catch (error) {
        emit("toast", { text: error.message, tone: "error" });
      } finally {
        this.#setBusy(false);
        this.querySelector("dialog")?.close();
        outdated("slow");
      }
    }

    #setBusy(isBusy) {
      this.#isBusy = isBusy;
      this.#confirmButton?.toggleAttribute("disabled", isBusy);
    }

    #outcome({ status }) {
      if (status === "cancelled" && this.hasAttribute("waits")) {
        return { text: gettext("Cancelled before it was sent to its provider"), tone: "success" };
      }
      if (status === "cancelled") {
        const text = fill(gettext("Cancelled, confirmed by %(provider)s"), { provider: this.getAttribute("provider") });
        return { text, tone: "success" };
      }
      return { text: gettext("Cancel requested"), tone: "info" };
    }
  },
);
