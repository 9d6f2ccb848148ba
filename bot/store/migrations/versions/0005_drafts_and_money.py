"""Drafts, the money of a reservation, and three tables under the names that the field uses.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Copy the renamed tables, add the columns and the new table."""
    _rename_tables()
    # NULL: not known, as for every reservation made before.
    op.add_column("ledger", sa.Column("usd_micros", sa.BigInteger()))
    op.add_column("ledger", sa.Column("counted_usd_micros", sa.BigInteger()))
    op.create_table(
        "drafts",
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("guild_id", sa.BigInteger()),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("payload_json", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(20)),
        sa.PrimaryKeyConstraint("id", name="pk_drafts"),
    )
    op.create_index("ix_drafts_user", "drafts", ["user_id"])
    op.create_index("ix_drafts_expires", "drafts", ["expires_us"])


def _rename_tables() -> None:
    """Made anew and copied, because SQLite cannot rename the constraints; none of them has more than a row a person."""
    op.create_table(
        "rate_state",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tat_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("user_id", name="pk_rate_state"),
    )
    op.execute("INSERT INTO rate_state (user_id, tat_us, seen_us) SELECT user_id, tat_us, seen_us FROM pacing")
    op.drop_table("pacing")
    op.create_table(
        "users",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
    )
    op.execute("INSERT INTO users (user_id, model) SELECT user_id, model FROM people")
    op.drop_table("people")
    op.create_table(
        "kv",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_kv"),
    )
    op.execute("INSERT INTO kv (key, value) SELECT key, value FROM meta")
    op.drop_table("meta")
