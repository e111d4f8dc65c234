"""The two steps that run township by township, each saved when it is done.

`grow_township` turns imagery into atoms, `divide_township` turns atoms and quotas into polygons.
Between them stands the only step that needs the whole city: the quotas. What a township has saved
is not done again, so a killed run goes on where it stopped and gives the same bytes.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geogrid.edition import integer_rings, to_metres
from geogrid.errors import ImageryError
from geogrid.partition.atoms import Atoms, grow
from geogrid.partition.barriers import Barriers, impose, survey
from geogrid.partition.borders import Evidence, ZoneBorders, evidence, zone_borders
from geogrid.partition.imagery import Imagery, Lattice, Window, numbered, rasterise
from geogrid.partition.lines import GivenLines
from geogrid.partition.previous import held_codes
from geogrid.partition.tracts import Tract
from geogrid.partition.vectorise import Outlines, drawn_before, outline_zones
from geogrid.partition.zones import Continued, Earlier, Preset, assign, carry_on
from geogrid.schema import EXCHANGE_CRS
from geogrid.store import replacing

# Share of a village that may lack imagery: the pixels cut by the outline of an image that ends
# where the village does.
_UNCOVERED_SHARE = 0.01
# Without households, open land weighs this much of built-up land: somebody has to look after it.
_OPEN_LAND_WEIGHT = np.float32(0.1)
# A built-up pixel is worth this much more than a field pixel when atoms are handed out.
_BUILT_UP_WORTH = 4.0
# Atoms in a mean micro-grid by households: 6 inhabited ones balance within 14 %.
_ATOMS_BY_HOUSEHOLDS = 6.0
# Metres around a crossing within which a dividing line is open.
_BRIDGE = 10.0
# Buildings share an atom up to this share of a mean micro-grid.
_HEAVIEST = 0.25


@dataclass(frozen=True, slots=True)
class Township:
    """All that a worker needs to know of one township.

    Attributes
    ----------
    tracts : tuple of Tract
        Its villages, or what they were cut into.
    houses : (h, 3) float64
        East, north (metres in the working CRS) and households of the buildings near it.
    has_houses : bool
        A household layer was given: weights are households, not built-up area.
    footprints : (f,) polygons
        Buildings near it, metres; none where buildings are given as points.
    lines : GivenLines
        Given barriers near it.
    atoms_per_pixel : float
        How finely the land is to be cut.
    households_per_microgrid : float
        The city's mean; infinite where no household layer was given.
    preset : Preset
        What the division favours.
    quality : int
        How many divisions of a tract are tried.
    earlier : mapping of key to Earlier
        How its tracts were divided before, as far as their outlines are the same.
    """

    code: str
    tracts: tuple[Tract, ...]
    imagery: Imagery
    houses: NDArray[np.float64]
    has_houses: bool
    footprints: NDArray[np.object_]
    lines: GivenLines
    atoms_per_pixel: float
    households_per_microgrid: float
    preset: Preset
    quality: int
    earlier: Mapping[str, Earlier]
    folder: Path

    @property
    def outlines(self) -> NDArray[np.object_]:
        """Outlines of the tracts (EPSG:4490)."""
        return np.array([tract.outline for tract in self.tracts], object)

    @property
    def atoms_file(self) -> Path:
        """Where the atoms are saved."""
        return self.folder / f"{self.code}.atoms.npz"

    @property
    def zones_file(self) -> Path:
        """Where the polygons are saved."""
        return self.folder / f"{self.code}.zones.npz"


@dataclass(frozen=True, slots=True)
class Quota:
    """A tract's share: numbers of grids and of micro-grids, and the seed of its search."""

    n_grids: int
    n_microgrids: int
    seed: int


