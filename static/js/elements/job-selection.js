// <job-selection cancel>: tells how many rows are selected, and asks in a dialog before it cancels them. Without it the
// form inside leads to a page that asks the same.
import { postJSON } from "../api.js";
import { emit, on } from "../bus.js";
import { outdated } from "../freshness.js";
import { fill, gettext, ngettext } from "../i18n.js";
import { retold } from "../retold.js";

customElements.define(
  "job-selection",
  class extends HTMLElement {
    #life = new AbortController();
    #isBusy = false;
    #asked = [];

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      this.addEventListener("change", (event) => this.#onChange(event), { signal });
      const form = this.querySelector("#selection");
      form.addEventListener("submit", (event) => this.#ask(event), { signal });
      // The boxes are empty only after the event.
      form.addEventListener("reset", () => queueMicrotask(() => this.#show()), { signal });
      this.#part("typed").addEventListener("input", () => this.#showWhetherTyped(), { signal });
      this.#part("typed").addEventListener("keydown", (event) => this.#onKey(event), { signal });
      this.#part("confirm").addEventListener("click", () => this.#cancel(), { signal });
      on("refreshed", ({ id }) => id === "job-list" && this.#show(), signal);
      this.#show();
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    #part(name) {
      return this.querySelector(`[data-part="${name}"]`);
    }

    get #boxes() {
      return [...this.querySelectorAll(".select-row")];
    }

    #onChange({ target }) {
      if (target.dataset.part === "all") {
        for (const box of this.#boxes) {
          box.checked = target.checked;
        }
      }
      this.#show();
    }

    #show() {
      const count = this.#boxes.filter((box) => box.checked).length;
      const all = this.#part("all");
      if (all) {
        all.checked = count > 0 && count === this.#boxes.length;
        all.indeterminate = count > 0 && !all.checked;
      }
      const words = count
        ? fill(ngettext("%(count)s job selected", "%(count)s jobs selected", count), { count })
        : gettext("Nothing selected");
      if (this.#part("count").textContent !== words) {
        this.#part("count").textContent = words;
      }
    }

    #ask(event) {
      event.preventDefault();
      // What is asked about is what will be cancelled, whatever comes in meanwhile.
      this.#asked = this.#boxes.filter((box) => box.checked).map((box) => box.value);
      const count = this.#asked.length;
      this.#part("title").textContent = fill(ngettext("Cancel %(count)s job?", "Cancel %(count)s jobs?", count), {
        count,
      });
      this.#part("label").textContent = fill(gettext("Type %(count)s to confirm"), { count });
      this.#part("typed").value = "";
      this.#showWhetherTyped();
      this.#part("dialog").showModal();
      this.#part("typed").focus();
    }

    #showWhetherTyped() {
      const isTyped = this.#part("typed").value.trim() === String(this.#asked.length);
      this.#part("confirm").disabled = this.#isBusy || !isTyped;
    }

    #onKey(event) {
      if (event.key === "Enter") {
        event.preventDefault();
        this.#part("confirm").click();
      }
    }

    async #cancel() {
      this.#isBusy = true;
      this.#showWhetherTyped();
      try {
        const { results } = await postJSON(this.getAttribute("cancel"), { job_ids: this.#asked });
        emit("toast", outcome(results));
        this.querySelector("#selection").reset();
      } catch (error) {
        emit("toast", { text: error.message, tone: "error" });
      } finally {
        this.#isBusy = false;
        this.#part("dialog").close();
        outdated("slow");
      }
    }
  },
);

function outcome(results) {
  const refused = results.filter((result) => !result.success);
  const count = results.length - refused.length;
  const asked = fill(
    ngettext("Cancel requested for %(count)s job", "Cancel requested for %(count)s jobs", count),
    { count },
  );
  if (refused.length === 0) {
    return { text: asked, tone: "success" };
  }
  const text = fill(gettext("%(asked)s, %(count)s refused: %(reason)s"), {
    asked,
    count: refused.length,
    reason: retold(refused[0].message),
  });
  return { text, tone: "warning" };
}
