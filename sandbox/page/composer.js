// The line at the bottom: chat messages, the command palette, and commands with their options as fields.

import { Autocomplete } from "./autocomplete.js";
import { byId, el, icon } from "./dom.js";
import { createField, TYPE } from "./fields.js";
import { avatar } from "./message.js";
import { gated } from "./gate.js";
import { commandLine } from "./pasted.js";
import { channel, leafByTitle, leaves, state } from "./state.js";
import { Suggestions } from "./suggestions.js";
import { UploadTray } from "./tray.js";

const MAX_MESSAGE = 2000;
const NARROW_PX = 560;

export class Composer {
  /** send: {command(leaf, options, remembered), say(text, uploads), autocomplete(leaf, options) → Promise<interaction id>} */
  constructor(send) {
    this.send = send;
    this.leaf = null;
    this.fields = [];
    this.last = null;
    this.#build();
    this.#text();
  }

  // Frame ---------------------------------------------------------------------------------------------------------

  #build() {
    this.form = byId("composer");
    this.autocomplete = new Autocomplete({
      ask: (field) => this.send.autocomplete(this.leaf, this.#options(field)),
      choices: (field, choices) => this.#choices(field, choices, field.empty() ? -1 : 0),
      note: (field, text) => this.suggestions.show([], { owner: field, title: field.option.name, empty: text, active: -1 }),
    });
    this.suggestions = new Suggestions(this.form, () => this.autocomplete.cancel());
    this.text = el("textarea", {
      class: "say",
      id: "say",
      rows: 1,
      "aria-autocomplete": "list",
      "aria-controls": "suggest",
      "aria-label": "Message or command",
      enterkeyhint: "send",
      data: { testid: "composer" },
    });
    this.fileInput = el("input", { type: "file", class: "unseen", multiple: true, tabindex: -1, "aria-label": "Attach files", data: { testid: "attach-input" } });
    this.attach = el("button", { class: "icon-button", type: "button", "aria-label": "Attach a file", title: "Attach a file", data: { testid: "attach" } }, icon("plus"));
    this.slash = el("button", { class: "icon-button", type: "button", "aria-label": "Commands", title: "Commands", data: { testid: "open-palette" } }, icon("slash"));
    this.sendButton = el("button", { class: "send", type: "submit", "aria-label": "Send", title: "Send (Enter)", data: { testid: "send" } }, icon("send"));
    this.commandHead = el("div", { class: "command-head" });
    this.fieldsNode = el("div", { class: "fields" });
    this.more = el("div", { class: "more-options", role: "group", "aria-label": "Further options" });
    this.tray = new UploadTray();
    this.hint = el("div", { class: "composer-hint", id: "composer-hint" });
    this.box = el(
      "div",
      { class: "composer-box" },
      this.tray.node,
      this.commandHead,
      el("div", { class: "line" }, this.attach, el("div", { class: "line-main" }, this.text, this.fieldsNode), this.slash),
      this.more,
      this.sendButton, // after the options: that is the order in which Tab reaches them
      this.fileInput,
    );
    this.form.append(this.suggestions.node, this.box, this.hint);
    this.#listen();
  }

