from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from bot.cli.check import discord_api, machine
from bot.cli.check.report import run
from bot.cli.prices import KEPT_AS, KeptPrices
from bot.discord.command_sync import REFUSAL_KEY
from bot.fal.pricing import FalPrice
from bot.settings import Settings
from bot.store import Store
from bot.store.beside import write_beside
from sandbox.discord import FakeDiscord
from sandbox.fal import FakeFal
from tests.store.makers import somebody_else

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"
FAL_KEY = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0:0123456789abcdef0123456789abcdef"

GUILD = {"id": "1", "name": "Atelier", "permissions": str(discord_api.NEEDED_PERMISSIONS.value)}
ANSWERS: Mapping[str, tuple[int, object]] = {
    "/users/@me": (200, {"id": "9", "username": "easel"}),
    "/applications/@me": (
        200,
        {
            "id": "9",
            "integration_types_config": {
                "0": {"oauth2_install_params": {"scopes": ["bot", "applications.commands"], "permissions": "0"}},
                "1": {},
            },
        },
    ),
    "/applications/9/commands": (200, [{"id": "1", "name": "imagine", "type": 1}]),
    "/gateway/bot": (200, {"session_start_limit": {"total": 1000, "remaining": 998}}),
    "/users/@me/guilds": (200, [GUILD]),
    "/guilds/1": (200, {"premium_tier": 2}),
    "/status": (404, {"status": "NOT_FOUND"}),
    "/storage/auth/token": (200, {"token": "t"}),
}


