"""An edition: one division of a city, complete, proven and never changed.

The micro-grids of an edition are the faces of one planar topology; a grid, village, township,
county and the city are sets of them, and their polygons are the dissolve of their members. All
vertices lie on one integer grid of 1e-8 degree (about 1 mm) of CGCS2000 longitude and latitude, so
that neighbours share equal vertices and every decision is made on int64 without rounding.
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

import geogrid
from geogrid._kernels import rings as kernels
from geogrid.codes import LEVELS
from geogrid.errors import DataError, UnknownCodeError
from geogrid.schema import EXCHANGE_CRS, GRID_UNIT, UNIT_COLUMNS, as_unit_table

_STEPS = round(1 / GRID_UNIT)
_UID_NAMESPACE = uuid.UUID("6b1f6f0e-0c3a-5d57-9c55-9d1f5a0d6f11")


@dataclass(frozen=True, slots=True)
class Rings:
    """Polygons as integer rings.

    Attributes
    ----------
    xy : (v, 2) int64
        Vertices, east and north in steps of 1e-8 degree; each ring is closed, shells run
        counter-clockwise and holes clockwise.
    starts : (r + 1,) int64
        Ring `k` is `xy[starts[k]:starts[k + 1]]`.
    owners : (r,) int64
        Row of the polygon that ring `k` belongs to, ascending; each shell is followed by its
        holes.
    """

    xy: NDArray[np.int64]
    starts: NDArray[np.int64]
    owners: NDArray[np.int64]

    def half_edges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the directed edges `(e, 4)` x0 y0 x1 y1 and the row of each edge's polygon."""
        ends, owners = kernels.half_edges(self.xy, self.starts, self.owners)
        return ends, owners

    def shells(self) -> NDArray[np.bool_]:
        """Tell shells from holes, by the way they run."""
        shells: NDArray[np.bool_] = kernels.doubled_areas(self.xy, self.starts) > 0
        return shells


@dataclass(frozen=True, slots=True)
class EditionInfo:
    """What is known of an edition as a whole: one row of the table `edition`."""

    id: str
    parent_id: str
    city: str
    created: str
    working_crs: str
    imagery_source: str
    imagery_date: str
    weights: str
    seed: int
    parameters: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Edition:
    """One division of a city: a table of units for each level, `city` to `microgrid`.

    Build one with `Edition.of`; read one with `geogrid.open`. Tables are sorted by code, hold
    the columns of `schema.UNIT_COLUMNS` and a geometry `geom` in EPSG:4490, lon-lat order.
    """

    info: EditionInfo
    units: Mapping[str, gpd.GeoDataFrame]
    _rings: dict[str, Rings] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, info: EditionInfo, units: Mapping[str, gpd.GeoDataFrame]) -> "Edition":
        """Return the edition of these tables, with its digest.

        Raises
        ------
        DataError
            A level is missing, or a table lacks a column.
        """
        missing = [level for level in LEVELS if level not in units]
        if missing:
            raise DataError(f"an edition needs the layers {', '.join(LEVELS)}; missing {missing}")
        tables = {level: as_unit_table(units[level], level) for level in LEVELS}
        rings = {level: _rings_of(table) for level, table in tables.items()}
        signed = replace(info, digest=_digest(replace(info, digest=""), tables, rings))
        edition = cls(signed, MappingProxyType(tables))
        edition._rings.update(rings)
        return edition

    def __getitem__(self, level: str) -> gpd.GeoDataFrame:
        """Return a copy of the table of `level`."""
        if level not in self.units:
            raise UnknownCodeError(f"no level {level!r}; there are {', '.join(self.units)}")
        return self.units[level].copy()

    def counts(self) -> dict[str, int]:
        """Return the number of units by level."""
        return {level: len(table) for level, table in self.units.items()}

    def rings(self, level: str) -> Rings:
        """Return the polygons of `level` as integer rings, in the order of the table's rows.

        A unit of several parts (an exclave of a county) has the rings of one after the other.
        They are kept, as nearly all that reads an edition needs them, and cannot be written to.
        """
        if level not in self._rings:
            self._rings[level] = _rings_of(self.units[level])
        return self._rings[level]

    def _repr_html_(self) -> str:
        """Show the map in a notebook."""
        return geogrid.shown(self)


