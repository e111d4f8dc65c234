"""Half-edges of polygons, their twins, and what is left over.

Everything here is integer: two vertices are equal or they are not.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geogrid._kernels.edges import pair
from geogrid.edition import integer_rings, parts_of, snap, to_degrees
from geogrid.errors import CoordinateError
from geogrid.schema import EXCHANGE_CRS, require_crs

NOWHERE = 1_000.0
"""Degrees: coordinates beyond are in no system."""

OUTLINE = -1
"""Owner of the half-edges of a container's outline."""

_POLYGONAL = (3, 6)  # GEOS type ids of Polygon and MultiPolygon
_POLE = 90.0  # degrees
# Degrees beyond the area that a projection is for. A municipality may reach into the next zone.
_ASTRAY = 6.0
_UNSHIFTED_DATUMS = ("Xian 1980", "Beijing 1954", "New Beijing")


@dataclass(frozen=True, slots=True)
class HalfEdges:
    """Directed edges of polygons.

    Attributes
    ----------
    ends : (e, 4) int64
        x0 y0 x1 y1 in steps of the integer grid; the polygon lies on the left.
    owners : (e,) int64
        Row of the polygon, or `OUTLINE`.
    """

    ends: NDArray[np.int64]
    owners: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "HalfEdges":
        """Return some of the half-edges."""
        return HalfEdges(self.ends[rows], self.owners[rows])

    def __len__(self) -> int:
        """Return the number of half-edges."""
        return len(self.ends)

    def reversed(self, owner: int = OUTLINE) -> "HalfEdges":
        """Return the edges the other way round, all of one owner."""
        return HalfEdges(self.ends[:, [2, 3, 0, 1]], np.full(len(self), owner, np.int64))

    def joined(self, other: "HalfEdges") -> "HalfEdges":
        """Return these half-edges and then the other ones."""
        return HalfEdges(
            np.vstack([self.ends, other.ends]), np.concatenate([self.owners, other.owners])
        )


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which half-edge is whose twin.

    Attributes
    ----------
    twin : (e,) int64
        Row of the twin, -1 for none.
    first : (e,) int64
        Row of the first equal half-edge (same ends, same direction), -1 if there is none before.
    """

    twin: NDArray[np.int64]
    first: NDArray[np.int64]

    @property
    def unmatched(self) -> NDArray[np.bool_]:
        """Half-edges without a twin."""
        return self.twin < 0


def half_edges(geometries: NDArray[np.object_]) -> HalfEdges:
    """Return the half-edges of polygons and multipolygons (degrees); other rows have none."""
    usable = np.flatnonzero(is_polygonal(geometries))
    parts, index = parts_of(geometries[usable])
    whole = ~shapely.is_empty(parts)
    ends, owners = integer_rings(parts[whole]).half_edges()
    edges = HalfEdges(ends, usable[index[whole]][owners])
    long = (ends[:, 0] != ends[:, 2]) | (ends[:, 1] != ends[:, 3])
    return edges if long.all() else edges[long]


def match(edges: HalfEdges, labels: NDArray[np.int64] | None = None) -> Pairing:
    """Pair every half-edge with its twin among the half-edges of equal label."""
    if labels is None:
        labels = np.zeros(len(edges), np.int64)
    return Pairing(*pair(np.ascontiguousarray(edges.ends), labels))


def outline(edges: HalfEdges) -> HalfEdges:
    """Return the half-edges that no twin takes away, such as the outline of a coverage."""
    return edges[match(edges).unmatched]


def _require_plausible(frame: gpd.GeoDataFrame, what: str) -> None:
    """Refuse coordinates that cannot be in the system that the frame says."""
    bounds = shapely.bounds(frame.geometry.to_numpy())
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    if not len(bounds):
        return
    x, y = np.median((bounds[:, :2] + bounds[:, 2:]) / 2, axis=0).tolist()
    if frame.crs.is_geographic:
        if abs(y) > _POLE and abs(x) <= _POLE:
            raise CoordinateError(
                f"{what}: coordinates like {x:.5f}, {y:.5f} have latitude before longitude. Swap "
                "the axes (longitude first) and try again."
            )
        if abs(x) > 2 * _POLE or abs(y) > _POLE:
            raise CoordinateError(
                f"{what} says {frame.crs.name}, but coordinates like {x:.1f}, {y:.1f} are not "
                "degrees. Assign the system that it was made in (such as EPSG:4547)."
            )
        return
    if (abs(bounds[:, ::2]) <= 2 * _POLE).all() and (abs(bounds[:, 1::2]) <= _POLE).all():
        raise CoordinateError(
            f"{what} says {frame.crs.name}, but coordinates like {x:.5f}, {y:.5f} are degrees. "
            "Assign the system that it was made in (such as EPSG:4490)."
        )
    area = frame.crs.area_of_use
    if area is None:
        return
    lon, lat = pyproj.Transformer.from_crs(frame.crs, EXCHANGE_CRS, always_xy=True).transform(x, y)
    middle, reach = (area.west + area.east) / 2, (area.east - area.west) / 2 + _ASTRAY
    if not (abs(lon - middle) <= reach and area.south - _ASTRAY <= lat <= area.north + _ASTRAY):
        raise CoordinateError(
            f"{what} says {frame.crs.name}, but coordinates like {x:.1f}, {y:.1f} lie far outside "
            "it. Is it another zone, with the zone's number before the easting, or in degrees?"
        )


def edge_metres(ends: NDArray[np.int64], crs: str) -> NDArray[np.float64]:
    """Return the lengths of edges `(e, 4)` between their projected ends, metres in `crs`."""
    project = pyproj.Transformer.from_crs(EXCHANGE_CRS, crs, always_xy=True)
    degrees = to_degrees(ends)
    x, y = project.transform(degrees[:, [0, 2]], degrees[:, [1, 3]])
    length: NDArray[np.float64] = np.hypot(x[:, 1] - x[:, 0], y[:, 1] - y[:, 0])
    return length


def metres_per_step(edges: HalfEdges, crs: str) -> NDArray[np.float64]:
    """Return how many metres a step to the east and one to the north are at each edge `(e, 2)`.

    Good to a thousandth: measured in the middle of the edges and taken over their latitudes.
    """
    middle = to_degrees(edges.ends[:, :2].mean(axis=0).round().astype(np.int64))
    step = np.array([[0, 0], [100_000, 0], [0, 100_000]]) / 1e8
    project = pyproj.Transformer.from_crs(EXCHANGE_CRS, crs, always_xy=True)
    x, y = project.transform(*(middle + step).T)
    east, north = np.hypot(x[1:] - x[0], y[1:] - y[0]) / 100_000
    cosine = np.cos(np.radians(to_degrees(edges.ends[:, 1])))
    return np.column_stack(
        [east * cosine / np.cos(np.radians(middle[1])), np.full(len(edges), north)]
    )


def is_polygonal(geometries: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which rows are polygons or multipolygons (degrees) with coordinates that can be."""
    polygonal = np.isin(shapely.get_type_id(geometries), _POLYGONAL)
    usable: NDArray[np.bool_] = polygonal & _somewhere(geometries)
    return usable


