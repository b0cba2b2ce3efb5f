// The way in.

import { call } from "../api.js";
import { field, fill, h, text } from "../dom.js";

export const title = "Sign in";

export function show(main, begin) {
  const token = field("Token", h("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: "false" }), {
    hint: "A secret of [[admin.tokens]] in the gateway's configuration. It is sent to this gateway, and isn't kept by the browser.",
  });
  const go = h("button", { type: "submit", class: "primary" }, "Sign in");
  const said = h("p", { class: "hidden", role: "alert" });
  const wrong = (message) => {
    token.say(message);
    text(said, message);
  };
  const submit = async (event) => {
    event.preventDefault();
    wrong("");
    if (token.control.value.trim() === "") return wrong("Enter a token.");
    go.disabled = true;
    try {
      const { data } = await call("POST", "/session", { body: { token: token.control.value.trim() } });
      begin(data);
    } catch (error) {
      go.disabled = false;
      wrong(error.status === 401 ? "That is not a token of this gateway." : `${error.title}. ${error.detail}`);
      token.control.focus();
      token.control.select();
    }
  };
  fill(
    main,
    h(
      "form",
      { class: "signin", novalidate: true, on: { submit } },
      h("h1", {}, h("img", { src: "/panel/icon.svg", alt: "", width: "28", height: "28" }), "Freshgate"),
      h("p", { class: "lead" }, "Sign in to see and change what this gateway caches."),
      h("input", { type: "text", autocomplete: "username", value: "freshgate", hidden: true, "aria-hidden": "true", tabindex: "-1" }),
      token.element,
      go,
      said,
    ),
  );
  token.control.focus();
}
