"""Pixel filters that find edges and streets."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_ORIENTATIONS = 16
# Pixels a side: the sums of one block stay in the cache.
_BLOCK = 64


@njit(cache=True)
def largest_eigenvalue_root(
    dx: NDArray[np.float32], dy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the root of the largest eigenvalue of the gradient tensor summed over the bands."""
    height, width, bands = dx.shape
    out = np.empty((height, width), np.float32)
    for row in range(height):
        for col in range(width):
            xx = np.float32(0)
            yy = np.float32(0)
            xy = np.float32(0)
            for band in range(bands):
                u = dx[row, col, band]
                v = dy[row, col, band]
                xx += u * u
                yy += v * v
                xy += u * v
            spread = np.sqrt((xx - yy) * (xx - yy) + np.float32(4) * xy * xy)
            out[row, col] = np.sqrt(np.float32(0.5) * (xx + yy + spread))
    return out


@njit(cache=True)
def oriented_bar(
    planes: NDArray[np.float32],
    where: NDArray[np.bool_],
    pad: int,
    taps: int,
    spacing: float,
    side: float,
    homogeneity: float,
) -> NDArray[np.float32]:
    """Return how much a long bar through each pixel stands out from both its sides.

    For each of 16 orientations: the smaller of the colour distances from the mean along the bar to
    the means along two parallels at `side` pixels, less `homogeneity` times the spread along the
    bar; the best orientation counts, and nothing below zero. The bar has `taps` samples that lie
    `spacing` pixels apart. Blocks without a pixel in `where` stay 0.

    Parameters
    ----------
    planes : (4, height + 2 pad, width + 2 pad) float32
        L, a, b and the sum of their squares, extended by `pad` pixels on each side: at least half
        the bar plus twice `side`.
    """
    height, width = where.shape
    out = np.zeros((height, width), np.float32)
    half = taps // 2
    margin = int(side) + 2
    size = _BLOCK + 2 * margin
    sums = np.empty((4, size, size), np.float32)
    share = np.float32(1 / taps)
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            rows, cols = min(_BLOCK, height - top), min(_BLOCK, width - left)
            if not where[top : top + rows, left : left + cols].any():
                continue
            tall, wide = rows + 2 * margin, cols + 2 * margin
            for turn in range(_ORIENTATIONS):
                angle = np.pi * turn / _ORIENTATIONS
                along_row, along_col = np.sin(angle), np.cos(angle)
                sums[:] = 0
                for tap in range(taps):
                    way = (tap - half) * spacing
                    row0 = top + pad - margin + round(way * along_row)
                    col0 = left + pad - margin + round(way * along_col)
                    for band in range(4):
                        for r in range(tall):
                            target = sums[band, r, :wide]
                            source = planes[band, row0 + r, col0 : col0 + wide]
                            for c in range(wide):
                                target[c] += source[c]
                sums *= share
                dr, dc = round(side * along_col), round(-side * along_row)
                for r in range(rows):
                    for c in range(cols):
                        y, x = r + margin, c + margin
                        left_side = np.float32(0)
                        right_side = np.float32(0)
                        square = sums[3, y, x]
                        for band in range(3):
                            here = sums[band, y, x]
                            square -= here * here
                            left_side += (here - sums[band, y + dr, x + dc]) ** 2
                            right_side += (here - sums[band, y - dr, x - dc]) ** 2
                        response = np.sqrt(min(left_side, right_side)) - np.float32(
                            homogeneity
                        ) * np.sqrt(max(square, np.float32(0)))
                        out[top + r, left + c] = max(out[top + r, left + c], response)
    return out
