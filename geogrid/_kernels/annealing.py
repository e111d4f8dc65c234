"""Move atoms between zones: to a lower energy by annealing, or as few as evenness needs.

What a division is judged by is its *energy*, the sum over its zones of

    evenness * (off² + 10 * excess²) + rim² / (4 pi area) + thrift * rim / sqrt(mean area)
        + 4 * cramped²

where `off` is how far the load is from the mean, as a share of it, `excess` what of that is beyond
a tolerance, `rim` the outline, cheaper where it is seen, and `cramped` what a zone lacks of a
quarter of the mean area, as a share of that quarter: balance, compactness (the inverse of
Polsby-Popper's ratio), the length of new line, and room, without which a zone of a few large
buildings is an island inside another one.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.trees import Graph

# What goes beyond the tolerance costs so many times more.
_STRICTNESS = 10.0
# Of 5,400 micro-grids of a town of slab blocks 689 were islands without room as an aim, 234 with
# this weight, 139 with 6, at Polsby-Popper .621, .585 and .572.
_ROOM = 4.0
_ROOM_SHARE = 0.25
# Hot enough to leave a bad start, cold at the end; in units of the energy.
_HEAT = 0.3


class Terms(NamedTuple):
    """How divisions are judged and how long better ones are sought.

    `sweeps` moves a node and round are tried, `tries` trees a cut; the best of `rounds` is taken,
    and of a few more while a zone is beyond `tolerance`.
    """

    evenness: float
    tolerance: float
    thrift: float
    sweeps: int
    tries: int
    rounds: int


class Sums(NamedTuple):
    """Load, area, outline and number of nodes of each zone."""

    load: NDArray[np.float64]
    land: NDArray[np.float64]
    rim: NDArray[np.float64]
    members: NDArray[np.int64]


@njit(cache=True)
def anneal(
    graph: Graph,
    zone: NDArray[np.int32],
    n_zones: int,
    terms: Terms,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], float]:
    """Move single nodes between zones to a lower energy; zones stay connected and none is emptied.

    No node moves across a shut border, nor one that a shut border joins to its own zone.
    """
    n = len(graph.load)
    zone = zone.copy()
    sums = _sums(graph, zone, n_zones)
    load, land, rim, members = sums
    mean = load.sum() / n_zones
    side = np.sqrt(land.sum() / n_zones)
    spent = np.empty(n_zones)
    for z in range(n_zones):
        spent[z] = _energy(load[z], land[z], rim[z], mean, side, terms)
    stamp = np.zeros(n, np.int64)
    queue = np.empty(n, np.int32)
    clock = 0
    for sweep in range(terms.sweeps):
        heat = _HEAT * (1 - sweep / terms.sweeps) ** 2
        moved = False
        for _ in range(n):
            v = int(rng.random() * n)
            here = zone[v]
            degree = graph.row[v + 1] - graph.row[v]
            if degree == 0 or members[here] == 1:
                continue
            edge = graph.row[v] + int(rng.random() * degree)
            there = zone[graph.neighbour[edge]]
            if there == here or graph.shut[edge]:
                continue
            rims = _rims_after(graph, v, zone, there, rim)
            spent_here = _energy(
                load[here] - graph.load[v], land[here] - graph.area[v], rims[0], mean, side, terms
            )
            spent_there = _energy(
                load[there] + graph.load[v], land[there] + graph.area[v], rims[1], mean, side, terms
            )
            change = spent_here + spent_there - spent[here] - spent[there]
            if change > 0 and (heat <= 0 or rng.random() >= np.exp(-change / heat)):
                continue
            clock += 1
            if not _may_leave(graph, v, zone, stamp, clock, queue):
                continue
            _move(graph, v, there, zone, sums, rims)
            spent[here], spent[there] = spent_here, spent_there
            moved = True
        if not moved and heat < 0.01:
            break
    return zone, spent.sum()


@njit(cache=True)
def settle(
    graph: Graph, zone: NDArray[np.int32], n_zones: int, tolerance: float, terms: Terms
) -> NDArray[np.int32]:
    """Move as few nodes as bring every zone within `tolerance` of the mean, or as near as can be.

    Zones within it are changed only to take from one that is above it or to give to one below. Of
    all moves the one that lowers the excess most, for what it costs in shape, goes first.
    """
    n = len(graph.load)
    zone = zone.copy()
    sums = _sums(graph, zone, n_zones)
    load, members = sums.load, sums.members
    mean = load.sum() / n_zones
    side = np.sqrt(sums.land.sum() / n_zones)
    stamp = np.zeros(n, np.int64)
    queue = np.empty(n, np.int32)
    clock = 0
    # Every move lowers the excess, so this ends; the limit is for excesses lowered by next to none.
    for _ in range(4 * n):
        best = 1e-9
        best_node = -1
        best_zone = -1
        for v in range(n):
            here = zone[v]
            if members[here] == 1:
                continue
            over_here = max(abs(load[here] / mean - 1) - tolerance, 0.0)
            for edge in range(graph.row[v], graph.row[v + 1]):
                there = zone[graph.neighbour[edge]]
                if there == here or graph.shut[edge]:
                    continue
                over_there = max(abs(load[there] / mean - 1) - tolerance, 0.0)
                if over_here <= 0 and over_there <= 0:
                    continue
                after_here = max(abs((load[here] - graph.load[v]) / mean - 1) - tolerance, 0.0)
                after_there = max(abs((load[there] + graph.load[v]) / mean - 1) - tolerance, 0.0)
                gain = over_here**2 + over_there**2 - after_here**2 - after_there**2
                if gain <= 1e-9:
                    continue
                price = _shape_change(graph, v, zone, there, sums, side, terms)
                worth = gain / (1.0 + max(price, 0.0))
                if worth > best:
                    clock += 1
                    if _may_leave(graph, v, zone, stamp, clock, queue):
                        best, best_node, best_zone = worth, v, there
        if best_node < 0:
            break
        rims = _rims_after(graph, best_node, zone, best_zone, sums.rim)
        _move(graph, best_node, best_zone, zone, sums, rims)
    return zone


@njit(cache=True)
def _sums(graph: Graph, zone: NDArray[np.int32], n_zones: int) -> Sums:
    load = np.zeros(n_zones)
    land = np.zeros(n_zones)
    rim = np.zeros(n_zones)
    members = np.zeros(n_zones, np.int64)
    for v in range(len(zone)):
        z = zone[v]
        load[z] += graph.load[v]
        land[z] += graph.area[v]
        rim[z] += graph.outer[v]
        members[z] += 1
        for k in range(graph.row[v], graph.row[v + 1]):
            if zone[graph.neighbour[k]] != z:
                rim[z] += graph.cost[k]
    return Sums(load, land, rim, members)


@njit(cache=True, inline="always")
def _energy(load: float, land: float, rim: float, mean: float, side: float, terms: Terms) -> float:
    off = abs(load - mean) / mean
    excess = max(off - terms.tolerance, 0.0)
    shape = rim * rim / (4 * np.pi * max(land, 1e-9)) + terms.thrift * rim / side
    cramped = max(1.0 - land / (_ROOM_SHARE * side * side), 0.0)
    shape += _ROOM * cramped * cramped
    return terms.evenness * (off * off + _STRICTNESS * excess * excess) + shape


@njit(cache=True, inline="always")
def _rims_after(
    graph: Graph, v: int, zone: NDArray[np.int32], there: int, rim: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the outlines of the zone that `v` leaves and of the one that it joins."""
    here = zone[v]
    around = graph.outer[v]
    to_here = 0.0
    to_there = 0.0
    for k in range(graph.row[v], graph.row[v + 1]):
        around += graph.cost[k]
        if zone[graph.neighbour[k]] == here:
            to_here += graph.cost[k]
        elif zone[graph.neighbour[k]] == there:
            to_there += graph.cost[k]
    return rim[here] - around + 2 * to_here, rim[there] + around - 2 * to_there


