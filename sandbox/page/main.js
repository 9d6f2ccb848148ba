// Easel's sandbox page: a chat channel in which the real bot can be tried without any account.
//
// Hooks for tests (data-testid unless said otherwise):
//   person-switch, person-switch-small (phone)   opens a menu of person-<name in lower case>
//   channel-<name>                               channels in the sidebar; open-sidebar on phones; channel-title
//   bot-badge                                    data-online="true|false"
//   composer                                     the text line; send; attach; attach-input; open-palette
//   suggestions, command-suggestion              the palette; data-value="imagine" or "settings limits"
//   command-chip, leave-command                  the command being written
//   command-option-<name>                        an option's input (boolean: …-true, …-false; attachment: file input)
//   add-option-<name>, remove-option-<name>      optional options; field-<name> around it; error-<name> its error
//   option-suggestion                            choices and autocomplete; data-value
//   message                                      data-message-id, data-ephemeral, data-loading; message-content, used,
//                                                thinking, dismiss, message-menu, interaction-failed
//   provisional, failed                          a command not answered yet, or never
//   button                                       data-label, data-custom-id; select; container, gallery, embed, file
//   picture, alt-badge, alt-text                 in galleries; .tile-open opens
//   lightbox, lightbox-image, lightbox-alt, lightbox-next, lightbox-previous, lightbox-original, lightbox-close
//   modal, modal-field-<custom_id>, modal-input-<custom_id>, modal-error-<custom_id>, modal-error, modal-submit, modal-cancel
//   menu, menu-item (data-value)                 context menus and selects; select-done for selects of several
//   drawer-toggle, drawer, drawer-close, trouble-<name>, more-troubles (folded), log-box, log
//   refused-panel, refused-code, refused-dismiss
//   welcome, example-0 … example-2, scroller, messages, toast
// document.body.dataset.ready is "true" once the first world is drawn.

import { picturesOf, findComponent, usesComponents } from "./components.js";
import { Composer } from "./composer.js";
import { Drawer } from "./drawer.js";
import { byId, el, icon, isNarrow } from "./dom.js";
import { hasLayer, openLayer, openMenu, placeMenu, toast } from "./layers.js";
import { openLightbox } from "./lightbox.js";
import { MessageList } from "./list.js";
import { avatar, spoken } from "./message.js";
import { Modal } from "./modal.js";
import { Refusals } from "./refusals.js";
import { firstWorld, Session } from "./session.js";
import { channel, commandsHere, forget, leafByTitle, LOADING, messageById, person, state, uiOf, upsert } from "./state.js";
import { keepTimesCurrent } from "./times.js";
import { exampleValues } from "./welcome.js";

const LONG_PRESS_MS = 480;
const NO_ANSWER = "The application did not respond";
const MANAGE_MESSAGES = 0x2000n;
const ADMINISTRATOR = 0x8n;

const list = new MessageList();
const drawer = new Drawer();
const refusals = new Refusals();
const composer = new Composer({ command: sendCommand, say: sendText, autocomplete: askChoices });

/** interaction id → {done(), fail(text), modal()}; answers that came before we knew the id wait in `strays`. */
const waiting = new Map();
const strays = new Map();
let pendingNumber = 0;

// Who and where ---------------------------------------------------------------------------------------------------

const slug = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

function readHash() {
  const [who, where] = decodeURIComponent(location.hash.slice(1)).split("/");
  return { who, where };
}

function writeHash() {
  const wanted = `#${slug(state.me.name)}/${slug(channel().name)}`;
  if (location.hash !== wanted) history.replaceState(null, "", wanted);
}

async function start() {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const world = await firstWorld();
      const { who } = readHash();
      const me = world.people.find((item) => slug(item.name) === who || item.id === who) ?? world.people[0];
      become(me.id);
      return;
    } catch {
      showLink("lost");
      await new Promise((resolve) => setTimeout(resolve, Math.min(3000, 300 * 2 ** attempt)));
    }
  }
}

function become(personId) {
  state.session?.close();
  state.pending = [];
  state.ui.clear();
  state.unread.clear();
  waiting.clear();
  strays.clear();
  state.session = new Session(personId, { world: takeWorld, event: takeEvent, link: showLink, trouble: (text) => toast(text, "bad") });
  state.session.start();
}

