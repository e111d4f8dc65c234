"""Edges of vector tiles bent so that rounding neither crosses them nor lets them overlap.

An edge may pass so close to a vertex that rounding puts the vertex on its other side. So an edge
that passes through the square which rounds to a vertex gets that vertex too (snap rounding: Hobby,
"Practical segment intersection with finite precision output", 1999). Edges that do not cross on the
ground may then meet in a tile and run along each other, but do not cross.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.rounding import Snaps, rounded

_CELL = 16
"""Side of a cell in which vertices are looked up, in units of the coarsest zoom: some 130 m."""

_MOST_CELLS = 1 << 22


class _Cells(NamedTuple):
    """Distinct vertices of each square: `items[firsts[c]:ends[c]]`."""

    origin: tuple[float, float]
    size: float
    shape: tuple[int, int]
    firsts: NDArray[np.int32]
    ends: NDArray[np.int32]
    items: NDArray[np.int32]


@njit(cache=True, nogil=True)
def near_edges(
    world: NDArray[np.float64], starts: NDArray[np.int64], width: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return edges, ascending, and vertices that are nearer to them than `width` on both axes.

    An edge bears the number of its first vertex. Its own ends are left out, and of vertices at the
    same place all but one.
    """
    cells, places = _sort_into_cells(world, width)
    heads = np.full(len(world), -1, np.int32)
    following, firsts = np.empty(len(world), np.int32), np.empty(len(world), np.int32)
    found, n = np.empty((1 << 16, 2), np.int32), 0
    for ring in range(len(starts) - 1):
        for k in range(starts[ring], starts[ring + 1] - 1):
            # A border is an edge of two units and of the units above: it is looked at once.
            low, high = min(places[k], places[k + 1]), max(places[k], places[k + 1])
            known = heads[low]
            while known >= 0 and max(places[known], places[known + 1]) != high:
                known = following[known]
            firsts[k] = n
            if known < 0:
                following[k], heads[low] = heads[low], k
                found, n = _list_near(world, k, width, cells, found, n)
                continue
            at = firsts[known]
            while at < firsts[k] and found[at, 0] == known:
                found = _with_room(found, n)
                found[n, 0], found[n, 1] = k, found[at, 1]
                at, n = at + 1, n + 1
    return found[:n, 0].copy(), found[:n, 1].copy()


@njit(cache=True, nogil=True)
def _list_near(
    world: NDArray[np.float64], k: int, width: float, cells: _Cells, found: NDArray[np.int32],
    n: int,
) -> tuple[NDArray[np.int32], int]:  # fmt: skip
    """Add what is near an edge to a list of `n`; return the list, which may be another, and `n`."""
    west, north = cells.origin
    columns, lines = cells.shape
    p, q = (k, k + 1) if world[k, 0] <= world[k + 1, 0] else (k + 1, k)
    ax, ay, bx, by = world[p, 0], world[p, 1], world[q, 0], world[q, 1]
    dx, dy = bx - ax, by - ay
    low, high = min(ay, by) - width, max(ay, by) + width
    first = max(int((ax - width - west) / cells.size), 0)
    last = min(int((bx + width - west) / cells.size), columns - 1)
    for column in range(first, last + 1):
        top, bottom = low, high
        if first < last and dx > 0:
            x0 = min(max(west + column * cells.size - width, ax), bx)
            x1 = min(max(west + (column + 1) * cells.size + width, ax), bx)
            y0, y1 = ay + (x0 - ax) / dx * dy, ay + (x1 - ax) / dx * dy
            top, bottom = min(y0, y1) - 2 * width, max(y0, y1) + 2 * width
        line0 = max(int((top - north) / cells.size), 0)
        line1 = min(int((bottom - north) / cells.size), lines - 1)
        for line in range(line0, line1 + 1):
            cell = line * columns + column
            for item in range(cells.firsts[cell], cells.ends[cell]):
                v = cells.items[item]
                x, y = world[v, 0], world[v, 1]
                if not _is_near(world, k, x, y, width):
                    continue
                if (x == ax and y == ay) or (x == bx and y == by):
                    continue
                found = _with_room(found, n)
                found[n, 0], found[n, 1] = k, v
                n += 1
    return found, n


