// The wrench: make Discord, fal.ai and the bot misbehave, and watch the bot's own log.

import { byId, el, icon, isNarrow } from "./dom.js";
import { toast } from "./layers.js";
import { state } from "./state.js";

const MAX_LINES = 500;
/** What most people come for; the rest is folded away. */
const MAIN = new Set(["nsfw", "content_policy", "fal_slow", "fal_down", "balance_exhausted", "rate_limit", "gateway_drop", "bot_restart"]);

export class Drawer {
  constructor() {
    this.node = byId("drawer");
    this.toggle = byId("open-drawer");
    this.toggle.append(icon("wrench"));
    this.list = el("div", { class: "troubles" });
    this.rest = el("div", { class: "troubles" });
    this.restBox = el("details", { class: "fold", data: { testid: "more-troubles" } }, el("summary", {}, "More ways to fail", icon("down")), this.rest);
    this.log = el("pre", { class: "log", tabindex: 0, "aria-label": "Log of the bot", data: { testid: "log" } });
    this.logBox = el("details", { class: "fold", data: { testid: "log-box" } }, el("summary", {}, "Log of the bot", icon("down")), this.log);
    this.node.append(
      el("header", { class: "drawer-head" }, icon("wrench"), el("h2", {}, "Make trouble"), el("button", { class: "icon-button", type: "button", "aria-label": "Close", data: { testid: "drawer-close" }, on: { click: () => this.show(false) } }, icon("close"))),
      el("p", { class: "drawer-about" }, "See how the bot behaves when things go wrong. Nothing here leaves this computer."),
      this.list,
      this.restBox,
      this.logBox,
    );
    this.lines = [];
    this.logBox.addEventListener("toggle", () => (this.log.scrollTop = this.log.scrollHeight));
    this.toggle.addEventListener("click", () => this.show(this.node.hidden));
    this.node.addEventListener("keydown", (event) => event.key === "Escape" && this.show(false));
  }

  show(open) {
    this.node.hidden = !open;
    document.body.classList.toggle("drawer-open", open);
    this.toggle.setAttribute("aria-expanded", String(open));
    byId("scrim").hidden = !(open && isNarrow());
    byId("stage").inert = open && isNarrow();
    if (open) this.node.querySelector(".icon-button").focus({ preventScroll: true });
    else this.toggle.focus({ preventScroll: true });
  }

  draw(troubles) {
    this.troubles = troubles ?? [];
    const known = this.troubles.some((item) => MAIN.has(item.name));
    const rest = this.troubles.filter((item) => known && !MAIN.has(item.name));
    const offered = JSON.stringify(this.troubles.map((item) => ({ ...item, value: null })));
    // Otherwise the rows stay: somebody may just be pressing one of them.
    if (offered !== this.offered) {
      this.offered = offered;
      this.rows = new Map(this.troubles.map((item) => [item.name, this.#row(item)]));
      this.list.replaceChildren(...this.troubles.filter((item) => !rest.includes(item)).map((item) => this.rows.get(item.name).node));
      this.rest.replaceChildren(...rest.map((item) => this.rows.get(item.name).node));
      this.restBox.hidden = !rest.length;
    }
    for (const item of this.troubles) this.rows.get(item.name).show(item.value);
    const on = (item) => item.kind !== "action" && Boolean(item.value);
    if (rest.some(on)) this.restBox.open = true;
    const active = this.troubles.some(on);
    this.toggle.classList.toggle("active", active);
    this.toggle.title = active ? "Make trouble (something is switched on)" : "Make trouble";
  }

  /** What stands for a trouble, and how its value is shown there. */
  #row(item) {
    const id = `trouble-${item.name}`;
    const text = el("span", { class: "trouble-text" }, el("span", { class: "trouble-label" }, item.label ?? item.name), el("span", { class: "trouble-about" }, item.about ?? ""));
    if (item.kind === "switch") {
      const isOn = () => node.getAttribute("aria-checked") === "true";
      const node = el("button", { class: "trouble", type: "button", role: "switch", data: { testid: id }, on: { click: () => this.#set(item, !isOn()) } }, text, el("span", { class: "switch", "aria-hidden": "true" }));
      return { node, show: (value) => node.setAttribute("aria-checked", String(Boolean(value))) };
    }
    if (item.kind === "action") {
      const node = el("div", { class: "trouble" }, text, el("button", { class: "button secondary", type: "button", "aria-label": item.label ?? item.name, data: { testid: id }, on: { click: () => this.#set(item, true) } }, "Do it"));
      return { node, show: () => {} };
    }
    const input = el("input", { class: "number", type: "number", id, min: item.min, max: item.max, step: item.step ?? "any", inputmode: "decimal", "aria-label": item.label ?? item.name, data: { testid: id } });
    input.addEventListener("change", () => this.#set(item, Number(input.value)));
    return { node: el("label", { class: "trouble", for: id }, text, input), show: (value) => (input.value = value ?? 0) };
  }

  async #set(item, value) {
    try {
      const answer = await state.session.trouble(item.name, value);
      if (answer.troubles) this.draw(answer.troubles);
      if (item.kind === "action") toast(`${item.label ?? item.name}: done`);
    } catch (error) {
      toast(error.message, "bad");
      this.draw(this.troubles);
    }
  }

  setLog(lines) {
    this.lines = lines.slice(-MAX_LINES);
    this.log.replaceChildren(...this.lines.map((line) => this.#line(line)));
  }

  line(text) {
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 30;
    this.log.append(this.#line(text));
    while (this.log.childElementCount > MAX_LINES) this.log.firstChild.remove();
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #line(text) {
    const kind = /\b(ERROR|CRITICAL)\b/.test(text) ? "bad" : /\bWARNING\b/.test(text) ? "warn" : null;
    return el("span", { class: kind }, `${text}\n`);
  }
}
