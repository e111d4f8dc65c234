"""A made-up city in metres with a fault of every kind and size at a site of its own.

The answer key is complete before anything is checked. Every site lies in a block of 5 x 5
micro-grids of its own, so that no two can be taken for one another::

    a block      M micro-grid, 300 m wide, with a vertex in the middle of each side
    M M M|M M
    M M M|M M    | border between the two grids of the block
    M M S|M M    S the site; of a notch in the outline, the micro-grid there
    M M M|M M
    M M M|M M
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

CRS = "EPSG:4547"
SIZES = (1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 30.0)
SITES = 5
BLOCK, BLOCKS, CELL = 5, 25, 300.0
CORNER = np.array([440_000.0, 3_700_000.0])

SIZED = (
    "vertex moved in", "vertex moved out", "polygon shifted", "T-junction displaced", "sliver gap",
    "sliver overlap", "perturbed duplicate", "hole", "outline notch", "micro-grid crosses its grid",
)  # fmt: skip
UNSIZED = {
    "T-junction": 5, "duplicate row": 10, "nested row": 10, "missing row": 10, "null": 10,
    "empty": 10, "ring order swapped": 10,
}  # fmt: skip
HARMLESS = {"clockwise ring": 20, "repeated vertex": 23}


@dataclass(frozen=True)
class Site:
    """What was done where: units of which one has to be named, and a place in degrees (WKT)."""

    kind: str
    size: float
    codes: tuple[str, ...]
    place: str

    @property
    def harmless(self) -> bool:
        """Nothing is to be found here."""
        return self.kind in HARMLESS


def planned() -> list[tuple[str, float]]:
    """Return kind and size (m) of all 608 sites."""
    sized = [(kind, size) for kind in SIZED for size in SIZES for _ in range(SITES)]
    others = {**UNSIZED, **HARMLESS}
    return sized + [(kind, 0.0) for kind, number in others.items() for _ in range(number)]


def faulty_city(
    seed: int, key_file: Path
) -> tuple[dict[str, gpd.GeoDataFrame], gpd.GeoDataFrame, dict[str, gpd.GeoDataFrame]]:
    """Return the layers with all sites, the container, and the layers without; write the key."""
    rng = np.random.default_rng(seed)
    town = _Town(rng)
    clean = town.layers()
    free = rng.permutation(BLOCKS * BLOCKS).tolist()
    sites = [town.spoil(kind, size, free) for kind, size in planned()]
    places = gpd.GeoSeries([place for *_, place in sites], crs=CRS).to_crs("EPSG:4490")
    key = [
        {"kind": kind, "size": size, "codes": codes, "place": place.wkt}
        for (kind, size, codes, _), place in zip(sites, places, strict=True)
    ]
    key_file.write_text(json.dumps(key), "utf-8")
    return town.layers(), town.city, clean


def read_key(key_file: Path) -> list[Site]:
    """Return the answer key."""
    return [
        Site(each["kind"], each["size"], tuple(each["codes"]), each["place"])
        for each in json.loads(key_file.read_text("utf-8"))
    ]


class _Town:
    """Micro-grids while they are spoilt; `rows` are added at the end."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        n = BLOCK * BLOCKS
        corner = CELL * np.stack(np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"), -1)
        corner = CORNER + corner + rng.uniform(-40, 40, corner.shape)
        east = (corner[:-1] + corner[1:]) / 2 + rng.uniform(-15, 15, (n, n + 1, 2))
        north = (corner[:, :-1] + corner[:, 1:]) / 2 + rng.uniform(-15, 15, (n + 1, n, 2))
        i, j = (k.ravel() for k in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
        self.rings = np.stack(
            [corner[i, j], east[i, j], corner[i + 1, j], north[i + 1, j], corner[i + 1, j + 1],
             east[i, j + 1], corner[i, j + 1], north[i, j]], axis=1,
        )  # fmt: skip
        self.shapes = shapely.polygons(np.concatenate([self.rings, self.rings[:, :1]], axis=1))
        block = (i // BLOCK) * BLOCKS + j // BLOCK
        half = (i % BLOCK >= 3).astype(int)
        serial = np.where(half, (i % BLOCK - 3) * BLOCK, i % BLOCK * BLOCK) + j % BLOCK + 1
        self.villages = [f"411601{b // BLOCKS + 1:03}{b % BLOCKS + 1:03}" for b in block]
        self.parents = [f"{v}{h + 1:03}" for v, h in zip(self.villages, half, strict=True)]
        self.codes = [f"{p}{s:03}" for p, s in zip(self.parents, serial, strict=True)]
        cells = gpd.GeoDataFrame(
            {"code": self.parents, "parent": self.villages}, geometry=self.shapes, crs=CRS
        )
        self.grid = cells.dissolve("code", method="coverage").reset_index()
        self.city = cells.dissolve(method="coverage")[["geometry"]]
        self.kept = np.ones(len(self.shapes), bool)
        self.added: list[tuple[str, str, shapely.Polygon]] = []

    def layers(self) -> dict[str, gpd.GeoDataFrame]:
        table = pd.DataFrame(
            {"code": self.codes, "parent": self.parents, "geometry": self.shapes}
        )[self.kept]  # fmt: skip
        added = pd.DataFrame(self.added, columns=["code", "parent", "geometry"])
        both = pd.concat([table, added], ignore_index=True) if self.added else table
        return {"grid": self.grid, "microgrid": gpd.GeoDataFrame(both, crs=CRS)}

    def row(self, i: int, j: int) -> int:
        return i * BLOCK * BLOCKS + j

    def spoil(
        self, kind: str, size: float, free: list[int]
    ) -> tuple[str, float, list[str], shapely.Geometry]:
        """Make one site; `free` are the blocks not used yet."""
        last = BLOCKS - 1
        at_outline = [b for b in free if (b // BLOCKS in (0, last)) != (b % BLOCKS in (0, last))]
        notch = kind == "outline notch"
        inner = [b for b in free if b not in at_outline] or at_outline
        block = (at_outline if notch else inner)[0]
        free.remove(block)
        i, j = block // BLOCKS, block % BLOCKS
        offsets = {0: 0, last: BLOCK - 1} if notch else {}
        row = self.row(i * BLOCK + offsets.get(i, 2), j * BLOCK + offsets.get(j, 2))
        outer = {(0, j): 7, (last, j): 3, (i, 0): 1, (i, last): 5}
        vertex = outer[i, j] if notch and (i, j) in outer else int(self.rng.integers(8))
        before = self.shapes[row]
        codes, place = _DEEDS[kind](self, row, vertex, size)
        if place is None:
            place = _changed(before, self.shapes[row])
        return kind, size, codes, place

    def new_row(self, row: int, shape: shapely.Polygon) -> tuple[list[str], shapely.Geometry]:
        code = self.parents[row] + "099"
        self.added.append((code, self.parents[row], shape))
        return [code, self.codes[row]], shape


Told = tuple[list[str], shapely.Geometry | None]
"""Codes of a site, and its place where that is not what changed of the unit."""


def _changed(before: shapely.Polygon, after: shapely.Polygon) -> shapely.Geometry:
    """Return the vertices that one of two polygons has and the other lacks, or any where none."""
    old, new = ({*map(tuple, shapely.get_coordinates(s))} for s in (before, after))
    points = sorted(old ^ new) or sorted(old)
    parts = [shapely.multipoints(points)]
    if after.is_valid:
        parts.append(shapely.symmetric_difference(before, after))
    return shapely.union_all(parts)


def _inwards(ring: np.ndarray, vertex: int) -> np.ndarray:
    way = ring.mean(axis=0) - ring[vertex]
    return way / np.hypot(*way)


def _beside(ring: np.ndarray, vertex: int) -> np.ndarray:
    """Return the unit vector to the left of the edge from a vertex: into the polygon."""
    run = ring[(vertex + 1) % 8] - ring[vertex]
    return np.array([-run[1], run[0]]) / np.hypot(*run)


def _moved(town: _Town, row: int, vertex: int, size: float) -> Told:
    ring = town.rings[row].copy()
    ring[vertex] += size * _inwards(ring, vertex)
    town.shapes[row] = shapely.Polygon(ring)
    return [town.codes[row]], None


def _shifted(town: _Town, row: int, _vertex: int, size: float) -> Told:
    angle = town.rng.uniform(0, 2 * np.pi)
    town.shapes[row] = shapely.Polygon(
        town.rings[row] + size * np.array([np.cos(angle), np.sin(angle)])
    )
    return [town.codes[row]], None


def _bent(town: _Town, row: int, vertex: int, size: float) -> Told:
    ring = town.rings[row]
    middle = (ring[vertex] + ring[(vertex + 1) % 8]) / 2 + size * _beside(ring, vertex)
    town.shapes[row] = shapely.Polygon(np.insert(ring, vertex + 1, middle, axis=0))
    return [town.codes[row]], None


def _sliver(town: _Town, row: int, vertex: int, size: float) -> Told:
    ring = town.rings[row]
    a, b = ring[vertex], ring[(vertex + 1) % 8]
    a, b = a + (b - a) / 3, a + (b - a) * 2 / 3
    aside = size * _beside(ring, vertex)
    town.shapes[row] = shapely.Polygon(
        np.insert(ring, vertex + 1, [a, a + aside, b + aside, b], axis=0)
    )
    return [town.codes[row]], None


def _perturbed(town: _Town, row: int, _vertex: int, size: float) -> Told:
    angle = town.rng.uniform(0, 2 * np.pi, 8)
    moved = town.rings[row] + size * np.column_stack([np.cos(angle), np.sin(angle)])
    return town.new_row(row, shapely.Polygon(moved))


def _nested(town: _Town, row: int, _vertex: int, _size: float) -> Told:
    ring = town.rings[row]
    return town.new_row(row, shapely.Polygon((ring + ring.mean(axis=0)) / 2))


def _hole(town: _Town, row: int, _vertex: int, size: float) -> Told:
    ring = town.rings[row]
    square = ring.mean(axis=0) + size * np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    town.shapes[row] = shapely.Polygon(ring, [square])
    return [town.codes[row]], shapely.multipoints(square).convex_hull


def _missing(town: _Town, row: int, _vertex: int, _size: float) -> Told:
    n = BLOCK * BLOCKS
    town.kept[row] = False
    return [town.codes[row + k] for k in (-n, -1, 1, n)], town.shapes[row]


def _without(shape: shapely.Polygon | None) -> Callable[[_Town, int, int, float], Told]:
    def emptied(town: _Town, row: int, _vertex: int, _size: float) -> Told:
        place, town.shapes[row] = town.shapes[row], shape
        return [town.codes[row]], place

    return emptied


def _swapped(town: _Town, row: int, vertex: int, _size: float) -> Told:
    ring = town.rings[row].copy()
    ring[[vertex, vertex - 1]] = ring[[vertex - 1, vertex]]
    near = ring[[vertex - 3, vertex - 2, vertex - 1, vertex, (vertex + 1) % 8]]
    town.shapes[row] = shapely.Polygon(ring)
    return [town.codes[row]], shapely.multipoints(near).convex_hull


def _crossing(town: _Town, row: int, _vertex: int, size: float) -> Told:
    """Move the border to the micro-grid of the other grid, on both sides; the grids stay."""
    other = row + BLOCK * BLOCKS
    for unit, vertex in ((row, 3), (other, 7)):
        ring = town.rings[unit].copy()
        ring[vertex, 0] += size
        town.rings[unit] = ring
        before, town.shapes[unit] = town.shapes[unit], shapely.Polygon(ring)
    return [town.codes[row], town.codes[other]], _changed(before, town.shapes[unit])


def _redrawn(draw: Callable[[np.ndarray, int], np.ndarray]) -> Callable[..., Told]:
    def drawn(town: _Town, row: int, vertex: int, _size: float) -> Told:
        town.shapes[row] = shapely.Polygon(draw(town.rings[row], vertex))
        return [town.codes[row]], None

    return drawn


_DEEDS: dict[str, Callable[[_Town, int, int, float], Told]] = {
    "vertex moved in": _moved,
    "vertex moved out": lambda town, row, vertex, size: _moved(town, row, vertex, -size),
    "polygon shifted": _shifted,
    "T-junction": _bent,
    "T-junction displaced": _bent,
    "sliver gap": _sliver,
    "sliver overlap": lambda town, row, vertex, size: _sliver(town, row, vertex, -size),
    "duplicate row": lambda town, row, _vertex, _size: town.new_row(row, town.shapes[row]),
    "nested row": _nested,
    "perturbed duplicate": _perturbed,
    "hole": _hole,
    "missing row": _missing,
    "null": _without(None),
    "empty": _without(shapely.Polygon()),
    "outline notch": _moved,
    "ring order swapped": _swapped,
    "micro-grid crosses its grid": _crossing,
    "clockwise ring": _redrawn(lambda ring, _vertex: ring[::-1]),
    "repeated vertex": _redrawn(lambda ring, vertex: np.insert(ring, vertex, ring[vertex], 0)),
}  # fmt: skip
