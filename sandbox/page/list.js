// The message list: keyed, patched in place, and either stuck to the bottom or left exactly where the reader is.

import { byId, el, icon, morph } from "./dom.js";
import { gate, gated } from "./gate.js";
import { buildMessage, buildPending, continues, dayDivider } from "./message.js";
import { answeredIn, channel, messagesOf, state, uiOf } from "./state.js";
import { storyOf, welcome } from "./welcome.js";

const NEAR_BOTTOM_PX = 48;
const POINTED_AT_MS = 1600;

export class MessageList {
  constructor() {
    this.scroller = byId("scroller");
    this.holder = byId("messages");
    this.pill = byId("to-bottom");
    this.stuck = true;
    this.missed = 0;
    this.shownChannel = null;
    this.drawn = new Map(); // key → {node, signature}
    this.scheduled = false;
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.pill.addEventListener("click", () => this.toBottom());
    const watch = new ResizeObserver(() => this.#follow());
    watch.observe(this.holder);
    watch.observe(this.scroller);
  }

  /** Draws on the next frame; many events in one frame cost one pass. */
  refresh() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  draw() {
    if (!state.world || !channel()) return;
    if (this.shownChannel !== `${state.me.id}/${state.channelId}`) this.#begin();
    const wanted = this.#wanted();
    const keys = new Set(wanted.map((item) => item.key));
    for (const [key, { node }] of this.drawn) {
      if (!keys.has(key)) {
        // Whoever stood in it goes on in the list, not at the top of the page.
        if (node.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
        node.remove();
        this.drawn.delete(key);
      }
    }
    let cursor = this.holder.firstChild;
    for (const item of wanted) {
      const known = this.drawn.get(item.key);
      let node;
      if (!known) {
        node = item.build();
        this.drawn.set(item.key, { node, signature: item.signature });
      } else {
        node = known.node;
        if (!same(known.signature, item.signature)) {
          morph(node, item.build());
          known.signature = item.signature;
        }
      }
      if (node === cursor) cursor = cursor.nextSibling;
      else this.holder.insertBefore(node, cursor);
    }
    this.#follow();
  }

  #begin() {
    this.shownChannel = `${state.me.id}/${state.channelId}`;
    this.holder.replaceChildren();
    this.drawn.clear();
    this.stuck = true;
    this.missed = 0;
    this.#pill();
  }

  #wanted() {
    if (gated()) return [{ key: "gate", signature: [], build: () => gate(channel()) }];
    const messages = messagesOf(state.channelId);
    const pending = state.pending.filter((item) => item.channelId === state.channelId);
    const wanted = [];
    if (storyOf(channel()) || (!messages.length && !pending.length)) {
      wanted.push({ key: "welcome", signature: [state.world.commands, state.world.bot.online, channel()], build: () => welcome(channel()) });
    }
    let previous = null;
    for (const message of messages) {
      const before = previous;
      const divider = dayDivider(message, before);
      if (divider) wanted.push({ key: divider.dataset.key, signature: [], build: () => divider });
      const signature = [message, continues(message, before), uiOf(message.id).version, answeredIn(message)];
      wanted.push({ key: `msg:${message.id}`, signature, build: () => buildMessage(message, before) });
      previous = message;
    }
    for (const item of pending) wanted.push({ key: item.key, signature: [item.error], build: () => buildPending(item) });
    return wanted;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.stuck = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
    if (this.stuck) this.missed = 0;
    this.#pill();
  }

  #follow() {
    // A welcome alone is read from its head.
    const alone = this.drawn.size === 1 && this.drawn.has("welcome");
    if (this.stuck) this.scroller.scrollTop = alone ? 0 : this.scroller.scrollHeight;
  }

  /** Says that a message came while the reader was further up. */
  arrived() {
    if (this.stuck) return;
    this.missed += 1;
    this.#pill();
  }

  #pill() {
    this.pill.hidden = this.stuck;
    const text = this.missed ? `${this.missed} new ${this.missed === 1 ? "message" : "messages"}` : "To the newest";
    this.pill.replaceChildren(icon("down"), el("span", {}, text));
  }

  toBottom() {
    this.stuck = true;
    this.missed = 0;
    this.#pill();
    this.#follow();
  }

  /** Brings a message into view and marks it for a moment. */
  show(messageId) {
    const node = this.drawn.get(`msg:${messageId}`)?.node;
    if (!node) return;
    this.stuck = false;
    node.scrollIntoView({ block: "center" });
    node.classList.add("pointed-at");
    setTimeout(() => node.classList.remove("pointed-at"), POINTED_AT_MS);
  }

  /** What the reader did to a message changed: draw that message anew. */
  touch(messageId) {
    uiOf(messageId).version += 1;
    this.refresh();
  }
}

const same = (first, second) => first.length === second.length && first.every((item, index) => item === second[index]);
