// Begins: who is signed in, which page is meant, and what stands around it.

import { call, keepAlive, signedOut } from "./api.js";
import { notice } from "./dialog.js";
import { failed, fill, h } from "./dom.js";
import { may, session, signedIn } from "./state.js";
import * as apis from "./pages/apis.js";
import * as edit from "./pages/apis-edit.js";
import * as audit from "./pages/audit.js";
import * as config from "./pages/config.js";
import * as entries from "./pages/entries.js";
import * as live from "./pages/live.js";
import * as signin from "./pages/signin.js";
import * as why from "./pages/why.js";

const at = (id) => document.getElementById(id);

/** By the first part of the address behind `#/`. A page is `{ title, show(main, place, signal) }`. */
const PAGES = { apis, live, entries, why, audit, config };
const NAMES = { apis: "APIs", live: "Live", entries: "Entries", why: "Why", audit: "Audit", config: "Configuration" };

/** Ends what the page before has begun. */
let leave = new AbortController();

/** `#/entries?api=a%2Fv1` is `{ page: "entries", rest: [], query }`. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/").map(decoded);
  return { page: Object.hasOwn(PAGES, page) ? page : "apis", rest: Object.hasOwn(PAGES, page) ? rest : [], query: new URLSearchParams(query ?? "") };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function show() {
  leave.abort();
  leave = new AbortController();
  const where = place();
  const page = session === null ? signin : where.page === "apis" && where.rest.length > 0 ? edit : PAGES[where.page];
  frame(where);
  const main = at("main");
  fill(main);
  const title = typeof page.title === "function" ? page.title(where) : page.title;
  document.title = `${title} · Freshgate`;
  if (page === signin) signin.show(main, begin);
  else page.show(main, where, leave.signal);
  scrollTo(0, 0);
}

/** The bar on top: pages, who is signed in, the way out. */
function frame(where) {
  at("top").hidden = session === null;
  document.body.classList.toggle("signed-out", session === null);
  if (session === null) return;
  const link = (page) => h("a", { href: `#/${page}`, "aria-current": page === where.page ? "page" : null }, NAMES[page]);
  fill(at("nav"), Object.keys(PAGES).filter((page) => page !== "audit" || may("audit")).map(link));
  at("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  fill(
    at("who"),
    h("span", { class: "role", title: `Signed in with the token ${session.name}` }, session.name, h("small", {}, session.role)),
    themeButton(),
    session.csrf && h("button", { type: "button", class: "quiet", on: { click: signOut } }, "Sign out"),
  );
}

function themeButton() {
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const words = () => (dark() ? "Light" : "Dark");
  const flip = () => {
    const next = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("freshgate-theme", next);
    } catch {
      // It holds until the page is left.
    }
    button.textContent = words();
    button.setAttribute("aria-label", `${words()} colours`);
    dispatchEvent(new Event("theme"));
  };
  const button = h("button", { type: "button", class: "quiet", "aria-label": `${words()} colours`, on: { click: flip } }, words());
  return button;
}

function begin(who) {
  signedIn(who);
  show();
  at("main").focus();
}

async function signOut() {
  try {
    await call("DELETE", "/session");
  } catch (error) {
    if (error.status !== 401) return notice(`Signing out failed. ${error.title}`, "wrong");
  }
  signedIn(null);
  show();
}

signedOut.addEventListener("over", () => {
  if (session === null) return;
  signedIn(null);
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  show();
  notice("The session is over. Sign in again to go on where you were.", "wrong");
});

addEventListener("hashchange", () => {
  show();
  if (session !== null) at("main").focus();
});
at("skip").addEventListener("click", () => at("main").focus());
keepAlive();

async function start() {
  try {
    const { data } = await call("GET", "/session");
    signedIn(data);
  } catch (error) {
    if (error.status !== 401) return fill(at("main"), failed(error, start));
  }
  show();
}

start();
