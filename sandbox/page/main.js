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
//   devtools-toggle, devtools, devtools-close, fault-<name>, more-faults (folded), log-box, log
//   refused-panel, refused-code, refused-dismiss, provoked-note, provoked-dismiss
//   answered (the line over an answer to a message), link-preview, broken (a tile without a picture)
//   gate, gate-back, gate-continue               before an age-restricted channel
//   welcome, example-0 … (#budget has six), scroller, messages, toast
// document.body.dataset.ready is "true" once the first world is drawn.

import { forgetToken, readHash, slug, writeHash } from "./address.js";
import { findComponent, picturesOf } from "./components.js";
import { Composer } from "./composer.js";
import { DevTools } from "./devtools.js";
import { announce, byId, isNarrow } from "./dom.js";
import { Frame } from "./frame.js";
import { agree, gated } from "./gate.js";
import { listenToMessages, messageAt } from "./gestures.js";
import { Interactions, NO_ANSWER } from "./interactions.js";
import { hasLayer, toast } from "./layers.js";
import { openLightbox } from "./lightbox.js";
import { MessageList } from "./list.js";
import { copy, messageMenu, userMenu } from "./menus.js";
import { spoken } from "./message.js";
import { Modal } from "./modal.js";
import { Refusals } from "./refusals.js";
import { openSelect } from "./selects.js";
import { firstWorld, Session } from "./session.js";
import { channel, forget, leafByTitle, LOADING, person, state, uiOf, upsert } from "./state.js";
import { keepTimesCurrent } from "./times.js";
import { exampleAt, valuesFor } from "./welcome.js";

/** The example to open once one has become the person whom it names. */
let toTake = null;

const list = new MessageList();
const devtools = new DevTools();
const refusals = new Refusals();
const interactions = new Interactions(list);
const composer = new Composer({ command: sendCommand, say: sendText, autocomplete: askChoices });
const frame = new Frame({ go, become, shown: () => writeHash(state.me, channel()), devtoolsOpen: () => !devtools.node.hidden });

// Who and where ---------------------------------------------------------------------------------------------------

async function start() {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const world = await firstWorld();
      const { who } = readHash();
      const me = world.people.find((item) => slug(item.name) === who || item.id === who) ?? world.people[0];
      become(me.id);
      return;
    } catch {
      frame.showLink("lost");
      await new Promise((resolve) => setTimeout(resolve, Math.min(3000, 300 * 2 ** attempt)));
    }
  }
}

function become(personId) {
  state.session?.close();
  state.pending = [];
  state.ui.clear();
  state.unread.clear();
  interactions.clear();
  state.session = new Session(personId, { world: takeWorld, event: takeEvent, link: (link) => frame.showLink(link), error: (text) => toast(text, "bad") });
  state.session.start();
}

/** Open an example's command, as the person whom it names. */
function take(example) {
  const someone = state.world.people.find((item) => item.name === example.who);
  if (someone && someone.id !== state.me.id) {
    toTake = example;
    become(someone.id);
    return;
  }
  const leaf = leafByTitle(example.command);
  if (leaf) composer.begin(leaf, valuesFor(leaf, example));
}

function takeWorld(world) {
  state.world = world;
  state.me = person(state.session.person) ?? world.people[0];
  const { where } = readHash();
  if (!channel()) state.channelId = landingChannel(world.channels, where)?.id ?? null;
  state.lastChannel = channel();
  devtools.setLog(world.log ?? []); // every connection brings the last lines again
  devtools.draw(world.faults);
  interactions.lost();
  for (const id of state.ui.keys()) uiOf(id).busy.clear();
  drawAll();
  document.body.dataset.ready = "true";
  const example = toTake;
  toTake = null;
  if (example) take(example);
}

/** Where a person lands: the named channel, else one like the channel somebody else was in, else the first. */
function landingChannel(channels, name) {
  return channels.find((item) => slug(item.name) === name) ?? channels.find((item) => item.kind === state.lastChannel?.kind) ?? channels[0];
}

function drawAll() {
  frame.drawChannels();
  frame.drawHead();
  frame.drawMe();
  composer.refresh();
  list.draw();
}

function go(channelId) {
  if (!channel(channelId)) return;
  state.channelId = channelId;
  state.lastChannel = channel();
  state.unread.delete(channelId);
  frame.showSidebar(false);
  drawAll();
  if (gated()) document.querySelector("[data-testid=gate-back]")?.focus();
  else if (!isNarrow()) composer.focus();
}

// Events ----------------------------------------------------------------------------------------------------------------

function takeEvent(event) {
  switch (event.type) {
    case "message_create":
      return takeMessage(event.channel_id, event.message, false);
    case "message_update":
      return takeMessage(event.channel_id, event.message, true);
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
      frame.drawBadge();
      return list.refresh();
    case "modal":
      return takeModal(event);
    case "autocomplete":
      return composer.autocomplete.answered(event.interaction_id, event.choices ?? []);
    case "failed":
      composer.autocomplete.failed(event.interaction_id);
      return interactions.resolve(event.interaction_id, { failed: event.reason || NO_ANSWER });
    case "answered":
      return interactions.resolve(event.interaction_id, {});
    case "refused":
      return refusals.add(event);
    case "faults":
      return devtools.draw(event.faults);
    case "log":
      return devtools.line(event.line);
    default:
      return undefined;
  }
}

