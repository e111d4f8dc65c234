"""Which face of a planar map a point lies in, on whole numbers, by an index of cells.

The map is covered by square blocks of two by two cells. A block that no edge enters holds its face;
any other refers to its four cells. A cell that no edge enters holds its face; any other refers to
the face at its corner and the edges that enter it. From the corner to the point leads a path, first
north and then east. Each edge that the path crosses changes the face from the one on its left to
the one on its right, so the exclusive or of all crossings, in whatever order they are met, changes
the corner's face into the point's. Edges that stay out of a cell cannot be crossed inside it.

Cells begin half a step before a whole number. In half steps, vertices and points are odd and the
sides of cells even: no vertex ever lies on a side. In the few cases where something is neither left
nor right of an edge, corner and path are taken to lie a hair further north.
Differences are below 2**30 half steps, their products below 2**60: exact in int64.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_EDGE = 6
"""Numbers an edge takes: x, y, dx, dy in half steps from the cell's corner, and two faces."""

_HEAD = 2
"""Numbers in front of a cell's edges: face at the corner, number of edges."""


class Cells(NamedTuple):
    """The index.

    Attributes
    ----------
    west, south : int
        South-west corner of the first block, in steps.
    shift : int
        A cell is `2**shift` steps wide and high.
    columns, rows : int
        Blocks from west to east and from south to north.
    outside : int
        Number of faces, which stands for the face outside all.
    blocks : (columns * rows,) int32
        The block's face, or the bit complement of its number in `quarters`.
    quarters : (4 * q,) int32
        Of each divided block south-west, south-east, north-west, north-east: the cell's face, or
        the bit complement of a position in `edges`.
    edges : int32
        At that position: face of the corner, number of edges, six numbers an edge.
    """

    west: int
    south: int
    shift: int
    columns: int
    rows: int
    outside: int
    blocks: NDArray[np.int32]
    quarters: NDArray[np.int32]
    edges: NDArray[np.int32]


@njit(cache=True, nogil=True)
def block_at(x: int, y: int, cells: Cells) -> int:
    """Return what is known of a point's block: a face, or a complement."""
    column, row = (x - cells.west) >> (cells.shift + 1), (y - cells.south) >> (cells.shift + 1)
    if (column < 0) | (row < 0) | (column >= cells.columns) | (row >= cells.rows):
        return np.int64(cells.outside)
    return np.int64(cells.blocks[row * cells.columns + column])


@njit(cache=True, nogil=True)
def quarter_at(x: int, y: int, block: int, cells: Cells) -> int:
    """Return what is known of a point's cell: a face, or a complement."""
    east, north = (x - cells.west) >> cells.shift & 1, (y - cells.south) >> cells.shift & 1
    return np.int64(cells.quarters[4 * ~block + 2 * north + east])


@njit(cache=True, nogil=True)
def walk(x: int, y: int, cell: int, cells: Cells) -> tuple[int, int]:
    """Go from a cell's corner to a point.

    Returns
    -------
    face : int
        Face of the point, if it is on no edge.
    lowest : int
        Lowest face that meets at the point, `outside` if it is on no edge.
    """
    edges, inside = cells.edges, (1 << cells.shift) - 1
    px, py = 2 * ((x - cells.west) & inside) + 1, 2 * ((y - cells.south) & inside) + 1
    at = ~cell
    face, lowest = np.int64(edges[at]), np.int64(cells.outside)
    for k in range(edges[at + 1]):
        i = at + _HEAD + _EDGE * k
        x0, y0 = np.int64(edges[i]), np.int64(edges[i + 1])
        dx, dy = np.int64(edges[i + 2]), np.int64(edges[i + 3])
        left, right = np.int64(edges[i + 4]), np.int64(edges[i + 5])
        # Twice the area from the edge to the corner, the turn and the point: negative is east.
        corner = dy * x0 - dx * y0
        turn = corner + dx * py
        point = turn - dy * px
        turn_east = (turn < 0) | ((turn == 0) & (dx < 0))
        corner_east = (corner < 0) | ((corner == 0) & (dx < 0))
        met_eastward = (y0 <= py) & (py < y0 + dy) & ((point < 0) != turn_east)
        met_northward = ((x0 < 0) != (x0 + dx < 0)) & (turn_east != corner_east)
        face ^= (left ^ right) & -np.int64(met_eastward != met_northward)
        if (
            point == 0 and y0 <= py <= y0 + dy
            and min(x0, x0 + dx) <= px <= max(x0, x0 + dx)
        ):  # fmt: skip
            lowest = min(lowest, left, right)
    return face, lowest


@njit(cache=True, nogil=True)
def face_at(x: int, y: int, cells: Cells) -> tuple[int, bool]:
    """Return the face of a point, -1 for outside, and whether the point is on an edge.

    Of several faces that meet at an edge or vertex, it is the lowest.
    """
    face, on_edge = block_at(x, y, cells), False
    if face < 0:
        face = quarter_at(x, y, face, cells)
    if face < 0:
        face, lowest = walk(x, y, face, cells)
        on_edge = lowest < cells.outside
        if on_edge:
            face = lowest
    return (face if face < cells.outside else -1), on_edge


@njit(cache=True)
def span(edge: NDArray[np.int64], shift: int) -> tuple[int, int, int, int]:
    """Return the first and last column, first and last row of the cells in an edge's box."""
    a, b = edge[0] >> shift, edge[2] >> shift
    c, d = edge[1] >> shift, edge[3] >> shift
    return min(a, b), max(a, b), min(c, d), max(c, d)


