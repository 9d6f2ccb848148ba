"""Every interval, limit and timeout of `bot.fal` in one value, so that tests can be less patient."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """How patient we are. Names ending in `_s` are seconds."""

    # A job of known duration is first looked at when it should be done, so that one look usually suffices.
    margin_s: float = 0.15
    margin_share: float = 0.05
    #: The first look at a long job comes no later than this, so that people see it move.
    first_poll_s: float = 12.0
    poll_min_s: float = 0.5
    poll_growth: float = 1.5
    poll_max_s: float = 5.0
    #: Far back in fal's queue the longest interval grows up to this.
    poll_queued_max_s: float = 20.0
    polls_at_once: int = 32
    polls_per_s: float = 2500.0
    #: Looks at jobs that turn out not to have ended: so many a second for all polled jobs together, and so many saved
    #: up. Where many more jobs than `unbudgeted_polls` are polled, the rate falls as their number grows.
    misses_per_s: float = 20.0
    misses_saved: float = 200.0
    unbudgeted_polls: int = 2000

    # Pauses for everything polled while fal answers nothing useful.
    outage_min_s: float = 0.5
    outage_max_s: float = 15.0
    #: The longest Retry-After that is honoured; an outage may be over long before what a gateway guesses.
    retry_after_max_s: float = 30.0

    #: A stream without a byte for this long is taken for dead (fal's own client allows 15 s).
    stream_idle_s: float = 45.0
    #: Heartbeats alone are believed for this long; then one poll asks.
    stream_quiet_s: float = 150.0
    #: A stream that told something and lived this long has done its duty when it breaks.
    stream_fair_s: float = 5.0
    #: Streams opened a second: a TLS handshake costs about a millisecond, a thousand in one go would hold the loop.
    streams_per_s: float = 400.0
    streams_opened_at_once: int = 32
    #: Streams found missing are tried again after this long.
    stream_missing_s: float = 600.0
    #: How often one job may meet a broken stream before it is polled to its end.
    stream_tries: int = 2

    connect_s: float = 10.0
    submit_s: float = 60.0
    call_s: float = 30.0
    download_s: float = 30.0
    upload_s: float = 120.0
    #: Tries of one GET or PUT and the first pause between them; it doubles.
    tries: int = 4
    retry_s: float = 0.5
    retry_max_s: float = 10.0
    #: How often an unlikely end (404 for a request we have seen, a refused key) must be heard to be believed.
    believe_after: int = 3

    #: A stream gets this long to tell itself what a callback told; then it is left and the status asked for.
    callback_grace_s: float = 0.25
    #: Between two readings of one endpoint's list of requests, however many ask for it.
    list_pause_s: float = 2.0
    #: A list that this key may not read is asked for again after this long.
    list_refused_s: float = 900.0

    downloads_at_once: int = 12
    uploads_at_once: int = 3
    calls_at_once: int = 64
