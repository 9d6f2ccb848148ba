// The page's link to the fake Discord: one world, one WebSocket, requests. It knows nothing of the screen.

const API = "/sandbox/api";
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;

export class ApiError extends Error {}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(API + path, options);
  } catch {
    throw new ApiError("The sandbox does not answer. Is it still running?");
  }
  const text = await answer.text();
  let body = {};
  try {
    body = text ? JSON.parse(text) : {};
  } catch {
    body = { message: text.slice(0, 300) };
  }
  if (!answer.ok) throw new ApiError(readError(body) ?? `The sandbox answered ${answer.status}.`);
  return body;
}

function readError(body) {
  if (typeof body.error === "string") return body.error;
  return body.message ?? body.error?.message ?? null;
}

const post = (path, body) =>
  request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/**
 * Follows one person's view. `handlers.world(world)` for every full state, `handlers.event(event)` for what comes after it,
 * `handlers.link("open" | "lost")`.
 */
export class Session {
  constructor(person, handlers) {
    this.person = person;
    this.handlers = handlers;
    this.closed = false;
    this.retryMs = FIRST_RETRY_MS;
    this.early = null; // events that came before the world they belong to
    /** The point in time from which this page has seen what only this person sees; what is older is gone with a reload. */
    this.since = null;
  }

  start() {
    if (this.closed) return;
    const query = this.person ? `?person=${encodeURIComponent(this.person)}` : "";
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${API}/events${query}`);
    this.socket = socket;
    this.early = [];
    socket.addEventListener("open", () => this.#load(socket));
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(data)));
    socket.addEventListener("close", () => this.#again(socket));
  }

  close() {
    this.closed = true;
    this.socket?.close();
  }

  async #load(socket) {
    try {
      const since = this.since ? `&since=${this.since}` : "";
      const world = await request(`/world?person=${encodeURIComponent(this.person)}${since}`);
      if (this.closed || socket !== this.socket) return;
      this.since ??= world.since;
      this.retryMs = FIRST_RETRY_MS;
      this.handlers.world(world);
      this.handlers.link("open");
      const early = this.early ?? [];
      this.early = null;
      for (const event of early) this.handlers.event(event);
    } catch (error) {
      if (!this.closed) this.handlers.error?.(error.message);
      socket.close();
    }
  }

  #take(event) {
    if (this.closed) return;
    if (this.early) this.early.push(event);
    else this.handlers.event(event);
  }

  #again(socket) {
    if (this.closed || socket !== this.socket) return;
    this.handlers.link("lost");
    setTimeout(() => this.start(), this.retryMs);
    this.retryMs = Math.min(LAST_RETRY_MS, this.retryMs * 2);
  }

  interact(channelId, interaction) {
    return post("/interact", { person: this.person, channel_id: channelId, ...interaction });
  }

  say(channelId, content, uploads) {
    return post("/message", { person: this.person, channel_id: channelId, content, uploads });
  }

  dismiss(channelId, messageId) {
    return post("/dismiss", { person: this.person, channel_id: channelId, message_id: messageId });
  }

  remove(channelId, messageId) {
    return post("/delete", { person: this.person, channel_id: channelId, message_id: messageId });
  }

  fault(name, value) {
    return post("/fault", { name, value });
  }

  upload(channelId, file) {
    const form = new FormData();
    form.append("file", file, file.name || "pasted.png");
    return request(`/upload?person=${encodeURIComponent(this.person)}&channel=${channelId}`, { method: "POST", body: form });
  }
}

/** The world before anybody is chosen: used once, to learn who there is to be. */
export function firstWorld() {
  return request("/world");
}
