// Bars for days, one kind of number on top of the other.
import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { shortNumber } from "./numbers.js";

const HEIGHT = 200;
const AXIS_SPACE = 52;
const X_AXIS_SPACE = 28;
const LABEL_SPACE = 70;
const BAR_SHARE = 0.72;
const WIDEST_BAR = 40;
const FONT = "12px system-ui, sans-serif";

/**
 * @param {HTMLElement} host is filled; its colours are those of axes and words
 * @param {{labels: string[], columns: number[][], colours: string[], unit: string, onDay: (index: number | null) => void}} data
 * @returns {uPlot}
 */
export function drawDays(host, { labels, columns, colours, unit, onDay }) {
  const { borderTopColor: line, caretColor: words } = getComputedStyle(host);
  const axis = { stroke: words, font: FONT, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  const bars = uPlot.paths.bars({ size: [BAR_SHARE, WIDEST_BAR] });
  // Each bar reaches down to the ground: the tallest is drawn first, and the others stand in front of it.
  const sums = columns.map((_, at) => labels.map((__, day) => sum(columns.slice(0, at + 1).map((all) => all[day]))));
  const series = sums.map((_, at) => ({ fill: colours[at], width: 0, paths: bars, points: { show: false } })).reverse();
  return new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-0.6, labels.length - 0.4] }, y: { range: (_plot, _least, most) => [0, most * 1.08 || 1] } },
      axes: [
        { ...axis, size: X_AXIS_SPACE, space: LABEL_SPACE, incrs: [1, 2, 5, 7, 10, 15], grid: { show: false }, values: (_plot, splits) => splits.map((at) => labels[at] ?? "") },
        { ...axis, size: AXIS_SPACE, values: (_plot, splits) => splits.map((value) => unit + shortNumber(value)) },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [(plot) => onDay(plot.cursor.idx ?? null)] },
    },
    [labels.map((_, at) => at), ...sums.reverse()],
    host,
  );
}

function sum(values) {
  return values.reduce((one, other) => one + other, 0);
}
