// Discord's message components and attachments → DOM. Pure: everything clickable carries data-action, handled in main.js.

import { cssColour, el, fileSize, icon, safeUrl } from "./dom.js";
import { markdown } from "./markdown.js";

const BUTTON_STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link", 6: "premium" };
const SELECTS = new Set([3, 5, 6, 7, 8]);
const SELECT_PLACEHOLDERS = { 3: "Make a selection", 5: "Select a user", 6: "Select a role", 7: "Select a mention", 8: "Select a channel" };

/** context: message, ui {revealed, busy}, md(prefix) → markdown context */
export function components(list, context, prefix = "c") {
  return (list ?? []).map((item, index) => component(item, context, `${prefix}${index}`));
}

function component(item, context, path) {
  switch (item.type) {
    case 1:
      return el("div", { class: "row", data: { kind: "row" } }, components(item.components, context, `${path}.`));
    case 2:
      return button(item, context);
    case 9:
      return section(item, context, path);
    case 10:
      return text(item.content, context, path);
    case 11:
      return thumbnail(item, context, path);
    case 12:
      return gallery(item.items ?? [], context, path);
    case 13:
      return fileComponent(item, context, path);
    case 14:
      return el("hr", { class: `rule ${item.spacing === 2 ? "large" : ""} ${item.divider === false ? "bare" : ""}`, data: { kind: "rule" } });
    case 17:
      return container(item, context, path);
    default:
      if (SELECTS.has(item.type)) return select(item, context);
      return el("div", { class: "note" }, `(a component of type ${item.type}, which this page does not draw)`);
  }
}

function text(content, context, path) {
  return el("div", { class: "md", data: { kind: "text" } }, markdown(content, context.md(path)));
}

function container(item, context, path) {
  const accent = cssColour(item.accent_color);
  const node = el(
    "div",
    { class: "container", vars: accent ? { "--accent-bar": accent } : {}, data: { kind: "container", testid: "container" } },
    components(item.components, context, `${path}.`),
  );
  if (accent) node.classList.add("accented");
  return item.spoiler ? veiled(node, context, path, "container-veil") : node;
}

function section(item, context, path) {
  return el(
    "div",
    { class: "section", data: { kind: "section" } },
    el("div", { class: "section-text" }, components(item.components, context, `${path}.`)),
    item.accessory ? el("div", { class: "section-side" }, component(item.accessory, context, `${path}.a`)) : null,
  );
}

function button(item, context) {
  const style = BUTTON_STYLES[item.style] ?? "secondary";
  const label = [emoji(item.emoji), item.label ? el("span", {}, item.label) : null];
  if (style === "link") {
    const href = safeUrl(item.url);
    return el(
      "a",
      { class: "button secondary", href, target: "_blank", rel: "noopener noreferrer", data: { kind: "link", testid: "button", label: item.label } },
      label,
      icon("external"),
    );
  }
  const busy = context.ui.busy.has(item.custom_id);
  return el(
    "button",
    {
      class: `button ${style}${busy ? " busy" : ""}`,
      type: "button",
      disabled: item.disabled,
      "aria-busy": busy ? "true" : null,
      "aria-label": item.label ? null : (item.emoji?.name ?? "button"),
      data: { key: `b:${item.custom_id ?? item.sku_id}`, action: "press", customId: item.custom_id, testid: "button", label: item.label },
    },
    label,
  );
}

export function emoji(value) {
  if (!value) return null;
  return el("span", { class: "emoji", "aria-hidden": "true" }, value.id ? `:${value.name}:` : value.name);
}

function select(item, context) {
  const chosen = (item.options ?? []).filter((option) => option.default);
  const busy = context.ui.busy.has(item.custom_id);
  const shown = chosen.map((option) => option.label).join(", ");
  return el(
    "button",
    {
      class: `select${busy ? " busy" : ""}`,
      type: "button",
      disabled: item.disabled,
      "aria-haspopup": "listbox",
      "aria-label": `${item.placeholder ?? SELECT_PLACEHOLDERS[item.type]}${shown ? `: ${shown}` : ""}`,
      data: { key: `s:${item.custom_id}`, action: "select", customId: item.custom_id, testid: "select" },
    },
    el("span", { class: shown ? "select-text" : "select-text muted" }, shown || item.placeholder || SELECT_PLACEHOLDERS[item.type]),
    icon("down"),
  );
}

// Pictures ----------------------------------------------------------------------------------------------------

