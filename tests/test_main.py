from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

import bot.__main__
import bot.app
import bot.cli.db
import bot.cli.run
import bot.cli.sandbox
from bot.errors import DiscordRefused
from bot.settings import Settings
from bot.store.driver_errors import translate

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own, and no logging set up for the rest of the suite."""
    monkeypatch.chdir(tmp_path)
    for command in (bot.cli.run, bot.cli.sandbox, bot.cli.db):
        monkeypatch.setattr(command, "configure_logging", lambda _settings: None)


def easel(*arguments: str) -> int:
    return bot.__main__.main(arguments)


def as_process(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command line as people start it."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# ---------------------------------------------------------------------- help


@pytest.mark.parametrize(
    "command", [(), ("run",), ("sandbox",), ("check",), ("models",), ("models", "prices"), ("db",), ("db", "backup")]
)
def test_every_command_explains_itself(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        easel(*command, "--help")

    assert caught.value.code == 0
    assert "usage: python -m bot" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "sandbox", "check", "models", "db"])
def test_every_command_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        easel(command, "--help")

    assert "examples:" in capsys.readouterr().out


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_wrong_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        easel("sandbox", f"--port={port}")

    assert caught.value.code == 2
    assert "whole number from 0" in capsys.readouterr().err


# ---------------------------------------------------------------------- run


@pytest.mark.parametrize(("given", "missing"), [("DISCORD_TOKEN", "FAL_KEY"), ("FAL_KEY", "DISCORD_TOKEN")])
def test_one_of_two_secrets_ends_with_one_sentence_that_names_the_other(
    tmp_path: Path, given: str, missing: str
) -> None:
    done = as_process(tmp_path, "run", **{given: "not-a-real-one"})

    assert done.returncode == 2
    assert done.stderr.startswith(f"easel: {given} is set but {missing} is missing.")
    assert "Traceback" not in done.stderr
    assert "not-a-real-one" not in done.stderr


def test_a_typo_in_the_configuration_ends_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[limits]\nenabeld = false\n")

    done = as_process(tmp_path)

    assert done.returncode == 2
    assert "Did you mean `limits.enabled`?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"EASEL_MODELS__DEFAULT": "flux-schnel"}, "models.default: there is no model 'flux-schnel'. Did you mean"),
        ({"EASEL_MODELS__DEFAULT": "dall-e"}, "`python -m bot models` lists them."),
        ({"EASEL_MODELS__DEFAULT": "gpt-image-1"}, "models.default: GPT Image 1 can't be the default"),
        ({"EASEL_MODELS__DISABLED": "flux-schnell"}, "models.default: FLUX.1 schnell can't be the default"),
    ],
)
def test_a_default_model_that_is_not_offered_ends_with_a_sentence_for_the_operator(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    done = as_process(tmp_path, "run", DISCORD_TOKEN="t", FAL_KEY="k", **settings)

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "quota" not in done.stderr


def test_with_both_secrets_the_live_bot_gets_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []

    async def run(settings: Settings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(bot.app, "run", run)
    monkeypatch.setenv("DISCORD_TOKEN", "t")
    monkeypatch.setenv("FAL_KEY", "k")
    monkeypatch.setenv("EASEL_FAL__MAX_IN_FLIGHT", "0")

    assert easel() == 0
    assert easel("run") == 0
    assert [settings.fal.max_in_flight for settings in seen] == [0, 0]


def test_what_the_operator_must_mend_is_a_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(_settings: Settings) -> int:
        raise DiscordRefused("Discord does not accept the bot token.")

    monkeypatch.setattr(bot.app, "run", run)
    monkeypatch.setenv("DISCORD_TOKEN", "t")
    monkeypatch.setenv("FAL_KEY", "k")

    assert easel("run") == 2
    assert capsys.readouterr().err == "easel: Discord does not accept the bot token.\n"


def test_what_nobody_expected_is_a_code_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def run(_settings: Settings) -> int:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    monkeypatch.setattr(bot.app, "run", run)
    monkeypatch.setenv("DISCORD_TOKEN", "t")
    monkeypatch.setenv("FAL_KEY", "k")

    assert easel("run") == 1
    code = caplog.records[-1].__dict__["code"]
    assert f"(code {code})" in capsys.readouterr().err


# ---------------------------------------------------------------------- models, check


def test_models_are_listed_as_text_markdown_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert easel("models") == 0
    assert "flux-schnell" in capsys.readouterr().out

    assert easel("models", "--markdown") == 0
    assert capsys.readouterr().out.startswith("| Model | Name |")

    assert easel("models", "--json") == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert {"key", "endpoint", "price", "options"} <= first.keys()
    assert (first["price_usd"], first["price_unit"], first["price_confidence"]) == (["0.003"], "megapixel", "high")


def test_models_follow_the_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EASEL_MODELS__DISABLED", "flux-schnell")

    assert easel("models", "--json") == 0

    assert "flux-schnell" not in [one["key"] for one in json.loads(capsys.readouterr().out)]


def test_check_prints_the_example_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert easel("check", "--print-example") == 0

    assert "# max_in_flight = 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ("--help",),
        ("check",),
        ("check", "--print-example"),
        ("models",),
        ("models", "--json"),
        ("db", "upgrade"),
        ("sandbox", "--port", "0"),
    ],
)
def test_when_nobody_reads_on_it_ends_quietly(tmp_path: Path, command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bot", *command],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)

    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "WARNING bot.store.integrity" not in line] == []


def test_a_connection_that_breaks_is_no_reader_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(_settings: Settings) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(bot.app, "run", run)
    monkeypatch.setenv("DISCORD_TOKEN", "t")
    monkeypatch.setenv("FAL_KEY", "k")

    assert easel("run") == 1
    assert "something broke" in capsys.readouterr().err


def test_check_tells_wrong_settings_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text("[web]\nport = 'http'\n[log]\nlevel = 'LOUD'\n")

    assert easel("check") == 1

    assert [line[0] for line in capsys.readouterr().out.splitlines()] == ["✗", "✗"]


def test_health_without_a_port_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert easel("check", "--health") == 2

    assert "EASEL_WEB__PORT" in capsys.readouterr().err


# ---------------------------------------------------------------------- db


def test_a_database_is_made_examined_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert easel("db", "upgrade") == 0
    assert easel("db", "current") == 0
    assert "the newest" in capsys.readouterr().out
    assert easel("db", "check") == 0
    assert easel("db", "backup", "copy.db") == 0

    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    copy.close()
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_database_and_its_folder_are_private_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    monkeypatch.setenv("EASEL_DATABASE_URL", "sqlite:///deep/data/easel.db")
    before = os.umask(umask)
    try:
        assert easel("db", "upgrade") == 0
    finally:
        os.umask(before)

    for made in (tmp_path / "deep", *(tmp_path / "deep").rglob("*")):
        assert made.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o750, 0o711])
def test_a_start_closes_a_loose_folder_that_is_easel_s_alone(tmp_path: Path, mode: int) -> None:
    easel("db", "upgrade")
    easel("db", "backup")
    folder = tmp_path / "data"
    for one in folder.iterdir():
        one.chmod(0o666 if one.is_file() else 0o755)
    folder.chmod(mode)

    assert easel("db", "upgrade") == 0

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir() if one.is_file()} == {0o600}


def test_a_start_leaves_a_folder_that_holds_other_things_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "website.html").write_text("for everybody")
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "easel.db").touch(0o644)

    assert easel("db", "upgrade") == 0

    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "data" / "website.html").stat().st_mode & 0o077
    assert (tmp_path / "data" / "easel.db").stat().st_mode & 0o777 == 0o600
    said = [getattr(record, "paths", None) for record in caplog.records if "chmod" in record.message]
    assert said == [str(tmp_path / "data")]


def test_check_warns_of_a_database_that_others_may_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loose").mkdir(0o755)
    (tmp_path / "loose").chmod(0o755)
    (tmp_path / "loose" / "for-others.txt").write_text("")
    monkeypatch.setenv("EASEL_DATABASE_URL", "sqlite:///loose/easel.db")
    easel("db", "upgrade")
    easel("check")
    assert f"may enter {tmp_path / 'loose'}" in capsys.readouterr().out
    (tmp_path / "loose" / "easel.db").chmod(0o640)
    easel("check")
    assert f"may open {tmp_path / 'loose' / 'easel.db'}" in capsys.readouterr().out
    (tmp_path / "loose" / "easel.db").chmod(0o600)
    (tmp_path / "loose").chmod(0o700)
    easel("check")
    assert "other users" not in capsys.readouterr().out


@pytest.mark.parametrize("action", [("current",), ("check",), ("backup", "copy.db")])
def test_looking_at_a_missing_database_does_not_make_one(
    tmp_path: Path, action: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert easel("db", *action) == 2

    assert "no database" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def damaged(file: Path) -> None:
    """Every other page is full of nonsense, the first one not."""
    body = bytearray(file.read_bytes())
    for page in range(4096 * 3, len(body) - 4096, 4096 * 2):
        body[page : page + 600] = b"\xff" * 600
    file.write_bytes(body)


def test_a_damaged_database_is_described_and_not_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    easel("db", "upgrade")
    damaged(tmp_path / "data" / "easel.db")

    assert easel("db", "check") == 1
    said = capsys.readouterr().out
    assert said.count("✗ ") >= 1
    assert "restore a backup" in said
    assert "easel.db-wal" in said

    assert easel("db", "backup", "copy.db") == 2
    said = capsys.readouterr().err
    assert "The database" in said
    assert "is damaged" in said
    assert "No copy was made." in said
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("no database " * 99, "is not an SQLite database")])
def test_what_is_no_database_is_not_copied(
    tmp_path: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "easel.db").write_text(content)

    assert easel("db", "backup", "copy.db") == 2

    assert words in capsys.readouterr().err
    assert not (tmp_path / "copy.db").exists()


def test_a_full_disk_is_told_from_a_broken_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    room = [0, 10**9]
    monkeypatch.setattr("shutil.disk_usage", lambda _: Mock(free=room.pop(0)))

    assert "the disk is full. Make room" in translate(error, str(tmp_path / "easel.db")).sentence
    assert "the disk answers with errors" in translate(error, str(tmp_path / "easel.db")).sentence


def test_backing_up_postgresql_names_the_right_tool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EASEL_DATABASE_URL", "postgresql://easel:hunter2@127.0.0.1:1/easel")

    assert easel("db", "backup", "copy.db") == 2

    error = capsys.readouterr().err
    where = "--host=127.0.0.1 --port=1 --username=easel --dbname=easel"
    assert f"pg_dump {where} --format=custom --file=easel.dump" in error
    assert "pg_restore" in error
    assert "hunter2" not in error
