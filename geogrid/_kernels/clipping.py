"""Rings of a vector tile, of whole units, clipped to the tile and its buffer.

An edge is cut at the same point whichever way it runs, so polygons that share a border on the
ground share it in the tile. Rings arrive with the inside on their left, north up; in the tile y
runs down.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels import lean

EXTENT, BUFFER = 4096, 64
"""Units across a tile, and how far beyond its sides geometry is kept."""

LOW, HIGH = -BUFFER, EXTENT + BUFFER
"""Sides of the window in units of the tile: what is kept of it."""

RUN = 32
"""Vertices whose common box is known: a run off one side of the tile is passed over at once."""

CUTS = 6
"""Times as many vertices as a ring may have after four cuts, each leaving at most 1.5 n."""


class Rings(NamedTuple):
    """Rings one after the other, not closed: ring `k` is `xy[ends[k - 1]:ends[k]]`."""

    xy: NDArray[np.int32]
    ends: NDArray[np.int64]
    shells: NDArray[np.bool_]


@njit(cache=True, nogil=True)
def box_runs(xy: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return west, north, east and south of each `RUN` vertices."""
    boxes = np.empty((len(xy) // RUN, 4), np.int32)
    for run in range(len(boxes)):
        for axis in range(2):
            part = xy[run * RUN : (run + 1) * RUN, axis]
            boxes[run, axis], boxes[run, axis + 2] = part.min(), part.max()
    return boxes


@lean
def window(x: int, y: int) -> tuple[int, int, int, int]:
    """Return west, north, east and south of a tile and its buffer, in units of its zoom."""
    west, north = x * EXTENT, y * EXTENT
    return west + LOW, north + LOW, west + HIGH, north + HIGH


@lean
def off_one_side(boxes: NDArray[np.int32], k: int, frame: tuple[int, int, int, int]) -> bool:
    """Tell whether box `k` lies beyond one side of a window."""
    west, north, east, south = frame
    return boxes[k, 2] < west or boxes[k, 0] > east or boxes[k, 3] < north or boxes[k, 1] > south


@lean
def signed_area2(xy: NDArray[np.int32], n: int) -> int:
    """Return twice the area of a ring; positive if clockwise on the screen (y runs down)."""
    area = 0
    j = n - 1
    for k in range(n):
        area += xy[j, 0] * xy[k, 1] - xy[k, 0] * xy[j, 1]
        j = k
    return area


@lean
def clip_ring(xy: NDArray[np.int32], n: int, spare: NDArray[np.int32]) -> tuple[int, int]:
    """Clip a ring to the tile and its buffer, in place (Sutherland-Hodgman).

    `xy` and `spare` have room for `CUTS` times n vertices. Consecutive vertices differ in the
    result; parts of a bent ring stay connected along the edge of the buffer.

    Returns
    -------
    int
        Number of vertices that are left.
    int
        How often the ring crosses one side, at most: crossed twice or less, what is left is simple.
    """
    west = east = xy[0, 0]
    north = south = xy[0, 1]
    for k in range(1, n):
        west, east = min(west, xy[k, 0]), max(east, xy[k, 0])
        north, south = min(north, xy[k, 1]), max(south, xy[k, 1])
    crossings = 0
    for axis, side, beyond in (
        (0, 1, west < LOW), (0, -1, east > HIGH), (1, 1, north < LOW), (1, -1, south > HIGH)
    ):  # fmt: skip
        if beyond:
            n, crossed = _cut(xy, n, spare, axis, side)
            _copy(xy, 0, spare, 0, n)
            crossings = max(crossings, crossed)
    return without_repeats(xy, n), crossings


@lean
def turn_round(xy: NDArray[np.int32], n: int) -> None:
    """Let a ring run the other way, from the same vertex."""
    for k in range(1, (n + 1) // 2):
        for axis in range(2):
            xy[k, axis], xy[n - k, axis] = xy[n - k, axis], xy[k, axis]


@lean
def append_ring(
    rings: Rings, n_rings: int, xy: NDArray[np.int32], start: int, end: int, shell: bool
) -> int:
    """Add a ring behind `n_rings` others; return how many there are then."""
    at = rings.ends[n_rings - 1] if n_rings else 0
    _copy(rings.xy, at, xy, start, end)
    rings.ends[n_rings] = at + end - start
    rings.shells[n_rings] = shell
    return n_rings + 1


@lean
def append_loops(
    rings: Rings, n_rings: int, xy: NDArray[np.int32], loop: NDArray[np.int32],
    spare: NDArray[np.int32],
) -> int:  # fmt: skip
    """Take a ring that meets itself apart, clip its loops and add them as `append_ring` does.

    `xy` is used up; `loop` and `spare` have room for `CUTS` times its vertices.
    """
    m = 0
    for k in range(len(xy) + 1):
        start = 0
        if k < len(xy):
            start = m - 1
            while start >= 0 and (xy[start, 0] != xy[k, 0] or xy[start, 1] != xy[k, 1]):
                start -= 1
        if start >= 0:
            _copy(loop, 0, xy, start, m)
            n, _ = clip_ring(loop, m - start, spare)
            area = signed_area2(loop, n)
            if area != 0:
                n_rings = append_ring(rings, n_rings, loop, 0, n, area < 0)
            m = start
        if k < len(xy):
            xy[m, 0], xy[m, 1] = xy[k, 0], xy[k, 1]
            m += 1
    return n_rings


@lean
def _copy(out: NDArray[np.int32], at: int, source: NDArray[np.int32], start: int, end: int) -> None:
    """Copy vertices; to assign a slice would take seconds to compile, and longer to run."""
    room, part = out[at : at + end - start], source[start:end]
    for k in range(len(room)):
        room[k, 0], room[k, 1] = part[k, 0], part[k, 1]


@lean
def _cut(
    xy: NDArray[np.int32], n: int, out: NDArray[np.int32], axis: int, side: int
) -> tuple[int, int]:
    """Keep what lies within the low (1) or high (-1) side of an axis; count the crossings."""
    limit, other = LOW if side > 0 else HIGH, 1 - axis
    m = crossings = 0
    p = n - 1
    within = side * (xy[p, axis] - limit) >= 0
    for q in range(n):
        was_within, within = within, side * (xy[q, axis] - limit) >= 0
        if within != was_within:
            # Neighbours walk the edge in opposite directions.
            low, high = (p, q) if xy[p, axis] <= xy[q, axis] else (q, p)
            run = xy[high, axis] - xy[low, axis]
            rise = (limit - xy[low, axis]) * (xy[high, other] - xy[low, other])
            out[m, axis] = limit
            out[m, other] = xy[low, other] + (2 * rise + run) // (2 * run)
            m += 1
            crossings += 1
        if within:
            out[m, 0], out[m, 1] = xy[q, 0], xy[q, 1]
            m += 1
        p = q
    return m, crossings


@lean
def without_repeats(xy: NDArray[np.int32], n: int) -> int:
    """Take repeated vertices out of a ring; return how many are left."""
    m = 0
    for k in range(n):
        if m == 0 or xy[k, 0] != xy[m - 1, 0] or xy[k, 1] != xy[m - 1, 1]:
            xy[m, 0], xy[m, 1] = xy[k, 0], xy[k, 1]
            m += 1
    while m > 1 and xy[m - 1, 0] == xy[0, 0] and xy[m - 1, 1] == xy[0, 1]:
        m -= 1
    return m
