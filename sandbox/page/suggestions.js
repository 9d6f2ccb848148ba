// The list over the composer: commands, choices, what autocomplete answered. It belongs to one control at a time.

import { byId, el } from "./dom.js";

const ENOUGH_ROOM_PX = 230;
const LEAST_ROOM_PX = 120;

export class Suggestions {
  /** The control or field that the list belongs to while it is open. */
  owner = null;
  #items = [];
  #active = -1;

  /** `closed` is called after each time the list was closed. */
  constructor(form, closed) {
    this.form = form;
    this.closed = closed;
    this.node = el("div", { class: "suggest", id: "suggest", role: "listbox", "aria-label": "Suggestions", hidden: true, data: { testid: "suggestions" } });
    this.node.addEventListener("pointerdown", (event) => event.preventDefault()); // keep the focus in the field
    this.node.addEventListener("click", (event) => {
      const item = event.target.closest("[data-index]");
      if (item) this.#pick(Number(item.dataset.index));
    });
  }

  /** items: {testid, value, node, pick()}; `empty` is said when there are none. */
  show(items, { owner, title, empty, active }) {
    this.#items = items;
    this.owner = owner;
    this.#active = items.length ? Math.min(active, items.length - 1) : -1;
    this.node.replaceChildren(
      el("div", { class: "suggest-title", "aria-hidden": "true" }, title),
      ...(items.length
        ? items.map((item, index) => el("div", { class: "suggest-item", role: "option", id: `suggest-${index}`, data: { index, testid: item.testid, value: item.value } }, item.node))
        : [el("div", { class: "suggest-empty", role: "status" }, empty)]),
    );
    this.#makeRoom();
    this.node.hidden = false;
    this.node.scrollTop = 0;
    this.#control()?.setAttribute("aria-expanded", "true");
    this.#mark();
  }

  close() {
    const control = this.#control();
    control?.setAttribute?.("aria-expanded", "false");
    control?.removeAttribute?.("aria-activedescendant");
    this.node.hidden = true;
    this.form.classList.remove("cramped");
    this.#items = [];
    this.owner = null;
    this.#active = -1;
    this.closed();
  }

  /** Keys that belong to the open list. True when the key was used up. */
  key(event, { swallowEnter }) {
    if (this.node.hidden) return false;
    const count = this.#items.length;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (steps[event.key] && count) {
      const from = this.#active === -1 && event.key === "ArrowUp" ? 0 : this.#active;
      this.#active = (from + steps[event.key] + count) % count;
      this.#mark();
    } else if ((event.key === "Enter" || event.key === "Tab") && this.#active !== -1 && !event.shiftKey) {
      this.#pick(this.#active);
    } else if (event.key === "Enter" && swallowEnter) {
      // A command that does not exist is not sent as a message by accident.
    } else if (event.key === "Escape") {
      this.close();
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  #pick(index) {
    this.#items[index]?.pick();
  }

  /** Where a keyboard leaves little, only the field being written stays beside its list. */
  #makeRoom() {
    const room = () => this.form.getBoundingClientRect().top - byId("chat").getBoundingClientRect().top - 8;
    if (room() < ENOUGH_ROOM_PX) this.form.classList.add("cramped");
    this.node.style.setProperty("--room", `${Math.round(Math.max(LEAST_ROOM_PX, room()))}px`);
  }

  #control() {
    return this.owner?.control ?? this.owner ?? null;
  }

  #mark() {
    const control = this.#control();
    for (const node of this.node.querySelectorAll(".suggest-item")) {
      const on = Number(node.dataset.index) === this.#active;
      node.setAttribute("aria-selected", String(on));
      if (on) {
        node.scrollIntoView({ block: "nearest" });
        control?.setAttribute("aria-activedescendant", node.id);
      }
    }
    if (this.#active === -1) control?.removeAttribute("aria-activedescendant");
  }
}