@asynccontextmanager
async def services(changes: Mapping[str, tuple[int, object]], headers: Mapping[str, str]) -> AsyncIterator[str]:
    """Discord and fal as far as the check asks them; changes replace answers by path."""
    answers = {**ANSWERS, **changes}

    async def answer(request: web.Request) -> web.Response:
        for_fal = any(part in request.path for part in ("/status", "/storage", "/pricing"))
        ours = "Key " + FAL_KEY if for_fal else "Bot " + TOKEN
        if request.headers.get("Authorization") != ours:
            return web.json_response({"message": "401: Unauthorized"}, status=401)
        path = "/status" if request.path.endswith("/status") else request.path
        status, body = answers[path]
        return web.json_response(body, status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def report(
    folder: Path,
    changes: Mapping[str, tuple[int, object]] | None = None,
    *,
    token: str | None = TOKEN,
    key: str | None = FAL_KEY,
    headers: Mapping[str, str] | None = None,
    with_prices: bool = False,
    **sections: Any,
) -> tuple[int, str]:
    """Run the check; its exit code and everything it printed."""
    lines: list[str] = []
    async with services(changes or {}, headers or {}) as url:
        values = {
            "database_url": f"sqlite:///{folder}/easel.db",
            "discord": {"token": token, "api_url": url},
            "fal": {"key": key, "queue_url": url, "rest_url": url, "api_url": url if with_prices else None},
            **sections,
        }
        code = await run(Settings.model_validate(values), lines.append)
    return code, "\n".join(lines)


async def test_when_all_is_well_every_part_says_so(tmp_path: Path) -> None:
    code, text = await report(tmp_path)

    assert code == 0
    assert "✗" not in text
    for part in (
        "the token is that of easel",
        "may post pictures in 1 server",
        "files up to 50 MiB",
        "998 of 1000 starts",
        "the key is accepted",
        "the account has credit",
        "will be made at the first start",
    ):
        assert part in text


async def test_the_sandbox_passes_its_own_check(tmp_path: Path) -> None:
    discord, fal = FakeDiscord(), FakeFal()
    await discord.start("127.0.0.1")
    fal_url = await fal.start("127.0.0.1")
    try:
        code, text = await report(
            tmp_path,
            discord={"token": discord.token, "api_url": discord.api_url},
            fal={"key": FAL_KEY, "queue_url": fal_url, "rest_url": fal_url},
            operator={"alerts_channel": int(discord.world.budget.id)},
        )
    finally:
        await fal.stop()
        await discord.stop()

    assert code == 0, text
    assert "the token is that of Easel" in text
    assert "Alerts: go to #budget" in text
    assert "the key is accepted" in text


async def test_no_secret_is_printed_even_when_it_is_echoed(tmp_path: Path) -> None:
    _, text = await report(tmp_path, {"/users/@me": (200, {"username": f"{TOKEN} {FAL_KEY}"})})

    assert TOKEN not in text
    assert FAL_KEY not in text


@pytest.mark.parametrize(
    ("changes", "sentence", "advice"),
    [
        ({"/users/@me": (401, {})}, "Discord: the token is not accepted", "Reset Token"),
        ({"/gateway/bot": (500, {})}, "Discord: answered 500 to GET /gateway/bot", "discordstatus.com"),
        (
            {"/users/@me/guilds": (200, [{**GUILD, "permissions": "3072"}])},
            "lacks Embed Links, Attach Files, Read Message History, Send Messages in Threads",
            "discord.com/oauth2/authorize",
        ),
        (
            {"/applications/@me": (200, {"id": "9", "integration_types_config": {"1": {}}})},
            "can't be installed in servers",
            "Guild Install",
        ),
        ({"/status": (401, {})}, "fal.ai: the key is not accepted", "FAL_KEY"),
        ({"/status": (403, {"detail": "User is locked. Reason: Exhausted balance."})}, "no credit", "Billing"),
        ({"/storage/auth/token": (403, {"detail": "Exhausted balance"})}, "no credit", "Billing"),
    ],
)
async def test_each_fault_comes_with_what_to_do(
    tmp_path: Path, changes: Mapping[str, tuple[int, object]], sentence: str, advice: str
) -> None:
    code, text = await report(tmp_path, changes)

    assert code == 1
    fault = next(line for line in text.splitlines() if line.startswith("✗"))
    assert sentence in fault
    assert advice in text.partition(fault)[2].splitlines()[1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"/users/@me/guilds": (200, [])}, "in no server yet"),
        ({"/gateway/bot": (200, {"session_start_limit": {"total": 1000, "remaining": 3}})}, "3 of 1000 starts left"),
        ({"/status": (503, {})}, "answered 503"),
        ({"/storage/auth/token": (500, {})}, "upload service answered 500"),
    ],
)
async def test_what_still_works_is_only_a_warning(
    tmp_path: Path, changes: Mapping[str, tuple[int, object]], sentence: str
) -> None:
    code, text = await report(tmp_path, changes)

    assert code == 0
    assert any(line.startswith("!") and sentence in line for line in text.splitlines())


APPLICATION: Mapping[str, object] = {"id": "9", "integration_types_config": {"0": {}, "1": {}}}


def about(public: object) -> Mapping[str, tuple[int, object]]:
    """An application of which Discord says so."""
    return {"/applications/@me": (200, {**APPLICATION, "bot_public": public})}


async def test_a_public_application_is_warned_of_with_how_to_turn_that_off(tmp_path: Path) -> None:
    code, text = await report(tmp_path, about(True))

    assert code == 0
    warned = next(line for line in text.splitlines() if "application is public" in line)
    assert warned.startswith("! Discord: the application is public: anyone can add it")
    advice = text.partition(warned)[2].splitlines()[1]
    for words in ("Installation", "Install Link", "None", "Public Bot off", "EASEL_ACCESS__SERVERS"):
        assert words in advice


@pytest.mark.parametrize(
    ("public", "access", "line"),
    [
        (False, {}, "✓ Discord: the application is private"),
        (False, {"servers": [1]}, "✓ Discord: the application is private"),
        (True, {"servers": [1]}, "✓ Discord: the application is public, but only the servers under access.servers"),
        (True, {"servers": []}, "✓ Discord: the application is public, but only the servers under access.servers"),
        (True, {"people": [1]}, "! Discord: the application is public"),
    ],
)
async def test_who_may_add_the_bot_is_said(
    tmp_path: Path, public: bool, access: Mapping[str, object], line: str
) -> None:
    code, text = await report(tmp_path, about(public), access=access)

    assert code == 0
    assert line in text


