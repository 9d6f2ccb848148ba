// Times as Discord writes them, in the reader's language and zone.

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
  s: { dateStyle: "short", timeStyle: "short" },
  S: { dateStyle: "short", timeStyle: "medium" },
};
const formats = new Map();

function format(style) {
  if (!formats.has(style)) formats.set(style, new Intl.DateTimeFormat(undefined, STYLES[style]));
  return formats.get(style);
}

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export function timeText(unixS, style) {
  if (style !== "R") return format(STYLES[style] ? style : "f").format(unixS * 1000);
  const seconds = Math.round(unixS - Date.now() / 1000);
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(seconds, "second");
}

export function fullTime(unixS) {
  return format("F").format(unixS * 1000);
}

export function messageTime(iso) {
  const at = new Date(iso);
  const today = new Date();
  const clock = format("t").format(at);
  if (at.toDateString() === today.toDateString()) return `Today at ${clock}`;
  today.setDate(today.getDate() - 1);
  if (at.toDateString() === today.toDateString()) return `Yesterday at ${clock}`;
  return `${format("d").format(at)}, ${clock}`;
}

export function dayText(iso) {
  return format("D").format(new Date(iso));
}

/** Relative times on the page move on by themselves. */
export function keepTimesCurrent() {
  setInterval(() => {
    for (const node of document.querySelectorAll('time[data-style="R"]')) {
      const text = timeText(Number(node.dataset.unix), "R");
      if (node.textContent !== text) node.textContent = text;
    }
  }, 1000);
}
