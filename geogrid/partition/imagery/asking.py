"""Ask a service for single tiles: the only place where a tile comes over the network.

A body is a picture or it is refused: services answer errors as pages with status 200. Requests of a
day are counted on disk before they are sent. The key goes into requests and nowhere else: not into
messages, not to another host that the service sends to.
"""

import fcntl
import http.client
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from zoneinfo import ZoneInfo

from geogrid.errors import ImageryError
from geogrid.partition.imagery.bodies import decoded
from geogrid.partition.imagery.services import Service

ZONE = ZoneInfo("Asia/Shanghai")
"""Days are counted where the services are."""

_LARGEST_BODY = 8_000_000
_AGENT = "Mozilla/5.0 (compatible; geogrid)"
_ABSENT = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
# Tianditu answers 418 where a key is missing, wrong, or used from elsewhere.
_FORBIDDEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.IM_A_TEAPOT}
_TOO_MANY = HTTPStatus.TOO_MANY_REQUESTS


class Trouble(Exception):  # noqa: N818  # callers wait and ask again, or turn it into their error
    """What may be better the next time; `wait` seconds if the service said so."""

    def __init__(self, reason: str, *, wait: float | None = None, blank: bool = False) -> None:
        """Take the reason, which holds no key."""
        super().__init__(reason)
        self.wait = wait
        self.blank = blank


class Refused(Exception):  # noqa: N818  # as above
    """What will not be better the next time: the key, or the address."""


class Spent(Exception):  # noqa: N818  # as above
    """The limit of a day is reached."""

    def __init__(self, now: datetime, limit: int) -> None:
        """Take the time and the limit."""
        super().__init__(f"the limit of {limit} requests a day is reached")
        self.now, self.limit = now, limit
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.until = midnight + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    kind: str
    wait: float | None = None


class Asker:
    """Asks one service; shared by threads."""

    def __init__(self, service: Service, key: str, *, referer: str = "", timeout: float) -> None:
        """Take the key, and the site that it is bound to."""
        self._service, self._key, self._timeout = service, key, timeout
        self._headers = {"User-Agent": _AGENT, "Accept": "image/*"}
        if referer:
            self._headers["Referer"] = referer

    def picture(self, zoom: int, x: int, y: int) -> bytes:
        """Return a tile: a whole PNG, JPEG or WebP; empty where the service has none.

        Raises
        ------
        Trouble
            No answer, or none that is a picture.
        Refused
            The service refuses the request, or sends it elsewhere.
        """
        answer = self._ask(zoom, x, y)
        if answer.status in _ABSENT:
            return b""
        if answer.status in _FORBIDDEN:
            raise Refused(self._advice(answer))
        if 300 <= answer.status < 400:
            raise Refused("it sends requests elsewhere; put the new address in the template")
        if answer.status == _TOO_MANY:
            raise Trouble("too many requests (status 429)", wait=answer.wait)
        if answer.status != HTTPStatus.OK:
            raise Trouble(f"status {answer.status}", wait=answer.wait)
        return self._checked(answer)

    def _ask(self, zoom: int, x: int, y: int) -> _Answer:
        address = self._service.address(zoom, x, y, urllib.parse.quote(self._key, safe=""))
        request = urllib.request.Request(address, headers=self._headers)
        try:
            with _OPENER.open(request, timeout=self._timeout) as response:
                return _answer_of(response, response.status)
        except urllib.error.HTTPError as error:
            with error:
                return _answer_of(error, error.code)
        except urllib.error.URLError as error:
            raise Trouble(f"no answer ({self._hidden(str(error.reason))})") from None
        except (OSError, http.client.HTTPException) as error:
            reason = self._hidden(str(error)) or type(error).__name__
            raise Trouble(f"the answer broke off ({reason})") from None

    def _checked(self, answer: _Answer) -> bytes:
        body = answer.body
        if body[:1] in (b"<", b"{") or "html" in answer.kind or "json" in answer.kind:
            raise Trouble(f"text instead of a picture ({self._excerpt(body)})")
        if len(body) > _LARGEST_BODY:
            raise Trouble(f"more than {_LARGEST_BODY} bytes")
        try:
            rgb, valid = decoded(body, "the answer")
        except ImageryError as error:
            raise Trouble(str(error)) from None
        if self._service.blank_is_missing and valid.all() and int(rgb.min()) == 255:
            raise Trouble("an all-white tile", blank=True)
        return body

    def _advice(self, answer: _Answer) -> str:
        named, referer = self._service.key_variable, self._service.referer_variable
        advice = f"Check the key in the environment variable {named}"
        if referer:
            advice += f", and for a browser key the address of its site in {referer}"
        return (
            f"status {answer.status}, the service refuses the request "
            f"({self._excerpt(answer.body)}). {advice}"
        )

    def _excerpt(self, body: bytes) -> str:
        """Return the first words of a page, without its tags and the key."""
        text = body[:2000].decode("utf-8", "replace")
        plain = " ".join(re.sub(r"<[^>]*>", " ", text).split())
        return self._hidden(plain)[:120] or "empty"

    def _hidden(self, text: str) -> str:
        for secret in (self._key, urllib.parse.quote(self._key, safe="")):
            text = text.replace(secret, "(key)") if secret else text
        return text


class DayCounter:
    """Counts the requests of a day in a file; shared by threads and by processes."""

    def __init__(self, file: Path, limit: int | None, now: Callable[[], datetime]) -> None:
        """Count in `file`, at most `limit` a day."""
        self._file, self._limit, self._now = file, limit, now
        self._lock = threading.Lock()

    def count(self) -> None:
        """Count a request that will be sent.

        Raises
        ------
        Spent
            It must not be sent.
        ImageryError
            The file is damaged.
        """
        with self._lock, self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            now = self._now().astimezone(ZONE)
            day = f"{now:%Y-%m-%d}"
            sent = _counts(self._file).get(day, 0)
            if self._limit is not None and sent >= self._limit:
                raise Spent(now, self._limit)
            draft = self._file.with_suffix(".part")
            draft.write_text(json.dumps({day: sent + 1}), encoding="utf-8")
            draft.replace(self._file)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Never follow: the key would go to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""
        return


_OPENER = urllib.request.build_opener(_NoRedirect)


def _answer_of(response: http.client.HTTPResponse | urllib.error.HTTPError, code: int) -> _Answer:
    try:
        body = response.read(_LARGEST_BODY + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Trouble(f"the answer broke off ({type(error).__name__})") from None
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and len(body) < min(int(length), _LARGEST_BODY):
        raise Trouble(f"the answer broke off after {len(body)} of {length} bytes")
    after = response.headers.get("Retry-After", "")
    return _Answer(
        status=code,
        body=body,
        kind=response.headers.get("Content-Type", "").lower(),
        wait=float(after) if after.isdigit() else None,
    )


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
