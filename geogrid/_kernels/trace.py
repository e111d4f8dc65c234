"""Outlines of labelled pixels, each border once for both its sides."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Directions in turning order: right, down, left, up (rows grow downwards).
_ROW_STEP = np.array([0, 1, 0, -1])
_COL_STEP = np.array([1, 0, -1, 0])


@njit(cache=True)
def outlines(
    labels: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Trace the outline rings of all labels >= 0.

    A ring runs through the middles of the pixel edges, so that a staircase becomes a straight
    slope, and through the corners where three or more labels meet. Neighbours run through the same
    points. Diagonal pixels of one label hang together where the other two differ, so that no ring
    touches itself.

    Returns
    -------
    xy : (v, 2) int32
        Column and row of the points in half pixels, rings not closed.
    starts : (r + 1,) int64
        Ring `k` is `xy[starts[k]:starts[k + 1]]`; shells run clockwise as seen (rows downwards),
        holes the other way.
    owners : (r,) int32
        Label of each ring.
    """
    height, width = labels.shape
    framed = np.full((height + 2, width + 2), np.int32(-1))
    framed[1:-1, 1:-1] = labels
    visited = np.zeros((height + 2, width + 2, 4), np.bool_)
    n_edges = 0
    for row in range(1, height + 1):
        for col in range(1, width + 1):
            label = framed[row, col]
            if label >= 0:
                n_edges += framed[row - 1, col] != label
                n_edges += framed[row, col + 1] != label
                n_edges += framed[row + 1, col] != label
                n_edges += framed[row, col - 1] != label
    xy = np.empty((2 * n_edges, 2), np.int32)
    starts = np.empty(n_edges + 1, np.int64)
    owners = np.empty(n_edges, np.int32)
    n_points = 0
    n_rings = 0
    starts[0] = 0
    for row in range(1, height + 1):
        for col in range(1, width + 1):
            label = framed[row, col]
            if label < 0 or (
                framed[row - 1, col] == label
                and framed[row, col + 1] == label
                and framed[row + 1, col] == label
                and framed[row, col - 1] == label
            ):
                continue
            for way in range(4):
                if visited[row, col, way] or _beside(framed, row, col, way) == label:
                    continue
                r, c, d = row, col, way
                before = -1
                while not visited[r, c, d]:
                    visited[r, c, d] = True
                    end_row = r + (1 if d in (1, 2) else 0)
                    end_col = c + (1 if d in (0, 1) else 0)
                    from_row, from_col = end_row - _ROW_STEP[d], end_col - _COL_STEP[d]
                    node_ahead = _is_node(framed, end_row, end_col)
                    next_row, next_col, next_way = _following(framed, r, c, d)
                    straight = (
                        before == d
                        and next_way == d
                        and not node_ahead
                        and not _is_node(framed, from_row, from_col)
                    )
                    if not straight:
                        xy[n_points, 0] = from_col + end_col - 2
                        xy[n_points, 1] = from_row + end_row - 2
                        n_points += 1
                    if node_ahead:
                        xy[n_points, 0] = 2 * end_col - 2
                        xy[n_points, 1] = 2 * end_row - 2
                        n_points += 1
                    before = d
                    r, c, d = next_row, next_col, next_way
                owners[n_rings] = label
                n_rings += 1
                starts[n_rings] = n_points
    return xy[:n_points], starts[: n_rings + 1], owners[:n_rings]


@njit(cache=True, inline="always")
def _beside(labels: NDArray[np.int32], row: int, col: int, way: int) -> int:
    """Return the label across an edge of a pixel.

    The edge is the one walked in direction `way` with the pixel on the right hand: the top edge to
    the right, the right edge down, and so on.
    """
    left = (way + 3) & 3
    return labels[row + _ROW_STEP[left], col + _COL_STEP[left]]


@njit(cache=True, inline="always")
def _is_node(labels: NDArray[np.int32], row: int, col: int) -> bool:
    """Tell whether borders of three or more labels meet at the upper left corner of a pixel."""
    a, b = labels[row - 1, col - 1], labels[row - 1, col]
    c, d = labels[row, col - 1], labels[row, col]
    if a == d or b == c:
        return False
    return (a != b) + (b != d) + (d != c) + (c != a) >= 3


@njit(cache=True, inline="always")
def _following(labels: NDArray[np.int32], row: int, col: int, way: int) -> tuple[int, int, int]:
    """Return the next edge of the ring: pixel and direction."""
    label = labels[row, col]
    left = (way + 3) & 3
    ahead_row, ahead_col = row + _ROW_STEP[way], col + _COL_STEP[way]
    cross_row, cross_col = ahead_row + _ROW_STEP[left], ahead_col + _COL_STEP[left]
    ahead = labels[ahead_row, ahead_col]
    cross = labels[cross_row, cross_col]
    across = labels[row + _ROW_STEP[left], col + _COL_STEP[left]]
    if cross == label and (ahead == label or ahead != across or label < across):
        return cross_row, cross_col, left
    if ahead == label:
        return ahead_row, ahead_col, way
    return row, col, (way + 1) & 3
