from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, select, text

from bot.domain.job import JobState
from bot.errors import StoreUnusable
from bot.store import Store, schema_version
from bot.store.database import Database, parse_url
from bot.store.tables import ledger, metadata
from tests.store.conftest import migrated
from tests.store.makers import Clock, accepted

#: What a bot of each revision may have left behind.
LEFT_BEHIND = {
    "0001": (
        "INSERT INTO jobs (id, interaction_id, state, fence, attempts, user_id, guild_id, channel_id, role_ids,"
        " endpoint, images, order_json, reply_json, token, token_expires_us, told, cancel_requested, fair_tag,"
        " fair_cost, created_us)"
        " VALUES ('oldjob000001', 42, 'queued', 0, 0, 1, 50, 70, '[]', 'fal-ai/z-image/turbo', 1,"
        """ '{"endpoint":"fal-ai/z-image/turbo","prompt":"old","options":{},"given":[],"images":1}',"""
        """ '{"application_id":3}', 'tok', 1777896000000000, 0, 0, 1.0, 1.0, 1777896000000000)""",
        "INSERT INTO ledger (job_id, user_id, guild_id, day, images, counted, pace_us, state, reserved_us) "
        "VALUES ('oldjob000001', 1, 50, 20577, 1, 1, 1000000, 'reserved', 1777896000000000)",
        "INSERT INTO balances VALUES ('u', 1, 20577, 1), ('g', 50, 20577, 1)",
        "INSERT INTO pacing VALUES (1, 1777896001000000, 1.0)",
    ),
    "0002": (
        "INSERT INTO people VALUES (1, 'fal-ai/qwen-image')",
        # One of another person, outside of servers, that fal has; one that ended untold; one whose record is broken.
        *(
            "INSERT INTO jobs (id, interaction_id, state, fence, attempts, user_id, guild_id, channel_id, role_ids,"
            " endpoint, images, order_json, reply_json, token, token_expires_us, request_json, told, cancel_requested,"
            f" fair_tag, fair_cost, created_us, ended_us) VALUES ('{job_id}', {number}, '{state}', 1, 1, 2, NULL, 70,"
            """ '[]', 'e', 1, '{"endpoint":"e","prompt":"old","options":{},"given":[],"images":1}',"""
            f""" '{{"application_id":3}}', '', 0, '{request}', 0, 0, 9.5, 1.0, 1777895000000000, {ended})"""
            for number, (job_id, state, request, ended) in enumerate(
                (
                    (
                        "oldjob000002",
                        "running",
                        '{"request_id":"r-2","status_url":"","response_url":"","cancel_url":""}',
                        "NULL",
                    ),
                    (
                        "oldjob000003",
                        "failed",
                        '{"request_id":"r-3","status_url":"","response_url":"","cancel_url":""}',
                        "5",
                    ),
                    ("oldjob000004", "delivered", "{broken", "6"),
                )
            )
        ),
        "INSERT INTO ledger (job_id, user_id, guild_id, day, images, counted, pace_us, state, reserved_us) "
        "VALUES ('oldjob000002', 2, NULL, 20577, 1, 1, 1000000, 'reserved', 1777895000000000)",
        "INSERT INTO balances VALUES ('u', 2, 20577, 1)",
        "UPDATE fairness SET virtual_time = 7.5",
    ),
    "0003": ("INSERT INTO meta VALUES ('of', 'revision 3')",),
    "0004": ("INSERT INTO meta VALUES ('in_use', '1')",),
    "0005": (),
    "0006": (),
    "0007": (),
    "0008": (),
    "0009": (),
    "0010": (),
    "0011": (),
}


def run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)  # no placeholders: a colon in JSON is a colon


async def fill(url: str, revision: str) -> None:
    """Every bot up to that revision, each in its time."""
    for name in schema_version.REVISIONS[: schema_version.REVISIONS.index(revision) + 1]:
        await migrated(url, name)
        database = Database(*parse_url(url), exclusive=True)
        await database.write(partial(run, statements=LEFT_BEHIND[name]))
        await database.close()


def test_the_known_revisions_are_the_files() -> None:
    scripts = schema_version.scripts()

    chain = [script.revision for script in scripts.walk_revisions()]

    assert tuple(reversed(chain)) == schema_version.REVISIONS
    assert scripts.get_heads() == [schema_version.HEAD]
    assert set(LEFT_BEHIND) == set(schema_version.REVISIONS)


