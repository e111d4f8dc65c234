"""A service in a process of its own, and clients that mean it no good: loopback only, bounded."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

RUN = "from geogrid.cli import main; main()"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """A running service: its process, its port, and what it said on standard error."""

    process: subprocess.Popen[str]
    port: int
    said: list[str]

    def rss(self) -> int:
        """Bytes resident now."""
        return psutil.Process(self.process.pid).memory_info().rss


@contextlib.contextmanager
def serving(city: Path, *options: str, **settings: object) -> Iterator[Service]:
    """Serve an edition; settings are those of the environment, such as `limits__head_seconds=1`."""
    environment = {f"GEOGRID_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-c", RUN, "serve", str(city), "--port", "0", "--lang", "en"]
    process = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    said: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                said.append(line)
                if line.startswith("map: "):
                    ready.set()
        ready.set()

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    try:
        assert ready.wait(300)
        (line,) = (line for line in said if line.startswith("map: "))
        yield Service(process, int(line.split(":")[3].split("/")[0]), said)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        listening.join(60)


async def ask(port: int, request: bytes, seconds: float = 30) -> bytes:
    """Send a request and return all that comes until the end of the connection."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.close()


def get(path: str, *headers: str) -> bytes:
    """Return a request that ends its connection."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def healthy(port: int, times: int, pause: float = 0.1) -> list[float]:
    """Ask for /healthz by new connections; return the seconds of those that succeeded.

    A process of its own asks: the attackers here keep one busy that is not the service.
    """
    command = [sys.executable, __file__, str(port), str(times), str(pause)]
    asking = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said, _ = await asking.communicate()
    return [float(seconds) for seconds in said.split()]


@contextlib.asynccontextmanager
async def slow_heads(port: int, n: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections that send a letter of a header every second and never end it."""
    async with _dripping(port, n, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ") as readers:
        yield readers


@contextlib.asynccontextmanager
async def slow_bodies(port: int, n: int, path: str = "/v1/locate/batch") -> AsyncIterator[None]:
    """Open requests whose bodies of 1,000 bytes come a byte a second."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    async with _dripping(port, n, f"{head}Content-Length: 1000\r\n\r\n".encode()):
        yield


@contextlib.asynccontextmanager
async def non_readers(port: int, n: int, request: bytes) -> AsyncIterator[list[socket.socket]]:
    """Ask for something large and read nothing of it; the kernel takes some 3 MB for each."""
    sockets = []
    for _ in range(n):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.setblocking(False)  # noqa: FBT003
        with contextlib.suppress(OSError):
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(one, (HOST, port)), 5)
            await asyncio.get_running_loop().sock_sendall(one, request)
        sockets.append(one)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


async def flood(port: int, n_bytes: int, *, chunked: bool) -> bytes:
    """Send a huge body as fast as it is taken; return the beginning of the answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {n_bytes}"
    head = f"POST /v1/locate/batch HTTP/1.1\r\nHost: {HOST}\r\n{length}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode())
    block = b"[" * 65_536
    framed = b"10000\r\n" + block + b"\r\n" if chunked else block
    answer = asyncio.ensure_future(reader.read(2000))
    with contextlib.suppress(OSError):
        for _ in range(n_bytes // len(block)):
            writer.write(framed)
            await writer.drain()
            if answer.done():
                break
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        found = await asyncio.wait_for(answer, 30)
        writer.close()
        return found
    return b""


@contextlib.asynccontextmanager
async def _dripping(port: int, n: int, head: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    pairs = []
    for _ in range(n):
        with contextlib.suppress(OSError):
            pairs.append(await asyncio.open_connection(HOST, port))
            pairs[-1][1].write(head)

    async def drip() -> None:
        while True:
            await asyncio.sleep(1)
            for _, writer in pairs:
                if not writer.is_closing():
                    writer.write(b"x")

    dripping = asyncio.create_task(drip())
    try:
        yield [reader for reader, _ in pairs]
    finally:
        dripping.cancel()
        for _, writer in pairs:
            writer.close()


def percentile(values: list[float], share: float) -> float:
    """Return the value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _ask_for_health(port: int, times: int, pause: float) -> None:
    for _ in range(times):
        began = time.perf_counter()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            if b" 200 OK" in await ask(port, get("/healthz"), 5):
                sys.stdout.write(f"{time.perf_counter() - began}\n")
        await asyncio.sleep(pause)


if __name__ == "__main__":
    asyncio.run(_ask_for_health(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