function takeWorld(world) {
  state.world = world;
  state.me = person(state.session.person) ?? world.people[0];
  const { where } = readHash();
  if (!channel()) state.channelId = sameKindOfPlace(world.channels, where)?.id ?? null;
  state.place = channel();
  drawer.setLog(world.log ?? []); // every connection brings the last lines again
  drawer.draw(world.troubles);
  for (const [, item] of waiting) item.lost?.();
  waiting.clear();
  for (const id of state.ui.keys()) uiOf(id).busy.clear();
  drawAll();
  document.body.dataset.ready = "true";
}

/** Where a person lands: the named channel, else one like the channel somebody else was in, else the first. */
function sameKindOfPlace(channels, name) {
  return channels.find((item) => slug(item.name) === name) ?? channels.find((item) => item.kind === state.place?.kind) ?? channels[0];
}

function drawAll() {
  drawChannels();
  drawHead();
  drawMe();
  composer.refresh();
  list.draw();
}

function go(channelId) {
  if (!channel(channelId)) return;
  state.channelId = channelId;
  state.place = channel();
  state.unread.delete(channelId);
  showSidebar(false);
  drawAll();
  if (!isNarrow()) composer.focus();
}

// Drawing the frame ---------------------------------------------------------------------------------------------------

function drawChannels() {
  const { channels, guild } = state.world;
  const guilds = new Map([[guild?.id, { name: guild?.name ?? "Server", rows: [] }]]);
  const direct = { name: "Direct messages", rows: [] };
  for (const item of channels) {
    let group = direct;
    if (item.kind !== "dm") {
      const id = item.guild_id ?? guild?.id;
      if (!guilds.has(id)) guilds.set(id, { name: item.guild_name ?? "Another server", rows: [] });
      group = guilds.get(id);
    }
    group.rows.push(channelRow(item));
  }
  byId("channels").replaceChildren(
    ...[...guilds.values(), direct]
      .filter((group) => group.rows.length)
      .flatMap((group) => [el("div", { class: "group-name" }, group.name), el("div", { class: "group" }, group.rows)]),
  );
}

const readOnly = (item) => item.bot_can_post === false || item.can_send === false;

function channelRow(item) {
  const current = item.id === state.channelId;
  const dm = item.kind === "dm";
  const kind = dm ? null : item.phone ? "phone" : readOnly(item) ? "lock" : "hash";
  return el(
    "button",
    {
      class: ["channel", current && "current", state.unread.has(item.id) && "unread"].filter(Boolean).join(" "),
      type: "button",
      "aria-current": current ? "page" : null,
      data: { testid: `channel-${item.name}`, channelId: item.id },
      on: { click: () => go(item.id) },
    },
    dm ? (item.bot_inside === false ? icon("dm") : avatar(state.world.bot, "avatar small")) : icon(kind),
    el("span", { class: "clip" }, item.name),
    item.nsfw ? el("span", { class: "mark", title: "Age-restricted" }, "18+") : null,
    state.unread.has(item.id) ? el("span", { class: "unseen" }, "(new messages)") : null,
  );
}

function drawHead() {
  const here = channel();
  const framed = Boolean(here.phone) && !isNarrow();
  document.body.classList.toggle("framed", framed);
  byId("channel-name").replaceChildren(
    here.kind === "dm" ? icon("dm") : here.phone ? icon("phone") : readOnly(here) ? icon("lock") : icon("hash"),
    el("span", { class: "clip" }, here.name),
    here.nsfw ? el("span", { class: "mark", title: "Age-restricted" }, "18+") : "",
  );
  byId("channel-topic").textContent = here.topic ?? "";
  byId("channel-topic").title = here.topic ?? "";
  document.title = `${here.kind === "dm" ? "@" : "#"}${here.name} · Easel sandbox`;
  writeHash();
  drawBadge();
}

function drawBadge() {
  const badge = byId("bot-badge");
  const linked = state.link === "open";
  const online = linked && Boolean(state.world?.bot.online);
  const text = !linked ? "Sandbox not reachable" : online ? "Bot online" : "Bot offline";
  badge.dataset.online = String(online);
  badge.className = `bot-badge ${online ? "on" : "off"}`;
  badge.title = text;
  badge.replaceChildren(el("span", { class: "badge-text" }, text));
}

