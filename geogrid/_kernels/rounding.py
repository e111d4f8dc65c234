"""Rings of polygons rounded to the units of a zoom, as its tiles have them.

Vertices are rounded on one integer grid per zoom and nothing else, but that edges get the vertices
that `geogrid._kernels.snapping` found for them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.clipping import EXTENT, RUN, off_one_side

_NOWHERE = -(1 << 40)


class Snaps(NamedTuple):
    """Vertices that edges get at one zoom, in the order in which the rings run.

    Those of ring `k` are `rings[k]:rings[k + 1]`. Edge `edges[i]`, named by the vertex where it
    starts, gets `points[i]` (units of the zoom, not of a tile). A ring is `pinched` if it meets
    itself in a vertex.
    """

    rings: NDArray[np.int64]
    edges: NDArray[np.int32]
    points: NDArray[np.int32]
    pinched: NDArray[np.bool_]


class Polygons(NamedTuple):
    """Units of all levels, one level after the other.

    `world` are the vertices in web mercator, 0-1 eastward and southward; `runs` what
    `clipping.box_runs` gives of them. Ring `k` is `world[starts[k]:starts[k + 1]]`, closed, and a
    shell or a hole. Unit `i` has the rings `firsts[i]` to `firsts[i + 1]`, the box `boxes[i]` (west
    north east south) and the label `points[i]`. `snaps` are those of the zoom that is asked for.
    """

    world: NDArray[np.float64]
    runs: NDArray[np.float64]
    starts: NDArray[np.int64]
    shells: NDArray[np.bool_]
    firsts: NDArray[np.int64]
    boxes: NDArray[np.float64]
    points: NDArray[np.float64]
    snaps: Snaps


def no_snaps(n_rings: int) -> Snaps:
    """Return the snaps of a zoom at which edges stay as they are."""
    return Snaps(
        np.zeros(n_rings + 1, np.int64),
        np.empty(0, np.int32),
        np.empty((0, 2), np.int32),
        np.zeros(n_rings, np.bool_),
    )


@njit(cache=True, nogil=True)
def most_vertices(polygons: Polygons, row: int) -> int:
    """Return how many vertices the rings of a unit have, at most, at the zoom of the snaps."""
    first, last = polygons.firsts[row], polygons.firsts[row + 1]
    added = polygons.snaps.rings[last] - polygons.snaps.rings[first]
    return polygons.starts[last] - polygons.starts[first] + added


@njit(cache=True, nogil=True)
def quantise_ring(
    polygons: Polygons, ring: int, tile: tuple[int, int, int], frame: NDArray[np.float64],
    out: NDArray[np.int64],
) -> int:  # fmt: skip
    """Round a ring to tile units; return how many vertices are left.

    No vertex repeats the one before it, and the ring nowhere goes back the way it came.

    Parameters
    ----------
    tile : (int, int, int)
        Zoom, column and row.
    frame : (4,) float
        Runs off one side of it are drawn as one edge; clipping to it or less undoes that.
    out : (>= n, 2) int64
        Receives the vertices, the last one not repeated.
    """
    zoom, x, y = tile
    scale = float(EXTENT << zoom)
    west, north = x * EXTENT, y * EXTENT
    world, snaps = polygons.world, polygons.snaps
    k, end = polygons.starts[ring], polygons.starts[ring + 1] - 1
    snap, last = snaps.rings[ring], snaps.rings[ring + 1]
    following = snaps.edges[snap] if snap < last else end
    n = 0
    x1 = y1 = x2 = y2 = _NOWHERE  # the last vertex and the one before, as `push` needs them
    while k < end or following < k:
        if following < k:
            east, south = snaps.points[snap, 0] - west, snaps.points[snap, 1] - north
            snap += 1
            following = snaps.edges[snap] if snap < last else end
        else:
            east, south = rounded(world[k, 0], scale) - west, rounded(world[k, 1], scale) - north
            if k % RUN == 0 and k + RUN <= end and off_one_side(polygons.runs[k // RUN], frame):
                k += RUN - 1
                while following < k:
                    snap += 1
                    following = snaps.edges[snap] if snap < last else end
            else:
                k += 1
        if east == x1 and south == y1:
            continue
        if east == x2 and south == y2:
            n = push(out, n, east, south)
            x1, y1, x2, y2 = x2, y2, _NOWHERE, _NOWHERE
            if n > 1:
                x2, y2 = out[n - 2, 0], out[n - 2, 1]
            continue
        out[n, 0], out[n, 1] = east, south
        n += 1
        x1, y1, x2, y2 = east, south, x1, y1
    return close(out, n)


@njit(cache=True, nogil=True)
def rounded(place: float, scale: float) -> int:
    """Round a coordinate of the world to whole units; none is negative."""
    return int(place * scale + 0.5)


@njit(cache=True, nogil=True)
def push(out: NDArray[np.int64], n: int, x: int, y: int) -> int:
    """Add a vertex to a ring that does not repeat it, nor goes back the way it came."""
    if n > 0 and out[n - 1, 0] == x and out[n - 1, 1] == y:
        return n
    if n > 1 and out[n - 2, 0] == x and out[n - 2, 1] == y:
        return n - 1
    out[n, 0], out[n, 1] = x, y
    return n + 1


@njit(cache=True, nogil=True)
def close(out: NDArray[np.int64], n: int) -> int:
    """Do where a ring ends and starts what `push` does between."""
    start = 0
    while n - start > 1:
        if out[n - 1, 0] == out[start, 0] and out[n - 1, 1] == out[start, 1]:
            n -= 1
        elif out[n - 1, 0] == out[start + 1, 0] and out[n - 1, 1] == out[start + 1, 1]:
            start += 1
        elif out[n - 2, 0] == out[start, 0] and out[n - 2, 1] == out[start, 1]:
            n -= 1
        else:
            break
    if start:
        for k in range(n - start):
            out[k, 0], out[k, 1] = out[start + k, 0], out[start + k, 1]
    return n - start
