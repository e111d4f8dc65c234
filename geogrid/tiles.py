"""Vector tiles (Mapbox Vector Tile 2.1) of an edition, encoded from memory when they are asked for.

Each level is a layer from its own zoom on, and `label` holds a point a unit. Vertices are rounded
to the tile's units and nothing else: no simplification, no limit on features, so a tile has
neither gaps nor overlaps and never lacks a unit. An edition never changes, nor does its tile.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid._kernels import tiles as kernels
from geogrid._kernels.locate import index_boxes
from geogrid.codes import parent_level
from geogrid.edition import Edition, Rings, to_degrees
from geogrid.errors import UsageError

MIN_ZOOMS = MappingProxyType(
    {"county": 6, "township": 7, "village": 10, "grid": 10, "microgrid": 12}
)
"""First zoom of each level; the largest tile of 100,000 micro-grids is 260 kB, compressed."""

LABEL_MIN_ZOOMS = MappingProxyType(
    {"county": 6, "township": 8, "village": 11, "grid": 12, "microgrid": 14}
)
"""First zoom at which the name of a unit has room beside its neighbours' names."""

MAX_ZOOM = 15
"""A unit of the tile is 0.3 m here; viewers enlarge these tiles for the zooms beyond."""

PROPERTIES = ("code", "name", "households")
LABEL_PROPERTIES = ("level", "code", "name")

# A tile of this zoom touches some 250 micro-grids; 100,000 of them are scanned above it in 0.2 ms.
_INDEX_ZOOM = 12

# Fields of the messages Tile, Layer and Value: number and wire type (Mapbox Vector Tile 2.1, 4.1).
_LAYER, _NAME, _KEY, _VALUE, _EXTENT, _VERSION = 0x1A, 0x0A, 0x1A, 0x22, 0x28, 0x78
_STRING, _INTEGER = 0x0A, 0x20


class TileSet:
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
        self._layers = {level: _PolygonLayer.of(edition, level) for level in MIN_ZOOMS}
        self._labels = _LabelLayer.of(edition)

    def encode(self, z: int, x: int, y: int) -> bytes:
        """Return the tile, uncompressed; empty where no unit is.

        A unit whose polygon has no area at this zoom is left out; no other is.

        Raises
        ------
        UsageError
            There is no such tile.
        """
        require_tile(z, x, y)
        layers = [layer for level, layer in self._layers.items() if z >= MIN_ZOOMS[level]]
        return b"".join(
            [*(layer.encode(z, x, y) for layer in layers), self._labels.encode(z, x, y)]
        )


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


