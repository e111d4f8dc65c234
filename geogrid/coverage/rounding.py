"""Vertices of a file that rounding to the integer grid makes one.

As long as vertices that differ stay apart, rounding leaves every half-edge the twin it had, and
none that it had not: what was a fault is one still. So a fault can only vanish where vertices of
the file become one, and those places are told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import is_polygonal
from geogrid.coverage.findings import Extent, Finding, finding
from geogrid.coverage.layers import Layer
from geogrid.edition import to_degrees, to_integers

_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Rounded:
    """Polygons as they were given, and the same on the integer grid."""

    given: gpd.GeoDataFrame
    shapes: NDArray[np.object_]

    def vertices(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return the vertices as given, in degrees on the grid, and the row of each."""
        usable = np.flatnonzero(is_polygonal(self.shapes))
        given = shapely.get_coordinates(self.given.geometry.to_numpy()[usable])
        degrees, row = shapely.get_coordinates(self.shapes[usable], return_index=True)
        return given, degrees, usable[row]


def rounding_findings(
    layer: Layer, frame: gpd.GeoDataFrame, beside: Sequence[Rounded]
) -> Iterator[Finding]:
    """Report, as one note, where vertices of a level become one with others that differ.

    `beside` are the level above and the container; in another reference system than `frame` their
    vertices are others anyway, and are left out.
    """
    own = Rounded(frame, layer.shapes)
    parts = [each.vertices() for each in (own, *beside) if each.given.crs == frame.crs]
    given = np.vstack([part[0] for part in parts])
    degrees = np.vstack([part[1] for part in parts])
    if np.array_equal(given, degrees):
        return
    row = np.full(len(given), -1)
    row[: len(parts[0][2])] = parts[0][2]
    steps = to_integers(degrees)
    order = np.lexsort(steps.T)
    given, steps, row = given[order], steps[order], row[order]
    first = np.concatenate([[True], (steps[1:] != steps[:-1]).any(axis=1)])
    starts = np.flatnonzero(first)
    low, high = np.minimum.reduceat(given, starts), np.maximum.reduceat(given, starts)
    together = (low != high).any(axis=1) & (np.maximum.reduceat(row, starts) >= 0)
    if not together.any():
        return
    apart = _metres(high[together] - low[together], steps[starts[together]], frame)
    places = to_degrees(steps[starts[together]])
    owners = np.unique(row[together[np.cumsum(first) - 1]])
    lon, lat = places[apart.argmax()].tolist()
    n, most = len(places), f"{apart.max() * 1000:.2g}"
    yield finding(
        "rounded_together", layer.level, sorted(str(layer.codes[k]) for k in owners if k >= 0),
        detail=(f"{n:,} place{'s' if n > 1 else ''}, up to {most} mm apart, taken for one vertex",
                f"{n:,} 处，相距不超过 {most} 毫米，视为同一节点"),
        point=(lon, lat), extent=Extent(shapely.multipoints(places)),
    )  # fmt: skip


def _metres(
    apart: NDArray[np.float64], steps: NDArray[np.int64], frame: gpd.GeoDataFrame
) -> NDArray[np.float64]:
    """Return distances given in the units of the frame's system as metres."""
    if frame.crs.is_geographic:
        cosine = np.cos(np.radians(to_degrees(steps[:, 1])))
        scale = np.column_stack([cosine, np.ones(len(cosine))]) * _METRES_PER_DEGREE
    else:
        scale = np.full((len(apart), 2), frame.crs.axis_info[0].unit_conversion_factor)
    length: NDArray[np.float64] = np.hypot(*(apart * scale).T)
    return length
