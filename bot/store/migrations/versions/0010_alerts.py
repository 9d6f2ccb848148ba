"""Alerts that were raised, and where a server wants to be told.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody was told of anything before."""
    op.create_table(
        "alerts",
        sa.Column("scope", sa.String(1), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("percent", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("raised_us", sa.BigInteger(), nullable=False),
        sa.Column("sent_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("scope", "subject_id", "day", "percent", name="pk_alerts"),
    )
    op.add_column("guilds", sa.Column("alerts_channel_id", sa.BigInteger(), nullable=True))