@pytest.mark.parametrize("public", [None, "yes", 1])
async def test_what_discord_does_not_say_of_the_application_is_not_guessed(tmp_path: Path, public: object) -> None:
    _, text = await report(tmp_path, about(public))

    assert "application is" not in text


async def test_an_administrator_lacks_nothing(tmp_path: Path) -> None:
    assert discord_api.missing_permissions(8) == []


async def test_hosts_that_do_not_answer_are_named(tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9"

    code, text = await report(
        tmp_path,
        discord={"token": TOKEN, "api_url": closed},
        fal={"key": FAL_KEY, "queue_url": closed, "rest_url": closed},
    )

    assert code == 1
    assert "✗ Discord: can't be reached at http://127.0.0.1:9" in text
    assert "✗ fal.ai: can't be reached at 127.0.0.1:9" in text


@pytest.mark.parametrize(("token", "key", "missing"), [(TOKEN, None, "FAL_KEY"), (None, FAL_KEY, "DISCORD_TOKEN")])
async def test_one_secret_alone_is_a_fault(tmp_path: Path, token: str | None, key: str | None, missing: str) -> None:
    code, text = await report(tmp_path, token=token, key=key)

    assert code == 1
    assert f"✗ Configuration: {missing} is missing" in text


async def test_without_both_secrets_nobody_is_asked(tmp_path: Path) -> None:
    code, text = await report(tmp_path, token=None, key=None)

    assert code == 0
    assert "`run` starts the sandbox" in text
    assert "Discord:" not in text


async def test_a_wrong_model_setting_is_a_fault(tmp_path: Path) -> None:
    code, text = await report(tmp_path, models={"default": "no-such-model"})

    assert code == 1
    assert "the default model 'no-such-model' is not offered" in text


async def test_a_database_in_use_is_looked_at_beside_the_running_bot(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    try:
        code, text = await report(tmp_path)
    finally:
        await store.close()

    assert code == 0
    assert "✓ Database: reachable, up to date and sound" in text


@pytest.mark.parametrize("shut", ["easel.db", "easel.db.lock", "."])
async def test_an_existing_database_that_may_not_be_written_is_a_fault(shut: str) -> None:
    with somebody_else() as folder:
        await (await Store.open(f"sqlite:///{folder}/easel.db")).close()
        (folder / shut).chmod(0o500 if shut == "." else 0o400)

        code, text = await report(folder)

        assert code == 1
        assert f"✗ Database: {folder}/easel.db is not writable, because {(folder / shut)} is not" in text
        assert "Database: reachable" not in text


async def test_a_file_that_is_no_database_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "easel.db").write_text("my diary, " * 100)

    code, text = await report(tmp_path)

    assert code == 1
    assert "is not an SQLite database" in text


async def test_a_url_of_another_kind_is_a_fault(tmp_path: Path) -> None:
    code, text = await report(tmp_path, database_url="mysql://root:hunter2@db/easel")

    assert code == 1
    assert "✗ Database: the URL is wrong" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (datetime(2026, 11, 21, 12, 0, 20, tzinfo=UTC), None),
        (datetime(2026, 11, 21, 12, 2, tzinfo=UTC), "120 s ahead"),
        (datetime(2026, 11, 21, 11, 59, tzinfo=UTC), "60 s behind"),
    ],
)
def test_a_wrong_clock_is_noticed_by_discords_date(now: datetime, said: str | None) -> None:
    finding = discord_api.clock_skew("Sat, 21 Nov 2026 12:00:00 GMT", now)

    assert (finding is None) if said is None else (finding is not None and said in finding.what)


def test_the_install_link_asks_for_just_what_is_needed() -> None:
    query = parse_qs(urlsplit(discord_api.install_link("42")).query)

    assert query == {"client_id": ["42"], "scope": ["bot applications.commands"], "permissions": ["274878024704"]}