def to_world(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return degrees as web mercator, 0-1 eastward and southward.

    >>> to_world(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    lon, lat = xy.T
    south = 0.5 - np.arctanh(np.sin(np.radians(lat))) / (2 * np.pi)
    return np.column_stack([lon / 360 + 0.5, south])


@dataclass(frozen=True, slots=True)
class _Values:
    """Properties of all features of a layer: distinct values as messages, and who has which."""

    numbers: NDArray[np.int32]
    blob: NDArray[np.uint8]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, columns: Iterable[pd.Series]) -> "_Values":
        """Give numbers to the distinct values of each column."""
        numbers: list[NDArray[np.intp]] = []
        messages: list[bytes] = []
        for column in columns:
            codes, distinct = pd.factorize(column)
            numbers.append(codes + len(messages))
            messages += [_value(value) for value in distinct.tolist()]
        sizes = [len(message) for message in messages]
        return cls(
            np.ascontiguousarray(np.column_stack(numbers), np.int32),
            np.frombuffer(b"".join(messages), np.uint8),
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )


@dataclass(frozen=True, slots=True)
class _Index:
    """Boxes (west north east south), and which of them touch each tile of one zoom."""

    boxes: NDArray[np.float64]
    cells: NDArray[np.int64]
    items: NDArray[np.int32]
    origin: NDArray[np.int64]
    shape: NDArray[np.int64]

    @classmethod
    def of(cls, boxes: NDArray[np.float64]) -> "_Index":
        """Sort boxes, each with a margin for the tiles' buffer, into tiles."""
        margin = (kernels.BUFFER + 1) / kernels.EXTENT * np.array([-1, -1, 1, 1])
        spans = np.floor(boxes * (1 << _INDEX_ZOOM) + margin).astype(np.int64)
        origin = spans[:, :2].min(axis=0)
        shape = spans[:, 2:].max(axis=0) - origin + 1
        return cls(boxes, *index_boxes(spans, origin, 1, shape), origin, shape)

    def rows(self, z: int, x: int, y: int) -> NDArray[np.int64]:
        """Return the rows of the boxes that touch a tile and its buffer, ascending."""
        window = _window(z, x, y)
        if z < _INDEX_ZOOM:
            return kernels.touching(self.boxes, window)
        column, row = np.array([x, y]) // (1 << z - _INDEX_ZOOM) - self.origin
        if not (0 <= column < self.shape[0] and 0 <= row < self.shape[1]):
            return np.empty(0, np.int64)
        cell = row * self.shape[0] + column
        near = self.items[self.cells[cell] : self.cells[cell + 1]]
        return near[kernels.touching(self.boxes[near], window)].astype(np.int64)


@dataclass(frozen=True, slots=True)
class _PolygonLayer:
    """One level in a form that the kernels read."""

    header: bytes
    world: NDArray[np.float64]
    starts: NDArray[np.int64]
    firsts: NDArray[np.int64]
    index: _Index
    values: _Values

    @classmethod
    def of(cls, edition: Edition, level: str) -> "_PolygonLayer":
        """Project a level and prepare its properties."""
        table, rings = edition.units[level], edition.rings(level)
        world = to_world(to_degrees(rings.xy))
        firsts = np.searchsorted(rings.owners, np.arange(len(table) + 1)).astype(np.int64)
        values = _Values.of(table[name] for name in PROPERTIES)
        index = _Index.of(_boxes(rings, world, firsts))
        return cls(_header(level, PROPERTIES), world, rings.starts, firsts, index, values)

    def encode(self, z: int, x: int, y: int) -> bytes:
        """Return this layer of a tile, or nothing."""
        rows = self.index.rows(z, x, y)
        if not len(rows):
            return b""
        body = kernels.encode_polygons(
            self.world, self.starts, self.firsts, rows,
            self.values.numbers, self.values.blob, self.values.starts, z, x, y,
        )  # fmt: skip
        return _layer(self.header, body)


@dataclass(frozen=True, slots=True)
class _LabelLayer:
    """A point inside every unit, in the order of the levels; `until[z]` of them show at zoom z."""

    header: bytes
    world: NDArray[np.float64]
    index: _Index
    until: NDArray[np.int64]
    values: _Values

    @classmethod
    def of(cls, edition: Edition) -> "_LabelLayer":
        """Place the points."""
        tables = [
            edition.units[level].assign(level=level, name=_short_names(edition, level))
            for level in LABEL_MIN_ZOOMS
        ]
        polygons = np.concatenate([table.geometry.to_numpy() for table in tables])
        points = to_world(shapely.get_coordinates(shapely.point_on_surface(polygons)))
        columns = (pd.concat([table[name] for table in tables]) for name in LABEL_PROPERTIES)
        first_zooms = np.repeat(list(LABEL_MIN_ZOOMS.values()), [len(table) for table in tables])
        until = np.searchsorted(first_zooms, np.arange(MAX_ZOOM + 1), side="right")
        index = _Index.of(np.hstack([points, points]))
        return cls(_header("label", LABEL_PROPERTIES), points, index, until, _Values.of(columns))

    def encode(self, z: int, x: int, y: int) -> bytes:
        """Return the labels of a tile, or nothing."""
        rows = self.index.rows(z, x, y)
        rows = rows[: np.searchsorted(rows, self.until[z])]
        if not len(rows):
            return b""
        body = kernels.encode_points(
            self.world, rows, self.values.numbers, self.values.blob, self.values.starts, z, x, y
        )
        return _layer(self.header, body)


def _short_names(edition: Edition, level: str) -> list[str]:
    """Names without the parent's in front, as a map has room for: 第三网格, 12号微网格."""
    table, above = edition.units[level], edition.units[parent_level(level)]
    parents = table["parent"].map(above.set_index("code")["name"]).fillna("")
    pairs = zip(table["name"], parents, strict=True)
    return [name.removeprefix(parent) or name for name, parent in pairs]


def _boxes(
    rings: Rings, world: NDArray[np.float64], firsts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """West, north, east and south of each polygon."""
    vertices = rings.starts[firsts[:-1]]
    return np.hstack([np.minimum.reduceat(world, vertices), np.maximum.reduceat(world, vertices)])


def _window(z: int, x: int, y: int) -> NDArray[np.float64]:
    """West, north, east and south of a tile and its buffer, and half a unit more for rounding."""
    margin = (kernels.BUFFER + 1) / kernels.EXTENT
    return np.array([x - margin, y - margin, x + 1 + margin, y + 1 + margin]) / (1 << z)


def _layer(header: bytes, body: NDArray[np.uint8]) -> bytes:
    if not len(body):
        return b""
    return _framed(_LAYER, header + body.tobytes())


def _header(name: str, keys: Sequence[str]) -> bytes:
    """Everything of a layer that does not depend on the tile."""
    numbers = bytes([_VERSION, 2, _EXTENT]) + _varint(kernels.EXTENT)
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
