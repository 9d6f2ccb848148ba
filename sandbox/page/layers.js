// Everything that floats: dialogs, menus, sheets. One stack, focus kept inside, Escape closes the topmost.

import { add, byId, el, icon } from "./dom.js";

const stack = [];

export function layerHost() {
  return document.body.classList.contains("framed") ? byId("chat-layers") : byId("layers");
}

/**
 * Opens `node` above everything else. Returns a function that closes it. `onClose` runs once, however it is closed.
 * `canClose` may veto Escape and the backdrop.
 */
export function openLayer(node, { onClose, canClose = () => true, className = "", focus = null } = {}) {
  const backdrop = el("div", { class: `layer ${className}` }, node);
  const before = document.activeElement;
  const inerted = [];
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    backdrop.remove();
    for (const item of inerted) item.inert = false;
    stack.splice(stack.indexOf(entry), 1);
    onClose?.();
    if (before?.isConnected && (document.activeElement === document.body || !document.activeElement)) {
      before.focus({ preventScroll: true });
    }
  };
  const entry = { close, canClose, backdrop };
  stack.push(entry);
  backdrop.addEventListener("pointerdown", (event) => {
    if (event.target === backdrop && canClose()) {
      event.preventDefault();
      close();
    }
  });
  backdrop.addEventListener("contextmenu", (event) => {
    if (event.target === backdrop) event.preventDefault();
  });
  layerHost().append(backdrop);
  for (let level = backdrop; level !== document.body && level.parentElement; level = level.parentElement) {
    for (const sibling of level.parentElement.children) {
      if (sibling === level || sibling.inert || "stays" in sibling.dataset || ["SCRIPT", "NOSCRIPT"].includes(sibling.tagName)) continue;
      sibling.inert = true;
      inerted.push(sibling);
    }
  }
  const target = focus ?? node.querySelector("[autofocus], input, textarea, button, [tabindex='0']") ?? node;
  target.focus({ preventScroll: true });
  return close;
}

document.addEventListener("keydown", (event) => {
  const top = stack.at(-1);
  if (!top || event.defaultPrevented) return;
  if (event.key === "Escape") {
    event.preventDefault();
    if (top.canClose()) top.close();
  } else if (event.key === "Tab") {
    keepFocus(event, top.backdrop);
  }
});

function keepFocus(event, root) {
  const items = [...root.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")].filter(
    (item) => !item.disabled && item.offsetParent !== null,
  );
  if (!items.length) {
    event.preventDefault();
    return;
  }
  const edge = event.shiftKey ? items[0] : items.at(-1);
  if (document.activeElement === edge || !root.contains(document.activeElement)) {
    event.preventDefault();
    (event.shiftKey ? items.at(-1) : items[0]).focus();
  }
}

export const hasLayer = () => stack.length > 0;

/**
 * A menu at `anchor` (element) or `point` ({x, y}); a sheet from below where there is little room.
 * items: {label, about?, icon?, node?, danger?, disabled?, checked?, testid?, pick()} or {heading} or {rule: true}
 */
export function openMenu({ anchor = null, point = null, title, items, testid = "menu", role = "menu", wide = false }) {
  const menu = el("div", { class: wide ? "menu wide" : "menu", role, "aria-label": title, data: { testid }, tabindex: -1 });
  if (title) menu.append(el("div", { class: "menu-title", "aria-hidden": "true" }, title));
  let close = () => {};
  for (const item of items) {
    if (item.heading) menu.append(el("div", { class: "menu-heading" }, item.heading));
    else if (item.rule) menu.append(el("div", { class: "menu-rule", role: "separator" }));
    else menu.append(menuItem(item, role, () => close()));
  }
  menu.addEventListener("keydown", (event) => walkMenu(event, menu));
  close = openLayer(menu, { className: "layer-menu", focus: menu.querySelector("[aria-checked=true], [aria-selected=true], .menu-item:not([disabled])") ?? menu });
  placeMenu(menu, anchor, point);
  if (role === "listbox") menu.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  return close;
}

function menuItem(item, role, close) {
  const option = role === "listbox";
  const checked = item.checked === undefined ? null : String(item.checked);
  const kind = option ? "option" : item.checked === undefined ? "menuitem" : "menuitemradio";
  return el(
    "button",
    {
      class: item.danger ? "menu-item danger" : "menu-item",
      type: "button",
      role: kind,
      disabled: item.disabled,
      "aria-checked": option ? null : checked,
      "aria-selected": option ? (checked ?? "false") : null,
      data: { testid: item.testid ?? "menu-item", value: item.value },
      on: {
        click: () => {
          close();
          item.pick?.();
        },
      },
    },
    item.node ?? (item.icon ? icon(item.icon) : null),
    el("span", { class: "menu-text" }, el("span", { class: "menu-label" }, item.label), item.about ? el("span", { class: "menu-about" }, item.about) : null),
    item.checked ? icon("check", "icon menu-check") : null,
  );
}

/** Arrow keys, Home and End in a list of .menu-item. */
export function walkMenu(event, menu) {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  const all = [...menu.querySelectorAll(".menu-item:not([disabled])")];
  if (!all.length) return;
  let at = all.indexOf(document.activeElement);
  if (steps[event.key]) at = (at + steps[event.key] + all.length) % all.length;
  else if (event.key === "Home") at = 0;
  else if (event.key === "End") at = all.length - 1;
  else return;
  event.preventDefault();
  all[at].focus();
}

export function placeMenu(menu, anchor, point) {
  const host = layerHost().getBoundingClientRect();
  const bounds = layerHost().id === "layers" ? new DOMRect(0, 0, innerWidth, innerHeight) : host;
  if (bounds.width <= 560) {
    menu.classList.add("sheet");
    menu.parentElement.classList.add("dim");
    return;
  }
  const at = anchor?.getBoundingClientRect();
  if (["listbox", "dialog"].includes(menu.getAttribute("role")) && at) menu.style.setProperty("width", `${Math.max(264, at.width)}px`);
  const size = menu.getBoundingClientRect();
  let left = (at ? at.left : point.x) - bounds.left;
  let top = (at ? at.bottom + 6 : point.y) - bounds.top;
  if (at && top + size.height > bounds.height - 8) top = at.top - bounds.top - size.height - 6;
  left = Math.max(8, Math.min(left, bounds.width - size.width - 8));
  top = Math.max(8, Math.min(top, bounds.height - size.height - 8));
  menu.style.setProperty("left", `${left}px`);
  menu.style.setProperty("top", `${top}px`);
}

/** A short line at the bottom that goes by itself. */
export function toast(text, kind = "") {
  const node = add(el("div", { class: `toast ${kind}`, role: "status", data: { testid: "toast" } }), [text]);
  byId("toasts").append(node);
  setTimeout(() => node.remove(), 4500);
}
