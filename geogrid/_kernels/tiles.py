"""Vector tiles (Mapbox Vector Tile 2.1) as bytes: which units, their geometry, their properties."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels import counting, lean
from geogrid._kernels.clipping import (
    BUFFER,
    CUTS,
    EXTENT,
    RUN,
    Rings,
    append_loops,
    append_ring,
    clip_ring,
    off_one_side,
    signed_area2,
    turn_round,
    window,
)
from geogrid._kernels.joining import ROOM, is_bent, rejoin
from geogrid._kernels.messages import copy_part, varint_size, write_two, write_varint, zigzag

INDEX_ZOOM = 12
"""A tile of this zoom touches some 800 micro-grids; 20,000 boxes are scanned above it in 20 us."""

_BYTES_PER_VERTEX, _BYTES_PER_RING, _BYTES_PER_FEATURE = 4, 16, 96

# Fields of the messages Tile, Layer and Feature: number and wire type (specification, 4.1).
_LAYER, _FEATURE, _ID, _TAGS, _TYPE, _GEOMETRY = 0x1A, 0x12, 0x08, 0x12, 0x18, 0x22
_MOVE_TO, _CLOSE_PATH, _POINT, _POLYGON = 9, 15, 1, 3

_KEYS = 3
"""Properties of a feature."""


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


class Room(NamedTuple):
    """Memory for a tile, enough for whatever may be in it.

    All is taken at once, so that what runs for each unit can be `lean`.
    """

    out: NDArray[np.uint8]
    body: NDArray[np.uint8]
    texts: NDArray[np.uint8]
    geometry: NDArray[np.uint8]
    tags: NDArray[np.int64]
    slots: NDArray[np.int32]
    xy: NDArray[np.int32]
    spare: NDArray[np.int32]
    kept: Rings


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
    room = _room(polygons, values, layers, rows)
    at = row = 0
    for layer in range(len(layers.firsts) - 1):
        until = row
        while until < len(rows) and rows[until] < layers.firsts[layer + 1]:
            until += 1
        if until > row:
            first = layers.firsts[layer]
            size, n = _polygon_layer(polygons, values, rows[row:until], first, tile, room)
            at = _write_layer(room, at, layers, layer, size, n)
        row = until
    labelled = rows[: np.searchsorted(rows, n_labelled)]
    if len(labelled):
        size, n = _label_layer(points, values, labelled, tile, room)
        at = _write_layer(room, at, layers, len(layers.firsts) - 1, size, n)
    return room.out[:at]


@njit(cache=True, nogil=True)
def _rows(boxes: NDArray[np.int32], index: Index, tile: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the rows of the units whose box touches the tile and its buffer, ascending."""
    zoom, x, y = tile
    frame = window(x, y)
    if zoom < INDEX_ZOOM:
        every = np.empty(len(boxes), np.int64)
        n = 0
        for row in range(len(boxes)):
            every[n] = row
            n += not off_one_side(boxes, row, frame)
        return every[:n]
    column = (x >> zoom - INDEX_ZOOM) - index.origin[0]
    line = (y >> zoom - INDEX_ZOOM) - index.origin[1]
    first = last = 0
    if 0 <= column < index.shape[0] and 0 <= line < index.shape[1]:
        cell = line * index.shape[0] + column
        first, last = index.cells[cell], index.cells[cell + 1]
    near = np.empty(last - first, np.int64)
    n = 0
    for item in range(first, last):
        near[n] = index.items[item]
        n += not off_one_side(boxes, near[n], frame)
    return near[:n]


