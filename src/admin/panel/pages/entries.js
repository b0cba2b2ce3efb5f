// What is stored: where, for whom, how old, how big. Never what it says.

import { allApis, call } from "../api.js";
import { ask, notice } from "../dialog.js";
import { empty, failed, field, fill, h, table, text } from "../dom.js";
import { count, many, size, span, variants } from "../format.js";
import { may } from "../state.js";

export const title = "Entries";

const LIMIT = 100;

const COLUMNS = [
  { name: "Answer to" },
  { name: "Kept for" },
  { name: "State" },
  { name: "Age", class: "number" },
  { name: "Fresh for", class: "number" },
  { name: "Size", class: "number" },
  { name: "Hits", class: "number" },
  { name: "Actions", class: "actions" },
];

export function show(main, place, signal) {
  const asked = Object.fromEntries(["api", "prefix", "tag"].map((name) => [name, place.query.get(name) ?? ""]));
  const api = h("select", {}, h("option", { value: "" }, "Every API"));
  const fields = [
    ["api", field("API", api)],
    ["prefix", field("Path begins with", h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "/bookstore/v1/books", value: asked.prefix }))],
    ["tag", field("Tag", h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: asked.tag }))],
  ];
  const submit = (event) => {
    event.preventDefault();
    const query = new URLSearchParams(fields.map(([name, { control }]) => [name, control.value.trim()]).filter(([, value]) => value !== ""));
    const next = `#/entries${query.size > 0 ? `?${query}` : ""}`;
    if (location.hash === next) dispatchEvent(new Event("hashchange"));
    else location.hash = next;
  };
  const found = h("p", { class: "found", role: "status" }, "Loading…");
  const list = h("div", {});
  fill(
    main,
    h("div", { class: "heading" }, h("h1", {}, title), found),
    h("form", { class: "search", role: "search", on: { submit } }, fields.map(([, one]) => one.element), h("button", { type: "submit", class: "primary" }, "Search")),
    list,
  );
  choices(api, asked.api, signal);
  results(list, found, asked, signal);
}

/** The APIs to choose from. The one that the address names is there in any case. */
async function choices(select, chosen, signal) {
  const option = (name) => h("option", { value: name, selected: name === chosen }, name);
  if (chosen) select.append(option(chosen));
  try {
    const names = (await allApis({ signal })).map((api) => `${api.name}/${api.version}`);
    select.append(...names.filter((name) => name !== chosen).map(option));
  } catch {
    // One can search without.
  }
}

async function results(list, found, asked, signal) {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== ""));
  query.set("limit", LIMIT);
  const { element, body } = table("Stored answers", COLUMNS, []);
  element.classList.add("cards");
  const next = h("button", { type: "button", hidden: true }, `Next ${LIMIT}`);
  const page = async (cursor) => {
    if (cursor) query.set("cursor", cursor);
    next.disabled = true;
    try {
      const { data } = await call("GET", `/v1/entries?${query}`, { signal });
      const made = data.entries.map((entry) => row(entry, found));
      body.append(...made);
      if (cursor) made[0]?.querySelector("a, button")?.focus();
      const shown = body.childElementCount;
      next.hidden = !data.cursor;
      next.onclick = () => page(data.cursor);
      text(found, data.cursor ? `${count(shown)} shown, and there are more` : many(shown, "entry", "entries"));
      if (shown === 0) return fill(list, nothing(asked));
      if (!element.isConnected) fill(list, element, h("p", { class: "more" }, next));
    } catch (error) {
      if (error.name === "AbortError") return;
      text(found, "");
      if (error.isMissing) fill(list, empty("Not available in this version of the gateway."));
      else if (cursor) notice(`${error.title}. ${error.detail}`, "wrong");
      else fill(list, failed(error, () => results(list, found, asked, signal)));
    } finally {
      next.disabled = false;
    }
  };
  await page(null);
}

function nothing(asked) {
  const isNarrow = Object.values(asked).some((value) => value !== "");
  return isNarrow ? empty("Nothing that is stored fits.", "Try a shorter path, or every API.") : empty("Nothing is stored yet.", "Send a request through the gateway, then look again. “Why” tells whether it would be kept.");
}

const STATES = { fresh: "well", stale: "fair", outdated: "bad", invalidated: "bad" };

function row(entry, found) {
  const target = `${entry.path}${entry.query ? `?${entry.query}` : ""}`;
  const variant = variants(entry.selection).map((words) => h("span", { class: "chip" }, words));
  const fresh = entry.ttl === null ? "for ever" : entry.ttl < 0 ? `over since ${span(entry.ttl)}` : span(entry.ttl);
  const cell = (label, content, kind) => h("td", { role: "cell", class: kind, "data-label": label }, content);
  const why = h("a", { href: `#/why?method=GET&url=${encodeURIComponent(entry.host ? `http://${entry.host}${target}` : target)}`, "aria-label": `Why is ${target} kept?` }, "Why");
  const purge = may("purge") && h("button", { type: "button", "aria-label": `Purge ${target}`, on: { click: () => purgeOne(entry, target, element, found) } }, "Purge");
  const element = h(
    "tr",
    { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, h("code", { class: "path" }, target), h("small", {}, [entry.api, entry.host].filter(Boolean).join(" · ")), variant),
    cell("Kept for", entry.partition ?? "everyone"),
    cell("State", h("span", { class: "health", "data-state": STATES[entry.state] ?? "none" }, `${entry.state}, ${entry.status}`)),
    cell("Age", span(entry.age), "number"),
    cell("Fresh for", fresh, "number"),
    cell("Size", size(entry.bytes), "number"),
    cell("Hits", count(entry.hits), "number"),
    h("td", { role: "cell", class: "actions" }, h("div", { class: "row-actions" }, why, purge)),
  );
  return element;
}

async function purgeOne(entry, target, element) {
  const body = { path: target, ...(entry.host ? { host: entry.host } : {}) };
  const act = () => call("POST", "/v1/purge", { body });
  const lines = ["Every variant of it, for every caller, will not be used again. The next read goes to the origin."];
  if (!(await ask({ title: `Purge ${target}?`, lines, yes: "Purge", danger: true, act }))) return;
  notice(`${target} is purged.`);
  const next = element.nextElementSibling?.querySelector("button");
  element.remove();
  (next ?? document.getElementById("main")).focus();
}