/** The message's attachment behind a component's media, which may lack its size. */
function attachmentOf(media, context) {
  const list = context.message.attachments ?? [];
  if (media.attachment_id) {
    const found = list.find((item) => item.id === media.attachment_id);
    if (found) return found;
  }
  const path = (media.url ?? "").split("?")[0];
  if (path.startsWith("attachment://")) return list.find((item) => item.filename === path.slice(13));
  return list.find((item) => item.url?.split("?")[0] === path);
}

/** One picture's facts: address, size, alt text, whether it is veiled. */
function pictureOf(media, description, spoiler, context) {
  const attachment = attachmentOf(media, context);
  const type = media.content_type ?? attachment?.content_type ?? "";
  const name = attachment?.filename ?? nameIn(media.url).split("/").at(-1);
  return {
    url: safeUrl(attachment?.url ?? media.url),
    shown: isShown(type, name) || isVideo({ type }),
    width: media.width ?? attachment?.width ?? null,
    height: media.height ?? attachment?.height ?? null,
    type,
    name,
    alt: description ?? attachment?.description ?? "",
    spoiler: Boolean(spoiler),
  };
}

/** Every picture of a message in reading order, for the lightbox. */
export function picturesOf(message) {
  const context = { message };
  const found = [];
  const walk = (list) => {
    for (const item of list ?? []) {
      if (item.type === 12) for (const entry of item.items) found.push(pictureOf(entry.media, entry.description, entry.spoiler, context));
      else if (item.type === 11) found.push(pictureOf(item.media, item.description, item.spoiler, context));
      if (item.accessory) walk([item.accessory]);
      walk(item.components);
    }
  };
  walk(message.components);
  if (!usesComponents(message)) {
    for (const item of message.attachments ?? []) if (isPicture(item)) found.push(fromAttachment(item, context));
    for (const item of message.embeds ?? []) {
      if (item.image) found.push(pictureOf(item.image, item.image.description ?? item.title, false, context));
    }
  }
  return found.filter((picture) => picture.url && picture.shown && !isVideo(picture));
}

export const usesComponents = (message) => Boolean(message.flags & 32768);

