// Makes elements. Text is only ever text: nothing here, or anywhere in the panel, makes HTML out of it.

/**
 * An element. `props` are attributes; `on` holds listeners by event; `false`, `null` and `undefined` leave an attribute out.
 * Children are nodes, texts, numbers, or lists of them.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts these children in the place of what is there. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Sets the text, and touches nothing when it is the same, so that what a reader has marked stays marked. */
export function text(element, value) {
  const wanted = String(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

let last = 0;

/** An id that nothing else has. */
export function id(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

/** A labelled control with a hint and a place for what is wrong with it. `control` gets the id. */
export function field(label, control, { hint, wide } = {}) {
  control.id ||= id("field");
  const [hintId, faultId] = [`${control.id}-hint`, `${control.id}-fault`];
  const fault = h("p", { class: "fault", id: faultId });
  control.setAttribute("aria-describedby", hint ? `${hintId} ${faultId}` : faultId);
  const element = h(
    "div",
    { class: wide ? "field wide" : "field" },
    h("label", { for: control.id }, label),
    control,
    hint && h("p", { class: "hint", id: hintId }, hint),
    fault,
  );
  const say = (message) => {
    text(fault, message ?? "");
    if (message) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  return { element, control, say };
}

/** A table in a box of its own that scrolls, so that the page never does sideways. It says that it is one, since a style that draws rows as cards takes that away. */
export function table(caption, columns, rows) {
  const head = columns.map((column) => h("th", { scope: "col", role: "columnheader", class: column.class }, column.name));
  const body = h("tbody", { role: "rowgroup" }, rows);
  const whole = h("table", { role: "table" }, h("caption", { class: "hidden" }, caption), h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), body);
  return { element: h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, whole), body };
}

/** What is shown where there is nothing: that, and what to do. */
export function empty(title, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), more.map((line) => h("p", {}, line)));
}

/** Something that went wrong, with a way to try again. */
export function failed(error, again) {
  return h(
    "div",
    { class: "failed", role: "alert" },
    h("p", { class: "failed-title" }, error.title),
    error.detail && h("p", {}, error.detail),
    again && h("button", { type: "button", on: { click: again } }, "Try again"),
  );
}
