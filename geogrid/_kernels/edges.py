"""Pairing of directed edges by hashing their integer ends."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def pair(
    edges: NDArray[np.int64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match every directed edge with one edge of the same label that runs the other way.

    Parameters
    ----------
    edges : (e, 4) int64
        x0 y0 x1 y1; none starts where it ends.
    labels : (e,) int64
        Only edges of equal label are compared.

    Returns
    -------
    twin : (e,) int64
        Row of the edge matched with each edge, -1 for none. An edge is matched once at most, in
        the order of the rows.
    first : (e,) int64
        Row of the first edge with the same ends in the same direction, -1 if this is the first.
    """
    n = len(edges)
    size = 16
    while size < 2 * n:
        size *= 2
    heads = np.full(size, -1, np.int64)
    following = np.full(n, -1, np.int64)
    twin = np.full(n, -1, np.int64)
    first = np.full(n, -1, np.int64)
    for i in range(n):
        x0, y0, x1, y1 = edges[i, 0], edges[i, 1], edges[i, 2], edges[i, 3]
        # Symmetric in the two ends, so that an edge and its reverse share a slot.
        mixed = ((x0 * 31 + y0) ^ (x1 * 31 + y1)) + (x0 + x1) * 1_000_003 + labels[i] * 8191
        mixed = mixed ^ (mixed >> 29)
        mixed = mixed * 668_265_263
        mixed = mixed ^ (mixed >> 15)
        slot = mixed & (size - 1)
        j = heads[slot]
        while j >= 0:
            if labels[j] == labels[i]:
                ax, ay, bx, by = edges[j, 0], edges[j, 1], edges[j, 2], edges[j, 3]
                if ax == x0 and ay == y0 and bx == x1 and by == y1:
                    first[i] = j  # the chain runs from late to early: the last seen is the first
                elif (
                    twin[i] < 0
                    and twin[j] < 0
                    and (ax == x1 and ay == y1 and bx == x0 and by == y0)
                ):
                    twin[i] = j
                    twin[j] = i
            j = following[j]
        # Late edges go in front: chains are short, and nothing is ever taken out.
        j = heads[slot]
        following[i] = j
        heads[slot] = i
    return twin, first
