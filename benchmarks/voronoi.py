"""A city of Voronoi cells, to compare ways of dividing: 11,959 km², 5,000 villages.

Villages have a core of small cells where people live and fields around it. A person count is drawn
for each core cell (lognormal, sigma .7; 8.85 million people in all), the other two fifths of the
cells are empty. Cells of more than 45 people are then split into pieces of about 22, except one in
fourteen: towers. Roads and rivers run along cell edges, as borders of blocks of about a dozen cells
and of basins.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Voronoi, cKDTree

SIDE = 109_360.0
ROAD, RIVER, LIMIT = 1, 2, 3
# People: mean of a core cell, so that 300,000 of them hold 8.85 million.
_MEAN_PEOPLE = 29.5
_SIGMA = 0.7
_CORE_SHARE = 0.6
_HEAVY, _PIECE, _TOWER_SHARE = 45.0, 22.0, 1 / 14
_CORE_CELL_M2 = 2_500.0
_CELLS_A_BLOCK, _BASINS = 12, 900
_VILLAGES, _URBAN, _TOWNSHIPS, _COUNTIES = 5_000, 400, 210, 10
# Metres of shared border from which two atoms are neighbours.
_NEIGHBOURS_FROM = 1.0


@dataclass(frozen=True, slots=True)
class City:
    """Atoms, their people, and the borders between them.

    Attributes
    ----------
    xy : (v, 2) float64
        Corners of the cells in metres, whole millimetres, ring after ring without the last point.
    starts : (n + 1,) int64
        The ring of cell `k` is `xy[starts[k]:starts[k + 1]]`.
    village, township, county : (n,) int32
    people, area : (n,) float64
        People and m².
    first, second : (m,) int32
        Cells that share at least a metre of border.
    length : (m,) float64
        Metres.
    kind : (m,) int8
        1 road, 2 river, 3 village limit, else 0.
    rim : (n,) float64
        Metres of the city's outline.
    """

    xy: NDArray[np.float64]
    starts: NDArray[np.int64]
    village: NDArray[np.int32]
    township: NDArray[np.int32]
    county: NDArray[np.int32]
    people: NDArray[np.float64]
    area: NDArray[np.float64]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    length: NDArray[np.float64]
    kind: NDArray[np.int8]
    rim: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.people)

    def polygons(self) -> NDArray[np.object_]:
        """Return the cells as polygons."""
        rings = shapely.linearrings(
            self.xy, indices=np.repeat(np.arange(len(self)), np.diff(self.starts))
        )
        cells: NDArray[np.object_] = shapely.polygons(rings)
        return cells

    def save(self, path: Path) -> None:
        """Keep the arrays in a file."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "City":
        """Read what `save` kept."""
        with np.load(path) as kept:
            return cls(**{field.name: kept[field.name] for field in fields(cls)})


def make(n_atoms: int = 500_000, *, seed: int = 1) -> City:
    """Make a city of `n_atoms` cells before heavy ones are split; villages in proportion."""
    rng = np.random.default_rng(seed)
    share = n_atoms / 500_000
    side = SIDE * np.sqrt(share)
    n_villages = round(_VILLAGES * share)
    seats = _seats(rng, n_villages, side, round(_URBAN * share))
    points, people = _points(rng, seats, n_atoms, side)
    points, people = _apart(*_split_heavy(rng, points, people))
    xy, starts, ridges, length, rim = _cells(points, side)
    village = cKDTree(seats).query(points)[1].astype(np.int32)
    village = _connected(village, ridges[length >= _NEIGHBOURS_FROM])
    towns = seats[rng.permutation(n_villages)[: max(round(_TOWNSHIPS * share), 1)]]
    counties = towns[: max(round(_COUNTIES * share), 1)]
    township_of = cKDTree(towns).query(seats)[1].astype(np.int32)
    county_of = cKDTree(counties).query(towns)[1].astype(np.int32)
    long = length >= _NEIGHBOURS_FROM
    first, second = ridges[long].T.astype(np.int32)
    area = shapely.area(
        shapely.polygons(
            shapely.linearrings(xy, indices=np.repeat(np.arange(len(points)), np.diff(starts)))
        )
    )
    return City(
        xy=xy,
        starts=starts,
        village=village,
        township=township_of[village],
        county=county_of[township_of[village]],
        people=people,
        area=area,
        first=first,
        second=second,
        length=length[long],
        kind=_kinds(rng, points, village, (first, second), side),
        rim=rim,
    )


