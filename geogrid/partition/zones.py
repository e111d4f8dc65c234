"""Group atoms into contiguous zones: grids in a village, micro-grids in a grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geogrid._kernels import zones as kernel
from geogrid._kernels.trees import Graph
from geogrid.partition.apportion import loads
from geogrid.partition.atoms import Atoms

# By 100 sweeps the energy has levelled off (30 gave .541, 100 .554, 400 .565 Polsby-Popper).
_SWEEPS = 100
# 10 trees a cut took twice the time of 4 and gave .003 more Polsby-Popper.
_TRIES = 4
# Shares of the mean that nobody would notice in a grid, and that whole buildings force on a
# micro-grid.
_GRID_TOLERANCE = 0.04
_MICROGRID_TOLERANCE = 0.2
# Lab units of mean relief at which a border counts as seen.
SEEN = 6.0


@dataclass(frozen=True, slots=True)
class Preset:
    """What a division favours.

    Attributes
    ----------
    discount : float
        What a border that shows fully costs, as a share of its length; 1 would not follow edges.
    evenness : float
        Weight of balance beside shape.
    thrift : float
        Weight of the length of new line beside shape.
    """

    discount: float
    evenness: float
    thrift: float


PRESETS = {
    "balanced": Preset(discount=0.7, evenness=15.0, thrift=0.5),
    "follow-roads": Preset(discount=0.35, evenness=15.0, thrift=0.5),
    "even": Preset(discount=0.7, evenness=60.0, thrift=0.5),
}


def assign(
    atoms: Atoms,
    *,
    n_grids: int,
    n_microgrids: int,
    seed: int,
    preset: Preset = PRESETS["balanced"],
    quality: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Divide one village.

    Parameters
    ----------
    n_grids, n_microgrids : int
        The village's quotas, 1 <= n_grids <= n_microgrids <= number of atoms.
    seed : int
        Of the village, so that no other village changes the result.
    quality : int
        How many divisions are tried at the least; the best is taken.

    Returns
    -------
    grid, microgrid : (n_atoms,) int32
        Zone of each atom; micro-grids are numbered through the village, grid by grid. Every zone
        is connected through shared pixel edges and none is empty.
    """
    terms = kernel.Terms(preset.evenness, _GRID_TOLERANCE, preset.thrift, _SWEEPS, _TRIES, quality)
    finer = terms._replace(tolerance=_MICROGRID_TOLERANCE)
    grid, microgrid = kernel.nest(
        _graph(atoms, preset.discount),
        n_grids,
        n_microgrids,
        (terms, finer),
        np.random.default_rng(seed),
    )
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


def _graph(atoms: Atoms, discount: float) -> Graph:
    (load,) = loads([atoms.weight], [atoms.area])
    row, neighbour, order = neighbour_rows(atoms.first, atoms.second, len(atoms))
    show = np.minimum(atoms.strength / SEEN, 1.0)
    cost = atoms.length * (1 - (1 - discount) * show)
    return Graph(
        row=row,
        neighbour=neighbour,
        cost=np.tile(cost, 2)[order],
        show=np.tile(show, 2)[order],
        shut=np.tile(atoms.shut, 2)[order],
        load=load,
        area=atoms.area,
        outer=atoms.outer,
    )
