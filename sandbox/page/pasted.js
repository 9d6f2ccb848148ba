// A command that was typed out or pasted as one text, as people copy it from elsewhere.

import { TYPE } from "./fields.js";

/**
 * The command that `text` begins with and what follows its name, or null. Its lines are one: Discord's fields have none.
 * A command that is the beginning of another ("settings" of "settings limits") is not meant before that is ruled out.
 */
export function commandLine(text, leaves) {
  if (!text.startsWith("/")) return null;
  const line = text.slice(1).replace(/\s*\n\s*/g, " ");
  const typed = line.toLowerCase();
  const longer = (leaf) => leaves.some((other) => other !== leaf && other.title.startsWith(`${leaf.title} `) && other.title.startsWith(typed.trimEnd()));
  const leaf = leaves.find((item) => typed.startsWith(`${item.title} `) && !longer(item));
  return leaf ? { leaf, values: readInline(leaf, line.slice(leaf.title.length + 1)) } : null;
}

/** "prompt: a fox model: flux" or "a fox": option name → text. */
function readInline(leaf, text) {
  const values = {};
  const names = leaf.options.map((option) => option.name);
  const found = [...text.matchAll(/(?:^|\s)([-\w]{1,32}):\s?/g)].filter((match) => names.includes(match[1]));
  const free = text.slice(0, found[0]?.index ?? text.length).trim();
  const first = leaf.options.find((option) => option.type === TYPE.STRING && option.required) ?? leaf.options.find((option) => option.type === TYPE.STRING);
  if (free && first) values[first.name] = free;
  found.forEach((match, index) => {
    const value = text.slice(match.index + match[0].length, found[index + 1]?.index ?? text.length).trim();
    if (value) values[match[1]] = value;
  });
  return values;
}
