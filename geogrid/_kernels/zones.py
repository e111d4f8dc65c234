"""Contiguous zones of about equal load: grids in a village, micro-grids in a grid."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.annealing import Terms, anneal
from geogrid._kernels.trees import Graph, bisect

# So many more rounds while a zone is beyond the tolerance.
_MORE_ROUNDS = 3


@njit(cache=True)
def nest(
    graph: Graph,
    n_grids: int,
    n_microgrids: int,
    terms: tuple[Terms, Terms],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Divide a connected graph into grids, and each grid into its share of the micro-grids.

    Returns
    -------
    grid, microgrid : (n,) int32
        Micro-grids are numbered grid by grid.
    """
    n = len(graph.load)
    grid = divide(graph, n_grids, terms[0], rng)
    # A node heavier than a micro-grid can only be one, so it counts as one.
    load = np.minimum(graph.load, _cap(graph.load, n_microgrids))
    weight = np.zeros(n_grids)
    members = np.zeros(n_grids, np.int64)
    for v in range(n):
        weight[grid[v]] += load[v]
        members[grid[v]] += 1
    seats = apportion(weight, members, n_microgrids)
    microgrid = np.empty(n, np.int32)
    local = np.full(n, -1, np.int32)
    order = np.argsort(grid, kind="mergesort").astype(np.int32)
    start = 0
    first = 0
    for g in range(n_grids):
        nodes = order[start : start + members[g]]
        inner = _within(graph, load, nodes, local)
        microgrid[nodes] = first + divide(inner, seats[g], terms[1], rng)
        first += seats[g]
        start += members[g]
    return grid, microgrid


@njit(cache=True)
def divide(graph: Graph, n_zones: int, terms: Terms, rng: np.random.Generator) -> NDArray[np.int32]:
    """Divide a connected graph into exactly `n_zones` connected zones.

    Land that only shut borders join to the rest becomes zones of its own, unless it weighs less
    than half a zone.
    """
    n = len(graph.load)
    if n_zones == 1:
        return np.zeros(n, np.int32)
    if n_zones == n:
        return np.arange(n).astype(np.int32)
    part = parts(graph, n_zones)
    best = np.zeros(n, np.int32)
    least = np.inf
    for turn in range(terms.rounds + _MORE_ROUNDS):
        if turn >= terms.rounds and _most_off(graph, best, n_zones) <= terms.tolerance:
            break
        start = _by_parts(graph, part, n_zones, terms.tries, rng)
        zone, spent = anneal(graph, start, n_zones, terms, rng)
        if spent < least:
            least = spent
            best = zone
    return best


@njit(cache=True)
def _most_off(graph: Graph, zone: NDArray[np.int32], n_zones: int) -> float:
    """Return by how much, as a share of the mean, the load of a zone differs from it at most."""
    load = np.zeros(n_zones)
    for v in range(len(zone)):
        load[zone[v]] += graph.load[v]
    mean = load.sum() / n_zones
    return max(load.max() - mean, mean - load.min()) / mean


@njit(cache=True)
def apportion(
    weight: NDArray[np.float64], most: NDArray[np.int64], total: int
) -> NDArray[np.int64]:
    """Apportion `total` seats by Webster's method, at least one and at most `most` each."""
    seats = np.ones(len(weight), np.int64)
    for _ in range(total - len(weight)):
        chosen = -1
        rank = -1.0
        for k in range(len(weight)):
            if seats[k] < most[k] and weight[k] / (seats[k] + 0.5) > rank:
                rank = weight[k] / (seats[k] + 0.5)
                chosen = k
        seats[chosen] += 1
    return seats


@njit(cache=True)
def parts(graph: Graph, n_zones: int) -> NDArray[np.int32]:
    """Return the part of each node: connected without shut borders, and heavy enough for a zone.

    The lightest part joins the one it shares the longest border with, until all weigh at least
    half a zone.
    """
    n = len(graph.load)
    part = np.zeros(n, np.int32)
    if not graph.shut.any():
        return part
    part[:] = -1
    queue = np.empty(n, np.int32)
    n_parts = 0
    for seed in range(n):
        if part[seed] >= 0:
            continue
        part[seed] = n_parts
        queue[0] = seed
        head, tail = 0, 1
        while head < tail:
            v = queue[head]
            head += 1
            for k in range(graph.row[v], graph.row[v + 1]):
                u = graph.neighbour[k]
                if part[u] < 0 and not graph.shut[k]:
                    part[u] = n_parts
                    queue[tail] = u
                    tail += 1
        n_parts += 1
    least = graph.load.sum() / n_zones / 2
    while n_parts > 1:
        load = np.zeros(n_parts)
        for v in range(n):
            load[part[v]] += graph.load[v]
        lightest = np.argmin(load)
        if load[lightest] >= least and n_parts <= n_zones:
            break
        shared = np.zeros(n_parts)
        for v in range(n):
            if part[v] == lightest:
                for k in range(graph.row[v], graph.row[v + 1]):
                    shared[part[graph.neighbour[k]]] += graph.cost[k] + 1e-9
        shared[lightest] = -1.0
        joined = np.argmax(shared)
        n_parts -= 1
        for v in range(n):
            if part[v] == lightest:
                part[v] = joined
            if part[v] == n_parts:
                part[v] = lightest
    return part


