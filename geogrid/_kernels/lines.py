"""Pixel filters that find edges and streets."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_ORIENTATIONS = 16


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
    lab: NDArray[np.float32],
    where: NDArray[np.bool_],
    taps: int,
    spacing: float,
    side: float,
    homogeneity: float,
) -> NDArray[np.float32]:
    """Return how much a long bar through each pixel stands out from both its sides.

    For each of 16 orientations: the smaller of the colour distances from the mean along the bar to
    the means along two parallels at `side` pixels, less `homogeneity` times the spread along the
    bar; the best orientation counts, and nothing below zero. The bar has `taps` samples that lie
    `spacing` pixels apart. Pixels outside `where` are 0.
    """
    height, width, bands = lab.shape
    out = np.zeros((height, width), np.float32)
    half = taps // 2
    steps_row = np.empty((_ORIENTATIONS, 3, taps), np.int64)
    steps_col = np.empty((_ORIENTATIONS, 3, taps), np.int64)
    for turn in range(_ORIENTATIONS):
        angle = np.pi * turn / _ORIENTATIONS
        along_row, along_col = np.sin(angle), np.cos(angle)
        for strip in range(3):
            shift = (strip - 1) * side
            for tap in range(taps):
                way = (tap - half) * spacing
                steps_row[turn, strip, tap] = round(way * along_row + shift * along_col)
                steps_col[turn, strip, tap] = round(way * along_col - shift * along_row)
    mean = np.empty((3, bands), np.float64)
    for row in range(height):
        for col in range(width):
            if not where[row, col]:
                continue
            best = 0.0
            for turn in range(_ORIENTATIONS):
                spread = 0.0
                for strip in range(3):
                    for band in range(bands):
                        mean[strip, band] = 0.0
                    square = 0.0
                    for tap in range(taps):
                        r = min(max(row + steps_row[turn, strip, tap], 0), height - 1)
                        c = min(max(col + steps_col[turn, strip, tap], 0), width - 1)
                        for band in range(bands):
                            value = np.float64(lab[r, c, band])
                            mean[strip, band] += value
                            square += value * value
                    total = 0.0
                    for band in range(bands):
                        mean[strip, band] /= taps
                        total += mean[strip, band] ** 2
                    if strip == 1:
                        spread = np.sqrt(max(square / taps - total, 0.0))
                left = 0.0
                right = 0.0
                for band in range(bands):
                    left += (mean[1, band] - mean[0, band]) ** 2
                    right += (mean[1, band] - mean[2, band]) ** 2
                response = np.sqrt(min(left, right)) - homogeneity * spread
                best = max(best, response)
            out[row, col] = best
    return out
