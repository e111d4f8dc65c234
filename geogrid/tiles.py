"""Vector tiles (Mapbox Vector Tile 2.1) of an edition, encoded from memory when they are asked for.

Each level is a layer from its own zoom on, and `label` holds a point a unit. Vertices are rounded
to the tile's units and edges led around what rounding would put on their other side, nothing else:
no simplification, no limit on features, so a tile has neither gaps nor overlaps and never lacks a
unit. An edition never changes, nor does its tile.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from isal import igzip
from numpy.typing import NDArray

from geogrid._kernels import Recompiles, clipping, compiled, rounding, snapping
from geogrid._kernels import tiles as kernels
from geogrid._kernels.locate import index_boxes
from geogrid._kernels.messages import framed_texts
from geogrid.codes import parent_level
from geogrid.edition import Edition, to_degrees, to_world
from geogrid.errors import UsageError

MIN_ZOOMS = MappingProxyType(
    {"county": 6, "township": 7, "village": 10, "grid": 11, "microgrid": 12}
)
"""First zoom of each level: no tile of a city of 100,000 micro-grids exceeds 200 kB, zipped."""

LABEL_MIN_ZOOMS = MappingProxyType(
    {"county": 6, "township": 8, "village": 11, "grid": 12, "microgrid": 14}
)
"""First zoom at which the name of a unit has room beside its neighbours' names."""

MAX_ZOOM = 15
"""A unit of the tile is 0.3 m here; viewers enlarge these tiles for the zooms beyond."""

_SNAP_ZOOM = 10
"""First zoom at which no piece crosses another: near edges of zoom 8 would take 5 s to find."""

_BLOCK = 1 << 14
"""Vertices projected at once: what is needed on the way stays in the processor's cache."""

PROPERTIES = ("code", "name", "households")
LABEL_PROPERTIES = ("level", "code", "name")

# Level 3 is twice as slow and saves 3 %.
_GZIP_LEVEL = 2

# Fields of the messages Layer and Value: number and wire type (Mapbox Vector Tile 2.1, 4.1).
_NAME, _KEY, _VALUE, _EXTENT, _VERSION = 0x0A, 0x1A, 0x22, 0x28, 0x78
_STRING, _INTEGER = 0x0A, 0x20


class _Outlines(NamedTuple):
    """Units of all levels, one level after the other, in web mercator.

    The first four are what `rounding.round_rings` takes; `boxes` are west, north, east, south.
    """

    world: NDArray[np.float64]
    starts: NDArray[np.int64]
    shells: NDArray[np.bool_]
    firsts: NDArray[np.int64]
    boxes: NDArray[np.float64]


class TileSet(Recompiles):
    """The tiles of one edition; built once, asked often, safe in threads.

    Attributes
    ----------
    bounds : (west, south, east, north)
        Degrees.
    """

    def __init__(self, edition: Edition) -> None:
        """Project the vertices of `edition` to web mercator."""
        west, south, east, north = map(float, edition.units["city"].total_bounds)
        self.bounds = (west, south, east, north)
        levels = list(MIN_ZOOMS)
        ends = np.cumsum([len(edition.units[level]) for level in levels])
        outlines = _outlines(edition, levels)
        self._polygons = dict(_polygons(outlines, ends))
        self._points = _label_points(edition, levels)
        self._index = _index(outlines.boxes)
        self._values = _values(edition, levels)
        self._layers = _layers(levels, ends)
        self._labelled = [_last_row(LABEL_MIN_ZOOMS, ends, z) for z in range(MAX_ZOOM + 1)]

    def encode(self, z: int, x: int, y: int) -> bytes:
        """Return the tile, uncompressed; empty where no unit is.

        Every unit of a shown level that reaches into the tile is there: one without area at this
        zoom as a square of one unit of the tile. Feature ids are rows of the level's table, the
        same at every zoom.

        Raises
        ------
        UsageError
            There is no such tile.
        """
        require_tile(z, x, y)
        if z not in self._polygons:
            return b""
        tile: bytes = self._encode(*self._arguments(z), (z, x, y)).tobytes()
        return tile

    def _arguments(self, z: int) -> tuple[object, ...]:
        return (
            self._polygons[z], self._points, self._index, self._values, self._layers,
            self._labelled[z],
        )  # fmt: skip

    @cached_property
    def _encode(self) -> Callable[..., Any]:
        return compiled(kernels.encode_tile, *self._arguments(MAX_ZOOM), (MAX_ZOOM, 0, 0))

    def encode_level(self, level: str, z: int, x: int, y: int) -> bytes:
        """Return the tile with one level only and no labels; empty below the level's zoom.

        Raises
        ------
        UsageError
            There is no such tile.
        """
        require_tile(z, x, y)
        if z < MIN_ZOOMS[level]:
            return b""
        return _only(level, self.encode(z, x, y))

    def limits(self, first_zoom: int) -> list[dict[str, object]]:
        """Return which rows and columns hold something, as OGC API Tiles writes it."""
        found: list[dict[str, object]] = []
        for z in range(first_zoom, MAX_ZOOM + 1):
            columns, rows = zip(*self.covering(z), strict=True)
            found.append(
                {
                    "tileMatrix": str(z), "minTileRow": min(rows), "maxTileRow": max(rows),
                    "minTileCol": min(columns), "maxTileCol": max(columns),
                }
            )  # fmt: skip
        return found

    def covering(self, z: int) -> Iterator[tuple[int, int]]:
        """Yield columns and rows of the tiles of a zoom that the city's box touches."""
        west, south, east, north = self.bounds
        corners = to_world(np.array([[west, north], [east, south]])) * (1 << z)
        (x0, y0), (x1, y1) = np.floor(corners).astype(int).tolist()
        return ((x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1))


