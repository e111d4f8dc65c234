"""The zoning of others: METIS, KaHIP, gerrychain, spopt, coordinate bisection and squares.

Where a rival takes a graph and a number of parts it gets the nested protocol: a village and its
count of grids, then a grid and its count of micro-grids. Weights are whole tenths of a person, one
at least, for partitioners refuse nodes that weigh nothing.
"""

import random
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from voronoi import City
from zoning import Zones

from geogrid.partition.apportion import webster

_UNEVENNESS = 0.05
_SAMPLE = 100

Split = Callable[["Part", int], NDArray[np.int32]]


class Part:
    """Connected atoms to be divided: their rows, weights, places and neighbours in CSR form."""

    def __init__(self, city: City, rows: NDArray[np.int64], edges: NDArray[np.int64]) -> None:
        place = np.full(len(city), -1)
        place[rows] = np.arange(len(rows))
        one, other = place[city.first[edges]], place[city.second[edges]]
        source = np.concatenate([one, other])
        order = np.argsort(source, kind="stable")
        self.rows = rows
        self.people = city.people[rows]
        self.xy = city.xy[city.starts[rows]]
        self.weight = np.maximum(np.round(self.people * 10), 1).astype(np.int64)
        self.start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=len(rows)))])
        self.neighbour = np.concatenate([other, one])[order]
        length = np.maximum(np.round(city.length[edges]), 1).astype(np.int64)
        self.length = np.tile(length, 2)[order]


def metis(part: Part, count: int) -> NDArray[np.int32]:
    """K-way METIS, told to keep parts connected."""
    import pymetis

    _, zone = pymetis.part_graph(
        count, xadj=part.start, adjncy=part.neighbour, vweights=part.weight,
        eweights=part.length, recursive=False, contiguous=True,
    )  # fmt: skip
    return np.asarray(zone, np.int32)


def kahip(part: Part, count: int) -> NDArray[np.int32]:
    """KaHIP's kaffpa, fast."""
    import kahip as library

    arrays = [part.weight, part.start, part.length, part.neighbour]
    weight, start, length, neighbour = (array.tolist() for array in arrays)
    quiet, seed, fast = True, 0, 0
    _, zone = library.kaffpa(
        weight, start, length, neighbour, count, _UNEVENNESS, quiet, seed, fast
    )
    return np.asarray(zone, np.int32)


def bisection(part: Part, count: int) -> NDArray[np.int32]:
    """Halve by the longer side at the right share of people; contiguity is left to luck."""
    zone = np.zeros(len(part.rows), np.int32)
    waiting = [(np.arange(len(part.rows)), count, 0)]
    while waiting:
        rows, parts, first = waiting.pop()
        if parts == 1:
            zone[rows] = first
            continue
        half = parts // 2
        axis = int(np.argmax(np.ptp(part.xy[rows], axis=0)))
        rows = rows[np.argsort(part.xy[rows, axis], kind="stable")]
        share = np.cumsum(part.weight[rows]) / part.weight[rows].sum()
        cut = int(np.clip(np.searchsorted(share, half / parts), half, len(rows) - (parts - half)))
        waiting += [(rows[:cut], half, first), (rows[cut:], parts - half, first + half)]
    return zone


def gerrychain(part: Part, count: int) -> NDArray[np.int32]:
    """Recursive tree partition, with more and more tolerance until it succeeds."""
    import networkx as nx
    from gerrychain import Graph
    from gerrychain.tree import recursive_tree_part

    source = np.repeat(np.arange(len(part.rows)), np.diff(part.start))
    graph = nx.Graph()
    for row, weight in enumerate(part.weight.tolist()):
        graph.add_node(row, people=weight)
    graph.add_edges_from(zip(source.tolist(), part.neighbour.tolist(), strict=True))
    for tolerance in (0.1, 0.25, 0.5, 1.0):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = recursive_tree_part(
                    Graph.from_networkx(graph),
                    range(count),
                    int(part.weight.sum()) / count,
                    "people",
                    tolerance,
                )
        except (RuntimeError, IndexError, ValueError):
            continue
        return np.array([found[row] for row in range(len(part.rows))], np.int32)
    return np.zeros(len(part.rows), np.int32)


def nested(split: Split) -> Callable[[City, NDArray[np.int64]], Zones]:
    """Return the nested protocol for a way to split connected atoms."""

    def divide(city: City, counts: NDArray[np.int64]) -> Zones:
        grid = _spread(city, city.village, counts[:, 0], split)
        parent = _parents(grid, city.village)
        micros = _micro_counts(city, grid, parent, counts)
        return Zones(grid, _spread(city, grid, micros, split))

    return divide


