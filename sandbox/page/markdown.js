// Discord's markdown, straight to DOM nodes.

import { el, icon, safeUrl } from "./dom.js";
import { fullTime, timeText } from "./times.js";

const MAX_DEPTH = 14;
/** The level of a message's own heading, under which those of its text stand. */
const HEAD_OF_A_MESSAGE = 2;

/**
 * @param {string} source
 * @param {object} context userName(id), roleName(id), channelName(id), isRevealed(key), everyone: boolean, prefix: key prefix
 * @returns {DocumentFragment}
 */
export function markdown(source, context) {
  const fragment = document.createDocumentFragment();
  const run = { ...context, spoilers: 0, headings: [HEAD_OF_A_MESSAGE] };
  blocks(String(source ?? "").replace(/\r\n?/g, "\n"), fragment, run, 0);
  return fragment;
}

/** Markdown's text without its marks, for announcements; what a spoiler hides stays hidden. */
export function plainText(source, context) {
  const holder = el("div");
  holder.append(markdown(source, context));
  for (const node of holder.querySelectorAll(".spoiler:not(.shown)")) node.replaceChildren("(spoiler)");
  for (const node of holder.querySelectorAll("br, .md-p, .md-h, .md-sub, li, blockquote")) node.after(" ");
  return holder.textContent.replace(/\s+/g, " ").trim();
}

const FENCE = /^```(?:([\w+\-.#]{1,20})\n)?\n*([\s\S]+?)\n*```\n?/;
const QUOTE_REST = /^>>> ([\s\S]*)/;
const QUOTE = /^(?:> [^\n]*(?:\n|$)|>(?:\n|$))+/;
const HEADING = /^(#{1,3}) +([^\n]+)(?:\n|$)/;
const SUBTEXT = /^-# +([^\n]+)(?:\n|$)/;
const LIST = /^(?: {0,12}(?:[-*]|\d{1,9}\.) +[^\n]+(?:\n|$))+/;
const NUMBERED = /^ *\d/;

function blocks(text, parent, run, depth) {
  let at = 0;
  let plainFrom = 0;
  const flush = (to) => {
    const plain = text.slice(plainFrom, to).replace(/\n$/, "");
    if (plain.trim()) parent.append(inline(plain, el("div", { class: "md-p" }), run, depth));
    else if (plain) parent.append(el("div", { class: "md-gap" }));
  };
  while (at < text.length) {
    const lineStart = at === 0 || text[at - 1] === "\n";
    const found = block(text.slice(at), lineStart, run, depth);
    if (found) {
      if (at > plainFrom) flush(at);
      parent.append(found.node);
      at += found.length;
      plainFrom = at;
      continue;
    }
    const next = text.indexOf("\n", at);
    const fence = text.indexOf("```", at + 1);
    const stops = [next === -1 ? text.length : next + 1, fence === -1 ? text.length : fence];
    at = Math.min(...stops);
  }
  if (at > plainFrom) flush(at);
}

function block(rest, lineStart, run, depth) {
  if (rest.startsWith("```")) {
    const fence = FENCE.exec(rest);
    if (fence) return { length: fence[0].length, node: codeBlock(fence[2], fence[1]) };
  }
  if (!lineStart) return null;
  if (depth < 1) {
    const restQuote = QUOTE_REST.exec(rest);
    const quote = restQuote ?? QUOTE.exec(rest);
    if (quote) {
      const node = el("blockquote");
      blocks(restQuote ? restQuote[1] : quote[0].replace(/^> ?/gm, ""), node, run, depth + 1);
      return { length: quote[0].length, node };
    }
  }
  const heading = HEADING.exec(rest);
  if (heading) {
    const level = heading[1].length;
    const node = el("div", { class: `md-h md-h${level}`, role: "heading", "aria-level": spokenLevel(run, level) });
    return { length: heading[0].length, node: inline(heading[2], node, run, depth) };
  }
  const subtext = SUBTEXT.exec(rest);
  if (subtext) return { length: subtext[0].length, node: inline(subtext[1], el("div", { class: "md-sub" }), run, depth) };
  const list = LIST.exec(rest);
  if (list) return { length: list[0].length, node: listNode(list[0].replace(/\n$/, "").split("\n"), run, depth) };
  return null;
}

/** Looks are the text's own, but levels leave none out: "###" alone is the first one under its message's heading. */
function spokenLevel(run, level) {
  while (run.headings.length > 1 && run.headings.at(-1) >= level) run.headings.pop();
  run.headings.push(level);
  return HEAD_OF_A_MESSAGE + run.headings.length - 1;
}

function codeBlock(code, language) {
  return el(
    "div",
    { class: "code", data: { kind: "code" } },
    el("pre", { data: { language } }, el("code", {}, code)),
    el("button", { class: "copy-code", type: "button", "aria-label": "Copy this text", data: { action: "copy-code" } }, icon("copy")),
  );
}

function listNode(lines, run, depth) {
  const indent = (line) => line.length - line.trimStart().length;
  const base = indent(lines[0]);
  const first = /^ *(\d+)\./.exec(lines[0]);
  const list = first ? el("ol", { start: first[1] === "1" ? null : first[1] }) : el("ul");
  let at = 0;
  while (at < lines.length) {
    const item = el("li");
    inline(lines[at].replace(/^ *(?:[-*]|\d+\.) +/, ""), item, run, depth);
    at += 1;
    const nested = [];
    while (at < lines.length && indent(lines[at]) > base) nested.push(lines[at++]);
    if (nested.length) item.append(listNode(nested, run, depth));
    list.append(item);
    if (at < lines.length && NUMBERED.test(lines[at]) !== Boolean(first)) {
      const holder = document.createDocumentFragment();
      holder.append(list, listNode(lines.slice(at), run, depth));
      return holder;
    }
  }
  return list;
}

const PAIRS = [
  ["**", "strong"],
  ["__", "u"],
  ["~~", "s"],
  ["||", "spoiler"],
  ["*", "em"],
  ["_", "em"],
];
const WORD = /[\p{L}\p{N}]/u;

function inline(text, parent, run, depth) {
  let plain = "";
  let at = 0;
  const flush = () => {
    if (plain) parent.append(plain);
    plain = "";
  };
  while (at < text.length) {
    const taken = special(text, at, run, depth);
    if (taken === null) {
      const character = String.fromCodePoint(text.codePointAt(at));
      plain += character;
      at += character.length;
    } else {
      if (taken.text !== undefined) plain += taken.text;
      else {
        flush();
        parent.append(taken.node);
      }
      at += taken.length;
    }
  }
  flush();
  return parent;
}

function special(text, at, run, depth) {
  switch (text[at]) {
    case "\\":
      return at + 1 < text.length && !/[\p{L}\p{N}\s]/u.test(text[at + 1]) ? { text: text[at + 1], length: 2 } : null;
    case "\n":
      return { node: el("br"), length: 1 };
    case "`":
      return inlineCode(text.slice(at));
    case "<":
      return angle(text.slice(at, at + 2100), run);
    case "[":
      return maskedLink(text.slice(at, at + 3000), run, depth);
    case "h":
      return bareLink(text, at);
    case "@":
      return everyone(text.slice(at, at + 9), run);
    case "*":
    case "_":
    case "~":
    case "|":
      return paired(text, at, run, depth);
    default:
      return null;
  }
}

function inlineCode(rest) {
  const ticks = /^`+/.exec(rest)[0];
  if (ticks.length > 2) return { text: ticks, length: ticks.length };
  let end = ticks.length;
  for (;;) {
    end = rest.indexOf(ticks, end);
    if (end === -1) return { text: ticks, length: ticks.length };
    const run = /^`+/.exec(rest.slice(end))[0].length;
    if (run === ticks.length) break;
    end += run;
  }
  let code = rest.slice(ticks.length, end);
  if (!code.trim()) return { text: rest.slice(0, end + ticks.length), length: end + ticks.length };
  if (ticks.length === 2) code = code.trim();
  return { node: el("code", { class: "md-code" }, code), length: end + ticks.length };
}