@njit(cache=True, nogil=True)
def _room(polygons: Polygons, values: Values, layers: Layers, rows: NDArray[np.int64]) -> Room:
    """Return room for a tile in which these units are."""
    most = largest = size = own = 0
    for row in rows:
        n_vertices = _n_vertices(polygons, row)
        n_rings = polygons.firsts[row + 1] - polygons.firsts[row]
        need = _BYTES_PER_VERTEX * CUTS * n_vertices + _BYTES_PER_RING * (n_rings + 1)
        most, largest = max(most, n_vertices), max(largest, need)
        size += need + _BYTES_PER_FEATURE
        own += values.own_starts[2 * row + 2] - values.own_starts[2 * row]
    vertices = CUTS * most + 4
    # A unit is in one layer and among the labels, a value that many have at most once in a layer.
    whole = 2 * (size + own) + len(layers.firsts) * (len(values.shared) + _BYTES_PER_RING)
    return Room(
        np.empty(whole + len(layers.headers), np.uint8),
        np.empty(size, np.uint8),
        np.empty(own + len(values.shared), np.uint8),
        np.empty(largest, np.uint8),
        np.empty(2 * _KEYS, np.int64),
        np.empty(len(values.shared_starts) - 1, np.int32),
        np.empty((vertices, 2), np.int32),
        np.empty((vertices, 2), np.int32),
        _empty_rings(vertices, most),
    )


@lean
def _polygon_layer(
    polygons: Polygons, values: Values, rows: NDArray[np.int64], first: int,
    tile: tuple[int, int, int], room: Room,
) -> tuple[int, int]:  # fmt: skip
    """Write the features of one level, whose first row is `first`, and the values that they use.

    Return how many bytes of `room.body` and of `room.texts` are used.
    """
    tags, texts, slots = room.tags, room.texts, room.slots
    size = n = n_values = 0
    slots[:] = -1
    for row in rows:
        length = _write_unit(polygons, row, tile, room)
        if length == 0:
            continue
        n = copy_part(
            texts, n, values.own, values.own_starts[2 * row], values.own_starts[2 * row + 2]
        )
        tags[0], tags[1], tags[2], tags[3] = 0, n_values, 1, n_values + 1
        households = values.numbers[row, 0]
        n, n_values = _share(values, households, slots, texts, n, n_values + 2)
        tags[4], tags[5] = 2, slots[households]
        size = _write_feature(room, size, row - first, _POLYGON, length)
    return size, n


@lean
def _label_layer(
    points: NDArray[np.float64], values: Values, rows: NDArray[np.int64],
    tile: tuple[int, int, int], room: Room,
) -> tuple[int, int]:  # fmt: skip
    """Do what `_polygon_layer` does with the labels of units; a point is in exactly one tile."""
    zoom, x, y = tile
    scale = float(EXTENT << zoom)
    tags, texts, slots = room.tags, room.texts, room.slots
    size = n = n_values = 0
    slots[:] = -1
    for row in rows:
        east = int(np.floor(points[row, 0] * scale)) - x * EXTENT
        south = int(np.floor(points[row, 1] * scale)) - y * EXTENT
        if not (0 <= east < EXTENT and 0 <= south < EXTENT):
            continue
        length = write_varint(room.geometry, 0, _MOVE_TO)
        length = write_two(room.geometry, length, zigzag(east), zigzag(south))
        level, name = values.numbers[row, 1], values.numbers[row, 2]
        n, n_values = _share(values, level, slots, texts, n, n_values)
        n = copy_part(
            texts, n, values.own, values.own_starts[2 * row], values.own_starts[2 * row + 1]
        )
        tags[0], tags[1], tags[2], tags[3] = 0, slots[level], 1, n_values
        n, n_values = _share(values, name, slots, texts, n, n_values + 1)
        tags[4], tags[5] = 2, slots[name]
        size = _write_feature(room, size, row, _POINT, length)
    return size, n


@lean
def _share(
    values: Values, number: int, slots: NDArray[np.int32], texts: NDArray[np.uint8], n: int,
    n_values: int,
) -> tuple[int, int]:  # fmt: skip
    """Give a shared value a number in the layer, unless it has one; write it behind the others."""
    if slots[number] < 0:
        slots[number] = n_values
        n_values += 1
        starts = values.shared_starts
        n = copy_part(texts, n, values.shared, starts[number], starts[number + 1])
    return n, n_values


