"""`python -m bot db backup`: works every time, rotates, replaces in one step, and is private from the first byte."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import bot.__main__
import bot.cli.db
from tests.store.makers import somebody_else


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own, and no logging set up for the rest of the suite."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bot.cli.db, "configure_logging", lambda _settings: None)


def easel(*arguments: str) -> int:
    return bot.__main__.main(arguments)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_a_backup_is_private_from_its_first_byte_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    easel("db", "upgrade")
    seen: list[int] = []
    connect = sqlite3.connect

    def look() -> int:
        seen.extend(one.stat().st_mode & 0o777 for one in tmp_path.glob("*copy.db*"))
        return 0

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        look()
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_progress_handler(look, 50)
        return connection

    monkeypatch.setattr("bot.store.backup.sqlite3.connect", watched)
    before = os.umask(umask)
    try:
        assert easel("db", "backup", "copy.db") == 0
    finally:
        os.umask(before)

    assert set(seen) == {0o600}
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def copies(folder: Path) -> list[str]:
    """Every file there, whatever it is called."""
    return sorted(one.name for one in folder.iterdir())


def test_a_backup_without_a_place_works_every_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    easel("db", "upgrade")

    for _ in range(3):
        assert easel("db", "backup") == 0

    folder = tmp_path / "data" / "backups"
    made = copies(folder)
    assert len(made) == 3
    assert all(re.fullmatch(r"easel-\d{4}-\d\d-\d\d-\d{6}(-\d)?\.db", name) for name in made)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(folder / name).stat().st_mode & 0o777 for name in made} == {0o600}
    assert str(folder / made[0]) in capsys.readouterr().out


@pytest.mark.parametrize("place", ["", "data", "copies/mine.db", "copies/without-ending"])
@pytest.mark.parametrize("keep", [1, 3])
def test_backups_rotate(tmp_path: Path, place: str, keep: int) -> None:
    easel("db", "upgrade")
    (tmp_path / "copies").mkdir()
    folder = {"": tmp_path / "data" / "backups", "data": tmp_path / "data"}.get(place, tmp_path / "copies")
    untouched = ["notes.txt", "easel-2020-01-01-000000.txt", "mine.db.old", "other-2020-01-01-000000.db"]
    for _ in range(4):
        assert easel("db", "backup", *filter(None, [place]), "--keep", str(keep)) == 0
        for name in untouched:
            (folder / name).write_bytes(b"SQLite format 3\0 or not")

    stamped = [name for name in copies(folder) if re.search(r"-20[2-9]\d-\d\d-\d\d-\d{6}", name)]
    assert len([name for name in stamped if "-2020-" not in name]) == keep
    assert {name for name in untouched if (folder / name).exists()} == set(untouched)
    assert not any(name.endswith(".part") for name in copies(folder))


def test_a_backup_is_kept_even_when_the_clock_went_back(tmp_path: Path) -> None:
    easel("db", "upgrade")
    for year in (2097, 2098, 2099):
        assert easel("db", "backup", "copy.db") == 0
        (tmp_path / "copy.db").rename(tmp_path / f"easel-{year}-01-01-000000.db")

    assert easel("db", "backup", ".", "--keep", "2") == 0

    left = [name for name in copies(tmp_path) if name.endswith(".db")]
    assert len(left) == 2
    assert "easel-2099-01-01-000000.db" in left


def test_a_backup_replaces_an_earlier_one_in_one_step(tmp_path: Path) -> None:
    easel("db", "upgrade")
    assert easel("db", "backup", "copy.db", "--replace") == 0
    before = (tmp_path / "copy.db").stat().st_ino
    (tmp_path / "copy.db").chmod(0o644)

    assert easel("db", "backup", "copy.db", "--replace") == 0

    assert (tmp_path / "copy.db").stat().st_ino != before
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert copies(tmp_path) == ["copy.db", "data"]


@pytest.mark.parametrize("name", ["data/easel.db", "data/../data/easel.db", "data/easel.db-wal", "link.db"])
def test_a_backup_never_replaces_the_database(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    easel("db", "upgrade")
    (tmp_path / "link.db").symlink_to(tmp_path / "data" / "easel.db")

    assert easel("db", "backup", name, "--replace") == 2

    assert "the database itself" in capsys.readouterr().err
    assert easel("db", "check") == 0


@pytest.mark.parametrize("content", [b"DISCORD_TOKEN=x", b""])
def test_a_backup_replaces_nothing_but_a_backup(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    easel("db", "upgrade")
    (tmp_path / ".env.old").write_bytes(content)

    assert easel("db", "backup", ".env.old", "--replace") == 2

    assert "no copy of a database" in capsys.readouterr().err
    assert (tmp_path / ".env.old").read_bytes() == content


def test_a_backup_that_fails_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    easel("db", "upgrade")
    assert easel("db", "backup", "copy.db") == 0
    before = (tmp_path / "copy.db").read_bytes()

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bot.store.backup._to_disk", full)

    assert easel("db", "backup", "copy.db", "--replace") == 1
    assert easel("db", "backup", "other.db") == 1
    assert copies(tmp_path) == ["copy.db", "data"]
    assert (tmp_path / "copy.db").read_bytes() == before


def test_what_a_killed_backup_left_goes_with_a_later_one(tmp_path: Path) -> None:
    easel("db", "upgrade")
    old, fresh, another = (tmp_path / name for name in (".copy.db.77.part", ".copy.db.78.part", ".part"))
    for one in (old, fresh, another):
        one.write_text("half")
    for one in (old, another):
        os.utime(one, (0, 0))

    assert easel("db", "backup", "copy.db") == 0

    assert [old.exists(), fresh.exists(), another.exists()] == [False, True, True]


@pytest.mark.parametrize(
    "arguments", [["--keep", "0"], ["--keep", "-1"], ["--keep", "x"], ["--keep", "2", "--replace"]]
)
def test_a_backup_takes_a_number_of_copies(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        easel("db", "backup", *arguments)

    assert caught.value.code == 2


def test_a_backup_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    easel("db", "upgrade")
    (tmp_path / "copy.db").write_text("precious")

    assert easel("db", "backup", "copy.db") == 2
    assert easel("db", "backup", "nowhere/copy.db") == 2
    assert easel("db", "backup", "nowhere/") == 2

    assert (tmp_path / "copy.db").read_text() == "precious"
    said = capsys.readouterr().err
    assert "exists already. Add --replace" in said
    assert "There is no folder" in said
    assert copies(tmp_path) == ["copy.db", "data"]


def test_a_backup_into_a_read_only_folder_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with somebody_else() as folder:
        monkeypatch.chdir(folder)
        easel("db", "upgrade")
        (folder / "shut").mkdir(0o500)

        assert easel("db", "backup", "shut/copy.db") == 1
        monkeypatch.undo()

    error = capsys.readouterr().err
    assert error.startswith(f"easel: The copy shut/copy.db could not be written: {folder / 'shut'} is read-only.")
    assert len(error.splitlines()) == 1


def test_a_backup_under_an_impossible_name_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    easel("db", "upgrade")

    assert easel("db", "backup", "c" * 300) == 1

    error = capsys.readouterr().err
    assert "could not be written: File name too long." in error
    assert len(error.splitlines()) == 1


def test_a_backup_into_a_folder_that_becomes_read_only_meanwhile_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bot.store.backup.may_write", lambda _: True)
    with somebody_else() as folder:
        monkeypatch.chdir(folder)
        easel("db", "upgrade")
        (folder / "shut").mkdir(0o500)

        assert easel("db", "backup", "shut/copy.db") == 1
        monkeypatch.undo()

    error = capsys.readouterr().err
    assert error.startswith("easel: The copy shut/copy.db could not be written: Permission denied")
    assert len(error.splitlines()) == 1
