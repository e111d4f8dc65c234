"""Vector tiles (Mapbox Vector Tile 2.1) as bytes: which units, their geometry, their properties."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.clipping import (
    BUFFER,
    CUTS,
    EXTENT,
    ROOM,
    RUN,
    Rings,
    append_loops,
    append_ring,
    clip_ring,
    is_bent,
    off_one_side,
    rejoin,
    signed_area2,
    window,
)

INDEX_ZOOM = 12
"""A tile of this zoom touches some 800 micro-grids; 20,000 boxes are scanned above it in 20 us."""

_BYTES_PER_VERTEX, _BYTES_PER_RING, _BYTES_PER_FEATURE = 4, 16, 96

# Fields of the messages Tile, Layer and Feature: number and wire type (specification, 4.1).
_LAYER, _FEATURE, _ID, _TAGS, _TYPE, _GEOMETRY = 0x1A, 0x12, 0x08, 0x12, 0x18, 0x22
_MOVE_TO, _CLOSE_PATH, _POINT, _POLYGON = 9, 15, 1, 3

_UNIT_KEYS, _LABEL_KEYS = 3, 3


class Polygons(NamedTuple):
    """Units of all levels that a zoom shows, one level after the other, as the zoom has them.

    The first four are those of `rounding.Rounded`. `pinched` rings meet themselves in a vertex;
    `runs` is what `clipping.box_runs` gives; unit `i` has the box `boxes[i]` (west north east
    south).
    """

    xy: NDArray[np.int32]
    starts: NDArray[np.int64]
    shells: NDArray[np.bool_]
    firsts: NDArray[np.int64]
    pinched: NDArray[np.bool_]
    runs: NDArray[np.int32]
    boxes: NDArray[np.int32]


class Index(NamedTuple):
    """Units that touch each tile of `INDEX_ZOOM`: `items[cells[c]:cells[c + 1]]`, ascending."""

    cells: NDArray[np.int64]
    items: NDArray[np.int32]
    origin: NDArray[np.int64]
    shape: NDArray[np.int64]


class Values(NamedTuple):
    """Properties as messages, framed as fields of their layer.

    `own` has two a unit: message `2 * i` is its code, `2 * i + 1` its name. `shared` are those that
    many have; `numbers[i]` tells unit `i`'s: households, level, short name.
    """

    own: NDArray[np.uint8]
    own_starts: NDArray[np.int64]
    shared: NDArray[np.uint8]
    shared_starts: NDArray[np.int64]
    numbers: NDArray[np.int32]


class Layers(NamedTuple):
    """`firsts[k]:firsts[k + 1]` are the units of layer `k`; the last header is the labels'."""

    firsts: NDArray[np.int64]
    headers: NDArray[np.uint8]
    header_starts: NDArray[np.int64]


@njit(cache=True, nogil=True)
def encode_tile(
    polygons: Polygons, points: NDArray[np.float64], index: Index, values: Values, layers: Layers,
    n_labelled: int, tile: tuple[int, int, int],
) -> NDArray[np.uint8]:  # fmt: skip
    """Encode a tile; nothing if no unit is in it.

    A unit without area at this zoom is drawn as a square of one unit of the tile.

    Parameters
    ----------
    polygons : Polygons
        Of this zoom.
    points : (u, 2) float
        Labels, in web mercator, 0-1 eastward and southward.
    n_labelled : int
        Units with a lower row are labelled.
    tile : (int, int, int)
        Zoom, column and row.
    """
    rows = _rows(polygons.boxes, index, tile)
    slots = np.full(len(values.shared_starts) - 1, -1, np.int32)
    out, at, row = np.empty(256 + 160 * len(rows), np.uint8), 0, 0
    for layer in range(len(layers.firsts) - 1):
        until = row
        while until < len(rows) and rows[until] < layers.firsts[layer + 1]:
            until += 1
        if until > row:
            first, of_layer = layers.firsts[layer], rows[row:until]
            body, size, texts, n = _polygon_layer(polygons, values, of_layer, first, slots, tile)
            out, at = _write_layer(out, at, _header(layers, layer), body[:size], texts[:n])
        row = until
    labelled = rows[: np.searchsorted(rows, n_labelled)]
    if len(labelled):
        body, size, texts, n = _label_layer(points, values, labelled, slots, tile)
        out, at = _write_layer(
            out, at, _header(layers, len(layers.firsts) - 1), body[:size], texts[:n]
        )
    return out[:at]


