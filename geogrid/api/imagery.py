"""Raster tiles of the imagery, cut when they are asked for.

The overview just finer than the tile is warped straight onto it, by a handle that stays open. On
the sample city's image (5 m, EPSG:4547) a tile takes 9 to 54 ms of a processor; rio-tiler 9.4,
which warps the whole image and reads that thinned out, 117 to 602 ms (`benchmarks/api.py`).
"""

import math
import threading
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform, transform_bounds

from geogrid.errors import ImageryError

TILE_SIZE = 256

# Other formats (VRT, WMS) are lists of files and addresses that GDAL would go on to.
_DRIVER = "GTiff"

_MERCATOR, _DEGREES = "EPSG:3857", "EPSG:4326"
_HALF_WORLD = math.pi * 6_378_137
"""Metres of web mercator from the origin to the edge."""

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
_WEBP = [cv2.IMWRITE_WEBP_QUALITY, 80]


class Imagery:
    """One image file; each thread keeps its own handles: GDAL shares none, opening is slow.

    Attributes
    ----------
    bounds : west, south, east, north
        Degrees.
    min_zoom, max_zoom : int
        Where the whole image is a tile, and where its own pixels are shown.
    tag : str
        Of all tiles, as an ETag: another as soon as the file is another.
    """

    def __init__(self, path: Path) -> None:
        """Open `path` once to see that it can be used."""
        self.path = path
        self._local = threading.local()
        try:
            with rasterio.open(path, driver=_DRIVER) as file:
                self._indexes = [1, 2, 3] if file.count >= 3 else [1]
                self._factors = [1, *file.overviews(1)]
                self._has_mask = file.nodata is not None or ColorInterp.alpha in file.colorinterp
                self._ranges = None if file.dtypes[0] == "uint8" else _stretch(file, self._indexes)
                size = (file.width, file.height)
                grid = calculate_default_transform(file.crs, _MERCATOR, *size, *file.bounds)[0]
                self._pixel = float(grid.a)
                self._box = transform_bounds(file.crs, _MERCATOR, *file.bounds)
                west, south, east, north = transform_bounds(file.crs, _DEGREES, *file.bounds)
        except (rasterio.errors.RasterioError, rasterio.errors.CRSError) as error:
            raise ImageryError(f"cannot read the imagery {path}: {error}") from error
        stat = path.stat()
        self.tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        self.bounds = (west, south, east, north)
        self.max_zoom = max(0, math.ceil(math.log2(_pixel_of(0) / self._pixel) - 0.5))
        self.min_zoom = max(
            0, self.max_zoom - math.ceil(math.log2(max(*size, TILE_SIZE) / TILE_SIZE))
        )

    def tile(self, z: int, x: int, y: int) -> tuple[bytes, str] | None:
        """Return an encoded tile and its media type; None where there is no image.

        JPEG where the image fills the tile, WebP with transparency at its edge.
        """
        side = 2 * _HALF_WORLD / (1 << z)
        west, north = x * side - _HALF_WORLD, _HALF_WORLD - y * side
        box = (west, north - side, west + side, north)
        if not _overlap(box, self._box):
            return None
        warp = {
            "crs": _MERCATOR,
            "transform": from_bounds(*box, TILE_SIZE, TILE_SIZE),
            "width": TILE_SIZE,
            "height": TILE_SIZE,
            "resampling": Resampling.bilinear,
            "add_alpha": not self._has_mask,
        }
        with WarpedVRT(self._opened(z), **warp) as image:
            bands, mask = image.read(self._indexes), image.dataset_mask()
        return _encoded(bands if self._ranges is None else _stretched(bands, self._ranges), mask)

    def _opened(self, z: int) -> rasterio.DatasetReader:
        """Return the overview whose pixels are just finer than those of zoom `z`."""
        fitting = [k for k, f in enumerate(self._factors) if f * self._pixel <= _pixel_of(z) * 1.01]
        level = max(fitting, default=0)
        handles = self._local.__dict__.setdefault("handles", {})
        if level not in handles:
            options = {} if level == 0 else {"overview_level": level - 1}
            handles[level] = rasterio.open(self.path, driver=_DRIVER, **options)
        return handles[level]


def _pixel_of(z: int) -> float:
    """Metres of web mercator that a pixel of a tile is wide."""
    return 2 * _HALF_WORLD / TILE_SIZE / (1 << z)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _stretch(file: rasterio.DatasetReader, indexes: list[int]) -> NDArray[np.float64]:
    """Return what is shown from black to white: each band's 2nd to 98th percentile."""
    step = max(1, max(file.width, file.height) // 1024)
    shape = (len(indexes), max(1, file.height // step), max(1, file.width // step))
    sample = file.read(indexes, out_shape=shape, masked=True)
    return np.array([np.percentile(band.compressed(), [2, 98]) for band in sample])


def _stretched(bands: NDArray[np.generic], ranges: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = ranges.T[:, :, None, None]
    share = (bands - low) / np.maximum(high - low, 1e-9)
    shown: NDArray[np.uint8] = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    return shown


def _encoded(bands: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[bytes, str] | None:
    if not mask.any():
        return None
    colours = [bands[-1], bands[len(bands) // 2], bands[0]]  # OpenCV's order: blue first
    if mask.all():
        return cv2.imencode(".jpg", np.dstack(colours), _JPEG)[1].tobytes(), "image/jpeg"
    return cv2.imencode(".webp", np.dstack([*colours, mask]), _WEBP)[1].tobytes(), "image/webp"
