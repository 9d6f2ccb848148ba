// A form the bot opened. It stays open, with what was typed, until the bot has answered.

import { el, fileSize, icon } from "./dom.js";
import { entityChoices } from "./choices.js";
import { markdown } from "./markdown.js";
import { openLayer } from "./layers.js";
import { mdContext } from "./message.js";
import { state, uiOf } from "./state.js";

/** submit(components) → Promise. The caller calls `.done()` or `.fail(text)` when the bot's answer is known. */
export class Modal {
  constructor(modal, submit) {
    this.modal = modal;
    this.submit = submit;
    this.fields = [];
    this.busy = false;
    this.error = el("div", { class: "modal-error", role: "alert", data: { testid: "modal-error" } });
    this.send = el("button", { class: "button primary", type: "submit", data: { testid: "modal-submit" } }, "Submit");
    const cancel = el("button", { class: "button ghost", type: "button", data: { testid: "modal-cancel" }, on: { click: () => this.close() } }, "Cancel");
    const form = el(
      "form",
      { class: "modal-form", novalidate: true },
      el(
        "header",
        { class: "modal-head" },
        el("img", { src: "icon.svg", alt: "", width: 28, height: 28 }),
        el("h2", { id: "modal-title" }, modal.title),
        el("button", { class: "icon-button", type: "button", "aria-label": "Close", on: { click: () => this.close() } }, icon("close")),
      ),
      el("div", { class: "modal-body" }, (modal.components ?? []).map((item) => this.#component(item))),
      this.error,
      el("footer", { class: "modal-foot" }, cancel, this.send),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    const first = this.fields[0]?.control ?? this.send;
    const dialog = el("div", { class: "modal", role: "dialog", "aria-modal": "true", "aria-labelledby": "modal-title", data: { testid: "modal" } }, form);
    this.closeLayer = openLayer(dialog, { className: "layer-dialog dim", canClose: () => !this.busy, focus: first });
    if (first.setSelectionRange && first.value) first.setSelectionRange(first.value.length, first.value.length);
    for (const field of this.fields) field.fit?.();
  }

  #component(item) {
    if (item.type === 1) return (item.components ?? []).map((inner) => this.#field(inner, inner.label ?? "", null));
    if (item.type === 18) return this.#field(item.component, item.label, item.description);
    if (item.type === 10) {
      return el("div", { class: "md modal-text" }, markdown(item.content, mdContext({}, uiOf("modal"), "modal")));
    }
    return el("div", { class: "note" }, `(a component of type ${item.type}, which this page does not draw)`);
  }

  #field(item, label, description) {
    const id = `modal-${item.custom_id}`;
    const maker = FIELDS[item.type] ?? unknown;
    const field = maker(item, id);
    field.item = item;
    field.note = el("div", { class: "field-error", role: "alert", id: `${id}-error`, data: { testid: `modal-error-${item.custom_id}` } });
    this.fields.push(field);
    const required = item.required !== false && item.type !== 23;
    // A label names one control; several of them together are named by reference.
    const name = { class: "modal-label", id: `${id}-name`, for: field.named ? null : id };
    field.named?.setAttribute("aria-labelledby", `${id}-name${field.named === field.control ? ` ${field.control.id}` : ""}`);
    (field.named ?? field.control).setAttribute("aria-describedby", [description && `${id}-about`, `${id}-error`].filter(Boolean).join(" "));
    return el(
      "div",
      { class: "modal-field", data: { testid: `modal-field-${item.custom_id}` } },
      el(field.named ? "div" : "label", name, label, required ? el("span", { class: "required", title: "Required" }, "*") : null),
      description ? el("div", { class: "modal-about", id: `${id}-about` }, description) : null,
      field.node,
      field.note,
    );
  }

  async #submit() {
    if (this.busy) return;
    let first = null;
    for (const field of this.fields) {
      const problem = field.problem();
      field.note.textContent = problem ?? "";
      field.control.setAttribute("aria-invalid", problem ? "true" : "false");
      if (problem) first ??= field;
    }
    if (first) {
      first.control.focus();
      return;
    }
    this.#busy(true);
    this.error.textContent = "";
    try {
      await this.submit(this.fields.map((field) => ({ type: field.item.type, custom_id: field.item.custom_id, ...field.answer() })));
    } catch (error) {
      this.fail(error.message);
    }
  }

  #busy(on) {
    this.busy = on;
    this.send.classList.toggle("busy", on);
    this.send.setAttribute("aria-busy", String(on));
  }

