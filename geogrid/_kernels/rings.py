"""Rings on the integer grid: rounding, and which way they run."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def to_steps(degrees: NDArray[np.float64], steps: float, xy: NDArray[np.int64]) -> None:
    """Write degrees as whole steps, half to even, to `xy`, which may be their own memory."""
    for k in range(len(degrees)):
        xy[k, 0], xy[k, 1] = np.rint(degrees[k, 0] * steps), np.rint(degrees[k, 1] * steps)


@njit(cache=True, nogil=True)
def half_edges(
    xy: NDArray[np.int64], starts: NDArray[np.int64], owners: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the directed edges of rings, x0 y0 x1 y1, and the owner of each one's ring."""
    n_edges = len(xy) - len(owners)
    ends, of, edge = np.empty((n_edges, 4), np.int64), np.empty(n_edges, np.int64), 0
    for ring in range(len(owners)):
        for k in range(starts[ring], starts[ring + 1] - 1):
            ends[edge, 0], ends[edge, 1] = xy[k, 0], xy[k, 1]
            ends[edge, 2], ends[edge, 3] = xy[k + 1, 0], xy[k + 1, 1]
            of[edge] = owners[ring]
            edge += 1
    return ends, of


@njit(cache=True, nogil=True)
def doubled_areas(xy: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return twice the area of each closed ring, above zero if it runs counter-clockwise.

    Exact for rings of up to 0.6 degrees; rounded for larger ones, which never are that thin.
    """
    areas = np.zeros(len(starts) - 1)
    for ring in range(len(starts) - 1):
        first, end = starts[ring], starts[ring + 1]
        x, y, total = 0.0, 0.0, 0.0
        for k in range(first + 1, end):
            next_x, next_y = float(xy[k, 0] - xy[first, 0]), float(xy[k, 1] - xy[first, 1])
            total += x * next_y - next_x * y
            x, y = next_x, next_y
        areas[ring] = total
    return areas


@njit(cache=True, nogil=True)
def orient(xy: NDArray[np.int64], starts: NDArray[np.int64], shells: NDArray[np.bool_]) -> None:
    """Turn round, in place, shells that run clockwise and other rings that do not.

    A ring begins at the same vertex as before; one without area stays as it is.
    """
    areas = doubled_areas(xy, starts)
    for ring in range(len(starts) - 1):
        if areas[ring] != 0 and (areas[ring] > 0) != shells[ring]:
            k, back = starts[ring], starts[ring + 1] - 1
            while k < back:
                x, y = xy[k, 0], xy[k, 1]
                xy[k, 0], xy[k, 1] = xy[back, 0], xy[back, 1]
                xy[back, 0], xy[back, 1] = x, y
                k, back = k + 1, back - 1
