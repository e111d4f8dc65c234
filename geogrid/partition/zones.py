"""Group atoms into contiguous zones: grids in a village, micro-grids in a grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geogrid._kernels import zones as kernel
from geogrid.partition.apportion import loads, webster
from geogrid.partition.atoms import Atoms

# By 100 sweeps the energy has levelled off (30 gave .541, 100 .554, 400 .565 Polsby-Popper).
_SWEEPS = 100
_EVENNESS = 20.0
# A border that shows fully costs this share of its length; 1 would not follow edges at all.
_DISCOUNT = 0.35
# Lab units of mean relief at which a border counts as seen.
SEEN = 6.0


@dataclass(frozen=True, slots=True)
class _Graph:
    """Nodes with area, outline and load; the neighbours of `v` are `row[v]:row[v + 1]`."""

    area: NDArray[np.float64]
    outer: NDArray[np.float64]
    load: NDArray[np.float64]
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
    (load,) = loads([atoms.weight], [atoms.area])
    whole = _graph(atoms, load, np.arange(len(atoms)))
    grid = _divide(whole, n_grids, np.random.default_rng(seed))
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
        inner = _divide(_graph(atoms, load, members), count, np.random.default_rng([seed, number]))
        microgrid[members] = first + inner
        first += count
    return grid, microgrid


def neighbour_rows(
    first: NDArray[np.int32], second: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Return pairs of neighbours as rows, each pair from both ends.

    Returns
    -------
    row : (n + 1,) int64
        The neighbours of node `v` are `neighbour[row[v]:row[v + 1]]`.
    neighbour : (2 m,) int32
    order : (2 m,) int64
        Sorts what belongs to the pairs, repeated twice, into the same order.
    """
    source = np.concatenate([first, second])
    order = np.argsort(source, kind="stable")
    row = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))]).astype(np.int64)
    return row, np.concatenate([second, first])[order].astype(np.int32), order


def _divide(graph: _Graph, n_zones: int, rng: np.random.Generator) -> NDArray[np.int32]:
    cost = graph.length * (1 - (1 - _DISCOUNT) * graph.show)
    start = kernel.bisect(graph.row, graph.neighbour, cost, graph.show, graph.load, n_zones, rng)
    return kernel.anneal(
        graph.row, graph.neighbour, cost, graph.load, graph.area, graph.outer, start, n_zones,
        sweeps=_SWEEPS, evenness=_EVENNESS, rng=rng,
    )  # fmt: skip


def _graph(atoms: Atoms, load: NDArray[np.float64], members: NDArray[np.int64]) -> _Graph:
    """Return the graph among `members`; what they share with others is outline."""
    n = len(members)
    number = np.full(len(atoms), -1, np.int32)
    number[members] = np.arange(n, dtype=np.int32)
    first, second = number[atoms.first], number[atoms.second]
    outer = atoms.outer[members].copy()
    for one, other in ((first, second), (second, first)):
        leaving = (one >= 0) & (other < 0)
        outer += np.bincount(one[leaving], atoms.length[leaving], n)
    within = (first >= 0) & (second >= 0)
    row, neighbour, order = neighbour_rows(first[within], second[within], n)
    show = np.minimum(atoms.strength[within] / SEEN, 1.0)
    return _Graph(
        area=atoms.area[members],
        outer=outer,
        load=load[members],
        row=row,
        neighbour=neighbour,
        length=np.tile(atoms.length[within], 2)[order],
        show=np.tile(show, 2)[order],
    )
