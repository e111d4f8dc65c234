"""The application: routes, errors, headers, and the data that is loaded at the start."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope

from geogrid import __version__
from geogrid.api import (
    assets,
    basemap,
    batch,
    convert,
    description,
    features,
    findings,
    incidents,
    jobs,
    lookup,
    neighbours,
    operations,
    pages,
    problems,
    tiles,
    tilesets,
    units,
)
from geogrid.api.deps import Dataset, Served
from geogrid.api.front import AtOnce, Front
from geogrid.api.guard import Guard, Keepers
from geogrid.api.journal import Journal
from geogrid.api.keys import Keyring
from geogrid.api.metrics import Metrics
from geogrid.api.reload import Reloader
from geogrid.api.settings import Settings
from geogrid.api.workshop import Workshop

# Newer versions of FastAPI report requests, coordinates and all, to whatever OpenTelemetry is set
# up in the process, and asking whether one is costs a third of a look-up.
_NO_TELEMETRY: dict[str, Any] = {"telemetry": {"tracing": False, "metrics": False, "logs": False}}


class Service(FastAPI):
    """An application of which the guard is outermost."""

    def at_once(self, scope: Scope) -> AtOnce | None:
        """Return what answers requests with a head without waiting; see `Guard.at_once`."""
        guard = self.middleware_stack
        return guard.at_once(scope) if isinstance(guard, Guard) else None

    def prepare(self) -> None:
        """Do what would delay the first requests.

        FastAPI reads the parameters of a route when it first looks whether that is the one asked
        for: 0.1 s for all, in which nobody is answered.
        """
        nowhere: Scope = {
            "type": "http", "method": "GET", "path": "/-/", "root_path": "", "headers": [],
        }  # fmt: skip
        for route in self.routes:
            route.matches(nowhere)
        assets.all_assets()

    def build_middleware_stack(self) -> ASGIApp:
        """Leave out what FastAPI puts around the guard, which answers every error itself.

        Those layers bound nothing here, and cost a look-up a tenth.
        """
        layer = super().build_middleware_stack()
        while not isinstance(layer, Guard):
            layer = layer.app  # type: ignore[attr-defined]  # every layer has one
        return layer


def create_app(settings: Settings, *, dataset: Dataset | None = None) -> Service:
    """Return the application that serves one edition; files are read when the server starts.

    Parameters
    ----------
    settings : Settings
    dataset : Dataset, optional
        What `deps.load` returned, when it was loaded before.

    Returns
    -------
    Service
        Answers every error with a problem document and asks no other host for anything.
    """
    keepers = Keepers(Served(), Keyring(), Metrics(), Journal(settings.access_log))

    @asynccontextmanager
    async def lifespan(app: Service) -> AsyncIterator[None]:
        reloader = Reloader(settings, keepers.served, keepers.keys, keepers.metrics)
        await reloader.start(dataset)
        app.prepare()
        app.state.reloader = reloader
        watching = _watching(reloader, settings.reload_seconds)
        # One core is left to the event loop.
        with ThreadPoolExecutor(max(len(os.sched_getaffinity(0)) - 1, 1), "bulk") as bulk:
            app.state.bulk, app.state.workshop = bulk, Workshop(settings.jobs)
            yield
        await app.state.workshop.close()
        watching.cancel()
        keepers.journal.flush()

    app = Service(
        title="geogrid",
        version=__version__,
        summary="网格与微网格查询服务。Find the governance grid of a position.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=problems.RESPONSES,
        **_NO_TELEMETRY,
    )
    routes = (
        lookup, batch, jobs, convert, units, neighbours, findings, incidents, features, tilesets,
        tiles, basemap, operations, pages,
    )  # fmt: skip
    for each in routes:
        app.include_router(each.router)
    app.state.settings = settings
    app.add_middleware(Front)  # the last to be asked before the routes
    problems.install(app)
    description.install(app)
    app.add_middleware(Guard, settings=settings, keepers=keepers)
    return app


def _watching(reloader: Reloader, seconds: float) -> asyncio.Task[None]:
    """Watch the files; with 0 seconds, wait for nothing."""
    work = reloader.watch(seconds) if seconds else asyncio.sleep(0)
    return asyncio.create_task(work)


__all__ = ["Settings", "create_app"]
