// A row per API and version: what the cache does for it, how long it keeps, and a way to clear it.

import { allApis, apiPath, call } from "../api.js";
import { ask, notice } from "../dialog.js";
import { empty, failed, fill, h, table, text } from "../dom.js";
import { NONE, compact, count, interval, intervalWords, many, minutes, ratio, rate, size, span } from "../format.js";
import { may } from "../state.js";

export const title = "APIs";

/** How often the numbers are asked for, in milliseconds. Where that takes long, it is asked more seldom: a twentieth of the time at the most. */
const EVERY = 5_000;
const PATIENCE = 20;
/** Rows that are made at a time, so that a thousand don't hold up the page. */
const CHUNK = 100;

const COLUMNS = [
  { name: "API" },
  { name: "Cache interval (min)" },
  { name: "Hit ratio", class: "number" },
  { name: "Requests/s", class: "number" },
  { name: "Origin time saved", class: "number" },
  { name: "Entries", class: "number" },
  { name: "Memory", class: "number" },
  { name: "Health" },
  { name: "Actions", class: "actions" },
];

export function show(main, _place, signal) {
  const rows = new Map();
  const list = h("div", {}, h("p", { class: "loading" }, "Loading…"));
  const found = h("p", { class: "found", role: "status" });
  const search = h("input", { type: "search", "aria-label": "Filter by name or path", placeholder: "Filter by name or path", on: { input: () => filter() } });
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows.values()) {
      const fits = row.words().includes(wanted);
      row.element.hidden = !fits;
      if (fits) shown += 1;
    }
    text(found, wanted === "" ? many(rows.size, "API", "APIs") : `${count(shown)} of ${many(rows.size, "API", "APIs")}`);
  };
  let timer = null;
  const load = async (unattended) => {
    const began = performance.now();
    clearTimeout(timer);
    try {
      update(await allApis({ unattended, signal }));
    } catch (error) {
      if (error.name === "AbortError" || error.status === 401) return;
      if (rows.size === 0) fill(list, failed(error, () => load(false)));
      else text(found, `${error.title}. These numbers are of a while ago.`);
    } finally {
      const pause = Math.max(EVERY, PATIENCE * (performance.now() - began));
      if (!signal.aborted) timer = setTimeout(again, pause);
    }
  };
  const again = () => {
    if (document.hidden) timer = setTimeout(again, EVERY);
    else load(true);
  };
  const update = (apis) => {
    const keys = new Set(apis.map(key));
    const same = rows.size > 0 && keys.size === rows.size && [...keys].every((one) => rows.has(one));
    if (same) for (const api of apis) rows.get(key(api)).update(api);
    else build(apis);
    filter();
  };
  const build = (apis) => {
    rows.clear();
    for (const api of apis) rows.set(key(api), makeRow(api, () => load(false)));
    if (apis.length === 0) return fill(list, nothing());
    const { element, body } = table("APIs", COLUMNS, []);
    element.classList.add("cards");
    fill(list, element);
    const waiting = [...rows.values()].map((row) => row.element);
    const more = () => {
      body.append(...waiting.splice(0, CHUNK));
      if (waiting.length > 0 && !signal.aborted) requestAnimationFrame(more);
    };
    more();
  };
  fill(
    main,
    h(
      "div",
      { class: "heading" },
      h("h1", {}, title),
      search,
      found,
      h("span", { class: "space" }),
      may("edit") && h("a", { class: "button primary", href: "#/apis/new" }, "Register an API"),
      may("empty") && h("button", { type: "button", class: "danger", on: { click: () => emptyCache(load) } }, "Empty cache"),
    ),
    list,
  );
  load(false);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

const key = (api) => `${api.name}/${api.version}`;

function nothing() {
  const how = may("edit") ? ["Register the first one, or add an [[api]] to the configuration file."] : ["An administrator can register one here, or in the configuration file."];
  return empty("This gateway has no API yet: every request gets 404.", ...how);
}

