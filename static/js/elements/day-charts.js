// <day-charts src>: draws the tables of days inside; with `src` it fetches them when it comes into view.
import { getHTML } from "../api.js";
import { emit, on } from "../bus.js";
import { morphChildren } from "../morph.js";

const READ_AGAIN_MS = 10 * 60_000;
const AHEAD = "200px";

customElements.define(
  "day-charts",
  class extends HTMLElement {
    #life = new AbortController();
    /** @type {{destroy: () => void}[]} */
    #drawn = [];
    #isSeen = false;

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      const watcher = new IntersectionObserver(
        ([{ isIntersecting }]) => {
          if (isIntersecting && !this.#isSeen) {
            this.#isSeen = true;
            this.#load();
          }
        },
        { rootMargin: AHEAD },
      );
      watcher.observe(this);
      let width = this.clientWidth;
      const sizes = new ResizeObserver(() => {
        if (this.clientWidth !== width) {
          width = this.clientWidth;
          this.#draw();
        }
      });
      sizes.observe(this);
      on("look", () => this.#draw(), signal);
      on("retry", () => this.hasAttribute("failed") && this.#load(), signal);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw(), { signal });
      const onVisible = () => !document.hidden && this.#isSeen && this.#drawn.length === 0 && this.#load();
      document.addEventListener("visibilitychange", onVisible, { signal });
      const timer = setInterval(() => !document.hidden && this.#isSeen && this.#load(), READ_AGAIN_MS);
      signal.addEventListener("abort", () => {
        watcher.disconnect();
        sizes.disconnect();
        clearInterval(timer);
      });
    }

    disconnectedCallback() {
      this.#life.abort();
      this.#erase();
    }

    async #load() {
      if (document.hidden) {
        return;
      }
      const src = this.getAttribute("src");
      if (src) {
        try {
          const html = await getHTML(src);
          this.#erase();
          morphChildren(part(this, "charts"), new DOMParser().parseFromString(html, "text/html").body);
          this.removeAttribute("failed");
          emit("refresh-done", { source: this });
        } catch (error) {
          // What is shown stays; where there is nothing yet, a link leads to it.
          this.setAttribute("failed", "");
          emit("refresh-failed", { source: this, error });
          return;
        }
      }
      await this.#draw();
    }

    async #draw() {
      const { signal } = this.#life;
      // A page that nobody sees asks for nothing; it is drawn when it is seen.
      if (!this.#isSeen || document.hidden) {
        return;
      }
      // The drawing of charts is as large as all the rest, and often nobody scrolls that far.
      const { drawDays } = await import("../charts/day-bars.js");
      this.#erase();
      for (const section of signal.aborted ? [] : this.querySelectorAll("[data-chart]")) {
        this.#drawn.push(drawDays(part(section, "drawing"), tableOf(section)));
      }
    }

    #erase() {
      for (const chart of this.#drawn) {
        chart.destroy();
      }
      this.#drawn = [];
    }
  },
);

function tableOf(section) {
  const rows = [...part(section, "rows").rows];
  const heads = [...section.querySelectorAll("thead th")].slice(1).map((head) => head.textContent);
  const swatches = [...section.querySelectorAll('[data-part="swatch"]')];
  const hint = part(section, "hint");
  const summary = hint.textContent;
  return {
    labels: rows.map((row) => row.cells[0].textContent),
    columns: heads.map((_, at) => rows.map((row) => Number(row.cells[at + 1].dataset.value))),
    colours: swatches.map((swatch) => getComputedStyle(swatch).backgroundColor),
    unit: section.dataset.unit,
    onDay: (day) => {
      hint.textContent = day === null ? summary : tellDay(rows[day], heads);
    },
  };
}

function tellDay(row, heads) {
  const [label, ...cells] = [...row.cells].map((cell) => cell.textContent);
  return [label, ...heads.map((head, at) => `${head} ${cells[at]}`)].join(" · ");
}

function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}