@njit(cache=True)
def enters(edge: NDArray[np.int64], column: int, row: int, shift: int) -> bool:
    """Say whether an edge (x0 y0 x1 y1, steps from the first cell) may enter a cell of its box.

    The answer is yes unless all corners of the cell lie strictly on one side of the edge's line.
    """
    size = 2 << shift
    x0 = 2 * (edge[0] - (column << shift)) + 1
    y0 = 2 * (edge[1] - (row << shift)) + 1
    dx, dy = 2 * (edge[2] - edge[0]), 2 * (edge[3] - edge[1])
    sw = dy * x0 - dx * y0
    se, nw = sw - dy * size, sw + dx * size
    ne = nw - dy * size
    above = sw > 0 and se > 0 and nw > 0 and ne > 0
    below = sw < 0 and se < 0 and nw < 0 and ne < 0
    return not (above or below)


@njit(cache=True)
def list_edges(
    ends: NDArray[np.int64], sides: NDArray[np.int32], shift: int, faces: NDArray[np.int32]
) -> NDArray[np.int32]:
    """List the edges that enter each cell.

    Parameters
    ----------
    ends : (e, 4) int64
        x0 y0 x1 y1 of each edge, once, in steps from the first cell's corner.
    sides : (e, 2) int32
        Faces on both sides.
    shift : int
    faces : (rows, columns) int32
        All zero. Becomes the bit complement of a position where edges enter the cell.

    Returns
    -------
    int32
        At that position: room for the corner's face, number of edges, six numbers an edge.
    """
    for e in range(len(ends)):
        west, east, south, north = span(ends[e], shift)
        for row in range(south, north + 1):
            for column in range(west, east + 1):
                if enters(ends[e], column, row, shift):
                    faces[row, column] += 1
    total = np.int64(0)
    for row in range(faces.shape[0]):
        for column in range(faces.shape[1]):
            n = faces[row, column]
            if n > 0:
                faces[row, column] = ~total
                total += _HEAD + _EDGE * n
    edges = np.zeros(total, np.int32)
    for e in range(len(ends)):
        west, east, south, north = span(ends[e], shift)
        for row in range(south, north + 1):
            for column in range(west, east + 1):
                if enters(ends[e], column, row, shift):
                    at = ~faces[row, column]
                    _put(edges, at, ends[e], sides[e], column << shift, row << shift)
    return edges


@njit(cache=True)
def _put(
    edges: NDArray[np.int32], at: int, end: NDArray[np.int64], side: NDArray[np.int32],
    west: int, south: int,
) -> None:  # fmt: skip
    i = at + _HEAD + _EDGE * edges[at + 1]
    edges[at + 1] += 1
    tail, head = (0, 2) if end[1] <= end[3] else (2, 0)  # edges run north
    edges[i] = 2 * (end[tail] - west) + 1
    edges[i + 1] = 2 * (end[tail + 1] - south) + 1
    edges[i + 2] = 2 * (end[head] - end[tail])
    edges[i + 3] = 2 * (end[head + 1] - end[tail + 1])
    edges[i + 4], edges[i + 5] = side[0], side[1]


@njit(cache=True)
def spread_faces(
    faces: NDArray[np.int32], edges: NDArray[np.int32], shift: int, outside: int
) -> bool:
    """Fill in the face of each cell and corner, along each row of cells from outside to outside.

    Returns
    -------
    bool
        False if the faces on both sides of the edges do not fit together.
    """
    for row in range(faces.shape[0]):
        face = np.int64(outside)
        for column in range(faces.shape[1]):
            at = ~np.int64(faces[row, column])
            if at < 0:
                faces[row, column] = face
            else:
                edges[at] = face
                face = _next_corner(edges, at, face, np.int64(2) << shift)
            if face < 0 or face > outside:
                return False
        if face != outside:
            return False
    return True


@njit(cache=True)
def _next_corner(edges: NDArray[np.int32], at: int, face: int, size: int) -> int:
    """Return the face of the next cell's corner: walk along the south side of this one."""
    for k in range(edges[at + 1]):
        i = at + _HEAD + _EDGE * k
        x0, y0 = np.int64(edges[i]), np.int64(edges[i + 1])
        dx, dy = np.int64(edges[i + 2]), np.int64(edges[i + 3])
        if y0 < 0 and y0 + dy > 0:
            here = dy * x0 - dx * y0
            there = here - dy * size
            east_of = here < 0 or (here == 0 and dx < 0)
            if east_of != (there < 0 or (there == 0 and dx < 0)):
                face ^= np.int64(edges[i + 4]) ^ np.int64(edges[i + 5])
    return face


@njit(cache=True)
def fold(faces: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Put cells together in blocks of two by two.

    Parameters
    ----------
    faces : (rows, columns) int32
        Faces and complements of positions; even numbers of rows and columns.

    Returns
    -------
    blocks : (rows / 2 * columns / 2,) int32
        The face where all four cells hold the same, else the complement of a number.
    quarters : (4 * q,) int32
        The four cells of that number.
    """
    rows, columns = faces.shape[0] // 2, faces.shape[1] // 2
    blocks = np.empty(rows * columns, np.int32)
    n = 0
    for row in range(rows):
        for column in range(columns):
            four = faces[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            face = four[0, 0]
            whole = face >= 0 and four[0, 1] == face and four[1, 0] == face and four[1, 1] == face
            blocks[row * columns + column] = face if whole else ~n
            n += not whole
    quarters = np.empty(4 * n, np.int32)
    for row in range(rows):
        for column in range(columns):
            block = ~blocks[row * columns + column]
            if block >= 0:
                for k in range(4):
                    quarters[4 * block + k] = faces[2 * row + k // 2, 2 * column + k % 2]
    return blocks, quarters
