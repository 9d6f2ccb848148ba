"""Money is counted in days and months, as images are in days; the ledger says for which model, and how surely.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_EPOCH = date(1970, 1, 1)


def upgrade() -> None:
    """What was reserved before at an unknown price counts as nothing, and as estimated."""
    op.add_column("ledger", sa.Column("endpoint", sa.String(200), nullable=False, server_default=sa.text("''")))
    op.add_column("ledger", sa.Column("estimated", sa.SmallInteger(), nullable=False, server_default=sa.text("0")))
    for name, usual in (("forgiven", "0"), ("submissions", "1"), ("doubtful", "0")):
        op.add_column("ledger", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text(usual)))
    op.add_column("balances", sa.Column("usd_micros", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.execute("UPDATE ledger SET estimated = 1 WHERE usd_micros IS NULL OR counted_usd_micros IS NULL")
    op.execute("UPDATE ledger SET usd_micros = 0 WHERE usd_micros IS NULL")
    op.execute("UPDATE ledger SET counted_usd_micros = 0 WHERE counted_usd_micros IS NULL")
    op.execute(
        "UPDATE ledger SET endpoint = (SELECT endpoint FROM jobs WHERE jobs.id = ledger.job_id) "
        "WHERE job_id IN (SELECT id FROM jobs)"
    )
    _sum_up()


def _sum_up() -> None:
    """Money for the balances that there are, and those of servers' months and of everybody."""
    connection = op.get_bind()
    images: Counter[tuple[str, int, int]] = Counter()
    micros: Counter[tuple[str, int, int]] = Counter()
    summed = "SELECT user_id, guild_id, day, SUM(counted), SUM(counted_usd_micros) FROM ledger GROUP BY 1, 2, 3"
    for user_id, guild_id, day, counted, usd_micros in connection.execute(sa.text(summed)).all():
        month = ((_EPOCH + timedelta(days=day)).replace(day=1) - _EPOCH).days
        own = [] if user_id is None else [("u", user_id, day)]
        servers = [] if guild_id is None else [("g", guild_id, day), ("m", guild_id, month)]
        for key in (*own, *servers, ("a", 0, day), ("n", 0, month)):
            images[key] += int(counted)
            micros[key] += int(usd_micros)
    for (scope, subject_id, day), count in images.items():
        values = {"scope": scope, "subject": subject_id, "day": day, "micros": micros[scope, subject_id, day]}
        if scope in {"u", "g"}:
            connection.execute(_UPDATE, values)
        else:
            connection.execute(_INSERT, {**values, "images": count})


_UPDATE = sa.text(
    "UPDATE balances SET usd_micros = :micros WHERE scope = :scope AND subject_id = :subject AND day = :day"
)
_INSERT = sa.text(
    "INSERT INTO balances (scope, subject_id, day, images, usd_micros) "
    "VALUES (:scope, :subject, :day, :images, :micros)"
)
