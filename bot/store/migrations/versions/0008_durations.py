"""How long generations took, by how many pictures of which size they made.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was remembered before does not say; it counts as one picture of the usual size."""
    op.add_column("durations", sa.Column("images", sa.Integer(), nullable=True))
    op.add_column("durations", sa.Column("pixels", sa.BigInteger(), nullable=True))