@lean
def _write_unit(polygons: Polygons, row: int, tile: tuple[int, int, int], room: Room) -> int:
    """Write the geometry of a unit in a tile; return its size in bytes, 0 if it is not there."""
    first, last = polygons.firsts[row], polygons.firsts[row + 1]
    _, column, line = tile
    pinched = False
    for ring in range(first, last):
        pinched |= polygons.pinched[ring]
    if first == last:
        size = _write_speck(polygons, row, tile, room)
    elif not pinched and _is_within(polygons.boxes, row, window(column, line)):
        size, x, y = 0, column * EXTENT, line * EXTENT
        for ring in range(first, last):
            start, end = polygons.starts[ring], polygons.starts[ring + 1]
            size, x, y = _write_ring(room.geometry, size, polygons.xy, start, end, x, y)
    else:
        n_kept, bent = _clip_unit(polygons, row, tile, room)
        if pinched or bent:
            size = _write_rejoined(polygons, row, tile, room, n_kept, pinched)
        else:
            size = _write_rings(room.geometry, room.kept, n_kept)
    return size


@lean
def _clip_unit(
    polygons: Polygons, row: int, tile: tuple[int, int, int], room: Room
) -> tuple[int, bool]:
    """Clip the rings of a unit; return how many are kept, and whether they are to be joined anew.

    Holes whose shell is elsewhere are left out.
    """
    xy = room.xy
    n_kept, drawn, bent = 0, True, False
    for ring in range(polygons.firsts[row], polygons.firsts[row + 1]):
        shell = polygons.shells[ring]
        if not shell and not drawn:
            continue
        n, crossings = clip_ring(xy, _move_ring(polygons, ring, tile, xy), room.spare)
        bent |= is_bent(xy, n, shell, crossings)
        area = signed_area2(xy, n)
        if shell:
            drawn = area != 0
        if area != 0:
            if (area < 0) != shell:
                turn_round(xy, n)
            n_kept = append_ring(room.kept, n_kept, xy, 0, n, shell)
    return n_kept, bent


