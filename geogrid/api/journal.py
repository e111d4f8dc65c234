"""The access log: a JSON line for each answer.

A line tells when, which route by its template, how it ended, how long it took, and who asked by the
name of the key. It has no address of the caller, no path, no query and no header, and so neither
coordinates nor keys nor names. Lines are gathered and written five times a second: one by one they
would cost as much as a look-up.
"""

import asyncio
import logging
import os
import sys
import time

_FLUSH_SECONDS = 0.2
_TICK = 0.001
"""Seconds for which the time of a line is not written anew."""

_MOST_LINES = 5_000
"""Lines gathered before they are written at once."""

logger = logging.getLogger(__name__)


class Journal:
    """Writes to standard error (`-`), to a file that others may rotate, or nowhere (empty)."""

    def __init__(self, target: str) -> None:
        """Take where to write; nothing is opened yet."""
        self._target = target
        self._lines: list[str] = []
        self._since, self._stamp = 0.0, ""
        self._broken = False

    def note(self, members: str) -> None:
        """Note an answer: members of a JSON object, without the time.

        Written by hand, of texts in which JSON has nothing to escape: 1 µs in place of 4.
        """
        if not self._target:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        now = time.time()
        if not 0 <= now - self._since < _TICK:
            self._since, self._stamp = now, _stamp(now)
        self._lines.append(f"{self._stamp}{members}}}\n")
        if len(self._lines) >= _MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered; a full disk stops the log, not the service."""
        text, self._lines = "".join(self._lines), []
        if not text:
            return
        try:
            if self._target == "-":
                sys.stderr.write(text)
                sys.stderr.flush()
            else:
                with open(self._target, "a", encoding="utf-8", opener=_private) as file:
                    file.write(text)
        except OSError as error:
            if not self._broken:
                logger.error("cannot write the access log %s: %s", self._target, error)
            self._broken = True
        else:
            self._broken = False


def _stamp(now: float) -> str:
    """Return the beginning of a line: the time, to milliseconds."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f'{{"time":"{text}.{int(now % 1 * 1000):03d}Z",'


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)
