// What the gateway would do with a request, and why. Nothing is asked of an origin, nothing is stored or counted.

import { call } from "../api.js";
import { empty, failed, field, fill, h } from "../dom.js";
import { NONE, count, size, span, variants } from "../format.js";

export const title = "Why";

const METHODS = ["GET", "HEAD", "QUERY", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const DECISIONS = {
  hit: ["Answered from the cache", "well"],
  stale: ["Answered from the cache, stale", "fair"],
  validate: ["The origin is asked whether what is stored still holds", "fair"],
  miss: ["Fetched from the origin", "fair"],
  join: ["Waits for a question that is under way", "fair"],
  pass: ["Passed to the origin, past the cache", "fair"],
  write: ["Sent to the origin as a write", "fair"],
  refused: ["Refused", "bad"],
};

export function show(main, place, signal) {
  const text = (more) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...more });
  const fields = {
    method: field("Method", h("select", {}, METHODS.map((name) => h("option", { value: name, selected: name === place.query.get("method") }, name)))),
    url: field("URL", text({ placeholder: "/bookstore/v1/books/1", value: place.query.get("url") ?? "", required: true }), { hint: "A path with its query, or a whole URL.", wide: true }),
    address: field("Client’s address", text({ placeholder: "any" })),
    headers: field("Header fields", h("textarea", { rows: 2, spellcheck: "false", placeholder: "Accept: application/json" }), { hint: "One in a line. Name: value", wide: true }),
    user: field("Caller", text({ placeholder: "as the header fields say" }), { hint: "As whom, without their credentials." }),
    rights: field("Rights of the caller", text({ placeholder: "read, write" }), { hint: "Separated by commas." }),
  };
  const result = h("section", { class: "result", "aria-live": "polite", "aria-label": "Answer" });
  const submit = async (event) => {
    event?.preventDefault();
    const asked = read(fields);
    if (asked === null) return;
    try {
      const { data } = await call("POST", "/v1/explain", { body: asked, signal });
      fill(result, answer(data));
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(result, error.isMissing ? empty("Not available in this version of the gateway.") : failed(error));
    }
  };
  fill(
    main,
    h("div", { class: "heading" }, h("h1", {}, title), h("p", { class: "found" }, "What would happen to a request. Nothing is sent to an origin, nothing is stored.")),
    h("form", { class: "edit-form full", novalidate: true, on: { submit } }, h("div", { class: "fields ask-fields" }, Object.values(fields).map((one) => one.element)), h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Explain"))),
    result,
  );
  if (fields.url.control.value) submit();
}

/** The body of the call, or `null` after what is wrong has been said. */
function read(fields) {
  const written = (name) => fields[name].control.value.trim();
  for (const one of Object.values(fields)) one.say("");
  if (written("url") === "") {
    fields.url.say("Enter a path such as /bookstore/v1/books/1.");
    fields.url.control.focus();
    return null;
  }
  const lines = written("headers").split("\n").map((line) => line.trim()).filter(Boolean);
  const odd = lines.find((line) => !/^[^\s:]+:/.test(line));
  if (odd !== undefined) {
    fields.headers.say(`Expected “Name: value”, found “${odd}”.`);
    fields.headers.control.focus();
    return null;
  }
  const headers = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
  const rights = written("rights").split(",").map((one) => one.trim()).filter(Boolean);
  const asked = { method: fields.method.control.value, url: written("url"), headers };
  if (written("user") !== "") asked.caller = { user: written("user"), rights };
  if (written("address") !== "") asked.address = written("address");
  return asked;
}

function answer(data) {
  const { verdict } = data;
  const [words, state] = DECISIONS[verdict.decision] ?? [verdict.decision, "none"];
  return [
    h(
      "div",
      { class: "card verdict", "data-state": state },
      h("h2", {}, words, verdict.status && h("span", { class: "chip" }, verdict.status), verdict.reason && h("span", { class: "chip" }, verdict.reason)),
      h("p", {}, verdict.says),
      section(verdict.section),
    ),
    h("div", { class: "two" }, h("div", { class: "card" }, h("h2", {}, "Step by step"), h("ol", { class: "steps" }, data.steps.map(step))), h("div", {}, changes(data.changes), facts(data))),
    stored(data.stored),
  ];
}

const section = (name) => name && h("p", { class: "section" }, name);

function step({ step: name, says, section: where, config }) {
  return h("li", {}, h("strong", {}, name), h("span", {}, says), (where || config) && h("small", {}, [where, config].filter(Boolean).join(" · ")));
}

function changes(all = []) {
  if (all.length === 0) return null;
  return h("div", { class: "card" }, h("h2", {}, "What would change it"), h("ul", {}, all.map((one) => h("li", {}, one))));
}

function facts({ api, route, caller, key }) {
  const pairs = [
    ["API", api ?? "none"],
    ["Route", route ?? "none of its own"],
    ["Caller", [caller?.user ?? "nobody in particular", caller?.how].filter(Boolean).join("; ")],
    ["Partition", key?.partition ?? caller?.partition],
    ["Host", key?.host],
    ["Path", key?.path],
    ["Query", key?.query || null],
    ["Fields in the key", (key?.fields ?? []).map((one) => (typeof one === "string" ? one : Object.values(one).join(": "))).join(", ") || null],
  ];
  return h("div", { class: "card" }, h("h2", {}, "Under which key"), h("dl", { class: "facts" }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value ?? NONE)))));
}

function stored(all = []) {
  if (all.length === 0) return h("div", { class: "card" }, h("h2", {}, "What is stored"), h("p", { class: "muted" }, "Nothing under this key."));
  const head = ["State", "Status", "Age", "Fresh for", "Size", "Hits", "Differs by"].map((name) => h("th", { scope: "col" }, name));
  const row = (one) => [one.state, one.status, span(one.age), one.ttl === null ? "for ever" : one.ttl < 0 ? `over since ${span(one.ttl)}` : span(one.ttl), size(one.bytes), count(one.hits), variants(one.selection).join(", ") || NONE];
  const rows = all.map((one) => h("tr", {}, row(one).map((value) => h("td", {}, value))));
  return h("div", { class: "card" }, h("h2", {}, "What is stored"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What is stored" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
}
