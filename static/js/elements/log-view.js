// <log-view src overview>: the log of a job, as text and nothing else. `overview` is the id of the fragment that knows
// the job's status; the log is read every 5 s until its end has been.
import { getJSON } from "../api.js";
import { emit, on } from "../bus.js";
import { fill, gettext, language, ngettext } from "../i18n.js";
import { GrowingLog } from "../log-text.js";
import { copyText } from "./copy-button.js";

const ASK_EVERY_MS = 5000;
const RUNS_OR_HAS_RUN = ["running", "completed", "failed", "cancelled"];
// More lines than this make every change slow; the download has them all.
const MOST_LINES = 5000;
// How far from its end a log may be scrolled and still be followed.
const FOLLOW_PX = 50;

customElements.define(
  "log-view",
  class extends HTMLElement {
    #life = new AbortController();
    #log = new GrowingLog();
    #timer = 0;
    #status = "";
    #isFollowing = true;
    #unseen = 0;
    #firstShown = 0;
    /** @type {Text[]} one node a line, so that only what changed is written */
    #nodes = [];
    #hasLoaded = false;
    #isFinal = false;

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      this.#status = this.#currentStatus();
      on("refreshed", () => this.#onRefreshed(), signal);
      document.addEventListener("visibilitychange", () => !document.hidden && this.#load(), { signal });
      this.#part("text").addEventListener("scroll", () => this.#onScroll(), { signal, passive: true });
      this.#part("wrap").addEventListener("click", () => this.#toggleWrap(), { signal });
      this.#part("copy").addEventListener("click", () => copyText(this.#log.lines.join("\n")), { signal });
      this.#part("latest").addEventListener("click", () => this.#jumpToLatest(), { signal });
      this.#scrollToEnd();
      this.#load();
    }

    disconnectedCallback() {
      this.#life.abort();
      clearTimeout(this.#timer);
    }

    #part(name) {
      return this.querySelector(`[data-part="${name}"]`);
    }

    #currentStatus() {
      const overview = document.getElementById(this.getAttribute("overview"));
      return overview?.querySelector("[data-job-status]")?.dataset.jobStatus ?? "";
    }

    #onRefreshed() {
      const status = this.#currentStatus();
      if (status !== this.#status) {
        // The last lines of a job often come with its end.
        this.#status = status;
        this.#load();
      }
    }

    async #load() {
      clearTimeout(this.#timer);
      const { signal } = this.#life;
      if (document.hidden) {
        return;
      }
      try {
        const answer = await getJSON(this.getAttribute("src"), { signal });
        if (!signal.aborted) {
          this.#show(answer);
        }
      } catch (error) {
        if (!signal.aborted) {
          this.#part("standing").textContent = error.message;
        }
      }
      clearTimeout(this.#timer);
      if (!signal.aborted && !this.#isFinal && RUNS_OR_HAS_RUN.includes(this.#status)) {
        this.#timer = setTimeout(() => this.#load(), ASK_EVERY_MS);
      }
    }

    #show({ logs, source, is_final: isFinal, problem, logs_state: state }) {
      const before = this.#log.lines.length;
      const firstChanged = this.#log.replace(logs);
      this.#draw(firstChanged);
      if (this.#isFollowing) {
        this.#scrollToEnd();
      } else if (this.#hasLoaded) {
        this.#unseen += Math.max(this.#log.lines.length - before, 0);
      }
      this.#hasLoaded = true;
      this.#isFinal = isFinal;
      this.#tellState(state);
      this.#part("empty").hidden = this.#log.lines.length > 0;
      this.#part("empty").textContent = isFinal
        ? gettext("There is no log.")
        : gettext("The log is empty so far.");
      this.#part("standing").textContent = this.#standing(source, problem);
      this.#showLatestButton();
    }

    #draw(firstChanged) {
      const { lines } = this.#log;
      const pre = this.#part("text");
      const first = Math.max(lines.length - MOST_LINES, 0);
      if (!this.#hasLoaded || firstChanged < this.#firstShown || firstChanged > this.#firstShown + this.#nodes.length) {
        pre.replaceChildren();
        this.#nodes = [];
        this.#firstShown = first;
      }
      const kept = Math.max(firstChanged - this.#firstShown, 0);
      for (const node of this.#nodes.splice(kept)) {
        node.remove();
      }
      const start = this.#firstShown + this.#nodes.length;
      const fresh = lines.slice(start).map((line) => document.createTextNode(`${line}\n`));
      this.#nodes.push(...fresh);
      const piece = document.createDocumentFragment();
      for (const node of fresh) {
        piece.append(node);
      }
      pre.append(piece);
      while (this.#firstShown < first) {
        this.#nodes.shift().remove();
        this.#firstShown += 1;
      }
    }

    /** The badge is the server's to draw; it is asked for when what it says has changed. */
    #tellState(state) {
      const badge = this.querySelector("[data-logs-state]");
      if (badge && badge.dataset.logsState !== state) {
        emit("log-state", {});
      }
    }

    #standing(source, problem) {
      const parts = [];
      if (problem) {
        parts.push(problem, gettext("This is the copy saved here."));
      } else if (source === "provider" && this.#status === "running") {
        parts.push(gettext("Read every 5 s"));
      }
      const count = this.#log.lines.length;
      const number = count.toLocaleString(language);
      if (count > MOST_LINES) {
        const words = { shown: MOST_LINES.toLocaleString(language), count: number };
        parts.push(fill(gettext("the last %(shown)s of %(count)s lines"), words));
      } else if (count > 0) {
        parts.push(fill(ngettext("%(count)s line", "%(count)s lines", count), { count: number }));
      }
      return parts.join(" · ");
    }

    #onScroll() {
      const pre = this.#part("text");
      this.#isFollowing = pre.scrollHeight - pre.scrollTop - pre.clientHeight <= FOLLOW_PX;
      if (this.#isFollowing) {
        this.#unseen = 0;
      }
      this.#showLatestButton();
    }

    #jumpToLatest() {
      this.#isFollowing = true;
      this.#unseen = 0;
      this.#scrollToEnd();
      this.#showLatestButton();
      this.#part("text").focus({ preventScroll: true });
    }

    #showLatestButton() {
      const button = this.#part("latest");
      button.hidden = this.#isFollowing;
      const words = this.#unseen
        ? fill(gettext("Jump to latest (%(count)s new)"), { count: this.#unseen })
        : gettext("Jump to latest");
      button.querySelector("span").textContent = words;
    }

    #scrollToEnd() {
      const pre = this.#part("text");
      pre.scrollTop = pre.scrollHeight;
    }

    #toggleWrap() {
      const isWrapped = this.#part("text").classList.toggle("is-wrapped");
      this.#part("wrap").setAttribute("aria-pressed", String(isWrapped));
      if (this.#isFollowing) {
        this.#scrollToEnd();
      }
    }
  },
);
