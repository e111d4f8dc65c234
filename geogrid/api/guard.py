"""The gate that every request passes (plain ASGI), outermost of all.

On the way in: a request id; the dataset that the request is bound to; host, origin, size of the
address, key, scope, rate; the body, read in full and bounded, so that a slow sender holds memory
but no worker; a place to work at, but for what the front answers without waiting. On the way out:
headers, one line of the access log, one observation. An error that no handler knows becomes a
problem document, and the log tells its kind and its lines, not its text, which may hold data.

What stands in `scope["state"]` for those inside:

    dataset      what the request is answered from (`deps.Dataset`)
    request_id   names the request in the log, the answer and the problem document
    metrics      the counters (`metrics.Metrics`)
    key          name of the key, where there are keys: who owns a job
    route        set by a route that bypasses the framework: its template, for log and metrics
"""

import asyncio
import logging
import random
import re
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geogrid.api import batch, jobs, lookup, problems
from geogrid.api.deps import Dataset, Served, dataset_of
from geogrid.api.front import AtOnce, Front, Headers, Whole
from geogrid.api.journal import Journal
from geogrid.api.keys import Key, Keyring
from geogrid.api.metrics import Metrics
from geogrid.api.problems import Problem
from geogrid.api.settings import Settings
from geogrid.api.throttle import Buckets, Slots

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))

_OPEN = frozenset(("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/favicon.ico"))
"""Answers without a key: pages and descriptions, which hold nothing of the edition."""

_QUICK = frozenset((lookup.PATH, "/metrics", "/v1/reload"))
"""Need no place to work at: done in microseconds, or bounded by themselves."""

_PATIENT = ("/v1/coverage", "/basemap/")
"""Wait for another process or host: they would hold places that nobody works at."""

_STATIC = "/static/"
_BULK = (batch.PATH, jobs.PATH)
_UPLOADS = jobs.PATH
"""Bodies that go to disk, read by the route itself."""

_BODIES = 64
"""As many bodies of the largest size are held at once, by all requests together."""

_IDS = 256
"""Names of requests that are made at once."""

_FRAMES = 5
"""Calls that are told of an error that no handler knows; those above are the framework's."""

