from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cogs.conftest import CogFixture

NAME = re.compile(r"[-_'a-z0-9]{1,32}")


def tree_payload(fixture: CogFixture) -> list[dict[str, Any]]:
    return [command.to_dict(fixture.bot.tree) for command in fixture.bot.tree.get_commands()]


def every_option(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for option in node.get("options", ()):
        yield option
        yield from every_option(option)


async def test_the_commands_are_the_promised_ones(fixture: CogFixture) -> None:
    names = {command["name"] for command in tree_payload(fixture)}
    assert names == {"imagine", "compose", "models", "usage", "costs", "cancel", "settings", "help", "privacy"}
    (settings,) = [command for command in tree_payload(fixture) if command["name"] == "settings"]
    assert {option["name"] for option in settings["options"]} == {"model", "limits", "budget", "alerts", "show"}


async def test_imagine_has_every_promised_option_in_order(fixture: CogFixture) -> None:
    (imagine,) = [command for command in tree_payload(fixture) if command["name"] == "imagine"]
    promised = "prompt model size count seed negative_prompt style steps guidance image mask options"
    assert [option["name"] for option in imagine["options"]] == promised.split()
    completed = {option["name"] for option in imagine["options"] if option.get("autocomplete")}
    assert completed == {"model", "size", "style", "options"}
    assert [option["name"] for option in imagine["options"] if option["required"]] == ["prompt"]


async def test_every_command_works_installed_by_servers_and_people_and_everywhere(fixture: CogFixture) -> None:
    for command in tree_payload(fixture):
        assert set(command["integration_types"]) == {0, 1}, command["name"]
        assert set(command["contexts"]) == {0, 1, 2}, command["name"]
        assert command["default_member_permissions"] is None, command["name"]


async def test_discord_takes_the_commands(fixture: CogFixture) -> None:
    for command in tree_payload(fixture):
        assert len(json.dumps(command)) <= 8000
        for node in (command, *every_option(command)):
            assert NAME.fullmatch(node["name"]), node["name"]
            assert 1 <= len(node["description"]) <= 100, node["name"]
            assert len(node.get("options", ())) <= 25
            assert len(node.get("choices", ())) <= 25


@pytest.mark.parametrize("typed", ["", "flux", "posters", "zzzz"])
async def test_models_complete_by_name_and_by_what_they_are_good_at(fixture: CogFixture, typed: str) -> None:
    for command, option in (("imagine", "model"), ("compose", "model"), ("models", "name")):
        offered = await fixture.complete(
            command, option, {"prompt": "x", option: typed} if command == "imagine" else {option: typed}
        )
        assert len(offered) <= 25
        assert all(len(name) <= 100 and len(value) <= 100 for name, value in offered)
        assert offered or typed == "zzzz"


async def test_the_settings_complete_models_too(fixture: CogFixture) -> None:
    assert await fixture.complete("settings", "model", {"model": "z-image"}, "model")


async def test_sizes_and_styles_and_options_come_from_the_chosen_model(fixture: CogFixture) -> None:
    ratios = await fixture.complete("imagine", "size", {"prompt": "x", "model": "imagen4", "size": ""})
    assert "16:9" in [value for _, value in ratios]
    styles = await fixture.complete("imagine", "style", {"prompt": "x", "model": "recraft-v2", "style": "vector"})
    assert styles
    assert all("vector" in value for _, value in styles)
    keys = await fixture.complete("imagine", "options", {"prompt": "x", "model": "ideogram-v3", "options": "rend"})
    assert keys[0] == ("rendering_speed= · Faster and cheaper, or slower and finer.", "rendering_speed=")


async def test_a_model_without_styles_says_so_and_which_have(fixture: CogFixture) -> None:
    ((said, value),) = await fixture.complete("imagine", "style", {"prompt": "x", "model": "z-image", "style": "ani"})
    assert said == "none · Z-Image has no styles; Ideogram V3, Ideogram V2 and Recraft V2 have."
    assert value == "none"


async def test_without_a_model_the_persons_default_decides_and_a_change_shows_at_once(fixture: CogFixture) -> None:
    none = await fixture.complete("imagine", "style", {"prompt": "x", "style": ""})
    assert [value for _, value in none] == ["none"]
    await fixture.command("settings", "model", options={"model": "recraft-v2"})
    await asyncio.sleep(0)
    assert len(await fixture.complete("imagine", "style", {"prompt": "x", "style": ""})) == 25


async def test_every_completion_of_every_model_fits(fixture: CogFixture) -> None:
    for model in fixture.bot.services.catalogue.models:
        for field in ("size", "style", "options"):
            for typed in ("", "s", "16:9", "seed=3 ", "x" * 100):
                offered = await fixture.complete("imagine", field, {"prompt": "x", "model": model.key, field: typed})
                assert len(offered) <= 25
                assert all(1 <= len(name) <= 100 and 1 <= len(value) <= 100 for name, value in offered)
