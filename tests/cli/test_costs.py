from __future__ import annotations

import asyncio
import csv
import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.__main__ import main
from bot.store import Store, utcnow
from bot.store.tables import ledger

TODAY = utcnow().date()


@pytest.fixture
async def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with three jobs in it."""
    monkeypatch.chdir(tmp_path)
    made = f"sqlite:///{tmp_path / 'easel.db'}"
    monkeypatch.setenv("EASEL_DATABASE_URL", made)
    store = await Store.open(made)
    schnell: dict[str, Any] = {"endpoint": "fal-ai/flux-1/schnell", "guild_id": 9}
    rows = [
        line("a", 1_250_000, user_id=7, **schnell),
        line("b", 250_000, endpoint="somebody/model", state="reserved", estimated=1),
        line("c", 1_000_000, TODAY - timedelta(days=40), user_id=8, guild_id=9),
        line("d", 0, user_id=8, state="released", counted=0, **schnell),
    ]
    await store._database.write(lambda connection: connection.execute(ledger.insert(), rows))
    await store.close()
    return made


def line(job: str, micros: int, day: date = TODAY, **more: Any) -> dict[str, Any]:
    number = (day - date(1970, 1, 1)).days
    return {
        "job_id": job,
        "user_id": None,
        "guild_id": None,
        "day": number,
        "images": 2,
        "counted": 2,
        "pace_us": 0,
        "state": "settled",
        "reserved_us": 0,
        "usd_micros": micros,
        "counted_usd_micros": micros,
        "endpoint": "",
        "estimated": 0,
        **more,
    }


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["costs", *arguments]) == 0
    return capsys.readouterr().out


def rows_of(text: str) -> list[list[str]]:
    return [cells.split() for cells in text.partition("\n\n")[0].splitlines()]


def test_this_month_by_day(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    head, *days, every = rows_of(printed(capsys))
    assert head[:2] == ["DAY", "(UTC)"]
    assert days == [[str(TODAY), "4", "1.5000", "0.2500", "0.2500"]]
    assert every == ["all", "4", "1.5000", "0.2500", "0.2500"]


def test_by_person_model_and_server_since_a_day(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    since = ("--since", str(TODAY - timedelta(days=41)))
    assert [row[0] for row in rows_of(printed(capsys, "--by", "person", *since))] == [
        "PERSON",
        "7",
        "8",
        "erased",
        "all",
    ]
    by_model = printed(capsys, "--by", "model", *since)
    assert [row[:2] for row in rows_of(by_model)[1:4]] == [
        ["FLUX.1", "schnell"],
        ["not", "on"],
        ["somebody/model", "2"],
    ]
    by_server = rows_of(printed(capsys, "--by", "server", *since))
    assert by_server[1] == ["9", "4", "2.2500", "0.0000", "0.0000"]
    assert by_server[2][:2] == ["direct", "messages"]


def test_as_csv(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    (first, second) = csv.DictReader(io.StringIO(printed(capsys, "--by", "model", "--csv")))
    assert (first["model"], first["usd"], first["pictures"]) == ("fal-ai/flux-1/schnell", "1.25", "2")
    assert (second["model"], second["usd_reserved"], second["usd_estimated"]) == ("somebody/model", "0.25", "0.25")


def test_days_that_were_deleted_are_no_secret(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "--since", "2020-01-01")
    assert f"The ledger has nothing before {TODAY - timedelta(days=40)}" in said
    assert "nothing before" not in printed(capsys, "--since", str(TODAY - timedelta(days=40)))


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "01.11.2026", "", "=1+1"])
def test_what_is_no_day_is_refused(url: str, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["costs", "--since", since])
    assert stopped.value.code == 2
    assert "write it as 2026-11-24" in capsys.readouterr().err


def test_without_a_database_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert main(["costs"]) == 2
    assert "does not exist yet" in capsys.readouterr().err
    assert "everybody together  $25.00" in printed(capsys, "--worst-case")


def test_beside_a_running_bot(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def running() -> None:
        store = await Store.open(url)
        try:
            await asyncio.to_thread(main, ["costs"])
        finally:
            await store.close()

    asyncio.run(running())
    assert "1.5000" in capsys.readouterr().out
