// What Discord would have refused. Loud on purpose, and it stays until somebody has read it; but what somebody switched on
// under "Make trouble" is only counted, in one line.

import { byId, el, icon } from "./dom.js";

const MAX_SHOWN = 5;

export class Refusals {
  constructor() {
    this.node = byId("refusals");
    this.provoked = 0;
    this.note = null;
  }

  add(event) {
    if (event.provoked) {
      this.#count();
      return;
    }
    const panel = el(
      "section",
      { class: "refused", "aria-label": "Discord would refuse this", data: { testid: "refused-panel" } },
      el(
        "header",
        {},
        icon("alert"),
        el("strong", {}, "Discord would refuse this"),
        el("span", { class: "refused-status", data: { testid: "refused-code" } }, [event.status && `HTTP ${event.status}`, event.code !== undefined && event.code !== null && `code ${event.code}`].filter(Boolean).join(" · ")),
        el("button", { class: "icon-button", type: "button", "aria-label": "Dismiss", data: { testid: "refused-dismiss" }, on: { click: () => this.#drop(panel) } }, icon("close")),
      ),
      el("code", { class: "refused-request" }, `${event.method ?? ""} ${event.path ?? ""}`.trim()),
      event.message ? el("p", {}, event.message) : null,
      errorList(event.errors),
      sent(event),
    );
    this.node.prepend(panel);
    const loud = this.node.querySelectorAll(".refused");
    for (const old of [...loud].slice(MAX_SHOWN)) old.remove();
  }

  /** One line, and one only, for all that was refused by a trouble that is switched on. */
  #count() {
    this.provoked += 1;
    const times = this.provoked === 1 ? "once" : `${this.provoked} times`;
    const text = `Refused ${times} by the trouble that you switched on.`;
    if (this.note) {
      this.note.querySelector("span").textContent = text;
      return;
    }
    const dismiss = () => {
      this.note.remove();
      this.note = null;
      this.provoked = 0;
    };
    this.note = el(
      "p",
      { class: "provoked", "aria-live": "off", data: { testid: "provoked-note" } },
      el("span", {}, text),
      el("button", { class: "icon-button", type: "button", "aria-label": "Dismiss", data: { testid: "provoked-dismiss" }, on: { click: dismiss } }, icon("close")),
    );
    this.node.append(this.note);
  }

  #drop(panel) {
    panel.remove();
  }
}

/** Discord nests its errors by field; each leaf becomes "embeds.0.title: message". */
function flatten(errors, path, found) {
  if (!errors || typeof errors !== "object") return found;
  for (const item of errors._errors ?? []) found.push([path.join("."), item.message ?? item.code ?? String(item)]);
  for (const [key, inner] of Object.entries(errors)) if (key !== "_errors") flatten(inner, [...path, key], found);
  return found;
}

function errorList(errors) {
  const found = Array.isArray(errors) ? errors.map((item) => ["", typeof item === "string" ? item : JSON.stringify(item)]) : flatten(errors, [], []);
  if (!found.length) return null;
  return el("ul", { class: "refused-errors" }, found.map(([path, text]) => el("li", {}, path ? el("code", {}, path) : null, path ? " " : null, text)));
}

function sent(event) {
  const payload = event.payload ?? event.body ?? event.sent;
  if (payload === undefined || payload === null) return null;
  const text = typeof payload === "string" ? payload : JSON.stringify(payload, null, 2);
  return el("details", {}, el("summary", {}, "What the bot sent"), el("pre", {}, text.slice(0, 20_000)));
}
