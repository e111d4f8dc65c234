"""The real server against slow, greedy and malformed clients, and its end. Numbers are small here;
`benchmarks/load.py` does the same at full size."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from attackers import (
    Service,
    ask,
    flood,
    get,
    healthy,
    non_readers,
    percentile,
    serving,
    slow_bodies,
    slow_heads,
)
from starlette.types import Scope, Send
from uvicorn.server import ServerState

from geogrid.api import keys, server
from geogrid.api.connections import IDLE_SECONDS, Connections, GuardedProtocol
from geogrid.api.front import AtOnce
from geogrid.api.settings import Limits, Settings
from geogrid.errors import UsageError

LIMITS = {
    "limits__head_seconds": 2, "limits__body_seconds": 2, "limits__stall_seconds": 3,
    "limits__connections": 60, "limits__unread_bytes": 3_000_000, "reload_seconds": 0,
}  # fmt: skip
PLACE = "/v1/locate?lon=114.62&lat=33.62&datum=wgs84"


@pytest.fixture(scope="module")
def service(toy_file: Path) -> Iterator[Service]:
    with serving(toy_file, **LIMITS) as service:
        yield service


def problem_in(answer: bytes) -> dict:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return json.loads(body)


def test_more_slow_heads_than_connections_keep_nobody_out(service):
    async def run() -> tuple[list[float], int]:
        async with slow_heads(service.port, 100) as readers:
            took = await healthy(service.port, 20)
            await asyncio.sleep(5)
            return took, sum(
                reader.at_eof() or reader.exception() is not None for reader in readers
            )

    took, closed = asyncio.run(run())
    assert len(took) == 20
    assert percentile(took, 0.99) < 1
    assert closed == 100


def test_slow_bodies_are_told_and_cut_off(service):
    """One that is shorter than told, and one in pieces of which the last never comes."""

    async def run() -> tuple[list[float], list[bytes]]:
        head = "POST /v1/locate/batch HTTP/1.1\r\nHost: localhost\r\n"
        sent = ("Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        cut = [asyncio.create_task(ask(service.port, (head + body).encode())) for body in sent]
        async with slow_bodies(service.port, 30):
            return await healthy(service.port, 20), await asyncio.gather(*cut)

    took, answers = asyncio.run(run())
    assert len(took) == 20
    assert [problem_in(each)["code"] for each in answers] == ["too_slow_sender"] * 2


def test_what_follows_a_body_is_no_part_of_it(service):
    head = "POST /v1/locate/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = '{"lon":[114.62],"lat":[33.62],"datum":"wgs84"}'
    sent = f"{head}Content-Length: {len(body)}\r\n\r\n{body}]]]]\r\n\r\n"
    answer = asyncio.run(ask(service.port, sent.encode()))
    assert re.findall(rb"HTTP/1.1 (\d{3})", answer) == [b"200"]
    assert b'"status":["hit"]' in answer
    assert answer.endswith(b"}")


def test_a_steady_sender_may_take_longer(service):
    body = b'{"lon":[114.62],"lat":[33.62],"datum":"wgs84"}'.ljust(90_000)

    async def run() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        head = "POST /v1/locate/batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + kind).encode())
        for start in range(0, len(body), 15_000):
            writer.write(body[start : start + 15_000])
            await asyncio.sleep(0.6)
        answer = await reader.read()
        writer.close()
        return answer

    assert asyncio.run(run()).startswith(b"HTTP/1.1 200")


def parts(answer: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Return headers and body, but for what differs between two answers to the same request."""
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    for name in (b"date", b"x-request-id", b"connection"):
        headers.pop(name, None)
    return headers, body


def test_an_answer_while_parsing_is_that_of_the_framework(service):
    """The first of two on a connection is written at once; one that closes it passes all layers."""
    alone = asyncio.run(ask(service.port, get(PLACE)))
    kept = get(PLACE).replace(b"Connection: close\r\n", b"")
    both = asyncio.run(ask(service.port, kept + get(PLACE)))
    first = both[: both.index(b"HTTP/1.1", 1)]
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" not in first
    assert parts(first) == parts(alone)


