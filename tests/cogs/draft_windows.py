"""Refused requests, their buttons and windows, as tests of drafts use them."""

from __future__ import annotations

from typing import Any

import discord

from sandbox.discord import validate
from tests.cogs.conftest import CogFixture
from tests.cogs.values import PostedMessage, parts

OTHER = 12
CAT = {
    "id": "5",
    "filename": "cat.png",
    "size": 900,
    "url": "https://cdn.discordapp.com/ephemeral-attachments/1/5/cat.png?ex=7fffffff&is=1&hm=2",
    "proxy_url": "https://media.discordapp.net/ephemeral-attachments/1/5/cat.png?ex=7fffffff&is=1&hm=2",
    "content_type": "image/png",
    "width": 640,
    "height": 480,
}
MASK = {**CAT, "id": "6", "filename": "mask.png", "url": str(CAT["url"]).replace("cat", "mask")}
OTHER_MASK = str(CAT["url"]).replace("cat", "other")
PDF = {**CAT, "id": "7", "filename": "a.pdf", "content_type": "application/pdf"}


async def imagine(fixture: CogFixture, files: tuple[dict[str, Any], ...] = (), **options: Any) -> Any:
    """/imagine with what is typed and attached; a file is named by its id."""
    resolved = {"resolved": {"attachments": {one["id"]: one for one in files}}} if files else {}
    return await fixture.command("imagine", options={"prompt": "a fox", **options}, data=resolved)


def buttons_of(interaction: Any) -> dict[str, str]:
    """custom_id by label of what stands under a sentence; a menu by its placeholder."""
    call = interaction.response.send_message.call_args
    view = call.kwargs.get("view") if call is not None else None
    if not isinstance(view, discord.ui.View):
        return {}
    found = [part for part in parts(view.to_components()) if "custom_id" in part]
    return {str(part.get("label") or part.get("placeholder")): part["custom_id"] for part in found}


def menu_of(interaction: Any) -> list[str]:
    """The models to go on with."""
    view = interaction.response.send_message.call_args.kwargs["view"]
    return [one["value"] for part in parts(view.to_components()) for one in part.get("options", ())]


async def press(fixture: CogFixture, refused: Any, label: str, *values: str, **where: Any) -> Any:
    custom_id = buttons_of(refused)[label]
    return await fixture.click(PostedMessage(custom_id), custom_id, values, **where)


def window_of(interaction: Any) -> dict[str, Any]:
    form: dict[str, Any] = interaction.response.send_modal.call_args.args[0].to_dict()
    validate.modal(form)
    return form


def filled(form: dict[str, Any]) -> dict[str, Any]:
    """What a window shows, by field: the text, what is chosen, or whether a file is needed."""
    shown = {}
    for part in (label["component"] for label in form["components"]):
        chosen = [one["value"] for one in part.get("options", ()) if one.get("default")]
        shown[part["custom_id"]] = part["required"] if part["type"] == 19 else part.get("value") or ",".join(chosen)
    return shown


async def send(fixture: CogFixture, form: dict[str, Any], files: Any = None, **changes: str) -> Any:
    """Send a window as it is filled, but for what is changed."""
    texts: dict[str, Any] = {}
    for part in (label["component"] for label in form["components"]):
        name = part["custom_id"]
        if part["type"] != 19:
            value = changes.get(name, filled(form)[name])
            texts[name] = (value,) if part["type"] == 3 and value else () if part["type"] == 3 else value
    return await fixture.submit(form["custom_id"], texts, files)
