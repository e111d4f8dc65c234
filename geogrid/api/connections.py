"""Connections that cannot harm the others: deadlines, sizes and sums for what uvicorn lets happen.

One sweep a second looks at all of them. Who sends a head or a body too slowly is told so and cut
off; who does not read what was answered is cut off; when there are too many, the one that has
waited longest for a head makes room for the new one, so that a flood of silent callers keeps nobody
out. What was written and not yet read is bounded for all together.

A request that the application can answer at once is answered while it is parsed: the task, the
messages and the two writes that uvicorn makes of an answer cost as much as a look-up. What a caller
sends next on the connection mostly differs by its query alone; it is not parsed again.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, TypeAlias

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from geogrid.api.settings import Limits

_AtOnce: TypeAlias = Callable[[bytes], bytes | None]
"""Given the query of a request whose head is known: an answer from its first header on, or None."""

IDLE_SECONDS = 60
"""How long a connection may rest between requests: pools of platforms keep theirs open."""

_AT_ONCE = b"/v1/locate?"
"""Beginning of the addresses that may be answered at once."""

_AGAIN = b"GET " + _AT_ONCE
_LAST = b"\r\n\r\n"
"""How a head ends."""

_MOST_HEADS = 64
"""Requests that may come in one packet: all are read before anybody else is answered."""

_AT_A_TIME = 50
"""Connections looked at before others are served: to cut off a thousand takes 0.1 s."""

_BODY_RATE = 16_000
"""A body may take a second longer for each so many bytes that arrived."""

_STALL_BYTES = 4_096
"""An answer of which fewer bytes a second are read is stalled."""

_LINGER_SECONDS = 2.0
"""How long what still arrives is dropped after a request was refused: a connection closed at once
would lose the answer with it."""


class Connections:
    """All connections of a server."""

    def __init__(self, limits: Limits) -> None:
        """Take the limits."""
        self.limits, self.most = limits, limits.connections
        self.head_bytes = limits.url_bytes + limits.header_bytes
        self.all: set[GuardedProtocol] = set()
        self.unread: set[GuardedProtocol] = set()
        self._headers: list[tuple[bytes, bytes]] = []
        self._start = b"HTTP/1.1 200 OK\r\n"
        self.at_once: Callable[[Scope], _AtOnce | None] = _nothing
        """Finds what answers before a task is made; set when there is an application. Of a query
        with anything but letters, digits and `&=.-` in it, that knows no answer."""

    async def sweep(self, seconds: float = 1.0) -> None:
        """Cut off who is too slow, once a second; never ends."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(seconds)
            now = loop.time()
            for k, connection in enumerate(list(self.all), 1):
                connection.look(now, seconds)
                if k % _AT_A_TIME == 0:
                    await asyncio.sleep(0)

    def make_room(self, newest: "GuardedProtocol") -> bool:
        """Cut off who has waited longest for a head; False if all others are being answered."""
        waiting = (each for each in self.all if each is not newest and each.is_waiting)
        oldest = min(waiting, key=lambda each: each.since, default=None)
        if oldest is None:
            return False
        oldest.transport.abort()
        self.all.discard(oldest)
        return True

    def start(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the beginning of a good answer, with headers that uvicorn makes once a second."""
        if headers is not self._headers:
            lines = (b"%s: %s\r\n" % pair for pair in headers)
            self._headers, self._start = headers, b"".join((b"HTTP/1.1 200 OK\r\n", *lines))
        return self._start

    def bound_unread(self) -> None:
        """Cut off the most stalled readers while all together leave too much unread."""
        sizes = {each: each.transport.get_write_buffer_size() for each in self.unread}
        total = sum(sizes.values())
        for each in sorted(sizes, key=lambda each: (-each.stalled, each.since)):
            if total <= self.limits.unread_bytes:
                return
            total -= sizes[each]
            each.cut()
            self.unread.discard(each)


class GuardedProtocol(HttpToolsProtocol):
    """A connection of uvicorn's that keeps to deadlines and sizes."""

    book: Connections

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin without anything received."""
        super().__init__(config, server_state, app_state, _loop)
        self.since = self.loop.time()
        self.in_head = self.is_waiting = True
        self.head_bytes = self.body_bytes = 0
        self.stalled, self._left = 0.0, 0
        self._answered = False
        self._answer: bytes | None = None
        self._answering: RequestResponseCycle | None = None
        self._n_heads, self._within = 0, False
        self._at_once: _AtOnce | None = None
        self._kept: tuple[bytes, _AtOnce] | None = None
        self._refusal, self._refused = _BAD_REQUEST, False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it if there are too many that are being answered."""
        super().connection_made(transport)
        self.book.all.add(self)
        if len(self.book.all) > self.book.most and not self.book.make_room(self):
            transport.write(_TOO_MANY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.book.all.discard(self)
        self.book.unread.discard(self)
        self._stop_answering()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and refuse a head that is too large."""
        if self._refused or self.transport.is_closing():
            return
        begins = not self._within
        if begins and self._kept is not None and self._answers_again(data, *self._kept):
            return
        if self.is_waiting and not self.head_bytes:
            self.since = self.loop.time()
        self.head_bytes += len(data)
        self._n_heads = 0
        super().data_received(data)
        if begins and self._n_heads == 1 and not self._within and self._at_once is not None:
            self._keep(data, self._at_once)
        if self.is_waiting and self.head_bytes > self.book.head_bytes:
            self._refuse(_HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._n_heads += 1
        self._within = True
        if self._n_heads > _MOST_HEADS:
            self._refusal = _TOO_MANY_HEADS
            raise ValueError("too many requests in one packet")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too large."""
        if self.head_bytes > self.book.head_bytes and self._size_of_head() > self.book.head_bytes:
            self._refusal = _HEAD_TOO_LARGE
            raise ValueError("the head of the request is too large")
        self.is_waiting = False
        self.since, self.body_bytes, self.in_head = self.loop.time(), 0, False
        self._at_once = self._found_at_once() if self._may_answer_at_once() else None
        if self._at_once is not None:
            self._answer = self._at_once(self.url.partition(b"?")[2])
        if self._answer is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count and take a piece of a body."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; the next may come."""
        self.in_head, self.head_bytes, self._within = True, 0, False
        if self._answer is not None:
            self._write_at_once(self._answer)
            return
        super().on_message_complete()
        self.is_waiting = self.cycle.response_complete
        self.since = self.loop.time()

    def on_response_complete(self) -> None:
        """End the answer; the next request may come."""
        super().on_response_complete()
        self._answered = True
        self.is_waiting = self.in_head
        self.since = self.loop.time()

    def pause_writing(self) -> None:
        """Note that what was written is not read."""
        super().pause_writing()
        self.book.unread.add(self)
        self.stalled, self._left = 0.0, self.transport.get_write_buffer_size()
        self.book.bound_unread()

    def resume_writing(self) -> None:
        """Note that it was read."""
        super().resume_writing()
        self.book.unread.discard(self)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or a head that is too large."""
        del msg
        self._refuse(self._refusal)

    def cut(self) -> None:
        """End the connection now."""
        self._stop_answering()
        self.transport.abort()

    def look(self, now: float, passed: float) -> None:
        """Cut the connection off if it is too slow; `passed` seconds after the last look."""
        limits, waited = self.book.limits, now - self.since
        if self.transport.is_closing() or self in self.book.unread:
            self._look_at_reader(passed)
        elif self._refused:
            if waited > _LINGER_SECONDS and not self._owes_answer():
                self.transport.close()
        elif self.is_waiting:
            begun = self._within or self.head_bytes > 0  # the first may lie behind a request
            if begun and waited > limits.head_seconds:
                self._refuse(_TOO_SLOW)
            elif not begun and waited > (IDLE_SECONDS if self._answered else limits.head_seconds):
                self.transport.close()
        elif not self.in_head:
            self._look_at_body(waited)

    def _may_answer_at_once(self) -> bool:
        """Say whether nothing stands before the answer, and the connection stays open after it."""
        return (
            self.url.startswith(_AT_ONCE)
            and self._is_free()
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        )

    def _is_free(self) -> bool:
        done = self.cycle is None or self.cycle.response_complete
        return done and not self.flow.write_paused

    def _found_at_once(self) -> _AtOnce | None:
        path = self.url.partition(b"?")[0]
        scope: Scope = {
            **self.scope, "method": "GET", "path": path.decode("ascii"), "raw_path": path,
            "state": self.app_state.copy(),
        }  # fmt: skip
        return self.book.at_once(scope)

    def _write_at_once(self, answer: bytes) -> None:
        self._answer = None
        self.transport.write(self.book.start(self.server_state.default_headers) + answer)
        self.server_state.total_requests += 1
        self._answered = self.is_waiting = True  # the sweep ends what rests, without a timer

    def _keep(self, data: bytes, at_once: _AtOnce) -> None:
        """Keep what follows the address in a request, and what answers it, if all has arrived."""
        before = b"GET " + self.url
        whole = data.startswith(before) and data.find(_LAST) == len(data) - len(_LAST)
        self._kept = (data[len(before) :], at_once) if whole else None

    def _answers_again(self, data: bytes, rest: bytes, at_once: _AtOnce) -> bool:
        """Answer a request that differs by its query alone from the one that is kept.

        All else is the same bytes, in which the parser would read the same again.
        """
        if not (data.endswith(rest) and data.startswith(_AGAIN) and self._is_free()):
            return False
        query = data[len(_AGAIN) : -len(rest)]
        answer = None if b" " in query else at_once(query)
        if answer is None:
            return False
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self.since = self.loop.time()
        self._write_at_once(answer)
        return True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _stop_answering(self) -> None:
        """Let an answer go nowhere instead of fail; uvicorn tells only the last of a row."""
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _look_at_body(self, waited: float) -> None:
        limits = self.book.limits
        if self.cycle.response_complete:  # the rest of a body that was refused
            if waited > _LINGER_SECONDS + limits.body_seconds:
                self.transport.close()
        elif waited > limits.body_seconds + self.body_bytes / _BODY_RATE:
            self._cut_body()

    def _look_at_reader(self, passed: float) -> None:
        left = self.transport.get_write_buffer_size()
        slow = self._left - left < _STALL_BYTES * passed
        self.stalled, self._left = self.stalled + passed if slow else 0.0, left
        if self.stalled > self.book.limits.stall_seconds:
            self.cut()

    def _cut_body(self) -> None:
        cycle = self.cycle
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle.response_started:
            self.transport.abort()
        else:
            self._refuse(_TOO_SLOW)

    def _refuse(self, answer: bytes) -> None:
        """Say why; drop what still arrives, and be closed by the sweep or the caller.

        Behind a request that is still being answered nothing is said: it would be taken for the
        answer, or stand in the middle of it. The connection ends with the answer.
        """
        if not self._refused and not self.transport.is_closing():
            self._refused, self.since = True, self.loop.time()
            if self._answering is not None and self._owes_answer():
                self._answering.keep_alive = False
            else:
                self.transport.write(answer)
            self.transport.resume_reading()

    def _owes_answer(self) -> bool:
        """Say whether a request that arrived whole is being answered."""
        cycle = self._answering
        return cycle is not None and not (
            cycle.response_complete or cycle.disconnected or cycle.more_body
        )

    def _size_of_head(self) -> int:
        return len(self.url) + sum(_sizes(self.headers))


def _nothing(scope: Scope) -> _AtOnce | None:
    """Answer nothing at once."""
    del scope
    return None  # as its callers read it


def _sizes(headers: list[tuple[bytes, bytes]]) -> Iterator[int]:
    for name, value in headers:
        yield len(name) + len(value) + 4


def _answer(status: int, code: str, detail: str, detail_zh: str, *more: str) -> bytes:
    """Return a whole response with a problem document; no request was understood yet."""
    title = HTTPStatus(status).phrase
    body = json.dumps(
        {
            "type": f"urn:geogrid:problem:{code}", "title": title, "status": status, "code": code,
            "detail": detail, "detail_en": detail, "detail_zh": detail_zh, "instance": "",
        },
        ensure_ascii=False,
    ).encode()  # fmt: skip
    head = [
        f"HTTP/1.1 {status} {title}", "content-type: application/problem+json",
        f"content-length: {len(body)}", "cache-control: no-store", "connection: close",
        "x-content-type-options: nosniff", *more,
    ]  # fmt: skip
    return "\r\n".join([*head, "", ""]).encode() + body


_BAD_REQUEST = _answer(400, "bad_request", "This is no HTTP request.", "不是有效的 HTTP 请求。")
_TOO_SLOW = _answer(
    408, "too_slow_sender", "The request arrived too slowly.", "请求传输过慢，已中断。"
)
_HEAD_TOO_LARGE = _answer(
    431, "head_too_large", "Address and headers are too large.", "地址与请求头过大。"
)
_TOO_MANY_HEADS = _answer(
    400, "too_many_at_once", f"More than {_MOST_HEADS} requests were sent without waiting for an "
    "answer.", f"未等待应答即连续发送了超过 {_MOST_HEADS} 个请求。",
)  # fmt: skip
_TOO_MANY = _answer(
    503, "too_many_connections", "Too many connections; try again in 2 s.",
    "连接过多，请在 2 秒后重试。", "retry-after: 2",
)  # fmt: skip
