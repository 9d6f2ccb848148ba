"""Jobs held for a review, found by their server; jobs at fal counted without a look at their rows.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index, and a column to another."""
    claimed = sa.text("state IN ('submitting', 'running', 'finished')")
    op.drop_index("ix_jobs_claimed", table_name="jobs")
    op.create_index(
        "ix_jobs_claimed", "jobs", ["guild_id", "user_id", "state"], sqlite_where=claimed, postgresql_where=claimed
    )
    held = sa.text("state = 'held'")
    op.create_index("ix_jobs_held", "jobs", ["guild_id"], sqlite_where=held, postgresql_where=held)
