"""Features of a vector tile: quantise, clip and write them as protocol buffer messages.

Vertices are rounded on one integer grid per zoom and an edge is cut at the same point whichever way
it runs, so polygons that share a border on the ground share it in the tile.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

EXTENT, BUFFER = 4096, 64
"""Units across a tile, and how far beyond its sides geometry is kept."""

# One cut of a ring of n vertices leaves at most 1.5 n: of two crossings one replaces a vertex.
_FOUR_CUTS = 6

_BYTES_PER_VERTEX, _BYTES_PER_RING, _BYTES_PER_FEATURE = 4, 16, 80

_ID, _TAGS, _TYPE, _GEOMETRY = 0x08, 0x12, 0x18, 0x22
_FEATURE, _MOVE_TO, _CLOSE_PATH, _POINT, _POLYGON = 0x12, 9, 15, 1, 3


@njit(cache=True, nogil=True)
def quantise_ring(
    world: NDArray[np.float64], scale: float, west: int, north: int, out: NDArray[np.int64]
) -> int:
    """Round a closed ring to tile units; return how many vertices are left without repeats.

    Parameters
    ----------
    world : (n, 2) float
        Web mercator, 0-1 eastward and southward; the last vertex repeats the first.
    scale : float
        Units across the world.
    west, north : int
        Units at the tile's corner.
    out : (>= n, 2) int64
        Receives the vertices, the last one not repeated.
    """
    n = 0
    for k in range(len(world) - 1):
        x = int(np.floor(world[k, 0] * scale + 0.5)) - west
        y = int(np.floor(world[k, 1] * scale + 0.5)) - north
        if n == 0 or x != out[n - 1, 0] or y != out[n - 1, 1]:
            out[n, 0], out[n, 1] = x, y
            n += 1
    while n > 1 and out[n - 1, 0] == out[0, 0] and out[n - 1, 1] == out[0, 1]:
        n -= 1
    return n


@njit(cache=True, nogil=True)
def _cut(
    xy: NDArray[np.int64], n: int, out: NDArray[np.int64], axis: int, limit: int, side: int
) -> int:
    """Keep what lies on one side of a vertical (axis 0) or horizontal line (Sutherland-Hodgman)."""
    m = 0
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
        if side * (xy[k, axis] - limit) >= 0:
            out[m, 0], out[m, 1] = xy[k, 0], xy[k, 1]
            m += 1
    return m


@njit(cache=True, nogil=True)
def clip_ring(xy: NDArray[np.int64], n: int, spare: NDArray[np.int64]) -> int:
    """Clip a ring to the tile and its buffer, in place; return how many vertices are left.

    `xy` and `spare` have room for 6 n vertices. Consecutive vertices differ in the result; parts
    of a bent ring stay connected along the edge of the buffer, which is off the screen.
    """
    low, high = -BUFFER, EXTENT + BUFFER
    inside = True
    for k in range(n):
        if not (low <= xy[k, 0] <= high and low <= xy[k, 1] <= high):
            inside = False
            break
    if inside:
        return n
    n = _cut(xy, n, spare, 0, low, 1)
    n = _cut(spare, n, xy, 0, high, -1)
    n = _cut(xy, n, spare, 1, low, 1)
    n = _cut(spare, n, xy, 1, high, -1)
    m = 0
    for k in range(n):
        if m == 0 or xy[k, 0] != xy[m - 1, 0] or xy[k, 1] != xy[m - 1, 1]:
            xy[m, 0], xy[m, 1] = xy[k, 0], xy[k, 1]
            m += 1
    while m > 1 and xy[m - 1, 0] == xy[0, 0] and xy[m - 1, 1] == xy[0, 1]:
        m -= 1
    return m


@njit(cache=True, nogil=True)
def signed_area2(xy: NDArray[np.int64], n: int) -> int:
    """Return twice the area of a ring; positive if clockwise on the screen (y runs down)."""
    area = 0
    for k in range(n):
        j = k + 1 if k + 1 < n else 0
        area += xy[k, 0] * xy[j, 1] - xy[j, 0] * xy[k, 1]
    return area


@njit(cache=True, nogil=True)
def write_varint(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a non-negative number in base 128, lowest digits first; return the next position."""
    while value > 127:
        out[at] = (value & 127) | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@njit(cache=True, nogil=True)
def _zigzag(value: int) -> int:
    """Fold the sign into the lowest bit."""
    return 2 * value if value >= 0 else -2 * value - 1


