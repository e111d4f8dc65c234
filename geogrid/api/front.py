"""The hot routes before the framework: plain look-ups and tiles, at a third of the cost.

`Front` answers what it is sure of and hands everything else on, so that every error has the shape
the framework's handlers give it. The routes are also those of FastAPI, which describes them and
gives the same bytes.
"""

from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from geogrid.api import lookup, tiles
from geogrid.api.deps import dataset_of, metrics_of

Whole: TypeAlias = tuple[tuple[tuple[bytes, bytes], ...], bytes]
"""Headers, but for its length, and body of an answer with status 200."""


class Front:
    """Innermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "GET":
            path = scope["path"]
            if path.startswith("/tiles/"):
                answer = tiles.vector_answer_quickly(dataset_of(scope), path, Headers(scope=scope))
                if answer is not None:
                    scope["state"]["route"] = tiles.TEMPLATE
                    await answer(scope, receive, send)
                    return
        await self.app(scope, receive, send)

    def whole(self, scope: Scope) -> Whole | None:
        """Return the answer to a plain look-up, or None: the guard asks before it hands on.

        A call that nobody awaits, and messages that pass no layer, save a third of a look-up.
        """
        if scope["path"] != lookup.PATH or scope["method"] != "GET":
            return None
        data = dataset_of(scope)
        body = lookup.locate_quickly(data, scope["query_string"], metrics_of(scope))
        if body is None:
            return None
        scope["state"]["route"] = lookup.PATH
        return data.answers.headers, body
