// What stands before an age-restricted channel until one has agreed, once a person and as long as the page is open.

import { el, icon } from "./dom.js";
import { channel, state } from "./state.js";

const agreed = new Set();
const keyOf = (id) => `${state.me?.id}/${id}`;

export const gated = (id = state.channelId) => Boolean(channel(id)?.nsfw) && !agreed.has(keyOf(id));

export function agree(id = state.channelId) {
  agreed.add(keyOf(id));
}

export function gate(here) {
  return el(
    "section",
    { class: "gate", "aria-label": `#${here.name} is age-restricted`, data: { testid: "gate", key: "gate" } },
    icon("alert"),
    el("h2", {}, "Age-restricted channel"),
    el("p", {}, `#${here.name} may show what is for adults only. Go on only if you want to see it.`),
    el(
      "div",
      { class: "gate-buttons" },
      el("button", { class: "button secondary", type: "button", data: { action: "gate-back", testid: "gate-back" } }, "Back"),
      el("button", { class: "button danger", type: "button", data: { action: "gate-continue", testid: "gate-continue" } }, "Continue"),
    ),
  );
}
