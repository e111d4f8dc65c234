"""Run the service until it is told to stop, and stop within half a minute."""

import asyncio
import gc
import json
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from geogrid.api import keys
from geogrid.api.app import create_app
from geogrid.api.connections import IDLE_SECONDS, Connections, GuardedProtocol
from geogrid.api.deps import load
from geogrid.api.settings import Settings
from geogrid.errors import UsageError

_DRAIN_SECONDS = 20
"""How long requests in flight may take after the signal to stop."""

_END_SECONDS = 28.0
"""After the signal the process ends, whatever still runs."""

_FILES_BESIDE = 200
"""Descriptors kept free for files, beside those for connections."""

_SENT_AHEAD = 1 << 18
"""Bytes of answers that the system takes for a connection and its reader has not. By Linux' 4 MB,
to hand over what 50 callers did not read took up to 0.9 s, in which nobody else was answered."""

_SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while others wait. The loop asks for it after every
read and write: by Python's 5 ms, with eight pages in the making, a fourth of a processor was used
and /healthz took up to 4.6 s; so it is half a processor and 0.5 s."""

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def run(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Parameters
    ----------
    ready : callable, optional
        Told the address once it is listened at.

    Raises
    ------
    UsageError
        The service would be open to others without keys, or cannot listen at the address.
    DataError
        A file cannot be used.
    """
    settings = _closed(settings)
    listening = _listen(settings)
    _set_up_logging()
    connections = Connections(settings.limits)
    connections.most = min(connections.most, _raise_descriptors(connections.most))
    app = create_app(settings, dataset=load(settings))
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # else every look for garbage goes through all that stays, which stops a city 0.2 s
    connections.at_once = app.at_once
    config = uvicorn.Config(
        app,
        http=type("Protocol", (GuardedProtocol,), {"book": connections}),
        ws="none", lifespan="on", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )  # fmt: skip
    try:
        _Server(config, connections, ready).run([listening])
    except KeyboardInterrupt:
        return


def _closed(settings: Settings) -> Settings:
    """Return settings under which nobody gets in who should not."""
    if keys.read(settings.keys, settings.keys_file):
        return settings
    if not settings.is_local:
        raise UsageError(
            f"at {settings.host} everybody in the network could read the grids. Make a key with "
            "`geogrid key NAME` and name it in the settings keys or keys_file, or listen at "
            "127.0.0.1."
        )
    hosts = settings.hosts or (*_LOCAL_NAMES, settings.host)
    return settings.model_copy(update={"hosts": hosts})


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.host, settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise UsageError(
            f"cannot listen at {host}:{port}: {error.strerror}. Choose another with --port or "
            "--host, or stop what listens there."
        ) from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AHEAD)
    return listening


def _raise_descriptors(wanted: int) -> int:
    """Allow as many open files as the system grants, and return how many connections that makes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _FILES_BESIDE
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(soft - _FILES_BESIDE, 1)


class _Server(uvicorn.Server):
    """Sweeps the connections while it runs, and ends in time."""

    def __init__(
        self, config: uvicorn.Config, connections: Connections, ready: Callable[[str], None] | None
    ) -> None:
        super().__init__(config)
        self._connections, self._ready = connections, ready

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        sweeping = asyncio.create_task(self._connections.sweep())
        try:
            await super().serve(sockets)
        finally:
            sweeping.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._ready(f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; what does not end by itself is ended."""
        if not self.should_exit:
            end = threading.Timer(_END_SECONDS, os._exit, (1,))
            end.daemon = True
            end.start()
        super().handle_exit(sig, frame)


class _Line(logging.Formatter):
    """A JSON line for each record; of an error its kind and place, not its text."""

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        if record.name == "asyncio":  # what follows shows the error itself, and what it was about
            said = said.partition("\n")[0]
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": said,
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False)


def _set_up_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("geogrid").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