def sampled(split: Split) -> Callable[[City, NDArray[np.int64]], Zones]:
    """Return the first level for a sample of villages only; all else is -1."""

    def divide(city: City, counts: NDArray[np.int64]) -> Zones:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002  # the rival's own
        chosen = np.random.default_rng(1).permutation(len(counts))[:_SAMPLE]
        only = np.zeros_like(counts[:, 0])
        only[chosen] = counts[chosen, 0]
        grid = _spread(city, city.village, only, split)
        return Zones(grid, np.full(len(city), np.int32(-1)))

    return divide


def ward(city: City, counts: NDArray[np.int64]) -> Zones:
    """Divide the whole city by spopt's spatially constrained Ward clustering of places."""
    from libpysal.weights import WSP
    from scipy.sparse import coo_matrix
    from spopt.region import WardSpatial

    pairs = np.concatenate([[city.first, city.second], [city.second, city.first]], axis=1)
    matrix = coo_matrix((np.ones(pairs.shape[1]), tuple(pairs)), (len(city), len(city)))
    xy = city.xy[city.starts[:-1]]
    frame = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1]})
    model = WardSpatial(frame, WSP(matrix.tocsr()), ["x", "y"], n_clusters=int(counts[:, 0].sum()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.solve()
    return Zones(np.asarray(model.labels_, np.int32), np.full(len(city), np.int32(-1)))


def squares(city: City, counts: NDArray[np.int64]) -> Zones:
    """Squares of the size that gives the numbers wanted."""
    found = []
    for total in counts.sum(axis=0).tolist():
        across = round(np.sqrt(total))
        middle = city.xy[city.starts[:-1]]
        cell = np.minimum((middle / middle.max() * across).astype(np.int64), across - 1)
        found.append(np.unique(cell[:, 0] * across + cell[:, 1], return_inverse=True)[1])
    return Zones(*(zone.astype(np.int32) for zone in found))


RIVALS: dict[str, Callable[[City, NDArray[np.int64]], Zones]] = {
    "METIS k-way contig": nested(metis),
    "KaHIP fast": nested(kahip),
    "coordinate bisection": nested(bisection),
    f"gerrychain, {_SAMPLE} villages": sampled(gerrychain),
    "spopt Ward": ward,
    "squares": squares,
}


def _spread(
    city: City, group: NDArray[np.int32], counts: NDArray[np.int64], split: Split
) -> NDArray[np.int32]:
    """Split every group into its count of zones; groups without a count stay -1."""
    zone = np.full(len(city), np.int32(-1))
    first = 0
    for part, number in _parts(city, group):
        count = int(counts[number])
        if count == 0:
            continue
        inner = np.zeros(len(part.rows), np.int32) if count == 1 else split(part, count)
        zone[part.rows] = first + inner
        first += count
    return zone


def _parts(city: City, group: NDArray[np.int32]) -> Iterator[tuple[Part, int]]:
    same = np.flatnonzero(group[city.first] == group[city.second])
    same = same[np.argsort(group[city.first[same]], kind="stable")]
    order = np.argsort(group, kind="stable")
    n = int(group.max()) + 1
    rows = np.searchsorted(group[order], np.arange(n + 1))
    edges = np.searchsorted(group[city.first[same]], np.arange(n + 1))
    for number in range(n):
        own = order[rows[number] : rows[number + 1]]
        if len(own):
            yield Part(city, own, same[edges[number] : edges[number + 1]]), number


def _parents(zone: NDArray[np.int32], parent: NDArray[np.int32]) -> NDArray[np.int32]:
    found = np.full(int(zone.max()) + 1, -1, np.int32)
    found[zone] = parent
    return found


def _micro_counts(
    city: City, grid: NDArray[np.int32], village: NDArray[np.int32], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Apportion each village's micro-grids over the grids that a rival made of it."""
    people = np.bincount(grid, city.people, len(village))
    atoms = np.bincount(grid, minlength=len(village))
    micros = np.zeros(len(village), np.int64)
    order = np.argsort(village, kind="stable")
    bounds = np.searchsorted(village[order], np.arange(len(counts) + 1))
    for number, total in enumerate(counts[:, 1].tolist()):
        own = order[bounds[number] : bounds[number + 1]]
        own = own[atoms[own] > 0]
        least = np.ones(len(own), np.int64)
        total = int(np.clip(total, len(own), atoms[own].sum()))
        micros[own] = webster(people[own] + 1e-9, total, least=least, most=atoms[own])
    return micros


def timed(name: str, city: City, counts: NDArray[np.int64]) -> tuple[Zones, float, float]:
    """Return a rival's zones, its CPU seconds and the peak memory of this process in GB."""
    import resource

    start = time.process_time()
    zones = RIVALS[name](city, counts)
    spent = time.process_time() - start
    return zones, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