function drawMe() {
  const { me } = state;
  byId("person-switch").replaceChildren(
    avatar({ ...me, username: me.name }),
    el("span", { class: "me-text" }, el("span", { class: "me-name clip" }, me.name), el("span", { class: "me-about clip" }, me.about ?? "")),
    icon("up"),
  );
  byId("person-switch").setAttribute("aria-label", `You are ${me.name}. Be somebody else`);
  byId("person-switch-small").replaceChildren(avatar({ ...me, username: me.name }, "avatar small"));
}

function showLink(link) {
  state.link = link;
  drawBadge();
}

function showSidebar(open) {
  document.body.classList.toggle("sidebar-open", open);
  byId("open-sidebar").setAttribute("aria-expanded", String(open));
  if (!isNarrow()) return;
  const drawn = !drawer.node.hidden;
  byId("scrim").hidden = !open && !drawn;
  byId("stage").inert = open || drawn;
  if (open) byId("channels").querySelector("[aria-current]")?.focus({ preventScroll: true });
}

function choosePerson(anchor) {
  openMenu({
    anchor,
    title: "Be somebody else",
    testid: "person-menu",
    wide: true,
    items: state.world.people.map((item) => ({
      label: item.name,
      about: item.about,
      node: avatar({ ...item, username: item.name }),
      checked: item.id === state.me.id,
      testid: `person-${slug(item.name)}`,
      pick: () => {
        if (item.id === state.me.id) return;
        showSidebar(false);
        become(item.id);
      },
    })),
  });
}

// Events ----------------------------------------------------------------------------------------------------------------

function takeEvent(event) {
  switch (event.type) {
    case "message_create":
    case "message_update":
      return takeMessage(event.channel_id, event.message);
    case "message_delete":
      forget(event.channel_id, event.message_id);
      return list.refresh();
    case "commands":
      state.world.commands = event.commands;
      composer.refresh();
      return list.refresh();
    case "bot":
      state.world.bot = { ...state.world.bot, online: event.online };
      if (event.detail && !event.online) toast(event.detail, "bad");
      drawBadge();
      return list.refresh();
    case "modal":
      return takeModal(event);
    case "autocomplete":
      return composer.autocompleted(event.interaction_id, event.choices ?? []);
    case "failed":
      composer.autocompleteFailed(event.interaction_id);
      return resolve(event.interaction_id, { failed: event.reason || NO_ANSWER });
    case "answered":
      return resolve(event.interaction_id, {});
    case "refused":
      return refusals.add(event);
    case "troubles":
      return drawer.draw(event.troubles);
    case "log":
      return drawer.line(event.line);
    default:
      return undefined;
  }
}

function takeMessage(channelId, message) {
  const before = state.world.messages[channelId]?.find((item) => item.id === message.id);
  const isNew = upsert(channelId, message);
  const interactionId = (message.interaction_metadata ?? message.interaction)?.id;
  if (interactionId) resolve(interactionId, {});
  const mine = message.author.id === state.me.id;
  if (channelId === state.channelId) {
    if (isNew) {
      if (mine) list.toBottom();
      else list.arrived();
    }
    const finished = before && (before.flags & LOADING || picturesOf(message).length > picturesOf(before).length);
    if (isNew || finished) byId("announce").textContent = spoken(message);
    list.refresh();
  } else if (isNew && !mine) {
    state.unread.add(channelId);
    drawChannels();
  }
}

// Interactions -------------------------------------------------------------------------------------------------------------

/** Runs an interaction and calls one of `ends`: done(), fail(text); `modal(event)` when the bot opened a form. */
async function interact(interaction, ends) {
  const { session, channelId } = state;
  try {
    const { interaction_id: id } = await session.interact(channelId, interaction);
    if (session !== state.session) return;
    waiting.set(id, ends);
    const stray = strays.get(id);
    strays.delete(id);
    if (stray) resolve(id, stray);
  } catch (error) {
    ends.fail(error.message);
  }
}

function resolve(interactionId, outcome) {
  const ends = waiting.get(interactionId);
  if (!ends) {
    strays.set(interactionId, outcome);
    if (strays.size > 100) strays.delete(strays.keys().next().value);
    return;
  }
  waiting.delete(interactionId);
  if (outcome.failed) ends.fail(outcome.failed);
  else ends.done();
}

