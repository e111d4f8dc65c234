"""Divide the Voronoi city into exact counts of grids and micro-grids: ours and its rivals.

Everyone gets the same atoms. The nested protocol is: Webster's counts of grids for the villages,
then Webster's counts of micro-grids for the grids. A rival that takes no counts divides the whole
city at once.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from voronoi import LIMIT, RIVER, ROAD, City

from geogrid.partition.apportion import capped, webster
from geogrid.partition.atoms import Atoms
from geogrid.partition.zones import PRESETS, SEEN, assign


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
    city: City, counts: NDArray[np.int64], *, preset: str, quality: int, workers: int
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


def score(city: City, zone: NDArray[np.int32], parent: NDArray[np.int32]) -> dict[str, float]:
    """Return what zones are worth; `parent` is the grid or village of each atom."""
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
    off = people / mean - 1
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
