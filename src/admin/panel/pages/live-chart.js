// A chart, with its newest values as numbers, and the same as a table for who can't see it.

import uPlot from "../uplot/uPlot.esm.js";
import { fill, h, text } from "../dom.js";
import { clockTime, hourMinute } from "../format.js";

/** Rows of the table: the newest samples, one in a minute. */
const ROWS = 15;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * `lines`: `[{ name, key, colour }]`, of which `key` is a member of a sample. `write` puts a value into words.
 * `ratio`: the scale is 0 to 1. `log`: it is logarithmic. `bytes`: its steps are powers of two.
 */
export function chart({ title, lines, write, ratio, log, bytes }) {
  const holder = h("div", { class: "plot", role: "img", "aria-label": `${title}: nothing has been measured yet` });
  const values = lines.map((line) => h("dd", {}));
  const legend = h("dl", { class: "legend" }, lines.map((line, n) => h("div", {}, h("dt", { class: `mark ${line.colour}` }, line.name), values[n])));
  const rows = h("tbody");
  const head = h("tr", {}, h("th", { scope: "col" }, "Time"), lines.map((line) => h("th", { scope: "col", class: "number" }, line.name)));
  const details = h("details", {}, h("summary", {}, `${title} as a table`), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, minute by minute` }, h("table", {}, h("thead", {}, head), rows)));
  const element = h("section", { class: "card chart" }, h("h2", {}, title), legend, holder, details);
  let plot = null;
  let data = null;

  const draw = () => {
    plot?.destroy();
    plot = new uPlot(options({ lines, write, ratio, log, bytes }, holder), plotted(data, log), fill(holder));
  };
  const plotted = (samples, positive) => [samples.t, ...lines.map(({ key }) => (positive ? samples[key].map((n) => (n > 0 ? n : null)) : samples[key]))];
  const words = () => {
    lines.forEach(({ key }, n) => text(values[n], write(data[key].at(-1))));
    const now = lines.map(({ name, key }) => `${name} ${write(data[key].at(-1))}`).join(", ");
    holder.setAttribute("aria-label", `${title} over the last hour; now ${now}`);
    if (details.open) tabulate();
  };
  const tabulate = () => {
    const step = data.t.length > 1 ? Math.max(1, Math.round(60 / (data.t[1] - data.t[0]))) : 1;
    const picked = [];
    for (let n = data.t.length - 1; n >= 0 && picked.length < ROWS; n -= step) picked.push(n);
    fill(rows, picked.map((n) => h("tr", {}, h("th", { scope: "row" }, clockTime(data.t[n])), lines.map(({ key }) => h("td", { class: "number" }, write(data[key][n]))))));
  };
  details.addEventListener("toggle", () => details.open && data && tabulate());
  const watch = new ResizeObserver(() => plot && plot.setSize({ width: holder.clientWidth, height: HEIGHT }));
  watch.observe(holder);
  return {
    element,
    /** All samples, as columns. */
    update(samples) {
      data = samples;
      if (plot === null) draw();
      else plot.setData(plotted(data, log));
      words();
    },
    /** With the colours that are in force now. */
    recolour: () => data && draw(),
    end: () => (watch.disconnect(), plot?.destroy()),
  };
}

const HEIGHT = 170;

/** Seconds that a chart shows, however few samples there are yet. */
const LEAST = 300;

/** The samples that have no neighbour to draw a line to, and are drawn as points. */
function alone(plot, series) {
  const values = plot.data[series];
  const isThere = (n) => values[n] !== null && values[n] !== undefined;
  return values.map((_, n) => n).filter((n) => isThere(n) && !isThere(n - 1) && !isThere(n + 1));
}

/** The powers of ten from below `low` to above `high`. */
function decades(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  return Array.from({ length: last - first + 1 }, (_, n) => 10 ** (first + n));
}

const POWERS = Array.from({ length: 50 }, (_, n) => 2 ** n);

function options({ lines, write, ratio, log, bytes }, holder) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const most = (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1];
  const steps = log ? { splits: (_plot, _axis, low, high) => decades(low, high), filter: (_plot, numbers) => numbers } : bytes ? { incrs: POWERS } : {};
  return {
    width: holder.clientWidth || 400,
    height: HEIGHT,
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: { x: { range: (_plot, first, last) => [Math.min(first, last - LEAST), last + (last - first) / 100 + 3] }, y: ratio ? { range: [0, 1] } : log ? { distr: 3 } : { range: most } },
    axes: [
      { ...axis, size: 28, values: (_plot, times) => times.map((time) => hourMinute(time)) },
      { ...axis, ...steps, size: 62, values: (_plot, numbers) => numbers.map((n) => (n === null ? "" : write(n))) },
    ],
    series: [{}, ...lines.map((line) => ({ label: line.name, stroke: colour(`--${line.colour}`), width: 1.75, points: { show: true, size: 4, fill: colour(`--${line.colour}`), filter: alone }, spanGaps: false }))],
  };
}
