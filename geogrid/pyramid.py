"""All tiles of an edition as one file: PMTiles 3, for QGIS, a folder of files or a web server.

Tiles are encoded in threads (the encoder holds no lock) and written in the order of the archive, so
the same edition gives the same bytes whatever the number of threads.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pmtiles.tile import Compression, TileType
from pmtiles.writer import Writer

from geogrid import __version__, store
from geogrid.edition import Edition
from geogrid.errors import UsageError
from geogrid.tiles import (
    LABEL_MIN_ZOOMS,
    LABEL_PROPERTIES,
    MAX_ZOOM,
    MIN_ZOOMS,
    PROPERTIES,
    TileSet,
    zipped,
)

_CHUNK = 64
"""Tiles a thread takes at once."""


@dataclass(frozen=True, slots=True)
class Pyramid:
    """What was written."""

    tiles: int
    bytes: int
    largest_bytes: int
    largest: tuple[int, int, int]
    zooms: tuple[int, int]

    def as_text(self, lang: str) -> str:
        """Return the figures as a sentence."""
        z, x, y = self.largest
        low, high = self.zooms
        if lang == "zh":
            return (
                f"{self.tiles:,} 个瓦片，级别 {low}-{high}，共 {self.bytes / 1e6:.1f} MB；"
                f"最大的为 {z}/{x}/{y}，{self.largest_bytes / 1e3:.0f} kB"
            )
        return (
            f"{self.tiles:,} tiles, zooms {low}-{high}, {self.bytes / 1e6:.1f} MB; "
            f"the largest is {z}/{x}/{y} with {self.largest_bytes / 1e3:.0f} kB"
        )


def write(
    edition: Edition,
    path: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pyramid:
    """Write all tiles of `edition` to `path`, whole or not at all.

    Parameters
    ----------
    workers : int, optional
        Threads; one for each processor by default.
    progress : callable, optional
        Called with the number of places done and of all.

    Raises
    ------
    UsageError
        `path` does not end in `.pmtiles`.
    DataError
        The file cannot be written; an older one is whole.
    """
    if path.suffix.lower() != ".pmtiles":
        raise UsageError(f"{path}: tiles are written as PMTiles; name a file *.pmtiles.")
    tiles = TileSet(edition)
    places = _places(tiles)
    sizes: dict[tuple[int, int, int], int] = {}
    with store.replacing(path) as draft, draft.open("wb") as file:
        writer: Any = Writer(file)  # type: ignore[no-untyped-call]  # the package has no types
        with closing(writer.tile_f):
            for done, (place, body) in enumerate(_encoded(tiles, list(places), workers), 1):
                if body:
                    writer.write_tile(places[place], body)
                    sizes[place] = len(body)
                if progress is not None and (done % _CHUNK == 0 or done == len(places)):
                    progress(done, len(places))
            writer.finalize(_header(tiles), _metadata(edition))
    largest = max(sizes, key=lambda place: sizes[place])
    zooms = (min(MIN_ZOOMS.values()), MAX_ZOOM)
    return Pyramid(len(sizes), path.stat().st_size, sizes[largest], largest, zooms)


def vector_layers() -> list[dict[str, object]]:
    """Describe the layers as TileJSON 3.0 does."""
    layers = [_layer(level, zoom, PROPERTIES) for level, zoom in MIN_ZOOMS.items()]
    return [*layers, _layer("label", min(LABEL_MIN_ZOOMS.values()), LABEL_PROPERTIES)]


def _layer(name: str, zoom: int, fields: Sequence[str]) -> dict[str, object]:
    kinds = {field: "Number" if field == "households" else "String" for field in fields}
    return {"id": name, "minzoom": zoom, "maxzoom": MAX_ZOOM, "fields": kinds}


def _places(tiles: TileSet) -> dict[tuple[int, int, int], int]:
    """Return the tiles of the city's box and their numbers, in the order of the archive."""
    places = {}
    for z in range(min(MIN_ZOOMS.values()), MAX_ZOOM + 1):
        xy = np.array(list(tiles.covering(z)))
        numbers = tile_numbers(z, xy)
        order = np.argsort(numbers)
        for (x, y), number in zip(xy[order].tolist(), numbers[order].tolist(), strict=True):
            places[z, x, y] = number
    return places


def tile_numbers(z: int, xy: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers of tiles in PMTiles 3: after all lower zooms, along Hilbert's curve.

    >>> tile_numbers(1, np.array([[0, 0], [0, 1], [1, 1], [1, 0]])).tolist()
    [1, 2, 3, 4]
    """
    x, y = xy.T
    numbers = np.full(len(xy), ((1 << 2 * z) - 1) // 3)
    for bit in range(z - 1, -1, -1):
        side = 1 << bit
        right, low = x & side, y & side
        numbers += ((3 * right) ^ low) << bit
        flipped = (low == 0) & (right != 0)
        x, y = np.where(flipped, side - 1 - x, x), np.where(flipped, side - 1 - y, y)
        x, y = np.where(low == 0, y, x), np.where(low == 0, x, y)
    return numbers


def _encoded(
    tiles: TileSet, places: Sequence[tuple[int, int, int]], workers: int | None
) -> Iterator[tuple[tuple[int, int, int], bytes]]:
    """Yield tiles, compressed, in order; empty where nothing is."""

    def encode(chunk: Sequence[tuple[int, int, int]]) -> list[bytes]:
        bodies = (tiles.encode(*place) for place in chunk)
        return [zipped(body) if body else b"" for body in bodies]

    chunks = [places[at : at + _CHUNK] for at in range(0, len(places), _CHUNK)]
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        for chunk, bodies in zip(chunks, pool.map(encode, chunks), strict=True):
            yield from zip(chunk, bodies, strict=True)


def _header(tiles: TileSet) -> dict[str, object]:
    west, south, east, north = (round(degrees * 1e7) for degrees in tiles.bounds)
    return {
        "tile_type": TileType.MVT,
        "tile_compression": Compression.GZIP,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_zoom": min(MIN_ZOOMS.values()) + 3,
        "center_lon_e7": (west + east) // 2,
        "center_lat_e7": (south + north) // 2,
    }


def _metadata(edition: Edition) -> dict[str, object]:
    info = edition.info
    return {
        "name": f"{info.city} {info.id}",
        "description": "网格与微网格 grids and micro-grids",
        "type": "overlay",
        "version": info.digest[:16],
        "generator": f"geogrid {__version__}",
        "revision": info.digest,
        "vector_layers": vector_layers(),
    }