_CLIENT_GONE = 499
"""Status in log and metrics of a request whose sender left before the answer."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_SAME_ORIGIN = (b"cross-origin-resource-policy", b"same-origin")
_OWN_HEADERS = (*_HEADERS, _SAME_ORIGIN)
_CORS_METHODS = b"GET, POST, DELETE"
_CORS_HEADERS = b"X-API-Key, Content-Type, If-None-Match, X-Request-Id"
_CORS_EXPOSED = b"ETag, Link, Location, Content-Crs, Retry-After, X-Request-Id, X-Dataset-Revision"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keepers:
    """What the guard asks and tells."""

    served: Served
    keys: Keyring
    metrics: Metrics
    journal: Journal


class Guard:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, keepers: Keepers) -> None:
        """Wrap `app`."""
        self.app, self.limits = app, settings.limits
        self.front = app if isinstance(app, Front) else None
        self.served, self.keys = keepers.served, keepers.keys
        self.metrics, self.journal = keepers.metrics, keepers.journal
        self.origins = frozenset(origin.encode() for origin in settings.cors_origins)
        self.hosts = frozenset(host.lower().encode() for host in settings.hosts)
        per_second, wait = self.limits.requests_per_second, self.limits.wait_seconds
        self.buckets = Buckets(per_second) if per_second else None
        self.slots = Slots(self.limits.slow_requests, self.limits.waiting_requests, wait)
        self.uploads = Slots(self.limits.uploads, 0, wait)
        self.bytes_held = 0
        self._headers: Headers = ()
        self._lines = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await _Passage(self, scope, receive, send).run()
        else:
            await self.app(scope, receive, send)

    def at_once(self, scope: Scope) -> AtOnce | None:
        """Return what answers requests with this head, or None if they take what `__call__` does.

        For a server that asks before it makes a task. Who is told of other origins, or counted, is
        not answered here.
        """
        if self.front is None or self.origins or self.buckets is not None:
            return None
        if not self.front.takes(scope):
            return None
        passage = _Passage(self, {**scope, "query_string": b""}, _never, _nowhere)
        return passage.at_once if passage.may_pass_again() else None

    def lines(self, headers: Headers) -> bytes:
        """Return headers and our own as they are sent."""
        if headers is not self._headers:
            lines = b"".join(b"%b: %b\r\n" % pair for pair in (*headers, *_OWN_HEADERS))
            self._headers, self._lines = headers, lines
        return self._lines


class _Passage:
    """One request on its way through the guard; HEAD is GET without the body."""

    __slots__ = (
        "began", "body", "bytes_held", "bytes_sent", "gone", "guard", "headers", "id", "key",
        "late", "method", "named", "public", "receive_more", "room", "scope", "send_on", "slots",
        "started", "status",
    )  # fmt: skip

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.began = time.perf_counter()
        self.guard, self.receive_more, self.send_on = guard, receive, send
        self.method = scope["method"]
        self.scope = {**scope, "method": "GET"} if self.method == "HEAD" else scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id")
        self.named = given is not None and _SANE_ID.fullmatch(given) is not None
        self.id = given.decode() if given is not None and self.named else _new_id()
        self.key: Key | None = None
        self.body: bytes | None = None
        self.slots: Slots | None = None
        self.late: asyncio.Task[None] | None = None
        self.bytes_held = self.bytes_sent = self.room = self.status = 0
        self.started = self.gone = False
        self.public = scope["path"] in _OPEN or scope["path"].startswith(_STATIC)

    async def run(self) -> None:
        """Let the request in or refuse it, and note how it ended."""
        guard = self.guard
        self._bind()
        try:
            if self._is_preflight():
                await self._answer_preflight()
                return
            problem = self._objection()
            if problem is None:
                whole = self._whole(dataset_of(self.scope))
                if whole is not None:
                    await self._send_whole(whole)
                    return
                problem = await self._let_in()
            if problem is not None and not self.gone:
                guard.metrics.refused(problem.code)
                await problems.refuse(self.scope, problem)(self.scope, self.receive, self.send)
        except ClientDisconnect:
            self.gone = True
        except Exception as error:  # noqa: BLE001  # the last place where it can be answered
            await self._fail(error)
        finally:
            guard.bytes_held -= self.bytes_held
            self._leave_place()
            self._note(dataset_of(self.scope))

    def at_once(self, query: bytes) -> bytes | None:
        """Return a whole answer from its first header on, or None if it takes what `run` does.

        Asked again for every request with this head, and so without a hold on the edition. What
        fails fails again where it can be told.
        """
        guard, self.began = self.guard, time.perf_counter()
        data = guard.served.dataset
        if guard.front is None or len(query) > self.room:
            return None
        if guard.keys and self._unauthorised() is not None:  # keys are withdrawn meanwhile
            return None
        try:
            whole = guard.front.whole(data, query, guard.metrics)
        except Exception:  # noqa: BLE001  # `run` meets it again, and answers it
            return None
        if whole is None:
            return None
        headers, body = whole
        if not self.named:
            self.id = _new_id()
        self.status, self.bytes_sent = 200, len(body)
        self._note(data)
        named = (guard.lines(headers), _before_id(len(body)), self.id.encode(), b"\r\n\r\n", body)
        return b"".join(named)

    def may_pass_again(self) -> bool:
        """Say whether requests with this head are let in, whatever short query they have."""
        self.room = self.guard.limits.url_bytes - len(self.scope["path"])
        return self.room > 0 and not self._has_body() and self._objection() is None

    def _bind(self) -> None:
        """Bind the request to what it is answered from."""
        state = self.scope.setdefault("state", {})
        state["dataset"], state["metrics"] = self.guard.served.dataset, self.guard.metrics
        state["request_id"] = self.id

    async def receive(self) -> Message:
        """Return the body that was read, or the next piece of one that was not."""
        if self.body is not None:
            body, self.body = self.body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self.receive_more()

    async def send(self, message: Message) -> None:
        """Send a part of the answer with our headers; nothing after it was answered as too late."""
        if self.late is not None and asyncio.current_task() is not self.late:
            return
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            self._add_headers(message)
            if self.slots is self.guard.slots and self.late is None:
                self._leave_place()  # who reads an answer slowly holds no worker
        elif self.method == "HEAD":
            message["body"] = b""
        else:
            self.bytes_sent += len(message.get("body", b""))
        await self.send_on(message)

    def _objection(self) -> Problem | None:
        """Return what is wrong with a request as far as its head tells."""
        guard, scope, limits = self.guard, self.scope, self.guard.limits
        if len(scope["path"]) + len(scope["query_string"]) > limits.url_bytes:
            return _URL_TOO_LONG
        host = self.headers.get(b"host", b"")
        if guard.hosts and _name_of(host) not in guard.hosts:
            return _WRONG_HOST
        if scope["method"] not in _SAFE and self._is_foreign(host):
            return _CROSS_ORIGIN
        problem = self._unauthorised() if guard.keys else None
        if problem is None and guard.buckets is not None:
            problem = self._too_often(guard.buckets)
        if problem is not None:
            return problem
        length = self.headers.get(b"content-length")
        return None if length is None else self._too_large(length)

    def _too_large(self, length: bytes) -> Problem | None:
        scope, limits = self.scope, self.guard.limits
        most = limits.upload_bytes if scope["path"].startswith(_UPLOADS) else limits.body_bytes
        return None if length.isdigit() and int(length) <= most else _body_too_large(most)

    def _unauthorised(self) -> Problem | None:
        if self.public:
            return None
        secret = self.headers.get(b"x-api-key")
        self.key = None if secret is None else self.guard.keys.find(secret)
        if self.key is None:
            return _NO_KEY if secret is None else _UNKNOWN_KEY
        self.scope["state"]["key"] = self.key.name
        needed = scope_of(self.scope["method"], self.scope["path"])
        return None if needed in self.key.scopes else _wrong_scope(self.key, needed)

    def _too_often(self, buckets: Buckets) -> Problem | None:
        client = self.scope.get("client")
        caller = self.key.name if self.key else client[0] if client else ""
        seconds = buckets.wait_of(caller)
        return _too_often(seconds) if seconds else None

    def _is_foreign(self, host: bytes) -> bool:
        """Say whether a page of another origin sent this: a browser does so without asking."""
        origin = self.headers.get(b"origin")
        return (
            origin is not None
            and origin not in self.guard.origins
            and origin.partition(b"://")[2].lower() != host.lower()
        )

    def _whole(self, data: Dataset) -> Whole | None:
        """Return an answer that takes no place and no waiting."""
        front, scope = self.guard.front, self.scope
        if front is None or self._has_body() or not front.takes(scope):
            return None
        return front.whole(data, scope["query_string"], self.guard.metrics)

    async def _send_whole(self, whole: Whole) -> None:
        """Send it as `send` would, with fewer steps where our headers are always the same."""
        given, body = whole
        headers = [*given, (b"content-length", b"%d" % len(body))]
        start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
        end: Message = {"type": "http.response.body", "body": bytes(body)}
        if self.guard.origins or self.method == "HEAD":
            await self.send(start)
            await self.send(end)
            return
        headers += _OWN_HEADERS
        headers.append((b"x-request-id", self.id.encode()))
        self.started, self.status, self.bytes_sent = True, 200, len(body)
        await self.send_on(start)
        await self.send_on(end)

    def _has_body(self) -> bool:
        return b"content-length" in self.headers or b"transfer-encoding" in self.headers

    async def _let_in(self) -> Problem | None:
        """Let the application answer, or return why it cannot now."""
        guard, path = self.guard, self.scope["path"]
        if self.public or path in _QUICK or path.startswith(_PATIENT):
            problem = await self._read_body()
            if problem is None and not self.gone:
                await guard.app(self.scope, self.receive, self.send)
            return problem
        upload = path.startswith(_UPLOADS) and self.scope["method"] == "POST"
        problem = None if upload else await self._read_body()
        if problem is not None or self.gone:
            return problem
        slots = guard.uploads if upload else guard.slots
        if not slots.take() and not await slots.wait():
            return _BUSY
        self.slots = slots
        if upload:  # bounded by the server's deadline for bodies
            await guard.app(self.scope, self.receive, self.send)
            return None
        alarm = asyncio.get_running_loop().call_later(guard.limits.seconds, self._give_up)
        try:
            await guard.app(self.scope, self.receive, self.send)
        finally:
            alarm.cancel()
        return None

    async def _read_body(self) -> Problem | None:
        """Read the body before anything is done about it."""
        guard, most = self.guard, self.guard.limits.body_bytes
        if not self._has_body():
            return None
        pieces: list[bytes] = []
        while True:
            message = await self.receive_more()
            if message["type"] != "http.request":
                self.gone = True
                return None
            piece = message.get("body", b"")
            pieces.append(piece)
            guard.bytes_held += len(piece)
            self.bytes_held += len(piece)
            if self.bytes_held > most:  # a body in pieces does not tell its size before
                return _body_too_large(most)
            if guard.bytes_held > _BODIES * most:
                return _BUSY
            if not message.get("more_body", False):
                self.body = b"".join(pieces)
                return None

    def _give_up(self) -> None:
        """Answer in place of a route that takes too long; what it works at goes on to its end."""
        if not self.started:
            answer = problems.refuse(self.scope, _TOO_SLOW)
            self.late = asyncio.ensure_future(answer(self.scope, self.receive_more, self.send))

    async def _fail(self, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        lines = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        logger.error("request %s failed: %s at %s", self.id, kind, " < ".join(reversed(lines)))
        if not self.started:
            await problems.refuse(self.scope, _BUG)(self.scope, self.receive, self.send)

    def _leave_place(self) -> None:
        if self.slots is not None:
            self.slots.give()
            self.slots = None

    def _note(self, data: Dataset) -> None:
        scope, guard = self.scope, self.guard
        method = self.method if self.method in _METHODS else "OTHER"
        route, status = scope["state"].get("route") or self._route(), self.status or _CLIENT_GONE
        seconds, who = time.perf_counter() - self.began, self.key.name if self.key else ""
        guard.metrics.request(method, route, status, seconds)
        entry = (
            time.time(), method, route, status, seconds,
            self.bytes_sent, self.id, who, data.revision,
        )  # fmt: skip
        guard.journal.note(entry)

    def _route(self) -> str:
        """Return the template of the framework's route."""
        if self.scope["path"].startswith(_STATIC):
            return "/static"
        path: str = getattr(self.scope.get("route"), "path", "-")
        return path

    def _add_headers(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        present = {name for name, _ in headers}
        headers += [pair for pair in _HEADERS if pair[0] not in present]
        headers.append((b"x-request-id", self.id.encode()))
        if self.guard.keys:
            _make_private(headers, present)
        if not self.public and b"x-dataset-revision" not in present and self.status < 400:
            headers.append(
                (b"x-dataset-revision", self.scope["state"]["dataset"].revision.encode())
            )
        origin = self.headers.get(b"origin")
        if origin in self.guard.origins and origin is not None:
            headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _CORS_EXPOSED),
                (b"cross-origin-resource-policy", b"cross-origin"),
            ]
        else:
            headers.append(_SAME_ORIGIN)
        if self.guard.origins:
            headers.append((b"vary", b"Origin"))
        message["headers"] = headers

    def _is_preflight(self) -> bool:
        return (
            self.scope["method"] == "OPTIONS"
            and b"access-control-request-method" in self.headers
            and self.headers.get(b"origin") in self.guard.origins
        )

    async def _answer_preflight(self) -> None:
        headers = [
            (b"access-control-allow-methods", _CORS_METHODS),
            (b"access-control-allow-headers", _CORS_HEADERS),
            (b"access-control-max-age", b"600"),
        ]
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})


