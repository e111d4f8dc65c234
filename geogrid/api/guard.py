"""Headers of every answer, and a limit to the size of every request (plain ASGI)."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geogrid.api.problems import Problem, respond

MAX_BODY = 2_000_000
"""Bytes: 10,000 positions with 17 digits each are 0.4 MB."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Middleware that adds the headers and refuses bodies beyond `MAX_BODY`."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:  # a body in chunks does not tell its size before
                raise HTTPException(413, f"the body is larger than {MAX_BODY:,} bytes")
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        size = Headers(scope=scope).get("content-length", "0")
        if size.isdigit() and int(size) > MAX_BODY:
            await respond(scope["path"], _too_large(int(size)))(scope, receive, with_headers)
            return
        await self.app(scope, counted, with_headers)


def _too_large(size: int) -> Problem:
    return Problem(
        413,
        "body_too_large",
        f"The body has {size:,} bytes, at most {MAX_BODY:,} are accepted.",
        f"请求体 {size:,} 字节，上限 {MAX_BODY:,} 字节。",
    )