@njit(cache=True, nogil=True)
def _rows(boxes: NDArray[np.int32], index: Index, tile: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the rows of the units whose box touches the tile and its buffer, ascending."""
    zoom, x, y = tile
    frame = window(x, y)
    if zoom < INDEX_ZOOM:
        rows, n = np.empty(len(boxes), np.int64), 0
        for row in range(len(boxes)):
            if not off_one_side(boxes[row], frame):
                rows[n] = row
                n += 1
        return rows[:n]
    column = (x >> zoom - INDEX_ZOOM) - index.origin[0]
    line = (y >> zoom - INDEX_ZOOM) - index.origin[1]
    if not (0 <= column < index.shape[0] and 0 <= line < index.shape[1]):
        return np.empty(0, np.int64)
    cell = line * index.shape[0] + column
    near = index.items[index.cells[cell] : index.cells[cell + 1]]
    rows, n = np.empty(len(near), np.int64), 0
    for row in near:
        if not off_one_side(boxes[row], frame):
            rows[n] = row
            n += 1
    return rows[:n]


@njit(cache=True, nogil=True)
def _polygon_layer(
    polygons: Polygons, values: Values, rows: NDArray[np.int64], first: int,
    slots: NDArray[np.int32], tile: tuple[int, int, int],
) -> tuple[NDArray[np.uint8], int, NDArray[np.uint8], int]:  # fmt: skip
    """Write the features of one level, whose first row is `first`, and the values that they use."""
    most = 0
    for row in rows:
        most = max(most, _n_vertices(polygons, row))
    xy, spare = np.empty((CUTS * most, 2), np.int64), np.empty((CUTS * most, 2), np.int64)
    geometry = np.empty(0, np.uint8)
    body, size = np.empty(160 * len(rows), np.uint8), 0
    texts, n = np.empty(128 * len(rows), np.uint8), 0
    tags, n_values = np.empty(2 * _UNIT_KEYS, np.int64), 0
    slots[:] = -1
    for row in rows:
        n_rings = polygons.firsts[row + 1] - polygons.firsts[row]
        need = _BYTES_PER_VERTEX * CUTS * _n_vertices(polygons, row) + _BYTES_PER_RING * (
            n_rings + 1
        )
        geometry = _roomy(geometry, 0, need)
        length = _write_polygon(geometry, polygons, row, tile, xy, spare)
        if length == 0:
            continue
        own = values.own[values.own_starts[2 * row] : values.own_starts[2 * row + 2]]
        texts = _roomy(texts, n, len(own) + _BYTES_PER_FEATURE)
        n = copy_bytes(texts, n, own)
        tags[0], tags[1], tags[2], tags[3] = 0, n_values, 1, n_values + 1
        n_values += 2
        n, n_values = _share(values, values.numbers[row, 0], slots, texts, n, n_values)
        tags[4], tags[5] = 2, slots[values.numbers[row, 0]]
        body = _roomy(body, size, length + _BYTES_PER_FEATURE)
        size = _write_feature(body, size, row - first, tags, _POLYGON, geometry, length)
    return body, size, texts, n


@njit(cache=True, nogil=True)
def _label_layer(
    points: NDArray[np.float64], values: Values, rows: NDArray[np.int64],
    slots: NDArray[np.int32], tile: tuple[int, int, int],
) -> tuple[NDArray[np.uint8], int, NDArray[np.uint8], int]:  # fmt: skip
    """Write the labels of units, and the values that they use; a point is in exactly one tile."""
    zoom, x, y = tile
    scale = float(EXTENT << zoom)
    geometry = np.empty(_BYTES_PER_RING, np.uint8)
    body, size = np.empty((_BYTES_PER_FEATURE + _BYTES_PER_RING) * len(rows), np.uint8), 0
    texts, n = np.empty(128 * len(rows), np.uint8), 0
    tags, n_values = np.empty(2 * _LABEL_KEYS, np.int64), 0
    slots[:] = -1
    for row in rows:
        east = int(np.floor(points[row, 0] * scale)) - x * EXTENT
        south = int(np.floor(points[row, 1] * scale)) - y * EXTENT
        if not (0 <= east < EXTENT and 0 <= south < EXTENT):
            continue
        length = write_varint(geometry, 0, _MOVE_TO)
        length = write_varint(geometry, length, _zigzag(east))
        length = write_varint(geometry, length, _zigzag(south))
        own = values.own[values.own_starts[2 * row] : values.own_starts[2 * row + 1]]
        level, name = values.numbers[row, 1], values.numbers[row, 2]
        starts = values.shared_starts
        need = len(own) + starts[level + 1] - starts[level] + starts[name + 1] - starts[name]
        texts = _roomy(texts, n, need)
        n, n_values = _share(values, level, slots, texts, n, n_values)
        n, n_values = copy_bytes(texts, n, own), n_values + 1
        tags[0], tags[1], tags[2], tags[3] = 0, slots[level], 1, n_values - 1
        n, n_values = _share(values, name, slots, texts, n, n_values)
        tags[4], tags[5] = 2, slots[name]
        size = _write_feature(body, size, row, tags, _POINT, geometry, length)
    return body, size, texts, n


@njit(cache=True, nogil=True)
def _share(
    values: Values, number: int, slots: NDArray[np.int32], texts: NDArray[np.uint8], n: int,
    n_values: int,
) -> tuple[int, int]:  # fmt: skip
    """Give a shared value a number in the layer, unless it has one; write it behind the others."""
    if slots[number] < 0:
        slots[number] = n_values
        n_values += 1
        starts = values.shared_starts
        n = copy_bytes(texts, n, values.shared[starts[number] : starts[number + 1]])
    return n, n_values


@njit(cache=True, nogil=True)
def _write_polygon(
    out: NDArray[np.uint8], polygons: Polygons, row: int, tile: tuple[int, int, int],
    xy: NDArray[np.int64], spare: NDArray[np.int64],
) -> int:  # fmt: skip
    """Write the geometry of a unit in a tile; return its size in bytes, 0 if it is not there."""
    first, last = polygons.firsts[row], polygons.firsts[row + 1]
    if first == last:
        return _write_speck(out, polygons.boxes[row], tile)
    _, column, line = tile
    whole = _is_within(polygons.boxes[row], window(column, line))
    at, drawn, bent = 0, True, False
    x, y = (column * EXTENT, line * EXTENT) if whole else (0, 0)
    for ring in range(first, last):
        bent |= polygons.pinched[ring]
        if whole:
            vertices = polygons.xy[polygons.starts[ring] : polygons.starts[ring + 1]]
            at, x, y = _write_ring(out, at, vertices, x, y, -1)
            continue
        shell = polygons.shells[ring]
        if not shell and not drawn:
            continue  # its shell is elsewhere
        n, crossings = clip_ring(xy, _move_ring(polygons, ring, tile, xy), spare)
        bent |= is_bent(xy, n, shell, crossings)
        area = signed_area2(xy, n)
        if shell:
            drawn = area != 0
        if area != 0:
            at, x, y = _write_ring(out, at, xy[:n], x, y, -1 if (area < 0) == shell else 1)
    return _write_rejoined(out, polygons, row, tile, at) if bent else at


@njit(cache=True, nogil=True)
def _move_ring(
    polygons: Polygons, ring: int, tile: tuple[int, int, int], out: NDArray[np.int64]
) -> int:
    """Copy a ring in units of the tile, runs off one side as one edge; return its vertices."""
    _, column, line = tile
    frame = window(column, line)
    k, end = polygons.starts[ring], polygons.starts[ring + 1]
    n = 0
    while k < end:
        out[n, 0] = polygons.xy[k, 0] - column * EXTENT
        out[n, 1] = polygons.xy[k, 1] - line * EXTENT
        n += 1
        if k % RUN == 0 and k + RUN <= end and off_one_side(polygons.runs[k // RUN], frame):
            k += RUN - 1
        else:
            k += 1
    return n


@njit(cache=True, nogil=True)
def _write_rejoined(
    out: NDArray[np.uint8], polygons: Polygons, row: int, tile: tuple[int, int, int], written: int
) -> int:
    """Write a unit that rounding or the tile's window cuts into pieces or to its holes."""
    first, last = polygons.firsts[row], polygons.firsts[row + 1]
    n_vertices = _n_vertices(polygons, row)
    room = CUTS * n_vertices
    xy, spare = np.empty((room, 2), np.int64), np.empty((room, 2), np.int64)
    loop = np.empty((room, 2), np.int64)
    kept = _empty_rings(room, n_vertices)
    n_kept = 0
    for ring in range(first, last):
        n = _move_ring(polygons, ring, tile, xy)
        if polygons.pinched[ring]:
            n_kept = append_loops(kept, n_kept, xy[:n], loop, spare)
            continue
        n, _ = clip_ring(xy, n, spare)
        if signed_area2(xy, n) != 0:
            n_kept = append_ring(kept, n_kept, xy[:n], polygons.shells[ring])
    used = kept.ends[n_kept - 1] if n_kept else 0
    joined = _empty_rings(ROOM * used + 4, used + 1)
    n_joined = rejoin(kept, n_kept, joined)
    if n_joined < 0:
        return written
    at = x = y = 0
    for ring in range(n_joined):
        vertices = joined.xy[(joined.ends[ring - 1] if ring else 0) : joined.ends[ring]]
        negative = signed_area2(vertices, len(vertices)) < 0
        step = -1 if negative == joined.shells[ring] else 1
        at, x, y = _write_ring(out, at, vertices, x, y, step)
    return at


@njit(cache=True, nogil=True)
def _write_speck(out: NDArray[np.uint8], box: NDArray[np.int32], tile: tuple[int, int, int]) -> int:
    """Write a square in the corner of a unit that has no area at this zoom."""
    _, column, line = tile
    west, north = box[0] - column * EXTENT, box[1] - line * EXTENT
    if not (-BUFFER <= west < EXTENT + BUFFER and -BUFFER <= north < EXTENT + BUFFER):
        return 0
    xy = np.array([[west, north], [west + 1, north], [west + 1, north + 1], [west, north + 1]])
    at, _, _ = _write_ring(out, 0, xy, 0, 0, 1)
    return at


@njit(cache=True, nogil=True)
def _empty_rings(n_vertices: int, n_rings: int) -> Rings:
    return Rings(
        np.empty((n_vertices, 2), np.int64),
        np.empty(n_rings, np.int64),
        np.empty(n_rings, np.bool_),
    )


@njit(cache=True, nogil=True)
def _n_vertices(polygons: Polygons, row: int) -> int:
    firsts = polygons.firsts
    return polygons.starts[firsts[row + 1]] - polygons.starts[firsts[row]]


@njit(cache=True, nogil=True)
def _is_within(box: NDArray[np.int32], frame: tuple[int, int, int, int]) -> bool:
    """Tell whether a unit lies in a tile and its buffer."""
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


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
    out: NDArray[np.uint8], at: int, xy: NDArray[np.integer], x: int, y: int, step: int
) -> tuple[int, int, int]:
    """Write MoveTo, LineTo, ClosePath, forwards (step 1) or backwards (-1) from vertex 0.

    The pen is at `x`, `y`; return where the next byte goes, and where the pen is then.
    """
    n = len(xy)
    at = write_varint(out, at, _MOVE_TO)
    at = write_varint(out, at, _zigzag(xy[0, 0] - x))
    at = write_varint(out, at, _zigzag(xy[0, 1] - y))
    at = write_varint(out, at, ((n - 1) << 3) | 2)
    x, y, k = xy[0, 0], xy[0, 1], 0 if step > 0 else n
    for _ in range(n - 1):
        k += step
        east, south = _zigzag(xy[k, 0] - x), _zigzag(xy[k, 1] - y)
        x, y = xy[k, 0], xy[k, 1]
        if east | south < 128:  # most edges are short
            out[at], out[at + 1] = east, south
            at += 2
        else:
            at = write_varint(out, write_varint(out, at, east), south)
    return write_varint(out, at, _CLOSE_PATH), x, y


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
    return copy_bytes(out, at, geometry[:size])


