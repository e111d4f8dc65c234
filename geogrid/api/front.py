"""The hot routes before the framework: plain look-ups and tiles, at a third of the cost.

`Front` answers what it is sure of and hands everything else on, so that every error has the shape
the framework's handlers give it. The routes are also those of FastAPI, which describes them and
gives the same bytes.
"""

from collections.abc import Callable
from typing import TypeAlias

from starlette import datastructures
from starlette.types import ASGIApp, Receive, Scope, Send

from geogrid.api import lookup, tiles
from geogrid.api.assets import all_assets
from geogrid.api.deps import Dataset, dataset_of
from geogrid.api.metrics import Metrics

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_STATIC = "/static/"

Whole: TypeAlias = tuple[Headers, bytes | bytearray]
"""Headers, but for its length, and body of an answer with status 200."""

AtOnce: TypeAlias = Callable[[bytes], bytes | None]
"""Given the query of a request whose head is known: a whole answer, or None if that takes more."""


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
                answer = tiles.vector_answer_quickly(
                    dataset_of(scope), path, datastructures.Headers(scope=scope)
                )
                if answer is not None:
                    scope["state"]["route"] = tiles.TEMPLATE
                    await answer(scope, receive, send)
                    return
            elif path.startswith(_STATIC) and (file := all_assets().get(path[len(_STATIC) :])):
                await file.answer(datastructures.Headers(scope=scope))(scope, receive, send)
                return
        await self.app(scope, receive, send)

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Say whether `whole` may know an answer, and note its route if so."""
        if scope["path"] != lookup.PATH or scope["method"] != "GET":
            return False
        scope["state"]["route"] = lookup.PATH
        return True

    @staticmethod
    def whole(data: Dataset, query: bytes, counters: Metrics) -> Whole | None:
        """Return the answer to a plain look-up, or None: the guard asks before it hands on.

        A call that nobody awaits, and messages that pass no layer, save a third of a look-up.
        """
        body = lookup.locate_quickly(data, query, counters)
        return None if body is None else (data.answers.headers, body)
