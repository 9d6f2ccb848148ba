// One message → one <article>. Pure: the same message and the same reader's state give the same nodes.

import { el, icon } from "./dom.js";
import { attachments, components, embeds, picturesOf, usesComponents } from "./components.js";
import { markdown, plainText } from "./markdown.js";
import { answeredIn, channelName, colourOf, EPHEMERAL, LOADING, nameOf, roleName, state, uiOf, userName } from "./state.js";
import { dayText, messageTime } from "./times.js";

const GROUP_MS = 7 * 60 * 1000;
const SUPPRESS_EMBEDS = 4;
const MOST_PREVIEWS = 5;

export function avatar(user, className = "avatar") {
  if (user?.id && user.id === state.world?.bot.id) {
    return el("img", { class: className, src: "icon.svg", alt: "", width: 40, height: 40 });
  }
  const colour = colourOf(user?.id);
  return el("span", { class: className, vars: colour ? { "--colour": colour } : {}, "aria-hidden": "true", data: { initial: [...nameOf(user)][0]?.toUpperCase() ?? "?" } });
}

export function mdContext(message, ui, prefix) {
  return {
    userName: (id) => userName(id) ?? message.mentions?.find((user) => user.id === id)?.username ?? null,
    roleName,
    channelName,
    everyone: message.mention_everyone ?? false,
    isRevealed: (key) => ui.revealed.has(key),
    prefix,
  };
}

/** Whether `message` continues the one before it, without a head of its own. */
export function continues(message, previous) {
  return Boolean(
    previous &&
      previous.author.id === message.author.id &&
      !usedLine(message) &&
      answeredIn(message) === undefined &&
      !((message.flags ^ previous.flags) & EPHEMERAL) &&
      new Date(message.timestamp) - new Date(previous.timestamp) < GROUP_MS &&
      sameDay(message, previous),
  );
}

const sameDay = (first, second) => new Date(first.timestamp).toDateString() === new Date(second.timestamp).toDateString();

export function dayDivider(message, previous) {
  if (previous && sameDay(message, previous)) return null;
  const day = dayText(message.timestamp);
  return el("div", { class: "day", role: "separator", "aria-label": day, data: { key: `day:${day}` } }, el("span", {}, day));
}

export function buildMessage(message, previous) {
  const ui = uiOf(message.id);
  const context = { message, ui, md: (prefix) => mdContext(message, ui, prefix) };
  const compact = continues(message, previous);
  const ephemeral = Boolean(message.flags & EPHEMERAL);
  const mine = message.author.id === state.me?.id;
  const mentioned = message.mentions?.some((user) => user.id === state.me?.id);
  return el(
    "article",
    {
      class: ["message", compact && "compact", ephemeral && "ephemeral", mentioned && !mine && "mentioned"].filter(Boolean).join(" "),
      "aria-label": `${nameOf(message.author)}, ${messageTime(message.timestamp)}`,
      data: { key: `msg:${message.id}`, messageId: message.id, testid: "message", ephemeral: ephemeral ? "true" : null, loading: message.flags & LOADING ? "true" : null },
    },
    above(message),
    compact ? null : el("button", { class: "avatar-button", type: "button", "aria-label": `About ${nameOf(message.author)}`, data: { kind: "avatar", action: "user-menu", userId: message.author.id } }, avatar(message.author)),
    el(
      "div",
      { class: "body", data: { kind: "body" } },
      compact ? null : head(message),
      el("div", { class: "content", data: { kind: "content", testid: "message-content" } }, content(message, context)),
      ui.failure ? el("div", { class: "failed-line", role: "alert", data: { kind: "failure", testid: "interaction-failed" } }, icon("alert"), ui.failure) : null,
      ephemeral ? ephemeralLine(message) : null,
    ),
    el(
      "div",
      { class: "tools", data: { kind: "tools" } },
      el("button", { class: "icon-button small", type: "button", "aria-label": "More for this message", "aria-haspopup": "menu", data: { action: "message-menu", testid: "message-menu" } }, icon("more")),
    ),
  );
}

function above(message) {
  const used = usedLine(message);
  if (used) return used;
  const target = answeredIn(message);
  if (target === undefined) return null;
  if (target === null) return el("div", { class: "used", data: { kind: "above", testid: "answered" } }, spine(), el("i", { class: "muted" }, "Original message was deleted"));
  // Discord quotes the plain text only; of a message made of components or files it says that there is something.
  const quoted = plainText(target.content, mdContext(target, uiOf(target.id), "quoted")) || "See the message";
  return el(
    "button",
    { class: "used", type: "button", data: { kind: "above", testid: "answered", action: "go-message", messageTarget: target.id } },
    spine(),
    avatar(target.author, "avatar tiny"),
    el("b", {}, nameOf(target.author)),
    target.author.bot ? el("span", { class: "app-tag" }, "App") : null,
    el("span", { class: "muted clip" }, quoted),
  );
}

const spine = () => el("span", { class: "spine", "aria-hidden": "true" });

function usedLine(message) {
  const meta = message.interaction_metadata ?? message.interaction;
  if (!meta) return null;
  const origin = meta.triggering_interaction_metadata ?? meta;
  const user = meta.user ?? message.interaction?.user;
  const name = message.interaction?.name ?? meta.name ?? origin.name;
  const type = message.interaction?.type ?? origin.type;
  if (!user || !(name || type === 2)) return null;
  return el(
    "div",
    { class: "used", data: { kind: "above", testid: "used" } },
    spine(),
    avatar(user, "avatar tiny"),
    el("b", {}, nameOf(user)),
    el("span", { class: "muted" }, " used "),
    el("span", { class: "command-name" }, usedName(message, origin, name)),
  );
}

