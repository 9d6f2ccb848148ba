from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DatabaseError

from bot.errors import StoreDamaged, StoreUnusable
from bot.redaction import Redaction
from bot.store import Store
from bot.store.database import parse_url
from bot.store.driver_errors import translate
from tests.store.makers import Clock, accepted, new_job, somebody_else


def file_of(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    ("given", "driver", "database"),
    [
        ("sqlite:///data/easel.db", "sqlite+pysqlite", f"{Path.cwd()}/data/easel.db"),
        ("sqlite:////var/lib/easel.db", "sqlite+pysqlite", "/var/lib/easel.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite+pysqlite", f"{Path.cwd()}/x.db"),
        ("sqlite+pysqlite:///x.db", "sqlite+pysqlite", f"{Path.cwd()}/x.db"),
        ("postgresql://u:p@db/easel", "postgresql+asyncpg", "easel"),
        ("postgres://u:p@db:5433/easel", "postgresql+asyncpg", "easel"),
        ("postgresql+asyncpg://u:p@db/easel", "postgresql+asyncpg", "easel"),
        ("postgresql+psycopg://u:p@db/easel", "postgresql+asyncpg", "easel"),
    ],
)
def test_urls_are_taken_with_and_without_a_driver(given: str, driver: str, database: str) -> None:
    url, _ = parse_url(given)

    assert (url.drivername, url.database) == (driver, database)


def test_the_way_libpq_asks_for_tls_is_understood() -> None:
    url, label = parse_url("postgres://u:secret@db:5433/easel?sslmode=require")

    assert dict(url.query) == {"ssl": "require"}
    assert label == "easel at db:5433"


@pytest.mark.parametrize(
    "given",
    [
        "mysql://u:secret@db/easel",
        "easel.db",
        "",
        "postgres//u:secret@db",
        "sqlite",
        "redis://secret",
        "postgresql://u:secret@db:port/x",
    ],
)
async def test_what_is_no_usable_url_is_answered_with_examples_and_never_repeated(given: str) -> None:
    with pytest.raises(StoreUnusable, match=r"sqlite:///data/easel\.db") as raised:
        await Store.open(given)

    assert "secret" not in str(raised.value)
    assert Redaction()(str(raised.value)) == str(raised.value)  # the examples stay readable


@pytest.mark.parametrize("given", ["sqlite://", "sqlite:///:memory:", "sqlite:///", "sqlite:///file::memory:?uri=true"])
async def test_a_database_in_memory_is_refused(given: str) -> None:
    with pytest.raises(StoreUnusable, match="names no file"):
        await Store.open(given)


async def test_a_relative_path_starts_at_the_working_folder_and_folders_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    store = await Store.open("sqlite:///deep/er/easel.db")
    await accepted(store)
    await store.close()

    assert (tmp_path / "deep/er/easel.db").stat().st_size > 0


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    store = await Store.open(file_of(path))
    await accepted(store)

    modes = {name: stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}
    await store.close()

    assert modes == dict.fromkeys(("easel.db", "easel.db-wal", "easel.db-shm", "easel.db.lock"), 0o600)


async def test_the_writing_connection_is_set_up_for_safety(tmp_path: Path) -> None:
    store = await Store.open(file_of(tmp_path / "easel.db"))

    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout", "query_only")

    def settings(connection: Connection) -> list[object]:
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    writing = await store._database.write(settings)
    reading = await store._database.read(settings)
    await store.close()

    assert dict(zip(names, writing, strict=True)) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 5000,
        "query_only": 0,
    }
    assert reading[-1] == 1


# ---------------------------------------------------------------------- one process a file

