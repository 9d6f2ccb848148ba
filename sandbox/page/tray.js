// Files of a chat message that is being written.

import { el, icon } from "./dom.js";
import { state } from "./state.js";

export class UploadTray {
  #items = []; // {file, upload, error}

  constructor() {
    this.node = el("div", { class: "tray" });
  }

  get empty() {
    return !this.#items.length;
  }

  get uploading() {
    return this.#items.some((item) => !item.upload && !item.error);
  }

  /** Uploads a file at once and shows it. */
  add(file) {
    const item = { file, upload: null, error: null };
    this.#items.push(item);
    this.#draw();
    state.session.upload(file).then(
      (upload) => (item.upload = upload),
      (error) => (item.error = error.message),
    ).finally(() => this.#draw());
  }

  /** Takes everything out; what was uploaded is returned, to be sent or put back. */
  take() {
    const uploaded = this.#items.filter((item) => item.upload);
    this.#items = [];
    this.#draw();
    return uploaded;
  }

  putBack(items) {
    this.#items = items;
    this.#draw();
  }

  #draw() {
    this.node.replaceChildren(
      ...this.#items.map((item) =>
        el(
          "div",
          { class: `tray-item${item.error ? " wrong" : ""}` },
          icon("file"),
          el("span", { class: "clip" }, item.error ?? `${item.file.name}${item.upload ? "" : " · uploading…"}`),
          el("button", { class: "icon-button small", type: "button", "aria-label": `Remove ${item.file.name}`, on: { click: () => this.#remove(item) } }, icon("close")),
        ),
      ),
    );
  }

  #remove(item) {
    this.#items = this.#items.filter((other) => other !== item);
    this.#draw();
  }
}
