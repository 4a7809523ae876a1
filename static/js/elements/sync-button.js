// <sync-button action provider>: the form inside works without it; with it the page stays where it is.
import { postJSON } from "../api.js";
import { emit } from "../bus.js";
import { outdated } from "../freshness.js";
import { fill, gettext, ngettext } from "../i18n.js";
import { retold } from "../retold.js";

customElements.define(
  "sync-button",
  class extends HTMLElement {
    #isBusy = false;
    #hadFocus = false;

    connectedCallback() {
      this.addEventListener("submit", (event) => {
        event.preventDefault();
        this.#sync();
      });
    }

    async #sync() {
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
        emit("news-wanted");
        outdated("slow");
      }
    }

    #outcome({ synced, joined, errors = [] }) {
      if (joined) {
        return { text: gettext("A sync is already running."), tone: "info" };
      }
      // The contract fixes the English sentence for every number; other languages have their plurals.
      const found = fill(
        ngettext("Discovered %(count)s jobs from %(provider)s", "Discovered %(count)s jobs from %(provider)s", synced),
        { count: synced, provider: this.getAttribute("provider") },
      );
      if (errors.length === 0) {
        return { text: found, tone: "success" };
      }
      const text = fill(gettext("%(found)s, but only part could be read: %(reason)s"), { found, reason: retold(errors[0]) });
      return { text, tone: "warning" };
    }

    #setBusy(isBusy) {
      const button = this.querySelector("button");
      this.#isBusy = isBusy;
      if (isBusy) {
        this.#hadFocus = document.activeElement === button;
        button.setAttribute("aria-busy", "true");
        button.disabled = true;
        return;
      }
      button.removeAttribute("aria-busy");
      button.disabled = false;
      if (this.#hadFocus && document.activeElement === document.body) {
        // A disabled button loses the focus; whoever pressed it by keyboard goes on from there.
        button.focus();
      }
    }
  },
);
