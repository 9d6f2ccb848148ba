// The wrench: make Discord, fal.ai and the bot misbehave, and watch the bot's own log.

import { byId, el, icon, isNarrow } from "./dom.js";
import { toast } from "./layers.js";
import { state } from "./state.js";

const MAX_LINES = 500;
/** What most people come for; the rest is folded away. */
const MAIN = new Set(["nsfw", "content_policy", "fal_slow", "fal_down", "balance_exhausted", "rate_limit", "gateway_drop", "bot_restart"]);

export class DevTools {
  constructor() {
    this.node = byId("devtools");
    this.toggle = byId("open-devtools");
    this.toggle.append(icon("wrench"));
    this.list = el("div", { class: "faults" });
    this.rest = el("div", { class: "faults" });
    this.restBox = el("details", { class: "fold", data: { testid: "more-faults" } }, el("summary", {}, "More ways to fail", icon("down")), this.rest);
    this.log = el("pre", { class: "log", tabindex: 0, "aria-label": "Log of the bot", data: { testid: "log" } });
    this.logBox = el("details", { class: "fold", data: { testid: "log-box" } }, el("summary", {}, "Log of the bot", icon("down")), this.log);
    this.node.append(
      el("header", { class: "devtools-head" }, icon("wrench"), el("h2", {}, "Make trouble"), el("button", { class: "icon-button", type: "button", "aria-label": "Close", data: { testid: "devtools-close" }, on: { click: () => this.show(false) } }, icon("close"))),
      el("p", { class: "devtools-about" }, "See how the bot behaves when things go wrong. Nothing here leaves this computer."),
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
    document.body.classList.toggle("devtools-open", open);
    this.toggle.setAttribute("aria-expanded", String(open));
    byId("scrim").hidden = !(open && isNarrow());
    byId("stage").inert = open && isNarrow();
    if (open) this.node.querySelector(".icon-button").focus({ preventScroll: true });
    else this.toggle.focus({ preventScroll: true });
  }

  draw(faults) {
    this.faults = faults ?? [];
    const known = this.faults.some((item) => MAIN.has(item.name));
    const rest = this.faults.filter((item) => known && !MAIN.has(item.name));
    const offered = JSON.stringify(this.faults.map((item) => ({ ...item, value: null })));
    // Otherwise the rows stay: somebody may just be pressing one of them.
    if (offered !== this.offered) {
      this.offered = offered;
      this.rows = new Map(this.faults.map((item) => [item.name, this.#row(item)]));
      this.list.replaceChildren(...this.faults.filter((item) => !rest.includes(item)).map((item) => this.rows.get(item.name).node));
      this.rest.replaceChildren(...rest.map((item) => this.rows.get(item.name).node));
      this.restBox.hidden = !rest.length;
    }
    for (const item of this.faults) this.rows.get(item.name).show(item.value);
    const on = (item) => item.kind !== "action" && Boolean(item.value);
    if (rest.some(on)) this.restBox.open = true;
    const active = this.faults.some(on);
    this.toggle.classList.toggle("active", active);
    this.toggle.title = active ? "Make trouble (something is switched on)" : "Make trouble";
  }

  /** What stands for a fault, and how its value is shown there. */
  #row(item) {
    const id = `fault-${item.name}`;
    const text = el("span", { class: "fault-text" }, el("span", { class: "fault-label" }, item.label ?? item.name), el("span", { class: "fault-about" }, item.about ?? ""));
    if (item.kind === "switch") {
      const isOn = () => node.getAttribute("aria-checked") === "true";
      const node = el("button", { class: "fault", type: "button", role: "switch", data: { testid: id }, on: { click: () => this.#set(item, !isOn()) } }, text, el("span", { class: "switch", "aria-hidden": "true" }));
      return { node, show: (value) => node.setAttribute("aria-checked", String(Boolean(value))) };
    }
    if (item.kind === "action") {
      const node = el("div", { class: "fault" }, text, el("button", { class: "button secondary", type: "button", "aria-label": `Do it: ${item.label ?? item.name}`, data: { testid: id }, on: { click: () => this.#set(item, true) } }, "Do it"));
      return { node, show: () => {} };
    }
    const input = el("input", { class: "number", type: "number", id, min: item.min, max: item.max, step: item.step ?? "any", inputmode: "decimal", "aria-label": item.label ?? item.name, data: { testid: id } });
    input.addEventListener("change", () => this.#set(item, Number(input.value)));
    return { node: el("label", { class: "fault", for: id }, text, input), show: (value) => (input.value = value ?? 0) };
  }

  async #set(item, value) {
    try {
      const answer = await state.session.fault(item.name, value);
      if (answer.faults) this.draw(answer.faults);
      if (item.kind === "action") toast(`${item.label ?? item.name}: done`);
    } catch (error) {
      toast(error.message, "bad");
      this.draw(this.faults);
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