def scope_of(method: str, path: str) -> str:
    """Return the scope that a request needs.

    >>> scope_of("GET", "/v1/units/4116"), scope_of("POST", "/v1/locate/batch")
    ('read', 'bulk')
    >>> scope_of("POST", "/v1/reload")
    'edit'
    """
    if path.startswith(_BULK):
        return "bulk"
    return "read" if method in _SAFE else "edit"


async def _never() -> Message:
    raise NotImplementedError  # an answer at once reads no body


async def _nowhere(message: Message) -> None:
    raise NotImplementedError  # and is returned, not sent


def _ids() -> Iterator[str]:
    """Yield names for requests; nobody gains by guessing one."""
    while True:
        text = random.randbytes(_IDS * 8).hex()
        yield from (text[k : k + 16] for k in range(0, len(text), 16))


_new_id = _ids().__next__


@lru_cache(4_096)
def _before_id(n_bytes: int) -> bytes:
    """Return the headers of an answer of so many bytes that end it, up to its id."""
    return b"content-length: %d\r\nx-request-id: " % n_bytes


@lru_cache(64)
def _name_of(host: bytes) -> bytes:
    """Return a host without its port.

    >>> _name_of(b"[::1]:8000"), _name_of(b"Grid.example:80"), _name_of(b"::1")
    (b'::1', b'grid.example', b'::1')
    """
    if host.startswith(b"["):
        return host[1:].partition(b"]")[0]
    return host.lower() if host.count(b":") > 1 else host.partition(b":")[0].lower()