@njit(cache=True, nogil=True)
def _header(layers: Layers, layer: int) -> NDArray[np.uint8]:
    starts = layers.header_starts
    return layers.headers[starts[layer] : starts[layer + 1]]


@njit(cache=True, nogil=True)
def _write_layer(
    out: NDArray[np.uint8], at: int, header: NDArray[np.uint8], body: NDArray[np.uint8],
    texts: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], int]:  # fmt: skip
    """Write a whole layer message, framed as a field of the tile; nothing if it has no feature."""
    if not len(body):
        return out, at
    size = len(header) + len(body) + len(texts)
    out = _roomy(out, at, size + _BYTES_PER_RING)
    at = write_varint(out, at, _LAYER)
    at = write_varint(out, at, size)
    at = copy_bytes(out, at, header)
    at = copy_bytes(out, at, body)
    return out, copy_bytes(out, at, texts)


@njit(cache=True, nogil=True)
def copy_bytes(out: NDArray[np.uint8], at: int, part: NDArray[np.uint8]) -> int:
    """Copy bytes; return the next position. Counted from 0, the compiler copies 16 at once."""
    room = out[at : at + len(part)]
    for k in range(len(room)):
        room[k] = part[k]
    return at + len(part)


@njit(cache=True, nogil=True)
def _roomy(out: NDArray[np.uint8], used: int, need: int) -> NDArray[np.uint8]:
    """Return `out`, or a copy of twice the size if `need` more bytes do not fit."""
    if used + need <= len(out):
        return out
    larger = np.empty(2 * (used + need), np.uint8)
    copy_bytes(larger, 0, out[:used])
    return larger
