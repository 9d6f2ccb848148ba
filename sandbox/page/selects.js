// Select menus of messages: of one choice, and of several.

import { entityChoices } from "./choices.js";
import { el, icon } from "./dom.js";
import { openLayer, openMenu, placeMenu, walkMenu } from "./layers.js";

/** Opens the choices of a select; `choose(values)` is called with what was chosen. */
export function openSelect(component, anchor, choose) {
  const preset = new Set((component.default_values ?? []).map((item) => item.id));
  const options = component.options ?? entityChoices(component.type, component.channel_types).map((item) => ({ ...item, default: preset.has(item.value) }));
  const max = Math.min(component.max_values ?? 1, options.length);
  if (max > 1 || component.min_values === 0) {
    openMultiSelect(component, options, max, anchor, choose);
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
      pick: () => choose([option.value]),
    })),
  });
}

function openMultiSelect(component, options, max, anchor, choose) {
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
  const title = `${component.placeholder ?? "Choose"} (${min === max ? max : `${min}–${max}`})`;
  const list = el("div", { class: "menu-list", role: "listbox", "aria-multiselectable": "true", "aria-label": title }, rows);
  const menu = el("div", { class: "menu", role: "dialog", "aria-modal": "true", "aria-label": title, data: { testid: "menu" } }, el("div", { class: "menu-title", "aria-hidden": "true" }, title), list, el("div", { class: "menu-foot" }, done));
  menu.addEventListener("keydown", (event) => walkMenu(event, list));
  const close = openLayer(menu, { className: "layer-menu", focus: rows[0] });
  done.addEventListener("click", () => {
    close();
    choose(options.map((option) => option.value).filter((value) => chosen.has(value)));
  });
  placeMenu(menu, anchor, null);
}
