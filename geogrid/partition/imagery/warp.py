"""From the pixels of a source to the pixels of the lattice, the same in every window.

Places are projected exactly at every 64th pixel of the lattice and interpolated between, which is
right within millimetres; as those nodes belong to the lattice and not to the window, two windows
agree bit for bit. (GDAL's warper approximates along the lines of each window it is given.)
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

from geogrid.partition.imagery.lattice import Lattice, Window

_NODE = 64
# OpenCV interpolates in steps of 1/32 pixel; rounding to them first keeps windows equal.
_FRACTION = 32.0

Scalar = TypeVar("Scalar", np.uint8, np.float32)

Pixels = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""RGB `(height, width, 3)` and the mask of pixels that hold data `(height, width)`."""


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """Where the pixels of a source lie.

    Attributes
    ----------
    crs : str
        Reference system, as WKT or a code.
    transform : Affine
        From (col, row) to its coordinates.
    """

    crs: str
    transform: Affine
    width: int
    height: int

    def shrunk(self, factor: int) -> "PixelGrid":
        """Return the grid of squares of `factor` x `factor` pixels."""
        return PixelGrid(
            self.crs,
            self.transform @ Affine.scale(factor),
            math.ceil(self.width / factor),
            math.ceil(self.height / factor),
        )

    def outline(self, crs: str) -> shapely.Polygon:
        """Return the outline in another CRS, its edges densified before they are projected."""
        side, ones = np.linspace(0, 1, 33), np.ones(33)
        u = np.concatenate([side, ones, side[::-1], 0 * ones]) * self.width
        v = np.concatenate([0 * ones, side, ones, side[::-1]]) * self.height
        x, y = self.placed(u, v, crs)
        return shapely.Polygon(np.column_stack([x, y]))

    def placed(
        self, cols: NDArray[np.float64], rows: NDArray[np.float64], crs: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y of (col, row) in another CRS; infinite where that is not valid."""
        a, b, c, d, e, f = self.transform[:6]
        x, y = transformer(self.crs, crs).transform(
            a * cols + b * rows + c, d * cols + e * rows + f
        )
        return np.asarray(x), np.asarray(y)


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a source's pixels, its far edges exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return the transformation between two reference systems, east before north."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def offset_on(grid: PixelGrid, lattice: Lattice) -> tuple[int, int] | None:
    """Return row and column on the lattice of the grid's first pixel, if the two coincide."""
    a, b, c, d, e, f = grid.transform[:6]
    upright = b == 0 and d == 0 and a == lattice.step and -e == lattice.step
    if not upright or not same_crs(grid.crs, lattice.crs):
        return None
    col, row = (c - lattice.x0) / lattice.step, (lattice.y0 - f) / lattice.step
    if abs(col - round(col)) > 1e-6 or abs(row - round(row)) > 1e-6:
        return None
    return round(row), round(col)


@lru_cache(maxsize=64)
def same_crs(one: str, other: str) -> bool:
    """Say whether two names mean one reference system, whatever the order of its axes."""
    first, second = pyproj.CRS.from_user_input(one), pyproj.CRS.from_user_input(other)
    return first.equals(second, ignore_axis_order=True)


def sources_of(
    grid: PixelGrid, lattice: Lattice, window: Window
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the source column and row `(height, width)` of each lattice pixel's centre.

    0 is the centre of the first source pixel; values are whole multiples of 1/32.
    """
    row_nodes, row_at = _nodes(window.row, window.height)
    col_nodes, col_at = _nodes(window.col, window.width)
    x = lattice.x0 + (col_nodes + 0.5) * lattice.step
    y = lattice.y0 - (row_nodes + 0.5) * lattice.step
    xx, yy = np.meshgrid(x, y)
    xs, ys = transformer(lattice.crs, grid.crs).transform(xx, yy)
    a, b, c, d, e, f = (~grid.transform)[:6]
    columns = a * np.asarray(xs) + b * np.asarray(ys) + c - 0.5
    rows = d * np.asarray(xs) + e * np.asarray(ys) + f - 0.5
    return _between(columns, row_at, col_at), _between(rows, row_at, col_at)


def part_around(
    columns: NDArray[np.float64], rows: NDArray[np.float64], grid: PixelGrid
) -> Part | None:
    """Return the part of the source that these places need, None if they lie outside it."""
    left, right = math.floor(columns.min()) - 1, math.ceil(columns.max()) + 2
    top, bottom = math.floor(rows.min()) - 1, math.ceil(rows.max()) + 2
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, grid.width), min(bottom, grid.height)
    return Part(left, top, right, bottom) if right > left and bottom > top else None


def sampled(
    pixels: Pixels, part: Part, columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> Pixels:
    """Interpolate between the pixels of `part` at the given places of the source.

    A place holds data where the nearest pixel does, so that images that touch leave no hole where
    they meet; pixels without data have no weight in its colour.
    """
    rgb, valid = pixels
    height, width = valid.shape
    columns, rows = columns - part.left, rows - part.top
    inner = columns.min() >= 0 and rows.min() >= 0
    inner = inner and columns.max() <= width - 1 and rows.max() <= height - 1
    if inner and valid.all():
        return _remapped(rgb, columns, rows), np.ones(columns.shape, bool)
    columns, rows = np.clip(columns, -2, width + 1), np.clip(rows, -2, height + 1)
    colour = _remapped(np.where(valid[..., None], rgb, np.uint8(0)), columns, rows)
    share = _remapped(valid.astype(np.float32), columns, rows)
    there = _nearest(valid, columns, rows)
    rim = there & (share < 1)
    if rim.any():
        colour[rim] = np.minimum(np.round(colour[rim] / share[rim][:, None]), 255)
    return colour, there


def averaged(pixels: Pixels, factor: int) -> Pixels:
    """Return the mean colour of the valid pixels of each square of `factor` x `factor`."""
    rgb, valid = pixels
    height, width = valid.shape
    padding = ((0, -height % factor), (0, -width % factor))
    valid = np.pad(valid, padding)
    rgb = np.where(valid[..., None], np.pad(rgb, (*padding, (0, 0))), np.uint8(0))
    tall, wide = valid.shape[0] // factor, valid.shape[1] // factor
    mean = np.asarray(cv2.resize(rgb, (wide, tall), interpolation=cv2.INTER_AREA), np.uint8)
    count = valid.reshape(tall, factor, wide, factor).sum(axis=(1, 3))
    # OpenCV divides by all pixels: squares with holes are done again.
    row, col = np.nonzero((count > 0) & (count < factor * factor))
    if len(row):
        squares = rgb.reshape(tall, factor, wide, factor, 3)[row, :, col].sum(axis=(1, 2))
        mean[row, col] = np.round(squares / count[row, col][:, None]).astype(np.uint8)
    return mean, count > 0


def _remapped(
    values: NDArray[Scalar], columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[Scalar]:
    """Interpolate between values; beyond the edges they are 0."""
    u, v = columns.astype(np.float32), rows.astype(np.float32)
    return np.asarray(cv2.remap(values, u, v, cv2.INTER_LINEAR, borderValue=0), values.dtype)


def _nearest(
    valid: NDArray[np.bool_], columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return `valid` of the nearest pixel, False beyond the edges."""
    height, width = valid.shape
    col = np.floor(columns + 0.5).astype(np.int32)
    row = np.floor(rows + 0.5).astype(np.int32)
    inside: NDArray[np.bool_] = (col >= 0) & (col < width) & (row >= 0) & (row < height)
    if not valid.all():
        inside &= valid[np.clip(row, 0, height - 1), np.clip(col, 0, width - 1)]
    return inside


def _nodes(
    first: int, size: int
) -> tuple[NDArray[np.float64], tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return the nodes (lattice pixels), and each pixel's lower node and way to the next."""
    index = np.arange(first, first + size, dtype=np.int64)
    start = first // _NODE
    below = index // _NODE
    nodes = np.arange(start, (first + size - 1) // _NODE + 2).astype(np.float64) * _NODE
    return nodes, (below - start, (index - below * _NODE) / float(_NODE))


def _between(
    values: NDArray[np.float64],
    row_at: tuple[NDArray[np.int64], NDArray[np.float64]],
    col_at: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    values = np.where(np.isfinite(values), values, -1e12)
    (row, down), (col, across) = row_at, col_at
    lines = values[row] * (1 - down)[:, None] + values[row + 1] * down[:, None]
    full = lines[:, col] * (1 - across) + lines[:, col + 1] * across
    rounded: NDArray[np.float64] = np.round(full * _FRACTION) / _FRACTION
    return rounded
