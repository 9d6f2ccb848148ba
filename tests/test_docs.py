"""README, CONTRIBUTING and config.example.toml agree with the code; `make docs` regenerates the generated parts."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from discord.ext import commands

from bot.catalogue import load
from bot.cli.check.discord_api import NEEDED_PERMISSIONS
from bot.cli.check.report import examine
from bot.discord.client import COGS
from bot.domain.job import Actor
from bot.domain.money import Cost
from bot.limits import Allowed, Refused, Usage, decide, policy_for
from bot.settings import ModelSettings, Settings, example_toml, load_settings
from cogs.ui.messages import ENGLISH, say
from sandbox import run as sandbox_run
from tests.buttons import RESULT_BUTTONS
from tests.resilience.__main__ import PROOFS
from tools import docs, sentences

ROOT = docs.ROOT
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def block(name: str, language: str) -> str:
    """The code inside a marked part of the README."""
    found = re.search(rf"<!-- {name} -->\n```{language}\n(.*?)```\n<!-- /{name} -->", README, re.DOTALL)
    assert found is not None, f"README.md has no {language} block between <!-- {name} --> marks"
    return found[1]


@pytest.mark.parametrize("page", docs.SECTIONS)
def test_a_page_holds_what_comes_from_the_code_as_it_is(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert docs.filled(page, text) == text, "run `make docs`"


def test_the_readme_counts_the_models_right() -> None:
    assert f"one of {len(load(has_openai_key=True).models)} models" in README


def test_config_example_holds_the_settings_as_they_are() -> None:
    assert (ROOT / "config.example.toml").read_text("utf-8") == example_toml(), "run `make docs`"


def test_the_install_link_asks_for_what_the_check_demands() -> None:
    assert f"scope=bot+applications.commands&permissions={NEEDED_PERMISSIONS.value}`" in README


def test_the_model_in_the_readme_can_be_added_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "flux-dev.toml").write_text(block("own-model", "toml"))

    catalogue = load(folder=tmp_path)

    assert catalogue.get("flux-dev").endpoint == "fal-ai/flux/dev"


def test_the_limits_in_the_readme_are_the_defaults() -> None:
    tier, limits = Settings().limits.default, Settings().limits
    options = (option for model in load().models for option in model.options if option.alias == "count")
    ((most, _),) = Counter(int(option.maximum or 0) for option in options).most_common(1)

    readme = " ".join(README.split())
    assert (
        f"for {tier.burst_images} images at once (over several requests: most models take a `count` of up to {most}). "
        f"Their turns come back at {tier.images_per_hour} an hour, up to {tier.images_per_day} images a day, "
        f"with {tier.concurrent_jobs} requests under way; a server has {limits.guild_images_per_day} images a day"
        in readme
    )
    # And that is what happens: so many at once, in no more requests than may be under way, and not one more.
    policy, now = policy_for(Settings(), None, Actor(1, 2)), datetime(2026, 11, 1, tzinfo=UTC)
    usage, asked = Usage(None, 0, 0, 0), 0
    while asked < tier.burst_images:
        images = min(most, tier.burst_images - asked)
        verdict = decide(usage, policy, Cost(images), now)
        assert isinstance(verdict, Allowed)
        asked += images
        usage = Usage(verdict.tat, asked, asked, usage.active_jobs + 1)
    one_more = decide(replace(usage, active_jobs=0), policy, Cost(1), now)
    assert isinstance(one_more, Refused)
    assert one_more.rule == "rate"


async def test_the_readme_tells_a_wrong_default_model_by_the_words_of_the_check(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/easel.db", models=ModelSettings(default="dall-e"))

    (finding,) = [found async for found in examine(settings) if found.level == "fault"]

    assert f"`{finding.what}`".replace("'dall-e'", "…") in README


def test_the_toml_in_the_readme_is_understood(tmp_path: Path) -> None:
    for text in re.findall(r"```toml\n(.*?)```", README, re.DOTALL):
        assert tomllib.loads(text)
        if "[limits" in text:
            (tmp_path / "config.toml").write_text(text)
            assert load_settings(environ={}, cwd=tmp_path) != Settings()


def test_every_variable_in_the_readme_exists(tmp_path: Path) -> None:
    for name, value in re.findall(r"`(EASEL_\w+__\w+)=([^`\s]*)", README):
        load_settings(environ={name: value}, cwd=tmp_path)


def test_the_page_of_all_sentences_is_what_people_read() -> None:
    assert (ROOT / "docs" / "sentences.md").read_text("utf-8") == sentences.page(), "run `make docs`"


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for text in (README, CONTRIBUTING):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text):
            assert (ROOT / target).exists(), target


def test_every_room_in_contributing_exists() -> None:
    for path in re.findall(r"^\| `([\w/.]+)`", CONTRIBUTING, re.MULTILINE):
        assert (ROOT / path).exists(), path


def test_every_room_of_the_bot_is_in_the_table_of_contributing() -> None:
    rows = "\n".join(re.findall(r"^\| (`[\w/., `]+`) \|", CONTRIBUTING, re.MULTILINE))
    rooms = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bot").iterdir() if path.name[0] not in "_."}
    assert {room for room in rooms if f"`{room}" not in rows} == set()


def test_every_file_named_in_contributing_exists() -> None:
    named = set(re.findall(r"\b(?:bot|cogs|sandbox|tests|tools|requirements)/[\w/.-]*\w", CONTRIBUTING))
    # Of a language that is to be added, as an example.
    named.remove("cogs/ui/messages/de.ftl")
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", PROOFS)
def test_every_proof_is_described(name: str) -> None:
    assert f"`resilience {name}`" in CONTRIBUTING


def test_every_command_group_is_loaded_and_exists() -> None:
    for name in COGS:
        assert (ROOT / f"{name.replace('.', '/')}.py").exists(), name


def test_the_readme_lists_every_command() -> None:
    offered: set[str] = set()
    for module in map(importlib.import_module, COGS):
        for cog in vars(module).values():
            if isinstance(cog, type) and issubclass(cog, commands.Cog) and cog.__module__ == module.__name__:
                group = getattr(cog, "__cog_group_name__", "")
                is_group = issubclass(cog, commands.GroupCog)
                offered |= {group} if is_group else {command.name for command in cog.__cog_app_commands__}

    assert {f"/{name}" for name in offered} == set(re.findall(r"^\| `(/\w+)` \|", README, re.MULTILINE))


def in_bold(text: str) -> set[str]:
    return set(re.findall(r"\*\*([^*]+)\*\*", " ".join(text.split())))


def test_the_help_names_every_button_under_a_result_in_its_order() -> None:
    named = re.findall(r"\*\*([^*]+)\*\*", say(ENGLISH, "help_buttons"))
    assert named == RESULT_BUTTONS, "`help_buttons` in cogs/ui/messages/en/pages.ftl"


def test_the_tour_in_the_readme_names_every_button_under_a_result() -> None:
    tour = README.partition("## A tour of the sandbox")[2].partition("\n## ")[0]
    assert set(RESULT_BUTTONS) <= in_bold(tour)


def test_the_sandbox_names_buttons_that_exist_when_it_opens() -> None:
    (line,) = re.findall(r"Press (.+) under the picture", sandbox_run._WELCOME)
    assert set(re.split(r", | or ", line)) <= set(RESULT_BUTTONS)


@pytest.mark.parametrize("target", ["run", "setup", "test", "check", "bench", "soak", "docs", "screenshots", "lock"])
def test_make_help_lists_each_target(target: str) -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert re.search(rf"^  make {target} +\w", said, re.MULTILINE)


def test_the_locks_name_no_host_and_hash_everything() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text("utf-8")
        assert not re.search(r"https?://|file://|^-", text, re.MULTILINE), lock.name
        pins = re.findall(r"^[\w.\[\]-]+==[^\\\n]*(\\)?\n( +--hash)?", text, re.MULTILINE)
        assert pins, lock.name
        assert all(backslash and hashed for backslash, hashed in pins), lock.name


def test_every_wanted_package_is_locked() -> None:
    for name in ("runtime", "dev"):
        wanted = re.findall(r"^([A-Za-z][\w.-]*)", (ROOT / f"requirements/{name}.in").read_text(), re.MULTILINE)
        locked = re.findall(
            r"^([\w.-]+)(?:\[[\w,-]+\])?==", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE
        )
        assert {one.lower().replace(".", "-") for one in wanted} <= set(locked)


def test_everything_importable_is_importable_without_a_network_or_a_token() -> None:
    modules = "bot.app, bot.cli.check.report, bot.cli.db, bot.discord.client"
    code = f"import {modules}, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "cogs" not in json.loads(done.stdout)
