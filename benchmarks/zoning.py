"""Divide the Voronoi city into exact counts of grids and micro-grids: ours and its rivals.

Everyone gets the same atoms. The nested protocol is: Webster's counts of grids for the villages,
then Webster's counts of micro-grids for the grids. A rival that takes no counts divides the whole
city at once.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from voronoi import LIMIT, RIVER, ROAD, City

from geogrid.partition.apportion import capped, webster
from geogrid.partition.atoms import Atoms
from geogrid.partition.zones import PRESETS, SEEN, Earlier, assign, carry_on


@dataclass(frozen=True, slots=True)
class Zones:
    """Grid and micro-grid of each atom, numbered through the city; -1 where a rival gave none."""

    grid: NDArray[np.int32]
    microgrid: NDArray[np.int32]


def quotas(city: City, n_grids: int, n_microgrids: int) -> NDArray[np.int64]:
    """Return the numbers of grids and micro-grids of each village `(villages, 2)`."""
    order = np.argsort(city.village, kind="stable")
    ends = np.cumsum(np.bincount(city.village))[:-1]
    people = np.split(city.people[order], ends)
    atoms = np.array([len(some) for some in people])
    least = np.ones(len(people), np.int64)
    grids = webster(capped(people, n_grids)[0], n_grids, least=least, most=atoms)
    micros = webster(capped(people, n_microgrids)[0], n_microgrids, least=grids, most=atoms)
    return np.column_stack([grids, micros])


def villages(city: City) -> list[tuple[NDArray[np.int64], Atoms]]:
    """Return the rows and the atoms of each village."""
    inner = city.kind != LIMIT
    shared = np.bincount(city.first[~inner], city.length[~inner], len(city))
    shared += np.bincount(city.second[~inner], city.length[~inner], len(city))
    outer = city.rim + shared
    seen = np.isin(city.kind, (ROAD, RIVER)) * (2 * SEEN)
    order = np.argsort(city.village, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(city.village))])
    place = np.empty(len(city), np.int64)
    place[order] = np.arange(len(city))
    edges = np.flatnonzero(inner)
    edges = edges[np.argsort(city.village[city.first[edges]], kind="stable")]
    bounds = np.searchsorted(city.village[city.first[edges]], np.arange(len(starts)))
    found = []
    for village, (start, end) in enumerate(pairwise(starts.tolist())):
        rows = order[start:end]
        own = edges[bounds[village] : bounds[village + 1]]
        one, other = place[city.first[own]] - start, place[city.second[own]] - start
        found.append(
            (
                rows,
                Atoms(
                    labels=np.empty((0, 0), np.int32),
                    area=city.area[rows],
                    weight=city.people[rows],
                    outer=outer[rows],
                    first=np.minimum(one, other).astype(np.int32),
                    second=np.maximum(one, other).astype(np.int32),
                    length=city.length[own],
                    strength=seen[own],
                    shut=np.zeros(len(own), bool),
                ),
            )
        )
    return found


def ours(
    city: City, counts: NDArray[np.int64], *, preset: str, workers: int, quality: int = 1
) -> Zones:
    """Divide village by village."""
    units = villages(city)
    works = [
        (atoms, *count, number, preset, quality)
        for number, ((_, atoms), count) in enumerate(zip(units, counts.tolist(), strict=True))
    ]
    if workers == 1:
        answers = list(map(_divide, works))
    else:
        with ProcessPoolExecutor(workers) as pool:
            answers = list(pool.map(_divide, works, chunksize=100))
    grid, microgrid = np.empty((2, len(city)), np.int32)
    first = np.concatenate([[[0, 0]], np.cumsum(counts, axis=0)]).astype(np.int32)
    for (rows, _), (grids, micros), (before, below) in zip(units, answers, first, strict=False):
        grid[rows], microgrid[rows] = grids + before, micros + below
    return Zones(grid, microgrid)


def carried_on(
    city: City, before: Zones, counts: NDArray[np.int64], people: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Return the grids that go on from earlier ones, when `people` lived there."""
    grid = before.grid.copy()
    first = np.concatenate([[[0, 0]], np.cumsum(counts, axis=0)]).astype(np.int32)
    for number, (rows, atoms) in enumerate(villages(city)):
        start = before.microgrid[rows] - first[number, 1]
        members = np.unique(start, return_index=True)[1]
        earlier = Earlier(
            polygons=np.empty(len(members), object),
            codes=np.arange(len(members)).astype(str),
            grid_codes=np.arange(counts[number, 0]).astype(str),
            grid=(before.grid[rows] - first[number, 0])[members],
            households=np.bincount(start, people[rows]),
        )
        found = carry_on(atoms, start, earlier, seed=number, preset=PRESETS["balanced"])
        if found is not None:
            grid[rows] = first[number, 0] + found.grid
    return grid