def integer_rings(polygons: NDArray[np.object_]) -> Rings:
    """Return `polygons` (degrees) as rings on the integer grid.

    Raises
    ------
    DataError
        A geometry is missing, empty or not a single polygon.
    """
    bad = np.flatnonzero((shapely.get_type_id(polygons) != 3) | shapely.is_empty(polygons))
    if len(bad):
        raise DataError(f"row {bad[0]} is not a single polygon; repair the layer first")
    # Rings are made of polygons with holes only: they cost as much as the rest together.
    n_rings = shapely.get_num_interior_rings(polygons) + 1
    pierced = n_rings > 1
    owners = np.repeat(np.arange(len(polygons)), n_rings)
    sizes = shapely.get_num_coordinates(polygons)[owners]
    sizes[pierced[owners]] = shapely.get_num_coordinates(shapely.get_rings(polygons[pierced]))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    degrees = shapely.get_coordinates(polygons)
    xy = degrees.view(np.int64)  # the same memory: pages of it cost more than the numbers
    kernels.to_steps(degrees, _STEPS, xy)
    kernels.orient(xy, starts, np.diff(owners, prepend=-1) > 0)
    return Rings(xy, starts, owners.astype(np.int64))


def parts_of(
    geometries: NDArray[np.object_],
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return polygons, and multipolygons part by part, with the row that each comes from."""
    if not (shapely.get_type_id(geometries) == shapely.GeometryType.MULTIPOLYGON).any():
        return geometries, np.arange(len(geometries))  # parts are copies, of polygons too
    parts, rows = shapely.get_parts(geometries, return_index=True)
    return parts, rows.astype(np.int64)


def to_integers(xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return degrees as steps of the integer grid, rounded half to even."""
    steps = xy * _STEPS
    return np.rint(steps, out=steps).astype(np.int64)


def to_degrees(xy: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return steps of the integer grid as the nearest degrees; `to_integers` undoes it exactly."""
    return xy / _STEPS


def to_world(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return degrees as web mercator, 0-1 eastward and southward.

    >>> to_world(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    lon, lat = xy.T
    south = 0.5 - np.arctanh(np.sin(np.radians(lat))) / (2 * np.pi)
    return np.column_stack([lon / 360 + 0.5, south])


def snap(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return geometries with every coordinate moved to the nearest point of the integer grid."""
    moved: NDArray[np.object_] = shapely.transform(
        geometries, lambda xy: to_degrees(to_integers(xy))
    )
    return moved


def to_metres(geometries: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    """Return geometries in degrees (EPSG:4490) moved to a metric CRS, east before north."""
    project = pyproj.Transformer.from_crs(EXCHANGE_CRS, crs, always_xy=True)
    moved: NDArray[np.object_] = shapely.transform(
        geometries, lambda xy: np.column_stack(project.transform(xy[:, 0], xy[:, 1]))
    )
    return moved


def uid_of(code: str) -> str:
    """Return the permanent id of the unit to which `code` is issued; codes are never reused."""
    return str(uuid.uuid5(_UID_NAMESPACE, code))


def _rings_of(table: gpd.GeoDataFrame) -> Rings:
    parts, row = parts_of(table.geometry.to_numpy())
    rings = integer_rings(parts)
    rings = replace(rings, owners=row[rings.owners])
    for array in (rings.xy, rings.starts, rings.owners):
        array.setflags(write=False)
    return rings


def _digest(
    info: EditionInfo, tables: Mapping[str, gpd.GeoDataFrame], rings: Mapping[str, Rings]
) -> str:
    """SHA-256 over the information, the attributes and the integer geometry of every level.

    Of texts, all lengths come first: what stands in one column cannot read as another's.
    """
    digest = hashlib.sha256(repr(sorted(asdict(info).items())).encode())
    for level, table in tables.items():
        for column, kind in UNIT_COLUMNS.items():
            digest.update(f"\n{level} {column}\n".encode())
            if kind == "text":
                texts = table[column].tolist()
                digest.update(np.array([len(text) for text in texts], np.int64).data)
                digest.update("".join(texts).encode())
            else:
                digest.update(np.ascontiguousarray(table[column]).data)
        for array in (rings[level].xy, rings[level].starts, rings[level].owners):
            digest.update(array.data)
    return digest.hexdigest()
