"""Mentions become words before a model sees them."""

from __future__ import annotations

import re

from bot.catalogue import Catalogue
from bot.catalogue.mentions import as_words, with_names
from tests.catalogue.parsing import each, refused, request
from tests.english import english

NAMES = {"@123": "Ada Lovelace", "@&5": "Night Owls", "#7": "general"}


@each(
    ("typed", "named"),
    [
        ("<@123> on a boat", "Ada Lovelace on a boat"),
        ("<@!123> on a boat", "Ada Lovelace on a boat"),
        ("<@&5> in <#7>", "Night Owls in general"),
        ("see https://discord.com/channels/1/7", "see general"),
        ("<@99> stays", "<@99> stays"),
    ],
)
def test_who_is_known_is_named(typed: str, named: str) -> None:
    assert with_names(typed, NAMES) == named


@each(
    ("typed", "words"),
    [
        ("<@99>, <@!99>, <@&99> and <#99>", "someone, someone, a group and a channel"),
        ("a <:red_panda:1> and a <a:blobcat:22>", "a red_panda and a blobcat"),
        (
            "at <t:1700000000:t>, <t:1700000000:d>, <t:1700000000>",
            "at 22:13, 14 November 2023, 14 November 2023, 22:13",
        ),
        ("<t:9999999999999:R>", "some time"),
        ("</imagine:1> and </settings limits:22>", "/imagine and /settings limits"),
        ("<id:customize>, <id:guide>, <id:linked-roles:5>", "Channels & Roles, Server Guide, Linked Roles"),
        ("https://discord.com/channels/1/2/3 and https://ptb.discord.com/channels/@me/2", "a message and a channel"),
        ("a < b, <3, <not@a:mention>", "a < b, <3, <not@a:mention>"),
    ],
)
def test_the_rest_becomes_plain_words(typed: str, words: str) -> None:
    assert as_words(typed) == words
    assert not re.search(r"\d{5}", as_words(typed))


@each("name", ['Eve" seed=5', "a=b, c=d", "<@1>", "{}[];", "x --ar 16:9", "back\\slash`tick"])
def test_a_name_is_no_syntax(catalogue: Catalogue, name: str) -> None:
    options = with_names('negative_prompt="<@123>" steps=12', {"@123": name})
    assert request(catalogue, "z-image", options=options).given == ("negative_prompt", "num_inference_steps")
    assert request(catalogue, "z-image", prompt=with_names("a cat <@123>", {"@123": name})).given == ()


def test_no_text_that_reaches_fal_holds_an_id(catalogue: Catalogue) -> None:
    typed = "<@123456> <@&123456> <#123456> <:fox:123456> <t:1700000000:R> </imagine:123456> <id:home>"
    placed = request(catalogue, "z-image", prompt=typed, negative_prompt=typed)
    inside = request(catalogue, "z-image", options={"negative_prompt": typed})
    style = request(catalogue, "recraft-v2", options={"style_id": typed})
    for text in (
        placed.prompt,
        *map(str, (*placed.options.values(), *inside.options.values(), *style.options.values())),
    ):
        assert "123456" not in text
        assert "1700000000" not in text


def test_mentions_alone_are_nothing_to_paint(catalogue: Catalogue) -> None:
    assert "nothing to paint" in english(refused(catalogue, "flux-schnell", prompt="<@123> <#5>"))