def test_requests_in_a_row_are_answered_in_order(service):
    """Some are answered while parsed, some by a task: neither overtakes the other."""
    paths = [PLACE, PLACE, "/healthz", PLACE, "/v1/locate?lon=x", PLACE, "/v1/units/1", PLACE]
    sent = b"".join(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: n{k}\r\n\r\n".encode()
        for k, path in enumerate(paths)
    )
    answer = asyncio.run(ask(service.port, sent + get("/healthz")))
    assert re.findall(rb"x-request-id: n(\d)\r", answer) == [b"%d" % k for k in range(len(paths))]
    statuses = re.findall(rb"HTTP/1.1 (\d{3})", answer)
    assert statuses == [b"200", b"200", b"200", b"200", b"422", b"200", b"404", b"200", b"200"]


def test_a_connection_used_again_gives_the_answers_of_the_framework(service):
    """Only the query differs, or a header, or the form of the query: none is confused."""
    said = "Host: localhost\r\nAccept-Encoding: gzip\r\n"
    there = "/v1/locate?lon=114.63&lat=33.61&datum=gcj02"
    asked = [
        (PLACE, said), (there, said), (PLACE, said), (there, said + "X-Request-Id: mine\r\n"),
        (there, said), ("/v1/locate?lon=x", said), ("/healthz", said), (PLACE, said),
        (PLACE + "%20", said), (there + " HTTP/1.1\r\nX-Other: 1", said),
        (there, said),
    ]  # fmt: skip

    async def run() -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        answers = []
        for path, headers in asked:
            writer.write(f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            answers.append(head + await reader.readexactly(int(length[1])))
        writer.close()
        return answers

    answers = asyncio.run(run())
    for (path, headers), answer in zip(asked, answers, strict=True):
        head = f"GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode()
        alone = asyncio.run(ask(service.port, head))
        assert answer[:13] == alone[:13]
        if answer.startswith(b"HTTP/1.1 200"):
            assert parts(answer) == parts(alone)
    ids = [re.findall(rb"x-request-id: (.*)\r", answer)[0] for answer in answers]
    assert ids[3] == b"mine"
    assert len(set(ids)) == len(ids)


def test_answers_that_nobody_reads_are_bounded_and_cut_off(service):
    """Ten times MapLibre's script of 1 MB, in a row on one connection."""
    path = "/static/vendor/maplibre-gl/maplibre-gl.js"
    request_ = get(path).replace(b"Connection: close\r\n", b"") * 10

    async def received(one: socket.socket) -> int:
        loop, total = asyncio.get_running_loop(), 0
        with contextlib.suppress(OSError):
            while data := await asyncio.wait_for(loop.sock_recv(one, 1 << 20), 2):
                total += len(data)
        return total

    async def run() -> tuple[list[float], list[int]]:
        async with non_readers(service.port, 40, request_) as sockets:
            took = await healthy(service.port, 20)
            await asyncio.sleep(4)
            return took, await asyncio.gather(*(received(one) for one in sockets))

    before = service.rss()
    took, sizes = asyncio.run(run())
    assert len(took) == 20
    assert max(sizes) < 8_000_000
    assert service.rss() - before < 50_000_000
    assert not [line for line in service.said if '"level": "error"' in line]


@pytest.mark.parametrize("chunked", [False, True])
def test_huge_bodies_are_refused_with_an_answer(service, chunked):
    async def run() -> tuple[list[bytes], list[float]]:
        floods = [flood(service.port, 50_000_000, chunked=chunked) for _ in range(4)]
        *answers, took = await asyncio.gather(*floods, healthy(service.port, 20))
        return answers, took

    before = service.rss()
    answers, took = asyncio.run(run())
    assert len(took) == 20
    assert all(answer.startswith(b"HTTP/1.1 413") for answer in answers)
    assert service.rss() - before < 50_000_000


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET /%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, "not_found"),
        (b"GET \xff HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (get("/healthz", "X: " + "y" * 1_000_000), 431, "head_too_large"),
        (get("/healthz", *[f"X{k}: y" for k in range(5_000)]), 431, "head_too_large"),
        (get("/" + "y" * 100_000), 431, "head_too_large"),
        (get("/" + "y" * 9_000), 414, "url_too_long"),
        (get("/tiles/../../etc/passwd"), 404, "not_found"),
        (get("/static/%2e%2e/%2e%2e/app.py"), 404, "not_found"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421, "wrong_host"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 421, "wrong_host"),
    ],
)
def test_what_is_no_good_request_is_a_problem(service, request_, status, code):
    answer = asyncio.run(ask(service.port, request_, 10))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert problem_in(answer)["code"] == code


