"""A map of others below ours (Tianditu), fetched by this service so that its key stays here.

Off unless a key is set. The host stands in the settings and nowhere else: a request names one of
four layers and a tile. What comes back is a whole picture or it is not passed on, and only
pictures are kept. A service that refuses the key is left alone for a minute, one whose limit of
the day is reached until midnight.
"""

import asyncio
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Request, Response

from geogrid import store
from geogrid.api.problems import Problem
from geogrid.api.settings import Settings
from geogrid.errors import DataError, ImageryError
from geogrid.partition.imagery.asking import ZONE, Asker, DayCounter, Refused, Spent, Trouble
from geogrid.partition.imagery.services import MAP_LAYERS, Service, map_layer

Layer = Literal["vec", "cva", "img", "cia"]
"""Drawn map, its labels, imagery, its labels."""

MIN_ZOOM, MAX_ZOOM = 1, 18

_CACHING = "private, max-age=86400"
_REST = 60.0
"""Seconds in which a service that refused is not asked again."""
_AT_ONCE = 6
_KEPT_DAYS = 30
_LEFT_SHARE = 0.8
"""Of the limit, after the tiles used longest ago were removed: not at every tile anew."""
_TYPES = {b"\x89": "image/png", b"\xff": "image/jpeg", b"R": "image/webp"}

router = APIRouter(tags=["basemap"])


@dataclass(frozen=True, slots=True)
class Terms:
    """How the basemap is fetched and kept."""

    key: str = field(repr=False)
    folder: Path
    template: str = ""
    referer: str = field(default="", repr=False)
    cache_bytes: int = 500_000_000
    daily_limit: int = 9_000
    seconds: float = 10.0
    now: Callable[[], datetime] = lambda: datetime.now(ZONE)


class Basemap:
    """The four layers and what is kept of them."""

    def __init__(self, terms: Terms) -> None:
        """Open nothing yet: neither files nor connections."""
        self._terms = terms
        self._kept = _Kept(terms.folder, terms.cache_bytes)
        self._layers = {name: _Fetched(name, terms) for name in MAP_LAYERS}
        # Threads of its own: a host that does not answer must not take those of the look-ups.
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="basemap")

    async def tile(self, layer: Layer, place: tuple[int, int, int]) -> bytes:
        """Return a tile, empty where there is none.

        Raises
        ------
        Problem
            It cannot be had now.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self.fetch, layer, place
        )

    def fetch(self, layer: Layer, place: tuple[int, int, int]) -> bytes:
        """Do the same in this thread."""
        fetched = self._layers[layer]
        name = Path(fetched.service.folder_name, *map(str, place))
        body = self._kept.get(name)
        if body is None:
            body = fetched.get(*place)
            if body:
                self._kept.put(name, body)
        return body


class _Fetched:
    """One layer as its service gives it."""

    def __init__(self, layer: str, terms: Terms) -> None:
        self.service: Service = map_layer(layer, terms.template, terms.daily_limit)
        self._asker = Asker(self.service, terms.key, referer=terms.referer, timeout=terms.seconds)
        self._counter = DayCounter(
            terms.folder / f"requests-{layer}.json", self.service.daily_limit, terms.now
        )
        self._folder = terms.folder
        self._resting_until = 0.0

    def get(self, z: int, x: int, y: int) -> bytes:
        if time.monotonic() < self._resting_until:
            raise _refused(self._resting_until - time.monotonic())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._counter.count()
            return self._asker.picture(z, x, y)
        except Refused:
            self._resting_until = time.monotonic() + _REST
            raise _refused(_REST) from None
        except Spent as spent:
            raise _spent(spent) from None
        except (Trouble, ImageryError, OSError):
            raise _unanswered() from None


class _Kept:
    """Tiles on disk, of a limited size together; those used longest ago go first."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder / "tiles", most
        self._lock = threading.Lock()
        self._size: int | None = None

    def get(self, name: Path) -> bytes | None:
        path = self._folder / name
        try:
            fetched = path.stat().st_mtime
            if time.time() - fetched > _KEPT_DAYS * 86_400:
                return None
            body = path.read_bytes()
            os.utime(path, (time.time(), fetched))  # when it was used, when it was fetched
        except OSError:
            return None
        return body or None

    def put(self, name: Path, body: bytes) -> None:
        """Keep a tile; a disk that is full costs a request the next time, not the tile."""
        path = self._folder / name
        with self._lock, contextlib.suppress(DataError, OSError):
            if self._size is None:
                self._size = sum(file.stat().st_size for file in self._files())
            before = path.stat().st_size if path.exists() else 0
            path.parent.mkdir(parents=True, exist_ok=True)
            with store.replacing(path) as draft:
                draft.write_bytes(body)
            self._size += len(body) - before
            if self._size > self._most:
                self._size = self._cleared()

    def _files(self) -> list[Path]:
        return [path for path in self._folder.rglob("*") if path.is_file()]

    def _cleared(self) -> int:
        """Remove tiles until a share of the limit is left; return their size together."""
        used = sorted((file.stat().st_atime, file.stat().st_size, file) for file in self._files())
        size = sum(each[1] for each in used)
        for _, own, file in used:
            if size <= self._most * _LEFT_SHARE:
                break
            file.unlink(missing_ok=True)
            size -= own
        return size


