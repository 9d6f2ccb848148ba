"""Values for the tests of cards and commands, and Discord's limits as checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import discord

from bot.catalogue.model import Model, Option, OptionKind, Output, Price
from bot.domain.job import Actor, Job, JobState, Reply
from bot.domain.request import GenerationRequest, Json

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

MODEL = Model(
    endpoint="fal-ai/flux-1/schnell",
    key="flux-schnell",
    title="FLUX.1 schnell",
    summary="Quick sketches of nearly anything",
    typical_s=2,
    options=(
        Option("prompt", OptionKind.TEXT, "What to paint", required=True),
        Option(
            "image_size",
            OptionKind.SIZE,
            "Size",
            default="landscape_4_3",
            choices=("square", "landscape_4_3"),
            alias="size",
        ),
        Option("num_inference_steps", OptionKind.INTEGER, "Steps", default=4, minimum=1, maximum=12, alias="steps"),
        Option("seed", OptionKind.INTEGER, "Seed", alias="seed"),
        Option("num_images", OptionKind.INTEGER, "Pictures", default=1, minimum=1, maximum=4, alias="count"),
        Option("acceleration", OptionKind.CHOICE, "Speed", default="none", choices=("none", "regular", "high")),
    ),
    output=Output("image", seed=True, has_nsfw_concepts=True),
    price=Price(Decimal("0.003"), "megapixel", "high"),
    size_option="image_size",
)

#: Prompts that people really send, and some that people send on purpose.
NASTY = {
    "backticks": "`" * 4000,
    "zalgo": "Z" + "\u0301\u0302\u0303\u0304\u0305" * 600 + "algo",
    "mentions": "@everyone @here <@123> <@&456> <#789> </imagine:1> <t:1:R> <:x:1> " * 40,
    "right to left": "שלום עולם \u202edlrow olleh\u202c مرحبا " * 90,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪" * 300,
    "markdown": "# big\n> quote\n>>> all\n- item\n1. one\n-# small\n**b** __u__ ~~s~~ ||spoiler|| [x](https://evil.example)\n"
    * 20,
    "invisible": "\u200b\u200c\u200d\u2060\ufeff\u3164\u115f\u00ad" * 300,
    "fence": "```\nend\n```" * 300,
    "links": "https://evil.example/x?y=1 http://a.b discord.gg/abc steam://run/1 " * 50,
    "newlines": "a\n\n\n" * 1000,
    "ordinary": "a lighthouse in a storm, oil painting, warm light from the windows",
}


def a_request(prompt: str = "a lighthouse", **options: Json) -> GenerationRequest:
    given = tuple(options)
    held: Mapping[str, Json] = {"image_size": "landscape_4_3", "num_inference_steps": 4, "seed": 7, **options}
    return GenerationRequest(MODEL.endpoint, prompt, held, given, 1, (1024, 768), Decimal("0.003"))


def a_job(prompt: str = "a lighthouse", *, request: GenerationRequest | None = None, **changes: Any) -> Job:
    job = Job(
        id="0a1b2c3d4e5f",
        state=JobState.QUEUED,
        fence=0,
        actor=Actor(user_id=11, channel_id=22, guild_id=33),
        reply=Reply(44, 55, "token", NOW + timedelta(minutes=15)),
        request=request or a_request(prompt),
        parent_id=None,
        created_at=NOW,
    )
    return replace(job, **changes)


class PostedMessage:
    """Components as they stand in a message that was posted long ago."""

    def __init__(self, custom_id: str) -> None:
        self._custom_id = custom_id

    def to_components(self) -> list[dict[str, Any]]:
        component: dict[str, Any] = {"type": 2, "style": 2, "label": "Old", "custom_id": self._custom_id}
        if self._custom_id.startswith("easel-menu:"):
            options = [{"label": "Old", "value": "hidream"}]
            component = {"type": 3, "custom_id": self._custom_id, "options": options}
        return [{"type": 17, "components": [{"type": 1, "components": [component]}]}]


def payload(view: Any) -> Any:
    """What is sent to Discord for a view."""
    return view.to_components()


def parts(components: Any) -> Iterator[dict[str, Any]]:
    """Every component of a payload, nested ones too."""
    for component in components:
        yield component
        yield from parts(component.get("components", ()))
        yield from parts([component[name] for name in ("component", "accessory") if name in component])


def shown_text(view: discord.ui.LayoutView) -> str:
    return "\n".join(part["content"] for part in parts(payload(view)) if part["type"] == 10)


def custom_ids(view: discord.ui.LayoutView) -> list[str]:
    return [part["custom_id"] for part in parts(payload(view)) if "custom_id" in part]


def units(text: str | None) -> int:
    """The length in UTF-16, by which Discord may count; it is never less than that in code points."""
    return len((text or "").encode("utf-16-le", "surrogatepass")) // 2


def check_card(view: discord.ui.LayoutView) -> None:
    """Assert Discord's limits for a Components V2 message."""
    components = list(parts(payload(view)))
    assert len(components) <= 40
    assert sum(units(part["content"]) for part in components if part["type"] == 10) <= 4000
    ids = [part["custom_id"] for part in components if "custom_id" in part]
    assert len(ids) == len(set(ids))
    assert all(1 <= units(custom_id) <= 100 for custom_id in ids)
    for part in components:
        _check_part(part)


def _check_part(part: dict[str, Any]) -> None:
    match part["type"]:
        case 1 | 17:
            assert part["components"]
            assert part["type"] == 17 or len(part["components"]) <= 5
        case 2:
            assert 1 <= units(part["label"]) <= 80
        case 3:
            assert 1 <= len(part["options"]) <= 25
            assert units(part.get("placeholder")) <= 150
            for option in part["options"]:
                assert 1 <= units(option["label"]) <= 100
                assert 1 <= units(option["value"]) <= 100
                assert units(option.get("description")) <= 100
        case 4:
            assert units(part.get("value")) <= part["max_length"] <= 4000
            assert units(part.get("placeholder")) <= 100
        case 10:
            assert part["content"].strip()
        case 12:
            assert 1 <= len(part["items"]) <= 10
            assert all(units(item.get("description")) <= 1024 for item in part["items"])
        case 18:
            assert 1 <= units(part["label"]) <= 45
            assert units(part.get("description")) <= 100
        case _:
            assert part["type"] in (13, 19)
