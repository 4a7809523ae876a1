// <job-charts src overview>: what a job's log says of loss, learning rate and speed, drawn, and in numbers below.
// `overview` is the id of the fragment that knows the job's status.
import { getJSON } from "../api.js";
import { emit, on } from "../bus.js";
import { Chart } from "../charts/chart.js";
import { shortNumber } from "../charts/numbers.js";
import { number } from "../format.js";
import { fill, gettext } from "../i18n.js";
import { retold } from "../retold.js";

const ASK_EVERY_MS = 5000;
// A long log takes long to be read: the server is not kept busy with it alone.
const WAIT_PER_ANSWER = 10;
const SHOWN_ROWS = 50;
const X_WORDS = { step: gettext("Step"), epoch: gettext("Epoch"), line: gettext("Entry") };
const RUNS_OR_HAS_RUN = ["running", "completed", "failed", "cancelled"];

customElements.define(
  "job-charts",
  class extends HTMLElement {
    #life = new AbortController();
    #timer = 0;
    /** @type {Map<HTMLElement, Chart>} */
    #charts = new Map();
    #unit = "step";

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      for (const section of this.querySelectorAll("[data-series]")) {
        const chart = new Chart(part(section, "drawing"));
        chart.start(signal);
        chart.onPoint = (point) => this.#tellPoint(section, point);
        this.#charts.set(section, chart);
      }
      for (const name of ["smooth", "log"]) {
        part(this, name).addEventListener("click", (event) => this.#toggle(event.currentTarget), { signal });
      }
      document.addEventListener("visibilitychange", () => !document.hidden && this.#load(), { signal });
      on("retry", () => this.#load(), signal);
      this.#load();
    }

    disconnectedCallback() {
      this.#life.abort();
      clearTimeout(this.#timer);
      this.#charts.clear();
    }

    async #load() {
      clearTimeout(this.#timer);
      const { signal } = this.#life;
      if (document.hidden) {
        return;
      }
      const start = performance.now();
      let isFinal = false;
      try {
        const answer = await getJSON(this.getAttribute("src"), { signal });
        if (!signal.aborted) {
          isFinal = answer.is_final;
          this.#show(answer);
          emit("refresh-done", { source: this });
        }
      } catch (error) {
        if (!signal.aborted) {
          emit("refresh-failed", { source: this, error });
        }
      }
      clearTimeout(this.#timer);
      const overview = document.getElementById(this.getAttribute("overview"));
      const status = overview?.querySelector("[data-job-status]")?.dataset.jobStatus ?? "";
      if (!signal.aborted && !isFinal) {
        const wait = Math.max(ASK_EVERY_MS, (performance.now() - start) * WAIT_PER_ANSWER);
        // A job that waits has no log yet; it is looked at again all the same, because it may have begun.
        this.#timer = setTimeout(() => this.#load(), RUNS_OR_HAS_RUN.includes(status) ? wait : 4 * wait);
      }
    }

    #show({ points, x_unit: unit, is_thinned: isThinned, is_final: isFinal, problem }) {
      this.#unit = unit;
      for (const [section, chart] of this.#charts) {
        const told = points.filter((point) => point[section.dataset.series] !== null);
        const xs = told.map(({ x }) => x);
        const ys = told.map((point) => point[section.dataset.series]);
        part(section, "drawing").hidden = told.length === 0;
        part(section, "drawing").removeAttribute("data-waits");
        part(section, "numbers").hidden = told.length === 0;
        part(section, "nothing").hidden = told.length > 0;
        if (told.length > 0) {
          chart.setPoints(xs, ys);
          section.summary = summaryOf(section, ys);
          part(section, "latest").textContent = section.summary;
          this.#describe(section);
          this.#fillTable(section, xs, ys);
        }
      }
      const parts = [isFinal ? gettext("Read from the job's log.") : gettext("Read from the job's log as it grows.")];
      if (isThinned) {
        parts.push(gettext("The log is long: of each stretch the lowest and the highest values are drawn."));
      }
      if (problem) {
        parts.push(retold(problem));
      }
      const words = parts.join(" ");
      if (part(this, "standing").textContent !== words) {
        part(this, "standing").textContent = words;
      }
    }

    #describe(section) {
      const drawing = part(section, "drawing");
      const words = { title: section.querySelector("h2").textContent, summary: section.summary };
      drawing.setAttribute("role", "img");
      drawing.setAttribute("aria-label", fill(gettext("Chart of %(title)s: %(summary)s"), words));
    }

    #fillTable(section, xs, ys) {
      const title = section.querySelector("h2").textContent;
      const every = Math.max(1, Math.ceil(xs.length / SHOWN_ROWS));
      const rows = [];
      for (let at = xs.length - 1; at >= 0; at -= every) {
        rows.push(row(shortNumber(xs[at]), shortNumber(ys[at])));
      }
      part(section, "rows").replaceChildren(...rows);
      part(section, "x-label").textContent = X_WORDS[this.#unit];
      const counts = { title, shown: rows.length, count: number(xs.length) };
      part(section, "caption").textContent =
        every > 1
          ? fill(gettext("%(title)s: %(shown)s of %(count)s points, newest first"), counts)
          : fill(gettext("%(title)s, newest first"), counts);
    }

    #tellPoint(section, point) {
      const { unit } = section.dataset;
      part(section, "latest").textContent = point
        ? `${X_WORDS[this.#unit]} ${shortNumber(point.x)}: ${shortNumber(point.y)}${unit}`
        : (section.summary ?? "");
    }

    #toggle(button) {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      const isOn = (name) => part(this, name).getAttribute("aria-pressed") === "true";
      for (const chart of this.#charts.values()) {
        chart.setLook({ isSmooth: isOn("smooth"), isLog: isOn("log") });
      }
    }
  },
);

function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

function summaryOf(section, ys) {
  const { unit } = section.dataset;
  const least = ys.reduce((one, other) => Math.min(one, other));
  return fill(gettext("latest %(latest)s · least %(least)s"), {
    latest: shortNumber(ys.at(-1)) + unit,
    least: shortNumber(least) + unit,
  });
}

function row(x, value) {
  const made = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = x;
  const cell = document.createElement("td");
  cell.textContent = value;
  made.append(head, cell);
  return made;
}
