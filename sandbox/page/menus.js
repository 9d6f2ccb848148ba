// Context menus of messages and people.

import { usesComponents } from "./components.js";
import { openMenu, toast } from "./layers.js";
import { avatar } from "./message.js";
import { channel, commandsHere, EPHEMERAL, person, state } from "./state.js";

const MANAGE_MESSAGES = 0x2000n;
const ADMINISTRATOR = 0x8n;

function mayModerate() {
  let bits = 0n;
  try {
    bits = BigInt(state.me.permissions ?? 0);
  } catch {
    // not a bit field: the person has no say
  }
  return channel().kind !== "dm" && (bits & (MANAGE_MESSAGES | ADMINISTRATOR)) !== 0n;
}

/** What can be done with a message; `run(title, interaction)` runs a command of the bot. */
export function messageMenu(message, where, run) {
  const apps = (message.flags & EPHEMERAL ? [] : commandsHere(3)).map((command) => ({
    label: command.name,
    node: avatar(state.world.bot, "avatar small"),
    testid: "app-command",
    value: command.name,
    pick: () => run(command.name, { kind: "message_command", command_id: command.id, target_id: message.id }),
  }));
  const text = copyable(message);
  const own = message.author.id === state.me.id;
  const items = [
    ...(apps.length ? [{ heading: "Apps" }, ...apps, { rule: true }] : []),
    ...(text ? [{ label: "Copy text", icon: "copy", pick: () => copy(text) }] : []),
    { label: "Copy message ID", icon: "copy", pick: () => copy(message.id) },
  ];
  if (state.world.can_delete && !(message.flags & EPHEMERAL) && (own || mayModerate())) {
    items.push({ rule: true }, { label: "Delete message", icon: "trash", danger: true, testid: "delete-message", pick: () => removeMessage(message) });
  }
  openMenu({ ...where, title: "Message", items });
}

async function removeMessage(message) {
  try {
    await state.session.remove(state.channelId, message.id);
  } catch (error) {
    toast(error.message, "bad");
  }
}

/** What can be done with a person; `run(title, interaction)` runs a command of the bot. */
export function userMenu(userId, where, run) {
  const someone = person(userId);
  const bot = userId === state.world.bot.id;
  const items = commandsHere(2).map((command) => ({
    label: command.name,
    node: avatar(state.world.bot, "avatar small"),
    testid: "app-command",
    value: command.name,
    pick: () => run(command.name, { kind: "user_command", command_id: command.id, target_id: userId }),
  }));
  openMenu({
    ...where,
    title: bot ? `${state.world.bot.name} · the bot` : someone ? `${someone.name}${someone.about ? ` · ${someone.about}` : ""}` : "Somebody",
    items: [...(items.length ? [{ heading: "Apps" }, ...items, { rule: true }] : []), { label: "Copy user ID", icon: "copy", pick: () => copy(userId) }],
  });
}

function copyable(message) {
  if (!usesComponents(message)) return message.content;
  const parts = [];
  const walk = (items) => {
    for (const item of items ?? []) {
      if (item.type === 10) parts.push(item.content);
      walk(item.components);
    }
  };
  walk(message.components);
  return parts.join("\n");
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser did not let the page copy", "bad");
  }
}