function takeModal(event) {
  resolve(event.interaction_id, {});
  if (event.channel_id && event.channel_id !== state.channelId) go(event.channel_id);
  const modal = new Modal(event.modal, (components) =>
    interact(
      { kind: "modal", modal_interaction_id: event.interaction_id, custom_id: event.modal.custom_id, components },
      { done: () => modal.done(), fail: (text) => modal.fail(text === NO_ANSWER ? "Something went wrong: the application did not respond. Your text is kept; try again." : text), lost: () => modal.fail("The connection was lost. Try again.") },
    ),
  );
}

function track(title, interaction, retry = null) {
  const item = { key: `pending:${++pendingNumber}`, channelId: state.channelId, title, error: null, retry };
  state.pending.push(item);
  list.toBottom();
  list.refresh();
  const drop = () => {
    state.pending = state.pending.filter((other) => other !== item);
    list.refresh();
  };
  interact(interaction, {
    done: drop,
    lost: drop,
    fail: (text) => {
      item.error = text;
      list.refresh();
    },
  });
}

function sendCommand(leaf, options, values) {
  track(`/${leaf.title}`, { kind: "command", command_id: leaf.command.id, options }, { title: leaf.title, values });
}

async function askChoices(leaf, options) {
  const answer = await state.session.interact(state.channelId, { kind: "autocomplete", command_id: leaf.command.id, options });
  return answer.interaction_id;
}

async function sendText(text, uploads) {
  list.toBottom();
  await state.session.say(state.channelId, text, uploads);
}

function press(messageId, component, values) {
  const ui = uiOf(messageId);
  if (ui.busy.has(component.custom_id)) return;
  ui.busy.add(component.custom_id);
  ui.failure = null;
  list.touch(messageId);
  const end = (failure) => {
    ui.busy.delete(component.custom_id);
    ui.failure = failure;
    list.touch(messageId);
  };
  interact(
    { kind: "component", message_id: messageId, custom_id: component.custom_id, component_type: component.type, ...(values ? { values } : {}) },
    { done: () => end(null), fail: (text) => end(text === NO_ANSWER ? "This interaction failed: the application did not respond." : text) },
  );
}

function openSelect(messageId, component, anchor) {
  const options = component.options ?? worldOptions(component.type);
  const max = Math.min(component.max_values ?? 1, options.length);
  if (max > 1) {
    openMultiSelect(messageId, component, options, max, anchor);
    return;
  }
  openMenu({
    anchor,
    title: component.placeholder ?? "Choose",
    role: "listbox",
    items: options.map((option) => ({
      label: option.label,
      about: option.description,
      checked: option.default ? true : undefined,
      value: option.value,
      node: option.emoji && !option.emoji.id ? el("span", { class: "emoji", "aria-hidden": "true" }, option.emoji.name) : null,
      pick: () => press(messageId, component, [option.value]),
    })),
  });
}

function worldOptions(type) {
  if (type === 8) return state.world.channels.filter((item) => item.kind !== "dm").map((item) => ({ label: `#${item.name}`, value: item.id }));
  return state.world.people.map((item) => ({ label: item.name, description: item.about, value: item.id }));
}

function openMultiSelect(messageId, component, options, max, anchor) {
  const chosen = new Set(options.filter((option) => option.default).map((option) => option.value));
  const min = component.min_values ?? 1;
  const done = el("button", { class: "button primary", type: "button", data: { testid: "select-done" } }, "Done");
  const rows = options.map((option) => {
    const row = el("button", { class: "menu-item", type: "button", role: "option", data: { testid: "menu-item", value: option.value } }, el("span", { class: "box" }, icon("check")), el("span", { class: "menu-text" }, el("span", { class: "menu-label" }, option.label), option.description ? el("span", { class: "menu-about" }, option.description) : null));
    row.addEventListener("click", () => {
      if (chosen.has(option.value)) chosen.delete(option.value);
      else if (chosen.size < max) chosen.add(option.value);
      mark();
    });
    return row;
  });
  const mark = () => {
    rows.forEach((row) => row.setAttribute("aria-selected", String(chosen.has(row.dataset.value))));
    done.disabled = chosen.size < min;
  };
  mark();
  const menu = el("div", { class: "menu", role: "listbox", "aria-multiselectable": "true", "aria-label": component.placeholder ?? "Choose", data: { testid: "menu" } }, el("div", { class: "menu-title" }, `${component.placeholder ?? "Choose"} (${min === max ? max : `${min}–${max}`})`), rows, el("div", { class: "menu-foot" }, done));
  const close = openLayer(menu, { className: "layer-menu", focus: rows[0] });
  done.addEventListener("click", () => {
    close();
    press(messageId, component, options.map((option) => option.value).filter((value) => chosen.has(value)));
  });
  placeMenu(menu, anchor, null);
}

