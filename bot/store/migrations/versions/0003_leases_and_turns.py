"""Leases, possible doubles, requests by id, and a queue of two levels.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PAGE = 500


def upgrade() -> None:
    """Add the columns and tables, and fill them from what is there."""
    op.drop_index("ix_jobs_queue", table_name="jobs")
    op.drop_column("jobs", "fair_tag")
    op.drop_column("pacing", "last_tag")
    op.add_column("pacing", sa.Column("seen_us", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("flow_id", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("lease_owner", sa.String(40)))
    op.add_column("jobs", sa.Column("lease_until_us", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("possible_doubles", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("request_id", sa.Text()))
    _tables()
    op.execute("UPDATE jobs SET flow_id = COALESCE(guild_id, -user_id)")
    _name_requests()
    _join_queue()
    claimed = "state IN ('submitting', 'running', 'finished')"
    _index("ix_jobs_queue", "jobs", ["flow_id", "user_id", "seq"], "state = 'queued'")
    _index("ix_jobs_claimed", "jobs", ["guild_id", "user_id"], claimed)
    _index("ix_jobs_lease", "jobs", ["lease_owner", "seq"], claimed)
    _index("ix_jobs_request", "jobs", ["request_id"], "request_id IS NOT NULL")
    _index("ix_flows_next", "flows", ["tag", "since_us", "flow_id"], "waiting > 0")
    _index("ix_flow_users_next", "flow_users", ["flow_id", "tag", "since_us", "user_id"], "waiting > 0")


def _tables() -> None:
    op.create_table(
        "flows",
        sa.Column("flow_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.Double(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("virtual_time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("flow_id", name="pk_flows"),
    )
    op.create_table(
        "flow_users",
        sa.Column("flow_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.Double(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("flow_id", "user_id", name="pk_flow_users"),
    )


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _name_requests() -> None:
    """JSON is read here: SQLite need not be built with functions for it."""
    connection = op.get_bind()
    page = sa.text(
        "SELECT seq, request_json FROM jobs WHERE request_json IS NOT NULL AND seq > :after ORDER BY seq LIMIT :most"
    )
    name = sa.text("UPDATE jobs SET request_id = :request WHERE seq = :seq")
    rows = connection.execute(page, {"after": 0, "most": _PAGE}).all()
    while rows:
        connection.execute(name, [{"seq": row.seq, "request": _request_id(row.request_json)} for row in rows])
        rows = connection.execute(page, {"after": rows[-1].seq, "most": _PAGE}).all()


def _request_id(text: str) -> str | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found.get("request_id") if isinstance(found, dict) else None


def _join_queue() -> None:
    """Everybody who waits starts at the same tag; whoever has waited longest is first."""
    op.execute("UPDATE fairness SET virtual_time = 0")
    op.execute(
        "INSERT INTO flows (flow_id, tag, since_us, waiting, virtual_time) "
        "SELECT flow_id, 0, min(created_us), count(*), 0 FROM jobs WHERE state = 'queued' GROUP BY flow_id"
    )
    op.execute(
        "INSERT INTO flow_users (flow_id, user_id, tag, since_us, waiting) "
        "SELECT flow_id, user_id, 0, min(created_us), count(*) FROM jobs WHERE state = 'queued' "
        "GROUP BY flow_id, user_id"
    )
