"""Borders of a coverage, each once: cutting rings into arcs by their vertices alone.

Unlike the topology of a proven coverage, this takes whatever is drawn: rings in either direction,
with gaps, overlaps and vertices that a neighbour lacks. What two rings share vertex for vertex
becomes one arc; the rest are arcs of one ring.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def cut(
    vertices: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut closed rings where other than two borders meet.

    Parameters
    ----------
    vertices : (v,) int64
        A number for each vertex, equal for equal ones, from 0 on.
    starts : (r + 1,) int64
        Ring `k` is `vertices[starts[k]:starts[k + 1]]`, its last vertex equal to its first.

    Returns
    -------
    rows : (w,) int64
        Rows of `vertices`: the vertices of the arcs, both ends included, one arc after the other.
    arc_starts : (a + 1,) int64
        Arc `k` is `rows[arc_starts[k]:arc_starts[k + 1]]`. Arcs are in the order of their first
        use by a ring, and run as that ring does.
    ring_arcs : (s,) int64
        Arcs of the rings, one ring after the other: `k` along arc `k`, `~k` against it.
    ring_starts : (r + 1,) int64
        Ring `i` is `ring_arcs[ring_starts[i]:ring_starts[i + 1]]`.
    """
    number, n_vertices = _numbered(vertices, starts)
    node = _nodes(number, n_vertices, starts)
    n_pieces = 0
    for ring in range(len(starts) - 1):
        for i in range(starts[ring], starts[ring + 1] - 1):
            n_pieces += node[number[i]]
    size = 16
    while size < 4 * n_pieces:
        size *= 2
    keys = np.full(size, -1, np.int64)
    refs = np.empty(size, np.int64)
    rows = np.empty(len(vertices) + n_pieces, np.int64)
    arc_starts = np.zeros(n_pieces + 1, np.int64)
    ring_arcs = np.empty(n_pieces, np.int64)
    ring_starts = np.zeros(len(starts), np.int64)
    n_arcs = n_rows = n_refs = 0
    for ring in range(len(starts) - 1):
        first, length = starts[ring], starts[ring + 1] - starts[ring] - 1
        begin = 0
        while begin < length and not node[number[first + begin]]:
            begin += 1
        at = begin
        while at < begin + length:
            stop = at + 1
            while not node[number[first + stop % length]]:
                stop += 1
            ahead = np.int64(number[first + at % length]) << 32 | number[first + (at + 1) % length]
            slot = _slot(ahead, keys)
            if keys[slot] < 0:
                back = (
                    np.int64(number[first + stop % length]) << 32
                    | number[first + (stop - 1) % length]
                )
                keys[slot], refs[slot] = ahead, n_arcs
                behind = _slot(back, keys)
                keys[behind], refs[behind] = back, ~n_arcs
                for i in range(at, stop + 1):
                    rows[n_rows] = first + i % length
                    n_rows += 1
                ring_arcs[n_refs] = n_arcs
                n_arcs += 1
                arc_starts[n_arcs] = n_rows
            else:
                ring_arcs[n_refs] = refs[slot]
            n_refs += 1
            at = stop
        ring_starts[ring + 1] = n_refs
    return rows[:n_rows], arc_starts[: n_arcs + 1], ring_arcs, ring_starts


@njit(cache=True)
def deltas(
    x: NDArray[np.int64], y: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return vertices as signed differences, folded to numbers from 0 on, and the size of each arc.

    Vertices equal to the one before are left out; the ends of an arc stay. The first difference is
    from 0, 0. Folded are 0, -1, 1, -2 … to 0, 1, 2, 3 …
    """
    found = np.empty(2 * len(x), np.int64)
    sizes = np.empty(max(len(starts) - 1, 0), np.int64)
    n = 0
    last_x = last_y = np.int64(0)
    for arc in range(len(starts) - 1):
        before = n
        for i in range(starts[arc], starts[arc + 1]):
            dx, dy = x[i] - last_x, y[i] - last_y
            if dx == 0 and dy == 0 and starts[arc] < i < starts[arc + 1] - 1:
                continue
            found[n], found[n + 1] = (dx << 1) ^ (dx >> 63), (dy << 1) ^ (dy >> 63)
            n += 2
            last_x, last_y = x[i], y[i]
        sizes[arc] = (n - before) // 2
    return found[:n], sizes


@njit(cache=True)
def varints(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return numbers from 0 on as bytes of seven bits, low ones first, the last below 128."""
    n_bytes = 0
    for value in numbers:
        n_bytes += 1
        while value > 127:
            value >>= 7
            n_bytes += 1
    found = np.empty(n_bytes, np.uint8)
    k = 0
    for value in numbers:
        while value > 127:
            found[k] = value & 127 | 128
            value >>= 7
            k += 1
        found[k] = value
        k += 1
    return found


@njit(cache=True)
def _numbered(
    vertices: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], np.int64]:
    """Return equal numbers for equal vertices, 0, 1 … in the order in which they are first met."""
    size = 16
    while size < 2 * len(vertices):
        size *= 2
    keys = np.full(size, -1, np.int64)
    numbers = np.empty(size, np.int32)
    number = np.empty(len(vertices), np.int32)
    n = 0
    for ring in range(len(starts) - 1):
        for i in range(starts[ring], starts[ring + 1] - 1):
            slot = _slot(vertices[i], keys)
            if keys[slot] < 0:
                keys[slot], numbers[slot] = vertices[i], n
                n += 1
            number[i] = numbers[slot]
        number[starts[ring + 1] - 1] = number[starts[ring]]
    return number, n


@njit(cache=True)
def _nodes(
    number: NDArray[np.int32], n_vertices: int, starts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which vertices end an arc: met with other neighbours, or more than twice.

    A ring without such a vertex is cut at its lowest number, which its twin has too.
    """
    before = np.full(n_vertices, -1, np.int32)
    after = np.empty(n_vertices, np.int32)
    met = np.zeros(n_vertices, np.int8)
    node = np.zeros(n_vertices, np.bool_)
    for ring in range(len(starts) - 1):
        first, length = starts[ring], starts[ring + 1] - starts[ring] - 1
        for i in range(length):
            at = number[first + i]
            one, other = number[first + (i - 1) % length], number[first + i + 1]
            if met[at] == 0:
                before[at], after[at], met[at] = one, other, 1
                continue
            same = (one == before[at] and other == after[at]) or (
                one == after[at] and other == before[at]
            )
            if met[at] == 2 or not same:
                node[at] = True
            met[at] = 2
    for ring in range(len(starts) - 1):
        lowest, found = number[starts[ring]], False
        for i in range(starts[ring], starts[ring + 1] - 1):
            lowest, found = min(lowest, number[i]), found or node[number[i]]
        if not found:
            node[lowest] = True
    return node


@njit(cache=True)
def _slot(key: int, keys: NDArray[np.int64]) -> int:
    """Return where a key is, or the free place where it belongs."""
    slot = _mixed(key) & (len(keys) - 1)
    while keys[slot] >= 0 and keys[slot] != key:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@njit(cache=True)
def _mixed(key: int) -> int:
    key ^= key >> 29
    key *= 668_265_263
    key ^= key >> 32
    key *= 2_246_822_519
    return key ^ (key >> 15)