/** A row: `element`, `update(api)` with new numbers, `words()` that a filter looks at. */
function makeRow(api, reload) {
  let now = api;
  const cells = Object.fromEntries(["hits", "rate", "saved", "entries", "bytes"].map((name) => [name, h("span", {})]));
  const health = h("span", { class: "health" });
  const path = h("code", { class: "path" });
  const keeps = intervalCell(() => now, reload);
  const number = (label, cell) => h("td", { role: "cell", class: "number", "data-label": label }, cell);
  const name = may("edit") && api.editable !== false ? h("a", { href: `#/apis/${encodeURIComponent(api.name)}/${encodeURIComponent(api.version)}` }, api.name) : api.name;
  const element = h(
    "tr",
    { role: "row", "data-api": key(api) },
    h("th", { scope: "row", role: "rowheader" }, h("span", { class: "api-name" }, name, " ", h("span", { class: "version" }, api.version)), path),
    h("td", { role: "cell", class: "keeps", "data-label": "Cache interval (min)" }, keeps.element),
    number("Hit ratio", cells.hits),
    number("Requests/s", cells.rate),
    number("Origin time saved", cells.saved),
    number("Entries", cells.entries),
    number("Memory", cells.bytes),
    h("td", { role: "cell", "data-label": "Health" }, health),
    h("td", { role: "cell", class: "actions" }, actions(() => now, reload)),
  );
  const update = (next) => {
    now = next;
    text(path, `${next.settings?.host ?? ""}${next.settings?.path ?? (next.name === "objects" ? `/${next.version}` : NONE)}`);
    text(cells.hits, ratio(next.hit_ratio));
    text(cells.rate, rate(next.requests_per_second));
    text(cells.saved, span(next.origin_ms_saved / 1000));
    text(cells.entries, compact(next.entries));
    text(cells.bytes, size(next.bytes));
    showHealth(health, next.health);
    keeps.update();
  };
  update(api);
  return { element, update, words: () => `${key(now)} ${now.settings?.host ?? ""}${now.settings?.path ?? ""}`.toLowerCase() };
}

function showHealth(element, health) {
  const { well = 0, resting = 0, down = 0, open = 0 } = health ?? {};
  const bad = down + open;
  const all = well + resting + bad;
  const words = !health || all === 0 ? NONE : bad === 0 && resting === 0 ? `${count(well)} well` : `${count(well)} of ${count(all)} well`;
  const told = [[resting, "resting"], [down, "down"], [open, "cut off"]].filter(([n]) => n > 0).map(([n, what]) => `${count(n)} ${what}`);
  text(element, [words, ...told].join(", "));
  element.dataset.state = words === NONE ? "none" : bad > 0 && well === 0 ? "bad" : bad + resting > 0 ? "fair" : "well";
}

function actions(api, reload) {
  const name = key(api());
  const entries = h("a", { href: `#/entries?api=${encodeURIComponent(name)}`, "aria-label": `Entries of ${name}` }, "Entries");
  const clear = may("clear") && h("button", { type: "button", "aria-label": `Clear ${name}`, on: { click: () => clearApi(api(), reload) } }, "Clear");
  return h("div", { class: "row-actions" }, entries, clear);
}

async function clearApi(api, reload) {
  let cleared = null;
  const act = async () => ({ data: { invalidated: cleared } } = await call("DELETE", apiPath(api, "/cache")));
  const lines = [
    `${many(api.entries, "stored answer", "stored answers")} (${size(api.bytes)}) will not be used again. The next read of each goes to the origin.`,
    "Other APIs keep what they have.",
  ];
  if (!(await ask({ title: `Clear ${key(api)}?`, lines, yes: "Clear", danger: true, act }))) return;
  notice(cleared === null ? `${key(api)} is cleared.` : `${key(api)} is cleared: ${many(cleared, "entry", "entries")}.`);
  reload();
}

