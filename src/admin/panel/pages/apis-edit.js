// One API: registered, changed, removed. What is said of a field stands at the field.

import { apiPath, call } from "../api.js";
import { ask, notice } from "../dialog.js";
import { empty, failed, field, fill, h, text } from "../dom.js";
import { interval, intervalWords, minutes } from "../format.js";
import { may } from "../state.js";

const isNew = (place) => place.rest[0] === "new" && place.rest.length === 1;

export function title(place) {
  return isNew(place) ? "Register an API" : `${place.rest.join("/")} · APIs`;
}

/** Keys that have a field of their own; the others are written as JSON. */
const OWN = ["name", "version", "path", "host", "upstream", "ttl", "grace", "keep_on_error", "key", "auth"];

export async function show(main, place, signal) {
  if (!may("edit")) return fill(main, back(), h("h1", {}, title(place)), empty("Only administrators register and change APIs."));
  if (isNew(place)) return form(main, null);
  const named = { name: place.rest[0], version: place.rest[1] ?? "" };
  fill(main, h("p", { class: "loading" }, "Loading…"));
  try {
    const { data, etag } = await call("GET", apiPath(named), { signal });
    form(main, { ...data, etag });
  } catch (error) {
    if (error.name !== "AbortError") fill(main, back(), h("h1", {}, title(place)), failed(error, () => show(main, place, signal)));
  }
}

const back = () => h("a", { class: "back", href: "#/apis" }, "← All APIs");

/** The controls of all fields, filled from the settings of `api`, or empty. */
function fieldsOf(api) {
  const settings = api?.settings ?? {};
  const input = (value, more = {}) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: value ?? "", ...more });
  const area = (value, rows) => h("textarea", { rows, spellcheck: "false", value });
  const rest = Object.fromEntries(Object.entries(settings).filter(([name]) => !OWN.includes(name)));
  const words = h("span", {}, intervalWords(settings.ttl));
  const fields = {
    ...(api ? {} : { name: field("Name", input(""), { hint: "1 to 64 letters, digits, - _ ." }), version: field("Version", input("v1")) }),
    path: field("Path", input(settings.path, { placeholder: "/bookstore/v1" }), { hint: "The public prefix; the longest that fits wins." }),
    host: field("Host", input(settings.host, { placeholder: "any" }), { hint: "Only requests to this host. Empty: any." }),
    upstream: field("Upstreams", area(upstreams(settings.upstream), 2), { hint: "One URL in a line; a line may be a JSON table with url and weight.", wide: true }),
    ttl: field("Cache interval (minutes)", input(minutes(settings.ttl), { inputmode: "decimal", placeholder: "none" }), { hint: words }),
    grace: field("Grace", input(settings.grace ?? "0s"), { hint: "How long a stale answer may be given while a new one is fetched." }),
    keep_on_error: field("Keep on error", input(settings.keep_on_error ?? "0s"), { hint: "How long a stale answer may be given when the origin fails." }),
    share: field("Who shares answers", input(settings.key?.share ?? "user", { list: "shares" }), { hint: "user, everyone, assume-public, or claim:NAME" }),
    auth: field("Authentication (JSON)", area(pretty(settings.auth ?? { kind: "none" }), 4), { hint: "The table [api.auth] of the file. Secrets are not shown.", wide: true }),
    rest: field("Everything else (JSON)", area(pretty(api ? rest : {}), api ? 14 : 4), { hint: "All other keys of [[api]], as in the file; docs are in config/complete.toml.", wide: true }),
  };
  fields.ttl.control.addEventListener("input", () => {
    const meant = interval(fields.ttl.control.value);
    text(words, meant === undefined ? "minutes, or a duration such as 90s" : intervalWords(meant));
  });
  return fields;
}

const pretty = (value) => JSON.stringify(value, null, 2);

function upstreams(all = []) {
  const line = (one) => (typeof one === "string" ? one : one.weight === 1 && Object.keys(one).every((name) => name === "url" || name === "weight") ? one.url : JSON.stringify(one));
  return all.map(line).join("\n");
}

/** What the fields say, in the terms of the file; says at the fields what can't be understood, and gives `null` then. */
function read(fields, api) {
  const values = {};
  let isWrong = false;
  const wrong = (name, message) => {
    fields[name].say(message);
    isWrong = true;
  };
  const json = (name, written) => {
    try {
      const value = JSON.parse(written);
      if (value === null || typeof value !== "object" || Array.isArray(value)) throw new SyntaxError("expected an object in braces");
      return value;
    } catch (error) {
      return wrong(name, `Not JSON: ${error.message}`);
    }
  };
  const written = (name) => fields[name].control.value.trim();
  values.path = written("path") || null;
  values.host = written("host") || null;
  values.upstream = written("upstream").split("\n").map((line) => line.trim()).filter(Boolean).map((line) => (line.startsWith("{") ? json("upstream", line) : line));
  values.ttl = interval(written("ttl"));
  if (values.ttl === undefined) wrong("ttl", "Expected minutes such as 10 or 1.5, a duration such as 90s, or 0.");
  values.grace = written("grace") || null;
  values.keep_on_error = written("keep_on_error") || null;
  values.share = written("share") || null;
  values.auth = json("auth", written("auth") || "{}");
  values.rest = json("rest", written("rest") || "{}");
  for (const name of OWN) if (values.rest && name in values.rest) wrong("rest", `\`${name}\` has a field of its own`);
  if (!api) for (const name of ["name", "version"]) if (written(name) === "") wrong(name, "Needed.");
  if (!values.path) wrong("path", "Needed.");
  if (values.upstream.length === 0) wrong("upstream", "At least one is needed.");
  return isWrong ? null : values;
}

