"""Fetch tiles into a folder, politely: the only place where the division uses the network.

What is there is not asked for again, so a run that was stopped goes on. Every request is counted on
disk before it is sent, and none is sent beyond the daily limit. A body is kept only if it is a
whole picture: services answer errors as pages with status 200. The key is read from the environment
when it is needed; it goes into requests and nowhere else.
"""

import fcntl
import http.client
import json
import os
import random
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from geogrid.errors import ConflictError, ImageryError, UsageError
from geogrid.partition.imagery.bodies import decoded
from geogrid.partition.imagery.services import Service
from geogrid.partition.imagery.tiles import TileFolder
from geogrid.store import replacing

Tell = Callable[[str, int, int], None]
"""Called with the stage, the tiles done and the tiles in all."""

# Days are counted where the services are.
_ZONE = ZoneInfo("Asia/Shanghai")
_LARGEST_BODY = 8_000_000
_BATCH = 64
_AGENT = "Mozilla/5.0 (compatible; geogrid)"
_SUFFIX_OF = {b"\x89": ".png", b"\xff": ".jpg", b"R": ".webp"}
_ABSENT = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
# Tianditu answers 418 where a key is missing, wrong, or used from elsewhere.
_FORBIDDEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.IM_A_TEAPOT}
_TOO_MANY = HTTPStatus.TOO_MANY_REQUESTS


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to insist: tries for a tile, and waits between them (seconds), doubled each time."""

    tries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    timeout: float = 30.0
    at_once: int = 4


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    kind: str
    wait: float | None = None


class _Trouble(Exception):  # noqa: N818  # never leaves this module
    """What may be better the next time; `wait` seconds if the service said so."""

    def __init__(self, reason: str, *, wait: float | None = None, blank: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.blank = blank


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
        clock = now or (lambda: datetime.now(_ZONE))
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
        self.patience, self._now, self._total = terms
        self._service, self._folder, self._zoom = service, folder, zoom
        self._key = _key_of(service)
        self._headers = {"User-Agent": _AGENT, "Accept": "image/*"}
        if referer := os.environ.get(service.referer_variable or "-", ""):
            self._headers["Referer"] = referer
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
            self._count()
            try:
                body = self._picture(self._ask(x, y))
            except _Trouble as trouble:
                if attempt + 1 == self.patience.tries:
                    if trouble.blank:
                        return
                    raise self._failure(f"tile {self._zoom}/{x}/{y}: {trouble}") from None
                self._stopped.wait(self._pause(attempt, trouble.wait))
                continue
            self._keep(x, y, body)
            return

    def _ask(self, x: int, y: int) -> _Answer:
        address = self._service.address(self._zoom, x, y, urllib.parse.quote(self._key, safe=""))
        request = urllib.request.Request(address, headers=self._headers)
        try:
            with _OPENER.open(request, timeout=self.patience.timeout) as response:
                return _answer_of(response, response.status)
        except urllib.error.HTTPError as error:
            with error:
                return _answer_of(error, error.code)
        except urllib.error.URLError as error:
            raise _Trouble(f"no answer ({self._hidden(str(error.reason))})") from None
        except (OSError, http.client.HTTPException) as error:
            reason = self._hidden(str(error)) or type(error).__name__
            raise _Trouble(f"the answer broke off ({reason})") from None

    def _picture(self, answer: _Answer) -> bytes:
        """Return the picture of an answer, empty where the service has none; else say why not."""
        if answer.status in _ABSENT:
            return b""
        if answer.status in _FORBIDDEN:
            raise self._refused(answer)
        if 300 <= answer.status < 400:
            raise self._failure("it sends requests elsewhere; put the new address in the template")
        if answer.status == _TOO_MANY:
            raise _Trouble("too many requests (status 429)", wait=answer.wait)
        if answer.status != HTTPStatus.OK:
            raise _Trouble(f"status {answer.status}", wait=answer.wait)
        return self._checked(answer)

    def _checked(self, answer: _Answer) -> bytes:
        body = answer.body
        if body[:1] in (b"<", b"{") or "html" in answer.kind or "json" in answer.kind:
            raise _Trouble(f"text instead of a picture ({self._excerpt(body)})")
        if len(body) > _LARGEST_BODY:
            raise _Trouble(f"more than {_LARGEST_BODY} bytes")
        try:
            rgb, valid = decoded(body, "the answer")
        except ImageryError as error:
            raise _Trouble(str(error)) from None
        if self._service.blank_is_missing and valid.all() and int(rgb.min()) == 255:
            raise _Trouble("an all-white tile", blank=True)
        return body

    def _keep(self, x: int, y: int, body: bytes) -> None:
        stem = self._folder / str(self._zoom) / str(x) / str(y)
        stem.parent.mkdir(parents=True, exist_ok=True)
        with replacing(stem.with_name(stem.name + _SUFFIX_OF.get(body[:1], ".none"))) as draft:
            draft.write_bytes(body)
        with self._lock:
            self._done += 1

    def _count(self) -> None:
        """Count a request that will be sent, or refuse it."""
        limit = self._service.daily_limit
        with self._lock:
            now = self._now().astimezone(_ZONE)
            file, day = self._folder / "requests.json", f"{now:%Y-%m-%d}"
            sent = _counts(file).get(day, 0)
            if limit is not None and sent >= limit:
                raise self._spent(now, limit)
            draft = file.with_suffix(".part")
            draft.write_text(json.dumps({day: sent + 1}), encoding="utf-8")
            draft.replace(file)

    def _spent(self, now: datetime, limit: int) -> ImageryError:
        left = self._total - self._done
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return self._failure(
            f"the limit of {limit} requests a day is reached ({now:%Y-%m-%d}, Asia/Shanghai). Go "
            f"on after {midnight:%Y-%m-%d %H:%M}; {left} tiles are left, about "
            f"{-(-left // max(limit, 1))} more days. Imagery as a file (GeoTIFF, MBTiles) needs no "
            "waiting"
        )

    def _refused(self, answer: _Answer) -> ImageryError:
        named, referer = self._service.key_variable, self._service.referer_variable
        advice = f"Check the key in the environment variable {named}"
        if referer:
            advice += f", and for a browser key the address of its site in {referer}"
        return self._failure(
            f"status {answer.status}, the service refuses the request "
            f"({self._excerpt(answer.body)}). {advice}"
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

    def _excerpt(self, body: bytes) -> str:
        """Return the first words of a page, without its tags and the key."""
        text = body[:2000].decode("utf-8", "replace")
        plain = " ".join(re.sub(r"<[^>]*>", " ", text).split())
        return self._hidden(plain)[:120] or "empty"

    def _hidden(self, text: str) -> str:
        for secret in (self._key, urllib.parse.quote(self._key, safe="")):
            text = text.replace(secret, "(key)") if secret else text
        return text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Never follow: the key would go to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""
        return


_OPENER = urllib.request.build_opener(_NoRedirect)


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


def _answer_of(response: http.client.HTTPResponse | urllib.error.HTTPError, code: int) -> _Answer:
    try:
        body = response.read(_LARGEST_BODY + 1)
    except (OSError, http.client.HTTPException) as error:
        raise _Trouble(f"the answer broke off ({type(error).__name__})") from None
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and len(body) < min(int(length), _LARGEST_BODY):
        raise _Trouble(f"the answer broke off after {len(body)} of {length} bytes")
    after = response.headers.get("Retry-After", "")
    return _Answer(
        status=code,
        body=body,
        kind=response.headers.get("Content-Type", "").lower(),
        wait=float(after) if after.isdigit() else None,
    )


def _known(folder: Path, zoom: int, x: int, y: int) -> bool:
    """Say whether a tile is kept, or was said not to exist."""
    stem = folder / str(zoom) / str(x) / str(y)
    return stem.with_name(f"{y}.none").exists() or (TileFolder(folder).body(zoom, x, y) is not None)


def _counts(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(day): int(count) for day, count in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise ImageryError(
            f"{file}, which counts the requests of today, is damaged: {error}. Delete it if the "
            "service's daily limit is surely not reached."
        ) from error


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