def _prices(*entries: tuple[str, float, str]) -> dict[str, tuple[int, object]]:
    listed = [
        {"endpoint_id": endpoint, "unit_price": usd, "unit": unit, "currency": "USD"} for endpoint, usd, unit in entries
    ]
    return {"/v1/models/pricing": (200, {"prices": listed, "has_more": False, "next_cursor": None})}


async def test_a_price_that_fal_states_differently_is_named(tmp_path: Path) -> None:
    changes = _prices(
        ("fal-ai/flux-1/schnell", 0.0034, "megapixels"),
        ("fal-ai/qwen-image", 0.0219, "megapixels"),  # not more than a tenth above 0.02
        ("fal-ai/hidream-i1-full", 0.044, "megapixels"),
        ("fal-ai/ideogram/v3", 0.03, "images"),  # one of several
        ("fal-ai/z-image/base", 0.01, "megapixels"),
        ("fal-ai/omnigen-v2", 0.088, "megapixels"),
        ("fal-ai/never-heard-of", 1, "images"),
    )
    code, text = await report(tmp_path, changes, with_prices=True)

    assert code == 0
    named = [line for line in text.splitlines() if "Price of" in line]
    assert named == [
        "! Price of flux-schnell: fal says $0.0034 per megapixel, Easel reckons with $0.003 per megapixel",
        "! Price of z-image: fal says $0.01 per megapixel, Easel knows no price",
        "! Price of hidream: fal says $0.044 per megapixel, Easel reckons with $0.05 per megapixel",
        "! Price of omnigen-v2: fal says $0.088 per megapixel, Easel reckons with about $0.088 per image",
    ]
    assert '"flux-schnell" = "0.0034" under [models.prices_usd]' in text


async def test_prices_that_agree_are_said_to(tmp_path: Path) -> None:
    _, text = await report(tmp_path, _prices(("fal-ai/flux-1/schnell", 0.003, "megapixels")), with_prices=True)

    assert "✓ fal.ai: its prices are those that Easel reckons with" in text


async def test_a_key_that_may_not_read_prices_leaves_those_that_were_kept(tmp_path: Path) -> None:
    refused = {"/v1/models/pricing": (403, {"error": {"type": "permission_error"}})}
    _, text = await report(tmp_path, refused, with_prices=True)
    assert "Price" not in text.replace("Models: no price", "")

    url = f"sqlite:///{tmp_path}/easel.db"
    kept = KeptPrices(
        datetime(2026, 11, 2, 9, 30, tzinfo=UTC), (FalPrice("fal-ai/qwen-image", Decimal("0.5"), "image"),)
    )
    await write_beside(url, KEPT_AS, kept.to_json())
    _, text = await report(tmp_path, refused, with_prices=True)
    assert "! Price of qwen-image: fal says $0.50 per image, Easel reckons with $0.02 per megapixel" in text
    assert "(read on 2026-11-02 09:30 UTC)" in text


async def test_a_database_server_that_is_away_is_a_fault(tmp_path: Path) -> None:
    code, text = await report(tmp_path, database_url="postgresql://easel:hunter2@127.0.0.1:9/easel")

    assert code == 1
    assert "✗ Database: can't be used" in text
    assert "hunter2" not in text


async def test_an_older_database_is_brought_forward_by_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "easel.db").touch()

    code, text = await report(tmp_path)

    assert code == 0
    assert "the next start brings it to this version" in text


async def test_a_broken_model_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('endpoint = "me/mine"\n')

    code, text = await report(tmp_path, models={"folder": tmp_path})

    assert code == 1
    assert "mine.toml" in text