async function emptyCache(load) {
  let cleared = null;
  const act = async () => ({ data: { invalidated: cleared } } = await call("DELETE", "/v1/cache"));
  const lines = ["Everything that is stored, of every API, will not be used again. Until the cache has filled anew, all reads go to the origins."];
  if (!(await ask({ title: "Empty the whole cache?", lines, yes: "Empty cache", danger: true, typed: "empty the cache", act }))) return;
  notice(cleared === null ? "The cache is empty." : `The cache is empty: ${many(cleared, "entry", "entries")}.`);
  load(false);
}

/** The interval, to be edited where it stands. What somebody is writing is left alone when new numbers come. */
function intervalCell(api, reload) {
  const words = h("small", { class: "words" });
  if (!may("interval") || api().editable === false) {
    const plain = h("span", { class: "minutes" });
    const update = () => {
      text(plain, minutes(api().settings?.ttl) || NONE);
      text(words, intervalWords(api().settings?.ttl));
    };
    return { element: h("div", { class: "interval" }, plain, words), update };
  }
  const name = key(api());
  let before = "";
  const input = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", size: "6", placeholder: "none", "aria-label": `Cache interval of ${name} in minutes; 0 keeps until purged` });
  const wrong = h("span", { class: "fault", role: "alert" });
  const save = h("button", { type: "submit", class: "primary small", "aria-label": `Save the cache interval of ${name}` }, "Save");
  const back = h("button", { type: "button", class: "small", "aria-label": `Keep the cache interval of ${name} as it was`, on: { click: () => reset() } }, "Cancel");
  const buttons = h("span", { class: "edit-buttons", hidden: true }, save, back);
  const isDirty = () => input.value.trim() !== before;
  const changed = () => {
    const meant = interval(input.value);
    buttons.hidden = !isDirty();
    fill(wrong);
    input.toggleAttribute("aria-invalid", false);
    text(words, meant === undefined ? "minutes, or a duration such as 90s" : intervalWords(meant));
  };
  const update = () => {
    if (isDirty() || document.activeElement === input) return;
    before = minutes(api().settings?.ttl);
    input.value = before;
    text(words, intervalWords(api().settings?.ttl));
  };
  const reset = () => {
    input.value = before;
    changed();
    input.blur();
    update();
  };
  const refused = (error) => {
    input.setAttribute("aria-invalid", "true");
    if (error.status !== 412) return fill(wrong, reason(error));
    const again = h("button", { type: "button", class: "small", on: { click: () => (reset(), reload()) } }, "Load it");
    fill(wrong, "Somebody else has changed this API meanwhile. ", again);
  };
  const submit = async (event) => {
    event.preventDefault();
    const meant = interval(input.value);
    if (meant === undefined) return refused({ title: "Expected minutes such as 10 or 1.5, a duration such as 90s, or 0" });
    if (!isDirty()) return;
    save.disabled = true;
    try {
      const { data } = await call("PATCH", apiPath(api()), { body: { ttl: meant }, match: api().etag });
      before = minutes(data?.settings?.ttl ?? meant);
      input.value = before;
      changed();
      notice(`${name}: ${intervalWords(data?.settings?.ttl ?? meant)}.`);
      input.blur();
      reload();
    } catch (error) {
      refused(error);
    } finally {
      save.disabled = false;
    }
  };
  input.addEventListener("input", changed);
  input.addEventListener("keydown", (event) => event.key === "Escape" && reset());
  input.addEventListener("blur", () => isDirty() || update());
  return { element: h("form", { class: "interval", novalidate: true, on: { submit } }, h("span", { class: "edit" }, input, buttons), words, wrong), update };
}

function reason(error) {
  if (error.faults?.length > 0) return error.faults.map((fault) => fault.message).join("; ");
  return error.isMissing ? "Not available in this version of the gateway." : [error.title, error.detail].filter(Boolean).join(": ");
}