def _seats(rng: np.random.Generator, n: int, side: float, n_urban: int) -> NDArray[np.float64]:
    """Return the centres of villages: a jittered lattice, and urban ones packed around towns."""
    n_towns = max(n_urban // 10, 1)
    towns = rng.uniform(0.05, 0.95, (n_towns, 2)) * side
    urban = towns[np.arange(n_urban) % n_towns] + rng.normal(0, 900, (n_urban, 2))
    across = int(np.ceil(np.sqrt(n - n_urban)))
    step = side / across
    cell = rng.permutation(across * across)[: n - n_urban]
    rural = np.stack(np.divmod(cell, across), axis=1) * step + step * rng.uniform(
        0.15, 0.85, (n - n_urban, 2)
    )
    return np.clip(np.concatenate([urban, rural]), 50, side - 50)


def _points(
    rng: np.random.Generator, seats: NDArray[np.float64], n_atoms: int, side: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the seeds of cells and their people: cores around the seats, fields between."""
    n_core = round(_CORE_SHARE * n_atoms)
    sizes = rng.lognormal(0, 0.5, len(seats))
    owner = np.sort(rng.choice(len(seats), n_core, p=sizes / sizes.sum()))
    count = np.bincount(owner, minlength=len(seats))
    number = np.arange(n_core) - np.concatenate([[0], np.cumsum(count)])[owner]
    # Sunflower seeds: evenly spread in a disc whose cells have the size of a core cell.
    radius = np.sqrt((number + 0.5) * _CORE_CELL_M2 / np.pi)
    angle = number * np.pi * (3 - np.sqrt(5)) + rng.uniform(0, 2 * np.pi, len(seats))[owner]
    core = seats[owner] + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    core += rng.normal(0, 8, core.shape)
    across = int(np.ceil(np.sqrt(n_atoms - n_core)))
    cell = rng.permutation(across * across)[: n_atoms - n_core]
    step = side / across
    field = np.stack(np.divmod(cell, across), axis=1) * step + step * rng.uniform(
        0.1, 0.9, (n_atoms - n_core, 2)
    )
    points = np.concatenate([core, field])
    people = np.zeros(n_atoms)
    people[:n_core] = rng.lognormal(np.log(_MEAN_PEOPLE) - _SIGMA**2 / 2, _SIGMA, n_core)
    inside = ((points > 30) & (points < side - 30)).all(axis=1)
    return points[inside], np.round(people[inside])


def _split_heavy(
    rng: np.random.Generator, points: NDArray[np.float64], people: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    heavy = (people > _HEAVY) & (rng.random(len(people)) > _TOWER_SHARE)
    pieces = np.where(heavy, np.ceil(people / _PIECE), 1).astype(np.int64)
    parent = np.repeat(np.arange(len(points)), pieces)
    turn = np.arange(len(parent)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    angle = 2 * np.pi * turn / pieces[parent] + rng.uniform(0, 2 * np.pi, len(points))[parent]
    away = np.where(pieces[parent] > 1, 0.28 * np.sqrt(_CORE_CELL_M2), 0.0)
    split = points[parent] + away[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return split, people[parent] / pieces[parent]


def _apart(
    points: NDArray[np.float64], people: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave out points within 12 m of an earlier one: where cores overlap they would be specks."""
    pairs = cKDTree(points).query_pairs(12.0, output_type="ndarray")
    kept = np.ones(len(points), bool)
    kept[pairs.max(axis=1)] = False
    return points[kept], people[kept]


def _cells(
    points: NDArray[np.float64], side: float
) -> tuple[
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.float64],
]:
    """Return rings, their starts, pairs that touch with their lengths, and lengths of outline.

    Points mirrored at the sides make the sides into cell edges.
    """
    n = len(points)
    near = 2_500.0
    mirrors = [points]
    for axis in (0, 1):
        for at in (0.0, side):
            close = points[np.abs(points[:, axis] - at) < near].copy()
            close[:, axis] = 2 * at - close[:, axis]
            mirrors.append(close)
    diagram = Voronoi(np.concatenate(mirrors))
    corners = np.round(diagram.vertices, 3)
    ends = np.array(diagram.ridge_vertices)
    pairs = np.asarray(diagram.ridge_points)
    here = (ends >= 0).all(axis=1) & (pairs < n).any(axis=1)
    pairs, ends = pairs[here], ends[here]
    length = np.hypot(*(corners[ends[:, 0]] - corners[ends[:, 1]]).T)
    outline = (pairs >= n).any(axis=1)
    rim = np.bincount(pairs[outline].min(axis=1), length[outline], n)
    owner = np.repeat(pairs.ravel(), 2)
    corner = np.repeat(ends, 2, axis=0).ravel()
    owner, corner = owner[owner < n], corner[owner < n]
    away = corners[corner] - points[owner]
    order = np.lexsort((np.arctan2(away[:, 1], away[:, 0]), owner))
    owner, corner = owner[order], corner[order]
    xy = corners[corner]
    fresh = np.ones(len(xy), bool)
    fresh[1:] = (xy[1:] != xy[:-1]).any(axis=1) | (owner[1:] != owner[:-1])
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner[fresh], minlength=n))])
    return xy[fresh], starts.astype(np.int64), pairs[~outline], length[~outline], rim


