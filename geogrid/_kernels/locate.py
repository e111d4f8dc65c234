"""Point in polygon on whole numbers, and the index of cells that finds the few candidates.

All products are of differences inside one polygon's box: exact in int64 up to 20 degrees.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

OUT, EDGE, IN = 0, 1, 2


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


@njit(cache=True)
def side(x: int, y: int, xy: NDArray[np.int64], starts: NDArray[np.int64]) -> int:
    """Return OUT, EDGE or IN for a point and the rings `xy[starts[k]:starts[k + 1]]`.

    A ray to the east is crossed by every edge that passes the point's height; an edge's lower end
    belongs to it and its upper end does not, so a vertex is not counted twice.
    """
    inside = False
    for ring in range(len(starts) - 1):
        for i in range(starts[ring], starts[ring + 1] - 1):
            x0, y0, x1, y1 = xy[i, 0], xy[i, 1], xy[i + 1, 0], xy[i + 1, 1]
            if (y0 > y) != (y1 > y):
                turn = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
                if turn == 0:
                    return EDGE
                if (turn > 0) == (y1 > y0):
                    inside = not inside
            else:
                at_end = (x0 == x and y0 == y) or (x1 == x and y1 == y)
                if at_end or (y0 == y and y1 == y and (x0 < x) != (x1 < x)):
                    return EDGE
    return IN if inside else OUT


@njit(cache=True)
def find(
    points: NDArray[np.int64],
    xy: NDArray[np.int64],
    starts: NDArray[np.int64],
    firsts: NDArray[np.int64],
    boxes: NDArray[np.int64],
    cells: NDArray[np.int64],
    items: NDArray[np.int32],
    origin: NDArray[np.int64],
    cell: int,
    shape: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find the first polygon that covers each point, and whether the point is on its edge.

    Parameters
    ----------
    points : (p, 2) int64
    xy, starts : rings
    firsts : (n + 1,) int64
        Polygon `k` has the rings `firsts[k]` to `firsts[k + 1] - 1`.
    boxes : (n, 4) int64
    cells, items, origin, cell, shape
        What `index_boxes` was given and gave.

    Returns
    -------
    rows : (p,) int64
        -1 where no polygon covers the point.
    on_edge : (p,) bool
    """
    rows = np.full(len(points), -1, np.int64)
    on_edge = np.zeros(len(points), np.bool_)
    for p in range(len(points)):
        x, y = points[p, 0], points[p, 1]
        column, row = (x - origin[0]) // cell, (y - origin[1]) // cell
        if column < 0 or row < 0 or column >= shape[0] or row >= shape[1]:
            continue
        c = row * shape[0] + column
        for k in range(cells[c], cells[c + 1]):
            box = items[k]
            if x < boxes[box, 0] or y < boxes[box, 1] or x > boxes[box, 2] or y > boxes[box, 3]:
                continue
            where = side(x, y, xy, starts[firsts[box] : firsts[box + 1] + 1])
            if where != OUT:
                rows[p] = box
                on_edge[p] = where == EDGE
                break
    return rows, on_edge


@njit(cache=True)
def nearest_edge(
    points: NDArray[np.int64],
    rows: NDArray[np.int64],
    scale: NDArray[np.float64],
    xy: NDArray[np.int64],
    starts: NDArray[np.int64],
    firsts: NDArray[np.int64],
    beyond: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Measure the distance from each point to the nearest edge of its polygon.

    Parameters
    ----------
    points, rows : (p, 2) and (p,) int64
        Points and the polygon of each; nothing is measured where it is -1.
    scale : (p, 2) float
        Metres a step, east and north, at each point.
    xy, starts, firsts : polygons
    beyond : (v,) int64
        Polygon on the other side of the edge that starts at each vertex; -1 for none.

    Returns
    -------
    metres : (p,) float
        NaN where nothing is measured.
    neighbours : (p,) int64
        Polygon beyond the nearest edge; of edges equally near, the lowest polygon; -1 for none.
    """
    metres = np.full(len(points), np.nan)
    neighbours = np.full(len(points), -1, np.int64)
    for p in range(len(points)):
        if rows[p] < 0:
            continue
        best, beside = np.inf, -1
        for ring in range(firsts[rows[p]], firsts[rows[p] + 1]):
            for i in range(starts[ring], starts[ring + 1] - 1):
                ax = (xy[i, 0] - points[p, 0]) * scale[p, 0]
                ay = (xy[i, 1] - points[p, 1]) * scale[p, 1]
                dx = (xy[i + 1, 0] - xy[i, 0]) * scale[p, 0]
                dy = (xy[i + 1, 1] - xy[i, 1]) * scale[p, 1]
                t = min(1.0, max(0.0, -(ax * dx + ay * dy) / (dx * dx + dy * dy)))
                d = np.hypot(ax + t * dx, ay + t * dy)
                other = beyond[i]
                if d < best or (d == best and other >= 0 and (other < beside or beside < 0)):
                    best, beside = d, other
        metres[p] = best
        neighbours[p] = beside
    return metres, neighbours
