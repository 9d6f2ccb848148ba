"""A person's use of each rate is kept apart: the usual one, a tier's, and that of a server with limits of its own.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was used before counts on the usual rate, whichever it was taken from."""
    op.add_column("ledger", sa.Column("rate_key", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    # Made anew and copied, because SQLite cannot change a primary key; it has no more than a row a person.
    op.execute("ALTER TABLE rate_state RENAME TO rate_state_0006")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE rate_state_0006 RENAME CONSTRAINT pk_rate_state TO pk_rate_state_0006")
    op.create_table(
        "rate_state",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rate_key", sa.BigInteger(), autoincrement=False, nullable=False, server_default=sa.text("0")),
        sa.Column("tat_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("user_id", "rate_key", name="pk_rate_state"),
    )
    op.execute("INSERT INTO rate_state (user_id, tat_us, seen_us) SELECT user_id, tat_us, seen_us FROM rate_state_0006")
    op.drop_table("rate_state_0006")