def _connected(village: NDArray[np.int32], pairs: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the villages when detached cells join a neighbour's."""
    n = len(village)
    while True:
        same = village[pairs[:, 0]] == village[pairs[:, 1]]
        one, other = pairs[same].T
        part = connected_components(coo_matrix((np.ones(len(one)), (one, other)), (n, n)))[1]
        size = np.bincount(part)
        order = np.lexsort((-size[part], village))
        main = np.full(int(village.max()) + 1, -1)
        head = np.ones(n, bool)
        head[1:] = village[order][1:] != village[order][:-1]
        main[village[order][head]] = part[order][head]
        loose = part != main[village]
        if not loose.any():
            return village
        reached = loose[pairs[:, 0]] != loose[pairs[:, 1]]
        if not reached.any():
            raise RuntimeError(f"{loose.sum()} cells touch no village; take another seed")
        village = village.copy()
        for here, there in ((0, 1), (1, 0)):
            moving = loose[pairs[:, here]] & ~loose[pairs[:, there]]
            village[pairs[moving, here]] = village[pairs[moving, there]]


def _kinds(
    rng: np.random.Generator,
    points: NDArray[np.float64],
    village: NDArray[np.int32],
    pairs: tuple[NDArray[np.int32], NDArray[np.int32]],
    side: float,
) -> NDArray[np.int8]:
    """Return what lies on each border; blocks are dense where cells are."""
    first, second = pairs
    crossings = points[rng.permutation(len(points))[: len(points) // _CELLS_A_BLOCK]]
    block = cKDTree(crossings).query(points)[1]
    n_basins = max(round(_BASINS * (side / SIDE) ** 2), 2)
    basin = cKDTree(rng.uniform(0, side, (n_basins, 2))).query(points)[1]
    kind = np.where(block[first] != block[second], ROAD, 0).astype(np.int8)
    kind[basin[first] != basin[second]] = RIVER
    kind[village[first] != village[second]] = LIMIT
    return kind
