// The configuration in force, without its secrets, and a way to read the file again.

import { call } from "../api.js";
import { ask, notice } from "../dialog.js";
import { failed, fill, h } from "../dom.js";
import { may } from "../state.js";

export const title = "Configuration";

export async function show(main, place, signal) {
  const found = h("p", { class: "found", role: "status" }, "What is in force, defaults included. Secrets are left out.");
  const report = h("div", { role: "status" });
  const list = h("div", {}, h("p", { class: "loading" }, "Loading…"));
  const reload = may("reload") && h("button", { type: "button", on: { click: () => readAgain(report, load) } }, "Read the file again");
  fill(main, h("div", { class: "heading" }, h("h1", {}, title), found, h("span", { class: "space" }), reload), report, list);
  const load = async () => {
    try {
      const { data } = await call("GET", "/v1/config", { signal });
      fill(list, Object.entries(data).map(section));
    } catch (error) {
      if (error.name !== "AbortError") fill(list, failed(error, load));
    }
  };
  await load();
}

function section([name, value]) {
  const all = Array.isArray(value) ? ` (${value.length})` : "";
  return h("details", { class: "card config" }, h("summary", {}, h("code", {}, `[${name}]`), all), h("pre", { tabindex: "0", "aria-label": name }, JSON.stringify(value, null, 2)));
}

async function readAgain(report, load) {
  let said = null;
  const lines = ["All of the file is taken over, or nothing of it when it has a fault. No connection is dropped."];
  fill(report);
  const act = async () => {
    try {
      ({ data: said } = await call("POST", "/v1/config/reload"));
    } catch (error) {
      if (error.faults.length > 0) fill(report, faults(error));
      throw error;
    }
  };
  if (!(await ask({ title: "Read the configuration file again?", lines, yes: "Read it", act }))) return;
  notice(said?.result === "unchanged" ? "The file says what is in force already." : `The configuration was read: ${said?.result ?? "done"}.`);
  fill(report, h("details", { class: "card config", open: true }, h("summary", {}, "What came of it"), h("pre", { tabindex: "0", "aria-label": "What came of it" }, JSON.stringify(said, null, 2))));
  load();
}

function faults(error) {
  const where = ({ file, line, column }) => [file, line, column].filter((part) => part !== undefined && part !== null).join(":");
  return h("div", { class: "failed" }, h("p", { class: "failed-title" }, error.title), h("ul", {}, error.faults.map((fault) => h("li", {}, [where(fault), fault.key, fault.message].filter(Boolean).join(": ")))));
}