def borders_of(
    xy: NDArray[np.float64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Return the pairs of cells that share border, its length, and each cell's outline.

    Parameters
    ----------
    xy, starts : (v, 2) float64, (n + 1,) int64
        Rings in metres, whole millimetres, without the last point.
    """
    n = len(starts) - 1
    owner = np.repeat(np.arange(n), np.diff(starts))
    following = np.arange(1, len(xy) + 1)
    following[starts[1:] - 1] = starts[:-1]
    points = np.rint(xy * 1000).astype(np.int64)
    corner = np.unique(points[:, 0] << 32 | points[:, 1], return_inverse=True)[1]
    ends = np.sort(np.column_stack([corner, corner[following]]), axis=1)
    length = np.hypot(*(xy[following] - xy).T)
    key = ends[:, 0] << 32 | ends[:, 1]
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][1:] == key[order][:-1])
    one, other = owner[order[twin]], owner[order[twin + 1]]
    shared = length[order[twin]]
    alone = np.ones(len(key), bool)
    alone[order[np.concatenate([twin, twin + 1])]] = False
    pair, number = np.unique(
        np.minimum(one, other) << 32 | np.maximum(one, other), return_inverse=True
    )
    rim = np.bincount(owner[alone], length[alone], n)
    first, second = (pair >> 32).astype(np.int32), (pair & 0xFFFFFFFF).astype(np.int32)
    return first, second, np.bincount(number, shared), rim


def dissolved(cells: NDArray[np.object_], zone: NDArray[np.int32]) -> NDArray[np.object_]:
    """Return the polygons of the zones."""
    frame = gpd.GeoDataFrame({"zone": zone}, geometry=cells)
    joined: NDArray[np.object_] = frame.dissolve("zone", method="coverage").geometry.to_numpy()
    return joined


def score(city: City, zone: NDArray[np.int32], parent: NDArray[np.int32]) -> dict[str, float]:
    """Return what zones are worth; `parent` is the grid or village of each atom."""
    zone = np.unique(zone, return_inverse=True)[1].astype(np.int32)
    n = int(zone.max()) + 1
    same = zone[city.first] == zone[city.second]
    one, other = city.first[same], city.second[same]
    size = len(city)
    pieces = connected_components(coo_matrix((np.ones(len(one)), (one, other)), (size, size)))[0]
    people, area = np.bincount(zone, city.people, n), np.bincount(zone, city.area, n)
    rim = np.bincount(zone, city.rim, n)
    for end in (city.first, city.second):
        rim += np.bincount(zone[end[~same]], city.length[~same], n)
    family = np.zeros(n, np.int64)
    family[zone] = parent
    mean = (np.bincount(family, people) / np.maximum(np.bincount(family), 1))[family]
    off = np.divide(people, mean, out=np.ones(n), where=mean > 0) - 1
    shape = 4 * np.pi * area / rim**2
    line = ~same & (city.kind != LIMIT)
    followed = line & (city.kind > 0)
    low, middle, high = np.percentile(off, [5, 50, 95])
    return {
        "zones": float(len(np.unique(zone))),
        "pieces": float(pieces),
        "crossing": float(np.unique(zone.astype(np.int64) << 32 | parent).size - n),
        "p5": float(low),
        "p50": float(middle),
        "p95": float(high),
        "within 20 %": float((np.abs(off) <= 0.2).mean()),
        "city MAD": float(np.abs(people / people.mean() - 1).mean()),
        "floor": float(np.abs(mean / people.mean() - 1).mean()),
        "empty": float((people == 0).sum()),
        "PP": float(shape.mean()),
        "PP p5": float(np.percentile(shape, 5)),
        "on lines": float(city.length[followed].sum() / city.length[line].sum()),
        "line km": float(city.length[line].sum() / 1000),
    }


def _divide(
    work: tuple[Atoms, int, int, int, str, int],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    atoms, n_grids, n_microgrids, number, preset, quality = work
    return assign(
        atoms,
        n_grids=n_grids,
        n_microgrids=n_microgrids,
        seed=number,
        preset=PRESETS[preset],
        quality=quality,
    )
