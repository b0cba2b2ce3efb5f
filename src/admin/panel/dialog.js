// Questions before what can't be undone, and notices after what was done. Escape and the button beside say no.

import { field, h, id, text } from "./dom.js";

/**
 * Asks. Resolves to whether the answer is yes. `typed`: a word that must be written first. `act` is done when the answer is yes,
 * while the dialog waits; what it throws is shown there, and one can try again.
 */
export function ask({ title, lines, yes, danger, typed, act }) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: id("dialog") }, title);
    const wrong = h("p", { class: "fault", role: "alert" });
    const go = h("button", { type: "submit", class: danger ? "danger" : "primary", disabled: Boolean(typed) }, yes);
    const no = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
    const word = typed && field(`Type “${typed}” to go on`, h("input", { type: "text", autocomplete: "off", spellcheck: "false" }));
    word?.control.addEventListener("input", () => (go.disabled = word.control.value.trim() !== typed));
    let answer = false;
    const submit = async (event) => {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = no.disabled = true;
      try {
        await act();
        answer = true;
        dialog.close();
      } catch (error) {
        text(wrong, [error.title, error.detail].filter(Boolean).join(": "));
        go.disabled = no.disabled = false;
      }
    };
    const form = h("form", { method: "dialog", on: { submit } }, heading, lines.map((line) => h("p", {}, line)), word?.element, wrong, h("div", { class: "buttons" }, no, go));
    const dialog = h("dialog", { "aria-labelledby": heading.id }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (word?.control ?? no).focus();
  });
}

/** Says what was done, for a while, also to those who only listen. */
export function notice(message, kind = "done") {
  const element = h("p", { class: `notice ${kind}` }, message, h("button", { type: "button", "aria-label": "Dismiss", on: { click: () => element.remove() } }, "×"));
  const all = document.getElementById("notices");
  all.append(element);
  while (all.childElementCount > 3) all.firstElementChild.remove();
  setTimeout(() => element.remove(), kind === "done" ? 8_000 : 20_000);
}
