"""OGC API Tiles: the vector tiles by level, and what describes them."""

from typing import Annotated

import morecantile
from fastapi import APIRouter, Path, Request, Response

from geogrid.api import documents as docs
from geogrid.api.deps import Data, Dataset
from geogrid.api.documents import link
from geogrid.api.problems import Problem
from geogrid.api.tiles import CACHING, MEDIA_TYPE, require, vector_answer
from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.tiles import MAX_ZOOM, MIN_ZOOMS, PROPERTIES

MATRIX_SET = "WebMercatorQuad"

_REGISTERED = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{MATRIX_SET}"
_WEB_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
_SCHEME = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme"
_TILESETS = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"

router = APIRouter(tags=["tiles"])

Level = Annotated[
    str,
    Path(
        description="county, township, village, grid or microgrid.",
        json_schema_extra={"enum": [*MIN_ZOOMS]},
    ),
]


@router.get("/tileMatrixSets")
def tile_matrix_sets(request: Request) -> Response:
    """List the tile matrix sets: one."""
    href = f"{docs.base_of(request)}/tileMatrixSets/{MATRIX_SET}"
    listed = {
        "id": MATRIX_SET,
        "title": "Google Maps Compatible for the World",
        "uri": _REGISTERED,
        "crs": _WEB_MERCATOR,
        "links": [link(href, "self", docs.JSON, MATRIX_SET)],
    }
    return docs.as_json({"tileMatrixSets": [listed]})


@router.get("/tileMatrixSets/{matrix_set}")
def tile_matrix_set(matrix_set: str) -> Response:
    """Describe a tile matrix set (OGC 17-083r4)."""
    _require_matrix_set(matrix_set)
    found = morecantile.tms.get(MATRIX_SET)
    return Response(found.model_dump_json(exclude_none=True, by_alias=True), media_type=docs.JSON)


@router.get("/tiles")
def tilesets(request: Request, data: Data) -> Response:
    """List the tile sets of the whole edition: one, with all levels."""
    href = f"{docs.base_of(request)}/tiles/{MATRIX_SET}"
    return docs.as_json({"tilesets": [_listed(data.edition.info.city, href)]})


@router.get(f"/tiles/{MATRIX_SET}")
def tileset(request: Request, data: Data) -> Response:
    """Describe the tiles with all levels."""
    base = docs.base_of(request)
    links = [
        *_links(f"{base}/tiles/{MATRIX_SET}", base),
        link(f"{base}/tiles.json", "describedby", docs.JSON, "TileJSON"),
    ]
    return docs.as_json(_description(data, data.edition.info.city, links, list(MIN_ZOOMS)))


@router.get(f"/tiles/{MATRIX_SET}/{{z}}/{{row}}/{{col}}", response_class=Response)
def tile(z: int, row: int, col: int, request: Request, data: Data) -> Response:
    """Return all levels as one vector tile."""
    require(z, col, row, MAX_ZOOM)
    return vector_answer(data, (z, col, row), request.headers, CACHING)


@router.get("/collections/{level}/tiles")
def tilesets_of_level(level: Level, request: Request, data: Data) -> Response:
    """List the tile sets of a level: one."""
    _require_level(level)
    href = f"{docs.base_of(request)}/collections/{level}/tiles/{MATRIX_SET}"
    title = f"{data.edition.info.city} {LEVEL_NAMES_ZH[level]} {level}"
    return docs.as_json({"tilesets": [_listed(title, href)]})


@router.get(f"/collections/{{level}}/tiles/{MATRIX_SET}")
def tileset_of_level(level: Level, request: Request, data: Data) -> Response:
    """Describe the tiles of a level."""
    _require_level(level)
    base = docs.base_of(request)
    title = f"{data.edition.info.city} {LEVEL_NAMES_ZH[level]} {level}"
    links = _links(f"{base}/collections/{level}/tiles/{MATRIX_SET}", base)
    return docs.as_json(_description(data, title, links, [level]))


@router.get(
    f"/collections/{{level}}/tiles/{MATRIX_SET}/{{z}}/{{row}}/{{col}}", response_class=Response
)
def tile_of_level(
    level: Level, z: int, row: int, col: int, request: Request, data: Data
) -> Response:
    """Return one level as a vector tile, from its zoom on; 204 if it is empty."""
    _require_level(level)
    require(z, col, row, MAX_ZOOM)
    return vector_answer(data, (z, col, row), request.headers, CACHING, level=level)


def _require_level(level: str) -> None:
    if level not in MIN_ZOOMS:
        raise Problem(
            404,
            "unknown_collection",
            f"No tiles of {level[:40]!r}; there are {', '.join(MIN_ZOOMS)}.",
            f"没有 {level[:40]!r} 的瓦片，可用的图层为 {', '.join(MIN_ZOOMS)}。",
            field="level",
        )


def _require_matrix_set(name: str) -> None:
    if name != MATRIX_SET:
        raise Problem(
            404,
            "unknown_tile_matrix_set",
            f"There is no tile matrix set {name[:40]!r}; there is {MATRIX_SET}.",
            f"没有瓦片矩阵集 {name[:40]!r}，可用的为 {MATRIX_SET}。",
            field="matrix_set",
        )


def _listed(title: str, href: str) -> dict[str, object]:
    return {
        "title": title,
        "dataType": "vector",
        "crs": _WEB_MERCATOR,
        "tileMatrixSetURI": _REGISTERED,
        "links": [link(href, "self", docs.JSON, title)],
    }


def _links(here: str, base: str) -> list[dict[str, object]]:
    template = f"{here}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    return [
        link(here, "self", docs.JSON, "This document"),
        link(f"{base}/tileMatrixSets/{MATRIX_SET}", _SCHEME, docs.JSON, MATRIX_SET),
        {**link(template, "item", MEDIA_TYPE, "Tile"), "templated": True},
    ]


def _description(
    data: Dataset, title: str, links: list[dict[str, object]], levels: list[str]
) -> dict[str, object]:
    """Return the metadata of a tile set (OGC 17-083r4)."""
    west, south, east, north = data.tiles.bounds
    kinds = {"households": {"type": "integer"}}
    layers = [
        {
            "id": level,
            "title": f"{LEVEL_NAMES_ZH[level]} {level}",
            "dataType": "vector",
            "geometryDimension": 2,
            "minTileMatrix": str(MIN_ZOOMS[level]),
            "maxTileMatrix": str(MAX_ZOOM),
            "propertiesSchema": {
                "type": "object",
                "properties": {name: kinds.get(name, {"type": "string"}) for name in PROPERTIES},
            },
        }
        for level in levels
    ]
    return {
        **_listed(title, ""),
        "tileMatrixSetLimits": data.tiles.limits(min(MIN_ZOOMS[level] for level in levels)),
        "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north]},
        "layers": layers,
        "links": links,
    }