/** What Discord's client decodes; it shows every other file as a file, and in a gallery as a tile without a picture. */
const SHOWN_TYPES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
const SHOWN_NAMES = /\.(png|jpe?g|gif|webp|avif)$/i;
const nameIn = (url) => (url ?? "").split(/[?#]/)[0];
const isShown = (type, name) => (type ? SHOWN_TYPES.has(type.split(";")[0]) : SHOWN_NAMES.test(name ?? ""));
const isPicture = (attachment) => isShown(attachment.content_type, attachment.filename);
const isVideo = (picture) => /^video\/(mp4|webm|quicktime)$/.test(picture.type);

function fromAttachment(item, context) {
  return pictureOf({ ...item, attachment_id: item.id }, item.description, item.filename.startsWith("SPOILER_") || item.flags & 8, context);
}

export function gallery(items, context, path) {
  const pictures = items.map((item) => pictureOf(item.media, item.description, item.spoiler, context));
  return grid(pictures, context, path);
}

function grid(pictures, context, path) {
  return el(
    "div",
    { class: `gallery n${Math.min(10, pictures.length)}`, data: { kind: "gallery", testid: "gallery" } },
    pictures.map((picture, index) => tile(picture, context, `${path}g${index}`, pictures.length === 1)),
  );
}

function tile(picture, context, path, alone) {
  const key = `m:${(picture.url ?? path).split("?")[0]}`;
  const hidden = picture.spoiler && !context.ui.revealed.has(key);
  const vars = alone && picture.width && picture.height ? { "--w": picture.width, "--h": picture.height } : {};
  const node = el("div", { class: `tile${hidden ? " veiled" : ""}`, vars, data: { key, kind: "tile" } });
  if (!picture.url || !picture.shown) {
    node.append(el("div", { class: "broken", role: "img", "aria-label": "A file that Discord cannot show as a picture", data: { testid: "broken" } }, icon("image"), el("span", { "aria-hidden": "true" }, "Not shown by Discord")));
    return node;
  }
  if (isVideo(picture)) {
    node.append(el("video", { src: picture.url, controls: true, preload: "metadata" }));
    return node;
  }
  const image = el("img", {
    loading: "lazy", // before src: nodes that are built only to be compared must not fetch anything
    src: picture.url,
    alt: picture.alt,
    width: picture.width,
    height: picture.height,
    decoding: "async",
    draggable: "false",
    data: { testid: "picture" },
  });
  node.append(
    el(
      "button",
      {
        class: "tile-open",
        type: "button",
        "aria-label": hidden ? "Spoiler: press to reveal the picture" : `Open picture${picture.alt ? `: ${picture.alt}` : ""}`,
        data: hidden ? { action: "reveal", reveal: key } : { action: "open-picture", url: picture.url },
      },
      image,
      hidden ? el("span", { class: "veil" }, "Spoiler") : null,
    ),
  );
  if (picture.alt && !hidden) node.append(altBadge(picture.alt, context, key));
  return node;
}

function altBadge(alt, context, key) {
  const open = context.ui.altOpen === key;
  return el(
    "div",
    { class: "alt", data: { kind: "alt" } },
    el(
      "button",
      { class: "alt-badge", type: "button", "aria-label": "ALT: description of the picture", "aria-expanded": String(open), data: { action: "alt", alt: key, testid: "alt-badge", kind: "badge" } },
      "ALT",
    ),
    open ? el("div", { class: "alt-text", role: "note", data: { testid: "alt-text" } }, alt) : null,
  );
}

function thumbnail(item, context, path) {
  const picture = pictureOf(item.media, item.description, item.spoiler, context);
  return el("div", { class: "thumbnail" }, tile(picture, context, path, false));
}

function veiled(node, context, path, className) {
  if (context.ui.revealed.has(path)) return node;
  return el(
    "div",
    { class: className, data: { kind: "veil" } },
    node,
    el("button", { class: "veil-over", type: "button", "aria-label": "Spoiler: press to reveal", data: { action: "reveal", reveal: path } }, el("span", { class: "veil" }, "Spoiler")),
  );
}

// Files and the older kind of message ---------------------------------------------------------------------------

function fileComponent(item, context, path) {
  const attachment = attachmentOf(item.file ?? {}, context);
  const node = fileCard({
    name: item.name ?? attachment?.filename ?? "file",
    size: item.size ?? attachment?.size,
    url: safeUrl(attachment?.url ?? item.file?.url),
  });
  return item.spoiler ? veiled(node, context, path, "container-veil") : node;
}

function fileCard({ name, size, url }) {
  return el(
    "div",
    { class: "file", data: { kind: "file", testid: "file" } },
    icon("file"),
    el("div", { class: "file-text" }, el("a", { href: url, target: "_blank", rel: "noopener", download: name }, name), el("span", { class: "muted" }, fileSize(size))),
  );
}

export function attachments(message, context) {
  const list = message.attachments ?? [];
  const pictures = list.filter(isPicture).map((item) => fromAttachment(item, context));
  const others = list.filter((item) => !isPicture(item));
  return [
    pictures.length ? grid(pictures, context, "att") : null,
    others.map((item) => fileCard({ name: item.filename, size: item.size, url: safeUrl(item.url) })),
  ];
}

export function embeds(message, context) {
  return (message.embeds ?? []).map((item, index) => embed(item, context, `e${index}`));
}

function embed(item, context, path) {
  const accent = cssColour(item.color);
  const md = (source, part) => markdown(source, context.md(`${path}${part}`));
  const title = item.title ? md(item.title, "t") : null;
  const picture = item.image ? pictureOf(item.image, item.image.description ?? item.title, false, context) : null;
  return el(
    "div",
    { class: "embed", vars: accent ? { "--accent-bar": accent } : {}, data: { kind: "embed", testid: "embed" } },
    item.author?.name ? el("div", { class: "embed-author" }, item.author.name) : null,
    title ? el("div", { class: "embed-title" }, item.url && safeUrl(item.url) ? el("a", { href: safeUrl(item.url), target: "_blank", rel: "noopener noreferrer" }, title) : title) : null,
    item.description ? el("div", { class: "md" }, md(item.description, "d")) : null,
    item.fields?.length
      ? el(
          "div",
          { class: "embed-fields" },
          item.fields.map((field, index) =>
            el("div", { class: field.inline ? "embed-field inline" : "embed-field" }, el("div", { class: "embed-name" }, md(field.name, `n${index}`)), el("div", { class: "md" }, md(field.value, `v${index}`))),
          ),
        )
      : null,
    item.thumbnail ? el("div", { class: "embed-thumb" }, tile(pictureOf(item.thumbnail, "", false, context), context, `${path}th`, false)) : null,
    picture ? grid([picture], context, `${path}im`) : null,
    item.footer?.text ? el("div", { class: "embed-footer" }, item.footer.text) : null,
  );
}

/** The component with this custom_id, wherever it sits. */
export function findComponent(message, customId) {
  const look = (list) => {
    for (const item of list ?? []) {
      if (item.custom_id === customId) return item;
      const inside = look(item.components) ?? (item.accessory ? look([item.accessory]) : null);
      if (inside) return inside;
    }
    return null;
  };
  return look(message.components);
}