def _make_private(headers: list[tuple[bytes, bytes]], present: set[bytes]) -> None:
    """Forbid shared caches to keep what one key may see and another may not."""
    if b"cache-control" not in present:
        headers.append((b"cache-control", b"private"))
        return
    for k, (name, value) in enumerate(headers):
        if name == b"cache-control" and b"no-store" not in value:
            rest = [part.strip() for part in value.split(b",")]
            kept = [part for part in rest if part not in (b"public", b"private")]
            headers[k] = (name, b", ".join([b"private", *kept]))


def _body_too_large(most: int) -> Problem:
    return Problem(
        413,
        "body_too_large",
        f"The body is larger than {most:,} bytes, or its length is no number. Send it in parts.",
        f"请求体超过 {most:,} 字节，或其长度不是数字。请分批提交。",
    )


def _wrong_scope(key: Key, needed: str) -> Problem:
    has = ", ".join(sorted(key.scopes))
    return Problem(
        403,
        "scope",
        f"This needs a key with the scope {needed}; key {key.name} has {has}.",
        f"此操作需要具有 {needed} 权限的密钥；密钥 {key.name} 的权限为 {has}。",
    )


def _too_often(seconds: float) -> Problem:
    wait = ceil(seconds)
    return Problem(
        429,
        "too_many_requests",
        f"More requests than are allowed in a second; ask again in {wait} s.",
        f"请求过于频繁，请在 {wait} 秒后重试。",
        headers={"Retry-After": str(wait)},
    )


