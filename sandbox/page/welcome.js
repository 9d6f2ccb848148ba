// What an empty channel says: what this is, and something to click.

import { el, icon } from "./dom.js";
import { leafByTitle, state } from "./state.js";

const EXAMPLES = [
  { prompt: "a lighthouse keeper's cat asleep on a pile of sea charts, lamplight, oil painting", about: "One picture" },
  { prompt: "isometric tea house in a bamboo forest after rain, paper lanterns, soft fog", about: "Four to choose from", options: { count: "4" } },
  { prompt: "a brass telescope made of autumn leaves, botanical plate, ink and watercolour", about: "Wide, 16:9", options: { size: "16:9" } },
];

export function exampleValues(index) {
  const leaf = leafByTitle("imagine");
  const example = EXAMPLES[index];
  if (!leaf || !example) return null;
  const offered = new Set(leaf.options.map((option) => option.name));
  const values = { prompt: example.prompt };
  for (const [name, value] of Object.entries(example.options ?? {})) if (offered.has(name)) values[name] = value;
  return values;
}

export function welcome(channel) {
  const direct = channel.kind === "dm";
  const ready = Boolean(leafByTitle("imagine"));
  return el(
    "section",
    { class: "welcome", data: { testid: "welcome", key: "welcome" } },
    el("img", { class: "welcome-mark", src: "icon.svg", alt: "", width: 56, height: 56 }),
    el("h2", {}, direct ? `This is a direct message with ${state.world.bot.name}` : `Welcome to #${channel.name}`),
    el(
      "p",
      {},
      "The real bot runs behind this page. Discord and fal.ai are played by stand-ins on this computer: no account, no token, nothing to pay. Press an example, then send it.",
    ),
    el(
      "div",
      { class: "examples" },
      EXAMPLES.map((example, index) =>
        el(
          "button",
          { class: "example", type: "button", disabled: !ready, data: { action: "example", example: index, testid: `example-${index}` } },
          el("span", { class: "example-head" }, el("span", { class: "command-name" }, "/imagine"), el("span", { class: "muted" }, example.about)),
          el("span", { class: "example-prompt" }, example.prompt),
        ),
      ),
    ),
    ready
      ? el("p", { class: "muted" }, "Or type ", el("kbd", {}, "/"), " to see every command. The wrench makes things go wrong on purpose; the person switch lets you be somebody else.")
      : el("p", { class: "muted", role: "status" }, icon("bolt"), state.world.bot.online ? "Waiting for the bot to register its commands…" : "The bot is starting…"),
  );
}