@njit(cache=True, inline="always")
def _move(
    graph: Graph,
    v: int,
    there: int,
    zone: NDArray[np.int32],
    sums: Sums,
    rims: tuple[float, float],
) -> None:
    here = zone[v]
    sums.load[here] -= graph.load[v]
    sums.load[there] += graph.load[v]
    sums.land[here] -= graph.area[v]
    sums.land[there] += graph.area[v]
    sums.rim[here], sums.rim[there] = rims
    sums.members[here] -= 1
    sums.members[there] += 1
    zone[v] = there


@njit(cache=True)
def _may_leave(
    graph: Graph,
    v: int,
    zone: NDArray[np.int32],
    stamp: NDArray[np.int64],
    clock: int,
    queue: NDArray[np.int32],
) -> bool:
    """Tell whether the neighbours of `v` in its own zone reach one another without it."""
    wanted = 0
    start = -1
    for k in range(graph.row[v], graph.row[v + 1]):
        u = graph.neighbour[k]
        if zone[u] == zone[v]:
            if graph.shut[k]:
                return False
            wanted += 1
            start = u
    if wanted <= 1:
        return wanted == 1
    stamp[v] = clock
    stamp[start] = clock
    queue[0] = start
    head = 0
    tail = 1
    found = 0
    while head < tail:
        u = queue[head]
        head += 1
        for k in range(graph.row[u], graph.row[u + 1]):
            t = graph.neighbour[k]
            if graph.shut[k]:
                continue
            if t == v:
                found += 1
                if found == wanted:
                    return True
            elif zone[t] == zone[v] and stamp[t] != clock:
                stamp[t] = clock
                queue[tail] = t
                tail += 1
    return False


@njit(cache=True)
def _shape_change(
    graph: Graph,
    v: int,
    zone: NDArray[np.int32],
    there: int,
    sums: Sums,
    side: float,
    terms: Terms,
) -> float:
    """Return by how much the energy of shapes grows when `v` moves."""
    here = zone[v]
    land, rim = sums.land, sums.rim
    rims = _rims_after(graph, v, zone, there, rim)
    before = _energy(1.0, land[here], rim[here], 1.0, side, terms)
    before += _energy(1.0, land[there], rim[there], 1.0, side, terms)
    after = _energy(1.0, land[here] - graph.area[v], rims[0], 1.0, side, terms)
    after += _energy(1.0, land[there] + graph.area[v], rims[1], 1.0, side, terms)
    return after - before
