"""The page's API: the world as one person sees it, and what they do in it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord.server import FakeDiscord, Message, NotOffered
from sandbox.discord.wire import Permission
from tests.sandbox.discord.conftest import RunBot, SmallBot
from tests.sandbox.discord.test_happy_path import a_png, commands


class Browser:
    """One open page."""

    def __init__(self, fake_discord: FakeDiscord, session: aiohttp.ClientSession, who: str) -> None:
        self.fake_discord = fake_discord
        self.session = session
        self.person = fake_discord.person(who)
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self) -> Browser:
        url = f"{self.fake_discord.base_url}/sandbox/api/events?person={self.person.id}"
        self.socket = await self.session.ws_connect(url)
        return self

    async def world(self, since: str = "") -> Any:
        """What a page shows that has just been loaded, or one that has been open since then and was cut off."""
        url = f"{self.fake_discord.base_url}/sandbox/api/world?person={self.person.id}&since={since}"
        async with self.session.get(url) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            return await answer.json()

    async def post(self, path: str, **more: Any) -> tuple[int, Any]:
        async with self.session.post(f"{self.fake_discord.base_url}/sandbox/api/{path}", **more) as answer:
            return answer.status, await answer.json()

    async def interact(self, channel: str, **more: Any) -> str:
        where = self.fake_discord.channel(channel, self.person).id
        status, body = await self.post("interact", json={"person": self.person.id, "channel_id": where, **more})
        assert status == 200, body
        return str(body["interaction_id"])

    async def event(self, *kinds: str) -> Any:
        assert self.socket is not None
        while True:
            event = await self.socket.receive_json(timeout=5)
            if event["type"] in kinds:
                return event


@pytest.fixture
async def session(fake_discord: FakeDiscord) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as one:
        await one.get(fake_discord.page_url)
        yield one


async def test_the_world_is_what_the_person_sees(fake_discord: FakeDiscord, session: aiohttp.ClientSession) -> None:
    nia, ada = Browser(fake_discord, session, "nia"), Browser(fake_discord, session, "ada")
    fake_discord.say("ada", "dm", "between us")

    hers, other = await nia.world(), await ada.world()

    assert [one["name"] for one in hers["people"]] == ["Ada", "Mo", "Nia", "Pat"]
    assert [one["name"] for one in hers["channels"] if one["guild_id"] == hers["guild"]["id"]] == [
        "general",
        "after-dark",
        "phone",
        "read-only",
        "budget",
    ]
    assert [one["kind"] for one in hers["channels"]].count("dm") == 1
    assert {one["name"]: one["nsfw"] for one in hers["channels"]}["after-dark"]
    assert "between us" not in str(hers)
    assert "between us" in str(other)
    assert hers["bot"] == {"id": fake_discord.world.bot.id, "name": "Easel", "online": False}
    assert {"rate_limit", "gateway_drop"} <= {one["name"] for one in hers["faults"]}


async def test_a_command_goes_its_way_through_the_page(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot
) -> None:
    await run_bot(commands)
    ada = await Browser(fake_discord, session, "ada").open()
    mo = await Browser(fake_discord, session, "mo").open()
    command = next(one for one in (await ada.world())["commands"] if one["name"] == "paint")
    assert command["allowed"][fake_discord.world.general.id]

    typing = [{"name": "model", "type": 3, "value": "fl", "focused": True}]
    asked = await ada.interact("general", kind="autocomplete", command_id=command["id"], options=typing)
    assert await ada.event("autocomplete") == {
        "type": "autocomplete",
        "interaction_id": asked,
        "choices": [{"name": "flux", "value": "flux"}],
    }

    form = aiohttp.FormData()
    form.add_field("file", a_png(), filename="in.png", content_type="image/png")
    status, upload = await ada.post(upload_to(fake_discord, ada), data=form)
    assert (status, upload["width"], upload["content_type"]) == (200, 8, "image/png")
    options = [{"name": "prompt", "type": 3, "value": "a fox"}, {"name": "picture", "type": 11, "value": upload["id"]}]
    number = await ada.interact("general", kind="command", command_id=command["id"], options=options)

    loading = (await mo.event("message_create"))["message"]
    done = (await mo.event("message_update"))["message"]
    assert loading["flags"] == 128
    assert loading["interaction_metadata"]["id"] == number
    assert [(await ada.event("answered"))["interaction_id"] for _ in range(2)] == [asked, number]
    picture = next(one for one in done["components"][0]["components"] if one["type"] == 12)["items"][0]["media"]["url"]
    async with session.get(picture) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")

    pressed = {"kind": "component", "message_id": done["id"], "custom_id": "small:again", "component_type": 2}
    await mo.interact("general", **pressed)
    assert (await mo.event("message_update"))["message"]["components"][0]["components"][0]["content"] == "Pressed"


async def test_a_modal_is_shown_to_its_person_and_sent_back(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot
) -> None:
    await run_bot(commands)
    nia = await Browser(fake_discord, session, "nia").open()
    mo = await Browser(fake_discord, session, "mo").open()
    ask = fake_discord.commands.find("ask")["id"]

    number = await nia.interact("general", kind="command", command_id=ask, options=[])
    event = await nia.event("modal")
    assert event["interaction_id"] == number
    assert event["modal"]["components"][0]["component"]["value"] == "a cat"
    fields = [{"custom_id": "prompt", "type": 4, "value": "a hen"}]
    await nia.interact("general", kind="modal", modal_interaction_id=number, custom_id="x", components=fields)
    answer = (await nia.event("message_create"))["message"]
    assert (answer["content"], answer["flags"]) == ("You wrote a hen", 64)
    assert answer["interaction_metadata"]["triggering_interaction_metadata"]["name"] == "ask"

    gone = {"person": nia.person.id, "channel_id": fake_discord.world.general.id, "message_id": answer["id"]}
    assert (await nia.post("dismiss", json=gone))[0] == 200
    assert (await nia.event("message_delete"))["message_id"] == answer["id"]
    assert (await nia.world("1"))["messages"][fake_discord.world.general.id] == []
    fake_discord.say("nia", "general", "the end")
    assert (await mo.event("message_create", "modal"))["message"]["content"] == "the end"


async def test_a_private_answer_is_forgotten_by_a_page_that_is_loaded_anew(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot
) -> None:
    await run_bot(commands)
    nia, mo = Browser(fake_discord, session, "nia"), Browser(fake_discord, session, "mo")
    general = fake_discord.world.general.id

    async def shown(browser: Browser, since: str = "") -> list[str]:
        listed = (await browser.world(since))["messages"][general]
        return [one["content"] for one in listed if not one["content"].startswith("again: ")]  # the bot's follow-ups

    async def say(text: str) -> None:
        await (await fake_discord.command("nia", "general", "say", {"text": text, "hidden": True})).shown()

    await say("before")
    opened = (await nia.world())["since"]
    await say("after")
    fake_discord.say("mo", "general", "for all")

    assert await shown(nia) == ["for all"]
    assert await shown(nia, opened) == ["after", "for all"]
    assert await shown(mo, opened) == ["for all"]
    assert (await nia.world(opened))["since"] == opened
    await say("later still")
    assert await shown(nia, opened) == ["after", "for all", "later still"]
    async with session.get(f"{fake_discord.base_url}/sandbox/api/world?since=x") as answer:
        assert answer.status == 400


async def test_an_answer_to_a_button_carries_the_message_it_answers(
    fake_discord: FakeDiscord, run_bot: RunBot, session: aiohttp.ClientSession
) -> None:
    def setup(bot: SmallBot) -> None:
        class Ask(discord.ui.View):
            @discord.ui.button(label="Ask")
            async def ask(self, interaction: discord.Interaction, _button: discord.ui.Button[Ask]) -> None:
                await interaction.response.send_message("the answer")

        @bot.tree.command(description="x")
        async def post(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("the question", view=Ask())

    bot = await run_bot(setup)
    question = await (await fake_discord.command("nia", "general", "post")).shown()
    answer = await (await fake_discord.press("nia", question, "Ask")).shown()

    assert answer.data["type"] == 19
    assert answer.data["message_reference"]["message_id"] == question.id
    assert answer.data["referenced_message"]["content"] == "the question"
    seen = await bot.get_partial_messageable(int(answer.channel.id)).fetch_message(int(answer.id))
    assert isinstance(seen.reference and seen.reference.resolved, discord.Message)
    fake_discord.delete_message(question)
    shown = (await Browser(fake_discord, session, "nia").world())["messages"][fake_discord.world.general.id]
    assert [one["referenced_message"] for one in shown] == [None]


async def test_what_discords_client_does_not_send_is_not_taken_from_the_page(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot
) -> None:
    def setup(bot: SmallBot) -> None:
        commands(bot)

        @bot.tree.context_menu(name="Repeat")
        async def repeat(interaction: discord.Interaction, message: discord.Message) -> None:
            await interaction.response.send_message(message.content)

    await run_bot(setup)
    nia = Browser(fake_discord, session, "nia")
    where = {"person": nia.person.id, "channel_id": fake_discord.world.general.id}
    hidden = await (await fake_discord.command("nia", "general", "say", {"text": "hush", "hidden": True})).shown()

    assert (await nia.post("message", json=where | {"content": "🦊" * 1001}))[0] == 400
    assert (await nia.post("message", json=where | {"content": "🦊" * 1000}))[0] == 200
    uploads = [fake_discord.upload("nia", f"{number}.png", b"x")["id"] for number in range(11)]
    assert (await nia.post("message", json=where | {"uploads": uploads}))[0] == 400
    assert (await nia.post("message", json=where | {"uploads": uploads[:10]}))[0] == 200
    with pytest.raises(NotOffered, match="only one person sees"):
        await fake_discord.context_menu("nia", "general", "Repeat", hidden)
    fake_discord.world.general.overwrites[fake_discord.world.guild_id] = (0, 0, Permission.SEND_MESSAGES)
    with pytest.raises(NotOffered, match="may not write"):
        await fake_discord.command("nia", "general", "say", {"text": "hello", "hidden": True})


async def test_own_messages_are_deleted_and_others_by_a_moderator_only(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot
) -> None:
    bot = await run_bot(commands)
    nia, mo = Browser(fake_discord, session, "nia"), await Browser(fake_discord, session, "mo").open()
    hers, mine = fake_discord.say("nia", "general", "by Nia"), fake_discord.say("mo", "general", "by Mo")
    private = fake_discord.say("mo", "dm", "to the bot")
    deleted: list[int] = []

    async def on_raw_message_delete(event: discord.RawMessageDeleteEvent) -> None:
        deleted.append(event.message_id)

    bot.event(on_raw_message_delete)

    async def delete(browser: Browser, message: Message) -> tuple[int, Any]:
        where = {"channel_id": message.channel.id, "message_id": message.id}
        return await browser.post("delete", json={"person": browser.person.id, **where})

    assert (await nia.world())["can_delete"]
    status, body = await delete(nia, mine)
    assert (status, body["error"]) == (400, "You may delete your own messages only; others' take Manage Messages.")
    assert await delete(mo, hers) == (200, {})
    assert (await mo.event("message_delete"))["message_id"] == hers.id
    assert await delete(mo, hers) == (400, {"error": "That message is gone."})
    assert await delete(mo, mine) == await delete(mo, private) == (200, {})
    await fake_discord.wait_for(lambda: fake_discord.messages("general") == [])
    async with asyncio.timeout(5):
        while len(deleted) < 3:
            await asyncio.sleep(0.01)
    assert deleted == [int(one.id) for one in (hers, mine, private)]


async def test_a_moderator_deletes_the_bots_message_but_nobody_a_private_one(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot
) -> None:
    await run_bot(commands)
    mo = Browser(fake_discord, session, "mo")
    open_one = (
        await (await fake_discord.command("nia", "general", "say", {"text": "hello", "hidden": False})).shown()
    ).id
    hidden = (await (await fake_discord.command("mo", "general", "say", {"text": "hush", "hidden": True})).shown()).id
    inside = (await (await fake_discord.command("mo", "dm", "say", {"text": "hello", "hidden": False})).shown()).id

    async def delete(channel: str, message_id: str) -> tuple[int, Any]:
        where = fake_discord.channel(channel, mo.person).id
        return await mo.post("delete", json={"person": mo.person.id, "channel_id": where, "message_id": message_id})

    assert await delete("general", open_one) == (200, {})
    assert (await delete("general", hidden))[1]["error"].startswith("A message that only you see is dismissed")
    assert (await delete("dm", inside))[0] == 400


async def test_channels_say_who_may_write_there_and_where_they_are(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession
) -> None:
    ada = Browser(fake_discord, session, "ada")
    fake_discord.world.after_dark.overwrites[fake_discord.world.guild_id] = (0, 0, Permission.SEND_MESSAGES)

    channels = {one["name"]: one for one in (await ada.world())["channels"]}

    assert {name: one["bot_can_post"] for name, one in channels.items()} == {
        "general": True,
        "after-dark": False,
        "phone": True,
        "read-only": False,
        "budget": True,
        "Easel": True,
        "Pat, you": True,
        "elsewhere": True,
    }
    assert [name for name, one in channels.items() if not one["can_send"]] == ["after-dark"]
    assert channels["elsewhere"]["guild_name"] == "Neighbours' server"
    assert channels["general"]["guild_name"] == "Easel Studio"
    assert channels["Easel"]["guild_name"] is None
    where = {"person": ada.person.id, "channel_id": channels["after-dark"]["id"], "content": "hello"}
    assert await ada.post("message", json=where) == (400, {"error": "You may not write in this channel."})


async def test_what_goes_wrong_is_pushed(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot
) -> None:
    def setup(bot: SmallBot) -> None:
        @bot.tree.command(description="x")
        async def wrong(interaction: discord.Interaction) -> None:
            try:
                await interaction.response.send_message("x" * 2001)
            except discord.HTTPException:
                return

    fake_discord.interactions.answer_deadline_s = 0.3
    await run_bot(setup)
    ada = await Browser(fake_discord, session, "ada").open()

    number = await ada.interact("general", kind="command", command_id=fake_discord.commands.find("wrong")["id"])
    refused = await ada.event("refused")
    failed = await ada.event("failed")

    assert (refused["status"], refused["code"], refused["message"]) == (400, 50035, "Invalid Form Body")
    assert refused["provoked"] is False
    assert "content" in refused["errors"]["data"]
    assert refused["payload"]["data"]["content"] == "x" * 500 + "… (2,001 characters)"
    assert failed["interaction_id"] == number
    assert failed["reason"] == "The application did not respond"


@pytest.mark.parametrize("trouble", ["filter", "planned"])
async def test_what_was_switched_on_is_told_apart_from_a_fault_of_the_bot(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, run_bot: RunBot, trouble: str
) -> None:
    def setup(bot: SmallBot) -> None:
        @bot.tree.command(description="x")
        async def speak(interaction: discord.Interaction) -> None:
            try:
                await interaction.response.send_message("a griffin")
            except discord.HTTPException:
                return

    fake_discord.interactions.answer_deadline_s = 0.3
    await run_bot(setup)
    ada = await Browser(fake_discord, session, "ada").open()
    if trouble == "filter":
        fake_discord.faults.blocked_words.add("griffin")
    else:
        fake_discord.fail_next("POST", r"/callback$", 403, code=50013)

    await ada.interact("general", kind="command", command_id=fake_discord.commands.find("speak")["id"])

    refused = await ada.event("refused")
    assert (refused["code"], refused["provoked"]) == (200000 if trouble == "filter" else 50013, True)


async def test_the_page_is_told_in_a_sentence(fake_discord: FakeDiscord, session: aiohttp.ClientSession) -> None:
    nia = Browser(fake_discord, session, "nia")
    general = {"person": nia.person.id, "channel_id": fake_discord.world.general.id}

    assert await nia.post("message", json=general | {"content": " "}) == (
        400,
        {"error": "An empty message cannot be sent."},
    )
    assert (await nia.post("message", json=general | {"channel_id": fake_discord.world.elsewhere.id}))[0] == 404
    assert (await nia.post("interact", json=general | {"kind": "dance"}))[0] == 400
    assert (await nia.post("interact", json=general | {"kind": "command", "command_id": "1"}))[0] == 400
    assert (await nia.post("fault", json={"name": "weather", "value": 1}))[0] == 404
    assert (await nia.post("message", json=general, headers={"Origin": "https://example.org"}))[0] == 403
    assert (await nia.post("message", json=general, headers={"Sec-Fetch-Site": "cross-site"}))[0] == 403
    assert (await nia.post("message", json=general | {"content": "hello"}))[1]["message"]["content"] == "hello"


async def test_faults_are_switched_and_shown_to_everybody(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession
) -> None:
    done: list[object] = []

    async def act(value: object) -> None:
        done.append(value)

    fake_discord.devtools.add_action("bot_restart", "Restart", "Ends it.", act)
    mo = await Browser(fake_discord, session, "mo").open()

    status, body = await mo.post("fault", json={"name": "rate_limit", "value": True})
    shown = {one["name"]: one["value"] for one in (await mo.event("faults"))["faults"]}
    await mo.post("fault", json={"name": "bot_restart", "value": True})

    assert status == 200
    assert {one["name"]: one["value"] for one in body["faults"]}["rate_limit"] is True
    assert shown["rate_limit"] is True
    assert done == [True]


async def test_files_outside_the_page_are_not_served(fake_discord: FakeDiscord, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{fake_discord.base_url}/..%2frun.py") as answer:
        assert answer.status == 404
    async with session.get(f"{fake_discord.base_url}/nothing.js") as answer:
        assert answer.status == 404
    async with session.get(fake_discord.base_url) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"


def upload_to(fake_discord: FakeDiscord, browser: Browser, channel: str = "general") -> str:
    return f"upload?person={browser.person.id}&channel={fake_discord.channel(channel, browser.person).id}"


@pytest.mark.parametrize(("tier", "mib"), [(0, 10), (1, 10), (2, 50), (3, 100)])
async def test_boosts_of_the_server_let_larger_files_in_but_not_into_direct_messages(
    fake_discord: FakeDiscord, session: aiohttp.ClientSession, tier: int, mib: int
) -> None:
    fake_discord.world.boost_tier = tier
    ada = Browser(fake_discord, session, "ada")
    limits = {one["name"]: one["file_limit_bytes"] for one in (await ada.world())["channels"]}
    assert (limits["general"], limits["Easel"], limits["elsewhere"]) == (mib << 20, 10 << 20, 10 << 20)
    assert fake_discord.world.guild_object()["premium_tier"] == tier
    for channel, status in (("general", 200 if mib > 10 else 413), ("dm", 413)):
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(bytes((10 << 20) + 1)), filename="big.png", content_type="image/png")
        assert (await ada.post(upload_to(fake_discord, ada, channel), data=form))[0] == status


async def test_a_form_takes_what_its_fields_offer_and_nothing_else(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    def setup(bot: SmallBot) -> None:
        @bot.tree.command(description="x")
        async def form(interaction: discord.Interaction) -> None:
            await interaction.response.send_modal(Form())

    class Form(discord.ui.Modal, title="Form"):
        text: Any = discord.ui.Label(text="Text", component=discord.ui.TextInput(custom_id="text", max_length=4))
        kind: Any = discord.ui.Label(
            text="Kind",
            component=discord.ui.Select(
                custom_id="kind", max_values=2, options=[discord.SelectOption(label=one) for one in "abc"]
            ),
        )
        files: Any = discord.ui.Label(
            text="Files", component=discord.ui.FileUpload(custom_id="files", required=False, max_values=1)
        )

        async def on_submit(self, interaction: discord.Interaction) -> None:
            await interaction.response.send_message(f"{self.text.component.value} {self.kind.component.values}")

    await run_bot(setup)
    opener = await (await fake_discord.command("nia", "general", "form")).answered()
    files = [fake_discord.upload("nia", name, b"x")["id"] for name in ("a.png", "b.png")]
    good = {"text": "🦊🦊", "kind": ["a", "c"]}
    wrong: list[tuple[dict[str, object], str]] = [
        ({"text": ""}, "1 to 4 characters"),
        ({"text": "  "}, "1 to 4 characters"),
        ({"text": "🦊🦊x"}, "1 to 4 characters"),
        ({"kind": []}, "is required"),
        ({"kind": ["d"]}, "no such choice"),
        ({"kind": ["a", "b", "c"]}, "takes 1 to 2"),
        ({"kind": ["a", "a"]}, "each of its choices once"),
        ({"files": files}, "to 1"),
        ({"files": ["1"]}, "no such upload"),
    ]
    for change, why in wrong:
        with pytest.raises(NotOffered, match=why):
            await fake_discord.submit_modal(opener, good | change)
    done = await fake_discord.submit_modal(opener, good | {"files": files[:1]})
    assert (await done.shown()).content == "🦊🦊 ['a', 'c']"
