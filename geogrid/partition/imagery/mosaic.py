"""Imagery: one or more layers on one lattice, the first that holds data wins."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.errors import ImageryError, UsageError
from geogrid.partition.imagery.fetch import fetch
from geogrid.partition.imagery.files import RasterFile, look_at
from geogrid.partition.imagery.lattice import Lattice, Window
from geogrid.partition.imagery.services import Service
from geogrid.partition.imagery.source import ImagerySource
from geogrid.partition.imagery.stretch import Stretch
from geogrid.partition.imagery.tiles import (
    TileFolder,
    TileLayer,
    TileStore,
    layer_of,
    open_database,
    pixel_size,
    require_tiles,
    tiles_over,
    zoom_for,
)
from geogrid.partition.imagery.warp import Pixels, same_crs, transformer
from geogrid.schema import EXCHANGE_CRS

# Working below 2 m gains nothing (boundary recall .840 at 1 m, .827 at 2 m) and costs four times.
_FINEST = 2.0
# Coarser than this no field is seen, let alone a street (boundary recall .569 at 10 m).
_COARSEST_TILES = 20.0
_SAMPLE_SIDE = 1024
# Metres: what lies this far outside a village still changes its relief, so it is fetched too.
_AROUND = 250.0

Layer = RasterFile | TileLayer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Imagery:
    """Layers of pixels, seen through a lattice.

    Attributes
    ----------
    layers : tuple of RasterFile or TileLayer
        Where they overlap the first that holds data wins.
    boxes : tuple of bounds
        West, south, east, north of each layer, metres.
    name : str
        For messages.
    source : str
        What it was made from, and metres a pixel or the zoom.
    date : str
        Day of the imagery when it says so, two days with a slash between them, or empty.
    """

    lattice: Lattice
    layers: tuple[Layer, ...]
    boxes: tuple[tuple[float, float, float, float], ...]
    name: str
    source: str
    date: str

    def read(self, window: Window) -> Pixels:
        """Return RGB `(height, width, 3)` and the mask of pixels that hold data; the others are 0.

        The same pixel has the same colour in every window.
        """
        west, south, east, north = self.lattice.bounds(window)
        found: Pixels | None = None
        for layer, (left, low, right, high) in zip(self.layers, self.boxes, strict=True):
            if left > east or right < west or low > north or high < south:
                continue
            pixels = layer.read(self.lattice, window)
            found = pixels if found is None else _below(found, pixels)
            if found[1].all():
                break
        if found is None:
            return np.zeros((*window.shape, 3), np.uint8), np.zeros(window.shape, bool)
        rgb, valid = found
        return (rgb if valid.all() else np.where(valid[..., None], rgb, np.uint8(0))), valid


def open_imagery(
    given: Path | str | ImagerySource,
    working_crs: str,
    *,
    resolution: float | None = None,
    area: NDArray[np.object_] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Imagery:
    """Look at imagery and describe how to read it.

    Files of one type of pixel share one stretch (percentiles over all of them), so that the files
    of one mosaic meet without a seam; files of another type, and tiles, have their own.

    Parameters
    ----------
    given : path, name or ImagerySource
        What to read.
    working_crs : str
        The metric CRS to work in; imagery is warped to it where it is in another.
    resolution : float, optional
        Metres a pixel to work at; by default the finest source's own, but 2 m at the finest.
    area : (n,) polygons, optional
        What will be divided, in the working CRS. Tiles are fetched and required there.
    progress : callable, optional
        Called with a stage, what is done and what there is in all, while tiles are fetched.

    Raises
    ------
    ImageryError
        Something cannot be read, has no reference system, or lacks tiles inside the area.
    UsageError
        A place that cannot be meant, or a service without an area or a key.
    """
    source = ImagerySource.of(given)
    if resolution is not None and not (math.isfinite(resolution) and resolution > 0):
        raise UsageError(f"--resolution {resolution}: give metres a pixel, for example 2.")
    opener = _Opener(source, working_crs, resolution or _FINEST, (area, progress))
    layers = opener.layers()
    finest = min(layer.native for layer in layers)
    step = resolution or max(finest, _FINEST)
    layers = _stretched([layer.at(step) for layer in layers], working_crs)
    lattice = _lattice(layers[0], working_crs, step)
    names = list(dict.fromkeys(layer.name for layer in layers))
    listed = "; ".join(names[:3]) + (f"; and {len(names) - 3} more" if len(names) > 3 else "")
    days = sorted({day for layer in layers if (day := layer.date)}) or [source.date]
    return Imagery(
        lattice=lattice,
        layers=tuple(layers),
        boxes=tuple(layer.outline(working_crs).bounds for layer in layers),
        name=_named(layers),
        source=f"{listed}, {lattice.step:g} m",
        date="/".join(dict.fromkeys([days[0], days[-1]])),
    )


def outline(imagery: Imagery) -> shapely.Geometry:
    """Return the outline of the layers in the working CRS."""
    crs = imagery.lattice.crs
    return shapely.union_all([layer.outline(crs) for layer in imagery.layers])


class _Opener:
    """Turns the parts of a source into layers."""

    def __init__(
        self,
        source: ImagerySource,
        crs: str,
        resolution: float,
        where: tuple[NDArray[np.object_] | None, Callable[[str, int, int], None] | None],
    ) -> None:
        self._source, self._crs, self._resolution = source, crs, resolution
        self._area, self._progress = where

    def layers(self) -> list[Layer]:
        """Return the layers in order, not yet stretched."""
        parts = self._source.parts()
        return [self._layer(part, alone=len(parts) == 1) for part in parts]

    def _layer(self, part: Path | TileFolder | Service, *, alone: bool) -> Layer:
        if isinstance(part, Service):
            return self._fetched(part, alone=alone)
        if isinstance(part, TileFolder):
            return self._tiles(part, alone=alone)
        if not part.is_file():
            raise ImageryError(f"there is no file {part}.")
        if part.suffix.lower() == ".mbtiles":
            return self._tiles(open_database(part), alone=alone)
        return look_at(part, self._crs, self._source.bands)

    def _fetched(self, service: Service, *, alone: bool) -> TileLayer:
        if self._area is None:
            raise UsageError(f"{service.name} is read for boundaries only; none were given.")
        if self._source.tms:
            service = replace(service, template=service.template.replace("{y}", "{-y}"))
        if self._source.tile_limit is not None:
            service = replace(service, daily_limit=self._source.tile_limit)
        first, last = service.zooms
        zoom = self._zoom(list(range(first, last + 1)), service.name)
        around = shapely.buffer(self._area, _AROUND, quad_segs=4)
        folder = self._source.kept_in(service)
        wanted = tiles_over(around, self._crs, zoom)
        _log.info("%s: %d tiles of zoom %d", service.name, len(wanted), zoom)
        fetch(service, folder, (zoom, wanted), tell=self._progress)
        store = TileFolder(folder, title=service.name)
        return self._layer_of(store, zoom, alone=alone)

    def _tiles(self, store: TileStore, *, alone: bool) -> TileLayer:
        zooms = store.zooms()
        if not zooms:
            raise ImageryError(f"{store.name} holds no tiles.")
        return self._layer_of(store, self._zoom(zooms, store.name), alone=alone)

    def _layer_of(self, store: TileStore, zoom: int, *, alone: bool) -> TileLayer:
        within = None
        if self._area is not None:
            within = tiles_over(self._area, self._crs, zoom)
            layer = layer_of(store, zoom, self._source.bands, within)
            if alone:
                require_tiles(store, zoom, self._area, self._crs)
            return layer
        return layer_of(store, zoom, self._source.bands, within)

    def _zoom(self, zooms: list[int], name: str) -> int:
        """Return the zoom to read; refuse one that is not there, or shows too little."""
        listed = ", ".join(map(str, zooms))
        wanted = self._source.zoom
        if wanted is not None and wanted not in zooms:
            raise ImageryError(f"{name} has no zoom {wanted}; it has {listed}. Choose one of them.")
        latitude = self._latitude()
        zoom = wanted if wanted is not None else zoom_for(zooms, self._resolution, latitude)
        size = pixel_size(zoom, latitude)
        if size > _COARSEST_TILES:
            raise ImageryError(
                f"zoom {zoom} of {name} is {size:.0f} m a pixel: neither fields nor streets are "
                f"seen. It has {listed}; zoom 16 (about 2 m) is wanted."
            )
        return zoom

    def _latitude(self) -> float:
        if self._area is None:
            return 0.0
        west, south, east, north = shapely.total_bounds(self._area)
        to_degrees = transformer(self._crs, EXCHANGE_CRS)
        return float(to_degrees.transform((west + east) / 2, (south + north) / 2)[1])


def _stretched(layers: Sequence[Layer], crs: str) -> list[Layer]:
    """Give all layers of one kind one stretch."""
    boxes = np.array([layer.outline(crs).bounds for layer in layers])
    extent = max(boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0))
    stretches: dict[str, Stretch] = {}
    for kind in dict.fromkeys(layer.kind for layer in layers):
        if kind == "palette":
            stretches[kind] = Stretch()
            continue
        members = [layer for layer in layers if layer.kind == kind]
        colours = np.concatenate([layer.sample(extent / _SAMPLE_SIDE) for layer in members])
        if not len(colours):
            raise ImageryError(
                f"{_named(members)} holds no data: every pixel is marked as missing."
            )
        stretches[kind] = Stretch.of(colours)
    return [replace(layer, stretch=stretches[layer.kind]) for layer in layers]


def _lattice(first: Layer, working_crs: str, step: float) -> Lattice:
    """Take the first image's own pixels where they are usable, else whole multiples of the step."""
    a, b, c, d, e, f = first.grid.transform[:6]
    square = b == 0 and d == 0 and -e == a and math.isclose(a, step, rel_tol=1e-3)
    if square and same_crs(first.grid.crs, working_crs):
        return Lattice(working_crs, c, f, a)
    return Lattice(working_crs, 0.0, 0.0, step)


def _below(above: Pixels, pixels: Pixels) -> Pixels:
    """Fill what the layers above lack."""
    rgb, valid = above
    return np.where(valid[..., None], rgb, pixels[0]), valid | pixels[1]


def _named(layers: Sequence[Layer]) -> str:
    named = [str(getattr(layer, "path", layer.name)) for layer in layers]
    return named[0] if len(named) == 1 else f"{named[0]} and {len(named) - 1} more"
