// What surrounds the messages: the channels, the head of the channel, the bot's badge, and who one is.

import { slug } from "./address.js";
import { byId, el, icon, isNarrow } from "./dom.js";
import { openMenu } from "./layers.js";
import { avatar } from "./message.js";
import { channel, state } from "./state.js";

const readOnly = (item) => item.bot_can_post === false || item.can_send === false;

export class Frame {
  /** `handlers`: go(channelId), become(personId), shown() once the head is drawn, devtoolsOpen(). */
  constructor(handlers) {
    this.handlers = handlers;
    byId("open-sidebar").append(icon("menu"));
    byId("open-sidebar").addEventListener("click", () => this.showSidebar(true));
    for (const id of ["person-switch", "person-switch-small"]) byId(id).addEventListener("click", (event) => this.#choosePerson(event.currentTarget));
  }

  drawChannels() {
    const { channels, guild } = state.world;
    const guilds = new Map([[guild?.id, { name: guild?.name ?? "Server", rows: [] }]]);
    const direct = { name: "Direct messages", rows: [] };
    for (const item of channels) {
      let group = direct;
      if (item.kind !== "dm") {
        const id = item.guild_id ?? guild?.id;
        if (!guilds.has(id)) guilds.set(id, { name: item.guild_name ?? "Another server", rows: [] });
        group = guilds.get(id);
      }
      group.rows.push(this.#channelRow(item));
    }
    byId("channels").replaceChildren(
      ...[...guilds.values(), direct]
        .filter((group) => group.rows.length)
        .flatMap((group) => [el("div", { class: "group-name" }, group.name), el("div", { class: "group" }, group.rows)]),
    );
  }

  #channelRow(item) {
    const current = item.id === state.channelId;
    const dm = item.kind === "dm";
    const kind = dm ? null : item.phone ? "phone" : readOnly(item) ? "lock" : "hash";
    return el(
      "button",
      {
        class: ["channel", current && "current", state.unread.has(item.id) && "unread"].filter(Boolean).join(" "),
        type: "button",
        "aria-current": current ? "page" : null,
        data: { testid: `channel-${item.name}`, channelId: item.id },
        on: { click: () => this.handlers.go(item.id) },
      },
      dm ? (item.bot_inside === false ? icon("dm") : avatar(state.world.bot, "avatar small")) : icon(kind),
      el("span", { class: "clip" }, item.name),
      item.nsfw ? el("span", { class: "mark", title: "Age-restricted" }, "18+") : null,
      state.unread.has(item.id) ? el("span", { class: "unseen" }, "(new messages)") : null,
    );
  }

  drawHead() {
    const here = channel();
    const framed = Boolean(here.phone) && !isNarrow();
    document.body.classList.toggle("framed", framed);
    byId("channel-name").replaceChildren(
      here.kind === "dm" ? icon("dm") : here.phone ? icon("phone") : readOnly(here) ? icon("lock") : icon("hash"),
      el("span", { class: "clip" }, here.name),
      here.nsfw ? el("span", { class: "mark", title: "Age-restricted" }, "18+") : "",
    );
    byId("channel-topic").textContent = here.topic ?? "";
    byId("channel-topic").title = here.topic ?? "";
    document.title = `${here.kind === "dm" ? "@" : "#"}${here.name} · Easel sandbox`;
    this.handlers.shown();
    this.drawBadge();
  }

  drawBadge() {
    const badge = byId("bot-badge");
    const linked = state.link === "open";
    const online = linked && Boolean(state.world?.bot.online);
    const text = !linked ? "Sandbox not reachable" : online ? "Bot online" : "Bot offline";
    badge.dataset.online = String(online);
    badge.className = `bot-badge ${online ? "on" : "off"}`;
    badge.title = text;
    badge.replaceChildren(el("span", { class: "badge-text" }, text));
  }

  drawMe() {
    const { me } = state;
    byId("person-switch").replaceChildren(
      avatar({ ...me, username: me.name }),
      el("span", { class: "me-text" }, el("span", { class: "me-name clip" }, me.name), el("span", { class: "me-about" }, me.about ?? "")),
      icon("up"),
      el("span", { class: "unseen" }, "Be somebody else"),
    );
    byId("person-switch-small").replaceChildren(avatar({ ...me, username: me.name }, "avatar small"));
  }

  showLink(link) {
    state.link = link;
    this.drawBadge();
  }

  showSidebar(open) {
    document.body.classList.toggle("sidebar-open", open);
    byId("open-sidebar").setAttribute("aria-expanded", String(open));
    if (!isNarrow()) return;
    const drawn = this.handlers.devtoolsOpen();
    byId("scrim").hidden = !open && !drawn;
    byId("stage").inert = open || drawn;
    if (open) byId("channels").querySelector("[aria-current]")?.focus({ preventScroll: true });
  }

  #choosePerson(anchor) {
    openMenu({
      anchor,
      title: "Be somebody else",
      testid: "person-menu",
      wide: true,
      items: state.world.people.map((item) => ({
        label: item.name,
        about: item.about,
        node: avatar({ ...item, username: item.name }),
        checked: item.id === state.me.id,
        testid: `person-${slug(item.name)}`,
        pick: () => {
          if (item.id === state.me.id) return;
          this.showSidebar(false);
          this.handlers.become(item.id);
        },
      })),
    });
  }
}
