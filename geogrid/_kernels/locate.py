"""Positions as people send them: sorted out, converted, looked up, measured."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.cells import Cells, block_at, face_at, quarter_at, walk
from geogrid._kernels.datums import wgs84_of

HIT, OUTSIDE, NO_COORDINATES, NOT_A_NUMBER, OUT_OF_RANGE, SWAPPED = range(6)

_STEPS = 1e8
"""Steps of the integer grid in a degree."""

_RADIUS, _ECCENTRICITY2 = 6_378_137.0, 0.006694380022901
"""Of the ellipsoid: equatorial radius in metres, first eccentricity squared."""

_BATCH = 1024
"""Points looked up side by side: their loads from memory overlap instead of waiting in turn."""

_MEASURED = 32
"""Points measured side by side: their rings, some 500 bytes each, stay in the nearest cache."""

_VERTICES = 64
"""Of the rings around a point, in the room that is made at first; most have fewer."""


class Borders(NamedTuple):
    """What distances are measured to: the rings of the polygons and the city's outline.

    Polygon `k` has the rings `firsts[k]` to `firsts[k + 1] - 1`; ring `r` has the vertices
    `origin + xy[starts[r]:starts[r + 1]]`; `beyond` is the polygon on the other side of the edge
    that starts at each vertex, -1 for none. Edges of the outline are `origin` (twice)
    `+ outline[k]`, x0 y0 x1 y1, with the polygon inside each; `cells` and `items` list them by
    coarse cells, of which `shape` is columns, rows and side, at least `reach` metres.
    """

    origin: tuple[int, int]
    xy: NDArray[np.int32]
    starts: NDArray[np.int64]
    firsts: NDArray[np.int64]
    beyond: NDArray[np.int32]
    outline: NDArray[np.int32]
    inner: NDArray[np.int32]
    cells: NDArray[np.int64]
    items: NDArray[np.int32]
    shape: tuple[int, int, int]
    reach: float


@njit(cache=True, nogil=True)
def triage(lon: float, lat: float, box: tuple[float, float, float, float]) -> int:
    """Return the status of a position before it is looked up; `box` is west south east north."""
    if np.isinf(lon) or np.isinf(lat):
        return NOT_A_NUMBER
    if np.isnan(lon) or np.isnan(lat) or (lon == 0.0 and lat == 0.0):
        return NO_COORDINATES
    west, south, east, north = box
    upright = west <= lon <= east and south <= lat <= north
    if not upright and west <= lat <= east and south <= lon <= north:
        return SWAPPED
    if abs(lon) > 180.0 or abs(lat) > 90.0:
        return OUT_OF_RANGE
    return OUTSIDE


@njit(cache=True, nogil=True)
def locate_one(
    lon: float, lat: float, height: int, box: tuple[float, float, float, float], cells: Cells
) -> tuple[int, int, bool]:
    """Return face (-1 for none), status and on-edge of one position."""
    status = triage(lon, lat, box)
    if status != OUTSIDE:
        return -1, status, False
    lon, lat = wgs84_of(lon, lat, height)
    x, y = np.int64(np.rint(lon * _STEPS)), np.int64(np.rint(lat * _STEPS))
    row, on_edge = face_at(x, y, cells)
    return row, (HIT if row >= 0 else OUTSIDE), on_edge


@njit(cache=True, nogil=True)
def locate(
    xy: NDArray[np.float64],
    height: int,
    box: tuple[float, float, float, float],
    cells: Cells,
    points: NDArray[np.int64],
    rows: NDArray[np.int32],
    status: NDArray[np.int8],
    on_edge: NDArray[np.bool_],
) -> int:
    """Convert and look up positions, as `locate_one` does with each.

    Parameters
    ----------
    xy : (n, 2) float
        Longitude and latitude; NaN is missing, infinity is no number.
    height : int
        Datum, as for `wgs84_of`.
    box : west south east north
        Where positions are expected, to recognise swapped pairs.
    cells : Cells
    points : (n, 2) int64
        Filled with the positions on the integer grid.
    rows, status, on_edge : (n,)
        Filled with face (-1 for none), status and whether the point is on an edge.

    Returns
    -------
    int
        Of no meaning.
    """
    waiting, what = np.empty(_BATCH, np.int64), np.empty(_BATCH, np.int64)
    outside, edges = cells.outside, cells.edges
    loaded, last_edge = np.int64(0), len(edges) - 1
    for first in range(0, len(xy), _BATCH):
        last = min(first + _BATCH, len(xy))
        for p in range(first, last):
            lon, lat = xy[p, 0], xy[p, 1]
            status[p], on_edge[p] = triage(lon, lat, box), False
            if status[p] == OUTSIDE:
                if height > 0:
                    lon, lat = wgs84_of(lon, lat, height)
                points[p, 0], points[p, 1] = np.rint(lon * _STEPS), np.rint(lat * _STEPS)
            else:
                points[p, 0], points[p, 1] = cells.west - 1, cells.south - 1
        n = 0
        for p in range(first, last):
            face = block_at(points[p, 0], points[p, 1], cells)
            rows[p] = face
            waiting[n], what[n] = p, face
            n += face < 0
        m = 0
        for k in range(n):
            p = waiting[k]
            face = quarter_at(points[p, 0], points[p, 1], what[k], cells)
            rows[p] = face
            waiting[m], what[m] = p, face
            m += face < 0
        for k in range(m):
            # Into the cache, all at once; two edges and a half fill a line of it.
            loaded ^= edges[~what[k]] ^ edges[min(~what[k] + 15, last_edge)]
        for k in range(m):
            p = waiting[k]
            face, lowest = walk(points[p, 0], points[p, 1], what[k], cells)
            on_edge[p] = lowest < outside
            rows[p] = lowest if on_edge[p] else face
        for p in range(first, last):
            if rows[p] < outside:
                status[p] = HIT
            else:
                rows[p] = -1
    return loaded  # or the compiler would leave the loads out


@njit(cache=True, nogil=True)
def metres_per_step(y: int) -> tuple[float, float]:
    """Return the length of a step east and north on the ellipsoid of CGCS2000 (GB/T 30168)."""
    latitude = np.radians(y / _STEPS)
    w2 = 1.0 - _ECCENTRICITY2 * np.sin(latitude) ** 2
    east = _RADIUS * np.cos(latitude) / np.sqrt(w2)
    north = _RADIUS * (1.0 - _ECCENTRICITY2) / (w2 * np.sqrt(w2))
    return np.radians(east) / _STEPS, np.radians(north) / _STEPS


@njit(cache=True, nogil=True, error_model="numpy")
def _squared(ax: float, ay: float, dx: float, dy: float) -> float:
    """Return the squared distance from the origin to the edge from (ax, ay) over (dx, dy).

    Infinite for one without a length: its vertex belongs to other edges.
    """
    length = dx * dx + dy * dy
    t = -(ax * dx + ay * dy) / length
    t = 0.0 if t < 0.0 else t  # as a choice, of which a long loop makes no branch
    t = 1.0 if t > 1.0 else t
    x, y = ax + t * dx, ay + t * dy
    return x * x + y * y if length > 0.0 else np.inf


@njit(cache=True, nogil=True)
def _spread(
    vertices: NDArray[np.int32], x: float, y: float, scale: tuple[float, float],
    room: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:  # fmt: skip
    """Fill in how far east and north of (x, y) vertices lie, in metres."""
    xs, ys = room
    for i in range(len(vertices)):
        xs[i] = (vertices[i, 0] - x) * scale[0]
        ys[i] = (vertices[i, 1] - y) * scale[1]


@njit(cache=True, nogil=True, error_model="numpy")
def _square(xs: NDArray[np.float64], ys: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
    """Fill in squared distances from the origin to the edge from each vertex to the next.

    No step depends on another and none branches, so that the compiler takes four edges at a time:
    all of them cost less than to leave out, one by one, those that lie too far. What is left at
    the end of a loop is taken one by one, with branches, at ten times the cost: so one long loop
    takes the edges of many points.
    """
    bx, by = xs[1:], ys[1:]
    for i in range(len(bx)):
        squares[i] = _squared(xs[i], ys[i], bx[i] - xs[i], by[i] - ys[i])


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _least(values: NDArray[np.float64]) -> float:
    """Return the least of values of which none is NaN."""
    least = np.inf
    for value in values:
        least = value if value < least else least
    return least


@njit(cache=True, nogil=True)
def _nearest(
    squares: NDArray[np.float64], row: int, firsts: NDArray[np.int64], starts: NDArray[np.int64],
    beyond: NDArray[np.int32],
) -> tuple[float, int]:  # fmt: skip
    """Return metres to the nearest edge of a polygon, and the polygon beyond it.

    `squares` are those of all its vertices; what leads from one ring to the next is blotted out.
    Arrays are given one by one: a tuple of them would be taken apart for each point.
    """
    first = starts[firsts[row]]
    for ring in range(firsts[row], firsts[row + 1]):
        squares[starts[ring + 1] - 1 - first] = np.inf
    best, beside = _least(squares), np.int64(-1)
    for i in range(len(squares)):
        if squares[i] == best:
            other = np.int64(beyond[first + i])
            if other >= 0 and (other < beside or beside < 0):
                beside = other
    return np.sqrt(best), beside


@njit(cache=True, nogil=True)
def _to_polygon(x: int, y: int, row: int, borders: Borders) -> tuple[float, int]:
    """Return metres from a point to the nearest edge of a polygon, and the polygon beyond it."""
    firsts, starts = borders.firsts, borders.starts
    start, end = starts[firsts[row]], starts[firsts[row + 1]]
    xs, ys, squares = np.empty(end - start), np.empty(end - start), np.empty(end - start)
    # As floats, which are exact here: int64 would be converted again for each vertex.
    x_here, y_here = float(x - borders.origin[0]), float(y - borders.origin[1])
    _spread(borders.xy[start:end], x_here, y_here, metres_per_step(y), (xs, ys))
    _square(xs, ys, squares)
    return _nearest(squares, row, firsts, starts, borders.beyond)


@njit(cache=True, nogil=True)
def _to_outline(x: int, y: int, borders: Borders) -> tuple[float, int]:
    """Return metres from a point outside to the outline, and the polygon inside; NaN if far."""
    columns, rows, cell = borders.shape
    east, north = metres_per_step(y)
    x, y = x - borders.origin[0], y - borders.origin[1]
    column, row = x // cell, y // cell
    if column < -1 or row < -1 or column > columns or row > rows:
        return np.nan, np.int64(-1)
    ends, inner = borders.outline, borders.inner
    best, beside = borders.reach * borders.reach, np.int64(-1)
    for r in range(max(row - 1, 0), min(row + 2, rows)):
        for c in range(max(column - 1, 0), min(column + 2, columns)):
            for k in range(borders.cells[r * columns + c], borders.cells[r * columns + c + 1]):
                i = borders.items[k]
                d = _squared(
                    (ends[i, 0] - x) * east, (ends[i, 1] - y) * north,
                    (np.int64(ends[i, 2]) - ends[i, 0]) * east,
                    (np.int64(ends[i, 3]) - ends[i, 1]) * north,
                )  # fmt: skip
                if d < best or (d == best and inner[i] < beside):
                    best, beside = d, np.int64(inner[i])
    return (np.sqrt(best) if beside >= 0 else np.nan), beside


@njit(cache=True, nogil=True)
def measure(
    points: NDArray[np.int64],
    rows: NDArray[np.int32],
    status: NDArray[np.int8],
    borders: Borders,
    metres: NDArray[np.float64],
    neighbours: NDArray[np.int32],
) -> int:
    """Measure from each point to the nearest edge of its polygon or, outside, to the outline.

    Parameters
    ----------
    points : (p, 2) int64
    rows : (p,) int32
        Points and the polygon of each, -1 for none.
    status : (p,) int8
        Of points without a polygon, only those that are `OUTSIDE` are measured.
    borders : Borders
    metres : (p,) float
        Filled in where a point has a polygon, or lies within `borders.reach` of the outline.
    neighbours : (p,) int32
        Filled with the polygon beyond the nearest edge, or inside the nearest edge of the outline;
        of edges equally near, the lowest polygon; -1 for none.

    Returns
    -------
    int
        Of no meaning.
    """
    xy, beyond, starts, firsts = borders.xy, borders.beyond, borders.starts, borders.firsts
    loaded, room = np.int64(0), _MEASURED * _VERTICES
    xs, ys, squares = np.empty(room), np.empty(room), np.empty(room)
    ends = np.zeros(_MEASURED + 1, np.int64)  # of the vertices around each point, in the room
    for first in range(0, len(points), _MEASURED):
        last = min(first + _MEASURED, len(points))
        for p in range(first, last):
            row, k = max(rows[p], 0), p - first
            ends[k + 1] = ends[k] + starts[firsts[row + 1]] - starts[firsts[row]]
        if ends[last - first] > room:
            room = ends[last - first]
            xs, ys, squares = np.empty(room), np.empty(room), np.empty(room)
        for p in range(first, last):
            row = max(rows[p], 0)
            # Into the cache, all at once; eight vertices fill a line of it.
            for i in range(starts[firsts[row]], starts[firsts[row + 1]], 8):
                loaded ^= xy[i, 0] ^ beyond[i]
        for p in range(first, last):
            start, at, end = starts[firsts[max(rows[p], 0)]], ends[p - first], ends[p - first + 1]
            x, y = points[p, 0] - borders.origin[0], points[p, 1] - borders.origin[1]
            vertices, scale = xy[start : start + end - at], metres_per_step(points[p, 1])
            _spread(vertices, float(x), float(y), scale, (xs[at:end], ys[at:end]))
        _square(xs[: ends[last - first]], ys[: ends[last - first]], squares)
        for p in range(first, last):
            if rows[p] >= 0:
                of_point = squares[ends[p - first] : ends[p - first + 1]]
                metres[p], neighbours[p] = _nearest(of_point, rows[p], firsts, starts, beyond)
            elif status[p] == OUTSIDE:
                metres[p], neighbours[p] = _to_outline(points[p, 0], points[p, 1], borders)
    return loaded  # or the compiler would leave the loads out


@njit(cache=True, nogil=True)
def place_one(
    lon: float,
    lat: float,
    height: int,
    box: tuple[float, float, float, float],
    cells: Cells,
    borders: Borders,
) -> tuple[int, int, bool, float, int]:
    """Return row, status, on-edge, metres and neighbour, as `locate` and `measure` do."""
    status = triage(lon, lat, box)
    if status != OUTSIDE:
        return -1, status, False, np.nan, -1
    lon, lat = wgs84_of(lon, lat, height)
    x, y = np.int64(np.rint(lon * _STEPS)), np.int64(np.rint(lat * _STEPS))
    row, on_edge = face_at(x, y, cells)
    if row >= 0:
        metres, beside = _to_polygon(x, y, row, borders)
        return row, HIT, on_edge, metres, beside
    metres, beside = _to_outline(x, y, borders)
    return row, OUTSIDE, on_edge, metres, beside


@njit(cache=True)
def index_boxes(
    boxes: NDArray[np.int64], origin: NDArray[np.int64], cell: int, shape: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """List the boxes that touch each cell of a uniform grid, by counting sort.

    Parameters
    ----------
    boxes : (n, 4) int64
        West south east north; all inside the grid.
    origin : (2,) int64
        South-west corner of cell 0.
    cell : int
        Side of a cell.
    shape : (2,) int64
        Columns and rows.

    Returns
    -------
    starts : (columns * rows + 1,) int64
    items : int32
        Box numbers; those of cell `c` are `items[starts[c]:starts[c + 1]]`, ascending.
    """
    columns = shape[0]
    spans = boxes.copy()  # west south east north, in cells
    for box in range(len(boxes)):
        for k in range(4):
            spans[box, k] = (boxes[box, k] - origin[k % 2]) // cell
    starts = np.zeros(columns * shape[1] + 1, np.int64)
    for box in range(len(boxes)):
        west, south, east, north = spans[box]
        for row in range(south, north + 1):
            for column in range(west, east + 1):
                starts[row * columns + column + 1] += 1
    for c in range(len(starts) - 1):
        starts[c + 1] += starts[c]
    filled = starts[:-1].copy()
    items = np.empty(starts[-1], np.int32)
    for box in range(len(boxes)):
        west, south, east, north = spans[box]
        for row in range(south, north + 1):
            for column in range(west, east + 1):
                c = row * columns + column
                items[filled[c]] = box
                filled[c] += 1
    return starts, items
