"""Group atoms into contiguous zones: grids in a village, micro-grids in a grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geogrid._kernels import annealing
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
# An earlier grid stays until it is so far off the mean, and so much further than it was.
_BREACH = 0.10
_BREACH_MORE = 0.02
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


@dataclass(frozen=True, slots=True)
class Earlier:
    """How a village was divided before.

    Attributes
    ----------
    polygons : (k,) polygons
        Its micro-grids in EPSG:4490, on the integer grid.
    codes, grid_codes : (k,), (g,) text
        Codes of its micro-grids and grids.
    grid : (k,) int32
        Grid of each micro-grid, as a row of `grid_codes`.
    households : (k,) float64
        What each micro-grid held then.
    """

    polygons: NDArray[np.object_]
    codes: NDArray[np.str_]
    grid_codes: NDArray[np.str_]
    grid: NDArray[np.int32]
    households: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Continued:
    """Zones that go on from earlier ones, numbered as these; `same` if no norm was broken."""

    grid: NDArray[np.int32]
    microgrid: NDArray[np.int32]
    same: bool


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
    terms = _terms(preset, quality)
    finer = terms._replace(tolerance=_MICROGRID_TOLERANCE)
    grid, microgrid = kernel.nest(
        _graph(atoms, preset.discount),
        n_grids,
        n_microgrids,
        (terms, finer),
        np.random.default_rng(seed),
    )
    return grid, microgrid


def carry_on(
    atoms: Atoms, start: NDArray[np.int32], earlier: Earlier, *, seed: int, preset: Preset
) -> Continued | None:
    """Keep the zones of an earlier division where they are even enough, mend the others.

    A grid breaks the norm when its load is further from the mean of its village than a tenth, and
    by two hundredths further than it was. Then as few atoms as needed move between grids, and the
    grids that changed are divided again, each into as many micro-grids as it had.

    Parameters
    ----------
    start : (n_atoms,) int32
        Earlier micro-grid of each atom, -1 where that is not known.

    Returns
    -------
    Continued, or None if an earlier zone holds no atom or does not hang together any more.
    """
    graph = _graph(atoms, preset.discount)
    n_grids, n_microgrids = len(earlier.grid_codes), len(earlier.codes)
    microgrid = kernel.tidy(graph, start, n_microgrids)
    if microgrid.min() < 0 or len(np.unique(microgrid)) < n_microgrids:
        return None
    grid = earlier.grid[microgrid]
    if (kernel.tidy(graph, grid, n_grids) != grid).any():
        return None
    off = _off(grid, graph.load, n_grids)
    was = _off(earlier.grid, earlier.households, n_grids)
    if (off <= np.maximum(_BREACH, was + _BREACH_MORE)).all():
        return Continued(grid, microgrid, same=True)
    terms = _terms(preset, 1)
    settled = annealing.settle(graph, grid, n_grids, _BREACH, terms)
    rng = np.random.default_rng(seed)
    for number in np.unique(np.concatenate([grid[settled != grid], settled[settled != grid]])):
        own = np.flatnonzero(earlier.grid == number).astype(np.int32)
        members = np.flatnonzero(settled == number).astype(np.int32)
        if len(members) < len(own):
            return None
        inner = kernel.within(graph, graph.load, members)
        finer = terms._replace(tolerance=_MICROGRID_TOLERANCE)
        microgrid[members] = own[kernel.divide(inner, len(own), finer, rng)]
    return Continued(settled, microgrid, same=False)


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


def _terms(preset: Preset, quality: int) -> annealing.Terms:
    return annealing.Terms(
        preset.evenness, _GRID_TOLERANCE, preset.thrift, _SWEEPS, _TRIES, quality
    )


def _off(zone: NDArray[np.int32], load: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return how far zones are from their mean load, as a share of it; 0 where there is none."""
    load = np.bincount(zone, load, n).astype(np.float64)
    mean = load.mean()
    return np.abs(load / mean - 1) if mean > 0 else np.zeros(len(load))


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
