// <live-fragment src>: a piece of the page that the server renders, patched in place whenever it is out of date.
// `topic` names an event of the bus that makes it out of date too. Rows that say who they are (`data-row`) stay where
// they are: the server is told which are shown, patches those, and says what has come since; that is shown when a reader
// presses `data-shows-news`, or did something that asks for it (`news-wanted`).
import { getHTML } from "../api.js";
import { emit, on } from "../bus.js";
import { flashChanges, statesOf } from "../flash.js";
import { gettext } from "../i18n.js";
import { morphChildren } from "../morph.js";

// A burst of events costs one refresh in this time; more of it while the server is slow, so that many open pages do not
// keep it busy with nothing else: an answer that took long is asked for again only after several times as long.
const LEAST_GAP_MS = 500;
const MOST_GAP_MS = 5000;
const GAP_PER_ANSWER = 5;
// What comes sooner is there before anybody has read that it is on its way.
const SAY_SO_AFTER_MS = 400;

customElements.define(
  "live-fragment",
  class extends HTMLElement {
    #sequence = 0;
    #shown = 0;
    #timer = 0;
    #lastStart = -Infinity;
    #gap = LEAST_GAP_MS;
    #wantsNews = false;
    #life = new AbortController();

    connectedCallback() {
      this.#life = new AbortController();
      on("outdated", ({ pace }) => this.#onOutdated(pace), this.#life.signal);
      on("news-wanted", () => (this.#wantsNews = true), this.#life.signal);
      this.addEventListener("click", (event) => this.#onClick(event), { signal: this.#life.signal });
      const topic = this.getAttribute("topic");
      if (topic) {
        on(topic, () => !document.hidden && this.#onOutdated("slow"), this.#life.signal);
      }
    }

    disconnectedCallback() {
      this.#life.abort();
      clearTimeout(this.#timer);
      this.#timer = 0;
    }

    #onOutdated(pace) {
      if (this.#timer || (this.getAttribute("pace") === "slow" && pace !== "slow")) {
        return;
      }
      const wait = Math.max(this.#lastStart + this.#gap - performance.now(), 0);
      this.#timer = setTimeout(() => this.#refresh(), wait);
    }

    #onClick(event) {
      const opensElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
      if (opensElsewhere || !event.target.closest("[data-shows-news]")) {
        return;
      }
      event.preventDefault();
      this.#wantsNews = true;
      clearTimeout(this.#timer);
      this.#refresh();
    }

    get #address() {
      const source = this.getAttribute("src");
      const rows = [...this.querySelectorAll("[data-row]")].map((row) => row.dataset.row);
      if (this.#wantsNews || rows.length === 0) {
        return source;
      }
      return `${source}${source.includes("?") ? "&" : "?"}shown=${rows.join(",")}`;
    }

    async #refresh() {
      this.#timer = 0;
      const start = performance.now();
      this.#lastStart = start;
      const sequence = ++this.#sequence;
      const isWithNews = this.#wantsNews;
      const notice = setTimeout(() => this.#say(sequence), SAY_SO_AFTER_MS);
      let html;
      try {
        html = await getHTML(this.#address);
      } catch (error) {
        // What is shown stays, and is said to be old.
        if (this.isConnected) {
          emit("refresh-failed", { source: this, error });
        }
        return;
      } finally {
        clearTimeout(notice);
        this.#sayNoMore(sequence);
        this.#gap = Math.min(Math.max((performance.now() - start) * GAP_PER_ANSWER, LEAST_GAP_MS), MOST_GAP_MS);
      }
      // A reply that was overtaken by a later one tells old news.
      if (sequence < this.#shown || !this.isConnected) {
        return;
      }
      this.#shown = sequence;
      const hadFocus = isWithNews && document.activeElement?.matches("[data-shows-news]");
      this.#wantsNews = this.#wantsNews && !isWithNews;
      this.#patch(html);
      emit("refresh-done", { source: this });
      if (hadFocus) {
        // What was pressed is gone; the reader goes on with what it brought.
        this.querySelector("[data-row] a")?.focus();
      }
      emit("refreshed", { id: this.id });
    }

    /** That it is on its way, beside what is shown. */
    #say(sequence) {
      if (sequence === this.#sequence) {
        this.setAttribute("aria-busy", "true");
        this.dataset.updating = gettext("Updating…");
      }
    }

    #sayNoMore(sequence) {
      if (sequence === this.#sequence) {
        this.removeAttribute("aria-busy");
        delete this.dataset.updating;
      }
    }

    #patch(html) {
      const fresh = new DOMParser().parseFromString(html, "text/html").body;
      // Whoever holds this piece may put what has come in its place instead.
      if (this.dispatchEvent(new CustomEvent("fresh", { detail: fresh, bubbles: true, cancelable: true }))) {
        const before = statesOf(this);
        morphChildren(this, fresh);
        flashChanges(this, before);
      }
    }
  },
);
