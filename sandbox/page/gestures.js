// Clicks, keys, right clicks and long presses on messages.

import { hasLayer } from "./layers.js";
import { messageById } from "./state.js";

const LONG_PRESS_MS = 480;
const MOVED_PX = 10;

export function messageAt(node) {
  const article = node.closest("[data-message-id]");
  return article ? messageById(article.dataset.messageId) : null;
}

/** `handlers`: act(name, node) for [data-action]; messageMenu(message, where) and userMenu(userId, where). */
export function listenToMessages(holder, scroller, handlers) {
  let pressedLong = false;
  const openMenuFor = (target, where) => {
    const user = target.closest("[data-action=user-menu]");
    if (user) handlers.userMenu(user.dataset.userId, where);
    else handlers.messageMenu(messageAt(target), where);
  };
  holder.addEventListener("click", (event) => {
    if (pressedLong) {
      pressedLong = false;
      event.preventDefault();
      return;
    }
    const node = event.target.closest("[data-action]");
    if (node && !node.disabled) handlers.act(node.dataset.action, node);
  });
  holder.addEventListener("keydown", (event) => {
    const node = event.target.closest("[data-action][role=button]");
    if (!node || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    node.click();
  });
  holder.addEventListener("contextmenu", (event) => {
    if (event.target.closest("a[href]") || String(getSelection())) return;
    if (!messageAt(event.target)) return;
    event.preventDefault();
    if (!hasLayer()) openMenuFor(event.target, { point: { x: event.clientX, y: event.clientY } });
  });
  holder.addEventListener("error", (event) => event.target.tagName === "IMG" && event.target.closest(".tile")?.classList.add("unloaded"), true);
  listenForLongPress(holder, scroller, {
    began: () => (pressedLong = false),
    held: (target, point) => {
      if (!messageAt(target) || hasLayer()) return;
      pressedLong = true;
      openMenuFor(target, { point });
    },
  });
}

/** Calls `began` at each touch, and `held(target, {x, y})` once a finger has rested for a while. */
function listenForLongPress(holder, scroller, { began, held }) {
  let timer = null;
  let origin = null;
  const stop = () => clearTimeout(timer);
  holder.addEventListener("pointerdown", (event) => {
    began();
    if (event.pointerType !== "touch") return;
    origin = { x: event.clientX, y: event.clientY };
    const target = event.target;
    stop();
    timer = setTimeout(() => held(target, origin), LONG_PRESS_MS);
  });
  holder.addEventListener("pointermove", (event) => {
    if (origin && Math.hypot(event.clientX - origin.x, event.clientY - origin.y) > MOVED_PX) stop();
  });
  for (const name of ["pointerup", "pointercancel"]) holder.addEventListener(name, stop);
  scroller.addEventListener("scroll", stop, { passive: true });
}
