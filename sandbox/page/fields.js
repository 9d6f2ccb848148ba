// One field per command option: what it shows, what it holds, what is wrong with it.

import { el, fileSize, icon } from "./dom.js";
import { entityChoices } from "./choices.js";
import { channel, state } from "./state.js";

export const TYPE = { STRING: 3, INTEGER: 4, BOOLEAN: 5, USER: 6, CHANNEL: 7, ROLE: 8, MENTIONABLE: 9, NUMBER: 10, ATTACHMENT: 11 };
const NUMERIC = new Set([TYPE.INTEGER, TYPE.NUMBER]);
const MAX_TEXT = 6000;

/** composer: what a field needs of its surroundings: focused(field), typed(field), changed(), removed(field), keydown(event, field) */
export function createField(option, composer) {
  if (option.type === TYPE.BOOLEAN) return new BooleanField(option, composer);
  if (option.type === TYPE.ATTACHMENT) return new AttachmentField(option, composer);
  return new TextField(option, composer);
}

class Field {
  constructor(option, composer) {
    this.option = option;
    this.composer = composer;
    this.error = null;
    /** What was pasted for it and cannot be its value: the reason. */
    this.misread = null;
    this.note = el("div", { class: "field-error", role: "alert", id: `error-${option.name}`, data: { testid: `error-${option.name}` } });
    this.node = el("div", { class: "field", data: { testid: `field-${option.name}`, option: option.name } });
  }

  frame(control) {
    const { option } = this;
    this.node.append(
      el(
        "div",
        { class: "field-box" },
        el("label", { class: "field-name", id: `name-${option.name}`, for: `option-${option.name}`, title: option.description }, option.name, option.required ? el("span", { class: "required", title: "Required" }, "*") : null),
        control,
        option.required
          ? null
          : el("button", { class: "field-remove", type: "button", "aria-label": `Remove ${option.name}`, data: { testid: `remove-option-${option.name}` }, on: { click: () => this.composer.removed(this) } }, icon("close")),
      ),
      this.note,
    );
  }

  fail(text) {
    this.error = text;
    this.note.textContent = text ?? "";
    this.node.classList.toggle("wrong", Boolean(text));
    this.control?.setAttribute("aria-invalid", text ? "true" : "false");
  }

  /** The reason it cannot be sent as it is, or null. */
  check() {
    if (this.empty()) return this.misread ?? (this.option.required ? "This option is required." : null);
    return this.problem();
  }

  problem() {
    return null;
  }

  focus() {
    this.control.focus();
  }
}

class TextField extends Field {
  constructor(option, composer) {
    super(option, composer);
    this.picked = null; // {text, value}: the choice behind the text
    const numeric = NUMERIC.has(option.type) && !option.autocomplete && !option.choices?.length;
    const long = option.type === TYPE.STRING && !option.choices?.length && !option.autocomplete;
    this.control = el(long ? "textarea" : "input", {
      class: "field-input",
      id: `option-${option.name}`,
      rows: long ? 1 : null,
      type: long ? null : "text",
      inputmode: numeric ? (option.type === TYPE.INTEGER ? "numeric" : "decimal") : null,
      enterkeyhint: "send",
      autocapitalize: long ? "sentences" : "off",
      autocorrect: long ? null : "off",
      spellcheck: long ? "true" : "false",
      role: this.#suggests() ? "combobox" : null,
      "aria-expanded": this.#suggests() ? "false" : null,
      "aria-autocomplete": this.#suggests() ? "list" : null,
      "aria-controls": this.#suggests() ? "suggest" : null,
      "aria-describedby": `error-${option.name} composer-hint`,
      "aria-required": option.required ? "true" : null,
      data: { testid: `command-option-${option.name}` },
    });
    this.frame(this.control);
    if (long) this.node.classList.add("long");
    this.control.addEventListener("focus", () => composer.focused(this));
    this.control.addEventListener("blur", () => composer.blurred(this));
    this.control.addEventListener("input", () => this.#input());
    this.control.addEventListener("keydown", (event) => composer.keydown(event, this));
    this.fit();
  }

  #suggests() {
    return Boolean(this.option.autocomplete || this.#closed());
  }

  /** Only what the list holds may be sent. */
  #closed() {
    return Boolean(this.option.choices?.length) || [TYPE.USER, TYPE.CHANNEL, TYPE.ROLE, TYPE.MENTIONABLE].includes(this.option.type);
  }

