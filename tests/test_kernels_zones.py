"""Trees, bisection, annealing and settling of zones, on small lattices."""

import numpy as np
import pytest
from scipy import ndimage

from geogrid._kernels import annealing, trees, zones
from geogrid._kernels.trees import Graph
from geogrid.partition.apportion import webster

TERMS = annealing.Terms(evenness=20.0, tolerance=0.2, thrift=0.0, sweeps=60, tries=10, rounds=1)


def lattice(side: int, load: np.ndarray, river: int | None = None) -> Graph:
    """A lattice of side x side nodes with unit borders; a river flows before column `river`."""
    number = np.arange(side * side).reshape(side, side)
    pairs = np.concatenate([
        np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], 1),
        np.stack([number[:-1].ravel(), number[1:].ravel()], 1),
    ])  # fmt: skip
    source = np.concatenate([pairs[:, 0], pairs[:, 1]])
    order = np.argsort(source, kind="stable")
    neighbour = np.concatenate([pairs[:, 1], pairs[:, 0]])[order].astype(np.int32)
    source = source[order]
    column = np.maximum(source % side, neighbour % side)
    shut = (column == river) & (source % side != neighbour % side)
    n = side * side
    inner = np.bincount(source, minlength=n)
    return Graph(
        row=np.concatenate([[0], np.cumsum(inner)]).astype(np.int64),
        neighbour=neighbour,
        cost=np.ones(len(neighbour)),
        show=np.zeros(len(neighbour)),
        shut=shut,
        load=load.astype(float),
        area=np.ones(n),
        outer=4.0 - inner,
    )


