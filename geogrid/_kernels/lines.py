"""Pixel filters that find edges and streets."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

HIGHEST = 65535
"""The relief of given lines; what the image shows stays below."""

_RELIEF_PER_LAB_UNIT = np.float32(256)
_ORIENTATIONS = 16
# Pixels a side: the sums of one block stay in the cache.
_BLOCK = 96


@njit(cache=True)
def gradient(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return Di Zenzo's gradient of `image` `(height, width, 3)`, in its units per pixel.

    It is the root of the largest eigenvalue of the tensor of Sobel's derivatives summed over the
    bands. Beyond its edge the image goes on as in a mirror that stands on the outermost pixels.
    """
    height, width, bands = image.shape
    out = np.empty((height, width), np.float32)
    eighth, half, two, four = np.float32(0.125), np.float32(0.5), np.float32(2), np.float32(4)
    for row in range(height):
        up, down = abs(row - 1), min(row + 1, 2 * height - 3 - row)
        for col in range(width):
            left, right = abs(col - 1), min(col + 1, 2 * width - 3 - col)
            xx = np.float32(0)
            yy = np.float32(0)
            xy = np.float32(0)
            for band in range(bands):
                falling = image[down, right, band] - image[up, left, band]
                rising = image[up, right, band] - image[down, left, band]
                u = falling + rising + two * (image[row, right, band] - image[row, left, band])
                v = falling - rising + two * (image[down, col, band] - image[up, col, band])
                xx += u * u
                yy += v * v
                xy += u * v
            spread = np.sqrt((xx - yy) * (xx - yy) + four * xy * xy)
            out[row, col] = eighth * np.sqrt(half * (xx + yy + spread))
    return out


@njit(cache=True)
def blend(
    gradient: NDArray[np.float32], street: NDArray[np.float32], built_up: NDArray[np.float32]
) -> NDArray[np.uint16]:
    """Return the relief in 1/256 Lab units: mostly streets where built up, else the gradient."""
    height, width = gradient.shape
    out = np.empty((height, width), np.uint16)
    fifth, half, one = np.float32(0.2), np.float32(0.5), np.float32(1)
    most = np.float32(HIGHEST - 1)
    for row in range(height):
        for col in range(width):
            edge, line, town = gradient[row, col], street[row, col], built_up[row, col]
            value = town * (line + fifth * edge) + (one - town) * (edge + half * line)
            out[row, col] = np.uint16(min(value * _RELIEF_PER_LAB_UNIT, most))
    return out


@njit(cache=True)
def spread(
    cells: NDArray[np.float32], side: int, row: int, col: int, height: int, width: int
) -> NDArray[np.float32]:
    """Return cell values as pixels `(height, width)`, linear between the middles, within 0..1.

    A cell is `side` pixels wide; the first pixel is the one at (row, col) of the first cell.
    """
    out = np.empty((height, width), np.float32)
    zero, one = np.float32(0), np.float32(1)
    # By the place inside a cell: the other cell that counts, and how much.
    step = np.array([-1 if 2 * k + 1 < side else 1 for k in range(side)])
    part = np.array([abs(k + 0.5 - side / 2) / side for k in range(side)]).astype(np.float32)
    for r in range(height):
        i, k = (row + r) // side, (row + r) % side
        other = min(max(i + step[k], 0), cells.shape[0] - 1)
        for c in range(width):
            j, m = (col + c) // side, (col + c) % side
            beside = min(max(j + step[m], 0), cells.shape[1] - 1)
            near = (one - part[m]) * cells[i, j] + part[m] * cells[i, beside]
            far = (one - part[m]) * cells[other, j] + part[m] * cells[other, beside]
            value = (one - part[k]) * near + part[k] * far
            out[r, c] = min(max(value, zero), one)
    return out