def test_two_requests_sent_at_once_are_answered_in_order(service):
    first = get(PLACE).replace(b"Connection: close\r\n", b"")
    answer = asyncio.run(ask(service.port, first + get("/v1/units/4116")))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b'"status":"hit"') < answer.index(b'"type":"Feature"')


def test_an_upgrade_is_not_taken(service):
    headers = ("Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
    request_ = get("/healthz", *headers).replace(
        b"Connection: close", b"Connection: Upgrade, close"
    )
    assert not asyncio.run(ask(service.port, request_, 20)).startswith(b"HTTP/1.1 101")


def test_the_log_of_the_server_repeats_nothing_it_was_sent(service):
    asyncio.run(ask(service.port, b"canary13800138000\r\n\r\n"))
    asyncio.run(
        ask(service.port, get("/canary13800138000?canary13800138000", "Y: canary13800138000"))
    )
    time.sleep(0.5)
    assert not [line for line in service.said if "canary" in line or "evil" in line]


def test_the_signal_to_stop_waits_for_requests_and_not_for_senders(toy_file):
    """Requests in flight are answered, a stuck upload is not waited for, the end comes in time.

    All but the last byte of each is sent, and taken, before the signal; patience is no part of it.
    """
    batch = json.dumps({"lon": [114.62] * 9_000, "lat": [33.62] * 9_000, "datum": "wgs84"})
    head = "POST /v1/locate/batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(batch)}\r\n\r\n"

    async def begun(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}{kind}{batch[:-1]}".encode())
        await writer.drain()
        return reader, writer

    async def run(service: Service) -> list[bytes]:
        async with slow_bodies(service.port, 1):
            pairs = await asyncio.gather(*(begun(service.port) for _ in range(20)))
            assert b" 200 OK" in await ask(service.port, get("/healthz"))  # accepted in order
            for _, writer in pairs:
                writer.write(batch[-1:].encode())
            service.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*(reader.read() for reader, _ in pairs))
            for _, writer in pairs:
                writer.close()
            return answers

    patient = {"limits__wait_seconds": 20, "limits__body_seconds": 10}
    with serving(toy_file, **LIMITS | patient) as service:
        answers = asyncio.run(run(service))
        began = time.monotonic()
        service.process.wait(30)
        assert time.monotonic() - began < 30
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 20


def test_overload_is_told_and_over_soon(toy_file):
    """Twenty times as many coverage checks as places and queue together."""

    async def run(port: int) -> tuple[list[bytes], bytes]:
        asking = [ask(port, get("/v1/search?q=1&limit=100")) for _ in range(120)]
        answers = await asyncio.gather(*asking)
        return answers, await ask(port, get("/v1/search?q=1&limit=100"))

    few = {"limits__slow_requests": 1, "limits__waiting_requests": 5, "limits__connections": 500}
    with serving(toy_file, **LIMITS | few) as service:
        answers, after = asyncio.run(run(service.port))
    refused = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200")]
    assert len(answers) - len(refused) >= 6
    assert refused
    for answer in refused:
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 2" in answer
    assert after.startswith(b"HTTP/1.1 200")


# Start


def test_without_keys_nobody_outside_is_served(toy_file):
    with pytest.raises(UsageError, match="geogrid key"):
        server.run(Settings(edition=toy_file, host="0.0.0.0"))
    _, key = keys.make("phone", ["read"])
    settings = Settings(edition=toy_file, host="0.0.0.0", keys=(key.line(),))
    assert server._closed(settings).hosts == ()


