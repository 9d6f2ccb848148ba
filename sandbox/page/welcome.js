// What an empty channel says: what this is, and something to click.

import { el, icon } from "./dom.js";
import { leafByTitle, state } from "./state.js";

/** Type of an option that takes a channel. */
const CHANNEL = 7;

const EXAMPLES = [
  { command: "imagine", values: { prompt: "a lighthouse keeper's cat asleep on a pile of sea charts, lamplight, oil painting" }, about: "One picture" },
  { command: "imagine", values: { prompt: "isometric tea house in a bamboo forest after rain, paper lanterns, soft fog", count: "4" }, about: "Four to choose from" },
  { command: "imagine", values: { prompt: "a brass telescope made of autumn leaves, botanical plate, ink and watercolour", size: "16:9" }, about: "Wide, 16:9" },
];

const DEAR = { name: "Seedream 4", value: "seedream-v4" };

/** What a channel is for, in steps to be taken in this order, each by the one whom it names. */
const STORIES = {
  budget: {
    about: "Pictures cost money. Here a server keeps to five cents a day. Press one step after the other and send each: a step also makes you the person it names.",
    steps: [
      { who: "Mo", command: "settings budget", values: { server_day: "0.05" }, about: "Mo, a moderator, allows the whole server five cents a day." },
      { who: "Mo", command: "settings alerts", values: { channel: "#budget" }, about: "Messages about the budget shall come to this channel." },
      { who: "Ada", command: "imagine", values: { prompt: "a piggy bank in a thunderstorm", model: DEAR }, about: "Three cents, more than half. Within ten seconds the channel hears of it." },
      { who: "Ada", command: "imagine", values: { prompt: "four coins on a windowsill", count: "4" }, about: "Four quick ones for about a cent: more than 80 % are used." },
      { who: "Ada", command: "imagine", values: { prompt: "one picture too many", model: DEAR }, about: "This does not fit any more. Ada reads why, and when the budget starts again." },
      { who: "Mo", command: "costs", values: {}, about: "What was spent: by day as a chart, by person and by model." },
    ],
  },
};

export const storyOf = (channel) => (channel.kind === "dm" ? null : STORIES[channel.name] ?? null);

/** {command, values, who} of what was pressed. */
export const exampleAt = (channel, index) => (storyOf(channel)?.steps ?? EXAMPLES)[index] ?? null;

/** Only what the bot's command offers, with a channel by its id. */
export function valuesFor(leaf, example) {
  const offered = new Map(leaf.options.map((option) => [option.name, option]));
  const known = Object.entries(example.values).filter(([name]) => offered.has(name));
  return Object.fromEntries(known.map(([name, value]) => [name, offered.get(name).type === CHANNEL ? channelNamed(value) : value]));
}

function channelNamed(name) {
  const found = state.world.channels.find((item) => `#${item.name}` === name);
  return found ? { name, value: found.id } : name;
}

const pressable = (index, ready) => ({ class: "example", type: "button", disabled: !ready, data: { action: "example", example: index, testid: `example-${index}` } });

const exampleButton = (example, index, ready) =>
  el(
    "button",
    pressable(index, ready),
    el("span", { class: "example-head" }, el("span", { class: "command-name" }, `/${example.command}`), el("span", { class: "muted" }, example.about)),
    el("span", { class: "example-prompt" }, example.values.prompt),
  );

const stepButton = (step, index, ready) =>
  el(
    "button",
    pressable(index, ready),
    el("span", { class: "example-head" }, el("span", { class: "command-name" }, `${index + 1}. /${step.command}`), el("span", { class: "muted" }, `as ${step.who}`)),
    el("span", { class: "example-prompt" }, step.about),
  );

export function welcome(channel) {
  const direct = channel.kind === "dm";
  const ready = Boolean(leafByTitle("imagine"));
  const story = storyOf(channel);
  return el(
    "section",
    { class: "welcome", data: { testid: "welcome", key: "welcome" } },
    el("img", { class: "welcome-mark", src: "icon.svg", alt: "", width: 56, height: 56 }),
    el("h2", {}, direct ? `This is a direct message with ${state.world.bot.name}` : `Welcome to #${channel.name}`),
    el(
      "p",
      {},
      story?.about ??
        "The real bot runs behind this page. Discord and fal.ai are played by stand-ins on this computer: no account, no token, nothing to pay. Press an example, then send it.",
    ),
    el("div", { class: "examples" }, story ? story.steps.map((step, index) => stepButton(step, index, ready)) : EXAMPLES.map((example, index) => exampleButton(example, index, ready))),
    ready
      ? el("p", { class: "muted" }, "Or type ", el("kbd", {}, "/"), " to see every command. The wrench makes things go wrong on purpose; the person switch lets you be somebody else.")
      : el("p", { class: "muted", role: "status" }, icon("bolt"), state.world.bot.online ? "Waiting for the bot to register its commands…" : "The bot is starting…"),
  );
}
