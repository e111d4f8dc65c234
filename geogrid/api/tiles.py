"""Vector tiles of the units and raster tiles of the imagery, for any web map or QGIS."""

import re

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from geogrid.api.caching import accepts_gzip, is_known
from geogrid.api.deps import Data, Dataset
from geogrid.api.imagery import Imagery
from geogrid.api.problems import Problem
from geogrid.errors import UsageError
from geogrid.pyramid import vector_layers
from geogrid.tiles import MAX_ZOOM, MIN_ZOOMS, require_tile, zipped

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"

# A tile may change when another edition is served at this address: viewers ask again, by ETag.
CACHING = "no-cache"

_CACHING_FOR_EVER = "public, max-age=31536000, immutable"

_PLAIN = re.compile(
    r"/tiles/((?P<version>[0-9a-f]{16}-[0-9a-z.+]+)/)?(?P<z>\d{1,2})/(?P<x>\d{1,5})/(?P<y>\d{1,5})\.mvt",
    re.ASCII,
)

_QUICK_ZOOM = 12
"""From here on a tile takes about a millisecond; larger ones are encoded in a thread."""

_IMAGE_CACHING = "max-age=3600"

_IMAGE_MAX_ZOOM = 24

TEMPLATE = "/tiles/{z}/{x}/{y}.mvt"

router = APIRouter(tags=["tiles"])


@router.get(TEMPLATE, response_class=Response)
def vector_tile(z: int, x: int, y: int, request: Request, data: Data) -> Response:
    """Return all levels as one vector tile, each from its own zoom on; 204 if it is empty."""
    require(z, x, y, MAX_ZOOM)
    return vector_answer(data, (z, x, y), request.headers, CACHING)


@router.get("/tiles/{version}/{z}/{x}/{y}.mvt", response_class=Response)
def vector_tile_of_version(
    version: str, z: int, x: int, y: int, request: Request, data: Data
) -> Response:
    """Return a vector tile that never changes: `version` is that of the edition served now."""
    if version != data.version:
        raise _other_version(data, version)
    require(z, x, y, MAX_ZOOM)
    return vector_answer(data, (z, x, y), request.headers, _CACHING_FOR_EVER)


def vector_answer(
    data: Dataset, tile: tuple[int, int, int], asked: Headers, caching: str, *, level: str = ""
) -> Response:
    """Return a tile that exists, or that the caller has it already: known before it is encoded."""
    small = accepts_gzip(asked)
    headers = {
        "ETag": f'"{data.version}{"-gzip" if small else ""}"',
        "Cache-Control": caching,
        "Vary": "Accept-Encoding",
    }
    if is_known(asked, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    body = data.tiles.encode_level(level, *tile) if level else data.tiles.encode(*tile)
    if not body:
        return Response(status_code=204, headers=headers)
    if small:
        body, headers["Content-Encoding"] = zipped(body), "gzip"
    return Response(body, headers=headers, media_type=MEDIA_TYPE)


def vector_answer_quickly(data: Dataset, path: str, asked: Headers) -> Response | None:
    """Answer for a plain address as the routes do; None for any other.

    Plain is a tile that exists and takes no longer than a look-up may wait, or that is known.
    """
    found = _PLAIN.fullmatch(path)
    if found is None or found["version"] not in (None, data.version):
        return None
    z, x, y = int(found["z"]), int(found["x"]), int(found["y"])
    if z > MAX_ZOOM or x >> z or y >> z or (z < _QUICK_ZOOM and "if-none-match" not in asked):
        return None
    caching = CACHING if found["version"] is None else _CACHING_FOR_EVER
    return vector_answer(data, (z, x, y), asked, caching)


@router.get("/tiles.json")
def tile_json(request: Request, data: Data) -> dict[str, object]:
    """Describe the vector tiles (TileJSON 3.0); `households_breaks` are the classes of the map."""
    return {
        **_described(data, request, f"/tiles/{data.version}/{{z}}/{{x}}/{{y}}.mvt"),
        "minzoom": min(MIN_ZOOMS.values()),
        "maxzoom": MAX_ZOOM,
        "bounds": list(data.tiles.bounds),
        "vector_layers": vector_layers(),
        "households_breaks": data.breaks,
    }


@router.get("/imagery/tiles.json")
def imagery_json(request: Request, data: Data) -> dict[str, object]:
    """Describe the raster tiles of the imagery (TileJSON 3.0)."""
    imagery = _imagery(data)
    return {
        **_described(data, request, "/imagery/tiles/{z}/{x}/{y}"),
        "minzoom": imagery.min_zoom,
        "maxzoom": imagery.max_zoom,
        "bounds": list(imagery.bounds),
    }


@router.get("/imagery/tiles/{z}/{x}/{y}", response_class=Response)
def raster_tile(z: int, x: int, y: int, request: Request, data: Data) -> Response:
    """Return a tile of the imagery as JPEG, or WebP where it ends; 204 where there is none."""
    imagery = _imagery(data)
    require(z, x, y, _IMAGE_MAX_ZOOM)
    headers = {"ETag": imagery.tag, "Cache-Control": _IMAGE_CACHING}
    if is_known(request.headers, imagery.tag):
        return Response(status_code=304, headers=headers)
    found = imagery.tile(z, x, y)
    if found is None:
        return Response(status_code=204, headers=headers)
    body, media_type = found
    return Response(body, headers=headers, media_type=media_type)


def require(z: int, x: int, y: int, max_zoom: int) -> None:
    """Answer 404 unless the tile exists."""
    try:
        require_tile(z, x, y, max_zoom)
    except UsageError as error:
        chinese = f"没有瓦片 {z}/{x}/{y}：级别为 0 至 {max_zoom}，行列号不超出该级别范围。"
        raise Problem(404, "no_tile", str(error), chinese) from error


def _other_version(data: Dataset, version: str) -> Problem:
    return Problem(  # of a tile that is 404, MapLibre says nothing to its page
        410,
        "unknown_version",
        f"No tiles of version {version}: this service answers from {data.version}. "
        "Read /tiles.json again.",
        f"没有版本 {version} 的瓦片，当前版本为 {data.version}，请重新读取 /tiles.json。",
        field="version",
    )


def _described(data: Dataset, request: Request, path: str) -> dict[str, object]:
    base = str(request.base_url).rstrip("/")
    return {
        "tilejson": "3.0.0",
        "name": f"{data.edition.info.city} {data.edition.info.id}",
        "version": "1.0.0",
        "scheme": "xyz",
        "tiles": [base + path],
    }


def _imagery(data: Dataset) -> Imagery:
    if data.imagery is None:
        raise Problem(
            404,
            "no_imagery",
            "The service was started without imagery; add --imagery FILE.",
            "服务启动时未指定影像，请使用 --imagery 参数。",
        )
    return data.imagery
