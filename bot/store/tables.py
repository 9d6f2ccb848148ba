"""The tables as the newest migration leaves them (a test compares the two).

Moments are whole microseconds since 1970 (UTC) in columns called `…_us`: exact, sortable, the same on every database.
Days are whole days since 1970. Flags are 0 and 1. JSON is text, so that a key of another version survives reading.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

#: A growing number the database hands out (SQLite does that for INTEGER only).
_Serial: Final = BigInteger().with_variant(Integer, "sqlite")

_IN_QUEUE = text("state = 'queued'")
_CLAIMED = text("state IN ('submitting', 'running', 'finished')")
_HELD = text("state = 'held'")
_HAS_REQUEST = text("request_id IS NOT NULL")
_TOLD_LATER = text("told_us IS NOT NULL")
_BACKLOGGED = text("waiting > 0")
_LIVE = text("ended_us IS NULL")
_UNNOTIFIED = text("told = 0 AND ended_us IS NOT NULL")
_HAS_TOKEN = text("token <> ''")

#: One row a request, from acceptance until retention removes it.
jobs = Table(
    "jobs",
    metadata,
    #: Order of acceptance; breaks ties in the queue.
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("id", String(20), nullable=False, unique=True),
    #: Discord may replay an interaction: this makes the second one a duplicate.
    Column("interaction_id", BigInteger, nullable=False, unique=True),
    Column("state", String(12), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("guild_id", BigInteger),
    Column("channel_id", BigInteger, nullable=False),
    Column("role_ids", Text, nullable=False),
    Column("endpoint", String(200), nullable=False),
    Column("images", Integer, nullable=False),
    #: NULL once the content was deleted on request.
    Column("order_json", Text),
    #: What of the reply never changes.
    Column("reply_json", Text, nullable=False),
    #: Interaction token; '' once expired, or once the job ended and its owner was notified.
    Column("token", Text, nullable=False),
    Column("token_expires_us", BigInteger, nullable=False),
    Column("message_id", BigInteger),
    Column("parent_id", String(20)),
    Column("request_json", Text),
    Column("result_json", Text),
    Column("failure_json", Text),
    Column("told", SmallInteger, nullable=False),
    Column("cancel_requested", SmallInteger, nullable=False),
    #: What the job adds to its owner's tag in the queue: images over weight.
    Column("fair_cost", Double, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("submitted_us", BigInteger),
    Column("started_us", BigInteger),
    Column("finished_us", BigInteger),
    #: Set exactly in the terminal states.
    Column("ended_us", BigInteger),
    #: Its flow in the queue: the server, or minus the person's id outside of servers.
    Column("flow_id", BigInteger, nullable=False, server_default=text("0")),
    #: Process that works on the job; from claim to end, and after an end without a picture until its owner is notified.
    Column("lease_owner", String(40)),
    #: Until when nobody else may take the job; by the database server's clock on PostgreSQL.
    Column("lease_until_us", BigInteger, nullable=False, server_default=text("0")),
    #: Submits that were repeated although fal may have had the one before.
    Column("possible_doubles", Integer, nullable=False, server_default=text("0")),
    #: fal's id, out of `request_json`; stays when the content is deleted.
    Column("request_id", Text),
    #: Whether its process is preparing it: fetching and decoding what people attached.
    Column("preparing", SmallInteger, nullable=False, server_default=text("0")),
    #: Processes that ended uncleanly meanwhile.
    Column("prepare_crashes", Integer, nullable=False, server_default=text("0")),
    Index("ix_jobs_queue", "flow_id", "user_id", "seq", sqlite_where=_IN_QUEUE, postgresql_where=_IN_QUEUE),
    Index("ix_jobs_claimed", "guild_id", "user_id", "state", sqlite_where=_CLAIMED, postgresql_where=_CLAIMED),
    Index("ix_jobs_held", "guild_id", sqlite_where=_HELD, postgresql_where=_HELD),
    Index("ix_jobs_lease", "lease_owner", "seq", sqlite_where=_CLAIMED, postgresql_where=_CLAIMED),
    Index("ix_jobs_request", "request_id", sqlite_where=_HAS_REQUEST, postgresql_where=_HAS_REQUEST),
    Index("ix_jobs_live", "user_id", sqlite_where=_LIVE, postgresql_where=_LIVE),
    Index("ix_jobs_user", "user_id", "seq"),
    Index("ix_jobs_ended", "ended_us"),
    Index("ix_jobs_untold", "seq", sqlite_where=_UNNOTIFIED, postgresql_where=_UNNOTIFIED),
    Index("ix_jobs_token", "token_expires_us", sqlite_where=_HAS_TOKEN, postgresql_where=_HAS_TOKEN),
)

#: One reservation a job; it resolves once, to settled or released. Outlives the job's row.
ledger = Table(
    "ledger",
    metadata,
    Column("job_id", String(20), primary_key=True),
    #: NULL once the person had their data erased.
    Column("user_id", BigInteger),
    Column("guild_id", BigInteger),
    Column("day", Integer, nullable=False),
    #: Images reserved, and images that count now: all while reserved, those made once settled, none once released.
    Column("images", Integer, nullable=False),
    Column("counted", Integer, nullable=False),
    #: Time taken from the rate limit by what counts.
    Column("pace_us", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("reserved_us", BigInteger, nullable=False),
    Column("resolved_us", BigInteger),
    #: Millionths of a US dollar reserved (the worst case, for each submission that fal may have accepted), and those
    #: that count now: all while reserved, what fal billed once settled, none once released. Never NULL.
    Column("usd_micros", BigInteger),
    Column("counted_usd_micros", BigInteger),
    #: Which of the person's rates it was taken from: `rate_state.rate_key`.
    Column("rate_key", BigInteger, nullable=False, server_default=text("0")),
    Column("endpoint", String(200), nullable=False, server_default=text("''")),
    #: Whether fal did not tell what it billed, or the price is not known.
    Column("estimated", SmallInteger, nullable=False, server_default=text("0")),
    #: Images that fal made and that don't count, because nobody was shown them.
    Column("forgiven", Integer, nullable=False, server_default=text("0")),
    #: Submissions that it is reserved for, and how many may have been painted for all we know: while reserved of those
    #: before the last one, then of all. Each of them counts at its worst.
    Column("submissions", Integer, nullable=False, server_default=text("1")),
    Column("doubtful", Integer, nullable=False, server_default=text("0")),
    #: From when on fal's list of requests tells of those; NULL where nothing is in doubt, or the list never tells.
    Column("told_us", BigInteger),
    #: What counts for other submissions than the one on record, as fal billed them; without those in doubt.
    Column("others_usd_micros", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("state IN ('reserved', 'settled', 'released')", name="state"),
    CheckConstraint("counted >= 0 AND counted <= images", name="counted"),
    Index("ix_ledger_user", "user_id", "reserved_us"),
    Index("ix_ledger_day", "day"),
    Index("ix_ledger_told", "told_us", sqlite_where=_TOLD_LATER, postgresql_where=_TOLD_LATER),
)

#: Images and millionths of a US dollar that count: always the sums of `ledger.counted` and `counted_usd_micros`. In a
#: day for a person ('u'), a server ('g') and everybody ('a'); in a month, by its first day, for a server ('m') and
#: everybody ('n'). Everybody is subject 0. 'f' is the sum of `ledger.forgiven` of a person and day.
balances = Table(
    "balances",
    metadata,
    Column("scope", String(1), primary_key=True),
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("images", Integer, nullable=False),
    Column("usd_micros", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_balances_day", "day"),
)

#: A person's rate of requests: how much of the burst is used. One row where the usual rate holds, and one for each
#: other rate, because a moment computed by one rate means nothing under another.
rate_state = Table(
    "rate_state",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    #: `Policy.rate_key`: 0 the usual rate, a server's id its own, below 0 a tier's.
    Column("rate_key", BigInteger, primary_key=True, autoincrement=False, server_default=text("0")),
    Column("tat_us", BigInteger, nullable=False),
    #: The latest moment `tat_us` was computed at: a clock that was set back is told from a limit that was loosened.
    Column("seen_us", BigInteger, nullable=False, server_default=text("0")),
)

#: One row: the virtual time among the flows. Whoever changes the queue locks it first (PostgreSQL).
fairness = Table(
    "fairness",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("virtual_time", Double, nullable=False),
)

#: First level of the queue: servers, and people outside of servers. The lowest (tag, since) with jobs waiting is next.
flows = Table(
    "flows",
    metadata,
    Column("flow_id", BigInteger, primary_key=True, autoincrement=False),
    #: Start tag while jobs wait, finish tag of the last one otherwise.
    Column("tag", Double, nullable=False),
    #: Since when jobs wait here without a break; decides between equal tags.
    Column("since_us", BigInteger, nullable=False),
    #: Jobs waiting: how many rows of `jobs` are queued here.
    Column("waiting", Integer, nullable=False),
    #: The virtual time among the people in this flow.
    Column("virtual_time", Double, nullable=False),
    Index("ix_flows_next", "tag", "since_us", "flow_id", sqlite_where=_BACKLOGGED, postgresql_where=_BACKLOGGED),
)

#: Second level: the people in a flow, in the same way.
flow_users = Table(
    "flow_users",
    metadata,
    Column("flow_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tag", Double, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("waiting", Integer, nullable=False),
    Index(
        "ix_flow_users_next",
        "flow_id",
        "tag",
        "since_us",
        "user_id",
        sqlite_where=_BACKLOGGED,
        postgresql_where=_BACKLOGGED,
    ),
)

#: Single values by key that outlive a restart.
kv = Table(
    "kv",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

#: What a person chose.
users = Table(
    "users",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", String(200), nullable=False),
)

#: What a server's managers chose.
guilds = Table(
    "guilds",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", String(200)),
    Column("limits_json", Text),
    #: Where alerts about the server's budgets go.
    Column("alerts_channel_id", BigInteger),
)

#: Alerts that were raised (`bot.domain.alerts.Alert`): the key lets each be raised once, by whichever process.
alerts = Table(
    "alerts",
    metadata,
    Column("scope", String(1), primary_key=True),
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("percent", Integer, primary_key=True, autoincrement=False),
    #: When it was raised, or taken over by another process to be sent.
    Column("raised_us", BigInteger, nullable=False),
    Column("sent_us", BigInteger),
)

#: Requests that are not accepted yet.
drafts = Table(
    "drafts",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("guild_id", BigInteger),
    #: What it waits for.
    Column("kind", String(20), nullable=False),
    #: May hold a prompt; '{}' once the draft is a job.
    Column("payload_json", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    #: The job it became: a second click gets that one.
    Column("job_id", String(20)),
    Index("ix_drafts_user", "user_id"),
    Index("ix_drafts_expires", "expires_us"),
)

#: How long recent generations took, a few for each model.
durations = Table(
    "durations",
    metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("endpoint", String(200), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("images", Integer, nullable=True),
    Column("pixels", BigInteger, nullable=True),
    Index("ix_durations_endpoint", "endpoint", "seq"),
)

__all__ = [
    "alerts",
    "balances",
    "drafts",
    "durations",
    "fairness",
    "flow_users",
    "flows",
    "guilds",
    "jobs",
    "kv",
    "ledger",
    "metadata",
    "rate_state",
    "users",
]
