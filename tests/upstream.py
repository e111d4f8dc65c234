"""Servers of this machine in place of those of the internet that pictures come from."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

S = TypeVar("S", bound=ThreadingHTTPServer)


class Answering(BaseHTTPRequestHandler):
    """A handler that says nothing; `respond` is called for a request and calls `answer`."""

    def do_GET(self) -> None:  # the name the library calls
        """Respond."""
        self.respond()

    def respond(self) -> None:
        """Answer the request."""
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, kind: str, body: bytes) -> None:
        """Answer; to whom waited too long and has gone, nothing."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)


@contextlib.contextmanager
def running(server: S) -> Iterator[S]:
    """Let a server answer in a thread until the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