// Context menus ---------------------------------------------------------------------------------------------------------------

function mayModerate() {
  let bits = 0n;
  try {
    bits = BigInt(state.me.permissions ?? 0);
  } catch {
    // not a bit field: the person has no say
  }
  return channel().kind !== "dm" && (bits & (MANAGE_MESSAGES | ADMINISTRATOR)) !== 0n;
}

function messageMenu(message, where) {
  const apps = commandsHere(3).map((command) => ({
    label: command.name,
    node: avatar(state.world.bot, "avatar small"),
    testid: "app-command",
    value: command.name,
    pick: () => track(command.name, { kind: "message_command", command_id: command.id, target_id: message.id }),
  }));
  const text = copyable(message);
  const own = message.author.id === state.me.id;
  const items = [
    ...(apps.length ? [{ heading: "Apps" }, ...apps, { rule: true }] : []),
    ...(text ? [{ label: "Copy text", icon: "copy", pick: () => copy(text) }] : []),
    { label: "Copy message ID", icon: "copy", pick: () => copy(message.id) },
  ];
  if (state.world.can_delete && !(message.flags & 64) && (own || mayModerate())) {
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

function userMenu(userId, where) {
  const someone = person(userId);
  const bot = userId === state.world.bot.id;
  const items = commandsHere(2).map((command) => ({
    label: command.name,
    node: avatar(state.world.bot, "avatar small"),
    testid: "app-command",
    value: command.name,
    pick: () => track(command.name, { kind: "user_command", command_id: command.id, target_id: userId }),
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

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser did not let the page copy", "bad");
  }
}

// What people do in the list --------------------------------------------------------------------------------------------------

const ACTIONS = {
  press: (node, message) => press(message.id, findComponent(message, node.dataset.customId)),
  select: (node, message) => openSelect(message.id, findComponent(message, node.dataset.customId), node),
  reveal: (node, message) => {
    uiOf(message.id).revealed.add(node.dataset.reveal);
    list.touch(message.id);
  },
  alt: (node, message) => {
    const ui = uiOf(message.id);
    ui.altOpen = ui.altOpen === node.dataset.alt ? null : node.dataset.alt;
    list.touch(message.id);
  },
  "open-picture": (node, message) => {
    const { revealed } = uiOf(message.id);
    openLightbox(picturesOf(message).filter((picture) => !picture.spoiler || revealed.has(`m:${picture.url.split("?")[0]}`)), node.dataset.url);
  },
  dismiss: async (node, message) => {
    const { channelId } = state;
    forget(channelId, message.id);
    list.refresh();
    composer.focus();
    await state.session.dismiss(channelId, message.id).catch((error) => toast(error.message, "bad"));
  },
  "message-menu": (node, message) => messageMenu(message, { anchor: node }),
  "user-menu": (node) => userMenu(node.dataset.userId, { anchor: node }),
  "copy-code": (node) => copy(node.closest(".code").querySelector("code").textContent),
  "go-channel": (node) => go(node.dataset.channelId),
  "use-command": (node) => {
    const leaf = leafByTitle(node.dataset.name);
    if (leaf) composer.begin(leaf);
  },
  example: (node) => {
    const leaf = leafByTitle("imagine");
    const values = exampleValues(Number(node.dataset.example));
    if (leaf && values) composer.begin(leaf, values);
  },
  "pending-drop": (node) => {
    const key = node.closest("[data-pending-key]").dataset.pendingKey;
    state.pending = state.pending.filter((item) => item.key !== key);
    list.refresh();
  },
  "pending-retry": (node) => {
    const key = node.closest("[data-pending-key]").dataset.pendingKey;
    const item = state.pending.find((other) => other.key === key);
    const leaf = item?.retry && leafByTitle(item.retry.title);
    if (!leaf) return;
    state.pending = state.pending.filter((other) => other !== item);
    composer.begin(leaf, item.retry.values);
    list.refresh();
  },
};

function messageAt(node) {
  const article = node.closest("[data-message-id]");
  return article ? messageById(article.dataset.messageId) : null;
}

let pressedLong = false;

function listen() {
  const holder = byId("messages");
  holder.addEventListener("click", (event) => {
    if (pressedLong) {
      pressedLong = false;
      event.preventDefault();
      return;
    }
    const node = event.target.closest("[data-action]");
    if (node && !node.disabled) ACTIONS[node.dataset.action]?.(node, messageAt(node));
  });
  holder.addEventListener("keydown", (event) => {
    const node = event.target.closest("[data-action][role=button]");
    if (!node || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    node.click();
  });
  holder.addEventListener("contextmenu", (event) => {
    if (event.target.closest("a[href]") || String(getSelection())) return;
    const user = event.target.closest("[data-action=user-menu]");
    const message = messageAt(event.target);
    if (!message) return;
    event.preventDefault();
    if (hasLayer()) return;
    const where = { point: { x: event.clientX, y: event.clientY } };
    if (user) userMenu(user.dataset.userId, where);
    else messageMenu(message, where);
  });
  holder.addEventListener("error", (event) => event.target.tagName === "IMG" && event.target.closest(".tile")?.classList.add("unloaded"), true);
  listenLongPress(holder);
  byId("open-sidebar").append(icon("menu"));
  byId("open-sidebar").addEventListener("click", () => showSidebar(true));
  byId("scrim").addEventListener("click", () => {
    showSidebar(false);
    if (!drawer.node.hidden) drawer.show(false);
  });
  byId("person-switch").addEventListener("click", (event) => choosePerson(event.currentTarget));
  byId("person-switch-small").addEventListener("click", (event) => choosePerson(event.currentTarget));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("sidebar-open")) showSidebar(false);
    typeAnywhere(event);
  });
  window.matchMedia("(max-width: 760px)").addEventListener("change", refit);
  window.addEventListener("hashchange", followHash);
}

/** The window became narrow or wide. */
function refit() {
  document.body.classList.remove("sidebar-open");
  byId("stage").inert = isNarrow() && !drawer.node.hidden;
  byId("scrim").hidden = !byId("stage").inert;
  if (state.world) drawAll();
}

function followHash() {
  const { who, where } = readHash();
  const someone = state.world?.people.find((item) => slug(item.name) === who);
  const target = state.world?.channels.find((item) => slug(item.name) === where);
  if (target) state.channelId = target.id;
  if (someone && someone.id !== state.me.id) become(someone.id);
  else if (target) go(target.id);
}

/** A key pressed with nothing focused is meant for the composer. */
function typeAnywhere(event) {
  if (hasLayer() || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  const at = document.activeElement;
  if (at && at !== document.body && at.id !== "scroller") return;
  composer.focus();
}

function listenLongPress(holder) {
  let timer = null;
  let origin = null;
  const stop = () => clearTimeout(timer);
  holder.addEventListener("pointerdown", (event) => {
    pressedLong = false;
    if (event.pointerType !== "touch") return;
    origin = { x: event.clientX, y: event.clientY };
    const target = event.target;
    stop();
    timer = setTimeout(() => {
      const message = messageAt(target);
      if (!message || hasLayer()) return;
      pressedLong = true;
      const user = target.closest("[data-action=user-menu]");
      if (user) userMenu(user.dataset.userId, { point: origin });
      else messageMenu(message, { point: origin });
    }, LONG_PRESS_MS);
  });
  holder.addEventListener("pointermove", (event) => {
    if (origin && Math.hypot(event.clientX - origin.x, event.clientY - origin.y) > 10) stop();
  });
  for (const name of ["pointerup", "pointercancel"]) holder.addEventListener(name, stop);
  list.scroller.addEventListener("scroll", stop, { passive: true });
}

/** iOS lays the keyboard over the page; the page then keeps to what is left. */
function keepAboveKeyboard() {
  const view = window.visualViewport;
  view?.addEventListener("resize", () => {
    document.documentElement.style.setProperty("--height", `${Math.round(view.height)}px`);
    window.scrollTo(0, 0);
  });
}

listen();
keepAboveKeyboard();
keepTimesCurrent();
start();
