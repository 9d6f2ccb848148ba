"""The page API played from recorded objects, so that the sandbox page can be worked on and tested alone.

`python -m tests.e2e.page.fake_server [port]` serves the page with a channel of examples.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from tests.e2e.page.recorded import (
    ADA,
    AFTER_DARK,
    BOT,
    COMMANDS,
    COMPONENTS_V2,
    DIRECT,
    EPHEMERAL,
    FAULTS,
    GENERAL,
    GUILD,
    LOADING,
    MO,
    MODAL,
    MODELS,
    NIA,
    PHONE,
    READ_ONLY,
    ROLES,
    Obj,
    picture,
)

PAGE = Path(__file__).resolve().parents[3] / "sandbox" / "page"


class PageFake:
    """Serves the page and its API; a test pushes events and reads what the page posted."""

    def __init__(self, *, examples: bool = False) -> None:
        self.posted: list[tuple[str, Obj]] = []
        self.uploads: dict[str, bytes] = {}
        #: What the next questions for completion wait for before they are answered.
        self.completion_gates: list[asyncio.Event] = []
        self.completions = 0
        self.picture_requests: list[str] = []
        self.hold_answers = False
        #: Channels in which nobody may write.
        self.silent: set[str] = set()
        self.last_interaction = ""
        self.messages: dict[str, list[Obj]] = {
            channel: [] for channel in (GENERAL, AFTER_DARK, READ_ONLY, PHONE, DIRECT)
        }
        self.faults = [dict(one) for one in FAULTS]
        self._sockets: dict[web.WebSocketResponse, str] = {}
        self._ids = itertools.count(900_000)
        self._now = datetime.now(UTC) - timedelta(minutes=20)
        self._tasks: set[asyncio.Task[None]] = set()
        self._examples_are_due = examples

    def forget(self) -> None:
        """As at the start, for another page."""
        for listed in self.messages.values():
            listed.clear()
        self.posted.clear()
        self.uploads.clear()
        self.faults = [dict(one) for one in FAULTS]
        self.hold_answers = False

    # ---------------------------------------------------------------- objects

    def next_id(self) -> str:
        return f"12041061{next(self._ids)}"

    def message(self, author: Obj = BOT, *, used: str | None = None, by: Obj = ADA, **fields: Any) -> Obj:
        self._now = max(self._now + timedelta(seconds=40), self._now)
        shown: Obj = {
            "id": self.next_id(),
            "type": 20 if used else 0,
            "channel_id": GENERAL,
            "author": author,
            "content": "",
            "timestamp": self._now.isoformat(),
            "edited_timestamp": None,
            "mentions": [],
            "mention_everyone": False,
            "attachments": [],
            "embeds": [],
            "components": [],
            "flags": 0,
        }
        if used:
            shown["interaction_metadata"] = {
                "id": self.next_id(),
                "type": 2,
                "user": by,
                "authorizing_integration_owners": {},
            }
            shown["interaction"] = {"id": shown["interaction_metadata"]["id"], "type": 2, "name": used, "user": by}
        return shown | fields

    def attachment(self, name: str, *, width: int = 512, height: int = 512, alt: str = "") -> Obj:
        number = self.next_id()
        url = f"/attachments/{GENERAL}/{number}/{name}?ex=1&is=1&hm=1&w={width}&h={height}"
        return {
            "id": number,
            "filename": name,
            "size": 240_000,
            "url": url,
            "proxy_url": url,
            "width": width,
            "height": height,
            "content_type": "image/png",
            "description": alt,
        }

    def result(
        self, prompt: str, count: int = 1, *, spoiler: bool = False, width: int = 512, height: int = 512, **fields: Any
    ) -> Obj:
        files = [
            self.attachment(
                f"{prompt[:12].replace(' ', '-')}-{index}.png",
                width=width,
                height=height,
                alt=f"{prompt} ({index + 1} of {count})",
            )
            for index in range(count)
        ]
        items = [
            {
                "media": {
                    "id": one["id"],
                    "url": one["url"],
                    "proxy_url": one["url"],
                    "width": width,
                    "height": height,
                    "attachment_id": one["id"],
                },
                "description": one["description"],
                "spoiler": spoiler,
            }
            for one in files
        ]
        painted_at = int(datetime.now(UTC).timestamp()) - 70
        card = {
            "type": 17,
            "id": 1,
            "accent_color": 0xEB9C5F,
            "spoiler": False,
            "components": [
                {"type": 10, "id": 2, "content": f"**FLUX.1 [schnell]** for <@{ADA['id']}>\n> {prompt}"},
                {"type": 12, "id": 3, "items": items},
                {
                    "type": 10,
                    "id": 4,
                    "content": f"-# seed `4048113` · {width}×{height} · 1.8 s · about $0.003 · <t:{painted_at}:R>",
                },
                {
                    "type": 1,
                    "id": 5,
                    "components": [
                        {"type": 2, "id": 6, "style": 1, "label": "Again", "custom_id": "easel:again:ab12cd34"},
                        {"type": 2, "id": 7, "style": 2, "label": "Edit prompt", "custom_id": "easel:edit:ab12cd34"},
                        {"type": 2, "id": 8, "style": 2, "label": "Details", "custom_id": "easel:details:ab12cd34"},
                        {"type": 2, "id": 9, "style": 4, "label": "Delete", "custom_id": "easel:delete:ab12cd34"},
                    ],
                },
            ],
        }
        return self.message(used="imagine", flags=COMPONENTS_V2, attachments=files, components=[card], **fields)

    def progress(self, prompt: str, share: int, **fields: Any) -> Obj:
        bar = "▰" * (share // 10) + "▱" * (10 - share // 10)
        card = {
            "type": 17,
            "id": 1,
            "accent_color": 0x8B7CF6,
            "spoiler": False,
            "components": [
                {"type": 10, "id": 2, "content": f"**FLUX.1 [schnell]** is painting\n> {prompt}"},
                {"type": 10, "id": 3, "content": f"`{bar}` {share} % · step {share // 4} of 25 · about 3 s left"},
                {
                    "type": 1,
                    "id": 4,
                    "components": [
                        {"type": 2, "id": 5, "style": 2, "label": "Cancel", "custom_id": "easel:cancel:ab12cd34"}
                    ],
                },
            ],
        }
        return self.message(used="imagine", flags=COMPONENTS_V2, components=[card], **fields)

    async def post_examples(self) -> None:
        """One of everything that a message can be, for a page that is open: private ones do not outlive a reload."""
        for one in self._examples():
            await self.post_message(one)

    def _examples(self) -> list[Obj]:
        text = (
            "# Heading\n## Smaller\n### Smallest\n-# Subtext below\n**bold** *italic* ***both*** __under__ ~~struck~~ "
            "`code` ||spoiler||\n"
            "> quoted\n> twice\n- one\n- two\n  - nested\n1. first\n2. second\n```py\nprint('<b>hello</b>')\n```\n"
            f"[masked](https://example.org) https://example.org/a_(b) <@{MO['id']}> <#{AFTER_DARK}> "
            "</imagine:5001> \\*escaped\\* <script>alert(1)</script>"
        )
        examples: list[Obj] = []
        say = examples.append
        say(self.message(ADA, content="hello! does this paint?"))
        say(self.message(MO, content="it does, type / and try. second line\nwith **bold**"))
        say(self.message(MO, content=text))
        say(self.result("a lighthouse keeper's cat asleep on a pile of sea charts, lamplight, oil painting"))
        say(self.result("isometric tea house in a bamboo forest after rain", 4))
        say(self.result("a wide valley at dawn, mist between the pines", 1, width=1024, height=576))
        say(self.result("three small kites over a grey sea", 3, spoiler=True))
        settings = {
            "type": 17,
            "id": 1,
            "accent_color": None,
            "spoiler": False,
            "components": [
                {"type": 10, "id": 2, "content": "### Models\nWhat each is good at."},
                {"type": 14, "id": 3, "spacing": 1, "divider": True},
                {
                    "type": 9,
                    "id": 4,
                    "components": [
                        {"type": 10, "id": 5, "content": "**Seedream 4**\nRich detail, large sizes. `$0.03` an image."}
                    ],
                    "accessory": {"type": 2, "id": 6, "style": 2, "label": "Use", "custom_id": "use:seedream"},
                },
                {
                    "type": 9,
                    "id": 7,
                    "components": [{"type": 10, "id": 8, "content": "**Imagen 4**\nPhotographs and lettering."}],
                    "accessory": {"type": 2, "id": 9, "style": 5, "label": "Page", "url": "https://example.org/imagen"},
                },
                {
                    "type": 1,
                    "id": 10,
                    "components": [
                        {
                            "type": 3,
                            "id": 11,
                            "custom_id": "pick",
                            "placeholder": "See one model",
                            "options": [
                                {"label": title.split(" · ")[0], "value": key, "description": title.split(" · ")[1]}
                                for key, title in MODELS
                            ],
                        }
                    ],
                },
            ],
        }
        say(self.message(used="models", flags=COMPONENTS_V2 | EPHEMERAL, components=[settings]))
        embed = {
            "title": "An embed",
            "description": "the older **kind**",
            "color": 0x57C785,
            "fields": [{"name": "A", "value": "1", "inline": True}, {"name": "B", "value": "2", "inline": True}],
            "footer": {"text": "footer"},
        }
        say(self.message(content="An older message", embeds=[embed], edited_timestamp=self._now.isoformat()))
        say(self.progress("an owl reading by candlelight", 40))
        say(self.message(used="usage", flags=EPHEMERAL | LOADING))
        say(self.message(MO, content="https://example.org/a and <https://example.org/b>"))
        say(self.answer_to(examples[3], content="`/imagine prompt: a cat`", flags=EPHEMERAL))
        say(self.answer_to(examples[0], content="it does"))
        say(self.message(content="", attachments=[self.attachment("notes.txt") | {"content_type": "text/plain"}]))
        vector = self.result("a poster")
        vector["attachments"][0] |= {"filename": "poster.svg", "content_type": "image/svg+xml"}
        say(vector)
        return examples

    def answer_to(self, message: Obj, **fields: Any) -> Obj:
        """What the bot posts when a button of `message` was pressed."""
        reference = {"type": 0, "channel_id": GENERAL, "message_id": message["id"]}
        return self.message(type=19, message_reference=reference, referenced_message=message, **fields)

    # ---------------------------------------------------------------- pushing

    async def push(self, what: str, **event: Any) -> None:
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": what, **event})

    async def post_message(self, message: Obj, channel: str = GENERAL) -> None:
        message = message | {"channel_id": channel}
        known = self.messages[channel]
        at = next((index for index, one in enumerate(known) if one["id"] == message["id"]), None)
        if at is None:
            known.append(message)
            await self.push("message_create", channel_id=channel, message=message)
        else:
            known[at] = message
            await self.push("message_update", channel_id=channel, message=message)

    async def drop_connections(self) -> None:
        for socket in list(self._sockets):
            await socket.close()

    # ---------------------------------------------------------------- routes

    def app(self) -> web.Application:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_get("/sandbox/api/world", self._world)
        app.router.add_get("/sandbox/api/events", self._events)
        app.router.add_post("/sandbox/api/upload", self._upload)
        app.router.add_post("/sandbox/api/{what}", self._posted)
        app.router.add_get("/attachments/{channel}/{id}/{name}", self._attachment)
        app.router.add_get("/", self._file)
        app.router.add_get("/{path:.+}", self._file)
        return app

    async def start(self, port: int = 0) -> str:
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.drop_connections()
        await self._runner.cleanup()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = PAGE / (request.match_info.get("path") or "index.html")
        return (
            web.FileResponse(path, headers={"Cache-Control": "no-cache"})
            if path.is_file()
            else web.Response(status=404)
        )

    async def _world(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "")
        me = request.query.get("person") or ADA["id"]
        people = [
            {
                "id": ADA["id"],
                "name": "Ada",
                "about": "A regular member",
                "color": "#4fa3e0",
                "roles": [],
                "permissions": "0",
            },
            {
                "id": MO["id"],
                "name": "Mo",
                "about": "A moderator: Manage Messages and Manage Server",
                "color": "#57c785",
                "roles": [],
                "permissions": str(0x2000 | 0x20),
            },
            {
                "id": NIA["id"],
                "name": "Nia",
                "about": "A newcomer without any role",
                "color": "#e07a5f",
                "roles": [],
                "permissions": "0",
            },
        ]
        rows: tuple[tuple[str, str, str, Obj], ...] = (
            (GENERAL, "general", "Paint here. Everybody sees it.", {}),
            (AFTER_DARK, "after-dark", "Age-restricted: flagged pictures are shown behind a spoiler.", {"nsfw": True}),
            (READ_ONLY, "read-only", "The bot may not post or attach here.", {"bot_can_post": False}),
            (PHONE, "phone", "The same server on a phone-sized screen.", {"phone": True}),
            (DIRECT, "Easel", "Direct messages with the bot.", {"kind": "dm"}),
        )
        channels = [
            {"id": id_, "name": name, "topic": topic, "nsfw": False, "kind": "guild", "phone": False}
            | {
                "file_limit_bytes": 1000,
                "can_send": id_ not in self.silent,
                "guild_id": None if "kind" in more else GUILD,
            }
            | more
            for id_, name, topic, more in rows
        ]
        return web.json_response(
            {
                "person": me,
                "people": people,
                "channels": channels,
                "guild": {"id": GUILD, "name": "Easel Studio", "roles": ROLES},
                "bot": {"id": BOT["id"], "name": "Easel", "online": True},
                "commands": COMMANDS,
                "messages": {
                    channel: [
                        one for one in listed if not one["flags"] & EPHEMERAL or int(one["id"]) > int(since or 1e30)
                    ]
                    for channel, listed in self.messages.items()
                },
                "since": since or self.next_id(),
                "faults": self.faults,
                "can_delete": True,
            }
        )

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[socket] = request.query.get("person", "")
        if self._examples_are_due:
            self._examples_are_due = False
            self._tasks.add(asyncio.create_task(self.post_examples()))
        for line in ("12:00:01 INFO  bot.app          started", "12:00:02 WARNING bot.fal         slow answer"):
            await socket.send_json({"type": "log", "line": line})
        try:
            async for frame in socket:
                if frame.type is WSMsgType.ERROR:
                    break
        finally:
            self._sockets.pop(socket, None)
        return socket

    async def _upload(self, request: web.Request) -> web.Response:
        field = (await request.post())["file"]
        assert isinstance(field, web.FileField)
        number = self.next_id()
        self.uploads[number] = field.file.read()
        return web.json_response(
            {
                "id": number,
                "url": f"/attachments/up/{number}/{field.filename}",
                "filename": field.filename,
                "size": len(self.uploads[number]),
                "content_type": field.content_type,
            }
        )

    async def _attachment(self, request: web.Request) -> web.Response:
        self.picture_requests.append(request.path)
        size = (int(request.query.get("w", 512)), int(request.query.get("h", 512)))
        return web.Response(
            body=await asyncio.to_thread(picture, request.match_info["name"], *size), content_type="image/png"
        )

    async def _posted(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        given: Obj = await request.json()
        self.posted.append((what, given))
        if what == "interact":
            return await self._interact(given)
        if what == "message":
            author = next(one for one in (ADA, MO, NIA) if one["id"] == given["person"])
            self._now = datetime.now(UTC)
            await self.post_message(self.message(author, content=given["content"]), given["channel_id"])
        elif what in {"dismiss", "delete"}:
            kept = [one for one in self.messages[given["channel_id"]] if one["id"] != given["message_id"]]
            self.messages[given["channel_id"]] = kept
            await self.push("message_delete", channel_id=given["channel_id"], message_id=given["message_id"])
        elif what == "fault":
            for one in self.faults:
                if one["name"] == given["name"] and one["kind"] != "action":
                    one["value"] = given["value"]
            return web.json_response({"faults": self.faults})
        return web.json_response({})

    async def _interact(self, given: Obj) -> web.Response:
        interaction = self.last_interaction = self.next_id()
        acts = {"autocomplete": self._complete, "command": self._command, "modal": self._form, "component": self._press}
        act = acts.get(given["kind"])
        if act is not None and not self.hold_answers:
            task = asyncio.create_task(act(interaction, given))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return web.json_response({"interaction_id": interaction})

    async def _complete(self, interaction: str, given: Obj) -> None:
        focused = next(one for one in given["options"] if one.get("focused"))
        typed = str(focused["value"]).lower()
        if self.completion_gates:
            await self.completion_gates.pop(0).wait()
        choices = [{"name": title, "value": key} for key, title in MODELS if typed in key or typed in title.lower()]
        if focused["name"] == "size":
            choices = [{"name": one, "value": one} for one in ("square", "16:9", "9:16", "1024x1024") if typed in one]
        await self.push("autocomplete", interaction_id=interaction, choices=choices)
        self.completions += 1

    async def _command(self, interaction: str, given: Obj) -> None:
        name = next(one["name"] for one in COMMANDS if one["id"] == given["command_id"])
        self._now = datetime.now(UTC)
        meta = {"id": interaction, "type": 2, "user": ADA, "authorizing_integration_owners": {}}
        if name == "compose":
            await self.push("modal", interaction_id=interaction, channel_id=given["channel_id"], modal=MODAL)
            await self.push("answered", interaction_id=interaction)
        elif name == "silent":
            await self.push(
                "failed",
                interaction_id=interaction,
                channel_id=given["channel_id"],
                reason="The application did not respond",
            )
        elif name == "imagine":
            prompt = next(one["value"] for one in given["options"] if one["name"] == "prompt")
            first = self.message(used="imagine", flags=LOADING)
            first |= {
                "interaction_metadata": meta,
                "interaction": {"id": interaction, "type": 2, "name": "imagine", "user": ADA},
            }
            await self.post_message(first, given["channel_id"])
            same = {key: first[key] for key in ("id", "interaction_metadata", "interaction", "timestamp")}
            for share in (20, 60, 90):
                await asyncio.sleep(0.15)
                await self.post_message(self.progress(prompt, share) | same, given["channel_id"])
            await asyncio.sleep(0.15)
            await self.post_message(self.result(prompt) | same, given["channel_id"])
        else:
            await self.post_message(
                self.message(
                    used=name, flags=EPHEMERAL, content=f"`{json.dumps(given['options'])}`", interaction_metadata=meta
                ),
                given["channel_id"],
            )

    async def _form(self, interaction: str, given: Obj) -> None:
        await self.push("answered", interaction_id=interaction)

    async def _press(self, interaction: str, given: Obj) -> None:
        await asyncio.sleep(0.1)
        await self.push("answered", interaction_id=interaction)


async def _serve(port: int) -> None:
    fake = PageFake(examples=True)
    print(await fake.start(port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8799))
