// What the page knows, and small questions about it.

import { cssColour } from "./dom.js";

export const EPHEMERAL = 64;
export const LOADING = 128;

export const state = {
  session: null,
  world: null,
  me: null,
  channelId: null,
  /** message id → what the reader did to it: revealed spoilers, pressed buttons, a failure to show. */
  ui: new Map(),
  /** commands sent and not yet answered, or failed: {key, channelId, title, error, interactionId} */
  pending: [],
  unread: new Set(),
  link: "lost",
  /** the last channel shown, to find its like when somebody else looks */
  lastChannel: null,
  /** ids of messages that were deleted while the page was open */
  deleted: new Set(),
};

export function uiOf(messageId) {
  if (!state.ui.has(messageId)) state.ui.set(messageId, { revealed: new Set(), busy: new Set(), failure: null, version: 0 });
  return state.ui.get(messageId);
}

export const channel = (id = state.channelId) => state.world?.channels.find((item) => item.id === id) ?? null;
export const person = (id) => state.world?.people.find((item) => item.id === id) ?? null;
export const messagesOf = (id) => (state.world.messages[id] ??= []);
export const messageById = (id, channelId = state.channelId) => messagesOf(channelId).find((item) => item.id === id) ?? null;

export function nameOf(user) {
  if (!user) return "somebody";
  if (user.id === state.world?.bot.id) return state.world.bot.name ?? user.username;
  return person(user.id)?.name ?? user.global_name ?? user.username ?? "somebody";
}

export function colourOf(userId) {
  return cssColour(person(userId)?.color, "");
}

export function userName(id) {
  if (id === state.world?.bot.id) return state.world.bot.name;
  return person(id)?.name ?? null;
}

export function roleName(id) {
  for (const someone of state.world?.people ?? []) {
    for (const role of someone.roles ?? []) if (role?.id === id) return role.name;
  }
  return state.world?.guild?.roles?.find?.((role) => role.id === id)?.name ?? null;
}

export const channelName = (id) => channel(id)?.name ?? null;

/** Command objects of one type (1 chat, 2 user, 3 message) that the person may use in this channel. */
export function commandsHere(type) {
  return (state.world?.commands ?? []).filter(
    (command) => (command.type ?? 1) === type && command.allowed?.[state.channelId] !== false,
  );
}

/** Chat commands with their subcommands unfolded: {command, path, title, description, options}. */
export function leaves() {
  const found = [];
  for (const command of commandsHere(1)) unfold(command, command, [], found);
  const main = (leaf) => (leaf.title === "imagine" ? 0 : 1); // what nearly everybody came for
  return found.sort((a, b) => main(a) - main(b) || a.title.localeCompare(b.title));
}

function unfold(command, node, path, found) {
  const options = node.options ?? [];
  if (options.some((option) => option.type === 1 || option.type === 2)) {
    for (const option of options) unfold(command, option, [...path, option], found);
    return;
  }
  const title = [command.name, ...path.map((part) => part.name)].join(" ");
  found.push({ command, path, title, description: node.description || command.description || "", options });
}

export const leafByTitle = (title) => leaves().find((leaf) => leaf.title === title) ?? null;

export function upsert(channelId, message) {
  const list = messagesOf(channelId);
  const at = list.findIndex((item) => item.id === message.id);
  if (at !== -1) {
    list[at] = message;
    return false;
  }
  let index = list.length;
  while (index > 0 && later(list[index - 1].id, message.id)) index -= 1;
  list.splice(index, 0, message);
  return true;
}

function later(first, second) {
  return first.length === second.length ? first > second : first.length > second.length;
}

export function forget(channelId, messageId) {
  const list = messagesOf(channelId);
  const at = list.findIndex((item) => item.id === messageId);
  if (at !== -1) list.splice(at, 1);
  state.ui.delete(messageId);
  state.deleted.add(messageId);
}

/** The message that `message` answers, as it is now; null when it is gone, undefined when it answers none. */
export function answeredIn(message) {
  const id = message.message_reference?.message_id;
  if (!id) return undefined;
  if (state.deleted.has(id)) return null;
  return messageById(id, message.channel_id) ?? message.referenced_message ?? null;
}