@njit(cache=True, nogil=True)
def _varint_size(value: int) -> int:
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@njit(cache=True, nogil=True)
def _write_ring(
    out: NDArray[np.uint8],
    at: int,
    xy: NDArray[np.int64],
    n: int,
    cursor: NDArray[np.int64],
    step: int,
) -> int:
    """Write MoveTo, LineTo, ClosePath, forwards (step 1) or backwards (-1) from vertex 0."""
    k = 0
    for i in range(n):
        if i == 0:
            at = write_varint(out, at, _MOVE_TO)
        elif i == 1:
            at = write_varint(out, at, ((n - 1) << 3) | 2)
        at = write_varint(out, at, _zigzag(xy[k, 0] - cursor[0]))
        at = write_varint(out, at, _zigzag(xy[k, 1] - cursor[1]))
        cursor[0], cursor[1] = xy[k, 0], xy[k, 1]
        k = (k + step) % n
    return write_varint(out, at, _CLOSE_PATH)


@njit(cache=True, nogil=True)
def _write_feature(
    out: NDArray[np.uint8], at: int, number: int, tags: NDArray[np.int64], kind: int,
    geometry: NDArray[np.uint8], size: int,
) -> int:  # fmt: skip
    """Write a whole feature message, framed as a field of its layer."""
    tag_size = 0
    for tag in tags:
        tag_size += _varint_size(tag)
    body = 1 + _varint_size(number) + 1 + _varint_size(tag_size) + tag_size
    body += 2 + 1 + _varint_size(size) + size
    at = write_varint(out, at, _FEATURE)
    at = write_varint(out, at, body)
    at = write_varint(out, at, _ID)
    at = write_varint(out, at, number)
    at = write_varint(out, at, _TAGS)
    at = write_varint(out, at, tag_size)
    for tag in tags:
        at = write_varint(out, at, tag)
    at = write_varint(out, at, _TYPE)
    at = write_varint(out, at, kind)
    at = write_varint(out, at, _GEOMETRY)
    at = write_varint(out, at, size)
    out[at : at + size] = geometry[:size]
    return at + size


@njit(cache=True, nogil=True)
def _roomy(out: NDArray[np.uint8], used: int, need: int) -> NDArray[np.uint8]:
    """Return `out`, or a copy of twice the size if `need` more bytes do not fit."""
    if used + need <= len(out):
        return out
    larger = np.empty(2 * (used + need), np.uint8)
    larger[:used] = out[:used]
    return larger


@njit(cache=True, nogil=True)
def _number_values(
    values: NDArray[np.int32], slots: NDArray[np.int32], order: NDArray[np.int32], n: int,
    tags: NDArray[np.int64],
) -> int:  # fmt: skip
    """Fill `tags` with key and value numbers in the tile; a value new to the tile goes last."""
    for key in range(len(values)):
        value = values[key]
        if slots[value] < 0:
            slots[value] = n
            order[n] = value
            n += 1
        tags[2 * key], tags[2 * key + 1] = key, slots[value]
    return n


@njit(cache=True, nogil=True)
def _with_values(
    out: NDArray[np.uint8], at: int, order: NDArray[np.int32], blob: NDArray[np.uint8],
    blob_starts: NDArray[np.int64],
) -> NDArray[np.uint8]:  # fmt: skip
    """Return what is written so far and, behind it, the messages of the values in use."""
    size = at
    for value in order:
        size += blob_starts[value + 1] - blob_starts[value]
    whole = np.empty(size, np.uint8)
    whole[:at] = out[:at]
    for value in order:
        length = blob_starts[value + 1] - blob_starts[value]
        whole[at : at + length] = blob[blob_starts[value] : blob_starts[value + 1]]
        at += length
    return whole


