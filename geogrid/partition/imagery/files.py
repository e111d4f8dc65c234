"""Image files: GeoTIFF, cloud-optimised or not, and VRT over GeoTIFF files beside it.

Read window by window, from the overview that suits the working resolution.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine
from rasterio.windows import Window as PixelWindow

from geogrid.errors import ImageryError
from geogrid.partition.imagery.lattice import Lattice, Window
from geogrid.partition.imagery.stretch import Stretch
from geogrid.partition.imagery.vrt import vrt_frames, vrt_sources
from geogrid.partition.imagery.warp import (
    Part,
    PixelGrid,
    Pixels,
    averaged,
    offset_on,
    part_around,
    sampled,
    sources_of,
)

_MOST_PIXELS = 40_000_000_000
# Pixels of a source looked at in one go where it has no overview that suits.
_STRIP_PIXELS = 8_000_000


@dataclass(frozen=True, slots=True)
class RasterFile:
    """One georeferenced image file.

    Attributes
    ----------
    stamp : tuple of int
        Size and time of change, so that a file written anew is opened anew.
    native : float
        Metres a pixel of the full image.
    overview : int
        Overview that is read; -1 is the full image.
    shrink : int
        Pixels of it, along a side, averaged to one of `grid`.
    thinned : bool
        GDAL averages, from the overviews of the files that a VRT is made of.
    grid : PixelGrid
        Pixels as they are read.
    bands : tuple of int
        The bands read as red, green, blue; one band three times is grey.
    palette : bool
        The single band holds indices of the file's colour table.
    dtype : str
        Type of the bands.
    frames : tuple of left, top, right, bottom
        Where a VRT has files, in its pixels; between them GDAL would give black. Empty: everywhere.
    """

    path: Path
    stamp: tuple[int, int]
    native: float
    overview: int
    shrink: int
    thinned: bool
    grid: PixelGrid
    bands: tuple[int, int, int]
    palette: bool
    dtype: str
    frames: tuple[tuple[int, int, int, int], ...]
    stretch: Stretch
    said: str
    date: str

    @property
    def name(self) -> str:
        """The file's name, and what the file says of itself."""
        return ": ".join(filter(None, [self.path.name, self.said]))

    @property
    def kind(self) -> str:
        """Files of one kind share a stretch."""
        return "palette" if self.palette else f"{self.dtype} of {len(set(self.bands))} bands"

    def outline(self, crs: str) -> shapely.Polygon:
        """Return the outline in a CRS."""
        return self.grid.outline(crs)

    def at(self, step: float) -> "RasterFile":
        """Return the file read through the overview that suits `step` metres a pixel."""
        with _open(self.path) as full:
            factors = [1, *full.overviews(1)]
        fitting = [k for k, f in enumerate(factors) if f * self.native <= step * 1.01]
        level = max(fitting, default=0, key=lambda k: factors[k])
        source = _reader(self.path, level - 1, self.stamp)
        left = step * 1.01 / (self.native * factors[level])
        shrink = 1 << max(0, math.floor(math.log2(left)))
        full_grid = _grid_of(source)
        grid = full_grid.shrunk(shrink) if shrink > 1 else full_grid
        thinned = shrink > 1 and not self.palette and _has_thin_sources(self.path)
        if thinned:  # whole squares only
            grid = replace(grid, width=source.width // shrink, height=source.height // shrink)
        return replace(self, overview=level - 1, shrink=shrink, thinned=thinned, grid=grid)

    def sample(self, ground: float) -> NDArray[np.float64]:
        """Return valid colours `(n, 3)` of the whole file at about `ground` metres a pixel."""
        if self.palette:
            return np.empty((0, 3))
        with _open(self.path) as source:
            shrink = max(1.0, ground / self.native)
            shape = (max(1, int(source.height / shrink)), max(1, int(source.width / shrink)))
            data = source.read(self.bands, out_shape=(3, *shape)).astype(np.float64)
            valid = source.dataset_mask(out_shape=shape) > 0
            if self.frames:
                valid &= self._framed_sample(shape, (source.height, source.width))
        colours: NDArray[np.float64] = data[:, valid].T
        return colours[np.isfinite(colours).all(axis=1)]

    def read(self, lattice: Lattice, window: Window) -> Pixels:
        """Return the pixels of a window of the lattice."""
        source = _reader(self.path, self.overview, self.stamp)
        offset = offset_on(self.grid, lattice)
        if offset is not None:
            return self._copied(source, offset, window)
        columns, rows = sources_of(self.grid, lattice, window)
        part = part_around(columns, rows, self.grid)
        if part is None:
            return np.zeros((*window.shape, 3), np.uint8), np.zeros(window.shape, bool)
        return sampled(self._pixels(source, part), part, columns, rows)

    def _copied(
        self, source: rasterio.DatasetReader, offset: tuple[int, int], window: Window
    ) -> Pixels:
        """Return pixels as they are; what lies beyond the image is without data."""
        row, col = window.row - offset[0], window.col - offset[1]
        part = Part(
            max(col, 0),
            max(row, 0),
            min(col + window.width, self.grid.width),
            min(row + window.height, self.grid.height),
        )
        rgb, valid = np.zeros((*window.shape, 3), np.uint8), np.zeros(window.shape, bool)
        if part.right > part.left and part.bottom > part.top:
            inside = np.s_[part.top - row : part.bottom - row, part.left - col : part.right - col]
            rgb[inside], valid[inside] = self._pixels(source, part)
        return rgb, valid

    def _pixels(self, source: rasterio.DatasetReader, part: Part) -> Pixels:
        """Return the pixels of a part of `grid`."""
        if self.shrink == 1 or self.thinned:
            return self._coloured(source, part, factor=self.shrink)
        strips = [
            averaged(self._coloured(source, strip), self.shrink)
            for strip in _strips(part, self.shrink, (source.width, source.height))
        ]
        return np.concatenate([rgb for rgb, _ in strips]), np.concatenate([ok for _, ok in strips])

    def _coloured(self, source: rasterio.DatasetReader, part: Part, *, factor: int = 1) -> Pixels:
        """Return stretched colours of a part of the opened image, in squares of `factor` pixels."""
        width, height = part.right - part.left, part.bottom - part.top
        place = PixelWindow(part.left * factor, part.top * factor, width * factor, height * factor)
        bands = sorted(set(self.bands))
        try:
            data = source.read(
                bands,
                window=place,
                out_shape=(len(bands), height, width),
                resampling=Resampling.average,
            )
            valid = source.dataset_mask(window=place, out_shape=(height, width)) > 0
        except rasterio.errors.RasterioIOError as error:
            raise ImageryError(
                f"{self.path} cannot be read at columns {part.left} to {part.right}, rows "
                f"{part.top} to {part.bottom}: {error}. The file is damaged; copy or make it again."
            ) from error
        if self.frames:
            valid &= self._framed(part, factor)
        if self.palette:
            return _looked_up(source, data[0]), valid
        pixels = np.moveaxis(data[[bands.index(band) for band in self.bands]], 0, -1)
        if pixels.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=-1)
            pixels = np.where(valid[..., None], pixels, 0)
        return self.stretch.applied(pixels), valid

    def _framed_sample(self, shape: tuple[int, int], size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return where a thinned image of `shape` has files below it."""
        rows = (np.arange(shape[0]) + 0.5) * size[0] / shape[0]
        cols = (np.arange(shape[1]) + 0.5) * size[1] / shape[1]
        framed = np.zeros(shape, bool)
        for left, top, right, bottom in self.frames:
            across = (cols >= left) & (cols < right)
            framed |= ((rows >= top) & (rows < bottom))[:, None] & across
        return framed

    def _framed(self, part: Part, factor: int) -> NDArray[np.bool_]:
        """Return where the part has files below it."""
        framed = np.zeros((part.bottom - part.top, part.right - part.left), bool)
        for left, top, right, bottom in self.frames:
            rows = slice(max(top // factor - part.top, 0), max(-(-bottom // factor) - part.top, 0))
            cols = slice(
                max(left // factor - part.left, 0), max(-(-right // factor) - part.left, 0)
            )
            framed[rows, cols] = True
        return framed


def look_at(path: Path, working_crs: str, bands: tuple[int, int, int] | None = None) -> RasterFile:
    """Look at an image file and describe it, unstretched and at its full resolution.

    Parameters
    ----------
    bands : tuple of int, optional
        The bands to read as red, green and blue; by default what the file itself says.

    Raises
    ------
    ImageryError
        The file cannot be read, has no CRS or no georeference, is absurdly large, has not these
        bands, or is a VRT that reaches beyond the files below its folder.
    """
    with _open(path) as source:
        _require_georeference(source, path)
        palette = bands is None and source.colorinterp[0] == ColorInterp.palette
        chosen = _checked(bands, source, path) if bands else _rgb_bands(source)
        tags = source.tags()
        status = path.stat()
        return RasterFile(
            path=path,
            stamp=(status.st_size, status.st_mtime_ns),
            native=_native_step(source, working_crs),
            overview=-1,
            shrink=1,
            thinned=False,
            grid=_grid_of(source),
            bands=chosen,
            palette=palette,
            dtype=source.dtypes[chosen[0] - 1],
            frames=vrt_frames(path) if path.suffix.lower() == ".vrt" else (),
            stretch=Stretch(),
            said=tags.get("TIFFTAG_IMAGEDESCRIPTION", ""),
            date=tags.get("TIFFTAG_DATETIME", "")[:10].replace(":", "-"),
        )


def _open(path: Path, **options: int) -> rasterio.DatasetReader:
    """Open a GeoTIFF or a VRT of such: other drivers follow a file to other files and hosts."""
    if not path.is_file():
        raise ImageryError(f"there is no file {path}.")
    if path.suffix.lower() == ".vrt":
        for source in dict.fromkeys(vrt_sources(path)):
            _open_as(source, "GTiff").close()
        return _open_as(path, "VRT", **options)
    return _open_as(path, "GTiff", **options)


def _open_as(path: Path, driver: str, **options: int) -> rasterio.DatasetReader:
    try:
        return rasterio.open(path, driver=driver, **options)
    except rasterio.errors.RasterioIOError as error:
        what = "GeoTIFF" if driver == "GTiff" else "VRT"
        raise ImageryError(
            f"{path} is not a readable {what}: {error}. Convert it with gdal_translate -of COG."
        ) from error


@lru_cache(maxsize=32)
def _reader(path: Path, overview: int, stamp: tuple[int, int]) -> rasterio.DatasetReader:
    """Open a file once in a process; `stamp` tells a changed file from the old one."""
    del stamp
    return _open(path) if overview < 0 else _open(path, overview_level=overview)


def _has_thin_sources(path: Path) -> bool:
    """Say whether a VRT is made of files that all have overviews."""
    if path.suffix.lower() != ".vrt":
        return False
    for file in dict.fromkeys(vrt_sources(path)):
        with _open_as(file, "GTiff") as source:
            if not source.overviews(1):
                return False
    return True


def _grid_of(source: rasterio.DatasetReader) -> PixelGrid:
    return PixelGrid(source.crs.to_wkt(), source.transform, source.width, source.height)


def _require_georeference(source: rasterio.DatasetReader, path: Path) -> None:
    if source.crs is None:
        raise ImageryError(
            f"{path} has no coordinate reference system. Assign the one it was made in, "
            "for example: gdal_edit.py -a_srs EPSG:4547 FILE."
        )
    if source.transform == Affine.identity() or source.gcps[0]:
        raise ImageryError(
            f"{path} is not georeferenced by a transform. Rectify it first (gdalwarp)."
        )
    if source.width * source.height > _MOST_PIXELS:
        raise ImageryError(
            f"{path} claims {source.width} x {source.height} pixels, more than a city needs. "
            "Cut it to the city (gdalwarp -te) or make a coarser copy."
        )


def _native_step(source: rasterio.DatasetReader, working_crs: str) -> float:
    """Metres a pixel, measured at the middle of the image (a transform may be rotated)."""
    cols = np.array([0.0, 1.0, 0.0]) + source.width / 2
    rows = np.array([0.0, 0.0, 1.0]) + source.height / 2
    x, y = _grid_of(source).placed(cols, rows, working_crs)
    sides = np.hypot(x[1:] - x[0], y[1:] - y[0])
    if not np.isfinite(sides).all() or (sides <= 0).any():
        middle_x, middle_y = source.transform * (float(cols[0]), float(rows[0]))
        raise ImageryError(
            f"{source.name} does not lie where {working_crs} is valid: its middle is at "
            f"({middle_x:.6f}, {middle_y:.6f}) in {source.crs}. Is its reference system the right "
            "one?"
        )
    return float(round(math.sqrt(sides[0] * sides[1]), 3))


def _checked(
    bands: tuple[int, int, int], source: rasterio.DatasetReader, path: Path
) -> tuple[int, int, int]:
    if not all(1 <= band <= source.count for band in bands):
        listed = ", ".join(
            f"{k} {note or interp.name}"
            for k, (interp, note) in enumerate(
                zip(source.colorinterp, source.descriptions, strict=True), start=1
            )
        )
        raise ImageryError(
            f"bands {','.join(map(str, bands))} of {path}: it has {source.count} ({listed}). "
            "Name three of them, as red,green,blue."
        )
    return bands


def _rgb_bands(source: rasterio.DatasetReader) -> tuple[int, int, int]:
    """Take the bands that the file calls red, green and blue, else its first three, else grey.

    What it calls alpha or infrared is never taken for a colour.
    """
    names = [interp.name for interp in source.colorinterp]
    described = [(note or "").strip().lower() for note in source.descriptions]
    for labels in (described, names):
        if {"red", "green", "blue"} <= set(labels):
            red, green, blue = (labels.index(name) + 1 for name in ("red", "green", "blue"))
            return red, green, blue
    no_colour = {"alpha", "nir", "swir", "mwir", "lwir", "tir", "other_ir"}
    usable = [k for k, name in enumerate(names, start=1) if name not in no_colour] or [1]
    return (usable[0], usable[1], usable[2]) if len(usable) >= 3 else (usable[0],) * 3


def _strips(part: Part, factor: int, size: tuple[int, int]) -> Iterator[Part]:
    """Yield the source pixels of `part` (in squares of `factor`), some rows at a time."""
    width, height = size
    left, right = part.left * factor, min(part.right * factor, width)
    rows = max(1, _STRIP_PIXELS // ((right - left) * factor))
    for top in range(part.top, part.bottom, rows):
        bottom = min(top + rows, part.bottom)
        yield Part(left, top * factor, right, min(bottom * factor, height))


def _looked_up(source: rasterio.DatasetReader, indices: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Look up the colours of palette indices."""
    table = np.zeros((256, 3), np.uint8)
    for index, colour in source.colormap(1).items():
        table[index] = colour[:3]
    coloured: NDArray[np.uint8] = table[indices.astype(np.int64)]
    return coloured