function angle(rest, run) {
  let found = /^<@!?(\d{1,20})>/.exec(rest);
  if (found) return { node: mention(`@${run.userName(found[1]) ?? "unknown-user"}`, { action: "user-menu", userId: found[1] }), length: found[0].length };
  found = /^<@&(\d{1,20})>/.exec(rest);
  if (found) return { node: mention(`@${run.roleName?.(found[1]) ?? "role"}`), length: found[0].length };
  found = /^<#(\d{1,20})>/.exec(rest);
  if (found) return { node: mention(`#${run.channelName(found[1]) ?? "unknown"}`, { action: "go-channel", channelId: found[1] }), length: found[0].length };
  found = /^<\/([^:\n<>]{1,100}):(\d{1,20})>/.exec(rest);
  if (found) return { node: mention(`/${found[1]}`, { action: "use-command", name: found[1] }), length: found[0].length };
  found = /^<t:(-?\d{1,13})(?::([tTdDfFsSR]))?>/.exec(rest);
  if (found) return { node: timestamp(Number(found[1]), found[2] ?? "f"), length: found[0].length };
  found = /^<a?:(\w{2,32}):\d{1,20}>/.exec(rest);
  if (found) return { node: el("span", { class: "md-emoji" }, `:${found[1]}:`), length: found[0].length };
  found = /^<(https?:\/\/[^\s<>]+)>/.exec(rest);
  if (found && safeUrl(found[1])) return { node: link(found[1], [found[1]]), length: found[0].length };
  return null;
}

