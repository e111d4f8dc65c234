"""How much is worked on at once, and how often one caller may ask."""

import asyncio
import time
from collections import OrderedDict

_MOST_CALLERS = 10_000
"""Callers remembered; the one that asked longest ago is forgotten first."""

_SHORT = 0.25
"""Share of the time one may wait, once more is asked than can be done: 0.5 s of 2."""


class Slots:
    """A bounded number of places to work at, and a short queue before them.

    A burst is waited out, in the order of asking. When somebody has waited in vain, more is asked
    than can be done. In order, all would then wait as long as anybody may; so who asked last is
    served first, and mostly waits for no longer than a place takes to come free, and the others are
    told soon. That ends when nobody waits in vain any more, or a place stays free.
    """

    def __init__(self, places: int, waiting: int, seconds: float) -> None:
        """Take the number of places, how many may wait for one, and for how many seconds."""
        self._free, self._most_waiting, self._seconds = places, waiting, seconds
        self._queue: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._free_since = self._refused = float("-inf")

    def take(self) -> bool:
        """Take a place if one is free now."""
        if self._free <= 0:
            return False
        if time.monotonic() - self._free_since > self._seconds * _SHORT:
            self._refused = float("-inf")
        self._free -= 1
        return True

    async def wait(self) -> bool:
        """Wait for a place; False if too many wait already, or none came free in time."""
        got = len(self._queue) < self._most_waiting and await self._turn()
        if not got:
            self._refused = time.monotonic()
        return got

    def give(self) -> None:
        """Give a place back: to one who waits, if anybody does."""
        while self._queue:
            turn, _ = self._queue.popitem(last=self._is_too_much())
            if not turn.done():
                turn.set_result(True)
                return
        if self._free == 0:
            self._free_since = time.monotonic()
        self._free += 1

    async def _turn(self) -> bool:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._queue[turn] = None
        patience = self._seconds * (_SHORT if self._is_too_much() else 1)
        alarm = loop.call_later(patience, _end_waiting, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.give()
            raise
        finally:
            alarm.cancel()
            self._queue.pop(turn, None)

    def _is_too_much(self) -> bool:
        return time.monotonic() - self._refused < self._seconds


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
