// The list over the composer: commands, choices, what autocomplete answered. It belongs to one control at a time.

import { announce, byId, el } from "./dom.js";

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
    this.title = el("div", { class: "suggest-title", "aria-hidden": "true" });
    this.list = el("div", { id: "suggest", role: "listbox", "aria-label": "Suggestions" });
    this.empty = el("div", { class: "suggest-empty" });
    this.node = el("div", { class: "suggest", hidden: true, data: { testid: "suggestions" } }, this.title, this.list, this.empty);
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
    this.title.textContent = title;
    this.list.replaceChildren(
      ...items.map((item, index) => el("div", { class: "suggest-item", role: "option", id: `suggest-${index}`, data: { index, testid: item.testid, value: item.value } }, item.node)),
    );
    this.list.hidden = !items.length;
    this.empty.hidden = items.length > 0;
    this.empty.textContent = items.length ? "" : empty;
    announce(items.length ? `${items.length} ${items.length === 1 ? "suggestion" : "suggestions"} for ${title}` : empty);
    this.#makeRoom();
    this.node.hidden = false;
    this.node.scrollTop = 0;
    this.#expanded(true);
    this.#mark();
  }

  close() {
    this.#expanded(false);
    this.#control()?.removeAttribute?.("aria-activedescendant");
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

  /** A text of several lines cannot be a combobox; it only says which suggestion is the current one. */
  #expanded(open) {
    const control = this.#control();
    if (control?.getAttribute?.("role") === "combobox") control.setAttribute("aria-expanded", String(open));
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