@lean
def _move_ring(
    polygons: Polygons, ring: int, tile: tuple[int, int, int], out: NDArray[np.int32]
) -> int:
    """Copy a ring in units of the tile, runs off one side as one edge; return its vertices."""
    _, column, line = tile
    frame = window(column, line)
    west, north = column * EXTENT, line * EXTENT
    k, end = polygons.starts[ring], polygons.starts[ring + 1]
    n = 0
    while k < end:
        following = min((k // RUN + 1) * RUN, end)
        off = following - k == RUN and off_one_side(polygons.runs, k // RUN, frame)
        for vertex in range(k, following, RUN - 1 if off else 1):
            out[n, 0], out[n, 1] = polygons.xy[vertex, 0] - west, polygons.xy[vertex, 1] - north
            n += 1
        k = following
    return n


@counting
def _write_rejoined(
    polygons: Polygons, row: int, tile: tuple[int, int, int], room: Room, n_kept: int,
    pinched: bool,
) -> int:  # fmt: skip
    """Write a unit that rounding or the tile's window cuts into pieces or to its holes."""
    kept = room.kept
    if pinched:
        n_kept = _clip_loops(polygons, row, tile, room)
    used = kept.ends[n_kept - 1] if n_kept else 0
    joined = _empty_rings(ROOM * used + 4, used + 1)
    n_joined = rejoin(kept, n_kept, joined)
    if n_joined >= 0:
        return _write_rings(room.geometry, joined, n_joined)
    if pinched:
        n_kept, _ = _clip_unit(polygons, row, tile, room)
    return _write_rings(room.geometry, kept, n_kept)


@njit(cache=True, nogil=True)
def _clip_loops(polygons: Polygons, row: int, tile: tuple[int, int, int], room: Room) -> int:
    """Clip the rings of a unit of which one meets itself, as the loops that it is made of."""
    n_kept, loop = 0, np.empty_like(room.spare)
    for ring in range(polygons.firsts[row], polygons.firsts[row + 1]):
        n = _move_ring(polygons, ring, tile, room.xy)
        if polygons.pinched[ring]:
            n_kept = append_loops(room.kept, n_kept, room.xy[:n], loop, room.spare)
            continue
        n, _ = clip_ring(room.xy, n, room.spare)
        if signed_area2(room.xy, n) != 0:
            n_kept = append_ring(room.kept, n_kept, room.xy, 0, n, polygons.shells[ring])
    return n_kept


@lean
def _write_rings(out: NDArray[np.uint8], rings: Rings, n_rings: int) -> int:
    """Write the geometry of a unit, in units of the tile; return its size."""
    at = x = y = start = 0
    for ring in range(n_rings):
        at, x, y = _write_ring(out, at, rings.xy, start, rings.ends[ring], x, y)
        start = rings.ends[ring]
    return at


@lean
def _write_speck(polygons: Polygons, row: int, tile: tuple[int, int, int], room: Room) -> int:
    """Write a square in the corner of a unit that has no area at this zoom."""
    _, column, line = tile
    west, north = polygons.boxes[row, 0] - column * EXTENT, polygons.boxes[row, 1] - line * EXTENT
    if not (-BUFFER <= west < EXTENT + BUFFER and -BUFFER <= north < EXTENT + BUFFER):
        return 0
    for k in range(4):
        room.xy[k, 0], room.xy[k, 1] = west + k // 2, north + (k + 1) // 2 % 2
    size, _, _ = _write_ring(room.geometry, 0, room.xy, 0, 4, 0, 0)
    return size


@njit(cache=True, nogil=True)
def _empty_rings(n_vertices: int, n_rings: int) -> Rings:
    return Rings(
        np.empty((n_vertices, 2), np.int32),
        np.empty(n_rings, np.int64),
        np.empty(n_rings, np.bool_),
    )


@lean
def _n_vertices(polygons: Polygons, row: int) -> int:
    firsts = polygons.firsts
    return polygons.starts[firsts[row + 1]] - polygons.starts[firsts[row]]


@lean
def _is_within(boxes: NDArray[np.int32], row: int, frame: tuple[int, int, int, int]) -> bool:
    """Tell whether a unit lies in a tile and its buffer."""
    west, north, east, south = frame
    return (
        boxes[row, 0] >= west
        and boxes[row, 1] >= north
        and boxes[row, 2] <= east
        and boxes[row, 3] <= south
    )


@lean
def _write_ring(
    out: NDArray[np.uint8], at: int, xy: NDArray[np.int32], start: int, end: int, x: int, y: int
) -> tuple[int, int, int]:
    """Write MoveTo, LineTo, ClosePath backwards from the first vertex: the inside is on the left.

    The pen is at `x`, `y`; return where the next byte goes, and where the pen is then.
    """
    at = write_varint(out, at, _MOVE_TO)
    at = write_two(out, at, zigzag(xy[start, 0] - x), zigzag(xy[start, 1] - y))
    at = write_varint(out, at, ((end - start - 1) << 3) | 2)
    x, y = xy[start, 0], xy[start, 1]
    for k in range(end - 1, start, -1):
        at = write_two(out, at, zigzag(xy[k, 0] - x), zigzag(xy[k, 1] - y))
        x, y = xy[k, 0], xy[k, 1]
    return write_varint(out, at, _CLOSE_PATH), x, y


@lean
def _write_feature(room: Room, at: int, number: int, kind: int, size: int) -> int:
    """Write a feature, whose geometry has this size, into the body of a layer, framed as its field.

    Return where the next one goes.
    """
    out, tags = room.body, room.tags
    tag_size = 0
    for tag in tags:
        tag_size += varint_size(tag)
    body = 1 + varint_size(number) + 1 + varint_size(tag_size) + tag_size
    body += 2 + 1 + varint_size(size) + size
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
    return copy_part(out, at, room.geometry, 0, size)


@lean
def _write_layer(room: Room, at: int, layers: Layers, layer: int, size: int, n: int) -> int:
    """Write a whole layer message, framed as a field of the tile; nothing if it has no feature.

    Its features are the first `size` bytes of `room.body`, its values `n` of `room.texts`.
    """
    if size == 0:
        return at
    out, start, end = room.out, layers.header_starts[layer], layers.header_starts[layer + 1]
    at = write_varint(out, at, _LAYER)
    at = write_varint(out, at, end - start + size + n)
    at = copy_part(out, at, layers.headers, start, end)
    at = copy_part(out, at, room.body, 0, size)
    return copy_part(out, at, room.texts, 0, n)