@njit(cache=True)
def oriented_bar(
    image: NDArray[np.float32],
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
    `spacing` pixels apart. Pixels outside `where` stay 0.

    Parameters
    ----------
    image : (height, width, 3) float32
        Its edge pixels go on beyond it.
    """
    height, width = where.shape
    out = np.zeros((height, width), np.float32)
    margin = int(side) + 2
    reach = int(np.ceil(taps // 2 * spacing)) + margin + 1
    most = (_BLOCK + 2 * reach) ** 2
    # A block and its surroundings as one row of pixels, in which a way is an offset: three bands
    # and the sum of their squares, as they are and summed along the bar.
    around = np.empty((4, most), np.float32)
    sums = np.empty((4, most), np.float32)
    best = np.empty(most, np.float32)
    ahead, behind = np.empty_like(best), np.empty_like(best)
    weight = np.float32(homogeneity)
    for block_top in range(0, height, _BLOCK):
        for block_left in range(0, width, _BLOCK):
            top, left, rows, cols = _extent(where, block_top, block_left)
            if not rows:
                continue
            stride = cols + 2 * reach
            _fill(around, image, top - reach, left - reach, (rows + 2 * reach, stride), 1 / taps)
            first, last = reach * stride, (reach + rows) * stride
            low, high = first - margin * stride, last + margin * stride
            best[first:last] = 0
            for turn in range(_ORIENTATIONS):
                angle = np.pi * turn / _ORIENTATIONS
                along_row, along_col = np.sin(angle), np.cos(angle)
                sums[:, low:high] = around[:, low:high]
                for tap in range(1, taps // 2 + 1):
                    way = tap * spacing
                    offset = round(way * along_row) * stride + round(way * along_col)
                    for band in range(4):
                        _add(
                            sums[band, low:high],
                            around[band, low + offset : high + offset],
                            around[band, low - offset : high - offset],
                        )
                aside = round(side * along_col) * stride - round(side * along_row)
                _distance(ahead, sums, first, last, aside)
                _distance(behind, sums, first, last, -aside)
                _keep_best(best, ahead, behind, sums, first, last, weight)
            for r in range(rows):
                place = (reach + r) * stride + reach
                for c in range(cols):
                    if where[top + r, left + c]:
                        out[top + r, left + c] = best[place + c]
    return out


@njit(cache=True)
def _extent(where: NDArray[np.bool_], top: int, left: int) -> tuple[int, int, int, int]:
    """Return top, left, rows and columns of what is wanted of a block; no rows if nothing is."""
    first_row, last_row, first_col, last_col = _BLOCK, -1, _BLOCK, -1
    for r in range(min(_BLOCK, where.shape[0] - top)):
        for c in range(min(_BLOCK, where.shape[1] - left)):
            if where[top + r, left + c]:
                first_row, last_row = min(first_row, r), r
                first_col, last_col = min(first_col, c), max(last_col, c)
    if last_row < 0:
        return top, left, 0, 0
    return (
        top + first_row,
        left + first_col,
        last_row - first_row + 1,
        last_col - first_col + 1,
    )


@njit(cache=True)
def _fill(
    around: NDArray[np.float32],
    image: NDArray[np.float32],
    top: int,
    left: int,
    shape: tuple[int, int],
    factor: float,
) -> None:
    """Fill `around` with the bands of `image` from (top, left), and the sum of their squares."""
    height, width = image.shape[:2]
    rows, cols = shape
    share = np.float32(factor)
    place = 0
    for r in range(top, top + rows):
        row = min(max(r, 0), height - 1)
        for c in range(left, left + cols):
            col = min(max(c, 0), width - 1)
            square = np.float32(0)
            for band in range(3):
                value = image[row, col, band]
                around[band, place] = share * value
                square += value * value
            around[3, place] = share * square
            place += 1


@njit(cache=True)
def _add(target: NDArray[np.float32], one: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    for k in range(len(target)):
        target[k] += one[k] + other[k]


@njit(cache=True)
def _distance(
    target: NDArray[np.float32], means: NDArray[np.float32], first: int, last: int, aside: int
) -> None:
    """Put the squared colour distances to the means `aside` into `target`."""
    target = target[first:last]
    a0, a1, a2 = means[0, first:last], means[1, first:last], means[2, first:last]
    first, last = first + aside, last + aside
    b0, b1, b2 = means[0, first:last], means[1, first:last], means[2, first:last]
    for k in range(len(target)):
        target[k] = (a0[k] - b0[k]) ** 2 + (a1[k] - b1[k]) ** 2 + (a2[k] - b2[k]) ** 2


@njit(cache=True)
def _keep_best(
    best: NDArray[np.float32],
    ahead: NDArray[np.float32],
    behind: NDArray[np.float32],
    means: NDArray[np.float32],
    first: int,
    last: int,
    weight: np.float32,
) -> None:
    """Raise `best` to the response of one orientation."""
    best, ahead, behind = best[first:last], ahead[first:last], behind[first:last]
    a0, a1, a2 = means[0, first:last], means[1, first:last], means[2, first:last]
    square = means[3, first:last]
    zero = np.float32(0)
    for k in range(len(best)):
        spread = square[k] - (a0[k] * a0[k] + a1[k] * a1[k] + a2[k] * a2[k])
        response = np.sqrt(min(ahead[k], behind[k])) - weight * np.sqrt(max(spread, zero))
        best[k] = max(best[k], response)
