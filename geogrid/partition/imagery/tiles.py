"""Tiles of web mercator, as a layer of imagery: from a folder or an MBTiles file.

A tile is named (zoom, x, y), counted from the west and the north (XYZ). A store gives the bytes of
a tile; everything after that, from decoding to warping, is the same for every store.
"""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

from geogrid.errors import ImageryError
from geogrid.partition.imagery.bodies import decoded, vector_tiles
from geogrid.partition.imagery.lattice import Lattice, Window
from geogrid.partition.imagery.stretch import Stretch
from geogrid.partition.imagery.warp import (
    Part,
    PixelGrid,
    Pixels,
    averaged,
    part_around,
    sampled,
    sources_of,
    transformer,
)

MERCATOR = "EPSG:3857"
FINEST_ZOOM = 24
_HALF_WORLD = math.pi * 6_378_137
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_SAMPLED_TILES = 64
_MOST_TILES = 5_000_000
# A tile is missing if the boundaries reach further into it than this share of its side.
_RIM = 0.1
# A zoom serves a resolution if its pixels are at most this much larger.
_COARSER = 1.25


class TileStore(Protocol):
    """What holds tiles, on disk."""

    @property
    def name(self) -> str:
        """What the store is called in an edition and in messages."""

    def zooms(self) -> list[int]:
        """Return the zooms of which there are tiles, ascending."""

    def listed(self, zoom: int) -> NDArray[np.int64]:
        """Return x and y `(n, 2)` of the tiles of a zoom, sorted."""

    def body(self, zoom: int, x: int, y: int) -> bytes | None:
        """Return the bytes of a tile, None where there is none."""


@dataclass(frozen=True, slots=True)
class TileFolder:
    """Tiles as files `{z}/{x}/{y}.png`, jpg or webp; rows from the south with `tms`."""

    root: Path
    tms: bool = False
    title: str = ""

    @property
    def name(self) -> str:
        """What the tiles were called, else the folder."""
        return self.title or self.root.name

    def zooms(self) -> list[int]:
        """Return the zooms of which there are tiles, ascending."""
        return [zoom for zoom in _numbered_folders(self.root) if any(self._files(zoom))]

    def listed(self, zoom: int) -> NDArray[np.int64]:
        """Return x and y `(n, 2)` of the tiles of a zoom, sorted."""
        found = [(x, int(file.stem)) for x, file in self._files(zoom)]
        return _sorted(found, zoom if self.tms else None)

    def body(self, zoom: int, x: int, y: int) -> bytes | None:
        """Return the bytes of a tile, None where there is none."""
        row = (1 << zoom) - 1 - y if self.tms else y
        stem = self.root / str(zoom) / str(x) / str(row)
        for suffix in _SUFFIXES:
            try:
                return stem.with_name(stem.name + suffix).read_bytes()
            except FileNotFoundError:
                continue
        return None

    def _files(self, zoom: int) -> Iterator[tuple[int, Path]]:
        folder = self.root / str(zoom)
        for x in _numbered_folders(folder):
            for file in (folder / str(x)).iterdir():
                if file.stem.isdigit() and file.suffix.lower() in (*_SUFFIXES, ".pbf", ".mvt"):
                    yield x, file


