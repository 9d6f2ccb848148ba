"""Discord's own rules: codes, tokens, nonces, permissions, limits."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord.interactions import InteractionRecord
from sandbox.discord.server import FakeDiscord, NotOffered
from sandbox.discord.wire import ChannelType, Permission
from tests.sandbox.discord.conftest import RunBot, SmallBot

V2 = 1 << 15


class Raw:
    """A client that may misbehave."""

    def __init__(self, fake_discord: FakeDiscord, session: aiohttp.ClientSession) -> None:
        self.fake_discord = fake_discord
        self.session = session

    async def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bot {token or self.fake_discord.token}"}
        async with self.session.request(method, self.fake_discord.api_url + path, headers=headers, **more) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def answer(self, record: InteractionRecord, **body: Any) -> tuple[int, Any]:
        path = f"/interactions/{record.id}/{record.token}/callback?with_response=true"
        return await self.call("POST", path, json=body)

    def hook(self, record: InteractionRecord, rest: str = "") -> str:
        return f"/webhooks/{self.fake_discord.world.application_id}/{record.token}{rest}"

    def start(self, who: str = "ada", where: str = "general") -> InteractionRecord:
        person = self.fake_discord.person(who)
        data = {"id": "1", "name": "x", "type": 1}
        return self.fake_discord.interactions.start(
            ChannelType.COMMAND, person, self.fake_discord.channel(where, person), data, name="x"
        )


@pytest.fixture
async def raw(fake_discord: FakeDiscord) -> AsyncIterator[Raw]:
    async with aiohttp.ClientSession() as session:
        yield Raw(fake_discord, session)


# ---------------------------------------------------------------------- interactions and their tokens


async def test_an_interaction_is_answered_once(raw: Raw) -> None:
    record = raw.start()

    status, body = await raw.answer(record, type=4, data={"content": "hi"})
    again = await raw.answer(record, type=4, data={"content": "hi"})

    assert status == 200
    assert body["resource"]["message"]["content"] == "hi"
    assert body["interaction"]["response_message_id"] == record.message.id
    assert (again[0], again[1]["code"]) == (400, 40060)


async def test_a_late_or_foreign_answer_is_unknown(fake_discord: FakeDiscord, raw: Raw) -> None:
    fake_discord.interactions.answer_deadline_s = 0.01
    record = raw.start()
    await record.answered()

    late = await raw.answer(record, type=5)
    record.token = "another"  # only the copy of the test
    foreign = await raw.answer(record, type=5)

    assert (late[0], late[1]["code"]) == (404, 10062)
    assert foreign[1]["code"] == 10062


async def test_an_invalid_answer_leaves_the_interaction_open(raw: Raw) -> None:
    record = raw.start()

    bad = await raw.answer(record, type=4, data={"content": "x" * 2001})
    wrong_kind = await raw.answer(record, type=8, data={"choices": []})
    good = await raw.answer(record, type=4, data={"content": "x"})

    assert bad[1]["errors"]["data"]["content"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"
    assert wrong_kind[1]["errors"]["type"]["_errors"][0]["code"] == "BASE_TYPE_CHOICES"
    assert good[0] == 200


async def test_nothing_can_follow_before_the_first_answer(raw: Raw) -> None:
    record = raw.start()

    status, body = await raw.call("POST", raw.hook(record), json={"content": "x"})

    assert (status, body["code"]) == (404, 10015)


async def test_a_dead_token_answers_50027(fake_discord: FakeDiscord, raw: Raw) -> None:
    killed, old = raw.start(), raw.start()
    for record in (killed, old):
        await raw.answer(record, type=4, data={"content": "x"})
    fake_discord.kill_token(killed)

    status, body = await raw.call("PATCH", raw.hook(killed, "/messages/@original"), json={"content": "y"})
    assert (status, body["code"]) == (401, 50027)

    assert (await raw.call("GET", raw.hook(old, "/messages/@original")))[0] == 200
    fake_discord.advance(15 * 60 + 1)
    assert (await raw.call("GET", raw.hook(old, "/messages/@original")))[1]["code"] == 50027
    assert killed.message.content == "x"


async def test_the_first_followup_after_a_defer_becomes_the_answer(raw: Raw) -> None:
    record = raw.start()
    await raw.answer(record, type=5, data={"flags": 64 | V2})
    assert record.message.flags == 64 | 128  # a deferred answer takes the ephemeral flag alone

    _, first = await raw.call("POST", raw.hook(record), json={"content": "done"})
    _, second = await raw.call("POST", raw.hook(record), json={"content": "more"})

    assert first["id"] == record.message.id
    assert first["flags"] == 64
    assert second["id"] != first["id"]
    assert second["message_reference"]["message_id"] == first["id"]


async def test_a_deleted_answer_cannot_be_edited(raw: Raw) -> None:
    record = raw.start()
    await raw.answer(record, type=4, data={"content": "x"})

    assert (await raw.call("DELETE", raw.hook(record, "/messages/@original")))[0] == 204
    status, body = await raw.call("PATCH", raw.hook(record, "/messages/@original"), json={"content": "y"})

    assert (status, body["code"]) == (404, 10008)


async def test_outside_the_server_five_followups_are_the_end(fake_discord: FakeDiscord, raw: Raw) -> None:
    record = raw.start("ada", "elsewhere")
    await raw.answer(record, type=4, data={"content": "x"})

    codes = [(await raw.call("POST", raw.hook(record), json={"content": str(n)}))[1].get("code") for n in range(6)]

    assert codes == [None] * 5 + [40094]
    assert record.payload["authorizing_integration_owners"] == {"1": fake_discord.world.ada.id}
    path = f"/channels/{fake_discord.world.elsewhere.id}/messages"
    assert (await raw.call("POST", path, json={"content": "x"}))[1]["code"] == 50001


async def test_interactions_carry_what_discord_sends(fake_discord: FakeDiscord, raw: Raw) -> None:
    in_guild, in_dm, in_group = raw.start("mo"), raw.start("mo", "dm"), raw.start("ada", "group")

    assert int(in_guild.payload["member"]["permissions"]) & Permission.MANAGE_GUILD
    assert in_guild.payload["guild"]["id"] == in_guild.payload["guild_id"] == fake_discord.world.guild_id
    assert in_guild.payload["authorizing_integration_owners"] == {"0": fake_discord.world.guild_id}
    assert [one.payload["context"] for one in (in_guild, in_dm, in_group)] == [0, 1, 2]
    assert "member" not in in_dm.payload
    assert in_dm.payload["user"]["id"] == fake_discord.world.mo.id
    assert in_group.payload["channel"]["type"] == 3
    always = {"id", "token", "version", "locale", "app_permissions", "entitlements", "attachment_size_limit", "channel"}
    assert always <= in_guild.payload.keys()


# ---------------------------------------------------------------------- messages and permissions


async def test_the_same_nonce_posts_once(fake_discord: FakeDiscord, raw: Raw) -> None:
    path = f"/channels/{fake_discord.world.general.id}/messages"
    body = {"content": "x", "nonce": "job-1", "enforce_nonce": True}

    _, first = await raw.call("POST", path, json=body)
    _, second = await raw.call("POST", path, json=body)
    _, elsewhere = await raw.call("POST", f"/channels/{fake_discord.world.phone.id}/messages", json=body)
    assert first["id"] == second["id"] != elsewhere["id"]
    assert len(fake_discord.messages("general")) == 1

    fake_discord.delete_message(fake_discord.messages("general")[0])
    assert (await raw.call("POST", path, json=body))[1]["code"] == 10008
    fake_discord.advance(301)
    assert (await raw.call("POST", path, json=body))[0] == 200


async def test_what_the_bot_may_not_do_is_forbidden(fake_discord: FakeDiscord, raw: Raw) -> None:
    read_only = f"/channels/{fake_discord.world.read_only.id}/messages"
    general = f"/channels/{fake_discord.world.general.id}/messages"
    fake_discord.deny_bot("phone", Permission.ATTACH_FILES)
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("files[0]", b"x", filename="a.txt")
    theirs = fake_discord.say("ada", "general", "mine")

    assert (await raw.call("POST", read_only, json={"content": "x"}))[1]["code"] == 50013
    assert (await raw.call("POST", f"/channels/{fake_discord.world.phone.id}/messages", data=form))[1]["code"] == 50013
    assert (await raw.call("PATCH", f"{general}/{theirs.id}", json={"content": "x"}))[1]["code"] == 50005
    _, own = await raw.call("POST", general, json={"content": "x"})
    fake_discord.remove_bot_from_channel("general")
    assert (await raw.call("PATCH", f"{general}/{own['id']}", json={"content": "y"}))[1]["code"] == 50001
    fake_discord.let_bot_into_channel("general")
    assert (await raw.call("PATCH", f"{general}/{own['id']}", json={"content": "y"}))[0] == 200
    assert (await raw.call("GET", "/channels/1"))[1]["code"] == 10003
    assert (await raw.call("GET", f"{general}/1"))[1]["code"] == 10008
    assert (await raw.call("GET", "/users/@me", token="wrong"))[0] == 401
    assert fake_discord.counters.invalid_requests == 5
    assert len(fake_discord.refusals) == 7


async def test_old_messages_take_few_edits(fake_discord: FakeDiscord, raw: Raw) -> None:
    fake_discord.message_store.edits_of_old_messages_per_hour = 2
    path = f"/channels/{fake_discord.world.general.id}/messages"
    _, message = await raw.call("POST", path, json={"content": "x"})
    fake_discord.advance(3601)

    answers = [await raw.call("PATCH", f"{path}/{message['id']}", json={"content": str(n)}) for n in range(3)]

    assert [status for status, _ in answers] == [200, 200, 429]
    assert answers[-1][1]["code"] == 30046


async def test_an_edit_drops_the_files_it_does_not_list(fake_discord: FakeDiscord, raw: Raw) -> None:
    def form(payload: str, **files: bytes) -> aiohttp.FormData:
        one = aiohttp.FormData(quote_fields=False)
        one.add_field("payload_json", payload)
        for index, (name, body) in enumerate(files.items()):
            one.add_field(f"files[{index}]", body, filename=f"{name}.txt")
        return one

    path = f"/channels/{fake_discord.world.general.id}/messages"
    _, made = await raw.call("POST", path, data=form('{"attachments":[{"id":0},{"id":1}]}', a=b"A", b=b"BB"))
    kept = made["attachments"][1]["id"]
    message = fake_discord.message_store.messages[made["id"]]

    body = form(f'{{"attachments":[{{"id":"{kept}"}},{{"id":0,"filename":"c d.txt"}}]}}', c=b"C")
    _, edited = await raw.call("PATCH", f"{path}/{made['id']}", data=body)

    assert [one["filename"] for one in edited["attachments"]] == ["b.txt", "c_d.txt"]
    assert fake_discord.read(message) == [b"BB", b"C"]
    status, _ = await raw.call("PATCH", f"{path}/{made['id']}", json={"attachments": [{"id": "5"}]})
    assert status == 400
    await raw.call("PATCH", f"{path}/{made['id']}", json={"content": "x"})
    assert len(message.files) == 2


async def test_a_file_that_no_component_shows_is_noticed(fake_discord: FakeDiscord, raw: Raw) -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", '{"flags":32768,"components":[{"type":10,"content":"look"}]}')
    form.add_field("files[0]", b"x", filename="a.png")

    status, message = await raw.call("POST", f"/channels/{fake_discord.world.general.id}/messages", data=form)

    assert status == 200
    assert [one["filename"] for one in message["attachments"]] == ["a.png"] == list(fake_discord.unseen_files)


async def test_embeds_take_their_picture_out_of_the_attachments(fake_discord: FakeDiscord, raw: Raw) -> None:
    form = aiohttp.FormData(quote_fields=False)
    embeds = '[{"title":"t","image":{"url":"attachment://a.txt"}},{"image":{"url":"attachment://missing.png"}}]'
    form.add_field("payload_json", f'{{"embeds":{embeds}}}')
    form.add_field("files[0]", b"x", filename="a.txt")

    _, message = await raw.call("POST", f"/channels/{fake_discord.world.general.id}/messages", data=form)

    assert message["attachments"] == []
    assert message["embeds"][0]["image"]["url"].startswith(fake_discord.base_url)


async def test_a_request_above_the_limit_is_too_large(fake_discord: FakeDiscord, raw: Raw) -> None:
    form = aiohttp.FormData(quote_fields=False)
    for index in range(3):
        form.add_field(f"files[{index}]", io.BytesIO(bytes(9 * 1024 * 1024)), filename="a.bin")

    status, body = await raw.call("POST", f"/channels/{fake_discord.world.general.id}/messages", data=form)

    assert (status, body["code"]) == (413, 40005)


async def test_links_expire_and_a_refetch_renews_them(fake_discord: FakeDiscord, raw: Raw) -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("files[0]", b"hello", filename="a.txt")
    path = f"/channels/{fake_discord.world.general.id}/messages"
    _, message = await raw.call("POST", path, data=form)

    async def fetch(url: str) -> int:
        async with raw.session.get(url) as answer:
            return answer.status

    url = message["attachments"][0]["url"]
    assert await fetch(url) == 200
    assert await fetch(url.replace("hm=", "hm=0")) == 404
    fake_discord.advance(25 * 3600)
    assert await fetch(url) == 404
    _, fresh = await raw.call("GET", f"{path}/{message['id']}")
    assert await fetch(fresh["attachments"][0]["url"]) == 200


async def test_only_allowed_mentions_ping(fake_discord: FakeDiscord, raw: Raw) -> None:
    path = f"/channels/{fake_discord.world.general.id}/messages"
    text = f"<@{fake_discord.world.ada.id}> <@{fake_discord.world.mo.id}> @everyone"

    _, loud = await raw.call("POST", path, json={"content": text})
    _, quiet = await raw.call("POST", path, json={"content": text, "allowed_mentions": {"parse": []}})
    only = {"parse": [], "users": [fake_discord.world.mo.id]}
    _, one = await raw.call("POST", path, json={"content": text, "allowed_mentions": only})

    assert ([len(each["mentions"]) for each in (loud, quiet, one)], loud["mention_everyone"]) == ([2, 0, 1], True)
    assert not quiet["mention_everyone"]


# ---------------------------------------------------------------------- commands


async def test_commands_are_offered_to_those_who_may_use_them(fake_discord: FakeDiscord, raw: Raw) -> None:
    base = f"/applications/{fake_discord.world.application_id}/commands"
    listed = [
        {"name": "all", "description": "x", "contexts": [0, 1, 2], "integration_types": [0, 1]},
        {"name": "staff", "description": "x", "default_member_permissions": str(Permission.MANAGE_GUILD)},
        {"name": "adult", "description": "x", "nsfw": True, "contexts": [0]},
    ]
    _, first = await raw.call("PUT", base, json=listed)
    _, second = await raw.call("PUT", base, json=listed)
    assert [(one["id"], one["version"]) for one in first] == [(one["id"], one["version"]) for one in second]

    def where(who: str, name: str) -> set[str]:
        person = fake_discord.person(who)
        command = fake_discord.commands.find(name)
        channels = [
            one for one in fake_discord.world.channels.values() if fake_discord.world.person_can_see(person, one)
        ]
        return {
            one.kind if one.kind != "guild" else one.name
            for one in channels
            if not fake_discord.commands.why_not(command, person, one)
        }

    assert where("nia", "all") == {"general", "after-dark", "phone", "read-only", "budget", "dm"}
    assert where("ada", "all") == {"general", "after-dark", "phone", "read-only", "budget", "dm", "group", "elsewhere"}
    assert where("mo", "staff") == {"general", "after-dark", "phone", "read-only", "budget", "dm"}
    assert where("ada", "staff") == {"dm"}
    assert where("ada", "adult") == {"after-dark"}
    with pytest.raises(NotOffered, match="lack the permissions"):
        await fake_discord.command("ada", "general", "staff")


# ---------------------------------------------------------------------- with discord.py


async def test_discord_py_reads_the_refusal(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    caught: list[discord.HTTPException] = []

    def setup(bot: SmallBot) -> None:
        @bot.tree.command(description="x")
        async def wrong(interaction: discord.Interaction) -> None:
            view = discord.ui.View()
            view.add_item(discord.ui.Button(label="one", custom_id="same"))
            view.add_item(discord.ui.Button(label="two", custom_id="same"))
            try:
                await interaction.response.send_message("x" * 2001, view=view)
            except discord.HTTPException as error:
                caught.append(error)
            await interaction.response.send_message("fine")

    await run_bot(setup)
    record = await fake_discord.command("ada", "general", "wrong")
    await record.shown()

    assert (caught[0].status, caught[0].code) == (400, 50035)
    assert "data.content" in caught[0].text
    assert "custom_id: Component custom id cannot be duplicated" in caught[0].text
    assert fake_discord.refusals[0].code == 50035
    assert "…" in fake_discord.refusals[0].path


async def test_discord_py_posts_edits_and_deletes_in_channels(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    bot = await run_bot(lambda _bot: None)
    channel = bot.get_channel(int(fake_discord.world.general.id))
    assert isinstance(channel, discord.TextChannel)
    assert channel.permissions_for(channel.guild.me).attach_files
    assert not bot.get_channel(int(fake_discord.world.read_only.id)).permissions_for(channel.guild.me).send_messages  # type: ignore[union-attr]

    first = await channel.send("one", nonce="abc")
    second = await channel.send("one", nonce="abc", file=discord.File(io.BytesIO(b"x"), "x.txt"))
    await first.edit(content="two")
    history = [one.content async for one in channel.history(limit=10)]
    dm = await (await bot.fetch_user(int(fake_discord.world.nia.id))).send("psst")

    assert first.id == second.id
    assert history == ["two"]
    assert dm.channel.id == int(fake_discord.world.dm(fake_discord.world.nia.id).id)
    await first.delete()
    assert fake_discord.messages("general") == []
    with pytest.raises(discord.NotFound):
        await first.edit(content="three")


async def test_discord_py_obeys_the_rate_limits(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    bot = await run_bot(lambda _bot: None)
    channel = bot.get_partial_messageable(int(fake_discord.world.general.id))
    await channel.send("learns the bucket")
    fake_discord.set_rate_limit(2, 0.2, method="POST", path="/messages$")

    began_s = time.monotonic()
    for number in range(5):
        await channel.send(str(number))

    assert time.monotonic() - began_s > 0.3
    assert fake_discord.counters.rate_limited == 0  # it waited by itself


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_discord_py_waits_out_a_429(fake_discord: FakeDiscord, run_bot: RunBot, scope: Any) -> None:
    bot = await run_bot(lambda _bot: None)
    fake_discord.set_rate_limit(0, 0.1, scope=scope, path="/messages$").retry_after_s = 0.05

    sending = asyncio.create_task(bot.get_partial_messageable(int(fake_discord.world.general.id)).send("x"))
    while not fake_discord.counters.rate_limited:
        await asyncio.sleep(0.01)
    fake_discord.clear_faults()

    assert (await sending).content == "x"


async def test_a_cloudflare_ban_is_an_error_at_once(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    bot = await run_bot(lambda _bot: None)
    fake_discord.set_rate_limit(0, 60, scope="cloudflare", path="/messages$")

    with pytest.raises(discord.HTTPException) as caught:
        await bot.get_partial_messageable(int(fake_discord.world.general.id)).send("x")

    assert caught.value.status == 429


async def test_a_lost_answer_leaves_the_message_behind(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    bot = await run_bot(lambda _bot: None)
    channel = bot.get_partial_messageable(int(fake_discord.world.general.id))
    fake_discord.fail_next("POST", "/messages$", drop=True, after=True)
    fake_discord.fail_next("POST", "/messages$", drop=True)

    for _ in range(2):
        with pytest.raises((aiohttp.ClientError, OSError)):
            await channel.send("x", nonce="n")
    message = await channel.send("x", nonce="n")

    assert [one.id for one in fake_discord.messages("general")] == [str(message.id)]


async def test_a_wrong_token_is_refused(fake_discord: FakeDiscord, pointed: None) -> None:
    async with discord.Client(intents=discord.Intents.none()) as client:
        with pytest.raises(discord.LoginFailure):
            await client.start("wrong")

    async with aiohttp.ClientSession() as session, session.ws_connect(fake_discord.gateway_url) as socket:
        await socket.receive_json()
        await socket.send_json({"op": 2, "d": {"token": "wrong", "intents": 0, "properties": {}}})
        closed = await socket.receive()
    assert closed.data == 4004


class Socket:
    """A gateway client without a library."""

    def __init__(self, fake_discord: FakeDiscord, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.fake_discord = fake_discord
        self.socket = socket

    async def next(self) -> Any:
        return await self.socket.receive_json(timeout=5)

    async def identify(self, *shard: int) -> Any:
        assert (await self.next())["op"] == 10
        given = {"token": self.fake_discord.token, "intents": 1, "properties": {}, "shard": list(shard) or [0, 1]}
        await self.socket.send_json({"op": 2, "d": given})
        return (await self.next())["d"]


@pytest.fixture
async def socket(fake_discord: FakeDiscord) -> AsyncIterator[Callable[[], Awaitable[Socket]]]:
    async with aiohttp.ClientSession() as session:

        async def connect() -> Socket:
            return Socket(fake_discord, await session.ws_connect(fake_discord.gateway_url))

        yield connect


Connect = Callable[[], Awaitable[Socket]]


async def test_heartbeats_are_answered(socket: Connect) -> None:
    client = await socket()
    await client.identify()
    assert (await client.next())["t"] == "GUILD_CREATE"

    await client.socket.send_json({"op": 1, "d": 2})

    assert (await client.next())["op"] == 11


async def test_a_resume_replays_exactly_what_was_missed(fake_discord: FakeDiscord, raw: Raw, socket: Connect) -> None:
    client = await socket()
    ready = await client.identify()
    seen = raw.start()
    assert [(await client.next())["s"] for _ in range(2)] == [2, 3]  # GUILD_CREATE and the interaction
    await fake_discord.drop_gateway("abort")
    missed = [raw.start(), raw.start()]

    again = await socket()
    await again.next()
    given = {"token": fake_discord.token, "session_id": ready["session_id"], "seq": 3}
    await again.socket.send_json({"op": 6, "d": given})
    events = [await again.next() for _ in range(3)]

    assert [one["s"] for one in events] == [4, 5, 6]
    assert [one["d"]["id"] for one in events[:2]] == [one.id for one in missed]
    assert events[2]["t"] == "RESUMED"
    assert seen.id not in {one["d"].get("id") for one in events}
    assert (fake_discord.gateway.resumes, len(fake_discord.gateway.identifies)) == (1, 1)


async def test_a_session_that_is_gone_cannot_be_resumed(fake_discord: FakeDiscord, socket: Connect) -> None:
    client = await socket()
    ready = await client.identify()
    await client.next()
    await fake_discord.drop_gateway("invalid")
    told = await client.next()

    again = await socket()
    await again.next()
    await again.socket.send_json(
        {"op": 6, "d": {"token": fake_discord.token, "session_id": ready["session_id"], "seq": 2}}
    )

    assert told == await again.next() == {"op": 9, "d": False}
    await again.socket.close()
    limit = fake_discord.gateway.session_start_limit()
    assert (limit["total"], limit["remaining"]) == (1000, 999)


async def test_a_session_is_forgotten_after_its_time(fake_discord: FakeDiscord, raw: Raw, socket: Connect) -> None:
    client = await socket()
    await client.identify()
    await fake_discord.drop_gateway("abort")

    fake_discord.advance(fake_discord.gateway.session_lifetime_s + 1)
    raw.start()

    assert fake_discord.gateway.sessions == {}


async def test_shards_get_only_their_events(fake_discord: FakeDiscord, raw: Raw, socket: Connect) -> None:
    clients = [await socket(), await socket()]
    ready = [await client.identify(number, 2) for number, client in enumerate(clients)]
    mine = (int(fake_discord.world.guild_id) >> 22) % 2
    assert [len(one["guilds"]) for one in ready] == [int(number == mine) for number in range(2)]
    assert (await clients[mine].next())["t"] == "GUILD_CREATE"

    in_guild, in_dm = raw.start("ada", "general"), raw.start("ada", "dm")
    wanted = {mine: [in_guild.id], 0: [in_dm.id]} if mine else {0: [in_guild.id, in_dm.id]}

    for number, ids in wanted.items():
        assert [(await clients[number].next())["d"]["id"] for _ in ids] == ids


async def test_text_of_people_needs_the_content_intent(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    bot = await run_bot(lambda _bot: None)
    fake_discord.say("ada", "general", "secret")
    fake_discord.say("ada", "dm", "open")
    while len(bot.seen) < 2:
        await asyncio.sleep(0.01)

    assert [one.content for _, one in bot.seen if isinstance(one, discord.Message)] == ["", "open"]


async def test_an_event_can_come_twice(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    runs: list[int] = []

    def setup(bot: SmallBot) -> None:
        @bot.tree.command(description="x")
        async def count(interaction: discord.Interaction) -> None:
            runs.append(interaction.id)
            if len(runs) == 1:
                await interaction.response.send_message("once")

    await run_bot(setup)
    record = await fake_discord.command("ada", "general", "count")
    await record.shown()
    fake_discord.deliver_twice(record)
    await asyncio.sleep(0.05)

    assert runs == [int(record.id)] * 2
