"""Group atoms into contiguous zones: grids in a village, micro-grids in a grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geogrid._kernels import zones as kernel
from geogrid.partition.apportion import webster
from geogrid.partition.atoms import Atoms

# By 100 sweeps the energy has levelled off (30 gave .541, 100 .554, 400 .565 Polsby-Popper).
_SWEEPS = 100
_EVENNESS = 20.0
# A border that shows fully costs this share of its length; 1 would not follow edges at all.
_DISCOUNT = 0.35
# Lab units of mean relief at which a border counts as seen.
SEEN = 6.0
# Weight that an even share of the village's land adds, so that empty land is divided as well.
_LAND_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class _Graph:
    row: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    length: NDArray[np.float64]
    show: NDArray[np.float64]


def assign(
    atoms: Atoms, *, n_grids: int, n_microgrids: int, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Divide one village.

    Parameters
    ----------
    n_grids, n_microgrids : int
        The village's quotas, 1 <= n_grids <= n_microgrids <= number of atoms.
    seed : int
        Of the village, so that no other village changes the result.

    Returns
    -------
    grid, microgrid : (n_atoms,) int32
        Zone of each atom; micro-grids are numbered through the village, grid by grid. Every zone
        is connected through shared pixel edges and none is empty.
    """
    load = _load(atoms)
    grid = _divide(_graph(atoms), atoms.area, atoms.outer, load, (n_grids, seed))
    counts = webster(
        np.bincount(grid, load, n_grids).astype(np.float64),
        n_microgrids,
        least=np.ones(n_grids, np.int64),
        most=np.bincount(grid, minlength=n_grids),
    )
    microgrid = np.empty(len(atoms), np.int32)
    first = 0
    for number, count in enumerate(counts.tolist()):
        members = np.flatnonzero(grid == number)
        graph, outer = _subgraph(atoms, members)
        inner = _divide(
            graph, atoms.area[members], outer, load[members], (count, seed * 1009 + number)
        )
        microgrid[members] = first + inner
        first += count
    return grid, microgrid


def border_lengths(atoms: Atoms, zone: NDArray[np.int32]) -> tuple[float, float]:
    """Return the length of the borders between zones, and of those that are seen, in pixels."""
    between = zone[atoms.first] != zone[atoms.second]
    seen = between & (atoms.strength >= SEEN)
    return float(atoms.length[between].sum()), float(atoms.length[seen].sum())


def _load(atoms: Atoms) -> NDArray[np.float64]:
    total = float(atoms.weight.sum())
    land: NDArray[np.float64] = atoms.area / float(atoms.area.sum())
    if total > 0:
        land = atoms.weight / total + _LAND_SHARE * land
    return land


def _divide(
    graph: _Graph,
    area: NDArray[np.float64],
    outer: NDArray[np.float64],
    load: NDArray[np.float64],
    count_and_seed: tuple[int, int],
) -> NDArray[np.int32]:
    n_zones, seed = count_and_seed
    rng = np.random.default_rng(seed)
    cost = graph.length * (1 - (1 - _DISCOUNT) * graph.show)
    start = kernel.bisect(graph.row, graph.neighbour, cost, graph.show, load, n_zones, rng)
    return kernel.anneal(
        graph.row, graph.neighbour, cost, load, area, outer, start, n_zones,
        sweeps=_SWEEPS, evenness=_EVENNESS, rng=rng,
    )  # fmt: skip


def _graph(atoms: Atoms) -> _Graph:
    return _rows(atoms.first, atoms.second, atoms.length, atoms.strength, len(atoms))


def _subgraph(atoms: Atoms, members: NDArray[np.int64]) -> tuple[_Graph, NDArray[np.float64]]:
    """Return the graph among `members`, and their outlines: what borders others is outline."""
    number = np.full(len(atoms), -1, np.int32)
    number[members] = np.arange(len(members), dtype=np.int32)
    first, second = number[atoms.first], number[atoms.second]
    within = (first >= 0) & (second >= 0)
    outer = atoms.outer[members].copy()
    for one, other in ((first, second), (second, first)):
        leaving = (one >= 0) & (other < 0)
        outer += np.bincount(one[leaving], atoms.length[leaving], len(members))
    graph = _rows(
        first[within], second[within], atoms.length[within], atoms.strength[within], len(members)
    )
    return graph, outer


def _rows(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    length: NDArray[np.float64],
    strength: NDArray[np.float64],
    n: int,
) -> _Graph:
    source = np.concatenate([first, second])
    order = np.argsort(source, kind="stable")
    row = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))])
    show = np.minimum(strength / SEEN, 1.0)
    return _Graph(
        row=row.astype(np.int64),
        neighbour=np.concatenate([second, first])[order].astype(np.int32),
        length=np.tile(length, 2)[order],
        show=np.tile(show, 2)[order],
    )