/** Every key of a new API; what is as it would be anyway is left out. */
function whole({ rest, share, auth, ...plain }) {
  const body = { ...rest };
  for (const [name, value] of Object.entries(plain)) if (value !== null && value !== "0s") body[name] = value;
  if (share !== "user" && share !== null) body.key = { share };
  if (auth.kind !== "none" || Object.keys(auth).length > 1) body.auth = auth;
  return body;
}

/** What differs between two readings of the fields, as a merge patch (RFC 7396). */
function patch(before, after) {
  const differs = (one, other) => JSON.stringify(one) !== JSON.stringify(other);
  const body = {};
  for (const name of ["path", "host", "upstream", "ttl", "grace", "keep_on_error"]) if (differs(before[name], after[name])) body[name] = after[name];
  if (differs(before.share, after.share)) body.key = { share: after.share };
  if (differs(before.auth, after.auth)) body.auth = merged(before.auth, after.auth);
  for (const name of new Set([...Object.keys(before.rest), ...Object.keys(after.rest)])) {
    if (differs(before.rest[name], after.rest[name])) body[name] = merged(before.rest[name], after.rest[name]);
  }
  return body;
}

/** Tables are merged, so what was taken out of one must be named. */
function merged(before, after) {
  const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (after === undefined) return null;
  if (!isTable(before) || !isTable(after)) return after;
  const same = (name) => JSON.stringify(before[name]) === JSON.stringify(after[name]);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => !same(name));
  return Object.fromEntries(names.map((name) => [name, merged(before[name], after[name])]));
}

function form(main, api) {
  const fields = fieldsOf(api);
  const before = api && read(fields, api);
  const summary = h("div", { role: "alert", class: "summary" });
  const save = h("button", { type: "submit", class: "primary" }, api ? "Save" : "Register");
  const submit = async (event) => {
    event.preventDefault();
    fill(summary);
    for (const one of Object.values(fields)) one.say("");
    const values = read(fields, api);
    if (values === null) return firstWrong(fields, summary);
    const body = api ? patch(before, values) : whole(values);
    if (api && Object.keys(body).length === 0) return fill(summary, h("p", {}, "Nothing was changed."));
    const named = api ?? { name: fields.name.control.value.trim(), version: fields.version.control.value.trim() };
    save.disabled = true;
    try {
      await call(api ? "PATCH" : "PUT", apiPath(named), api ? { body, match: api.etag } : { body, unless: "*" });
      notice(`${named.name}/${named.version} is ${api ? "changed" : "registered"}.`);
      location.hash = "#/apis";
    } catch (error) {
      refused(error, fields, summary, api, () => location.reload());
    } finally {
      save.disabled = false;
    }
  };
  const shares = h("datalist", { id: "shares" }, ["user", "everyone", "assume-public"].map((value) => h("option", { value })));
  const remove = api && h("button", { type: "button", class: "danger", on: { click: () => removeApi(api) } }, "Remove this API");
  fill(
    main,
    back(),
    h("h1", {}, api ? `${api.name}/${api.version}` : "Register an API"),
    api?.editable === false && h("p", { class: "remark" }, "This API can't be changed here: the gateway has no configuration file that it can write."),
    h(
      "form",
      { class: "edit-form", novalidate: true, on: { submit } },
      summary,
      h("div", { class: "fields" }, Object.values(fields).map((one) => one.element)),
      shares,
      h("div", { class: "buttons" }, remove, h("span", { class: "space" }), h("a", { class: "button", href: "#/apis" }, "Cancel"), save),
    ),
  );
}

function firstWrong(fields, summary) {
  fill(summary, h("p", {}, "Something is not right yet; see below."));
  Object.values(fields).find((one) => one.control.hasAttribute("aria-invalid"))?.control.focus();
}

/** Puts each fault at the field that it is about. */
function refused(error, fields, summary, api) {
  if (error.status === 412) {
    const again = h("button", { type: "button", on: { click: () => dispatchEvent(new Event("hashchange")) } }, "Load it as it is now");
    const words = api ? "Somebody else has changed this API since you opened it. Nothing was saved." : "There is an API with this name and version already.";
    return fill(summary, h("p", {}, words), api && again);
  }
  const stray = [];
  for (const { key, message } of error.faults) {
    const first = String(key ?? "").split(/[.[]/)[0];
    const name = first === "key" && key === "key.share" ? "share" : first in fields ? first : "rest";
    if (key) fields[name].say(name === "rest" ? `${key}: ${message}` : message);
    else stray.push(message);
  }
  const title = error.isMissing ? "Not available in this version of the gateway" : error.title;
  const detail = error.faults.length > 0 && stray.length === 0 ? "See the fields below." : [error.detail, ...stray].filter(Boolean).join(" ");
  fill(summary, h("p", {}, h("strong", {}, title), detail && `: ${detail}`));
  Object.values(fields).find((one) => one.control.hasAttribute("aria-invalid"))?.control.focus();
}

async function removeApi(api) {
  const name = `${api.name}/${api.version}`;
  const act = () => call("DELETE", apiPath(api), { match: api.etag });
  const lines = [`Requests to ${api.settings?.path ?? "its path"} will get 404, what is stored for it is dropped, and its [[api]] is taken out of the configuration file.`];
  if (!(await ask({ title: `Remove ${name}?`, lines, yes: "Remove", danger: true, typed: name, act }))) return;
  notice(`${name} is removed.`);
  location.hash = "#/apis";
}