  done() {
    this.#busy(false);
    this.close();
  }

  fail(text) {
    this.#busy(false);
    this.error.replaceChildren(icon("alert"), el("span", {}, text));
  }

  close() {
    this.closeLayer();
  }
}

const FIELDS = { 4: textInput, 3: select, 5: choice, 6: choice, 7: choice, 8: choice, 19: fileUpload, 21: choice, 22: choice, 23: checkbox };

function unknown(item) {
  const node = el("div", { class: "note" }, `(a field of type ${item.type}, which this page does not draw)`);
  return { node, control: node, problem: () => null, answer: () => ({}) };
}

function textInput(item, id) {
  const long = item.style === 2;
  const control = el(long ? "textarea" : "input", {
    class: "modal-input",
    id,
    type: long ? null : "text",
    rows: long ? 4 : null,
    placeholder: item.placeholder,
    "aria-required": item.required !== false ? "true" : null,
    data: { testid: `modal-input-${item.custom_id}` },
  });
  control.value = item.value ?? "";
  const max = item.max_length ?? 4000;
  const count = el("span", { class: "counter", "aria-hidden": "true" });
  const fit = () => {
    const { length } = control.value; // UTF-16 units, the larger of the two ways to count
    count.textContent = long || length > max * 0.8 ? `${length} / ${max}` : "";
    count.classList.toggle("wrong", length > max);
    if (!long) return;
    control.style.height = "auto";
    control.style.height = `${Math.min(Math.max(control.scrollHeight + 2, 104), 320)}px`;
  };
  control.addEventListener("input", fit);
  return {
    node: el("div", { class: "modal-input-holder" }, control, count),
    control,
    fit,
    problem: () => {
      const { length } = control.value;
      const characters = [...control.value].length;
      if (!control.value.trim()) return item.required === false ? null : "This field is required.";
      if (item.min_length && characters < item.min_length) return `At least ${item.min_length} characters (now ${characters}).`;
      if (length > max) return `At most ${max} characters (now ${length}).`;
      return null;
    },
    answer: () => ({ value: control.value }),
  };
}

/** A menu. One of its choices is chosen from a list that opens, and can be taken back where none is needed. */
function select(item, id) {
  if ((item.max_values ?? 1) > 1) return choice(item, id);
  const needed = item.required !== false;
  const options = item.options ?? [];
  const control = el(
    "select",
    { class: "modal-input modal-select", id, "aria-required": needed ? "true" : null, data: { testid: `modal-input-${item.custom_id}` } },
    el("option", { value: "", disabled: needed, hidden: needed }, item.placeholder || "Select…"),
    options.map((option) => el("option", { value: option.value }, option.label)),
  );
  const about = el("div", { class: "modal-about modal-chosen" });
  const show = () => (about.textContent = options.find((option) => option.value === control.value)?.description ?? "");
  control.value = options.find((option) => option.default)?.value ?? "";
  control.addEventListener("change", show);
  show();
  return {
    node: el("div", { class: "modal-input-holder" }, control, icon("down"), about),
    control,
    problem: () => (needed && !control.value ? "Choose one." : null),
    answer: () => ({ values: control.value ? [control.value] : [] }),
  };
}

