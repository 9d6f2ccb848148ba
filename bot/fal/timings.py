"""Every interval, limit and timeout of `bot.fal` in one value, so that tests can use shorter ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """Intervals, limits and timeouts. Names ending in `_s` are seconds."""

    # A job of known duration is first polled when it should be done, plus these margins, so that one poll usually
    # suffices.
    margin_s: float = 0.15
    margin_share: float = 0.05
    #: The first poll of a long job comes no later than this, so that people see it move.
    first_poll_s: float = 12.0
    poll_min_s: float = 0.5
    poll_growth: float = 1.5
    poll_max_s: float = 5.0
    #: Far back in fal's queue the longest interval grows up to this.
    poll_queued_max_s: float = 20.0
    polls_at_once: int = 32
    polls_per_s: float = 2500.0
    #: Polls that find a job still under way: how many a second for all polled jobs together, and how many may be saved
    #: up. Where more jobs than `unbudgeted_polls` are polled, the rate falls as their number grows.
    misses_per_s: float = 20.0
    misses_saved: float = 200.0
    unbudgeted_polls: int = 2000

    # Pauses of the circuit breaker, for everything polled, while fal answers nothing useful.
    breaker_min_s: float = 0.5
    breaker_max_s: float = 15.0
    #: The longest Retry-After that is honoured; gateways guess, and an outage may be over long before.
    retry_after_max_s: float = 30.0

    #: A stream without a byte for this long is taken for dead (fal's own client allows 15 s).
    stream_idle_s: float = 45.0
    #: After heartbeats alone for this long the stream is left and the status polled.
    stream_quiet_s: float = 150.0
    #: A stream that brought a status and lasted this long does not count as broken when it ends.
    stream_useful_s: float = 5.0
    #: Streams opened a second: a TLS handshake costs about a millisecond, a thousand in one go would hold the loop.
    streams_per_s: float = 400.0
    streams_opened_at_once: int = 32
    #: Where fal offered no streams, they are tried again after this long.
    stream_missing_s: float = 600.0
    #: Broken streams of one job after which it is polled to its end.
    stream_tries: int = 2

    connect_s: float = 10.0
    submit_s: float = 60.0
    call_s: float = 30.0
    download_s: float = 30.0
    upload_s: float = 120.0
    #: Attempts of one GET or PUT, and the first pause between them; it doubles up to `retry_max_s`.
    tries: int = 4
    retry_s: float = 0.5
    retry_max_s: float = 10.0
    #: How many times in a row an unlikely end (404 for a known request, a refused key) must be answered to count.
    end_confirmations: int = 3

    #: After a callback the stream has this long to report the end itself; then it is left and the status polled.
    callback_grace_s: float = 0.25
    #: Least time between two readings of one endpoint's list of requests, however many wait for it.
    list_pause_s: float = 2.0
    #: A list that this key may not read is tried again after this long.
    list_refused_s: float = 900.0

    downloads_at_once: int = 12
    uploads_at_once: int = 3
    calls_at_once: int = 64