def zipped(tile: bytes) -> bytes:
    """Return a tile as gzip (ISA-L, which takes a tenth of zlib's time); the same bytes always."""
    packed: bytes = igzip.compress(tile, _GZIP_LEVEL, mtime=0)
    return packed


def require_tile(z: int, x: int, y: int, max_zoom: int = MAX_ZOOM) -> None:
    """Raise `UsageError` unless the tile exists.

    >>> require_tile(0, 0, 1)
    Traceback (most recent call last):
    ...
    geogrid.errors.UsageError: no tile 0/0/1: zooms are 0 to 15, columns and rows 0 to 0 at zoom 0.
    """
    if not (0 <= z <= max_zoom and 0 <= x < 1 << z and 0 <= y < 1 << z):
        last = (1 << min(max(z, 0), max_zoom)) - 1
        raise UsageError(
            f"no tile {z}/{x}/{y}: zooms are 0 to {max_zoom}, "
            f"columns and rows 0 to {last} at zoom {min(max(z, 0), max_zoom)}."
        )


def _last_row(zooms: Mapping[str, int], ends: NDArray[np.int64], z: int) -> int:
    """Return how many units, coarse to fine, are shown at zoom `z`."""
    n_levels = sum(first <= z for first in zooms.values())
    return int(ends[n_levels - 1]) if n_levels else 0


def _outlines(edition: Edition, levels: Sequence[str]) -> _Outlines:
    """Project all levels, one below the other."""
    parts = [edition.rings(level) for level in levels]
    n_units = np.cumsum([0, *(len(edition.units[level]) for level in levels)])
    starts = np.cumsum(np.concatenate([[0], *(np.diff(rings.starts) for rings in parts)]))
    owners = np.concatenate([rings.owners + n for rings, n in zip(parts, n_units, strict=False)])
    world = _projected([rings.xy for rings in parts])
    firsts = np.searchsorted(owners, np.arange(n_units[-1] + 1)).astype(np.int64)
    return _Outlines(
        world=world,
        starts=starts.astype(np.int64),
        shells=np.concatenate([rings.shells() for rings in parts]),
        firsts=firsts,
        boxes=_boxes(world, starts[firsts[:-1]]),
    )


