// <status-announcer role="status">: tells those who do not see it which jobs of this page have changed, in one sentence
// for all that changed within some seconds.
import { on } from "../bus.js";
import { fill, gettext, ngettext } from "../i18n.js";
import { shownJob } from "../shown-job.js";

const LEAST_GAP_MS = 10_000;
// The row is read anew first: what is told is what it says then.
const PATCHED_AFTER_MS = 1500;
const MOST_NAMED = 3;

customElements.define(
  "status-announcer",
  class extends HTMLElement {
    #life = new AbortController();
    /** @type {Set<string>} ids of jobs */
    #changed = new Set();
    #timer = 0;
    #told = -Infinity;

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      for (const kind of ["job_status_changed", "job_cancelling"]) {
        on(kind, ({ job_id: id }) => this.#note(id), signal);
      }
    }

    disconnectedCallback() {
      this.#life.abort();
      clearTimeout(this.#timer);
      this.#timer = 0;
    }

    #note(id) {
      this.#changed.add(id);
      if (!this.#timer) {
        const wait = Math.max(PATCHED_AFTER_MS, this.#told + LEAST_GAP_MS - performance.now());
        this.#timer = setTimeout(() => this.#tell(), wait);
      }
    }

    #tell() {
      this.#timer = 0;
      const lines = [...this.#changed].map(lineOf).filter(Boolean);
      this.#changed.clear();
      // Nobody hears a page that is not in front; the bell keeps what happened.
      if (lines.length === 0 || document.hidden) {
        return;
      }
      this.#told = performance.now();
      const more = lines.length - MOST_NAMED;
      const words = lines.slice(0, MOST_NAMED);
      if (more > 0) {
        words.push(fill(ngettext("%(count)s more job changed", "%(count)s more jobs changed", more), { count: more }));
      }
      this.textContent = words.join(". ");
    }
  },
);

/** What the page says of a job; empty for one that it does not show. @param {string} id */
function lineOf(id) {
  const { name, status } = shownJob(id);
  return name && status ? fill(gettext("%(name)s: %(status)s"), { name, status }) : "";
}
