// Interactions on their way: sent, answered, failed; the commands still shown as being sent; the components in use.

import { state, uiOf } from "./state.js";

export const NO_ANSWER = "The application did not respond";
const MAX_EARLY = 100;

export class Interactions {
  /** interaction id → {done(), fail(text), lost()}; an outcome that comes before its id is known waits in #early. */
  #waiting = new Map();
  #early = new Map();
  #pendingNumber = 0;

  constructor(list) {
    this.list = list;
  }

  /** Somebody else is at the page. */
  clear() {
    this.#waiting.clear();
    this.#early.clear();
  }

  /** The connection broke: what was on its way will not be reported any more. */
  lost() {
    for (const [, item] of this.#waiting) item.lost?.();
    this.#waiting.clear();
  }

  /** Sends an interaction and calls one of `ends`: done(), fail(text), lost(). */
  async send(interaction, ends) {
    const { session, channelId } = state;
    try {
      const { interaction_id: id } = await session.interact(channelId, interaction);
      if (session !== state.session) return;
      this.#waiting.set(id, ends);
      const outcome = this.#early.get(id);
      this.#early.delete(id);
      if (outcome) this.resolve(id, outcome);
    } catch (error) {
      ends.fail(error.message);
    }
  }

  /** The bot answered, or failed to: `outcome` is {} or {failed: text}. */
  resolve(interactionId, outcome) {
    const ends = this.#waiting.get(interactionId);
    if (!ends) {
      this.#early.set(interactionId, outcome);
      if (this.#early.size > MAX_EARLY) this.#early.delete(this.#early.keys().next().value);
      return;
    }
    this.#waiting.delete(interactionId);
    if (outcome.failed) ends.fail(outcome.failed);
    else ends.done();
  }

  /** Sends a command and shows it as pending until it is answered; `retry` is {title, values} to begin it again. */
  track(title, interaction, retry = null) {
    const item = { key: `pending:${++this.#pendingNumber}`, channelId: state.channelId, title, error: null, retry };
    state.pending.push(item);
    this.list.toBottom();
    this.list.refresh();
    const drop = () => {
      state.pending = state.pending.filter((other) => other !== item);
      this.list.refresh();
    };
    this.send(interaction, {
      done: drop,
      lost: drop,
      fail: (text) => {
        item.error = text;
        this.list.refresh();
      },
    });
  }

  /** Presses a button or chooses in a select, once at a time. */
  press(messageId, component, values) {
    const ui = uiOf(messageId);
    if (ui.busy.has(component.custom_id)) return;
    ui.busy.add(component.custom_id);
    ui.failure = null;
    this.list.touch(messageId);
    const end = (failure) => {
      ui.busy.delete(component.custom_id);
      ui.failure = failure;
      this.list.touch(messageId);
    };
    this.send(
      { kind: "component", message_id: messageId, custom_id: component.custom_id, component_type: component.type, ...(values ? { values } : {}) },
      { done: () => end(null), fail: (text) => end(text === NO_ANSWER ? "This interaction failed: the application did not respond." : text) },
    );
  }
}