/** Menus of which several may be chosen, person and channel selects, radio and checkbox groups: a list to tick. */
function choice(item, id) {
  const preset = new Set((item.default_values ?? []).map((one) => one.id));
  const options = item.options ?? entityChoices(item.type, item.channel_types).map((one) => ({ ...one, default: preset.has(one.value) }));
  const max = item.type === 21 ? 1 : (item.max_values ?? (item.type === 22 ? options.length : 1));
  const min = item.required === false ? 0 : (item.min_values ?? 1);
  const single = max === 1;
  const boxes = options.map((option, index) => {
    const box = el("input", { type: single ? "radio" : "checkbox", name: `modal-choice-${item.custom_id}`, value: option.value, id: index ? `${id}-${index}` : id, data: { testid: `modal-choice-${item.custom_id}` } });
    box.checked = Boolean(option.default);
    return box;
  });
  const node = el(
    "div",
    { class: "choices", role: single ? "radiogroup" : "group", data: { testid: `modal-input-${item.custom_id}` } },
    options.map((option, index) =>
      el("label", { class: "choice" }, boxes[index], el("span", { class: "choice-mark", "aria-hidden": "true" }, icon("check")), el("span", { class: "menu-text" }, el("span", { class: "menu-label" }, option.label), option.description ? el("span", { class: "menu-about" }, option.description) : null)),
    ),
  );
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  return {
    node,
    named: node,
    control: boxes[0] ?? node,
    problem: () => {
      const count = chosen().length;
      if (count === 0 && item.required === false) return null;
      if (count < min) return single ? "Choose one." : `Choose at least ${min === 1 ? "one" : min}.`;
      return count > max ? `Choose at most ${max}.` : null;
    },
    answer: () => (item.type === 21 ? { value: chosen()[0] ?? null } : { values: chosen() }),
  };
}

function checkbox(item, id) {
  const control = el("input", { type: "checkbox", id, data: { testid: `modal-input-${item.custom_id}` } });
  control.checked = Boolean(item.default);
  return { node: el("label", { class: "choice" }, control, el("span", { class: "choice-mark", "aria-hidden": "true" }, icon("check")), "Yes"), control, problem: () => null, answer: () => ({ value: control.checked }) };
}

function fileUpload(item, id) {
  const max = item.max_values ?? 1;
  const min = item.required === false ? 0 : (item.min_values ?? 1);
  let uploads = [];
  let busy = 0;
  let failure = null;
  const input = el("input", { type: "file", class: "unseen", id, multiple: max > 1, tabindex: -1, "aria-hidden": "true", data: { testid: `modal-input-${item.custom_id}` } });
  const list = el("div", { class: "upload-list" });
  const draw = () =>
    list.replaceChildren(
      ...uploads.map((upload) =>
        el("div", { class: "tray-item" }, icon("file"), el("span", { class: "clip" }, `${upload.filename} · ${fileSize(upload.size)}`), el("button", { class: "icon-button small", type: "button", "aria-label": `Remove ${upload.filename}`, on: { click: () => { uploads = uploads.filter((other) => other !== upload); draw(); } } }, icon("close"))),
      ),
      ...(busy ? [el("div", { class: "muted" }, "Uploading…")] : []),
      ...(failure ? [el("div", { class: "field-error" }, failure)] : []),
    );
  const take = async (files) => {
    for (const file of [...files].slice(0, max - uploads.length)) {
      busy += 1;
      failure = null;
      draw();
      try {
        uploads = [...uploads, await state.session.upload(state.channelId, file)];
      } catch (error) {
        failure = error.message;
      }
      busy -= 1;
      draw();
    }
    input.value = "";
  };
  input.addEventListener("change", () => take(input.files));
  const pick = el("button", { class: "drop", type: "button", id: `${id}-pick`, on: { click: () => input.click() } }, icon("image"), el("span", {}, max > 1 ? `Choose or drop up to ${max} files` : "Choose or drop a file"));
  const node = el("div", { class: "upload" }, input, pick, list);
  node.addEventListener("dragover", (event) => event.preventDefault());
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    take(event.dataTransfer.files);
  });
  return {
    node,
    named: pick,
    control: pick,
    problem: () => {
      if (busy) return "Still uploading.";
      if (uploads.length < min) return min === 1 ? "A file is required." : `At least ${min} files.`;
      return null;
    },
    answer: () => ({ values: uploads.map((upload) => upload.id) }),
  };
}