  #listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("input", () => this.#typedText());
    this.text.addEventListener("keydown", (event) => this.#textKey(event));
    this.text.addEventListener("blur", () => setTimeout(() => document.activeElement !== this.text && !this.leaf && this.suggestions.close(), 150));
    this.text.addEventListener("focus", () => this.text.value.startsWith("/") && this.#typedText());
    this.attach.addEventListener("click", () => this.fileInput.click());
    this.slash.addEventListener("click", () => this.openPalette());
    this.fileInput.addEventListener("change", () => {
      for (const file of this.fileInput.files) this.takeFile(file);
      this.fileInput.value = "";
    });
    this.form.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      for (const file of files) this.takeFile(file);
    });
    const chat = byId("chat");
    new ResizeObserver(() => this.refresh()).observe(chat);
    chat.addEventListener("dragover", (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      chat.classList.add("dropping");
    });
    chat.addEventListener("dragleave", (event) => !chat.contains(event.relatedTarget) && chat.classList.remove("dropping"));
    chat.addEventListener("drop", (event) => {
      chat.classList.remove("dropping");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      const target = event.target.closest?.("[data-option]");
      for (const file of event.dataTransfer.files) this.takeFile(file, target?.dataset.option);
    });
  }

  /** The channel or the person changed. */
  refresh() {
    const here = channel();
    if (!here) return;
    this.form.hidden = gated();
    const place = here.kind === "dm" ? `@${here.name}` : `#${here.name}`;
    const silent = here.can_send === false;
    const narrow = byId("chat").clientWidth < NARROW_PX;
    // Without the right to write Discord takes no commands either: both go through the same line.
    for (const control of [this.text, this.attach, this.slash, this.sendButton]) control.disabled = silent;
    this.text.placeholder = silent ? "You may not write in this channel" : narrow ? "Message or /" : `Message ${place}, or type / for commands`;
    if (this.leaf && !leafByTitle(this.leaf.title)) this.leaf.gone = true;
    if (!this.leaf && this.text.value.startsWith("/") && document.activeElement === this.text) this.#typedText();
  }

  focus() {
    (this.leaf ? (this.fields.find((field) => field.empty()) ?? this.fields[0]) : this.text)?.focus();
  }

  // Plain text and the palette ----------------------------------------------------------------------------------------

  #text() {
    this.leaf = null;
    this.fields = [];
    this.form.classList.remove("commanding");
    this.fieldsNode.replaceChildren();
    this.more.replaceChildren();
    this.commandHead.replaceChildren();
    this.hint.textContent = "";
    this.suggestions.close();
    this.#grow();
  }

  #grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, 240)}px`;
  }

  openPalette() {
    if (this.leaf) this.#text();
    this.text.value = "/";
    this.text.focus();
    this.#typedText();
  }

  #typedText() {
    this.#grow();
    const text = this.text.value;
    const extra = text.length - MAX_MESSAGE;
    this.#say(extra > 0 ? `${extra} ${extra === 1 ? "character" : "characters"} too many for one message.` : "");
    const all = leaves();
    const written = commandLine(text, all);
    if (written) this.begin(written.leaf, written.values);
    else if (text.startsWith("/") && !text.includes("\n")) this.#palette(all, text.slice(1).toLowerCase().trim());
    else this.suggestions.close();
  }

  #palette(all, typed) {
    const rank = (leaf) => {
      if (leaf.title.startsWith(typed)) return 0;
      if (leaf.title.includes(typed)) return 1;
      return leaf.description.toLowerCase().includes(typed) ? 2 : 3;
    };
    const found = all.map((leaf) => ({ leaf, rank: rank(leaf) })).filter((item) => item.rank < 3).sort((a, b) => a.rank - b.rank);
    this.suggestions.show(
      found.map(({ leaf }) => ({
        testid: "command-suggestion",
        value: leaf.title,
        node: [avatar(state.world.bot, "avatar mid"), el("span", { class: "suggest-text" }, el("span", { class: "command-name" }, `/${leaf.title}`), el("span", { class: "muted clip" }, leaf.description)), leaf.options.some((option) => option.required) ? el("span", { class: "suggest-side muted" }, leaf.options.filter((option) => option.required).map((option) => option.name).join(", ")) : null],
        pick: () => this.begin(leaf),
      })),
      { owner: this.text, title: "Commands", empty: all.length ? `No command matches “/${typed}”.` : "The bot has not registered any command for this place yet.", active: 0 },
    );
  }

  #textKey(event) {
    if (event.isComposing) return;
    if (this.suggestions.key(event, { swallowEnter: this.suggestions.owner === this.text })) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" && !this.text.value && this.last) {
      event.preventDefault();
      const leaf = leafByTitle(this.last.title);
      if (leaf) this.begin(leaf, this.last.values);
    }
  }

  // Commands -----------------------------------------------------------------------------------------------------------

  /** Opens a command with its options as fields. values: option name → text, {name, value}, boolean or upload. */
  begin(leaf, values = {}) {
    this.#text();
    this.text.value = "";
    this.leaf = leaf;
    this.form.classList.add("commanding");
    this.commandHead.replaceChildren(
      el("span", { class: "command-chip", data: { testid: "command-chip" } }, avatar(state.world.bot, "avatar tiny"), `/${leaf.title}`),
      el("span", { class: "muted clip" }, leaf.description),
      el("button", { class: "icon-button small", type: "button", "aria-label": "Leave the command", data: { testid: "leave-command" }, on: { click: () => this.leave() } }, icon("close")),
    );
    for (const option of leaf.options) {
      const given = values[option.name] !== undefined && values[option.name] !== null && values[option.name] !== "";
      if (!option.required && !given) continue;
      const field = this.#add(option);
      if (given) field.set(values[option.name]);
    }
    this.#offer();
    const first = this.fields.find((field) => field.empty()) ?? this.fields[0];
    const ready = this.fields.length > 0 && this.fields.every((field) => !field.empty());
    if (ready && matchMedia("(pointer: coarse)").matches) {
      for (const field of this.fields) field.fit?.(); // no keyboard over what is ready to be sent
    } else if (first) {
      first.focus();
      if (!first.empty() && first.control.setSelectionRange) first.control.setSelectionRange(first.control.value.length, first.control.value.length);
      for (const field of this.fields) field.fit?.();
    } else {
      this.sendButton.focus();
      this.#say("No options needed: Enter runs it.");
    }
  }

  leave() {
    this.#text();
    this.text.value = "";
    this.text.focus();
  }

  #add(option) {
    const field = createField(option, this);
    const order = this.leaf.options.indexOf(option);
    const after = this.fields.findIndex((item) => this.leaf.options.indexOf(item.option) > order);
    const at = after === -1 ? this.fields.length : after;
    this.fieldsNode.insertBefore(field.node, this.fields[at]?.node ?? null);
    this.fields.splice(at, 0, field);
    return field;
  }

  /** The options that can still be added. */
  #offer() {
    const used = new Set(this.fields.map((field) => field.option.name));
    const left = this.leaf.options.filter((option) => !used.has(option.name));
    this.more.replaceChildren(
      ...left.map((option) =>
        el(
          "button",
          {
            class: "add-option",
            type: "button",
            title: option.description,
            data: { testid: `add-option-${option.name}` },
            on: { click: () => this.addOption(option.name).focus(), focus: () => this.#describe(option) },
          },
          icon("plus"),
          option.name,
        ),
      ),
    );
    this.more.hidden = !left.length;
  }

  addOption(name) {
    const present = this.fields.find((field) => field.option.name === name);
    if (present) return present;
    const option = this.leaf.options.find((item) => item.name === name);
    const field = this.#add(option);
    this.#offer();
    return field;
  }

  #describe(option) {
    const parts = [`${option.name}: ${option.description}`];
    if (option.min_value !== undefined || option.max_value !== undefined) parts.push(`(${option.min_value ?? "…"} to ${option.max_value ?? "…"})`);
    this.#say(parts.join(" "));
  }

  #say(text, wrong = false) {
    this.hint.textContent = text;
    this.hint.classList.toggle("wrong", wrong);
  }

  // What fields call ---------------------------------------------------------------------------------------------------

  focused(field) {
    this.#describe(field.option);
    for (const item of this.fields) item.node.classList.toggle("current", item === field);
    if (this.suggestions.owner !== field) this.suggestions.close();
    if (field.suggests && (field.empty() || !field.picked)) this.#suggestFor(field, true);
  }

  blurred(field) {
    field.node.classList.remove("current");
    setTimeout(() => this.suggestions.owner === field && document.activeElement !== field.control && this.suggestions.close(), 150);
  }

  typed(field) {
    this.#say("");
    this.#describe(field.option);
    if (field.suggests) this.#suggestFor(field, false);
  }

  changed() {}

  removed(field) {
    const at = this.fields.indexOf(field);
    this.fields.splice(at, 1);
    field.node.remove();
    this.suggestions.close();
    this.#offer();
    (this.fields[at - 1] ?? this.fields[0] ?? this.sendButton).focus();
  }

  keydown(event, field) {
    if (event.isComposing) return;
    if (this.suggestions.key(event, { swallowEnter: this.suggestions.owner === this.text })) return;
    if (event.key === "Enter" && field.option.type !== TYPE.ATTACHMENT && field.option.type !== TYPE.BOOLEAN) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowDown" && field.suggests) {
      event.preventDefault();
      this.#suggestFor(field, true);
    } else if (event.key === "Backspace" && field.empty()) {
      event.preventDefault();
      if (!field.option.required) this.removed(field);
      else if (this.fields.every((item) => item.empty())) {
        this.leave();
        this.text.value = "/";
        this.#typedText();
      }
    } else if (event.key === "Escape" && this.fields.every((item) => item.empty())) {
      event.preventDefault();
      this.leave();
    }
  }

  // Suggestions ----------------------------------------------------------------------------------------------------------

  #suggestFor(field, atOnce) {
    const own = field.option.autocomplete ? null : field.ownChoices();
    if (own) {
      this.#choices(field, own, field.empty() ? -1 : 0);
      return;
    }
    this.autocomplete.ask(field, atOnce);
  }

  #choices(field, choices, active) {
    this.suggestions.show(
      choices.map((choice) => ({
        testid: "option-suggestion",
        value: choice.value,
        node: [el("span", { class: "suggest-text" }, el("span", { class: "clip-2" }, choice.name))],
        pick: () => this.#chosen(field, choice),
      })),
      { owner: field, title: field.option.name, empty: "Nothing in the list matches.", active },
    );
  }

  #chosen(field, choice) {
    const half = typeof choice.value === "string" && choice.value.endsWith("="); // "key=" goes on to its values
    field.pick(choice);
    this.suggestions.close();
    field.focus();
    if (half) this.#suggestFor(field, true);
  }

  // Sending -----------------------------------------------------------------------------------------------------------------

  #options(focused = null) {
    const options = [];
    for (const field of this.fields) {
      if (field === focused) options.push({ name: field.option.name, type: field.option.type, value: String(field.partial() ?? ""), focused: true });
      else if (!field.empty() && !field.problem()) options.push({ name: field.option.name, type: field.option.type, value: field.value() });
    }
    return this.leaf.path.reduceRight((inner, part) => [{ name: part.name, type: part.type, options: inner }], options);
  }

  submit() {
    // "/usage" and the send button, as on a phone: the command, not the words.
    const named = this.leaf ? null : leafByTitle(this.text.value.trim().replace(/^\//, "").toLowerCase());
    if (named && this.text.value.trimStart().startsWith("/")) {
      this.begin(named);
      if (named.options.some((option) => option.required)) return;
    }
    if (this.leaf) this.#submitCommand();
    else this.#submitText();
  }

  #submitCommand() {
    let first = null;
    for (const field of this.fields) {
      field.fail(field.check());
      if (field.error && !first) first = field;
    }
    if (first) {
      first.focus();
      this.suggestions.close();
      const wrong = this.fields.filter((field) => field.error).length;
      this.#say(`Not sent yet: ${wrong === 1 ? "one option needs" : `${wrong} options need`} a look.`, true);
      return;
    }
    const current = leafByTitle(this.leaf.title);
    if (!current) {
      this.#say("This command is not available here right now.", true);
      return;
    }
    const values = Object.fromEntries(this.fields.filter((field) => !field.empty()).map((field) => [field.option.name, field.remember()]));
    this.last = { title: current.title, values };
    this.send.command(current, this.#options(), values);
    this.#text();
    this.text.value = "";
    this.text.focus();
  }

  async #submitText() {
    const text = this.text.value.trim();
    if (!text && this.tray.empty) return;
    if (text.length > MAX_MESSAGE) return;
    if (this.tray.uploading) {
      this.#say("Still uploading…");
      return;
    }
    const uploaded = this.tray.take();
    this.text.value = "";
    this.#grow();
    try {
      await this.send.say(text, uploaded.map((item) => item.upload.id));
    } catch (error) {
      if (!this.text.value) this.text.value = text;
      this.tray.putBack(uploaded);
      this.#grow();
      this.#say(error.message, true);
    }
  }

  // Files --------------------------------------------------------------------------------------------------------------------

  /** A chosen, dropped or pasted file: for an attachment option of the open command, else for the message. */
  takeFile(file, optionName = null) {
    if (this.leaf) {
      const wanted = this.leaf.options.filter((option) => option.type === TYPE.ATTACHMENT);
      const named = wanted.find((option) => option.name === optionName);
      const free = wanted.find((option) => this.fields.find((field) => field.option === option)?.empty() ?? true);
      const option = named ?? free ?? wanted[0];
      if (option) this.addOption(option.name).take(file);
      else this.#say("This command takes no file.", true);
      return;
    }
    this.tray.add(file);
  }
}