/** Context menu commands are named as they are; the name is missing where a form stood between. */
function usedName(message, origin, name) {
  if (!name) return "a command";
  return origin.target_message_id || origin.target_user || message.type === 23 ? name : `/${name}`;
}

function head(message) {
  return el(
    "h2",
    { class: "message-head", data: { kind: "head" } },
    el("button", { class: "author", type: "button", vars: colourOf(message.author.id) ? { "--colour": colourOf(message.author.id) } : {}, data: { action: "user-menu", userId: message.author.id } }, nameOf(message.author)),
    message.author.bot ? el("span", { class: "app-tag" }, "App") : null,
    el("time", { class: "when", datetime: message.timestamp, data: { kind: "when" } }, messageTime(message.timestamp)),
  );
}

function content(message, context) {
  if (message.flags & LOADING) return el("div", { class: "thinking", data: { kind: "thinking", testid: "thinking" } }, dots(), el("span", {}, `${state.world.bot.name} is thinking…`));
  const edited = message.edited_timestamp ? el("span", { class: "edited", title: messageTime(message.edited_timestamp) }, "(edited)") : null;
  if (usesComponents(message)) {
    return [components(message.components, context), edited ? el("div", { class: "edited-line" }, edited) : null];
  }
  const text = message.content ? el("div", { class: "md", data: { kind: "text" } }, markdown(message.content, context.md("t"))) : null;
  if (text && edited) (text.lastElementChild?.classList.contains("md-p") ? text.lastElementChild : text).append(" ", edited);
  const previews = text && !(message.flags & SUPPRESS_EMBEDS) ? linkPreviews(text) : null;
  return [text, previews, attachments(message, context), embeds(message, context), components(message.components, context), !text && edited ? el("div", { class: "edited-line" }, edited) : null];
}

/** Discord fetches what is linked and shows it under the text; this page says so instead of asking other hosts. */
function linkPreviews(text) {
  const addresses = new Set([...text.querySelectorAll("a[data-preview]")].filter((node) => !node.closest(".spoiler")).map((node) => node.href));
  return [...addresses].slice(0, MOST_PREVIEWS).map((address) => el("div", { class: "preview", data: { key: `p:${address}`, testid: "link-preview" } }, icon("external"), el("span", {}, `Discord shows a preview of ${new URL(address).host} here`)));
}

export function dots() {
  return el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
}

function ephemeralLine(message) {
  return el(
    "div",
    { class: "ephemeral-line", data: { kind: "ephemeral" } },
    icon("eye"),
    el("span", {}, "Only you can see this"),
    message.flags & LOADING ? null : el("span", { "aria-hidden": "true" }, "·"),
    message.flags & LOADING ? null : el("button", { class: "linkish", type: "button", data: { action: "dismiss", testid: "dismiss" } }, "Dismiss message"),
  );
}

/** A command that was sent and has no answer yet, or got none. */
export function buildPending(item) {
  return el(
    "article",
    { class: `message provisional${item.error ? " failed" : ""}`, data: { key: item.key, testid: "provisional", pendingKey: item.key } },
    el("div", { class: "used", data: { kind: "above" } }, spine(), avatar(state.me, "avatar tiny"), el("b", {}, nameOf(state.me)), el("span", { class: "muted" }, " used "), el("span", { class: "command-name" }, item.title)),
    el("span", { class: "avatar-button" }, avatar(state.world.bot)),
    el(
      "div",
      { class: "body" },
      el("header", { class: "message-head" }, el("span", { class: "author" }, state.world.bot.name), el("span", { class: "app-tag" }, "App")),
      item.error
        ? el("div", { class: "failed-line", role: "alert", data: { testid: "failed" } }, icon("alert"), el("span", {}, item.error))
        : el("div", { class: "thinking" }, dots(), el("span", {}, "Sending command…")),
      item.error
        ? el(
            "div",
            { class: "ephemeral-line" },
            icon("eye"),
            el("span", {}, "Only you can see this"),
            el("span", { "aria-hidden": "true" }, "·"),
            item.retry ? el("button", { class: "linkish", type: "button", data: { action: "pending-retry" } }, "Edit and try again") : null,
            item.retry ? el("span", { "aria-hidden": "true" }, "·") : null,
            el("button", { class: "linkish", type: "button", data: { action: "pending-drop", testid: "dismiss" } }, "Dismiss"),
          )
        : null,
    ),
  );
}

/** A short spoken form of a message. */
export function spoken(message) {
  if (message.flags & LOADING) return `${nameOf(message.author)} is thinking`;
  const parts = [];
  const walk = (list) => {
    for (const item of list ?? []) {
      if (item.type === 10) parts.push(item.content);
      walk(item.components);
    }
  };
  if (message.content) parts.push(message.content);
  walk(message.components);
  const said = plainText(parts.join("\n"), mdContext(message, uiOf(message.id), "spoken"));
  const pictures = picturesOf(message).length;
  const shown = pictures ? `${pictures} ${pictures === 1 ? "picture" : "pictures"}` : "";
  return `${nameOf(message.author)}${message.flags & EPHEMERAL ? ", only to you" : ""}: ${[said.slice(0, 200), shown].filter(Boolean).join(". ")}`;
}
