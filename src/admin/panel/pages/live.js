// How busy the gateway is, and was in the last hour. New samples come as server-sent events.

import { call, signedOut } from "../api.js";
import { empty, failed, fill, h, text } from "../dom.js";
import { compact, latency, rate, ratio, size } from "../format.js";
import { chart } from "./live-chart.js";

export const title = "Live";

/** Samples that are kept, at one in five seconds an hour. */
const MOST = 720;

const CHARTS = [
  { title: "Requests per second", write: rate, lines: [{ name: "All", key: "requests", colour: "series-1" }, { name: "Hits", key: "hits", colour: "series-2" }, { name: "Misses", key: "misses", colour: "series-3" }] },
  { title: "Hit ratio", write: ratio, ratio: true, lines: [{ name: "Hits of reads", key: "hit_ratio", colour: "series-2" }] },
  {
    title: "Latency: cache against origin",
    write: latency,
    log: true,
    lines: [
      { name: "Hit, median", key: "hit_ms_p50", colour: "series-2" },
      { name: "Hit, 99 %", key: "hit_ms_p99", colour: "series-4" },
      { name: "Origin, median", key: "origin_ms_p50", colour: "series-3" },
      { name: "Origin, 99 %", key: "origin_ms_p99", colour: "series-5" },
    ],
  },
  { title: "Memory", write: size, bytes: true, lines: [{ name: "Stored", key: "bytes", colour: "series-1" }] },
  { title: "Entries", write: compact, lines: [{ name: "Stored", key: "entries", colour: "series-1" }] },
  { title: "Evictions and invalidations per second", write: rate, lines: [{ name: "Evictions", key: "evictions", colour: "series-3" }, { name: "Invalidations", key: "invalidations", colour: "series-2" }] },
];

const KEYS = ["t", ...CHARTS.flatMap((one) => one.lines.map((line) => line.key))];

export async function show(main, _place, signal) {
  const state = h("p", { class: "found", role: "status" }, "Loading…");
  const grid = h("div", { class: "charts" });
  fill(main, h("div", { class: "heading" }, h("h1", {}, title), state), grid);
  let samples;
  try {
    samples = columns((await call("GET", "/v1/traffic", { signal })).data);
  } catch (error) {
    if (error.name === "AbortError") return;
    text(state, "");
    if (error.isMissing) return fill(grid, empty("Not available in this version of the gateway."));
    return fill(grid, failed(error, () => show(main, _place, signal)));
  }
  if (signal.aborted) return;
  const charts = CHARTS.map(chart);
  fill(grid, charts.map((one) => one.element));
  const update = () => {
    if (samples.t.length > 0) charts.forEach((one) => one.update(samples));
    text(state, samples.t.length > 0 ? "Live, the last hour" : "The first sample comes in a few seconds");
  };
  update();
  const recolour = () => charts.forEach((one) => one.recolour());
  addEventListener("theme", recolour);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour, { signal });
  const end = listen((sample) => (add(samples, sample), update()), (words) => text(state, words));
  signal.addEventListener("abort", () => {
    end();
    removeEventListener("theme", recolour);
    charts.forEach((one) => one.end());
  });
}

/** Only what is drawn, and a column for each even where the gateway tells none. */
function columns(data) {
  return Object.fromEntries(KEYS.map((key) => [key, data[key] ? [...data[key]] : data.t.map(() => null)]));
}

function add(samples, sample) {
  if (samples.t.length > 0 && sample.t <= samples.t.at(-1)) return;
  for (const key of KEYS) {
    samples[key].push(sample[key] ?? null);
    if (samples[key].length > MOST) samples[key].shift();
  }
}

/** Takes samples until the function that this gives is called. A stream that ends is begun again, at the latest after half a minute. */
function listen(take, say) {
  let source = null;
  let timer = null;
  let wait = 1_000;
  const begin = () => {
    source = new EventSource("/v1/traffic");
    source.addEventListener("sample", (event) => {
      wait = 1_000;
      take(JSON.parse(event.data));
    });
    source.addEventListener("error", async () => {
      if (source.readyState !== EventSource.CLOSED) return say("Reconnecting…");
      say(`No news from the gateway; trying again`);
      timer = setTimeout(begin, wait);
      wait = Math.min(wait * 2, 30_000);
      const error = await call("GET", "/session", { unattended: true }).then(() => null, (one) => one);
      if (error?.status === 401) signedOut.dispatchEvent(new Event("over"));
    });
  };
  begin();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
