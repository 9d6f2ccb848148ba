"""The sandbox's bot knows every setting and none of the operator's secrets, wherever those are kept."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from bot.settings import LimitSettings, Settings, load_settings
from sandbox.discord.world import BUDGET_CHANNEL_ID, PATRON_ROLE_ID, World
from sandbox.environment import bot_environment
from sandbox.run import open_sandbox

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"
FAL_KEY = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0:0123456789abcdef0123456789abcdef"
OPENAI = "sk-proj-REAL0123456789abcdefghij"
PASSWORD = "REAL-hunter2"
#: One piece of every secret; none of them may be seen.
PIECES = ("abcdefghijklmnopqrstuvwxyz0123456789AB", "0123456789abcdef0123456789abcdef", "REAL", "0f1e2d3c-4b5a")

ENVIRON = {
    "DISCORD_TOKEN": TOKEN,
    "FAL_KEY": FAL_KEY,
    "OPENAI_API_KEY": OPENAI,
    "EASEL_DISCORD__TOKEN": TOKEN,
    "easel_fal__key": FAL_KEY,
    "EASEL_FAL__OPENAI_API_KEY": OPENAI,
    "EASEL_DISCORD": json.dumps({"token": TOKEN, "progress_interval_s": 4}),
    "EASEL_FAL": json.dumps({"key": FAL_KEY, "openai_api_key": OPENAI, "max_in_flight": 3}),
    "EASEL_DATABASE_URL": f"postgresql://easel:{PASSWORD}@db/easel",
    "DISCORD_TOKEN_FILE": "/run/secrets/REAL",
    "FAL_KEY_FILE": "/run/secrets/REAL",
    "FAL_KEY_ID": "REAL",
    "FAL_KEY_SECRET": "REAL",
    "BACKUP_OF_IT": f"old={TOKEN}",
    "SOMETHING": FAL_KEY.partition(":")[2],
    "DATABASE_URL": f"postgres://easel:{PASSWORD}@db/other",
    "WEBHOOK": "https://discord.com/api/webhooks/123/REAL-abcdefghijklmnop",
    "HTTPS_PROXY": f"http://easel:{PASSWORD}@proxy:3128",
    "all_proxy": "http://REAL.proxy:3128",
    "PIP_INDEX": "https://REAL-user:REAL-token@packages.example/simple",
}
MODEL_FOLDER = "my-models"


def furnish(folder: Path) -> None:
    """Every place that a secret may be kept in, and a setting beside each."""
    (folder / ".env").write_text(
        f"DISCORD_TOKEN={TOKEN}\nEASEL_FAL__KEY={FAL_KEY}\nEASEL_LOG__LEVEL=WARNING\nEASEL_SECRETS_DIR=secrets\n"
    )
    (folder / "config.toml").write_text(
        f'database_url = "postgresql://easel:{PASSWORD}@db/easel"\n[discord]\ntoken = "{TOKEN}"\n'
        f'[fal]\nkey = "{FAL_KEY}"\nopenai_api_key = "{OPENAI}"\nreconcile_s = 700\n'
        f'[limits.tiers.42]\nweight = 3\n[models]\nfolder = "{MODEL_FOLDER}"\n[models.prices_usd]\nqwen-image = "0.1"\n'
    )
    (folder / "secrets").mkdir()
    for name, secret in {"discord_token": TOKEN, "FAL_KEY": FAL_KEY, "EASEL_FAL__OPENAI_API_KEY": OPENAI}.items():
        (folder / "secrets" / name).write_text(secret)
    (folder / "secrets" / "EASEL_PRIVACY__KEEP_DAYS").write_text("5")


def test_every_setting_goes_over_and_no_secret(tmp_path: Path) -> None:
    furnish(tmp_path)
    own = {"DISCORD_TOKEN": "made-up", "FAL_KEY": "made:up", "EASEL_DATABASE_URL": "sqlite:///own.db"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    environment = bot_environment(own, environ={**ENVIRON, "PATH": "/bin", "LANG": "C"}, cwd=tmp_path)
    settings = load_settings(environ=environment, cwd=elsewhere)

    told = json.dumps([environment, settings.model_dump(mode="json")]) + repr(settings)
    assert [piece for piece in PIECES if piece in told] == []
    assert settings.discord.token is not None
    assert settings.discord.token.get_secret_value() == "made-up"
    assert settings.fal.openai_api_key is None
    assert settings.database_url == "sqlite:///own.db"
    assert (environment["PATH"], environment["LANG"]) == ("/bin", "C")
    assert settings.discord.progress_interval_s == 4
    assert (settings.fal.max_in_flight, settings.fal.reconcile_s) == (3, 700)
    assert settings.limits.tiers["42"].weight == 3
    assert settings.log.level == "WARNING"
    assert settings.privacy.keep_days == 5
    assert settings.models.folder == tmp_path / MODEL_FOLDER
    assert str(settings.models.prices_usd["qwen-image"]) == "0.1"


def test_the_sandbox_waits_for_a_lost_answer_less_long_unless_told(tmp_path: Path) -> None:
    settings = load_settings(environ=bot_environment({}, environ={}, cwd=tmp_path), cwd=tmp_path)

    assert settings.fal.reconcile_s == 30


def test_the_sandbox_looks_soon_whether_there_is_credit_again_and_says_in_a_channel_when_there_is_none(
    tmp_path: Path,
) -> None:
    def settings(**environ: str) -> Settings:
        return load_settings(environ=bot_environment({}, environ=environ, cwd=tmp_path), cwd=tmp_path)

    assert settings().fal.credit_check_s == 5
    assert settings().operator.alerts_channel == int(World().budget.id) == int(BUDGET_CHANNEL_ID)
    told = settings(EASEL_FAL__CREDIT_CHECK_S="60", EASEL_OPERATOR__ALERTS_CHANNEL="42")
    assert (told.fal.credit_check_s, told.operator.alerts_channel) == (60, 42)


def test_patrons_have_twice_the_limits_unless_the_operator_says_what_roles_give(tmp_path: Path) -> None:
    def limits(**environ: str) -> LimitSettings:
        return load_settings(environ=bot_environment({}, environ=environ, cwd=tmp_path), cwd=tmp_path).limits

    usual = limits()
    assert usual.tiers[PATRON_ROLE_ID].images_per_day == 2 * usual.default.images_per_day
    assert usual.tiers[PATRON_ROLE_ID].burst_images == 2 * usual.default.burst_images
    assert usual.tiers[PATRON_ROLE_ID].usd_per_day == 4
    assert limits(EASEL_BUDGET__PERSON_USD_PER_DAY="0.05").tiers[PATRON_ROLE_ID].usd_per_day == Decimal("0.10")
    assert limits(EASEL_LIMITS__DEFAULT__USD_PER_DAY="3").tiers[PATRON_ROLE_ID].usd_per_day == 6
    strict = limits(EASEL_LIMITS__DEFAULT__BURST_IMAGES="3")
    assert (strict.default.burst_images, strict.tiers[PATRON_ROLE_ID].burst_images) == (3, 6)
    own = limits(EASEL_LIMITS__TIERS__42__IMAGES_PER_DAY="7")
    assert list(own.tiers) == ["42"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_running_bot_of_the_sandbox_holds_none_of_the_real_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(tmp_path)
    (tmp_path / MODEL_FOLDER).mkdir()
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    lines: list[str] = []

    async with open_sandbox(port=0, data_dir=tmp_path / "data", log=lines.append) as sandbox:
        await sandbox.ready()
        assert sandbox.child.pid is not None
        environment, folder = await asyncio.to_thread(_seen_from_outside, sandbox.child.pid)
        assert [one.public() for one in sandbox.discord.refusals] == []

    assert [piece for piece in PIECES if piece in environment + "".join(lines)] == []
    assert "DISCORD_TOKEN=" in environment
    assert folder == tmp_path / "data"
    assert not any((folder / name).exists() for name in (".env", "config.toml"))


def _seen_from_outside(pid: int) -> tuple[str, Path]:
    """The environment that the process was started with, and its folder."""
    return Path(f"/proc/{pid}/environ").read_bytes().decode(), Path(f"/proc/{pid}/cwd").resolve()
