"""What counts at its worst because fal may have taken a request is set right once fal tells.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is in doubt by now stays so."""
    op.add_column("ledger", sa.Column("told_us", sa.BigInteger(), nullable=True))
    op.add_column(
        "ledger", sa.Column("others_usd_micros", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    waits = sa.text("told_us IS NOT NULL")
    op.create_index("ix_ledger_told", "ledger", ["told_us"], sqlite_where=waits, postgresql_where=waits)