@njit(cache=True)
def _by_parts(
    graph: Graph,
    part: NDArray[np.int32],
    n_zones: int,
    tries: int,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Bisect every part on its own, each into its share of the zones."""
    n_parts = part.max() + 1
    if n_parts == 1:
        return bisect(graph, n_zones, tries, rng)
    weight = np.zeros(n_parts)
    members = np.zeros(n_parts, np.int64)
    for v in range(len(part)):
        weight[part[v]] += graph.load[v]
        members[part[v]] += 1
    seats = apportion(weight, members, n_zones)
    zone = np.empty(len(part), np.int32)
    local = np.full(len(part), -1, np.int32)
    first = 0
    for p in range(n_parts):
        nodes = np.flatnonzero(part == p).astype(np.int32)
        inner = _within(graph, graph.load, nodes, local)
        zone[nodes] = first + bisect(inner, seats[p], tries, rng)
        first += seats[p]
    return zone


@njit(cache=True)
def within(graph: Graph, load: NDArray[np.float64], nodes: NDArray[np.int32]) -> Graph:
    """Return the graph among `nodes`, with their `load`; borders with other nodes are outline."""
    return _within(graph, load, nodes, np.full(len(graph.load), -1, np.int32))


@njit(cache=True)
def _within(
    graph: Graph, load: NDArray[np.float64], nodes: NDArray[np.int32], local: NDArray[np.int32]
) -> Graph:
    """Return the graph among `nodes`; borders with other nodes are outline.

    `local` holds -1 everywhere, before and after.
    """
    n = len(nodes)
    for k in range(n):
        local[nodes[k]] = k
    row = np.zeros(n + 1, np.int64)
    for k in range(n):
        row[k + 1] = row[k]
        for edge in range(graph.row[nodes[k]], graph.row[nodes[k] + 1]):
            row[k + 1] += local[graph.neighbour[edge]] >= 0
    neighbour = np.empty(row[n], np.int32)
    cost = np.empty(row[n])
    show = np.empty(row[n])
    shut = np.empty(row[n], np.bool_)
    outer = graph.outer[nodes]
    filled = 0
    for k in range(n):
        for edge in range(graph.row[nodes[k]], graph.row[nodes[k] + 1]):
            other = local[graph.neighbour[edge]]
            if other < 0:
                outer[k] += graph.cost[edge]
                continue
            neighbour[filled] = other
            cost[filled] = graph.cost[edge]
            show[filled] = graph.show[edge]
            shut[filled] = graph.shut[edge]
            filled += 1
    for k in range(n):
        local[nodes[k]] = -1
    return Graph(row, neighbour, cost, show, shut, load[nodes], graph.area[nodes], outer)


@njit(cache=True)
def _cap(load: NDArray[np.float64], n_zones: int) -> float:
    """Return the mean load of a zone when no node counts for more than one."""
    mean = load.sum() / n_zones
    while True:
        total = 0.0
        for some in load:
            total += min(some, mean)
        lower = total / n_zones
        if lower >= mean * (1 - 1e-6):
            return mean
        mean = lower


@njit(cache=True)
def tidy(graph: Graph, zone: NDArray[np.int32], n_zones: int) -> NDArray[np.int32]:
    """Return zones in one piece each: what hangs apart from the heaviest piece joins a neighbour.

    Nodes of zone -1 join as well, each the zone it shares the dearest border with. A zone that no
    node has stays empty.
    """
    n = len(graph.load)
    piece = np.full(n, -1, np.int32)
    weight = np.zeros(n)
    queue = np.empty(n, np.int32)
    n_pieces = 0
    for seed in range(n):
        if piece[seed] >= 0:
            continue
        piece[seed] = n_pieces
        queue[0] = seed
        head, tail = 0, 1
        while head < tail:
            v = queue[head]
            head += 1
            weight[n_pieces] += graph.area[v]
            for k in range(graph.row[v], graph.row[v + 1]):
                u = graph.neighbour[k]
                if piece[u] < 0 and zone[u] == zone[v]:
                    piece[u] = n_pieces
                    queue[tail] = u
                    tail += 1
        n_pieces += 1
    chosen = np.full(n_zones, -1, np.int32)
    for v in range(n):
        z = zone[v]
        if z >= 0 and (chosen[z] < 0 or weight[piece[v]] > weight[chosen[z]]):
            chosen[z] = piece[v]
    tidied = np.empty(n, np.int32)
    left = 0
    for v in range(n):
        whole = zone[v] >= 0 and piece[v] == chosen[zone[v]]
        tidied[v] = zone[v] if whole else -1
        left += not whole
    shared = np.zeros(n_zones)
    while left > 0:
        joined = 0
        for v in range(n):
            if tidied[v] >= 0:
                continue
            shared[:] = 0.0
            for k in range(graph.row[v], graph.row[v + 1]):
                if tidied[graph.neighbour[k]] >= 0:
                    shared[tidied[graph.neighbour[k]]] += graph.cost[k] + 1e-9
            if shared.max() > 0:
                tidied[v] = np.argmax(shared)
                joined += 1
        left -= joined
        if joined == 0:
            break
    return tidied