async def _basemap(request: Request) -> Basemap:
    """Return the basemap of the service; it is made when it is first asked for."""
    state = request.app.state
    if not hasattr(state, "basemap"):
        terms = terms_of(state.settings)
        state.basemap = None if terms is None else Basemap(terms)
    if state.basemap is None:
        raise Problem(
            404,
            "no_basemap",
            "The service has no basemap; it needs a key (GEOGRID_BASEMAP__TOKEN).",
            "服务未配置底图，需设置密钥（GEOGRID_BASEMAP__TOKEN）。",
        )
    return cast(Basemap, state.basemap)


def terms_of(settings: Settings) -> Terms | None:
    """Return how the basemap is fetched, None where there is none."""
    given = settings.basemap
    if given.token is None:
        return None
    return Terms(
        key=given.token.get_secret_value(),
        folder=given.folder or _default_folder(),
        template=given.template,
        referer=given.referer,
        cache_bytes=given.cache_bytes,
        daily_limit=given.daily_limit,
        seconds=given.seconds,
    )


@router.get("/basemap/{layer}/{z}/{x}/{y}", response_class=Response)
async def basemap_tile(
    layer: Layer, z: int, x: int, y: int, basemap: Annotated[Basemap, Depends(_basemap)]
) -> Response:
    """Return a tile of the basemap as the picture that its service gave; 204 where it has none."""
    if not (MIN_ZOOM <= z <= MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise Problem(
            404,
            "no_tile",
            f"no tile {z}/{x}/{y}: zooms are {MIN_ZOOM} to {MAX_ZOOM}.",
            f"没有瓦片 {z}/{x}/{y}：级别为 {MIN_ZOOM} 至 {MAX_ZOOM}。",
        )
    body = await basemap.tile(layer, (z, x, y))
    headers = {"Cache-Control": _CACHING}
    if not body:
        return Response(status_code=204, headers=headers)
    return Response(body, headers=headers, media_type=_TYPES[body[:1]])


def _default_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geogrid" / "basemap"


def _refused(seconds: float) -> Problem:
    return Problem(
        502,
        "basemap_refused",
        "The basemap's service refuses the request. Ask whoever runs this service to check its key "
        "and the site that the key is bound to.",
        "底图服务拒绝访问，请服务管理员检查密钥及其绑定的域名。",
        headers={"Retry-After": str(math.ceil(seconds))},
    )


def _spent(spent: Spent) -> Problem:
    left = math.ceil((spent.until - spent.now).total_seconds())
    return Problem(
        503,
        "basemap_spent",
        f"The basemap's limit of {spent.limit} tiles a day is reached; what was seen before is "
        f"still there. Go on after {spent.until:%Y-%m-%d %H:%M} (Asia/Shanghai).",
        f"底图今日请求数已达上限 {spent.limit}，已缓存的瓦片仍可使用，"
        f"{spent.until:%Y-%m-%d %H:%M} 后恢复。",
        headers={"Retry-After": str(left)},
    )


def _unanswered() -> Problem:
    return Problem(
        502,
        "basemap_unanswered",
        "The basemap's service does not answer, or not with a picture. The grids are not "
        "concerned; try again later.",
        "底图服务无响应或返回的不是图片，网格数据不受影响，请稍后再试。",
        headers={"Retry-After": "30"},
    )
