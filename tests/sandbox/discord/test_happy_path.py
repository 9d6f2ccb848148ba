"""The fake Discord driven by unmodified discord.py over real sockets."""

from __future__ import annotations

import asyncio
import io

import discord
import pytest
from discord import app_commands
from PIL import Image

from sandbox.discord.gateway import Drop
from sandbox.discord.server import FakeDiscord, NotOffered
from tests.sandbox.discord.conftest import RunBot, SmallBot


def a_png(width_px: int = 8, height_px: int = 6) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), "orange").save(buffer, "PNG")
    return buffer.getvalue()


class Card(discord.ui.LayoutView):
    """A gallery and a button, like a finished picture."""

    def __init__(self, filename: str | None = None, text: str = "Done") -> None:
        super().__init__(timeout=None)
        box: discord.ui.Container[Card] = discord.ui.Container(discord.ui.TextDisplay(text))
        if filename is not None:
            item = discord.MediaGalleryItem(f"attachment://{filename}", description="an orange field")
            box.add_item(discord.ui.MediaGallery(item))
        row: discord.ui.ActionRow[Card] = discord.ui.ActionRow()
        again: discord.ui.Button[Card] = discord.ui.Button(label="Again", custom_id="small:again")
        again.callback = self.pressed  # type: ignore[assignment,method-assign]
        row.add_item(again)
        box.add_item(row)
        self.add_item(box)

    async def pressed(self, interaction: discord.Interaction[SmallBot]) -> None:
        await interaction.response.edit_message(view=Card(text="Pressed"), attachments=[])


class Question(discord.ui.Modal, title="Edit prompt"):
    prompt: discord.ui.Label[Question] = discord.ui.Label(
        text="Prompt", component=discord.ui.TextInput(custom_id="prompt", default="a cat", max_length=100)
    )

    async def on_submit(self, interaction: discord.Interaction) -> None:
        field = self.prompt.component
        assert isinstance(field, discord.ui.TextInput)
        await interaction.response.send_message(f"You wrote {field.value}", ephemeral=True)


class Choices(discord.ui.Modal, title="Choose"):
    model: discord.ui.Label[Choices] = discord.ui.Label(
        text="Model",
        component=discord.ui.Select(
            custom_id="model",
            options=[
                discord.SelectOption(label="Flux", value="flux", default=True),
                discord.SelectOption(label="Other"),
            ],
            required=False,
            min_values=0,
        ),
    )
    files: discord.ui.Label[Choices] = discord.ui.Label(
        text="Files", component=discord.ui.FileUpload(custom_id="files", required=False, min_values=0, max_values=2)
    )

    async def on_submit(self, interaction: discord.Interaction) -> None:
        model, files = self.model.component, self.files.component
        assert isinstance(model, discord.ui.Select)
        assert isinstance(files, discord.ui.FileUpload)
        await interaction.response.send_message(f"{model.values} {[one.filename for one in files.values]}")


def commands(bot: SmallBot) -> None:
    @bot.tree.command(description="Paint something")
    @app_commands.describe(prompt="What", model="Which")
    async def paint(
        interaction: discord.Interaction,
        prompt: str,
        model: str | None = None,
        picture: discord.Attachment | None = None,
        count: app_commands.Range[int, 1, 4] = 1,
    ) -> None:
        await interaction.response.defer()
        files = [discord.File(io.BytesIO(a_png()), "out.png", description="an orange field")]
        if picture is not None:
            prompt += f" from {picture.width}x{picture.height} {len(await picture.read())}"
        await interaction.edit_original_response(view=Card("out.png", f"{prompt} {model} {count}"), attachments=files)

    @paint.autocomplete("model")
    async def models(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=one, value=one) for one in ("flux", "recraft") if one.startswith(current)]

    @bot.tree.command(description="Say")
    async def say(interaction: discord.Interaction, text: str, hidden: bool = False) -> None:
        await interaction.response.send_message(text, ephemeral=hidden)
        await interaction.followup.send(f"again: {text}", ephemeral=hidden)

    @bot.tree.command(description="Ask")
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Question())

    @bot.tree.command(description="Choose")
    async def choose(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Choices())

    @bot.tree.command(description="Silence")
    async def silent(interaction: discord.Interaction) -> None: ...


