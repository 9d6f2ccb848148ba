// Asking the bot for the choices of an option while it is typed. Answers to older questions are dropped.

const DELAY_MS = 150;
const LOADING_AFTER_MS = 350;

export class Autocomplete {
  #asked = 0;
  #timer = null;
  #loading = null;
  /** {field, sequence, interactionId, early}: the question that is waited for; `early` answers came before its id. */
  #waiting = null;

  /** `handlers`: ask(field) → Promise<interaction id>, choices(field, choices), note(field, text). */
  constructor(handlers) {
    this.handlers = handlers;
  }

  /** Asks after a pause in typing, or at once. */
  ask(field, atOnce) {
    clearTimeout(this.#timer);
    const sequence = ++this.#asked; // everything asked before is stale from now on
    this.#timer = setTimeout(() => this.#ask(field, sequence), atOnce ? 0 : DELAY_MS);
  }

  /** Nothing that was asked is wanted any more. */
  cancel() {
    clearTimeout(this.#timer);
    clearTimeout(this.#loading);
    this.#waiting = null;
    this.#asked += 1;
  }

  answered(interactionId, choices) {
    const waiting = this.#waiting;
    if (!waiting || waiting.sequence !== this.#asked) return;
    if (waiting.interactionId === null) {
      waiting.early.set(interactionId, choices);
      return;
    }
    if (waiting.interactionId !== interactionId) return;
    clearTimeout(this.#loading);
    this.#waiting = null;
    if (document.activeElement === waiting.field.control) this.handlers.choices(waiting.field, choices);
  }

  failed(interactionId) {
    const waiting = this.#waiting;
    if (!waiting || waiting.interactionId !== interactionId) return;
    clearTimeout(this.#loading);
    this.#waiting = null;
    this.handlers.note(waiting.field, "Loading options failed.");
  }

  async #ask(field, sequence) {
    const waiting = { field, sequence, interactionId: null, early: new Map() };
    this.#waiting = waiting;
    this.#loading = setTimeout(() => {
      if (this.#waiting === waiting && document.activeElement === field.control) this.handlers.note(field, "Looking…");
    }, LOADING_AFTER_MS);
    try {
      const id = await this.handlers.ask(field);
      if (this.#waiting !== waiting) return;
      waiting.interactionId = id;
      if (waiting.early.has(id)) this.answered(id, waiting.early.get(id));
    } catch (error) {
      if (this.#waiting === waiting) {
        clearTimeout(this.#loading);
        this.handlers.note(field, error.message);
      }
    }
  }
}
