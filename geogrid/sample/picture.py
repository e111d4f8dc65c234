"""The aerial image of the invented landscape, drawn tile by tile."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.shutil import copy as copy_raster
from rasterio.transform import Affine
from rasterio.windows import Window

from geogrid._kernels import drawing
from geogrid.parallel import Engine, run
from geogrid.sample.buildings import FIELD, POND, SETTLEMENT, TOWN, WOOD, Buildings
from geogrid.sample.landscape import CANAL, DITCH, EXPRESSWAY, RIVER, WIDTHS, Lattice, edges_of
from geogrid.sample.noise import chance, waves
from geogrid.sample.plane import PLANE_CRS

_SAYS = "invented sample city, not a photograph · 虚构的示例影像"
_TILE = 2048
_HALO = 4
_MARGIN_M = 40.0
_SUN = np.array([-0.6, 0.8])
"""Direction of shadows: the sun stands in the south-east."""

_CROPS = np.array(
    [(112, 134, 70), (96, 122, 64), (134, 144, 80), (142, 116, 90), (158, 134, 104),
     (176, 160, 108), (74, 106, 60), (184, 184, 176)], np.uint8
)  # fmt: skip
_GROUND = {
    SETTLEMENT: (156, 144, 126),
    TOWN: (150, 148, 143),
    POND: (70, 88, 90),
    WOOD: (54, 78, 46),
}
_GROUND_GRAIN = {SETTLEMENT: 26, TOWN: 16, POND: 2, WOOD: 24}
_EDGE_COLOURS = np.array(
    [(178, 164, 136), (50, 72, 42), (92, 106, 84), (192, 186, 174), (68, 88, 90), (118, 118, 120),
     (104, 104, 108), (84, 102, 100)], np.uint8
)  # fmt: skip
_BANK = np.array((168, 158, 122), np.uint8)
_ROOFS = {
    SETTLEMENT: np.array(
        [(152, 80, 64), (128, 128, 130), (88, 106, 142), (168, 150, 136)], np.uint8
    ),
    TOWN: np.array([(202, 198, 190), (174, 170, 164), (150, 122, 108)], np.uint8),
}
_HEIGHTS = {SETTLEMENT: 4.0, TOWN: 16.0}


@dataclass(frozen=True, slots=True)
class Tile:
    """What is to be seen in one tile, in pixels of the tile (x right, y down), in drawing order."""

    row: int
    col: int
    shape: tuple[int, int]
    step: float
    origin: tuple[float, float]
    seed: int
    quads: NDArray[np.float32]
    quad_colours: NDArray[np.uint8]
    quad_grains: NDArray[np.uint8]
    n_ground: int
    segments: NDArray[np.float32]
    half_widths: NDArray[np.float32]
    segment_colours: NDArray[np.uint8]
    city: shapely.MultiPolygon | shapely.Polygon


def paint(
    path: Path,
    scene: tuple[Lattice, Buildings, NDArray[np.object_]],
    resolution: float,
    *,
    engine: Engine,
    progress: Callable[[str, float], None],
) -> None:
    """Write the image as a cloud-optimised GeoTIFF; never wholly in memory.

    Parameters
    ----------
    scene : (Lattice, Buildings, polygons)
        What to draw, and the land (metres) outside of which the image has no data.
    resolution : float
        Metres a pixel.
    """
    lattice, buildings, land = scene
    west, south, east, north = shapely.total_bounds(land)
    x0 = np.floor((west - _MARGIN_M) / resolution) * resolution
    y0 = np.ceil((north + _MARGIN_M) / resolution) * resolution
    width = int(np.ceil((east + _MARGIN_M - x0) / resolution))
    height = int(np.ceil((y0 - south + _MARGIN_M) / resolution))
    tiles = list(_tiles(lattice, buildings, land, (x0, y0, resolution, height, width)))
    raw = path.with_suffix(".raw.tif")
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8",
        "crs": PLANE_CRS, "transform": Affine(resolution, 0, x0, 0, -resolution, y0),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "photometric": "RGB",
        "BIGTIFF": "IF_SAFER", "SPARSE_OK": "TRUE",
    }  # fmt: skip
    try:
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_CACHEMAX=256),
            rasterio.open(raw, "w", **profile) as target,
        ):
            target.update_tags(TIFFTAG_IMAGEDESCRIPTION=_SAYS, AREA_OR_POINT="Area")
            for done, (tile, drawn) in enumerate(zip(tiles, run(draw, tiles, engine), strict=True)):
                rgb, mask = drawn
                window = Window(tile.col, tile.row, rgb.shape[1], rgb.shape[0])
                target.write(np.moveaxis(rgb, -1, 0), window=window)
                target.write_mask(mask, window=window)
                progress("imagery", (done + 1) / len(tiles))
        progress("overviews", 0.0)
        with rasterio.Env(GDAL_NUM_THREADS=engine.workers, GDAL_CACHEMAX=512):
            copy_raster(
                raw, path, driver="COG", compress="JPEG", quality=88, blocksize=512,
                overview_resampling="AVERAGE", BIGTIFF="IF_SAFER",
            )  # fmt: skip
        progress("overviews", 1.0)
    finally:
        raw.unlink(missing_ok=True)


def draw(tile: Tile) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return RGB and mask of a tile."""
    cv2.setNumThreads(1)
    height, width = tile.shape
    shape = (height + 2 * _HALO, width + 2 * _HALO)
    image = np.full((*shape, 3), _CROPS[0], np.uint8)
    grain = np.full(shape, 6, np.uint8)
    n = tile.n_ground
    drawing.fill_quads(image, grain, tile.quads[:n], tile.quad_colours[:n], tile.quad_grains[:n])
    calm = np.full(len(tile.segments), 4, np.uint8)
    drawing.draw_segments(image, grain, tile.segments, tile.half_widths, tile.segment_colours, calm)
    drawing.fill_quads(image, grain, tile.quads[n:], tile.quad_colours[n:], tile.quad_grains[n:])
    image = drawing.weather(
        image,
        grain,
        _light(tile, shape),
        tile.row - _HALO + 4096,
        tile.col - _HALO + 4096,
        tile.seed,
    )
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.6), np.uint8)
    inner = np.s_[_HALO : _HALO + height, _HALO : _HALO + width]
    transform = Affine(tile.step, 0, tile.origin[0], 0, -tile.step, tile.origin[1])
    mask = rasterize(
        [tile.city],
        tile.shape,
        transform=transform,
        all_touched=True,
        default_value=255,
        dtype=np.uint8,
    )
    image = image[inner]
    image[mask == 0] = 0
    return image, mask


