"""Polygons rounded to the units of a zoom, as its tiles have them.

Vertices are rounded on one integer grid per zoom and nothing else, but that edges get the vertices
that `geogrid._kernels.snapping` found for them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.clipping import signed_area2


class Snaps(NamedTuple):
    """Vertices that edges get at one zoom, in the order in which the rings run.

    Edge `edges[i]`, named by the vertex where it starts, gets `points[i]`, in units of the zoom.
    """

    edges: NDArray[np.int32]
    points: NDArray[np.int32]


NO_SNAPS = Snaps(np.empty(0, np.int32), np.empty((0, 2), np.int32))


class Rounded(NamedTuple):
    """Rings of units at one zoom, those without area left out.

    Ring `k` is `xy[starts[k]:starts[k + 1]]`, in units of the zoom east and south, not closed; a
    shell, whose area is negative, or a hole. Unit `i` has the rings `firsts[i]` to `firsts[i + 1]`,
    each shell before its holes. No vertex repeats the one before it, and no ring goes back the way
    it came.
    """

    xy: NDArray[np.int32]
    starts: NDArray[np.int64]
    shells: NDArray[np.bool_]
    firsts: NDArray[np.int64]


@njit(cache=True, nogil=True)
def round_rings(
    world: NDArray[np.float64], starts: NDArray[np.int64], shells: NDArray[np.bool_],
    firsts: NDArray[np.int64], snaps: Snaps, scale: float,
) -> Rounded:  # fmt: skip
    """Round units to a zoom of `scale` units across the world.

    Parameters
    ----------
    world : (v, 2) float
        Vertices in web mercator, 0-1 eastward and southward. Ring `k` is
        `world[starts[k]:starts[k + 1]]`, closed.
    firsts : (u + 1,) int64
        Of the units that are wanted, the first rings.
    """
    n_rings, n_vertices = firsts[-1], starts[firsts[-1]]
    snap, n_snaps = 0, int(np.searchsorted(snaps.edges, n_vertices))
    most = 0
    for ring in range(n_rings):
        most = max(most, starts[ring + 1] - starts[ring])
    buffer = np.empty((most + n_snaps, 2), np.int64)
    xy, used = np.empty((n_vertices + n_snaps, 2), np.int32), 0
    kept_starts, kept_shells = np.zeros(n_rings + 1, np.int64), np.empty(n_rings, np.bool_)
    kept_firsts, kept = np.zeros(len(firsts), np.int64), 0
    for unit in range(len(firsts) - 1):
        drawn = True
        for ring in range(firsts[unit], firsts[unit + 1]):
            n = 0
            for k in range(starts[ring], starts[ring + 1] - 1):
                n = push(buffer, n, rounded(world[k, 0], scale), rounded(world[k, 1], scale))
                while snap < n_snaps and snaps.edges[snap] == k:
                    n = push(buffer, n, snaps.points[snap, 0], snaps.points[snap, 1])
                    snap += 1
            n = close(buffer, n)
            area = signed_area2(buffer, n)
            if shells[ring]:
                drawn = area != 0
            if area == 0 or not drawn:
                continue
            forward = (area < 0) == shells[ring]  # thin rings may turn over
            for k in range(n):
                vertex = k if forward else n - 1 - k
                xy[used + k, 0], xy[used + k, 1] = buffer[vertex, 0], buffer[vertex, 1]
            used += n
            kept_shells[kept] = shells[ring]
            kept += 1
            kept_starts[kept] = used
        kept_firsts[unit + 1] = kept
    return Rounded(
        xy[:used].copy(), kept_starts[: kept + 1].copy(), kept_shells[:kept].copy(), kept_firsts
    )


@njit(cache=True, nogil=True)
def pinched_rings(xy: NDArray[np.int32], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which rings of `Rounded` meet themselves in a vertex."""
    most = 0
    for ring in range(len(starts) - 1):
        most = max(most, starts[ring + 1] - starts[ring])
    size = 2
    while size < 2 * most:
        size *= 2
    slots, stamps = np.empty((size, 2), np.int32), np.full(size, -1, np.int32)
    pinched = np.zeros(len(starts) - 1, np.bool_)
    for ring in range(len(starts) - 1):
        mask = 1
        while mask < 2 * (starts[ring + 1] - starts[ring]):
            mask *= 2
        mask -= 1
        for k in range(starts[ring], starts[ring + 1]):
            x, y = xy[k, 0], xy[k, 1]
            slot = (x * 73856093 ^ y * 19349663) & mask
            while stamps[slot] == ring and not (slots[slot, 0] == x and slots[slot, 1] == y):
                slot = slot + 1 & mask
            if stamps[slot] == ring:
                pinched[ring] = True
                break
            stamps[slot], slots[slot, 0], slots[slot, 1] = ring, x, y
    return pinched


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