@njit(cache=True, nogil=True)
def encode_polygons(
    world: NDArray[np.float64],
    starts: NDArray[np.int64],
    firsts: NDArray[np.int64],
    rows: NDArray[np.int64],
    values: NDArray[np.int32],
    blob: NDArray[np.uint8],
    blob_starts: NDArray[np.int64],
    zoom: int,
    x: int,
    y: int,
) -> NDArray[np.uint8]:
    """Encode polygons as the features and values of a layer; nothing if none is visible.

    Parameters
    ----------
    world : (v, 2) float
        Vertices in web mercator, 0-1 eastward and southward.
    starts : (r + 1,) int64
        Ring `k` is `world[starts[k]:starts[k + 1]]`, closed.
    firsts : (n + 1,) int64
        Polygon `i` has the rings `firsts[i]` to `firsts[i + 1]`; the first is the shell.
    rows : int64
        Polygons to encode; the row is the feature's id.
    values : (n, keys) int32
        Numbers of the values of each polygon.
    blob, blob_starts
        Message of value `k`, framed: `blob[blob_starts[k]:blob_starts[k + 1]]`.
    zoom, x, y : int
        The tile.
    """
    longest = largest = 0
    for row in rows:
        largest = max(largest, starts[firsts[row + 1]] - starts[firsts[row]])
        for ring in range(firsts[row], firsts[row + 1]):
            longest = max(longest, starts[ring + 1] - starts[ring])
    xy = np.empty((_FOUR_CUTS * longest, 2), np.int64)
    spare = np.empty_like(xy)
    geometry = np.empty(0, np.uint8)
    slots = np.full(len(blob_starts) - 1, -1, np.int32)
    order = np.empty(len(rows) * values.shape[1], np.int32)
    tags = np.empty(2 * values.shape[1], np.int64)
    cursor = np.empty(2, np.int64)
    out = np.empty(len(rows) * 200, np.uint8)
    at = n_values = 0
    scale = float(EXTENT << zoom)
    for row in rows:
        n_rings = firsts[row + 1] - firsts[row]
        n_vertices = starts[firsts[row + 1]] - starts[firsts[row]]
        need = _BYTES_PER_VERTEX * _FOUR_CUTS * n_vertices + _BYTES_PER_RING * n_rings
        geometry = _roomy(geometry, 0, need)
        size = 0
        cursor[:] = 0
        for ring in range(firsts[row], firsts[row + 1]):
            shell = ring == firsts[row]
            part = world[starts[ring] : starts[ring + 1]]
            n = quantise_ring(part, scale, x * EXTENT, y * EXTENT, xy)
            n = clip_ring(xy, n, spare)
            area2 = signed_area2(xy, n)
            if area2 == 0:
                if shell:
                    break
                continue
            step = 1 if (area2 > 0) == shell else -1
            size = _write_ring(geometry, size, xy, n, cursor, step)
        if size == 0:
            continue
        n_values = _number_values(values[row], slots, order, n_values, tags)
        out = _roomy(out, at, size + _BYTES_PER_FEATURE)
        at = _write_feature(out, at, row, tags, _POLYGON, geometry, size)
    return _with_values(out, at, order[:n_values], blob, blob_starts)


@njit(cache=True, nogil=True)
def encode_points(
    world: NDArray[np.float64],
    rows: NDArray[np.int64],
    values: NDArray[np.int32],
    blob: NDArray[np.uint8],
    blob_starts: NDArray[np.int64],
    zoom: int,
    x: int,
    y: int,
) -> NDArray[np.uint8]:
    """Encode points as `encode_polygons` does polygons; a point is in exactly one tile."""
    slots = np.full(len(blob_starts) - 1, -1, np.int32)
    order = np.empty(len(rows) * values.shape[1], np.int32)
    tags = np.empty(2 * values.shape[1], np.int64)
    geometry = np.empty(_BYTES_PER_RING, np.uint8)
    out = np.empty(len(rows) * (_BYTES_PER_FEATURE + _BYTES_PER_RING), np.uint8)
    at = n_values = 0
    scale = float(EXTENT << zoom)
    for row in rows:
        east = int(np.floor(world[row, 0] * scale)) - x * EXTENT
        south = int(np.floor(world[row, 1] * scale)) - y * EXTENT
        if not (0 <= east < EXTENT and 0 <= south < EXTENT):
            continue
        size = write_varint(geometry, 0, _MOVE_TO)
        size = write_varint(geometry, size, _zigzag(east))
        size = write_varint(geometry, size, _zigzag(south))
        n_values = _number_values(values[row], slots, order, n_values, tags)
        at = _write_feature(out, at, row, tags, _POINT, geometry, size)
    return _with_values(out, at, order[:n_values], blob, blob_starts)


@njit(cache=True, nogil=True)
def touching(boxes: NDArray[np.float64], window: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows of the boxes (west north east south) that touch a window."""
    rows = np.empty(len(boxes), np.int64)
    n = 0
    for row in range(len(boxes)):
        if (
            boxes[row, 0] <= window[2]
            and boxes[row, 2] >= window[0]
            and boxes[row, 1] <= window[3]
            and boxes[row, 3] >= window[1]
        ):
            rows[n] = row
            n += 1
    return rows[:n]