def test_a_port_that_is_taken_is_named(toy_file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen at 127.0.0.1:{port}"):
            server.run(Settings(edition=toy_file, port=port))


def test_a_connection_answered_while_parsing_may_rest_a_minute_and_no_longer():
    async def run() -> tuple[bool, bytes]:
        book = Connections(Limits())
        book.at_once = lambda scope: lambda query: b"content-length: 2\r\n\r\nok"
        config = uvicorn.Config(_unasked, http=GuardedProtocol, log_config=None, lifespan="off")
        made = type("Protocol", (GuardedProtocol,), {"book": book})
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(
            lambda: made(config, ServerState(), {}, loop), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(get(PLACE).replace(b"Connection: close\r\n", b""))
        await asyncio.wait_for(reader.readuntil(b"ok"), 10)
        (connection,) = book.all
        connection.look(loop.time() + IDLE_SECONDS - 1, 1)
        rests = not connection.transport.is_closing()
        connection.look(loop.time() + IDLE_SECONDS + 1, 1)
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        listening.close()
        return rests, rest

    assert asyncio.run(run()) == (True, b"")


def test_a_head_that_comes_again_is_not_read_again():
    """But a request is, that came in two pieces or with another before it."""
    heads, queries = [], []

    def answer(query: bytes) -> bytes:
        queries.append(query)
        return b"content-length: 2\r\n\r\nok"

    def request(query: str) -> bytes:
        return f"GET /v1/locate?{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode()

    async def run() -> bytes:
        transport, connection = connected(lambda scope: heads.append(scope["headers"]) or answer)
        for data in (
            request("a=1"), request("a=2"), request("a=3"),
            request("a=4")[:-9], request("a=4")[-9:], request("a=5"),
            request("a=6") + request("a=7"), request("a=8"), request("a=9") + b"GET",
            b" /v1/locate?a=10 HTTP/1.1\r\nHost: h\r\n\r\n", request("a=11"),
        ):  # fmt: skip
            connection.data_received(data)
        return transport.written

    written = asyncio.run(run())
    assert queries == [b"a=%d" % k for k in range(1, 12)]
    assert written.count(b"HTTP/1.1 200 OK\r\n") == 11
    assert len(heads) == 6


@pytest.mark.parametrize("path", [PLACE, "/healthz"])
def test_a_head_that_begins_behind_a_request_must_end_in_time_too(path):
    async def run() -> tuple[bytes, bytes]:
        transport, connection = connected(
            lambda scope: lambda query: b"content-length: 2\r\n\r\nok"
        )
        connection.data_received(get(path).replace(b"Connection: close\r\n", b"") + b"GET /slow")
        while not connection.is_waiting:
            await asyncio.sleep(0.01)
        before = transport.written
        connection.look(connection.since + Limits().head_seconds - 1, 1)
        assert transport.written == before
        connection.look(connection.since + Limits().head_seconds + 1, 1)
        return before, transport.written[len(before) :]

    first, then = asyncio.run(run())
    assert first.startswith(b"HTTP/1.1 200")
    assert then.startswith(b"HTTP/1.1 408")


def test_a_packet_full_of_requests_is_not_read_to_its_end():
    request = get(PLACE).replace(b"Connection: close\r\n", b"")

    async def run() -> bytes:
        transport, connection = connected(
            lambda scope: lambda query: b"content-length: 2\r\n\r\nok"
        )
        connection.data_received(request * 64)
        connection.data_received(request * 5_000)
        connection.data_received(request)
        return transport.written

    answers = asyncio.run(run()).split(b"HTTP/1.1 ")[1:]
    assert [each[:3] for each in answers] == [b"200"] * 128 + [b"400"]
    assert problem_in(answers[-1])["code"] == "too_many_at_once"


def test_others_are_served_while_many_are_cut_off():
    class Slow:
        looks = 0

        def look(self, now: float, passed: float) -> None:
            Slow.looks += 1

    async def run() -> int:
        book = Connections(Limits())
        book.all = {Slow() for _ in range(1_000)}
        sweeping = asyncio.create_task(book.sweep(0))
        while not Slow.looks:
            await asyncio.sleep(0)
        sweeping.cancel()
        return Slow.looks

    assert asyncio.run(run()) <= 100


class Transport(asyncio.Transport):
    written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        pass


def connected(at_once: Callable[[Scope], AtOnce]) -> tuple[Transport, GuardedProtocol]:
    book = Connections(Limits())
    book.at_once = at_once
    config = uvicorn.Config(_healthy, http=GuardedProtocol, log_config=None, lifespan="off")
    config.load()
    made = type("Protocol", (GuardedProtocol,), {"book": book})
    transport, connection = Transport(), made(config, ServerState(), {})
    connection.connection_made(transport)
    return transport, connection


async def _healthy(scope: Scope, receive: object, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _unasked(scope: object, receive: object, send: object) -> None:
    raise NotImplementedError
