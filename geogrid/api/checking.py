"""The check of the edition that is served, beside the service: neither start nor look-ups wait.

A check of 100,000 micro-grids takes seconds and most of them hold the interpreter. So it runs in a
process of its own, once a revision, when somebody first asks for it. A small edition is checked
in a thread: there the start of a process would take longer than the check.
"""

import logging
import multiprocessing
import os
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path

from geogrid import store
from geogrid.coverage.check import check
from geogrid.coverage.findings import Findings
from geogrid.edition import Edition
from geogrid.errors import ConflictError, GeogridError

logger = logging.getLogger(__name__)

_SMALL = 5_000
"""Micro-grids that are checked in a quarter of a second."""
_KEPT = 2
"""Revisions: the one that is served, and the one before while its requests end."""
_NICENESS = 10
"""Of the process: look-ups go first."""


class Checks:
    """What checks found, by revision; each is made once, however many ask."""

    def __init__(self, path: Path) -> None:
        """Take the file that editions are read from."""
        self._path = path
        self._lock = threading.Lock()
        self._made: dict[str, Future[Findings]] = {}

    def of(self, edition: Edition) -> Future[Findings]:
        """Return what a check of this edition finds, or will have found; never waits."""
        revision = edition.info.digest
        with self._lock:
            if revision not in self._made:
                self._made[revision] = Future()
                work = (self._path, edition, self._made[revision])
                threading.Thread(target=_fill, args=work, daemon=True, name="check").start()
                for old in list(self._made)[:-_KEPT]:
                    del self._made[old]
            return self._made[revision]


def _fill(path: Path, edition: Edition, answer: "Future[Findings]") -> None:
    try:
        small = len(edition.units["microgrid"]) <= _SMALL
        answer.set_result(check(edition) if small else _in_a_process(path, edition))
    except BaseException as error:  # whoever asks is told; nobody else would be
        logger.exception("the check of edition %s failed", edition.info.id)
        answer.set_exception(error)


def _in_a_process(path: Path, edition: Edition) -> Findings:
    """Check the edition that a file holds; here if the file holds another one by now."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(
        target=work, args=(path, edition.info.digest, sender), daemon=True, name="check"
    )
    worker.start()
    sender.close()
    if worker.pid is not None:
        os.setpriority(os.PRIO_PROCESS, worker.pid, _NICENESS)
    try:
        found = receiver.recv()
    except EOFError:
        found = ConflictError("the process that checks has ended")
    worker.join()
    if isinstance(found, Findings):
        return found
    logger.warning("the check runs inside the service: %s", found)
    return check(edition)


def work(path: Path, revision: str, sender: Connection) -> None:
    """Check the edition of a file and send the findings, or the error that stands in the way."""
    try:
        edition = store.read_edition(path)
        if edition.info.digest != revision:
            raise ConflictError(f"{path} holds another edition by now")
        sender.send(check(edition))
    except GeogridError as error:
        sender.send(error)
