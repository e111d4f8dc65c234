"""Fetch tiles into a folder, politely.

What is there is not asked for again, so a run that was stopped goes on. Every request is counted on
disk before it is sent, and none is sent beyond the daily limit. The key is read from the
environment when it is needed.
"""

import fcntl
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geogrid.errors import ConflictError, ImageryError, UsageError
from geogrid.partition.imagery.asking import ZONE, Asker, DayCounter, Refused, Spent, Trouble
from geogrid.partition.imagery.services import Service
from geogrid.partition.imagery.tiles import TileFolder
from geogrid.store import replacing

Tell = Callable[[str, int, int], None]
"""Called with the stage, the tiles done and the tiles in all."""

_BATCH = 64
_SUFFIX_OF = {b"\x89": ".png", b"\xff": ".jpg", b"R": ".webp"}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to insist: tries for a tile, and waits between them (seconds), doubled each time."""

    tries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    timeout: float = 30.0
    at_once: int = 4


def fetch(
    service: Service,
    folder: Path,
    wanted: tuple[int, NDArray[np.int64]],
    *,
    patience: Patience | None = None,
    tell: Tell | None = None,
    now: Callable[[], datetime] | None = None,
) -> None:
    """Fetch the tiles that a folder lacks.

    Parameters
    ----------
    folder : Path
        Of this service; tiles are kept as `{z}/{x}/{y}.png`, jpg or webp.
    wanted : int, (n, 2) int64
        Zoom, and x and y.
    now : callable, optional
        The time, aware of its zone; by default the clock's.

    Raises
    ------
    ImageryError
        The service does not answer, refuses the key, answers no pictures, or the daily limit is
        reached. What was fetched stays.
    UsageError
        The service needs a key and there is none.
    ConflictError
        Another run is fetching into the folder.
    """
    zoom, tiles = wanted
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        lacking = [(x, y) for x, y in tiles.tolist() if not _known(folder, zoom, x, y)]
        if not lacking:
            return
        clock = now or (lambda: datetime.now(ZONE))
        fetcher = _Fetcher(service, folder, zoom, (patience or Patience(), clock, len(lacking)))
        report = tell or (lambda _stage, _done, _total: None)
        report("tiles", 0, len(lacking))
        with ThreadPoolExecutor(fetcher.patience.at_once) as pool:
            for first in range(0, len(lacking), _BATCH):
                batch = lacking[first : first + _BATCH]
                for _ in pool.map(fetcher.get, batch):
                    pass
                report("tiles", first + len(batch), len(lacking))


class _Fetcher:
    """One run of fetching; shared by its threads."""

    def __init__(
        self,
        service: Service,
        folder: Path,
        zoom: int,
        terms: tuple[Patience, Callable[[], datetime], int],
    ) -> None:
        self.patience, now, self._total = terms
        self._service, self._folder, self._zoom = service, folder, zoom
        referer = os.environ.get(service.referer_variable or "-", "")
        self._asker = Asker(
            service, _key_of(service), referer=referer, timeout=self.patience.timeout
        )
        self._requests = DayCounter(folder / "requests.json", service.daily_limit, now)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._done = 0

    def get(self, tile: tuple[int, int]) -> None:
        """Fetch and keep one tile."""
        try:
            self._get(*tile)
        except BaseException:
            self._stopped.set()
            raise

    def _get(self, x: int, y: int) -> None:
        """Ask until there is an answer, with growing waits."""
        for attempt in range(self.patience.tries):
            if self._stopped.is_set():
                return
            try:
                self._requests.count()
                body = self._asker.picture(self._zoom, x, y)
            except Spent as spent:
                raise self._spent(spent) from None
            except Refused as refused:
                raise self._failure(str(refused)) from None
            except Trouble as trouble:
                if attempt + 1 == self.patience.tries:
                    if trouble.blank:
                        return
                    raise self._failure(f"tile {self._zoom}/{x}/{y}: {trouble}") from None
                self._stopped.wait(self._pause(attempt, trouble.wait))
                continue
            self._keep(x, y, body)
            return

    def _keep(self, x: int, y: int, body: bytes) -> None:
        stem = self._folder / str(self._zoom) / str(x) / str(y)
        stem.parent.mkdir(parents=True, exist_ok=True)
        with replacing(stem.with_name(stem.name + _SUFFIX_OF.get(body[:1], ".none"))) as draft:
            draft.write_bytes(body)
        with self._lock:
            self._done += 1

    def _spent(self, spent: Spent) -> ImageryError:
        left = self._total - self._done
        return self._failure(
            f"{spent} ({spent.now:%Y-%m-%d}, Asia/Shanghai). Go on after "
            f"{spent.until:%Y-%m-%d %H:%M}; {left} tiles are left, about "
            f"{-(-left // max(spent.limit, 1))} more days. Imagery as a file (GeoTIFF, MBTiles) "
            "needs no waiting"
        )

    def _failure(self, reason: str) -> ImageryError:
        return ImageryError(
            f"{self._service.name}: {reason}. {self._done} of {self._total} tiles were fetched now "
            f"and are kept in {self._folder}; the same command goes on from there."
        )

    def _pause(self, attempt: int, asked: float | None) -> float:
        grown = self.patience.first_wait * float(1 << attempt)
        wait = max(grown, asked or 0.0) * random.uniform(0.75, 1.25)
        return min(wait, self.patience.longest_wait)


def _key_of(service: Service) -> str:
    if not service.needs_key:
        return ""
    key = os.environ.get(service.key_variable, "").strip()
    if not key:
        raise UsageError(
            f"{service.name} needs a key: put it into the environment variable "
            f"{service.key_variable}. It is sent to that service and written nowhere."
        )
    return key


def _known(folder: Path, zoom: int, x: int, y: int) -> bool:
    """Say whether a tile is kept, or was said not to exist."""
    stem = folder / str(zoom) / str(x) / str(y)
    return stem.with_name(f"{y}.none").exists() or (TileFolder(folder).body(zoom, x, y) is not None)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one run at a time fetch into a folder."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"another run is fetching tiles into {folder}. Wait for it, then start again."
            ) from error
        yield
