// Who did what, newest first.

import { call } from "../api.js";
import { empty, failed, fill, h, table, text } from "../dom.js";
import { count, many, when } from "../format.js";
import { may } from "../state.js";

export const title = "Audit";

const LIMIT = 100;

const COLUMNS = [{ name: "Time" }, { name: "Who" }, { name: "Did" }, { name: "To" }, { name: "Result" }, { name: "From" }, { name: "Details" }];

export function show(main, _place, signal) {
  if (!may("audit")) return fill(main, h("h1", {}, title), empty("Only administrators read the audit."));
  const search = h("input", { type: "search", "aria-label": "Filter by any word", placeholder: "Filter by any word" });
  const found = h("p", { class: "found", role: "status" }, "Loading…");
  const list = h("div", {});
  fill(main, h("div", { class: "heading" }, h("h1", {}, title), search, found), list);
  records(list, search, found, signal);
}

async function records(list, search, found, signal) {
  const { element, body } = table("Audit", COLUMNS, []);
  element.classList.add("cards");
  const next = h("button", { type: "button", hidden: true }, "Older");
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    const rows = [...body.children];
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = rows.filter((row) => !row.hidden).length;
    text(found, wanted === "" ? many(rows.length, "record", "records") : `${count(shown)} of ${many(rows.length, "record", "records")}`);
  };
  const page = async (cursor) => {
    next.disabled = true;
    try {
      const { data } = await call("GET", `/v1/audit?limit=${LIMIT}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, { signal });
      body.append(...data.records.map(row));
      next.hidden = !data.cursor;
      next.onclick = () => page(data.cursor);
      if (body.childElementCount === 0) return fill(list, empty("Nothing has been changed or purged yet.", "Sign-ins, purges, changes and reloads are listed here."));
      if (!element.isConnected) fill(list, element, h("p", { class: "more" }, next));
      filter();
    } catch (error) {
      if (error.name === "AbortError") return;
      text(found, "");
      fill(list, error.isMissing ? empty("Not available in this version of the gateway.") : failed(error, () => records(list, search, found, signal)));
    } finally {
      next.disabled = false;
    }
  };
  search.addEventListener("input", filter);
  await page(null);
}

function row({ time, actor, role, peer, action, target, result, details }) {
  const cell = (label, ...content) => h("td", { role: "cell", "data-label": label }, h("span", {}, content));
  const more = Object.entries(details ?? {}).map(([name, value]) => h("span", { class: "chip" }, `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`));
  return h(
    "tr",
    { role: "row" },
    h("th", { scope: "row", role: "rowheader", class: "time" }, h("time", { datetime: time }, when(time))),
    cell("Who", actor ?? "–", role && h("small", {}, role)),
    cell("Did", action),
    cell("To", target ?? "–"),
    cell("Result", h("span", { class: "health", "data-state": result === "done" ? "well" : "bad" }, result ?? "–")),
    cell("From", peer ?? "–"),
    cell("Details", more.length > 0 ? more : "–"),
  );
}