  get suggests() {
    return this.#suggests();
  }

  #input() {
    if (this.control.value.includes("\n")) this.control.value = this.control.value.replace(/\s*\n\s*/g, " ");
    if (this.picked && this.picked.text !== this.control.value) this.picked = null;
    this.fail(null);
    this.fit();
    this.composer.typed(this);
  }

  fit() {
    if (this.control.tagName === "TEXTAREA") {
      this.control.style.height = "auto";
      this.control.style.height = `${Math.min(this.control.scrollHeight, 220)}px`;
    } else {
      this.control.size = Math.min(40, Math.max(5, this.control.value.length + 1));
    }
  }

  /** The choices that need no question to the bot: [{name, value}] or null. */
  ownChoices() {
    const typed = this.picked ? "" : this.control.value.trim().toLowerCase();
    let list = this.option.choices;
    if (!list?.length) list = worldChoices(this.option);
    return list?.filter((choice) => choice.name.toLowerCase().includes(typed)).slice(0, 25) ?? null;
  }

  pick(choice) {
    this.control.value = choice.name;
    this.picked = { text: choice.name, value: choice.value };
    this.fail(null);
    this.fit();
    this.control.setSelectionRange(choice.name.length, choice.name.length);
  }

  empty() {
    return this.control.value.trim() === "";
  }

  set(value) {
    const choice = this.option.choices?.find((item) => String(item.value) === String(value) || item.name === value);
    if (choice) this.pick(choice);
    else if (value && typeof value === "object") this.pick(value);
    else {
      this.control.value = String(value);
      this.picked = null;
      this.fit();
    }
  }

  /** What brings this field back later. */
  remember() {
    return this.picked ? { name: this.picked.text, value: this.picked.value } : this.control.value;
  }

  problem() {
    const { option } = this;
    if (this.#closed() && this.value() === null) return "Choose one from the list.";
    if (this.picked) return null;
    if (NUMERIC.has(option.type)) return numberProblem(option, this.control.value);
    const { length } = this.control.value; // UTF-16 units; the least number counts whole characters, so the stricter way each
    const characters = [...this.control.value].length;
    if (option.min_length && characters < option.min_length) return `At least ${option.min_length} characters (now ${characters}).`;
    if (length > (option.max_length ?? MAX_TEXT)) return `At most ${option.max_length ?? MAX_TEXT} characters (now ${length}).`;
    return null;
  }

  value() {
    if (this.picked) return this.picked.value;
    const text = this.control.value;
    if (this.#closed()) {
      if (this.option.choices?.length) return this.option.choices.find((choice) => choice.name.toLowerCase() === text.trim().toLowerCase())?.value ?? null;
      const typed = bare(text);
      return (worldChoices(this.option) ?? []).find((choice) => choice.value === typed || bare(choice.name) === typed)?.value ?? null;
    }
    if (NUMERIC.has(this.option.type)) return Number(text.trim());
    return text;
  }

  /** What the bot sees while this field is still being typed. */
  partial() {
    return this.picked ? this.picked.value : this.control.value;
  }
}

/** Digits only: what JavaScript reads as a number besides ("1e3", "0x10", "4.0" for a whole one) is none for Discord. */
function numberProblem(option, text) {
  const whole = option.type === TYPE.INTEGER;
  if (!(whole ? /^[+-]?\d+$/ : /^[+-]?(?:\d+\.?\d*|\.\d+)$/).test(text.trim())) return whole ? "Must be a whole number." : "Must be a number, with a point before decimals.";
  const value = Number(text.trim());
  if (!Number.isSafeInteger(Math.round(value))) return "The number is too large.";
  if (option.min_value !== undefined && value < option.min_value) return `Must be ${option.min_value} or more.`;
  if (option.max_value !== undefined && value > option.max_value) return `Must be ${option.max_value} or less.`;
  return null;
}

/** Command option types → the select types with the same choices. */
const ENTITY_SELECTS = new Map([[TYPE.USER, 5], [TYPE.ROLE, 6], [TYPE.MENTIONABLE, 7], [TYPE.CHANNEL, 8]]);

function worldChoices(option) {
  const type = ENTITY_SELECTS.get(option.type);
  return type ? entityChoices(type, option.channel_types).map((item) => ({ name: item.label, value: item.value })) : null;
}

