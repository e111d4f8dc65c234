"""Given lines: roads, rivers, railways, canals, and where the ones that divide can be crossed.

All given lines are the highest barriers: borders follow them. A river, a railway or an expressway
*divides* as well: no zone reaches across it, except where another road crosses it, on a bridge.
"""

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid import store
from geogrid.errors import DataError
from geogrid.schema import require_crs

_KIND_NAMES = ("kind", "class", "fclass", "type", "highway", "railway", "waterway", "类别", "类型")
_DIVIDING = ("river", "rail", "expressway", "motorway", "河", "铁路", "高速")
# A link leads onto an expressway and a disused railway is a path: they divide nothing.
_NOT_DIVIDING = ("link", "disused", "abandoned", "riverbank", "trail")


@dataclass(frozen=True, slots=True)
class GivenLines:
    """Lines in metres of the working CRS.

    Attributes
    ----------
    shapes : (n,) line strings
    dividing : (n,) bool
        The line is a river, a railway or an expressway.
    crossings : (k, 2) float64
        East and north of the places where another line crosses a dividing one.
    """

    shapes: NDArray[np.object_]
    dividing: NDArray[np.bool_]
    crossings: NDArray[np.float64]

    @classmethod
    def none(cls) -> "GivenLines":
        """Return no lines."""
        return cls(np.empty(0, object), np.empty(0, bool), np.empty((0, 2)))

    def near(self, box: shapely.Polygon) -> "GivenLines":
        """Return the lines and the crossings that a box touches, in their order."""
        rows = np.sort(shapely.STRtree(self.shapes).query(box, predicate="intersects"))
        west, south, east, north = box.bounds
        x, y = self.crossings.T
        inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
        return GivenLines(self.shapes[rows], self.dividing[rows], self.crossings[inside])


def read_lines(path: Path | None, crs: str) -> GivenLines:
    """Read given lines.

    A line divides if a column `kind` (or class, fclass, type, highway, railway, waterway, 类别)
    names a river, a railway or an expressway.

    Raises
    ------
    DataError
        There are no lines, or no reference system.
    """
    if path is None:
        return GivenLines.none()
    frame = store.read_vector(path)
    require_crs(frame, str(path))
    metric = frame.geometry.to_crs(crs).to_numpy()
    parts, owner = shapely.get_parts(metric, return_index=True)
    linear = shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING
    lines, owner = parts[linear], owner[linear]
    if not len(lines):
        raise DataError(f"{path} holds no lines. Give roads, rivers or railways as line strings.")
    dividing = _dividing(frame)[owner]
    return GivenLines(lines, dividing, _crossings(lines, dividing))


def _dividing(frame: gpd.GeoDataFrame) -> NDArray[np.bool_]:
    found = np.zeros(len(frame), bool)
    for name in _KIND_NAMES:
        if name in frame.columns:
            kind = frame[name].astype("string").fillna("").str.lower()
            named = kind.str.contains("|".join(_DIVIDING)).to_numpy(bool)
            found |= named & ~kind.str.contains("|".join(_NOT_DIVIDING)).to_numpy(bool)
    return found


def _crossings(lines: NDArray[np.object_], dividing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return where other lines meet the dividing ones."""
    walls, others = lines[dividing], lines[~dividing]
    if not len(walls) or not len(others):
        return np.empty((0, 2))
    one, other = shapely.STRtree(others).query(walls, predicate="crosses")
    met = shapely.intersection(walls[one], others[other])
    points: NDArray[np.float64] = shapely.get_coordinates(shapely.centroid(shapely.get_parts(met)))
    return np.unique(points, axis=0)