_URL_TOO_LONG = Problem(
    414, "url_too_long", "The address is too long.", "地址过长。",
)  # fmt: skip
_WRONG_HOST = Problem(
    421,
    "wrong_host",
    "The service does not answer to the name in the header Host; name it in the setting `hosts`.",
    "本服务不使用请求头 Host 中的主机名；如需使用，请写入 hosts 设置。",
)
_CROSS_ORIGIN = Problem(
    403,
    "cross_origin",
    "A page of another origin may not change anything here; name it in the setting `cors_origins`.",
    "其他来源的网页不得在此进行更改；如需允许，请写入 cors_origins 设置。",
)
_NEEDS_KEY = {"WWW-Authenticate": 'ApiKey header="X-API-Key"'}
_NO_KEY = Problem(
    401,
    "key_missing",
    "This needs a key in the header X-API-Key.",
    "需要在请求头 X-API-Key 中提供密钥。",
    headers=_NEEDS_KEY,
)
_UNKNOWN_KEY = Problem(
    401,
    "key_unknown",
    "The key in the header X-API-Key is not known; it may have been withdrawn.",
    "请求头 X-API-Key 中的密钥无效，可能已被撤销。",
    headers=_NEEDS_KEY,
)
_BUSY = Problem(
    503,
    "busy",
    "Too much is being worked on; ask again in 2 s.",
    "服务繁忙，请在 2 秒后重试。",
    headers={"Retry-After": "2"},
)
_TOO_SLOW = Problem(
    503,
    "too_slow",
    "The answer took too long; ask for less, or again in 10 s.",
    "处理超时；请缩小请求范围，或在 10 秒后重试。",
    headers={"Retry-After": "10"},
)
_BUG = Problem(500, "internal", "The service failed; see its log.", "服务内部错误，请查看日志。")
