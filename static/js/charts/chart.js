// One chart: uPlot in the colours of the page.
import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { on } from "../bus.js";
import { shortNumber } from "./numbers.js";
import { smoothed } from "./smooth.js";

const HEIGHT = 240;
const AXIS_SPACE = 56;
const X_AXIS_SPACE = 36;
const LOGARITHMIC = 3;
const FONT = "12px system-ui, sans-serif";

export class Chart {
  /** What the pointer is at, or nothing. @type {(point: {x: number, y: number} | null) => void} */
  onPoint = () => {};
  #host;
  /** @type {uPlot | null} */
  #plot = null;
  #xs = [];
  #ys = [];
  #isSmooth = false;
  #isLog = false;

  /** @param {HTMLElement} host */
  constructor(host) {
    this.#host = host;
  }

  /** @param {AbortSignal} signal */
  start(signal) {
    const watcher = new ResizeObserver(() => this.#plot?.setSize({ width: this.#host.clientWidth, height: HEIGHT }));
    watcher.observe(this.#host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#build(), { signal });
    on("look", () => this.#build(), signal);
    signal.addEventListener("abort", () => {
      watcher.disconnect();
      this.#plot?.destroy();
      this.#plot = null;
    });
  }

  /** @param {number[]} xs ascending @param {number[]} ys */
  setPoints(xs, ys) {
    const { min, max } = this.#plot?.scales.x ?? {};
    const isZoomed = this.#xs.length > 1 && (min > this.#xs[0] || max < this.#xs.at(-1));
    this.#xs = xs;
    this.#ys = ys;
    if (this.#plot) {
      this.#plot.setData(this.#data(), !isZoomed);
      if (isZoomed) {
        this.#plot.redraw();
      }
    } else {
      this.#build();
    }
  }

  /** @param {{isSmooth: boolean, isLog: boolean}} look */
  setLook({ isSmooth, isLog }) {
    this.#isSmooth = isSmooth;
    this.#isLog = isLog;
    this.#build();
  }

  #data() {
    // What is not above zero has no place on a logarithmic scale.
    const ys = this.#isLog ? this.#ys.map((value) => (value > 0 ? value : null)) : this.#ys;
    return [this.#xs, ys, this.#isSmooth ? smoothed(ys) : ys];
  }

  #build() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#xs.length === 0) {
      return;
    }
    const { color: ink, borderTopColor: line, caretColor: words } = getComputedStyle(this.#host);
    const axis = { stroke: words, font: FONT, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const isAlone = this.#xs.length === 1;
    this.#plot = new uPlot(
      {
        width: this.#host.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { points: { size: 7 }, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: { distr: this.#isLog ? LOGARITHMIC : 1 } },
        axes: [
          { ...axis, size: X_AXIS_SPACE, values: labels },
          { ...axis, size: AXIS_SPACE, values: labels },
        ],
        series: [
          {},
          { stroke: faded(ink, this.#isSmooth), width: 1.5, points: { show: isAlone }, spanGaps: true },
          { show: this.#isSmooth, stroke: ink, width: 2, points: { show: false }, spanGaps: true },
        ],
        hooks: { setCursor: [(plot) => this.#tellPoint(plot.cursor.idx)] },
      },
      this.#data(),
      this.#host,
    );
  }

  #tellPoint(index) {
    const y = index === null || index === undefined ? null : this.#ys[index];
    this.onPoint(y === null ? null : { x: this.#xs[index], y });
  }
}

/** A logarithmic scale has lines without a label. */
function labels(_plot, splits) {
  return splits.map((split) => (split === null ? "" : shortNumber(split)));
}

function faded(colour, isFaded) {
  return isFaded ? colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.3)") : colour;
}
