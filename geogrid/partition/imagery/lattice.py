"""Square pixels in the working CRS: the frame in which everything of a division is drawn."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine


@dataclass(frozen=True, slots=True)
class Lattice:
    """Square pixels in a metric CRS.

    Pixel (row, col) has its upper left corner at `(x0 + col * step, y0 - row * step)`, in metres
    east and north.
    """

    crs: str
    x0: float
    y0: float
    step: float

    def window(self, bounds: tuple[float, float, float, float], *, halo: int = 0) -> "Window":
        """Return the smallest window that holds `bounds` (west, south, east, north) and a halo."""
        west, south, east, north = bounds
        col = math.floor((west - self.x0) / self.step) - halo
        row = math.floor((self.y0 - north) / self.step) - halo
        right = math.ceil((east - self.x0) / self.step) + halo
        below = math.ceil((self.y0 - south) / self.step) + halo
        return Window(row, col, below - row, right - col)

    def transform(self, window: "Window") -> Affine:
        """Return the transform from (col, row) inside `window` to metres."""
        x, y = self.x0 + window.col * self.step, self.y0 - window.row * self.step
        return Affine(self.step, 0, x, 0, -self.step, y)

    def bounds(self, window: "Window") -> tuple[float, float, float, float]:
        """Return west, south, east, north of a window in metres."""
        west, north = self.x0 + window.col * self.step, self.y0 - window.row * self.step
        south, east = north - window.height * self.step, west + window.width * self.step
        return west, south, east, north

    def pixels(
        self, xy: NDArray[np.float64], window: "Window"
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row and column inside `window` of points in metres; they may lie outside it."""
        col = np.floor((xy[:, 0] - self.x0) / self.step).astype(np.int64) - window.col
        row = np.floor((self.y0 - xy[:, 1]) / self.step).astype(np.int64) - window.row
        return row, col


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of lattice pixels; `row` and `col` may be negative."""

    row: int
    col: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width


def rasterise(
    polygons: NDArray[np.object_], values: NDArray[np.int32], lattice: Lattice, window: Window
) -> NDArray[np.int32]:
    """Return `values` of the polygons (metres) at the pixels whose centre they hold, else -1."""
    shapes = zip(polygons, values.tolist(), strict=True)
    owners: NDArray[np.int32] = rasterize(
        shapes, window.shape, fill=-1, transform=lattice.transform(window), dtype=np.int32
    )
    return owners


def numbered(shapes: NDArray[np.object_], lattice: Lattice, window: Window) -> NDArray[np.int32]:
    """Return which shape (metres) touches a pixel, the last of several, else -1."""
    if not len(shapes):
        return np.full(window.shape, np.int32(-1))
    numbers: NDArray[np.int32] = rasterize(
        zip(shapes, range(len(shapes)), strict=True),
        window.shape,
        fill=-1,
        transform=lattice.transform(window),
        all_touched=True,
        dtype=np.int32,
    )
    return numbers
