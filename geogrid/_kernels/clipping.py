"""Rings of a vector tile, of whole units, clipped to the tile and its buffer.

An edge is cut at the same point whichever way it runs, so polygons that share a border on the
ground share it in the tile. Rings arrive with the inside on their left, north up; in the tile y
runs down.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

EXTENT, BUFFER = 4096, 64
"""Units across a tile, and how far beyond its sides geometry is kept."""

RUN = 32
"""Vertices whose common box is known: a run off one side of the tile is passed over at once."""

CUTS = 6
"""Times as many vertices as a ring may have after four cuts, each leaving at most 1.5 n."""

ROOM = 3
"""Times as many vertices as rings may have when they are joined anew: four corners a line."""

_SHELL = True
_LOW, _HIGH, _SIDE = -BUFFER, EXTENT + BUFFER, EXTENT + 2 * BUFFER
_WINDOW = np.array([[_LOW, _HIGH], [_HIGH, _HIGH], [_HIGH, _LOW], [_LOW, _LOW]])


class Rings(NamedTuple):
    """Rings one after the other, not closed: ring `k` is `xy[ends[k - 1]:ends[k]]`."""

    xy: NDArray[np.int64]
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


@njit(cache=True, nogil=True)
def window(x: int, y: int) -> tuple[int, int, int, int]:
    """Return west, north, east and south of a tile and its buffer, in units of its zoom."""
    west, north = x * EXTENT, y * EXTENT
    return west + _LOW, north + _LOW, west + _HIGH, north + _HIGH


@njit(cache=True, nogil=True)
def off_one_side(box: NDArray[np.int32], frame: tuple[int, int, int, int]) -> bool:
    """Tell whether a box lies beyond one side of a window."""
    return box[2] < frame[0] or box[0] > frame[2] or box[3] < frame[1] or box[1] > frame[3]


@njit(cache=True, nogil=True)
def signed_area2(xy: NDArray[np.int64], n: int) -> int:
    """Return twice the area of a ring; positive if clockwise on the screen (y runs down)."""
    area = 0
    j = n - 1
    for k in range(n):
        area += xy[j, 0] * xy[k, 1] - xy[k, 0] * xy[j, 1]
        j = k
    return area


@njit(cache=True, nogil=True)
def clip_ring(xy: NDArray[np.int64], n: int, spare: NDArray[np.int64]) -> tuple[int, int]:
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
    crossings = 0
    for axis in range(2):
        for limit, side in ((_LOW, 1), (_HIGH, -1)):
            beyond = False
            for k in range(n):
                beyond |= side * (xy[k, axis] - limit) < 0
            if beyond:
                n, crossed = _cut(xy, n, spare, axis, limit, side)
                _copy(xy, 0, spare[:n])
                crossings = max(crossings, crossed)
    return _without_repeats(xy, n), crossings


@njit(cache=True, nogil=True)
def rejoin(rings: Rings, n_rings: int, out: Rings) -> int:
    """Make valid what `clip_ring` left of the rings of one unit.

    What runs along the edge of the buffer is taken away. From the end of each line that is left the
    edge is followed, the inside on the left, to where the next line starts.

    Parameters
    ----------
    rings : Rings
        Shells with a negative area, holes with a positive one.
    out : Rings
        Receives the same; each shell is followed by its holes. Room: `ROOM` times the vertices, as
        many rings as vertices, and one square more.

    Returns
    -------
    int
        Number of rings; -1 if they would cover another area, as of a unit that crosses itself.
    """
    drawn = Rings(np.empty_like(out.xy), np.empty_like(out.ends), np.empty_like(out.shells))
    lines = np.empty((len(out.ends), 3), np.int64)  # first vertex, start and end of its ring
    counts = np.empty(len(out.ends), np.int64)
    n_drawn = n_lines = rim = total = 0
    for ring in range(n_rings):
        start, end = (rings.ends[ring - 1] if ring else 0), rings.ends[ring]
        area = signed_area2(rings.xy[start:end], end - start)
        total += area
        found = _list_lines(rings.xy, start, end, lines[n_lines:], counts[n_lines:])
        if found < 0:
            n_drawn = append_ring(drawn, n_drawn, rings.xy[start:end], rings.shells[ring])
        elif found == 0:
            rim += area
        else:
            n_lines += found
    if n_lines:
        n_drawn = _join(rings.xy, lines[:n_lines], counts[:n_lines], drawn, n_drawn)
    elif rim < 0:
        n_drawn = append_ring(drawn, n_drawn, _WINDOW, _SHELL)
    for ring in range(n_drawn):
        start = drawn.ends[ring - 1] if ring else 0
        total -= signed_area2(drawn.xy[start:], drawn.ends[ring] - start)
    return _holes_behind_shells(drawn, n_drawn, out) if total == 0 else -1


@njit(cache=True, nogil=True)
def is_bent(xy: NDArray[np.int64], n: int, shell: bool, crossings: int) -> bool:
    """Tell whether what `clip_ring` left of a ring is to be joined anew.

    It is where a shell may be cut to pieces, has a single vertex on the edge of the buffer or goes
    back along it, and where a hole has a vertex there.
    """
    if crossings > 2:
        return True
    p = n - 1
    before = _along_rim(xy, p - 1, p)
    for k in range(n):
        along = _along_rim(xy, p, k)
        if _on_rim(xy, p) and (not shell or not (along or before)):
            return True
        if along:
            ahead = _place_on_rim(xy[k, 0], xy[k, 1]) - _place_on_rim(xy[p, 0], xy[p, 1])
            if ahead % (4 * _SIDE) > _SIDE:
                return True
        p, before = k, along
    return False


@njit(cache=True, nogil=True)
def append_ring(rings: Rings, n_rings: int, xy: NDArray[np.int64], shell: bool) -> int:
    """Add a ring behind `n_rings` others; return how many there are then."""
    at = rings.ends[n_rings - 1] if n_rings else 0
    _copy(rings.xy, at, xy)
    rings.ends[n_rings] = at + len(xy)
    rings.shells[n_rings] = shell
    return n_rings + 1


@njit(cache=True, nogil=True)
def append_loops(
    rings: Rings, n_rings: int, xy: NDArray[np.int64], loop: NDArray[np.int64],
    spare: NDArray[np.int64],
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
            _copy(loop, 0, xy[start:m])
            n, _ = clip_ring(loop, m - start, spare)
            area = signed_area2(loop, n)
            if area != 0:
                n_rings = append_ring(rings, n_rings, loop[:n], area < 0)
            m = start
        if k < len(xy):
            xy[m, 0], xy[m, 1] = xy[k, 0], xy[k, 1]
            m += 1
    return n_rings


@njit(cache=True, nogil=True)
def _copy(out: NDArray[np.int64], at: int, part: NDArray[np.int64]) -> None:
    """Copy vertices; to assign a slice would take seconds to compile, and longer to run."""
    room = out[at : at + len(part)]
    for k in range(len(room)):
        room[k, 0], room[k, 1] = part[k, 0], part[k, 1]


@njit(cache=True, nogil=True)
def _cut(
    xy: NDArray[np.int64], n: int, out: NDArray[np.int64], axis: int, limit: int, side: int
) -> tuple[int, int]:
    """Keep what lies on one side of a vertical (axis 0) or horizontal line; count the crossings."""
    m = crossings = 0
    other = 1 - axis
    for k in range(n):
        p, q = (k - 1 if k > 0 else n - 1), k
        if (side * (xy[p, axis] - limit) >= 0) != (side * (xy[q, axis] - limit) >= 0):
            if xy[p, axis] > xy[q, axis]:  # neighbours walk the edge in opposite directions
                p, q = q, p
            run = xy[q, axis] - xy[p, axis]
            rise = (limit - xy[p, axis]) * (xy[q, other] - xy[p, other])
            out[m, axis] = limit
            out[m, other] = xy[p, other] + (2 * rise + run) // (2 * run)
            m += 1
            crossings += 1
        if side * (xy[k, axis] - limit) >= 0:
            out[m, 0], out[m, 1] = xy[k, 0], xy[k, 1]
            m += 1
    return m, crossings


@njit(cache=True, nogil=True)
def _without_repeats(xy: NDArray[np.int64], n: int) -> int:
    """Take repeated vertices out of a ring; return how many are left."""
    m = 0
    for k in range(n):
        if m == 0 or xy[k, 0] != xy[m - 1, 0] or xy[k, 1] != xy[m - 1, 1]:
            xy[m, 0], xy[m, 1] = xy[k, 0], xy[k, 1]
            m += 1
    while m > 1 and xy[m - 1, 0] == xy[0, 0] and xy[m - 1, 1] == xy[0, 1]:
        m -= 1
    return m


@njit(cache=True, nogil=True)
def _on_rim(xy: NDArray[np.int64], k: int) -> bool:
    x, y = xy[k, 0], xy[k, 1]
    return x in (_LOW, _HIGH) or y in (_LOW, _HIGH)


@njit(cache=True, nogil=True)
def _along_rim(xy: NDArray[np.int64], p: int, q: int) -> bool:
    """Tell whether an edge runs along the edge of the buffer."""
    for axis in range(2):
        if xy[p, axis] == xy[q, axis] and (xy[p, axis] == _LOW or xy[p, axis] == _HIGH):
            return True
    return False


@njit(cache=True, nogil=True)
def _list_lines(
    xy: NDArray[np.int64], start: int, end: int, lines: NDArray[np.int64], counts: NDArray[np.int64]
) -> int:
    """List the lines between vertices on the rim; -1 if no edge of the ring runs along it."""
    first = -1
    for k in range(start, end):
        if _along_rim(xy, k, k + 1 if k + 1 < end else start):
            first = k + 1 if k + 1 < end else start
            break
    if first < 0:
        return -1
    found, length = 0, 0
    for step in range(end - start):
        k = start + (first - start + step) % (end - start)
        following = k + 1 if k + 1 < end else start
        if _along_rim(xy, k, following):
            continue
        if length == 0:
            lines[found, 0], lines[found, 1], lines[found, 2] = k, start, end
            length = 1
        length += 1
        if _on_rim(xy, following):
            counts[found] = length
            found, length = found + 1, 0
    return found


@njit(cache=True, nogil=True)
def _place_on_rim(x: int, y: int) -> int:
    """Return how far a point of the rim is from its lower left corner, counter-clockwise."""
    if y == _HIGH:
        return x - _LOW
    if x == _HIGH:
        return _SIDE + _HIGH - y
    return 2 * _SIDE + _HIGH - x if y == _LOW else 3 * _SIDE + y - _LOW


@njit(cache=True, nogil=True)
def _join(
    xy: NDArray[np.int64], lines: NDArray[np.int64], counts: NDArray[np.int64], drawn: Rings,
    n_drawn: int,
) -> int:  # fmt: skip
    """Join lines along the rim to rings."""
    n = len(lines)
    starts, ends = np.empty(n, np.int64), np.empty(n, np.int64)
    for line in range(n):
        first, low, high = lines[line]
        last = low + (first - low + counts[line] - 1) % (high - low)
        starts[line] = _place_on_rim(xy[first, 0], xy[first, 1])
        ends[line] = _place_on_rim(xy[last, 0], xy[last, 1])
    by_start, by_end = _order(starts), _order(ends)
    # Ends and starts alternate along the rim, so the k-th of one goes with the k-th of the other.
    shift = 0
    for k in range(n):
        if starts[by_start[k]] < ends[by_end[k]]:
            shift = 1
    following = np.empty(n, np.int64)
    for k in range(n):
        following[by_end[k]] = by_start[(k + shift) % n]
    done = np.zeros(n, np.bool_)
    for each in range(n):
        line = each
        if done[line]:
            continue
        at = drawn.ends[n_drawn - 1] if n_drawn else 0
        ring, m = drawn.xy[at:], 0
        while not done[line]:
            done[line] = True
            first, low, high = lines[line]
            for k in range(counts[line]):
                vertex = low + (first - low + k) % (high - low)
                ring[m, 0], ring[m, 1] = xy[vertex, 0], xy[vertex, 1]
                m += 1
            m = _follow_rim(ring, m, ends[line], starts[following[line]])
            line = following[line]
        m = _without_repeats(ring, m)
        area = signed_area2(ring, m)
        if area != 0:
            drawn.ends[n_drawn], drawn.shells[n_drawn] = at + m, area < 0
            n_drawn += 1
    return n_drawn


@njit(cache=True, nogil=True)
def _order(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows in ascending order; of a few numbers, and quick to compile."""
    rows = np.empty(len(places), np.int64)
    for row in range(len(places)):
        k = row
        while k > 0 and places[rows[k - 1]] > places[row]:
            rows[k] = rows[k - 1]
            k -= 1
        rows[k] = row
    return rows


