// Numbers, sizes, times and durations in words, as the reader's browser writes them.

const number = (options) => new Intl.NumberFormat(undefined, options);
const whole = number({ maximumFractionDigits: 0 });
const short = number({ notation: "compact", maximumFractionDigits: 1 });
const two = number({ maximumFractionDigits: 2 });
const one = number({ maximumFractionDigits: 1 });
const three = number({ maximumSignificantDigits: 3 });
const percent = number({ style: "percent", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** What stands for something that isn't known, or hasn't been counted. */
export const NONE = "–";

const known = (write) => (value) => (value === null || value === undefined || Number.isNaN(value) ? NONE : write(value));

export const count = known((n) => whole.format(n));
export const compact = known((n) => (n < 10_000 ? whole : short).format(n));
export const ratio = known((n) => percent.format(n));
export const rate = known((n) => (n === 0 ? "0" : n < 0.01 ? "< 0.01" : n < 1 ? two.format(n) : n < 100 ? one.format(n) : compact(n)));

/** Bytes. */
export const size = known((bytes) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [n, unit] = [bytes, 0];
  while (n >= 1024 && unit < units.length - 1) [n, unit] = [n / 1024, unit + 1];
  return `${unit === 0 ? whole.format(n) : three.format(n)} ${units[unit]}`;
});

/** Milliseconds that something takes. */
export const latency = known((ms) => (ms >= 1000 ? `${three.format(ms / 1000)} s` : ms < 1 ? `${whole.format(ms * 1000)} µs` : `${three.format(ms)} ms`));

/** Seconds, in the two largest units: `1 h 30 min`. */
export const span = known((seconds) => {
  const rest = Math.abs(seconds);
  if (rest < 1 && rest > 0) return `${whole.format(rest * 1000)} ms`;
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const parts = [];
  let left = Math.round(rest * 1000) / 1000;
  for (const [name, length] of units) {
    const n = length === 1 ? left : Math.floor(left / length);
    if (n > 0) parts.push(`${length === 1 ? one.format(n) : whole.format(n)} ${name}`);
    left -= n * length;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
});

export const when = known((time) => moment.format(new Date(time)));
export const hourMinute = known((unix) => hour.format(new Date(unix * 1000)));
export const clockTime = known((unix) => clock.format(new Date(unix * 1000)));

/** `1 entry`, `2 entries`. */
export function many(n, singular, plural) {
  return `${count(n)} ${n === 1 ? singular : plural}`;
}

const UNITS = { ms: 0.001, s: 1, m: 60, min: 60, h: 3_600, d: 86_400 };

/** Seconds of a duration as the file has it (`"250ms"`, `"1m30s"`, `90`); `Infinity` for what is kept for ever; `null` for none. */
export function seconds(duration) {
  if (duration === null || duration === undefined || duration === "none") return null;
  if (typeof duration === "number") return duration === 0 ? Infinity : duration;
  if (duration === "forever" || duration === "0") return Infinity;
  let total = 0;
  for (const [, n, unit] of String(duration).matchAll(/([\d.]+)\s*(ms|min|s|m|h|d)/g)) total += Number(n) * UNITS[unit];
  return total;
}

/** What stands in a field for minutes: `10`, `1.5`, `0` for what is kept for ever, nothing where there is no interval. */
export function minutes(duration) {
  const known = seconds(duration);
  if (known === null) return "";
  return known === Infinity ? "0" : String(Number((known / 60).toFixed(6)));
}

/** What somebody means who writes into a field for minutes: a number of them, or a duration such as `90s`. `undefined` when nobody can tell. */
export function interval(written) {
  const plain = written.trim().replace(",", ".");
  if (plain === "") return null;
  if (/^(0|forever)$/i.test(plain)) return "forever";
  const given = /^\d+(\.\d+)?$/.test(plain) ? Number(plain) * 60 : /^([\d.]+\s*(ms|min|s|m|h|d)\s*)+$/.test(plain) ? seconds(plain) : NaN;
  if (!(given < 1e10)) return undefined; // three centuries
  const ms = Math.round(given * 1000);
  if (ms === 0) return "forever";
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** The cache interval in words. */
export function intervalWords(duration) {
  const known = seconds(duration);
  if (known === null) return "only what the origin asks for";
  return known === Infinity ? "kept until purged" : `kept ${span(known)}`;
}

/** What an answer is for among those of one URL, one text for each field: `accept: text/html`, or `no accept` for requests without it. */
export function variants(selection) {
  return Object.entries(selection ?? {}).map(([name, value]) => (value === null ? `without ${name}` : `${name}: ${value}`));
}
