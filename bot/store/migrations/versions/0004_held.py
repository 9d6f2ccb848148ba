"""Jobs held for a review, found by their server.

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
    """Add an index."""
    held = sa.text("state = 'held'")
    op.create_index("ix_jobs_held", "jobs", ["guild_id"], sqlite_where=held, postgresql_where=held)
