// Building and patching DOM. Nothing in this page ever parses text as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** el("a", {class: "x", href, data: {key: 1}, vars: {"--accent": "#fff"}, on: {click}}, ...children) */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "data") {
      for (const [key, item] of Object.entries(value)) {
        if (item !== null && item !== undefined) node.dataset[key] = item;
      }
    } else if (name === "vars") {
      for (const [key, item] of Object.entries(value)) node.style.setProperty(key, item);
    } else if (name === "on") {
      for (const [key, item] of Object.entries(value)) node.addEventListener(key, item);
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  add(node, children);
  return node;
}

export function add(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(node, child);
    else node.append(child);
  }
  return node;
}

const ICONS = {
  hash: ["M9 4 7 20", "M17 4l-2 16", "M4.5 9h16", "M3.5 15h16"],
  lock: ["M7 11V8a5 5 0 0 1 10 0v3", "M5.5 11h13v9h-13z"],
  phone: ["M8 3h8a1.5 1.5 0 0 1 1.5 1.5v15A1.5 1.5 0 0 1 16 21H8a1.5 1.5 0 0 1-1.5-1.5v-15A1.5 1.5 0 0 1 8 3z", "M11 18h2"],
  dm: ["M4 6.5A1.5 1.5 0 0 1 5.5 5h13A1.5 1.5 0 0 1 20 6.5v8a1.5 1.5 0 0 1-1.5 1.5H11l-4.5 4v-4h-1A1.5 1.5 0 0 1 4 14.5z"],
  wrench: ["M14.6 6.4a4.3 4.3 0 0 1 5.3-.8l-2.9 2.9.4 2 2 .4 2.1-2.1a4.3 4.3 0 0 1-5.9 5L8.5 20.9a2 2 0 0 1-2.9-2.9l7.1-7.1a4.3 4.3 0 0 1 1.9-4.5z"],
  menu: ["M4 7h16", "M4 12h16", "M4 17h16"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  send: ["M4.5 12 20 4.5 15.5 20l-3.5-6z", "M12 14l8-9.5"],
  plus: ["M12 5v14", "M5 12h14"],
  more: ["M6 12h.01", "M12 12h.01", "M18 12h.01"],
  down: ["M6 9l6 6 6-6"],
  up: ["M6 15l6-6 6 6"],
  left: ["M15 5l-7 7 7 7"],
  right: ["M9 5l7 7-7 7"],
  external: ["M14 4h6v6", "M20 4l-9 9", "M19 14v5.5H4.5V5H10"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  file: ["M7 3h7l4 4v14H7z", "M14 3v4h4"],
  image: ["M4 5h16v14H4z", "M4 16l5-5 4 4 2.5-2.5L20 17", "M15.5 9h.01"],
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z", "M12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z"],
  alert: ["M12 4 2.5 20h19z", "M12 10v4.5", "M12 17.3h.01"],
  pen: ["M4 20l1-4.5L16.5 4 20 7.5 8.5 19z", "M14 6.5 17.5 10"],
  trash: ["M5 7h14", "M9 7V4h6v3", "M7 7l1 13h8l1-13"],
  copy: ["M9 9h11v11H9z", "M5 15H4V4h11v1"],
  reply: ["M10 6 4 12l6 6", "M4 12h9a7 7 0 0 1 7 7"],
  slash: ["M16 4 8 20"],
  bolt: ["M13 3 5 13.5h6L10 21l8-10.5h-6z"],
};

/** A line icon, hidden from assistive technology: its button carries the label. */
export function icon(name, className = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  for (const d of ICONS[name] ?? []) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** Make `from` equal to `to` while keeping every node that can stay: images keep their pixels, focus stays where it is. */
export function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  syncAttributes(from, to);
  morphChildren(from, [...to.childNodes]);
}

function syncAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (name === "style") {
      // Assigned through the CSSOM: a strict content policy forbids style attributes.
      if (from.style.cssText !== to.style.cssText) from.style.cssText = to.style.cssText;
    } else if (from.getAttribute(name) !== value && !(name === "src" && samePath(from.getAttribute(name), value))) {
      from.setAttribute(name, value);
    }
  }
}

/** Signed attachment addresses differ in their query only: the picture is the same. */
function samePath(first, second) {
  return Boolean(first) && first.split("?")[0] === second.split("?")[0];
}

function fits(existing, wanted) {
  return (
    existing.nodeType === wanted.nodeType &&
    existing.nodeName === wanted.nodeName &&
    existing.dataset?.key === wanted.dataset?.key &&
    existing.dataset?.kind === wanted.dataset?.kind
  );
}

export function morphChildren(parent, wanted) {
  const wantedKeys = new Set(wanted.map((node) => node.dataset?.key).filter(Boolean));
  const byKey = new Map();
  for (const child of parent.children) if (child.dataset.key) byKey.set(child.dataset.key, child);
  let cursor = parent.firstChild;
  for (const node of wanted) {
    const key = node.dataset?.key;
    const known = key ? byKey.get(key) : null;
    const match = known && fits(known, node) ? known : null;
    if (match || !key) {
      while (cursor && cursor !== match && !keep(cursor, node, match, wantedKeys)) cursor = drop(cursor);
    }
    if (match) {
      if (match === cursor) cursor = cursor.nextSibling;
      else parent.insertBefore(match, cursor);
      morph(match, node);
    } else if (!key && cursor && fits(cursor, node)) {
      const next = cursor.nextSibling;
      morph(cursor, node);
      cursor = next;
    } else {
      parent.insertBefore(node, cursor);
    }
  }
  while (cursor) cursor = drop(cursor);
}

function keep(existing, wanted, match, wantedKeys) {
  const key = existing.dataset?.key;
  if (key) return wantedKeys.has(key);
  return !match && fits(existing, wanted);
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

export const byId = (id) => document.getElementById(id);

/** Says something to screen readers, once they have finished what they are saying. */
export function announce(text) {
  byId("announce").textContent = text;
}

export function isNarrow() {
  return window.matchMedia("(max-width: 760px)").matches;
}

/** Colours arrive as integers (Discord) or as CSS text. */
export function cssColour(value, fallback = "") {
  if (typeof value === "number" && value > 0) return `#${value.toString(16).padStart(6, "0")}`;
  if (typeof value === "string" && /^#[0-9a-f]{3,8}$/i.test(value)) return value;
  return fallback;
}

/** An address that may be shown or followed, or null. Attachments always come from this page's own origin. */
export function safeUrl(value) {
  if (typeof value !== "string") return null;
  let url;
  try {
    url = new URL(value, location.href);
  } catch {
    return null;
  }
  if (url.pathname.startsWith("/attachments/")) return url.pathname + url.search;
  return ["http:", "https:", "blob:"].includes(url.protocol) || value.startsWith("data:image/") ? url.href : null;
}

export function fileSize(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(2)} MB`;
}