function mention(text, data = null) {
  if (!data) return el("span", { class: "mention" }, text);
  return el("button", { class: "mention", type: "button", data }, text);
}

function timestamp(unixS, style) {
  if (Math.abs(unixS) > 8.64e12) return el("span", {}, "Invalid date");
  return el(
    "time",
    { class: "md-time", datetime: new Date(unixS * 1000).toISOString(), title: fullTime(unixS), data: { style, unix: unixS } },
    timeText(unixS, style),
  );
}

function maskedLink(rest, run, depth) {
  const found = /^\[((?:\\.|[^[\]\\\n])+)\]\((<?)(https?:\/\/(?:[^\s<>()]|\([^\s<>()]*\))+)>?(?: +["']([^"'\n]*)["'])? *\)/.exec(rest);
  // A label that is itself an address is shown as it is: it could name another place than it leads to.
  if (!found || !safeUrl(found[3]) || found[1].includes("://") || depth > MAX_DEPTH) return null;
  const node = link(found[3], [], found[4] ?? found[3], !found[2]);
  return { node: inline(found[1], node, { ...run, everyone: false }, depth + 1), length: found[0].length };
}

/** Wherever "https://" stands, also right after a letter or a digit. */
function bareLink(text, at) {
  const found = /^https?:\/\/[^\s<>"]+/.exec(text.slice(at, at + 2100));
  if (!found) return null;
  let address = found[0].replace(/[.,:;'\]]+$/, "");
  const opened = (address.match(/\(/g) ?? []).length;
  while (address.endsWith(")") && (address.match(/\)/g) ?? []).length > opened) address = address.slice(0, -1);
  if (address.length < 10 || !safeUrl(address)) return null;
  return { node: link(address, [address], null, true), length: address.length };
}

/** `previewed`: Discord fetches the page and shows a preview of it under the message. */
function link(address, children, title = null, previewed = false) {
  return el("a", { href: safeUrl(address), target: "_blank", rel: "noopener noreferrer nofollow", title, data: { preview: previewed ? "true" : null } }, children);
}

function everyone(rest, run) {
  if (!run.everyone) return null;
  const found = /^@(?:everyone|here)/.exec(rest);
  return found ? { node: mention(found[0]), length: found[0].length } : null;
}

function paired(text, at, run, depth) {
  if (depth > MAX_DEPTH) return null;
  for (const [mark, kind] of PAIRS) {
    if (!text.startsWith(mark, at)) continue;
    const end = closing(text, at, mark);
    if (end === -1) continue;
    const inner = text.slice(at + mark.length, end);
    const length = end + mark.length - at;
    if (kind === "spoiler") return { node: spoiler(inner, run, depth), length };
    return { node: inline(inner, el(kind), run, depth + 1), length };
  }
  return null;
}

/** Where `mark`, opened at `at`, is closed; -1 when it is not. Escapes and code are stepped over. */
function closing(text, at, mark) {
  const from = at + mark.length;
  const single = mark.length === 1;
  if (single && (!text[from] || /\s/.test(text[from]))) return -1;
  if (mark === "_" && at > 0 && WORD.test(text[at - 1])) return -1;
  for (let index = from; index < text.length; index += 1) {
    const character = text[index];
    if (character === "\\") {
      index += 1;
    } else if (character === "`") {
      const close = text.indexOf("`", index + 1);
      if (close !== -1) index = close;
    } else if (text.startsWith(mark, index)) {
      if (single) {
        if (text[index + 1] === mark) {
          const inner = text.indexOf(mark + mark, index + 2);
          if (inner !== -1) {
            index = inner + 1;
            continue;
          }
        }
        if (index === from || /\s/.test(text[index - 1])) continue;
        if (mark === "_" && WORD.test(text[index + 1] ?? "")) continue;
        return index;
      }
      if (index === from) continue;
      // "***bold italic***": the run's last two characters close the pair.
      return text[index + mark.length] === mark[0] && mark !== "||" && text[index + mark.length + 1] !== mark[0] ? index + 1 : index;
    }
  }
  return -1;
}

function spoiler(inner, run, depth) {
  const key = `${run.prefix ?? ""}s${run.spoilers++}`;
  const shown = run.isRevealed?.(key) ?? false;
  const node = el("span", {
    class: shown ? "spoiler shown" : "spoiler",
    role: shown ? null : "button",
    tabindex: shown ? null : 0,
    "aria-label": shown ? null : "Spoiler, press to reveal",
    data: { action: "reveal", reveal: key },
  });
  const content = inline(inner, el("span", { class: "spoiler-text", "aria-hidden": shown ? null : "true" }), run, depth + 1);
  node.append(content);
  return node;
}