def _somewhere(geometries: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which rows have finite coordinates in degrees; empty ones have none."""
    there: NDArray[np.bool_] = (np.abs(shapely.bounds(geometries)) < NOWHERE).all(axis=1)
    return there


def on_integer_grid(frame: gpd.GeoDataFrame, what: str) -> NDArray[np.object_]:
    """Return the geometries of `frame` in EPSG:4490, two-dimensional, on the integer grid.

    Raises
    ------
    DataError
        The frame does not say its reference system.
    CoordinateError
        The reference system is on a datum that cannot be converted to CGCS2000 without local
        parameters: PROJ would apply no shift at all and say nothing.
    """
    require_crs(frame, what)
    if any(name in str(frame.crs.geodetic_crs) for name in _UNSHIFTED_DATUMS):
        raise CoordinateError(
            f"{what} is in {frame.crs.name}, which cannot be converted to CGCS2000 without the "
            "parameters kept by the surveying office. Have it converted there first."
        )
    _require_plausible(frame, what)
    same = frame.crs.to_epsg() == int(EXCHANGE_CRS.split(":")[1])
    shapes = frame.geometry if same else frame.geometry.to_crs(EXCHANGE_CRS)
    flat: NDArray[np.object_] = shapely.force_2d(shapes.to_numpy())
    there = _somewhere(flat)
    flat[there] = snap(flat[there])
    return flat