@pytest.mark.parametrize(("version", "warned"), [((3, 40, 1), True), ((3, 51, 2), True), ((3, 51, 3), False)])
def test_an_sqlite_with_the_log_fault_is_warned_of(version: tuple[int, ...], warned: bool) -> None:
    assert (machine.outdated_sqlite(version) is not None) == warned


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("web", {"public_url": "https://easel.example.org"}, "web.public_url has no effect without web.port"),
        ("web", {"public_url": "https://easel.example.org", "port": 8080}, None),
        ("web", {"port": 8080}, None),
        ("fal", {"guild_jobs_in_flight": 10}, "fal.guild_jobs_in_flight, 10, has no effect: fal.max_in_flight, 10, is"),
        ("fal", {"user_jobs_in_flight": 3, "max_in_flight": 2}, "fal.user_jobs_in_flight, 3, has no effect"),
        ("fal", {"guild_jobs_in_flight": 9, "user_jobs_in_flight": 1}, None),
        ("fal", {"guild_jobs_in_flight": 50, "user_jobs_in_flight": 50, "max_in_flight": 0}, None),
        ("fal", {"max_in_flight": 1}, None),
    ],
)
async def test_settings_without_effect_are_only_a_warning(
    tmp_path: Path, section: str, values: Any, said: str | None
) -> None:
    code, text = await report(tmp_path, token=None, key=None, **{section: values})

    assert code == 0
    assert text.count("! Configuration: ") == 1 + (said is not None)  # the other one: `run` starts the sandbox
    assert said is None or said in text


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"limits": {"tiers": {"345678901234567890": {"usd_per_day": 40}}}},
            "limits.tiers.345678901234567890.usd_per_day, $40.00, is above budget.all_usd_per_day, $25.00",
        ),
        ({"limits": {"tiers": {"345678901234567890": {"usd_per_day": 25}}}}, None),
        ({"limits": {"tiers": {"345678901234567890": {"usd_per_day": 0}}}}, None),
        (
            {"limits": {"servers": {"123456789012345678": {"usd_per_day": "25.5"}}}},
            "limits.servers.123456789012345678.usd_per_day, $25.50, is above budget.all_usd_per_day, $25.00",
        ),
        (
            {"limits": {"servers": {"123456789012345678": {"usd_per_month": 900}}}},
            "limits.servers.123456789012345678.usd_per_month, $900.00, is above budget.all_usd_per_month, $250.00",
        ),
        (
            {"budget": {"person_usd_per_day": 30}},
            "budget.person_usd_per_day, $30.00, is above budget.all_usd_per_day, $25.00",
        ),
        ({"budget": {"person_usd_per_day": 30, "all_usd_per_day": 0}}, None),
        ({"budget": {"person_usd_per_day": 0}}, None),
    ],
)
async def test_a_budget_above_the_total_is_a_warning(
    tmp_path: Path, sections: dict[str, Any], said: str | None
) -> None:
    code, text = await report(tmp_path, token=None, key=None, **sections)

    assert code == 0
    assert text.count(" is above ") == (said is not None)
    assert said is None or said in text


async def test_the_defaults_have_an_effect(tmp_path: Path) -> None:
    assert "has no effect" not in (await report(tmp_path))[1]


@pytest.mark.parametrize(("reconcile_s", "warned"), [(660.0, False), (600.0, True), (30.0, True)])
def test_sending_again_too_soon_is_a_warning(reconcile_s: float, warned: bool) -> None:
    assert (machine.short_reconcile(reconcile_s, 600.0) is not None) == warned


async def test_commands_that_discord_did_not_take_are_a_warning(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    await store.kv.set(REFUSAL_KEY, "Discord answered 400 (code 30034: today's limit of new commands is reached)")
    await store.close()

    code, text = await report(tmp_path)

    assert code == 0
    assert "! Discord: the commands it shows are not this version's: Discord answered 400 (code 30034" in text


async def test_commands_that_can_not_be_seen_end_no_examination(tmp_path: Path) -> None:
    code, text = await report(tmp_path, {"/applications/9/commands": (403, {})})

    assert code == 0
    assert "! Discord: answered 403 to GET /applications/9/commands: the commands could not be seen" in text
    assert "may post pictures in 1 server" in text
