"""Where all requests are counted and logged, whatever protocol they came by."""

from __future__ import annotations

from serve.metrics.access_log import AccessLog
from serve.metrics.names import (
    RECEIVED_BYTES,
    REJECTED,
    REQUEST_SECONDS,
    REQUESTS,
    REQUESTS_IN_FLIGHT,
    SENT_BYTES,
)
from serve.metrics.tally import Tally
from serve.metrics.visit import Visit


class Visits:
    """Told of the beginning and the end of each request; used on one event loop.

    Args:
        tally: counts them.
        log: takes a line of each; None for none.
    """

    def __init__(self, tally: Tally, *, log: AccessLog | None = None) -> None:
        self._tally = tally
        self._log = log

    def begin(self, visit: Visit) -> None:
        """One more is under way."""
        self._tally.add(REQUESTS_IN_FLIGHT, (visit.protocol,))

    def end(self, visit: Visit) -> None:
        """It is over: its status is known."""
        tally, seconds = self._tally, visit.seconds()
        labels = (visit.protocol, visit.route, visit.status)
        tally.add(REQUESTS_IN_FLIGHT, (visit.protocol,), -1.0)
        tally.add(REQUESTS, labels)
        tally.observe(REQUEST_SECONDS, labels, seconds)
        tally.add(RECEIVED_BYTES, (visit.protocol,), visit.received_bytes)
        tally.add(SENT_BYTES, (visit.protocol,), visit.sent_bytes)
        if visit.reason:
            tally.add(REJECTED, (visit.protocol, visit.reason))
        if self._log is not None:
            self._log.write(visit, seconds=seconds)
