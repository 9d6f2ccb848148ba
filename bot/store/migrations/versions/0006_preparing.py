"""How often a process died while it prepared a job.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark and the count; jobs from before have neither."""
    op.add_column("jobs", sa.Column("preparing", sa.SmallInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("prepare_crashes", sa.Integer(), nullable=False, server_default=sa.text("0")))
