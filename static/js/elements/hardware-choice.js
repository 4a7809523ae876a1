// <hardware-choice>: says how long the budget lasts on the chosen machine.
import { roughDuration } from "../format.js";
import { fill, gettext } from "../i18n.js";

const SECONDS_PER_HOUR = 3600;

customElements.define(
  "hardware-choice",
  class extends HTMLElement {
    connectedCallback() {
      const { signal } = (this.life = new AbortController());
      this.closest("form").addEventListener("input", () => this.#show(), { signal });
      this.#show();
    }

    disconnectedCallback() {
      this.life.abort();
    }

    #show() {
      const [option] = this.querySelector("select").selectedOptions;
      const hourly = Number(option?.dataset.hourly);
      const budget = Number(this.closest("form").elements.budget_usd.value);
      this.querySelector('[data-part="estimate"]').textContent =
        hourly > 0 && budget > 0
          ? fill(gettext("The budget lasts for about %(duration)s."), {
              duration: roughDuration((budget / hourly) * SECONDS_PER_HOUR),
            })
          : "";
    }
  },
);
