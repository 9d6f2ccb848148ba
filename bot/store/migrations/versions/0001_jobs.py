"""Jobs, the ledger of their reservations, pace and queue.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _jobs()
    _accounts()
    op.create_table(
        "fairness",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("virtual_time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fairness"),
    )
    op.execute("INSERT INTO fairness (id, virtual_time) VALUES (1, 0)")
    op.create_table(
        "meta",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("interaction_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("guild_id", sa.BigInteger()),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.String(200), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("order_json", sa.Text()),
        sa.Column("reply_json", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("token_expires_us", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("parent_id", sa.String(20)),
        sa.Column("request_json", sa.Text()),
        sa.Column("result_json", sa.Text()),
        sa.Column("failure_json", sa.Text()),
        sa.Column("told", sa.SmallInteger(), nullable=False),
        sa.Column("cancel_requested", sa.SmallInteger(), nullable=False),
        sa.Column("fair_tag", sa.Double(), nullable=False),
        sa.Column("fair_cost", sa.Double(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("submitted_us", sa.BigInteger()),
        sa.Column("started_us", sa.BigInteger()),
        sa.Column("finished_us", sa.BigInteger()),
        sa.Column("ended_us", sa.BigInteger()),
        sa.PrimaryKeyConstraint("seq", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sa.UniqueConstraint("interaction_id", name="uq_jobs_interaction_id"),
    )
    _index("ix_jobs_queue", ["fair_tag", "seq"], "state = 'queued'")
    _index("ix_jobs_live", ["user_id"], "ended_us IS NULL")
    op.create_index("ix_jobs_user", "jobs", ["user_id", "seq"])
    op.create_index("ix_jobs_ended", "jobs", ["ended_us"])
    _index("ix_jobs_untold", ["seq"], "told = 0 AND ended_us IS NOT NULL")
    _index("ix_jobs_token", ["token_expires_us"], "token <> ''")


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "jobs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _accounts() -> None:
    op.create_table(
        "ledger",
        sa.Column("job_id", sa.String(20), nullable=False),
        sa.Column("user_id", sa.BigInteger()),
        sa.Column("guild_id", sa.BigInteger()),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.Column("pace_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reserved_us", sa.BigInteger(), nullable=False),
        sa.Column("resolved_us", sa.BigInteger()),
        sa.PrimaryKeyConstraint("job_id", name="pk_ledger"),
        sa.CheckConstraint("state IN ('reserved', 'settled', 'released')", name="ck_ledger_state"),
        sa.CheckConstraint("counted >= 0 AND counted <= images", name="ck_ledger_counted"),
    )
    op.create_index("ix_ledger_user", "ledger", ["user_id", "reserved_us"])
    op.create_index("ix_ledger_day", "ledger", ["day"])
    op.create_table(
        "balances",
        sa.Column("scope", sa.String(1), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "subject_id", "day", name="pk_balances"),
    )
    op.create_index("ix_balances_day", "balances", ["day"])
    op.create_table(
        "pacing",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tat_us", sa.BigInteger(), nullable=False),
        sa.Column("last_tag", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_pacing"),
    )