function takeMessage(channelId, message, changed) {
  const before = state.world.messages[channelId]?.find((item) => item.id === message.id);
  // Discord's client ignores changes of what it does not hold, such as a private answer from before a reload.
  if (changed && !before) return;
  const isNew = upsert(channelId, message);
  const interactionId = (message.interaction_metadata ?? message.interaction)?.id;
  if (interactionId) interactions.resolve(interactionId, {});
  const mine = message.author.id === state.me.id;
  if (channelId === state.channelId) {
    if (isNew) {
      if (mine) list.toBottom();
      else list.arrived();
    }
    const finished = before && (before.flags & LOADING || picturesOf(message).length > picturesOf(before).length);
    if ((isNew || finished) && !gated()) announce(spoken(message));
    list.refresh();
  } else if (isNew && !mine) {
    state.unread.add(channelId);
    frame.drawChannels();
  }
}

function takeModal(event) {
  interactions.resolve(event.interaction_id, {});
  if (event.channel_id && event.channel_id !== state.channelId) go(event.channel_id);
  const modal = new Modal(event.modal, (components) =>
    interactions.send(
      { kind: "modal", modal_interaction_id: event.interaction_id, custom_id: event.modal.custom_id, components },
      { done: () => modal.done(), fail: (text) => modal.fail(text === NO_ANSWER ? "Something went wrong: the application did not respond. Your text is kept; try again." : text), lost: () => modal.fail("The connection was lost. Try again.") },
    ),
  );
}

function sendCommand(leaf, options, values) {
  interactions.track(`/${leaf.title}`, { kind: "command", command_id: leaf.command.id, options }, { title: leaf.title, values });
}

async function askChoices(leaf, options) {
  const answer = await state.session.interact(state.channelId, { kind: "autocomplete", command_id: leaf.command.id, options });
  return answer.interaction_id;
}

async function sendText(text, uploads) {
  list.toBottom();
  await state.session.say(state.channelId, text, uploads);
}

const run = (title, interaction) => interactions.track(title, interaction);

// What people do in the list --------------------------------------------------------------------------------------------------

const ACTIONS = {
  press: (node, message) => interactions.press(message.id, findComponent(message, node.dataset.customId)),
  select: (node, message) => {
    const component = findComponent(message, node.dataset.customId);
    openSelect(component, node, (values) => interactions.press(message.id, component, values));
  },
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
  "message-menu": (node, message) => messageMenu(message, { anchor: node }, run),
  "user-menu": (node) => userMenu(node.dataset.userId, { anchor: node }, run),
  "copy-code": (node) => copy(node.closest(".code").querySelector("code").textContent),
  "go-channel": (node) => go(node.dataset.channelId),
  "go-message": (node) => list.show(node.dataset.messageTarget),
  "gate-back": () => go(state.world.channels.find((item) => !item.nsfw).id),
  "gate-continue": () => {
    agree();
    drawAll();
    composer.focus();
  },
  "use-command": (node) => {
    const leaf = leafByTitle(node.dataset.name);
    if (leaf) composer.begin(leaf);
  },
  example: (node) => {
    const example = exampleAt(channel(), Number(node.dataset.example));
    if (example) take(example);
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

function listen() {
  listenToMessages(byId("messages"), list.scroller, {
    act: (name, node) => ACTIONS[name]?.(node, messageAt(node)),
    messageMenu: (message, where) => messageMenu(message, where, run),
    userMenu: (userId, where) => userMenu(userId, where, run),
  });
  byId("scrim").addEventListener("click", () => {
    frame.showSidebar(false);
    if (!devtools.node.hidden) devtools.show(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("sidebar-open")) frame.showSidebar(false);
    typeAnywhere(event);
  });
  window.matchMedia("(max-width: 760px)").addEventListener("change", refit);
  window.addEventListener("hashchange", followHash);
}

/** The window became narrow or wide. */
function refit() {
  document.body.classList.remove("sidebar-open");
  byId("stage").inert = isNarrow() && !devtools.node.hidden;
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
  if (hasLayer() || gated() || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  const at = document.activeElement;
  if (at && at !== document.body && at.id !== "scroller") return;
  composer.focus();
}

/** iOS lays the keyboard over the page; the page then keeps to what is left. */
function keepAboveKeyboard() {
  const view = window.visualViewport;
  view?.addEventListener("resize", () => {
    document.documentElement.style.setProperty("--height", `${Math.round(view.height)}px`);
    window.scrollTo(0, 0);
  });
}

forgetToken();
listen();
keepAboveKeyboard();
keepTimesCurrent();
start();
