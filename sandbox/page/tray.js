// Files of a chat message that is being written.

import { el, fileSize, icon } from "./dom.js";
import { toast } from "./layers.js";
import { channel, state } from "./state.js";

const MOST_FILES = 10;

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

  /** Uploads a file at once and shows it, unless there are too many or it is too large. */
  add(file) {
    if (this.#items.length >= MOST_FILES) {
      toast(`Discord takes at most ${MOST_FILES} files in a message.`, "bad");
      return;
    }
    const limit = channel()?.file_limit_bytes;
    if (limit && file.size > limit) {
      toast(`${file.name} has ${fileSize(file.size)}; Discord takes at most ${fileSize(limit)}.`, "bad");
      return;
    }
    const item = { file, upload: null, error: null };
    this.#items.push(item);
    this.#draw();
    state.session.upload(state.channelId, file).then(
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
