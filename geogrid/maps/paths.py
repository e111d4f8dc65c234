"""Polygons and lines as few compound paths that matplotlib draws fast.

100,000 patches take a minute; the same rings in a few hundred paths of one colour take a second.
Vertices closer together than a fraction of a pixel are one: neighbours share vertices, so they go
on sharing them.
"""

import numpy as np
import shapely
from matplotlib.path import Path
from numpy.typing import NDArray

_CHUNK = 300
"""Rings or lines a path: Agg sorts all the cells that a path touches."""


def filled(polygons: NDArray[np.object_], step: float) -> list[Path]:
    """Return the rings of polygons as closed paths, with vertices on multiples of `step`."""
    rings, owner = shapely.get_rings(shapely.get_parts(polygons), return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    kept = _thinned(np.rint(xy / step), ring)
    xy, ring = xy[kept], ring[kept]
    sizes = np.bincount(ring, minlength=len(rings))
    wide = sizes >= 4
    kept = wide[ring]
    codes = _codes(ring[kept])
    last = np.append(ring[kept][1:] != ring[kept][:-1], True)[: kept.sum()]
    codes[last] = Path.CLOSEPOLY
    # A hole stays with its shell: chunks end where a polygon does.
    return _chunks(np.rint(xy[kept] / step) * step, codes, owner[ring[kept]])


def stroked(xy: NDArray[np.float64], line: NDArray[np.int64], step: float) -> list[Path]:
    """Return lines as open paths; `line` is the number of each vertex's line, ascending."""
    kept = _thinned(np.rint(xy / step), line)
    return _chunks(np.rint(xy[kept] / step) * step, _codes(line[kept]), line[kept])


def _thinned(steps: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the vertices that differ from the one before, and both ends of each group."""
    if not len(steps):
        return np.zeros(0, bool)
    new = np.ones(len(steps), bool)
    new[1:] = group[1:] != group[:-1]
    last = np.append(new[1:], True)
    moved = np.ones(len(steps), bool)
    moved[1:] = (steps[1:] != steps[:-1]).any(axis=1)
    thinned: NDArray[np.bool_] = new | last | moved
    return thinned


def _codes(group: NDArray[np.int64]) -> NDArray[np.uint8]:
    codes = np.full(len(group), Path.LINETO, np.uint8)
    codes[np.flatnonzero(np.diff(group, prepend=-1))] = Path.MOVETO
    return codes


def _chunks(
    xy: NDArray[np.float64], codes: NDArray[np.uint8], group: NDArray[np.int64]
) -> list[Path]:
    """Cut vertices into paths of about `_CHUNK` whole groups."""
    if not len(xy):
        return []
    starts = np.flatnonzero(np.diff(group, prepend=-1))[::_CHUNK]
    pieces = zip(np.split(xy, starts[1:]), np.split(codes, starts[1:]), strict=True)
    return [Path(vertices, kinds) for vertices, kinds in pieces]