HOLDER = """
import asyncio, sys
from bot.store import Store
async def main():
    store = await Store.open(sys.argv[1])
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    url = file_of(tmp_path / "easel.db")
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, url, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"open\n"

    with pytest.raises(StoreUnusable, match="in use by another Easel process"):
        await Store.open(url)
    looking = await Store.open(url, exclusive=False)
    assert await looking.check() == []
    await looking.close()

    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    await (await Store.open(url)).close()


async def test_a_store_that_only_looks_never_writes(tmp_path: Path) -> None:
    url = file_of(tmp_path / "easel.db")
    store = await Store.open(url)
    job = await accepted(store)

    looking = await Store.open(url, exclusive=False)

    assert await looking.jobs.get(job.id) == job
    with pytest.raises(StoreUnusable, match="reading only"):
        await looking.kv.set("a", "b")
    await looking.close()
    await store.close()


async def test_looking_at_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"missing\.db does not exist yet"):
        await Store.open(file_of(tmp_path / "missing.db"), exclusive=False)

    assert os.listdir(tmp_path) == []


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await Store.open(file_of(tmp_path / "easel.db"))
    await store.close()
    await store.close()

    with pytest.raises(StoreUnusable, match="closed"):
        await store.kv.set("a", "b")


# ---------------------------------------------------------------------- what can be wrong with a file


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    path.write_bytes(b"My holiday in Skagen. " * 300)

    with pytest.raises(
        StoreUnusable, match=r"is not an SQLite database, or .*restore a backup.*If it is not, point EASEL"
    ):
        await Store.open(file_of(path))

    assert path.read_bytes() == b"My holiday in Skagen. " * 300


async def test_a_file_with_a_damaged_header_is_said_to_need_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    await (await Store.open(file_of(path))).close()
    path.write_bytes(bytes(64) + path.read_bytes()[64:])

    with pytest.raises(StoreDamaged, match=r"its header is damaged.*keep a copy.*restore a backup.*bot db backup"):
        await Store.open(file_of(path))


async def test_damage_that_shows_while_it_runs_is_told_to_whoever_writes(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    store = await Store.open(file_of(path))
    await accepted(store)
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorname = "SQLITE_CORRUPT"

    async def broken(_work: object) -> None:
        raise translate(DatabaseError("UPDATE", None, error), str(path))

    store._database.write = broken  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreDamaged, match="is damaged"):
        await store.kv.set("a", "b")
    await store.close()


async def test_a_damaged_file_is_named_at_the_latest_by_check(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    store = await Store.open(file_of(path))
    for user in range(60):
        await accepted(store, new_job(user=user, prompt="x" * 900))
    await store.close()
    body = bytearray(path.read_bytes())
    body[4096 * 3 : -4096] = b"\x5a" * (len(body) - 4096 * 4)
    path.write_bytes(body)

    try:
        store = await Store.open(file_of(path))
    except StoreUnusable as error:
        found = [error.sentence]
    else:
        found = await store.check()
        await store.close()

    assert found
    assert "is damaged" in found[0]
    assert "x" * 20 not in found[0]


async def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "easel.db").mkdir()

    with pytest.raises(StoreUnusable, match="can't be written"):
        await Store.open(file_of(tmp_path / "easel.db"))


async def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(StoreUnusable, match="can't be written"):
        await Store.open(file_of(tmp_path / "data" / "easel.db"))


async def test_a_read_only_file_is_named(tmp_path: Path) -> None:
    with somebody_else() as folder:
        path = folder / "easel.db"
        await (await Store.open(file_of(path))).close()
        path.chmod(0o400)

        with pytest.raises(StoreUnusable, match=r"easel\.db can't be written.*Let the user that runs Easel"):
            await Store.open(file_of(path))


async def test_a_read_only_folder_is_named() -> None:
    with somebody_else() as folder:
        folder.chmod(0o500)

        with pytest.raises(StoreUnusable, match=r"easel\.db can't be written.*Let the user that runs Easel"):
            await Store.open(file_of(folder / "easel.db"))


async def test_a_file_that_becomes_read_only_is_named_when_it_is_opened_for_looking() -> None:
    with somebody_else() as folder:
        path = folder / "easel.db"
        await (await Store.open(file_of(path))).close()
        path.chmod(0)

        with pytest.raises(StoreUnusable, match=r"easel\.db can't be opened"):
            await Store.open(file_of(path), exclusive=False)


FULL = """
import asyncio, resource, signal, sys
from bot.errors import StoreDamaged, StoreUnusable
from bot.redaction import Redaction
from bot.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
async def main():
    try:
        await Store.open(sys.argv[1])
    except StoreUnusable as error:
        print(error)
asyncio.run(main())
"""


@pytest.mark.parametrize("room", [0, 9000, 40_000])
def test_no_room_for_a_new_database_is_named(tmp_path: Path, room: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, file_of(tmp_path / "easel.db"), str(room)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr
    assert "full" in done.stdout
    assert "easel.db" in done.stdout


# ---------------------------------------------------------------------- what can be wrong with a server


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(StoreUnusable, match=r"easel at 127\.0\.0\.1:9 can't be reached") as raised:
        await Store.open("postgresql://easel:geheim@127.0.0.1:9/easel")

    assert "geheim" not in str(raised.value)


@pytest.mark.postgres
async def test_a_database_that_is_not_there_is_named(postgres_url: str) -> None:
    url = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)

    with pytest.raises(StoreUnusable, match=r"nowhere at .* does not exist on that server"):
        await Store.open(url)


@pytest.mark.postgres
async def test_a_user_that_is_not_known_is_named(postgres_url: str) -> None:
    url = make_url(postgres_url).set(username="stranger", password="geheim").render_as_string(hide_password=False)

    with pytest.raises(StoreUnusable, match="refuses the user name or password") as raised:
        await Store.open(url)

    assert "geheim" not in str(raised.value)


async def test_the_clock_of_the_store_is_the_one_given(tmp_path: Path) -> None:
    clock = Clock()
    store = await Store.open(file_of(tmp_path / "easel.db"), clock=clock)
    clock.tick(days=3)

    job = await accepted(store)
    await store.close()

    assert job.created_at == clock.now


def test_the_sqlite_underneath_is_new_enough() -> None:
    # Upserts, window functions, row values.
    assert sqlite3.sqlite_version_info >= (3, 35)
