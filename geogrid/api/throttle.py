"""How much is worked on at once, and how often one caller may ask."""

import asyncio
import time
from collections import OrderedDict

_MOST_CALLERS = 10_000
"""Callers remembered; the one that asked longest ago is forgotten first."""

_SHORT = 0.25
"""Share of the time one may wait, once more is asked than can be done: 1 s of 4."""


class Slots:
    """A bounded number of places to work at, and a bounded queue before them.

    A burst is waited out; when the queue has not been empty for as long as one may wait, more is
    asked than can be done, and nobody gains by waiting: from then on it is said soon.
    """

    def __init__(self, places: int, waiting: int, seconds: float) -> None:
        """Take the number of places, how many may wait for one, and how long."""
        self._free, self._most_waiting, self._seconds = places, waiting, seconds
        self._queue: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._full_since: float | None = None

    def take(self) -> bool:
        """Take a place if one is free now."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def wait(self) -> bool:
        """Wait for a place; False if too many wait already, or none came free in time."""
        if len(self._queue) >= self._most_waiting:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._queue[turn] = None
        alarm = loop.call_later(self._patience(loop.time()), _end_waiting, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.give()
            raise
        finally:
            alarm.cancel()
            self._queue.pop(turn, None)

    def give(self) -> None:
        """Give a place back: to whom waits longest, if anybody does."""
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1
        self._full_since = None

    def _patience(self, now: float) -> float:
        if self._full_since is None:
            self._full_since = now
        lasting = now - self._full_since > self._seconds
        return self._seconds * _SHORT if lasting else self._seconds


class Buckets:
    """A bucket of tokens for each caller: a second's worth at once, then so many a second."""

    def __init__(self, per_second: float) -> None:
        """Take how many requests a second a caller may send."""
        self._rate, self._size = per_second, max(1.0, per_second)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_of(self, caller: str) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = time.monotonic()
        tokens, then = self._buckets.pop(caller, (self._size, now))
        tokens = min(self._size, tokens + (now - then) * self._rate)
        short = tokens < 1
        self._buckets[caller] = (tokens if short else tokens - 1, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return (1 - tokens) / self._rate if short else 0.0


def _end_waiting(turn: asyncio.Future[bool]) -> None:
    if not turn.done():
        turn.set_result(False)