def seed_of(code: str, seed: int) -> int:
    """Return a tract's own seed, so that no tract's result depends on another."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{code}".encode()).digest()[:4], "big") >> 1


def grow_township(township: Township) -> None:
    """Grow and save the atoms of a township's tracts.

    Raises
    ------
    ImageryError
        A tract is not covered by imagery.
    """
    if township.atoms_file.exists():
        return
    cv2.setNumThreads(1)
    lattice = township.imagery.lattice
    outlines = to_metres(township.outlines, lattice.crs)
    west, south, east, north = shapely.total_bounds(outlines)
    window = lattice.window((west, south, east, north), halo=1)
    numbers = np.arange(len(outlines), dtype=np.int32)
    owner = rasterise(outlines, numbers, lattice, window).astype(np.int16)
    seen, valid = survey(township.imagery, window, owner >= 0)
    _require_imagery(township, outlines, owner, valid)
    saved: dict[str, NDArray[Any]] = {}
    for number, outline in enumerate(outlines):
        # One pixel more on each side, so that outlines never run along the edge of the window.
        around = lattice.window(outline.bounds, halo=1)
        row, col = around.row - window.row, around.col - window.col
        part = np.s_[row : row + around.height, col : col + around.width]
        here = Barriers(seen.relief[part], seen.lab[part], seen.built_up[part])
        saved |= _tract_arrays(township, number, (around, owner[part] == number, here))
    _save(township.atoms_file, saved)


def divide_township(work: tuple[Township, Mapping[str, Quota]]) -> None:
    """Divide the tracts of a township by their quotas and save the polygons."""
    township, quotas = work
    if township.zones_file.exists():
        return
    with np.load(township.atoms_file) as grown:
        parts = [
            _divide_tract(township, number, grown, quotas[tract.key])
            for number, tract in enumerate(township.tracts)
        ]
    rings = integer_rings(np.concatenate([part.outlines.polygons for part in parts]))
    sizes = [len(part.grid) for part in parts]
    before = np.cumsum([0, *sizes[:-1]])
    _save(
        township.zones_file,
        {
            "xy": rings.xy,
            "starts": rings.starts,
            "owners": rings.owners,
            "tract": np.repeat(np.arange(len(parts)), sizes),
            "grid": np.concatenate([part.grid for part in parts]),
            "weight": np.concatenate([part.weight for part in parts]),
            "inserted": np.concatenate([part.outlines.inserted for part in parts]),
            "pairs": np.concatenate(
                [part.borders.zones + first for part, first in zip(parts, before, strict=True)]
            ),
            "along": np.concatenate([_along(part.borders) for part in parts]),
            "chance": np.array([part.chance for part in parts]),
            "atom_weight": np.concatenate([part.atom_weight for part in parts]),
            "atoms": np.array([len(part.atom_weight) for part in parts]),
            "held": np.concatenate([part.held for part in parts]),
            "held_grid": np.concatenate([part.held_grid for part in parts]),
        },
    )


@dataclass(frozen=True, slots=True)
class _Divided:
    outlines: Outlines
    grid: NDArray[np.int32]
    weight: NDArray[np.float64]
    borders: ZoneBorders
    chance: NDArray[np.float64]
    atom_weight: NDArray[np.float64]
    held: NDArray[np.str_]
    held_grid: NDArray[np.str_]


def _divide_tract(
    township: Township, number: int, grown: Mapping[str, NDArray[Any]], quota: Quota
) -> _Divided:
    lattice = township.imagery.lattice
    atoms, window, shown = _load_tract(grown, number)
    tract = township.tracts[number]
    earlier = township.earlier.get(tract.key)
    found = None if earlier is None else _continued(township, atoms, window, (earlier, quota))
    if found is None:
        earlier = None
        grid, microgrid = assign(
            atoms,
            n_grids=quota.n_grids,
            n_microgrids=quota.n_microgrids,
            seed=quota.seed,
            preset=township.preset,
            quality=township.quality,
        )
    else:
        grid, microgrid = found.grid, found.microgrid
    if earlier is not None and found is not None and found.same:
        drawn = drawn_before(earlier.polygons, tract.outline)
    else:
        drawn = outline_zones(
            np.append(microgrid, np.int32(-1))[atoms.labels],
            tract.outline,
            lattice,
            window,
            pyproj.Transformer.from_crs(lattice.crs, EXCHANGE_CRS, always_xy=True),
            _near(township.footprints, lattice, window),
        )
    grid_of = np.zeros(quota.n_microgrids, np.int32)
    grid_of[microgrid] = grid
    weight = np.bincount(microgrid, atoms.weight, quota.n_microgrids).astype(np.float64)
    borders = zone_borders(atoms, microgrid, shown, step=lattice.step)
    chance = np.append(shown.chance, 1.0) * atoms.area.sum()
    held, held_grid = held_codes(earlier, drawn.polygons, grid_of)
    return _Divided(drawn, grid_of, weight, borders, chance, atoms.weight, held, held_grid)


def _continued(
    township: Township, atoms: Atoms, window: Window, before: tuple[Earlier, Quota]
) -> Continued | None:
    """Carry on from the earlier micro-grids that hold most of each atom."""
    earlier, quota = before
    lattice, n = township.imagery.lattice, len(earlier.codes)
    if (len(earlier.grid_codes), n) != (quota.n_grids, quota.n_microgrids):
        return None
    metric = to_metres(earlier.polygons, lattice.crs)
    zones = rasterise(metric, np.arange(n, dtype=np.int32), lattice, window)
    both = (atoms.labels >= 0) & (zones >= 0)
    pairs = atoms.labels[both].astype(np.int64) * n + zones[both]
    key, pixels = np.unique(pairs, return_counts=True)
    start = np.full(len(atoms), -1, np.int32)
    # The last of the rows of an atom wins, which is where most of its pixels are.
    order = np.argsort(pixels, kind="stable")
    start[key[order] // n] = key[order] % n
    return carry_on(atoms, start, earlier, seed=quota.seed, preset=township.preset)


def _along(borders: ZoneBorders) -> NDArray[np.float64]:
    """Return the shares of length seen, on given lines and on links, and the contrast."""
    shares = np.column_stack([borders.seen, borders.lined, borders.link]) / borders.length[:, None]
    return np.column_stack([shares, borders.contrast])


def _near(shapes: NDArray[np.object_], lattice: Lattice, window: Window) -> NDArray[np.object_]:
    """Return the shapes (metres) that reach into a window."""
    frame = shapely.box(*lattice.bounds(window))
    near: NDArray[np.object_] = shapes[np.sort(shapely.STRtree(shapes).query(frame))]
    return near


def _require_imagery(
    township: Township,
    outlines: NDArray[np.object_],
    owner: NDArray[np.int16],
    valid: NDArray[np.bool_],
) -> None:
    n = len(outlines)
    land, missing = np.zeros((2, n), np.int64)
    # Row by row of pixels would be slow, all at once would double the memory.
    for row in range(0, len(owner), 512):
        here, seen = owner[row : row + 512], valid[row : row + 512]
        land += np.bincount(here[here >= 0], minlength=n)
        missing += np.bincount(here[(here >= 0) & ~seen], minlength=n)
    bad = np.flatnonzero((missing > _UNCOVERED_SHARE * land) | (land == 0))
    if not len(bad):
        return
    step = township.imagery.lattice.step
    places = shapely.get_coordinates(shapely.point_on_surface(township.outlines[bad]))
    listed = "; ".join(
        f"{township.tracts[k].key} near {lon:.5f}, {lat:.5f}: "
        + (f"{missing[k] * step**2 / 1e6:.3f} km² ({missing[k] / land[k]:.0%})" if land[k] else
           f"smaller than a pixel of {step:g} m")
        for k, (lon, lat) in zip(bad[:20].tolist(), places[:20].tolist(), strict=True)
    )  # fmt: skip
    raise ImageryError(
        f"{township.imagery.name} has no data in {len(bad)} villages of {township.code}: {listed}. "
        "Give imagery that covers them, or leave them out of the boundaries."
    )


def _house_raster(township: Township, window: Window) -> NDArray[np.float32]:
    households = np.zeros(window.shape, np.float32)
    row, col = township.imagery.lattice.pixels(township.houses[:, :2], window)
    here = (row >= 0) & (row < window.height) & (col >= 0) & (col < window.width)
    np.add.at(households, (row[here], col[here]), township.houses[here, 2].astype(np.float32))
    return households


def _line_pixels(
    lines: NDArray[np.object_], lattice: Lattice, window: Window
) -> list[NDArray[np.int32]]:
    pixels = []
    for line in lines:
        row, col = lattice.pixels(shapely.get_coordinates(line), window)
        pixels.append(np.column_stack([col, row]).astype(np.int32))
    return pixels


def _walls(lines: GivenLines, lattice: Lattice, window: Window) -> NDArray[np.bool_]:
    """Return the pixels of dividing lines, but for those around crossings."""
    walls = np.zeros(window.shape, np.uint8)
    pixels = _line_pixels(lines.shapes[lines.dividing], lattice, window)
    cv2.polylines(walls, pixels, isClosed=False, color=1)
    row, col = lattice.pixels(lines.crossings, window)
    for place in zip(col.tolist(), row.tolist(), strict=True):
        cv2.circle(walls, place, math.ceil(_BRIDGE / lattice.step), color=0, thickness=-1)
    return walls > 0


def _tract_arrays(
    township: Township, number: int, land: tuple[Window, NDArray[np.bool_], Barriers]
) -> dict[str, NDArray[Any]]:
    """Grow one tract and return its arrays, named by its number."""
    window, inside, seen = land
    lattice = township.imagery.lattice
    buildings = numbered(_near(township.footprints, lattice, window), lattice, window)
    lines = township.lines.near(shapely.box(*lattice.bounds(window)))
    walls = _walls(lines, lattice, window) if lines.dividing.any() else None
    pixels = _line_pixels(lines.shapes, lattice, window)
    relief = impose(seen, buildings >= 0, pixels, walls)
    households = _house_raster(township, window)
    mass = np.float32(township.atoms_per_pixel) * (1 + _BUILT_UP_WORTH * seen.built_up)
    mass += np.float32(_ATOMS_BY_HOUSEHOLDS / township.households_per_microgrid) * households
    atoms = grow(
        relief,
        inside,
        mass=mass,
        weight=households if township.has_houses else seen.built_up + _OPEN_LAND_WEIGHT,
        buildings=buildings,
        heaviest=_HEAVIEST * township.households_per_microgrid,
    )
    arrays = {field.name: getattr(atoms, field.name) for field in fields(atoms)}
    shown = evidence(atoms, relief.relief, inside)
    arrays |= {field.name: getattr(shown, field.name) for field in fields(shown)}
    arrays |= _runs(arrays.pop("labels")) | {"place": np.array([window.row, window.col])}
    return {f"{number}.{name}": array for name, array in arrays.items()}


def _runs(labels: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """Return labels as runs in reading order: a tenth of the size, and no time to pack."""
    flat = labels.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    lengths = np.diff(starts, append=len(flat)).astype(np.int32)
    return {"runs": flat[starts], "lengths": lengths, "shape": np.array(labels.shape)}


def _load_tract(grown: Mapping[str, NDArray[Any]], number: int) -> tuple[Atoms, Window, Evidence]:
    names = [field.name for field in fields(Atoms) if field.name != "labels"]
    arrays = {name: grown[f"{number}.{name}"] for name in names}
    row, col = grown[f"{number}.place"].tolist()
    height, width = grown[f"{number}.shape"].tolist()
    runs = np.repeat(grown[f"{number}.runs"], grown[f"{number}.lengths"])
    arrays["labels"] = runs.reshape(height, width)
    shown = Evidence(**{field.name: grown[f"{number}.{field.name}"] for field in fields(Evidence)})
    return Atoms(**arrays), Window(row, col, height, width), shown


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