/** As it may have been pasted: "@Ada", "Ada" or "<@123>". */
const bare = (text) => text.trim().toLowerCase().replace(/^<(?:@[!&]?|#)(\d+)>$/, "$1").replace(/^[@#]/, "");

class BooleanField extends Field {
  constructor(option, composer) {
    super(option, composer);
    this.held = null;
    this.buttons = [true, false].map((value) =>
      el(
        "button",
        { class: "toggle", type: "button", role: "radio", "aria-checked": "false", data: { testid: `command-option-${option.name}-${value}` }, tabindex: value ? 0 : -1, on: { click: () => this.set(value), focus: () => composer.focused(this), keydown: (event) => this.#key(event) } },
        value ? "True" : "False",
      ),
    );
    this.control = el("div", { class: "toggles", role: "radiogroup", "aria-label": option.name, id: `option-${option.name}`, data: { testid: `command-option-${option.name}` } }, this.buttons);
    this.frame(this.control);
  }

  focus() {
    this.buttons[this.held === false ? 1 : 0].focus();
  }

  /** A boolean, or one as it was typed; anything else is left unset and said to be wrong. */
  set(value) {
    const typed = String(value).trim().toLowerCase();
    this.held = { true: true, false: false }[typed] ?? null;
    this.buttons.forEach((item, index) => {
      const on = this.held !== null && (index === 0) === this.held;
      item.setAttribute("aria-checked", String(on));
      item.tabIndex = on || (this.held === null && index === 0) ? 0 : -1;
    });
    this.misread = this.held === null ? `“${value}” is neither True nor False.` : null;
    this.fail(this.misread);
  }

  #key(event) {
    if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      this.set(event.currentTarget !== this.buttons[0]);
      this.focus();
      return;
    }
    this.composer.keydown(event, this);
  }

  empty() {
    return this.held === null;
  }

  value() {
    return this.held;
  }

  partial() {
    return this.held;
  }

  remember() {
    return this.held;
  }
}

class AttachmentField extends Field {
  constructor(option, composer) {
    super(option, composer);
    this.upload = null;
    this.busy = false;
    this.input = el("input", { type: "file", class: "unseen", id: `option-${option.name}`, tabindex: -1, data: { testid: `command-option-${option.name}` } });
    this.control = el("button", { class: "file-pick", type: "button", id: `pick-${option.name}`, "aria-labelledby": `name-${option.name} pick-${option.name}`, "aria-describedby": `error-${option.name}`, on: { click: () => this.input.click(), focus: () => composer.focused(this), keydown: (event) => composer.keydown(event, this) } });
    const holder = el("div", { class: "file-field" }, this.input, this.control);
    this.frame(holder);
    this.input.addEventListener("change", () => this.input.files[0] && this.take(this.input.files[0]));
    this.#show(icon("image"), "Choose, drop or paste a file");
  }

  #show(...parts) {
    this.control.replaceChildren(...parts.map((part) => (typeof part === "string" ? el("span", {}, part) : part)));
  }

  async take(file) {
    const limit = channel()?.file_limit_bytes;
    if (limit && file.size > limit) {
      this.fail(`${fileSize(file.size)} is more than the ${fileSize(limit)} Discord takes.`);
      return;
    }
    this.busy = true;
    this.upload = null;
    this.misread = null;
    this.fail(null);
    this.#show(icon("file"), `Uploading ${file.name || "picture"}…`);
    try {
      this.upload = await state.session.upload(state.channelId, file);
      this.#preview(file);
    } catch (error) {
      this.fail(error.message);
      this.#show(icon("image"), "Choose, drop or paste a file");
    }
    this.busy = false;
    this.composer.changed();
  }

  #preview(file) {
    const picture = file.type.startsWith("image/");
    const image = picture ? el("img", { src: URL.createObjectURL(file), alt: "", class: "file-preview" }) : icon("file");
    if (picture) image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    this.#show(image, `${this.upload.filename ?? file.name} · ${fileSize(file.size)}`);
  }

  empty() {
    return !this.upload && !this.busy;
  }

  problem() {
    return this.busy ? "Still uploading." : null;
  }

  set(value) {
    if (!value?.id) {
      this.misread = `“${value}” is only a name: choose the file itself.`;
      this.fail(this.misread);
      return;
    }
    this.misread = null;
    this.upload = value;
    this.#show(icon("file"), value.filename ?? "file");
  }

  value() {
    return this.upload.id;
  }

  partial() {
    return this.upload?.id ?? "";
  }

  remember() {
    return this.upload;
  }
}
