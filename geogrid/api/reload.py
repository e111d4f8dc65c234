"""Serve another edition without a pause: build beside, then replace one reference.

The files are looked at every other second. When one has changed, and looks the same twice, the new
dataset is built while the old one answers: in a thread, or, if it is large, in another process
(`beside`). Then one assignment makes the new one answer. Requests that began before keep the old
one (`deps.Served`), which is freed with the last of them. A file that cannot be used changes
nothing, and is not tried again before it changes. Keys are read anew in the same way.
"""

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from geogrid.api import keys
from geogrid.api.beside import Builder
from geogrid.api.deps import Dataset, Served, load
from geogrid.api.keys import Keyring
from geogrid.api.metrics import Metrics
from geogrid.api.settings import Settings
from geogrid.edition import Edition
from geogrid.errors import GeogridError

_SMALL = 1_000
"""Micro-grids that are built in a thread: another process takes longer to start."""

State = Literal["none", "building", "done", "unchanged", "failed"]

_FREED_AT_ONCE = 1_000

Stamp = tuple[tuple[str, int, int, int], ...]

logger = logging.getLogger(__name__)


class Reloader:
    """Replaces what is served.

    Attributes
    ----------
    state : State
        How the last attempt went.
    at, since : str
        When that was; since when the present edition is served.
    detail : str
        Why it failed.
    """

    def __init__(self, settings: Settings, served: Served, ring: Keyring, metrics: Metrics) -> None:
        """Take what to serve, and what to replace."""
        self._settings, self._served, self._ring, self._metrics = settings, served, ring, metrics
        named = (settings.edition, settings.imagery, settings.incidents)
        self._files = [path for path in named if path is not None]
        self._key_files = [] if settings.keys_file is None else [settings.keys_file]
        self._lock, self._builder = asyncio.Lock(), Builder()
        self._tried: Stamp = ()
        self.state: State = "none"
        self.detail = self.at = self.since = ""

    async def start(self, dataset: Dataset | None = None) -> None:
        """Read keys and files, or take a dataset that was loaded before, and serve.

        Raises
        ------
        GeogridError
            A file cannot be used.
        """
        self._read_keys()
        self._tried = _stamp_of(self._files)
        self._serve(await _in_thread(load, self._settings) if dataset is None else dataset)

    async def watch(self, seconds: float) -> None:
        """Reload whenever a file has changed and rests; never ends."""
        before, known_keys = self._tried, _stamp_of(self._key_files)
        while True:
            await asyncio.sleep(seconds)
            stamp, key_stamp = _stamp_of(self._files), _stamp_of(self._key_files)
            if stamp == before and stamp != self._tried:
                await self.reload()
            before = stamp
            if key_stamp != known_keys:
                known_keys = key_stamp
                self._reread_keys()

    async def reload(self) -> Dataset:
        """Read the files anew, and return what is served then; `state` tells how it went."""
        async with self._lock:
            self.state, self.at, self.detail = "building", _now(), ""
            self._tried = _stamp_of(self._files)
            try:
                small = len(self._served.dataset.edition.units["microgrid"]) <= _SMALL
                dataset = await _in_thread(load if small else self._builder.load, self._settings)
            except GeogridError as error:
                self.state, self.detail = "failed", _without_folders(error, self._files)
                logger.error("the edition before is still served: %s", error)
            else:
                same = dataset.revision == self._served.dataset.revision
                self.state = "unchanged" if same else "done"
                self._serve(dataset)
            self.at = _now()
            self._metrics.reloaded(self.state)
            return self._served.dataset

    def _serve(self, dataset: Dataset) -> None:
        before: Dataset | None = getattr(self._served, "dataset", None)
        self._served.dataset = dataset
        if before is not None and before is not dataset:
            _let_go(before)
        self.since = _now()
        self._metrics.serving(dataset.edition.info.id, dataset.revision)
        logger.info("serving edition %s, revision %s", dataset.edition.info.id, dataset.revision)

    def _read_keys(self) -> None:
        self._ring.replace(keys.read(self._settings.keys, self._settings.keys_file))

    def _reread_keys(self) -> None:
        try:
            self._read_keys()
        except GeogridError as error:
            logger.error("the keys before are still accepted: %s", error)


async def _in_thread(load: Callable[[Settings], Dataset], settings: Settings) -> Dataset:
    """Load in a thread that does not delay the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Dataset] = loop.create_future()

    def work() -> None:
        try:
            dataset = load(settings)
        except BaseException as error:  # noqa: BLE001  # handed on, not handled
            loop.call_soon_threadsafe(_settle, done, None, error)
        else:
            loop.call_soon_threadsafe(_settle, done, dataset, None)

    threading.Thread(target=work, name="load", daemon=True).start()
    return await done


def _settle(
    done: asyncio.Future[Dataset], dataset: Dataset | None, error: BaseException | None
) -> None:
    if done.cancelled():
        return
    if error is not None:
        done.set_exception(error)
    elif dataset is not None:
        done.set_result(dataset)


def _let_go(dataset: Dataset) -> None:
    """Free geometries and texts a share at a time, once the dataset is gone: at once, 0.2 s."""
    held = [dataset]

    def work() -> None:
        kept = _objects(held[0].edition)
        gone = weakref.ref(held.pop())
        while gone() is not None:
            time.sleep(0.2)
        while kept:
            del kept[-_FREED_AT_ONCE:]

    threading.Thread(target=work, name="let go", daemon=True).start()


def _objects(edition: Edition) -> list[object]:
    """Return all that stands in columns of objects."""
    tables = edition.units.values()
    columns = [table[name].to_numpy() for table in tables for name in table]
    return [each for column in columns if column.dtype == object for each in column.tolist()]


def _stamp_of(paths: list[Path]) -> Stamp:
    """Return what changes whenever one of the files, or a file in one of the folders, does."""
    return tuple(_stamps(paths))


def _stamps(paths: list[Path]) -> Iterator[tuple[str, int, int, int]]:
    for path in paths:
        try:
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            for file in files:
                stat = file.stat()
                yield str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino
        except OSError:
            yield str(path), 0, 0, 0


def _without_folders(error: GeogridError, paths: list[Path]) -> str:
    """Return the message with names of files only: where they lie is nobody else's concern."""
    text = str(error)
    for path in paths:
        text = text.replace(str(path), path.name)
    return text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
