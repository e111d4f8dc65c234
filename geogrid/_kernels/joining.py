"""What clipping leaves of a unit, joined anew to valid rings along the edge of the buffer.

A ring that crosses a side of the tile more than twice is left in pieces that hang together along
that side. They are taken apart there, and shells and holes made of the lines between.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels import lean
from geogrid._kernels.clipping import HIGH, LOW, Rings, append_ring, signed_area2, without_repeats

ROOM = 3
"""Times as many vertices as rings may have when they are joined anew: four corners a line."""

_SHELL = True
_SIDE = HIGH - LOW
_WINDOW = np.array([[LOW, HIGH], [HIGH, HIGH], [HIGH, LOW], [LOW, LOW]], np.int32)


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
            n_drawn = append_ring(drawn, n_drawn, rings.xy, start, end, rings.shells[ring])
        elif found == 0:
            rim += area
        else:
            n_lines += found
    if n_lines:
        n_drawn = _join(rings.xy, lines[:n_lines], counts[:n_lines], drawn, n_drawn)
    elif rim < 0:
        n_drawn = append_ring(drawn, n_drawn, _WINDOW, 0, 4, _SHELL)
    for ring in range(n_drawn):
        start = drawn.ends[ring - 1] if ring else 0
        total -= signed_area2(drawn.xy[start:], drawn.ends[ring] - start)
    return _holes_behind_shells(drawn, n_drawn, out) if total == 0 else -1


@lean
def is_bent(xy: NDArray[np.int32], n: int, shell: bool, crossings: int) -> bool:
    """Tell whether what `clip_ring` left of a ring is to be joined anew.

    It is where a shell may be cut to pieces, has a single vertex on the edge of the buffer or goes
    back along it, and where a hole has a vertex there.
    """
    if crossings > 2:
        return True
    p = n - 1
    for k in range(n):
        if _on_rim(xy, p):
            along, before = _along_rim(xy, p, k), _along_rim(xy, p - 1 if p else n - 1, p)
            if not shell or not (along or before):
                return True
            if along:
                ahead = _place_on_rim(xy[k, 0], xy[k, 1]) - _place_on_rim(xy[p, 0], xy[p, 1])
                if ahead % (4 * _SIDE) > _SIDE:
                    return True
        p = k
    return False


@lean
def _on_rim(xy: NDArray[np.int32], k: int) -> bool:
    x, y = xy[k, 0], xy[k, 1]
    return x in (LOW, HIGH) or y in (LOW, HIGH)


@lean
def _along_rim(xy: NDArray[np.int32], p: int, q: int) -> bool:
    """Tell whether an edge runs along the edge of the buffer."""
    for axis in range(2):
        if xy[p, axis] == xy[q, axis] and (xy[p, axis] == LOW or xy[p, axis] == HIGH):
            return True
    return False


@lean
def _list_lines(
    xy: NDArray[np.int32], start: int, end: int, lines: NDArray[np.int64], counts: NDArray[np.int64]
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


@lean
def _place_on_rim(x: int, y: int) -> int:
    """Return how far a point of the rim is from its lower left corner, counter-clockwise."""
    if y == HIGH:
        return x - LOW
    if x == HIGH:
        return _SIDE + HIGH - y
    return 2 * _SIDE + HIGH - x if y == LOW else 3 * _SIDE + y - LOW


@njit(cache=True, nogil=True)
def _join(
    xy: NDArray[np.int32], lines: NDArray[np.int64], counts: NDArray[np.int64], drawn: Rings,
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
        m = without_repeats(ring, m)
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


@lean
def _follow_rim(ring: NDArray[np.int32], m: int, start: int, goal: int) -> int:
    """Add the corners that lie between two places of the rim, counter-clockwise."""
    if goal < start:
        goal += 4 * _SIDE
    for corner in range(start // _SIDE + 1, (goal - 1) // _SIDE + 1):
        quarter = corner % 4
        ring[m, 0] = HIGH if quarter in (1, 2) else LOW
        ring[m, 1] = LOW if quarter in (2, 3) else HIGH
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
        n_out = append_ring(out, n_out, rings.xy, start, rings.ends[shell], _SHELL)
        for hole in range(n_rings):
            if around[hole] == shell:
                start = rings.ends[hole - 1] if hole else 0
                n_out = append_ring(out, n_out, rings.xy, start, rings.ends[hole], not _SHELL)
    return n_out


@lean
def _is_around(shell: NDArray[np.int32], hole: NDArray[np.int32]) -> bool:
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