@njit(cache=True, nogil=True)
def _follow_rim(ring: NDArray[np.int64], m: int, start: int, goal: int) -> int:
    """Add the corners that lie between two places of the rim, counter-clockwise."""
    if goal < start:
        goal += 4 * _SIDE
    for corner in range(start // _SIDE + 1, (goal - 1) // _SIDE + 1):
        quarter = corner % 4
        ring[m, 0] = _HIGH if quarter in (1, 2) else _LOW
        ring[m, 1] = _LOW if quarter in (2, 3) else _HIGH
        m += 1
    return m


@njit(cache=True, nogil=True)
def _holes_behind_shells(rings: Rings, n_rings: int, out: Rings) -> int:
    """Copy rings so that each shell is followed by the holes in it and in no smaller shell."""
    areas, around = np.zeros(n_rings, np.int64), np.full(n_rings, -1, np.int64)
    for ring in range(n_rings):
        start, end = (rings.ends[ring - 1] if ring else 0), rings.ends[ring]
        areas[ring] = abs(signed_area2(rings.xy[start:end], end - start))
    for hole in range(n_rings):
        if rings.shells[hole]:
            continue
        edge = rings.xy[(rings.ends[hole - 1] if hole else 0) : rings.ends[hole]]
        for shell in range(n_rings):
            if not rings.shells[shell] or areas[shell] <= areas[hole]:
                continue
            if around[hole] >= 0 and areas[shell] >= areas[around[hole]]:
                continue
            start = rings.ends[shell - 1] if shell else 0
            if _is_around(rings.xy[start : rings.ends[shell]], edge):
                around[hole] = shell
    n_out = 0
    for shell in range(n_rings):
        if not rings.shells[shell]:
            continue
        start = rings.ends[shell - 1] if shell else 0
        n_out = append_ring(out, n_out, rings.xy[start : rings.ends[shell]], _SHELL)
        for hole in range(n_rings):
            if around[hole] == shell:
                start = rings.ends[hole - 1] if hole else 0
                n_out = append_ring(out, n_out, rings.xy[start : rings.ends[hole]], not _SHELL)
    return n_out


@njit(cache=True, nogil=True)
def _is_around(shell: NDArray[np.int64], hole: NDArray[np.int64]) -> bool:
    """Tell whether a ring lies in another, by the middle of its first edge that is on no other."""
    for k in range(len(hole)):
        j = k + 1 if k + 1 < len(hole) else 0
        x2, y2 = hole[k, 0] + hole[j, 0], hole[k, 1] + hole[j, 1]
        inside = on_edge = False
        p = len(shell) - 1
        for q in range(len(shell)):
            ax, ay, bx, by = 2 * shell[p, 0], 2 * shell[p, 1], 2 * shell[q, 0], 2 * shell[q, 1]
            turn = (bx - ax) * (y2 - ay) - (by - ay) * (x2 - ax)
            if turn == 0 and min(ax, bx) <= x2 <= max(ax, bx) and min(ay, by) <= y2 <= max(ay, by):
                on_edge = True
                break
            if (ay > y2) != (by > y2) and (turn > 0) == (by > ay):
                inside = not inside
            p = q
        if not on_edge:
            return inside
    return True