@dataclass(frozen=True, slots=True)
class TileDatabase:
    """Tiles in an MBTiles file (SQLite); its rows count from the south."""

    path: Path
    stamp: tuple[int, int]

    @property
    def name(self) -> str:
        """The file's name, and what it calls itself."""
        said = self.metadata().get("name", "")
        return ": ".join(filter(None, [self.path.name, said]))

    def metadata(self) -> dict[str, str]:
        """Return what the file says of itself."""
        return {
            str(key): str(value) for key, value in self._asked("SELECT name, value FROM metadata")
        }

    def zooms(self) -> list[int]:
        """Return the zooms of which there are tiles, ascending."""
        rows = self._asked("SELECT DISTINCT zoom_level FROM tiles ORDER BY 1")
        return [int(zoom) for (zoom,) in rows]

    def listed(self, zoom: int) -> NDArray[np.int64]:
        """Return x and y `(n, 2)` of the tiles of a zoom, sorted."""
        wanted = "SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ?"
        return _sorted(self._asked(wanted, zoom), zoom)

    def body(self, zoom: int, x: int, y: int) -> bytes | None:
        """Return the bytes of a tile, None where there is none."""
        wanted = (
            "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        )
        rows = self._asked(wanted, zoom, x, (1 << zoom) - 1 - y)
        return bytes(rows[0][0]) if rows else None

    def _asked(self, query: str, *values: int) -> list[Any]:
        try:
            with closing(_database(self.path, self.stamp).execute(query, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise ImageryError(
                f"{self.path} is not a readable MBTiles file: {error}. Copy or make it again."
            ) from error


@dataclass(frozen=True, slots=True)
class TileLayer:
    """The tiles of one zoom of a store, seen as one image.

    Attributes
    ----------
    native : float
        Metres on the ground a pixel of the zoom, in the middle of the tiles.
    side : int
        Pixels along a side of a tile.
    shrink : int
        Pixels of a tile, along a side, averaged to one.
    bands : tuple of int
        Which of red, green and blue are read as such.
    span : tuple of int
        West, north, east, south ends of the tiles in whole tiles, the last two exclusive.
    chosen : (n, 2) tiles
        What the stretch is taken from.
    """

    store: TileStore
    zoom: int
    native: float
    side: int
    shrink: int
    bands: tuple[int, int, int]
    span: tuple[int, int, int, int]
    chosen: tuple[tuple[int, int], ...]
    stretch: Stretch
    date: str

    @property
    def name(self) -> str:
        """What the store is called, and the zoom."""
        return f"{self.store.name} (zoom {self.zoom})"

    @property
    def kind(self) -> str:
        """Tile sets share a stretch."""
        return "tiles"

    @property
    def grid(self) -> PixelGrid:
        """Pixels of the whole world at this zoom, as they are read."""
        n = (1 << self.zoom) * self.side // self.shrink
        step = 2 * _HALF_WORLD / n
        return PixelGrid(MERCATOR, Affine(step, 0, -_HALF_WORLD, 0, -step, _HALF_WORLD), n, n)

    def outline(self, crs: str) -> shapely.Polygon:
        """Return the rectangle round the tiles in a CRS."""
        west, north, east, south = self.span
        width = 2 * _HALF_WORLD / (1 << self.zoom)
        corner = Affine(
            width, 0, west * width - _HALF_WORLD, 0, -width, _HALF_WORLD - north * width
        )
        return PixelGrid(MERCATOR, corner, east - west, south - north).outline(crs)

    def at(self, step: float) -> "TileLayer":
        """Return the layer read at about `step` metres a pixel."""
        factor = 1 << max(0, math.floor(math.log2(step * 1.01 / self.native)))
        return replace(self, shrink=min(factor, self.side))

    def sample(self, _ground: float) -> NDArray[np.float64]:
        """Return valid colours `(n, 3)` of some tiles, evenly spread."""
        found = []
        for x, y in self.chosen:
            rgb, valid = self._tile(x, y)
            found.append(rgb[::4, ::4][valid[::4, ::4]])
        return np.concatenate(found).astype(np.float64)

    def read(self, lattice: Lattice, window: Window) -> Pixels:
        """Return the pixels of a window of the lattice."""
        grid = self.grid
        columns, rows = sources_of(grid, lattice, window)
        part = part_around(columns, rows, grid)
        if part is None:
            return np.zeros((*window.shape, 3), np.uint8), np.zeros(window.shape, bool)
        side = self.side // self.shrink
        ends = (-(-part.right // side), -(-part.bottom // side))
        whole = Part(part.left // side, part.top // side, *ends)
        origin = Part(whole.left * side, whole.top * side, ends[0] * side, ends[1] * side)
        return sampled(self._joined(whole, side), origin, columns, rows)

    def _joined(self, tiles: Part, side: int) -> Pixels:
        """Return tiles side by side; what is absent is without data."""
        tall, wide = tiles.bottom - tiles.top, tiles.right - tiles.left
        rgb = np.zeros((tall * side, wide * side, 3), np.uint8)
        valid = np.zeros((tall * side, wide * side), bool)
        west, north, east, south = self.span
        for y in range(max(tiles.top, north), min(tiles.bottom, south)):
            for x in range(max(tiles.left, west), min(tiles.right, east)):
                row, col = (y - tiles.top) * side, (x - tiles.left) * side
                place = np.s_[row : row + side, col : col + side]
                colours, valid[place] = self._shrunk(x, y)
                rgb[place] = self.stretch.applied(colours)
        return rgb, valid

    def _shrunk(self, x: int, y: int) -> Pixels:
        pixels = self._tile(x, y)
        return pixels if self.shrink == 1 else averaged(pixels, self.shrink)

    def _tile(self, x: int, y: int) -> Pixels:
        body = self.store.body(self.zoom, x, y)
        if body is None:
            return np.zeros((self.side, self.side, 3), np.uint8), np.zeros((self.side,) * 2, bool)
        rgb, valid = decoded(body, f"tile {self.zoom}/{x}/{y} of {self.store.name}")
        if valid.shape != (self.side, self.side):
            raise ImageryError(
                f"tile {self.zoom}/{x}/{y} of {self.store.name} is {valid.shape[1]} x "
                f"{valid.shape[0]} pixels, others are {self.side} x {self.side}. Make the tiles "
                "again in one size."
            )
        return rgb[..., [band - 1 for band in self.bands]], valid


def open_database(path: Path) -> TileDatabase:
    """Look at an MBTiles file.

    Raises
    ------
    ImageryError
        It cannot be read, or holds vector tiles.
    """
    status = path.stat()
    database = TileDatabase(path, (status.st_size, status.st_mtime_ns))
    form = database.metadata().get("format", "").lower()
    if form in {"pbf", "mvt"}:
        raise vector_tiles(str(path))
    return database


def zoom_for(zooms: list[int], resolution: float, latitude: float, *, side: int = 256) -> int:
    """Return the coarsest zoom that serves a resolution (m), else the finest there is."""
    fine = [z for z in zooms if pixel_size(z, latitude, side) <= resolution * _COARSER]
    return min(fine) if fine else max(zooms)


def pixel_size(zoom: int, latitude: float, side: int = 256) -> float:
    """Return metres on the ground that a pixel is wide."""
    return 2 * _HALF_WORLD / side / (1 << zoom) * math.cos(math.radians(latitude))


def tiles_over(
    area: NDArray[np.object_], crs: str, zoom: int, *, rim: float = 0.0
) -> NDArray[np.int64]:
    """Return x and y `(n, 2)` of the tiles that an area touches, sorted.

    Parameters
    ----------
    area : (k,) polygons
        In `crs`.
    rim : float
        Leave out tiles into which the area reaches less far than this share of their side.
    """
    project = transformer(crs, MERCATOR).transform
    shapes = shapely.transform(area, lambda xy: np.column_stack(project(xy[:, 0], xy[:, 1])))
    width = 2 * _HALF_WORLD / (1 << zoom)
    west, south, east, north = shapely.total_bounds(shapes)
    x = np.arange(int((west + _HALF_WORLD) // width), int((east + _HALF_WORLD) // width) + 1)
    y = np.arange(int((_HALF_WORLD - north) // width), int((_HALF_WORLD - south) // width) + 1)
    if len(x) * len(y) > _MOST_TILES:
        raise ImageryError(
            f"zoom {zoom} needs up to {len(x) * len(y)} tiles for these boundaries. A zoom of "
            "about 2 m a pixel is fine enough; give --zoom 16 or --resolution 2."
        )
    tiles = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    left, top = tiles[:, 0] * width - _HALF_WORLD, _HALF_WORLD - tiles[:, 1] * width
    inset = rim * width
    boxes = shapely.box(left + inset, top - width + inset, left + width - inset, top - inset)
    touched = np.unique(shapely.STRtree(boxes).query(shapes, predicate="intersects")[1])
    found: NDArray[np.int64] = tiles[touched].astype(np.int64)
    return found


def require_tiles(store: TileStore, zoom: int, area: NDArray[np.object_], crs: str) -> None:
    """Refuse a store that lacks tiles inside the area.

    Raises
    ------
    ImageryError
        With their number and places.
    """
    wanted, present = tiles_over(area, crs, zoom, rim=_RIM), store.listed(zoom)
    missing = wanted[~np.isin(_key(wanted), _key(present))]
    if not len(missing):
        return
    lon, lat = _centres(missing, zoom)
    listed = "; ".join(
        f"{zoom}/{x}/{y} near {east:.4f}, {north:.4f}"
        for (x, y), east, north in zip(missing[:10].tolist(), lon[:10], lat[:10], strict=True)
    )
    flipped = np.column_stack([missing[:, 0], (1 << zoom) - 1 - missing[:, 1]])
    turned = bool(np.isin(_key(flipped), _key(present)).mean() > 0.5)
    others = [z for z in store.zooms() if z != zoom]
    advice = (
        "Their mirror images are there: the rows seem to be counted from the other side, "
        + ("leave --tms out." if getattr(store, "tms", False) else "add --tms.")
        if turned
        else "Add these tiles, give another source as well, or leave the villages out."
        + (f" Other zooms there: {', '.join(map(str, others))} (--zoom)." if others else "")
    )
    raise ImageryError(
        f"{store.name} lacks {len(missing)} of the {len(wanted)} tiles of zoom {zoom} inside the "
        f"boundaries: {listed}{'; …' if len(missing) > 10 else ''}. {advice}"
    )


def layer_of(
    store: TileStore,
    zoom: int,
    bands: tuple[int, int, int] | None,
    within: NDArray[np.int64] | None,
) -> TileLayer:
    """Describe the tiles of a zoom as a layer.

    Parameters
    ----------
    within : (n, 2) int64, optional
        Tiles from which the stretch is taken; all by default.

    Raises
    ------
    ImageryError
        There is no tile, or it is no picture.
    """
    present = store.listed(zoom)
    if within is not None:
        present = present[np.isin(_key(present), _key(within))]
    if not len(present):
        raise ImageryError(
            f"{store.name} holds no tile of zoom {zoom} inside the boundaries. Are these the tiles "
            "of this city, and are their rows counted from the north (else add --tms)?"
        )
    if bands and not all(1 <= band <= 3 for band in bands):
        raise ImageryError(f"bands {bands} of {store.name}: tiles have 1, 2 and 3.")
    picks = np.linspace(0, len(present) - 1, min(_SAMPLED_TILES, len(present))).round()
    chosen = tuple((int(x), int(y)) for x, y in present[picks.astype(np.int64)])
    first = store.body(zoom, *chosen[0])
    _, valid = decoded(first or b"", f"tile {zoom}/{chosen[0][0]}/{chosen[0][1]} of {store.name}")
    west, north = present.min(axis=0).tolist()
    east, south = (present.max(axis=0) + 1).tolist()
    if within is not None:
        everywhere = store.listed(zoom)
        west, north = everywhere.min(axis=0).tolist()
        east, south = (everywhere.max(axis=0) + 1).tolist()
    _, lat = _centres(present, zoom)
    return TileLayer(
        store=store,
        zoom=zoom,
        native=pixel_size(zoom, float(np.median(lat)), valid.shape[0]),
        side=valid.shape[0],
        shrink=1,
        bands=bands or (1, 2, 3),
        span=(west, north, east, south),
        chosen=chosen,
        stretch=Stretch(),
        date="",
    )


@lru_cache(maxsize=8)
def _database(path: Path, stamp: tuple[int, int]) -> sqlite3.Connection:
    """Open a file once in a process, never to write to it."""
    del stamp
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def _numbered_folders(folder: Path) -> list[int]:
    return sorted(
        int(entry.name) for entry in folder.iterdir() if entry.name.isdigit() and entry.is_dir()
    )


def _sorted(found: list[tuple[int, int]], flipped_at: int | None) -> NDArray[np.int64]:
    tiles = np.array(found, np.int64).reshape(-1, 2)
    if flipped_at is not None:
        tiles[:, 1] = (1 << flipped_at) - 1 - tiles[:, 1]
    return tiles[np.lexsort((tiles[:, 1], tiles[:, 0]))]


def _key(tiles: NDArray[np.int64]) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = tiles[:, 0] * (1 << FINEST_ZOOM) + tiles[:, 1]
    return keys


def _centres(
    tiles: NDArray[np.int64], zoom: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude of the middles of tiles."""
    x, y = ((tiles + 0.5) / (1 << zoom)).T
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y))))
    return x * 360 - 180, lat