def random_lattice(side: int, seed: int) -> tuple[Graph, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return lattice(side, rng.random(side * side) + 0.2), rng


def is_connected(zone: np.ndarray, number: int, side: int) -> bool:
    return ndimage.label(zone.reshape(side, side) == number)[1] == 1


def energy(graph: Graph, zone: np.ndarray) -> float:
    """What annealing lowers: uneven load and long borders."""
    source = np.repeat(np.arange(len(zone)), np.diff(graph.row))
    cut = zone[source] != zone[graph.neighbour]
    rim = np.bincount(zone[source][cut], graph.cost[cut]) + np.bincount(zone, graph.outer)
    load = np.bincount(zone, graph.load)
    off = abs(load / load.mean() - 1)
    uneven = 20 * (off**2 + 10 * np.maximum(off - 0.2, 0) ** 2)
    return float((uneven + rim**2 / (4 * np.pi * np.bincount(zone))).sum())


@pytest.mark.parametrize("n_zones", [1, 2, 7, 40, 225])
def test_bisection_gives_exactly_so_many_connected_zones(n_zones: int) -> None:
    graph, rng = random_lattice(15, n_zones)
    zone = trees.bisect(graph, n_zones, 10, rng)
    assert sorted(set(zone)) == list(range(n_zones))
    assert all(is_connected(zone, number, 15) for number in range(n_zones))


def test_annealing_keeps_zones_connected_and_lowers_the_energy_it_tells() -> None:
    graph, rng = random_lattice(20, 1)
    start = trees.bisect(graph, 9, 10, rng)
    settled, spent = annealing.anneal(graph, start, 9, TERMS, rng)
    assert sorted(set(settled)) == list(range(9))
    assert all(is_connected(settled, number, 20) for number in range(9))
    assert spent == pytest.approx(energy(graph, settled))
    assert spent < energy(graph, start)


def test_more_rounds_never_end_with_a_higher_energy() -> None:
    graph, _ = random_lattice(20, 4)
    spent = [
        energy(graph, zones.divide(graph, 9, TERMS._replace(rounds=n), np.random.default_rng(2)))
        for n in (1, 2, 8)
    ]
    assert spent == sorted(spent, reverse=True)
    assert spent[2] < spent[0]


def test_thrift_shortens_the_new_line() -> None:
    """Small zones in the west, large ones in the east, whose borders are the long ones."""
    lengths = {0.0: 0, 3.0: 0}
    for seed in range(4):
        load = np.random.default_rng(seed).random(900) + 0.2
        load[np.arange(900) % 30 < 10] *= 10
        graph = lattice(30, load)
        source = np.repeat(np.arange(900), np.diff(graph.row))
        for thrift in lengths:
            terms = TERMS._replace(thrift=thrift)
            zone = zones.divide(graph, 20, terms, np.random.default_rng(seed))
            lengths[thrift] += int((zone[source] != zone[graph.neighbour]).sum()) // 2
    assert lengths[3.0] < lengths[0.0]


def test_subtree_borders_agree_with_a_count_edge_by_edge() -> None:
    graph, rng = random_lattice(8, 6)
    nodes = np.arange(64, dtype=np.int32)
    order, parent = trees.random_tree(graph, nodes, nodes, rng)
    below, count, border = trees.subtree_sums(graph, nodes, nodes, order, parent)
    row, neighbour = graph.row, graph.neighbour
    for v in range(64):
        members = {v}
        for u in order:
            if parent[u] in members:
                members.add(int(u))
        cut = sum(neighbour[k] not in members for u in members for k in range(row[u], row[u + 1]))
        assert count[v] == len(members)
        assert border[v] == pytest.approx(cut)
        assert below[v] == pytest.approx(graph.load[list(members)].sum())


def test_split_by_share_gives_two_connected_sides_of_about_the_share() -> None:
    graph, rng = random_lattice(20, 3)
    side = trees.split_by_share(graph, 0.3, 10, rng)
    assert is_connected(side.astype(int), 1, 20)
    assert is_connected(side.astype(int), 0, 20)
    assert graph.load[side].sum() / graph.load.sum() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("total", [5, 6, 17, 40])
def test_seats_within_a_village_are_those_of_webster(total: int) -> None:
    rng = np.random.default_rng(total)
    weight, most = rng.random(5), np.array([1, 9, 40, 3, 40])
    seats = webster(weight, total, least=np.ones(5, np.int64), most=most)
    assert zones.apportion(weight, most, total).tolist() == seats.tolist()


def test_micro_grids_nest_in_grids_and_each_is_connected() -> None:
    graph, rng = random_lattice(24, 8)
    grid, microgrid = zones.nest(graph, 4, 31, (TERMS, TERMS), rng)
    assert sorted(set(microgrid)) == list(range(31))
    assert all(len(set(grid[microgrid == number])) == 1 for number in range(31))
    assert all(is_connected(microgrid, number, 24) for number in range(31))


def test_a_tower_takes_one_micro_grid_and_leaves_the_others_to_the_rest() -> None:
    load = np.ones(100)
    load[44] = 200.0
    grid, microgrid = zones.nest(lattice(10, load), 1, 10, (TERMS, TERMS), np.random.default_rng(0))
    assert set(grid) == {0}
    sizes = np.bincount(microgrid)
    tower = microgrid[44]
    assert 2 <= sizes[tower] <= 3  # some room, a quarter of the mean
    assert np.delete(sizes, tower).min() >= 9
    assert sizes.max() <= 13


def test_a_tower_in_the_middle_of_a_quarter_is_no_island() -> None:
    load = np.full(144, 0.01)
    load[[13, 22, 66, 121, 130]] = 1.0  # four corners and the middle
    for seed in range(5):
        zone = zones.divide(lattice(12, load), 5, TERMS, np.random.default_rng(seed))
        assert len(set(zone[[13, 22, 66, 121, 130]])) == 5
        assert np.bincount(zone).min() >= 0.25 * 144 / 5


def test_no_zone_crosses_a_river_without_a_bridge() -> None:
    graph = lattice(12, np.ones(144), river=5)
    for seed in range(5):
        grid, microgrid = zones.nest(graph, 4, 24, (TERMS, TERMS), np.random.default_rng(seed))
        west = np.arange(144) % 12 < 5
        assert not set(grid[west]) & set(grid[~west])
        assert not set(microgrid[west]) & set(microgrid[~west])


def test_land_too_light_for_a_zone_joins_one_across_the_river() -> None:
    graph = lattice(12, np.ones(144), river=1)
    part = zones.parts(graph, 4)
    assert set(part) == {0}
    zone = zones.divide(graph, 4, TERMS, np.random.default_rng(0))
    assert sorted(set(zone)) == list(range(4))
    assert all(is_connected(zone, number, 12) for number in range(4))
    assert len(set(zones.parts(graph, 16))) == 2


def test_settling_moves_nothing_where_zones_are_even_enough() -> None:
    load = np.ones(144)
    zone = np.repeat(np.arange(4), 36).astype(np.int32)
    assert (annealing.settle(lattice(12, load), zone, 4, 0.05, TERMS) == zone).all()


def test_settling_brings_zones_within_tolerance_with_few_moves() -> None:
    load = np.ones(144)
    load[:12] = 1.6
    graph = lattice(12, load)
    zone = np.repeat(np.arange(4), 36).astype(np.int32)
    settled = annealing.settle(graph, zone, 4, 0.08, TERMS)
    sums = np.bincount(settled, load)
    assert abs(sums / sums.mean() - 1).max() <= 0.08 + 1e-9
    assert (settled != zone).sum() <= 8
    assert all(is_connected(settled, number, 12) for number in range(4))


def test_tidying_joins_stray_nodes_to_the_zone_they_share_most_with() -> None:
    graph = lattice(6, np.ones(36))
    zone = np.repeat(np.arange(3), 12).astype(np.int32)
    zone[[0, 7]] = [2, -1]
    tidied = zones.tidy(graph, zone, 4)
    assert tidied.tolist() == np.repeat(np.arange(3), 12).tolist()
