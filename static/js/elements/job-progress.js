// <job-progress src finish>: asks for a running job's progress every 5 s while it can be seen.
// `uploads` is there while its dataset goes out: the page asks anew how far that is.
// `src` is there only while the job runs; `finish` is the expected end in milliseconds since 1970, as the trainer says.
import { getJSON } from "../api.js";
import { emit } from "../bus.js";
import { everySecond, serverNow } from "../clock.js";
import { flash } from "../flash.js";
import { percent, roughDuration, spokenTimeLeft } from "../format.js";
import { outdated } from "../freshness.js";
import { fill, gettext } from "../i18n.js";

const ASK_EVERY_MS = 5000;
const UPLOAD_LOOK_MS = 2500;
// Many rows come into view at once; they need not all ask in the same instant.
const SPREAD_MS = 1500;
// Below this, what has passed says too little of what is to come.
const LEAST_PERCENT_FOR_ESTIMATE = 5;
const STAGES = {
  Preprocessing: gettext("Preprocessing"),
  Warmup: gettext("Warmup"),
  Training: gettext("Training"),
  Validation: gettext("Validation"),
  "Saving checkpoint": gettext("Saving checkpoint"),
};

customElements.define(
  "job-progress",
  class extends HTMLElement {
    static observedAttributes = ["src", "uploads"];

    #life = new AbortController();
    #timer = 0;
    #isInView = false;
    /** The end as the pace so far lets expect it, for trainers that say nothing themselves. */
    #expectedFinish = 0;

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      const watcher = new IntersectionObserver((entries) => {
        this.#isInView = entries.at(-1).isIntersecting;
        this.#plan(Math.random() * SPREAD_MS);
      });
      watcher.observe(this);
      signal.addEventListener("abort", () => watcher.disconnect());
      document.addEventListener("visibilitychange", () => this.#plan(Math.random() * SPREAD_MS), { signal });
      everySecond(() => this.#showTimeLeft(), signal);
    }

    disconnectedCallback() {
      this.#life.abort();
      clearTimeout(this.#timer);
    }

    attributeChangedCallback() {
      if (this.isConnected) {
        this.#plan(Math.random() * SPREAD_MS);
      }
    }

    #plan(delay) {
      clearTimeout(this.#timer);
      if (!this.#isInView || document.hidden) {
        return;
      }
      if (this.hasAttribute("src")) {
        this.#timer = setTimeout(() => this.#ask(), delay);
      } else if (this.hasAttribute("uploads")) {
        this.#timer = setTimeout(() => {
          outdated();
          this.#plan(0);
        }, UPLOAD_LOOK_MS);
      }
    }

    async #ask() {
      const { signal } = this.#life;
      try {
        const progress = await getJSON(this.getAttribute("src"), { signal });
        if (!signal.aborted && this.hasAttribute("src")) {
          this.#show(progress);
          emit("job-progress", {});
        }
      } catch {
        // The last known progress stays; the connection chip tells of a server that is away.
      }
      if (!signal.aborted) {
        this.#plan(ASK_EVERY_MS);
      }
    }

    #show({ stage, last_log: line, progress }) {
      if (progress === 100 && stage === null) {
        // That is how a job answers that has completed meanwhile.
        outdated();
        return;
      }
      if (line !== null) {
        this.#write("line", line);
        this.#part("line").title = line;
      }
      if (stage !== null) {
        this.#showStage(STAGES[stage] ?? stage);
      }
      const bar = this.#part("bar");
      if (progress !== null && bar) {
        bar.value = progress;
        this.#expectFinish(progress);
        this.#showFigures(bar);
      }
    }

    /** As the server will say it with the next refresh, so that the cell does not light up again. */
    #showStage(words) {
      const cell = this.closest(".cell-progress[data-state]");
      this.#write("stage", words);
      if (cell instanceof HTMLElement && cell.dataset.state !== words) {
        cell.dataset.state = words;
        flash(cell);
      }
    }

    #expectFinish(progress) {
      const now = serverNow();
      const elapsed = now - Date.parse(this.getAttribute("started") ?? "");
      const canBeTold = elapsed > 0 && progress >= LEAST_PERCENT_FOR_ESTIMATE;
      this.#expectedFinish = canBeTold ? now + (elapsed * (100 - progress)) / progress : 0;
    }

    #showTimeLeft() {
      const bar = this.#part("bar");
      if (this.hasAttribute("src") && bar?.hasAttribute("value")) {
        this.#showFigures(bar);
      }
    }

    #showFigures(bar) {
      const finish = Number(this.getAttribute("finish") ?? 0) || this.#expectedFinish;
      const left = (finish - serverNow()) / 1000;
      const said = fill(gettext("%(value)s percent"), { value: Math.floor(bar.value) });
      if (left > 0) {
        const words = { percent: percent(bar.value), left: roughDuration(left) };
        this.#write("text", fill(gettext("%(percent)s · %(left)s left"), words));
        const spoken = { percent: said, left: spokenTimeLeft(left) };
        bar.setAttribute("aria-valuetext", fill(gettext("%(percent)s, %(left)s"), spoken));
      } else {
        this.#write("text", fill(gettext("%(percent)s · estimating…"), { percent: percent(bar.value) }));
        bar.setAttribute("aria-valuetext", said);
      }
    }

    #write(name, words) {
      const part = this.#part(name);
      if (part && part.textContent !== words) {
        part.textContent = words;
      }
    }

    #part(name) {
      return this.querySelector(`[data-part="${name}"]`);
    }
  },
);
