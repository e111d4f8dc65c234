"""Raster tiles of the imagery, cut when they are asked for."""

import threading
from pathlib import Path

import rasterio
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from geogrid.errors import ImageryError

TILE_SIZE = 256


class Imagery:
    """One image file; each thread keeps a reader open: opening costs as much as a tile."""

    def __init__(self, path: Path) -> None:
        """Open `path` once to see that it can be used."""
        self._path = path
        self._local = threading.local()
        try:
            with rasterio.open(path) as file:
                colours, as_it_is = file.count >= 3, file.dtypes[0] == "uint8"
        except rasterio.errors.RasterioIOError as error:
            raise ImageryError(f"cannot read the imagery {path}: {error}") from error
        self._indexes = (1, 2, 3) if colours else (1, 1, 1)
        reader = self._reader()
        self._ranges = None if as_it_is else _stretch(reader, self._indexes)
        self.min_zoom, self.max_zoom = int(reader.minzoom), int(reader.maxzoom)
        west, south, east, north = reader.get_geographic_bounds(rasterio.crs.CRS.from_epsg(4326))
        self.bounds = (west, south, east, north)

    def tile(self, z: int, x: int, y: int) -> tuple[bytes, str] | None:
        """Return an encoded tile and its media type; None where there is no image.

        JPEG where the image fills the tile, WebP with transparency at its edge.
        """
        try:
            image = self._reader().tile(x, y, z, tilesize=TILE_SIZE, indexes=self._indexes)
        except TileOutsideBounds:
            return None
        if self._ranges is not None:
            image.rescale(in_range=self._ranges)
        return _encoded(image)

    def _reader(self) -> Reader:
        if not hasattr(self._local, "reader"):
            self._local.reader = Reader(str(self._path))
        reader: Reader = self._local.reader
        return reader


def _stretch(reader: Reader, indexes: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return what is shown from black to white: each band's 2nd to 98th percentile."""
    shares = [2, 98]
    found = reader.statistics(indexes=sorted(set(indexes)), percentiles=shares, max_size=1024)
    bands = [band.model_dump() for band in found.values()]
    ranges = [(band["percentile_2"], band["percentile_98"]) for band in bands]
    return (ranges * 3)[:3]


def _encoded(image: ImageData) -> tuple[bytes, str] | None:
    valid = image.mask > 0
    if not valid.any():
        return None
    if valid.all():
        return image.render(add_mask=False, img_format="JPEG", quality=85), "image/jpeg"
    return image.render(add_mask=True, img_format="WEBP"), "image/webp"