async def test_a_deferred_command_ends_in_a_card_with_a_picture(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    await run_bot(commands)

    record = await fake_discord.command("ada", "general", "paint", {"prompt": "a fox", "count": 2})
    message = await record.pictures()

    assert message.data["flags"] == 1 << 15
    assert message.text() == "a fox None 2"
    gallery = next(one for one in message.components() if one["type"] == 12)
    media = gallery["items"][0]["media"]
    assert (media["width"], media["height"], media["content_type"]) == (8, 6, "image/png")
    assert gallery["items"][0]["description"] == "an orange field"
    assert message.data["attachments"] == []  # Discord lists only what no component shows
    assert fake_discord.read(message) == [a_png()]
    assert record.first_answer_s is not None
    assert record.picture_s is not None
    assert record.first_answer_s <= record.picture_s
    assert not fake_discord.refusals


async def test_an_upload_reaches_the_bot_with_its_size(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    await run_bot(commands)
    upload = fake_discord.upload("ada", "my cat.png", a_png(20, 10))

    record = await fake_discord.command("ada", "general", "paint", {"prompt": "a fox", "picture": upload})
    message = await record.pictures()

    assert message.text() == f"a fox from 20x10 {len(a_png(20, 10))} None 1"


async def test_autocomplete_answers_for_what_is_typed(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    await run_bot(commands)

    found = await fake_discord.autocomplete("ada", "general", "paint", "model", {"model": "re"})

    assert found == [{"name": "recraft", "value": "recraft"}]


async def test_a_button_updates_its_message(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    await run_bot(commands)
    record = await fake_discord.command("ada", "general", "paint", {"prompt": "a fox"})
    message = await record.pictures()

    pressed = await fake_discord.press("mo", message, "Again")
    await pressed.shown()

    assert message.text() == "Pressed"
    assert message.files == []
    assert message.data["edited_timestamp"] is not None


async def test_a_modal_comes_filled_and_goes_back(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    await run_bot(commands)
    opened = await (await fake_discord.command("nia", "general", "ask")).answered()
    assert opened.modal is not None
    assert opened.modal["title"] == "Edit prompt"

    kept = await (await fake_discord.submit_modal(opened)).shown()
    opened = await (await fake_discord.command("nia", "general", "ask")).answered()
    changed = await (await fake_discord.submit_modal(opened, {"Prompt": "a dog"})).shown()

    assert (kept.content, changed.content) == ("You wrote a cat", "You wrote a dog")


async def test_an_ephemeral_answer_is_seen_by_its_person_only(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    await run_bot(commands)

    record = await fake_discord.command("ada", "general", "say", {"text": "hush", "hidden": True})
    await record.until(lambda one: len(one.messages) == 2)

    assert [one.content for one in fake_discord.messages("general", "ada")] == ["hush", "again: hush"]
    assert fake_discord.messages("general", "mo") == []


async def test_silence_fails_after_the_deadline_and_later_answers_are_unknown(
    fake_discord: FakeDiscord, run_bot: RunBot
) -> None:
    fake_discord.interactions.answer_deadline_s = 0.05
    await run_bot(commands)

    record = await (await fake_discord.command("ada", "general", "silent")).answered()

    assert (record.state, record.failed_reason) == ("failed", "The application did not respond")


async def test_what_discord_would_not_offer_is_refused_to_the_person(
    fake_discord: FakeDiscord, run_bot: RunBot
) -> None:
    await run_bot(commands)

    with pytest.raises(NotOffered, match="prompt is required"):
        await fake_discord.command("ada", "general", "paint", {})
    with pytest.raises(NotOffered, match="from 1 to 4"):
        await fake_discord.command("ada", "general", "paint", {"prompt": "x", "count": 5})
    with pytest.raises(NotOffered, match="not registered"):
        await fake_discord.command("ada", "general", "nothing")


async def test_nothing_is_lost_when_the_gateway_drops(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    bot = await run_bot(commands)
    records = []
    ways: tuple[Drop, ...] = ("close", "abort", "reconnect")
    for how in ways:
        dropped = asyncio.create_task(fake_discord.drop_gateway(how))
        await asyncio.sleep(0)
        records += [await fake_discord.command("ada", "general", "say", {"text": f"{how} {n}"}) for n in range(3)]
        await dropped
        for record in records:
            await record.shown(8)

    assert all(one.state == "answered" for one in records)
    assert len(fake_discord.gateway.identifies) == 1
    assert fake_discord.gateway.resumes == 3
    assert bot.is_ready()


async def test_menus_and_files_of_a_modal_go_back_as_they_were_left(fake_discord: FakeDiscord, run_bot: RunBot) -> None:
    await run_bot(commands)
    files = [fake_discord.upload("nia", f"{number}.png", a_png()) for number in range(3)]
    said = []
    left: tuple[dict[str, object], ...] = ({}, {"model": []}, {"model": ["Other"], "files": files[:2]})
    for values in left:
        opened = await (await fake_discord.command("nia", "general", "choose")).answered()
        said.append((await (await fake_discord.submit_modal(opened, values)).shown()).content)
    assert said == ["['flux'] []", "[] []", "['Other'] ['0.png', '1.png']"]

    opened = await (await fake_discord.command("nia", "general", "choose")).answered()
    with pytest.raises(NotOffered):
        await fake_discord.submit_modal(opened, {"files": files})