@pytest.mark.parametrize("revision", schema_version.REVISIONS)
async def test_a_database_of_every_earlier_revision_comes_forward_with_its_content(
    empty_url: str, revision: str
) -> None:
    await fill(empty_url, revision)

    store = await Store.open(empty_url, clock=Clock())

    job = await store.jobs.get("oldjob000001")
    assert job is not None
    assert (job.state, job.request.prompt, job.reply.interaction_id) == (JobState.QUEUED, "old", 42)
    assert await store.check() == []
    assert (await store.usage.of(job.actor)).images_today == 1
    assert await store.positions.of(["oldjob000001"]) == {"oldjob000001": 0}
    assert [claimed.id for claimed in await store.jobs.claim(5)] == ["oldjob000001"]
    assert (await store.preferences.get(1, 50)).user_model == ("fal-ai/qwen-image" if revision >= "0002" else None)
    if revision >= "0002":
        assert [old.id for old in await store.leases.adopt()] == ["oldjob000002", "oldjob000003"]
        assert await store.jobs.known_requests(["r-1", "r-2", "r-3"]) == {"r-2", "r-3"}
        running = await store.jobs.get("oldjob000002")
        assert running is not None
        assert (running.fence, running.attempts, running.possible_doubles) == (2, 1, 0)
    else:
        assert await store.leases.adopt() == []
    assert await store.kv.get("of") == ("revision 3" if revision >= "0003" else None)
    assert await store.check() == []
    used = await store.usage.of(job.actor)
    assert used.tat == datetime(2026, 5, 4, 12, 0, 1, tzinfo=UTC)
    money = select(ledger.c.usd_micros, ledger.c.counted_usd_micros)
    assert await store._database.read(lambda connection: set(connection.execute(money).all())) == {(0, 0)}
    await store.close()


async def test_migrations_build_what_the_tables_say(empty_url: str) -> None:
    database = Database(*parse_url(empty_url), exclusive=True)

    def described(connection: Connection) -> tuple[Any, Any]:
        schema_version.upgrade(connection, schema_version.HEAD)
        by_migrations = description(connection), content(connection)
        run(connection, ["DROP TABLE alembic_version", *(f"DROP TABLE {one.name}" for one in metadata.sorted_tables)])
        schema_version.migrate(connection)
        return by_migrations, (description(connection), content(connection))

    by_migrations, by_tables = await database.write(described)
    await database.close()

    assert by_migrations == by_tables
    assert set(by_migrations[0]) == {*metadata.tables, "alembic_version"}


def content(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that an empty database has."""
    names = ("alembic_version", *metadata.tables)
    return {name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))] for name in names}


def description(connection: Connection) -> dict[str, Any]:
    """Everything the database says about our tables, partial indexes included."""
    inspector = inspect(connection)
    names = inspector.get_table_names()
    if connection.dialect.name == "sqlite":
        ddl = "SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    else:
        ddl = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    statements = [(table, re.sub(r"\s+", " ", sql)) for table, sql in connection.execute(text(ddl))]
    return {
        name: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(name)
            ],
            "key": inspector.get_pk_constraint(name),
            "unique": sorted(map(str, inspector.get_unique_constraints(name))),
            "checks": sorted(map(str, inspector.get_check_constraints(name))),
            "indexes": sorted(sql for table, sql in statements if table == name and "INDEX" in sql),
        }
        for name in names
    }


async def test_a_database_newer_than_the_code_is_left_alone(url: str) -> None:
    await (await Store.open(url)).close()
    database = Database(*parse_url(url), exclusive=True)
    await database.write(lambda connection: run(connection, ["UPDATE alembic_version SET version_num = '9999'"]))
    try:
        for exclusive in (True, False):
            if exclusive:
                await database.close()
            with pytest.raises(StoreUnusable, match=r"newer Easel \(revision 9999.*Update Easel"):
                await Store.open(url, exclusive=exclusive)
    finally:
        database = Database(*parse_url(url), exclusive=True)
        await database.write(
            lambda connection: run(connection, [f"UPDATE alembic_version SET version_num = '{schema_version.HEAD}'"])
        )
        await database.close()


async def test_a_database_of_another_program_is_left_alone(empty_url: str) -> None:
    database = Database(*parse_url(empty_url), exclusive=True)
    await database.write(lambda connection: run(connection, ["CREATE TABLE jobs (id INTEGER)"]))
    await database.close()

    with pytest.raises(StoreUnusable, match="another program"):
        await Store.open(empty_url)


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    database = Database(*parse_url(empty_url), exclusive=True)
    # In the way of the second table of the first revision.
    await database.write(lambda connection: run(connection, ["CREATE TABLE pacing (id INTEGER)"]))

    with pytest.raises(StoreUnusable):
        await database.write(schema_version.migrate)

    names = await database.read(lambda connection: inspect(connection).get_table_names())
    await database.close()
    assert names == ["pacing"]


@pytest.mark.postgres
async def test_processes_that_start_at_once_on_an_empty_database_migrate_it_once(postgres: Any) -> None:
    url = await postgres.create()

    stores = await asyncio.gather(*(Store.open(url, clock=Clock()) for _ in range(4)))

    await accepted(stores[0])
    assert (await stores[3].jobs.counts()).waiting == 1
    for store in stores:
        await store.close()
    await postgres.drop(url)


async def test_a_database_at_the_newest_revision_opens_without_alembic(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/easel.db"
    await (await Store.open(url)).close()
    program = (
        "import asyncio, json, sys\n"
        "from bot.store import Store\n"
        "async def main():\n"
        "    await (await Store.open(sys.argv[1])).close()\n"
        "asyncio.run(main())\n"
        "print(json.dumps(sorted(name for name in sys.modules if name in {'alembic', 'asyncpg', 'mako'})))\n"
    )

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, stdout=subprocess.PIPE)
    output, _ = await process.communicate()

    assert json.loads(output) == []