def _light(tile: Tile, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return uneven light: clouds of 1.6 km and soil of 300 m, bilinear between 20 m samples."""
    every = max(round(20 / tile.step), 1)
    rows = np.arange(-_HALO, shape[0] + every, every)
    cols = np.arange(-_HALO, shape[1] + every, every)
    c, r = np.meshgrid(cols, rows)
    xy = np.column_stack(
        [tile.origin[0] + c.ravel() * tile.step, tile.origin[1] - r.ravel() * tile.step]
    )
    light = 1 + 0.10 * waves(xy, 1_600, tile.seed + 11) + 0.06 * waves(xy, 300, tile.seed + 12)
    coarse = light.reshape(len(rows), len(cols)).astype(np.float32)
    fine = cv2.resize(coarse, None, fx=every, fy=every, interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[: shape[0], : shape[1]], np.float32)


def parcel_corners(lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the field strips `(n, 4, 2)` in metres and the flat cell number of each."""
    i, j = lattice.cell_keys()
    key = lattice.seed * 13 + 3
    strips = 2 + np.floor(chance(key, i, j) * 5).astype(np.int64).ravel()
    turned = (chance(key + 1, i // 3, j // 3) < 0.5).ravel()
    corners = lattice.corners().reshape(-1, 4, 2)
    corners = np.where(turned[:, None, None], np.roll(corners, -1, axis=1), corners)
    cell = np.repeat(np.arange(len(strips)), strips)
    number = np.arange(len(cell)) - np.repeat(np.cumsum(strips) - strips, strips)
    low = (number / strips[cell])[:, None]
    high = ((number + 1) / strips[cell])[:, None]
    a, b, c, d = (corners[cell, k] for k in range(4))
    quads = [a + (b - a) * low, a + (b - a) * high, d + (c - d) * high, d + (c - d) * low]
    return np.stack(quads, axis=1), cell


def _ground(
    lattice: Lattice, land: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the quads of fields and of other cells, their colours and grains."""
    strips, cell = parcel_corners(lattice)
    use = land.ravel()
    strips, cell = strips[use[cell] == FIELD], cell[use[cell] == FIELD]
    key = lattice.seed * 17 + 1
    crop = np.floor(chance(key, np.arange(len(cell)), cell) ** 1.3 * len(_CROPS)).astype(int)
    tone = 0.92 + 0.16 * chance(key + 1, np.arange(len(cell)), cell)[:, None]
    colours = np.clip(_CROPS[crop] * tone, 0, 255).astype(np.uint8)
    other = np.flatnonzero(use != FIELD)
    corners = lattice.corners().reshape(-1, 4, 2)[other]
    painted = np.array([_GROUND[kind] for kind in use[other]], np.uint8).reshape(-1, 3)
    grains = np.array([_GROUND_GRAIN[kind] for kind in use[other]], np.uint8)
    return (
        np.concatenate([strips, corners]),
        np.concatenate([colours, painted]),
        np.concatenate([np.full(len(strips), 7, np.uint8), grains]),
    )


def _lines(
    lattice: Lattice, land: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Return segments, widths and colours: banks first, then water, then roads by rank."""
    segments, kinds = edges_of(lattice)
    wet = np.isin(kinds, (CANAL, RIVER))
    rank = np.array([0, 2, 1, 5, 3, 6, 7, 4])[kinds]
    order = np.argsort(rank, kind="stable")
    segments, kinds_in_order = segments[order], kinds[order]
    banks = wet[order]
    expressway = kinds == EXPRESSWAY
    streets = _streets(lattice, land)
    return (
        np.concatenate([segments[banks], streets, segments, edges_of(lattice)[0][expressway]]),
        np.concatenate([
            WIDTHS[kinds_in_order[banks]] * 1.35 + 4, np.full(len(streets), 6.0),
            WIDTHS[kinds_in_order], np.full(expressway.sum(), 3.0),
        ]),
        np.concatenate([
            np.tile(_BANK, (banks.sum(), 1)), np.tile(_EDGE_COLOURS[3], (len(streets), 1)),
            _EDGE_COLOURS[kinds_in_order], np.tile(_EDGE_COLOURS[DITCH], (expressway.sum(), 1)),
        ]),
    )  # fmt: skip


def _streets(lattice: Lattice, land: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the streets inside built-up cells: one across, in towns one along as well."""
    corners = lattice.corners()
    a, b, c, d = (corners[..., k, :] for k in range(4))
    across = np.stack([(a + d) / 2, (b + c) / 2], axis=-2)[np.isin(land, (SETTLEMENT, TOWN))]
    along = np.stack([(a + b) / 2, (d + c) / 2], axis=-2)[land == TOWN]
    return np.concatenate([across, along])


def _houses(
    buildings: Buildings, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return shadows, then roofs."""
    n = len(buildings.corners)
    draw = chance(seed + 5, np.arange(n), buildings.village)
    town = buildings.use == TOWN
    height = np.where(town, _HEIGHTS[TOWN], _HEIGHTS[SETTLEMENT]) * (0.6 + 0.8 * draw)
    shadows = buildings.corners + (_SUN * height[:, None])[:, None, :]
    roofs = np.empty((n, 3), np.uint8)
    for use, colours in _ROOFS.items():
        mine = buildings.use == use
        roofs[mine] = colours[np.floor(draw[mine] * len(colours)).astype(int)]
    dark = np.tile(np.array((46, 50, 48), np.uint8), (n, 1))
    return (
        np.concatenate([shadows, buildings.corners]),
        np.concatenate([dark, roofs]),
        np.full(2 * n, 8, np.uint8),
    )


def _tiles(
    lattice: Lattice,
    buildings: Buildings,
    land: NDArray[np.object_],
    frame: tuple[float, float, float, int, int],
) -> Iterator[Tile]:
    """Yield the tiles that meet the land, with what is to be seen in each."""
    x0, y0, step, height, width = frame
    ground, lines = _ground(lattice, buildings.land), _lines(lattice, buildings.land)
    houses = _houses(buildings, lattice.seed)
    boxes = [_boxes(shapes) for shapes in (ground[0], houses[0], lines[0])]
    shapely.prepare(land)
    for row in range(0, height, _TILE):
        for col in range(0, width, _TILE):
            shape = min(_TILE, height - row), min(_TILE, width - col)
            origin = x0 + col * step, y0 - row * step
            box = shapely.box(
                origin[0], origin[1] - shape[0] * step, origin[0] + shape[1] * step, origin[1]
            )
            near = land[shapely.intersects(land, box)]
            if not len(near):
                continue
            seen = shapely.buffer(box, 120).bounds
            shift = np.array(origin) + np.array([-_HALO, _HALO]) * step
            pixel = np.array([1 / step, -1 / step])
            first, second, third = (_inside(box, seen) for box in boxes)
            yield Tile(
                row=row, col=col, shape=shape, step=step, origin=origin, seed=lattice.seed,
                quads=((np.concatenate([ground[0][first], houses[0][second]]) - shift) * pixel)
                .astype(np.float32),
                quad_colours=np.concatenate([ground[1][first], houses[1][second]]),
                quad_grains=np.concatenate([ground[2][first], houses[2][second]]),
                n_ground=len(first),
                segments=((lines[0][third] - shift) * pixel).astype(np.float32),
                half_widths=(lines[1][third] / 2 / step).astype(np.float32),
                segment_colours=lines[2][third],
                city=_joined(near, box),
            )  # fmt: skip


def _joined(land: NDArray[np.object_], box: shapely.Polygon) -> shapely.Geometry:
    """Return the land in and around a box as one shape."""
    return shapely.union_all(shapely.intersection(land, shapely.buffer(box, 50)), grid_size=0.01)


def _boxes(shapes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return west, south, east, north of each shape, as four contiguous rows."""
    low, high = shapes.min(axis=1), shapes.max(axis=1)
    return np.ascontiguousarray(np.hstack([low, high]).T.astype(np.float32))


def _inside(
    boxes: NDArray[np.float32], bounds: tuple[float, float, float, float]
) -> NDArray[np.int64]:
    """Return the shapes whose box meets `bounds`."""
    west, south, east, north = bounds
    return np.flatnonzero(
        (boxes[2] >= west) & (boxes[0] <= east) & (boxes[3] >= south) & (boxes[1] <= north)
    )