def _projected(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return vertices in web mercator; block by block, as fresh memory costs more than sines."""
    blocks = [part[at : at + _BLOCK] for part in parts for at in range(0, len(part), _BLOCK)]
    world, at = np.empty((sum(map(len, parts)), 2)), 0
    for block in blocks:
        world[at : at + len(block)] = to_world(to_degrees(block))
        at += len(block)
    return world


def _polygons(
    outlines: _Outlines, ends: NDArray[np.int64]
) -> Iterator[tuple[int, kernels.Polygons]]:
    """Yield each zoom that shows something, and the units as it has them."""
    world, starts, shells, firsts, boxes = outlines
    scales = {z: float(clipping.EXTENT << z) for z in range(MAX_ZOOM + 1)}
    near = snapping.near_edges(world, starts, 1 / scales[_SNAP_ZOOM])
    for z, scale in scales.items():
        n_units = _last_row(MIN_ZOOMS, ends, z)
        if not n_units:
            continue
        snapped, snaps = z >= _SNAP_ZOOM, rounding.NO_SNAPS
        if snapped:
            near = snapping.nearer(world, *near, 1 / scale) if z > _SNAP_ZOOM else near
            snaps = snapping.snap(world, *near, scale)
        rings = rounding.round_rings(world, starts, shells, firsts[: n_units + 1], snaps, scale)
        yield (
            z,
            kernels.Polygons(
                *rings,
                pinched=rounding.pinched_rings(rings.xy, rings.starts)
                if snapped
                else np.zeros_like(rings.shells),
                runs=clipping.box_runs(rings.xy),
                boxes=(boxes[:n_units] * scale + 0.5).astype(np.int32),
            ),
        )


def _label_points(edition: Edition, levels: Sequence[str]) -> NDArray[np.float64]:
    polygons = np.concatenate([edition.units[level].geometry.to_numpy() for level in levels])
    return to_world(shapely.get_coordinates(shapely.point_on_surface(polygons)))


def _boxes(world: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """West, north, east and south of the vertices from each start to the next."""
    return np.hstack([np.minimum.reduceat(world, starts), np.maximum.reduceat(world, starts)])


def _index(boxes: NDArray[np.float64]) -> kernels.Index:
    """Sort boxes, each with a margin for the tiles' buffer, into tiles."""
    margin = (clipping.BUFFER + 1) / clipping.EXTENT * np.array([-1, -1, 1, 1])
    spans = np.floor(boxes * (1 << kernels.INDEX_ZOOM) + margin).astype(np.int64)
    origin = spans[:, :2].min(axis=0)
    shape = spans[:, 2:].max(axis=0) - origin + 1
    return kernels.Index(*index_boxes(spans, origin, 1, shape), origin, shape)


def _values(edition: Edition, levels: Sequence[str]) -> kernels.Values:
    """Write the properties of all units as messages."""
    tables = [edition.units[level] for level in levels]
    pairs = [zip(table["code"].tolist(), table["name"].tolist(), strict=True) for table in tables]
    own = [text for pair in itertools.chain(*pairs) for text in pair]
    shared: list[bytes] = []
    numbers = []
    for column in (
        np.concatenate([table["households"] for table in tables]),
        np.repeat(np.array(levels, object), [len(table) for table in tables]),
        np.concatenate([_short_names(edition, level) for level in levels]),
    ):
        codes, distinct = pd.factorize(column)
        numbers.append(codes + len(shared))
        shared += [_value(value) for value in distinct.tolist()]
    columns = np.ascontiguousarray(np.column_stack(numbers), np.int32)
    return kernels.Values(*_texts(own), *_joined(shared), columns)


def _texts(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return what `_joined` does of the values of these texts."""
    _, starts, content = pa.array(texts, pa.large_string()).buffers()
    return framed_texts(
        np.frombuffer(content, np.uint8), np.frombuffer(starts, np.int64, len(texts) + 1),
        _VALUE, _STRING,
    )  # fmt: skip


def _layers(levels: Sequence[str], ends: NDArray[np.int64]) -> kernels.Layers:
    headers = [_header(level, PROPERTIES) for level in levels]
    return kernels.Layers(
        np.concatenate([[0], ends]).astype(np.int64),
        *_joined([*headers, _header("label", LABEL_PROPERTIES)]),
    )


def _joined(messages: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return messages one after the other, and where each starts."""
    starts = np.concatenate([[0], np.cumsum([len(message) for message in messages])])
    return np.array(bytearray(b"".join(messages))), starts.astype(np.int64)


def _only(level: str, tile: bytes) -> bytes:
    """Return the layer of a level out of a tile: its first field is its name."""
    wanted, at = _framed(_NAME, level.encode()), 0
    while at < len(tile):
        size, shift, start = 0, 0, at + 1
        while True:
            size |= (tile[start] & 127) << shift
            start, shift = start + 1, shift + 7
            if tile[start - 1] < 128:
                break
        if tile.startswith(wanted, start):
            return tile[at : start + size]
        at = start + size
    return b""


def _short_names(edition: Edition, level: str) -> NDArray[np.object_]:
    """Names without the parent's in front, as a map has room for: 第三网格, 12号微网格."""
    table, above = edition.units[level], edition.units[parent_level(level)]
    rows = pd.Index(above["code"]).get_indexer(table["parent"]).tolist()
    names = [*above["name"].tolist(), ""]  # of no parent
    pairs = zip(table["name"].tolist(), rows, strict=True)
    return np.array([name.removeprefix(names[row]) or name for name, row in pairs], object)


def _header(name: str, keys: Sequence[str]) -> bytes:
    """Everything of a layer that does not depend on the tile."""
    numbers = bytes([_VERSION, 2, _EXTENT]) + _varint(clipping.EXTENT)
    return (
        _framed(_NAME, name.encode())
        + numbers
        + b"".join(_framed(_KEY, key.encode()) for key in keys)
    )


def _value(value: str | int) -> bytes:
    """Return a value as a message, framed as a field of its layer."""
    if isinstance(value, str):
        return _framed(_VALUE, _framed(_STRING, value.encode()))
    return _framed(_VALUE, bytes([_INTEGER]) + _varint(value & (2**64 - 1)))


def _framed(field: int, message: bytes) -> bytes:
    return bytes([field]) + _varint(len(message)) + message


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append((value & 127) | 128)
        value >>= 7
    return bytes([*out, value])