@njit(cache=True, nogil=True)
def nearer(
    world: NDArray[np.float64], edges: NDArray[np.int32], vertices: NDArray[np.int32], width: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return those of edges and vertices near them that `near_edges` gives for a smaller width."""
    kept, n = np.empty((len(edges), 2), np.int32), 0
    for i in range(len(edges)):
        k, v = edges[i], vertices[i]
        kept[n, 0], kept[n, 1] = k, v
        n += _is_near(world, k, world[v, 0], world[v, 1], width)
    return kept[:n, 0].copy(), kept[:n, 1].copy()


@njit(cache=True, nogil=True)
def snap(
    world: NDArray[np.float64], edges: NDArray[np.int32], vertices: NDArray[np.int32], scale: float
) -> Snaps:
    """Return what edges get at a zoom of `scale` units across the world.

    Parameters
    ----------
    edges, vertices : (m,) int32
        What `near_edges` gives for a unit of this zoom or a larger one.
    """
    found, points, n = np.empty(len(edges), np.int32), np.empty((len(edges), 2), np.int32), 0
    places = np.empty(len(edges))
    i = 0
    while i < len(edges):
        k = edges[i]
        # Both sides of a border, and all levels, are to get the same.
        forward = world[k, 0] < world[k + 1, 0] or (
            world[k, 0] == world[k + 1, 0] and world[k, 1] < world[k + 1, 1]
        )
        p, q = (k, k + 1) if forward else (k + 1, k)
        ax, ay, bx, by = (
            world[p, 0] * scale, world[p, 1] * scale, world[q, 0] * scale, world[q, 1] * scale,
        )  # fmt: skip
        first = n
        while i < len(edges) and edges[i] == k:
            x, y = rounded(world[vertices[i], 0], scale), rounded(world[vertices[i], 1], scale)
            i += 1
            if (x == rounded(world[p, 0], scale) and y == rounded(world[p, 1], scale)) or (
                x == rounded(world[q, 0], scale) and y == rounded(world[q, 1], scale)
            ):
                continue
            place = _passes(ax - x, ay - y, bx - x, by - y)
            if place < 0:
                continue
            place = place if forward else -place
            at, known = n, False
            for j in range(first, n):
                known |= points[j, 0] == x and points[j, 1] == y
            if known:
                continue
            while at > first and places[at - 1] > place:
                points[at, 0], points[at, 1] = points[at - 1, 0], points[at - 1, 1]
                places[at] = places[at - 1]
                at -= 1
            points[at, 0], points[at, 1], places[at], found[n] = x, y, place, k
            n += 1
    return Snaps(found[:n].copy(), points[:n].copy())


@njit(cache=True, nogil=True)
def _is_near(world: NDArray[np.float64], k: int, x: float, y: float, width: float) -> bool:
    """Tell whether a place is nearer to edge `k` than `width` on both axes."""
    ax, ay, bx, by = world[k, 0], world[k, 1], world[k + 1, 0], world[k + 1, 1]
    if x < min(ax, bx) - width or x > max(ax, bx) + width:
        return False
    if y < min(ay, by) - width or y > max(ay, by) + width:
        return False
    dx, dy = bx - ax, by - ay
    return abs(dx * (y - ay) - dy * (x - ax)) <= (abs(dx) + abs(dy)) * width


@njit(cache=True, nogil=True)
def _sort_into_cells(world: NDArray[np.float64], width: float) -> tuple[_Cells, NDArray[np.int32]]:
    """Return the cells, and for each vertex the one at its place that is in them."""
    west, north = world[:, 0].min(), world[:, 1].min()
    across, down = world[:, 0].max() - west, world[:, 1].max() - north
    size = _CELL * width
    while (across / size + 1) * (down / size + 1) > _MOST_CELLS:
        size *= 2
    columns, lines = int(across / size) + 1, int(down / size) + 1
    cells = np.empty(len(world), np.int32)
    firsts = np.zeros(columns * lines + 1, np.int32)
    for k in range(len(world)):
        column, line = int((world[k, 0] - west) / size), int((world[k, 1] - north) / size)
        cells[k] = line * columns + column
        firsts[cells[k] + 1] += 1
    for cell in range(columns * lines):
        firsts[cell + 1] += firsts[cell]
    ends, items = firsts.copy(), np.empty(len(world), np.int32)
    places = cells  # the same memory: a vertex's cell is read before its place is written
    for k in range(len(world)):
        cell, place = cells[k], k
        for item in range(firsts[cell], ends[cell]):
            v = items[item]
            if world[v, 0] == world[k, 0] and world[v, 1] == world[k, 1]:
                place = v
                break
        if place == k:
            items[ends[cell]] = k
            ends[cell] += 1
        places[k] = place
    return _Cells((west, north), size, (columns, lines), firsts, ends, items), places


@njit(cache=True, nogil=True)
def _with_room(found: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """Return the list with room for another pair behind `n`."""
    if n < len(found):
        return found
    larger = np.empty((2 * len(found), 2), np.int32)
    larger[:n] = found
    return larger


@njit(cache=True, nogil=True)
def _passes(ax: float, ay: float, bx: float, by: float) -> float:
    """Return where a line passes through the unit square around 0, 0 (0 to 1); -1 if it does not.

    The square's west and north sides belong to it, as to what rounds to its middle.
    """
    t0, t1 = 0.0, 1.0
    for a, b in ((ax, bx), (ay, by)):
        if a == b:
            if not -0.5 <= a < 0.5:
                return -1.0
            continue
        enter, leave = (-0.5 - a) / (b - a), (0.5 - a) / (b - a)
        t0, t1 = max(t0, min(enter, leave)), min(t1, max(enter, leave))
    return (t0 + t1) / 2 if t0 < t1 else -1.0
