"""Nodes, arcs and faces: every border once, and the polygons again from them."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geogrid.coverage.topology import OUTSIDE, Topology
from geogrid.edition import snap, to_degrees, to_metres
from geogrid.errors import BoundaryError, CoordinateError

STEP = 10_000  # of the integer grid: about 10 m
CRS = "EPSG:4547"


def drawn(*shapes: shapely.Geometry) -> np.ndarray:
    """Return shapes drawn in units of `STEP` at 114E 33N as degrees on the integer grid."""
    origin = np.array([11_400_000_000, 3_300_000_000])
    return shapely.transform(
        np.array(shapes, object), lambda xy: to_degrees(np.int64(xy * STEP) + origin)
    )


def box(w: float, s: float, e: float, n: float) -> shapely.Polygon:
    return shapely.box(w, s, e, n)


#   +-----+-----+      faces 0 and 1 side by side, face 2 below both,
#   |  0  |  1  |      face 3 an island in face 2
#   +-----+-----+
#   | 2  [3]    |
#   +-----------+
ISLAND = box(4, 2, 6, 4)
BELOW = shapely.Polygon([(0, 0), (12, 0), (12, 6), (6, 6), (0, 6)], [ISLAND.exterior.coords])
FOUR = (box(0, 6, 6, 12), box(6, 6, 12, 12), BELOW, ISLAND)


def test_every_border_is_one_arc_between_nodes() -> None:
    topology = Topology.of(drawn(*FOUR))
    sides = sorted(zip(topology.left.tolist(), topology.right.tolist(), strict=True))
    assert sides == [(0, OUTSIDE), (0, 1), (0, 2), (1, OUTSIDE), (1, 2), (2, OUTSIDE), (2, 3)]
    assert len(topology.nodes) == 4  # three on the outline, one in the middle
    closed = np.flatnonzero(topology.ends[:, 0] < 0)
    assert [(topology.left[k], topology.right[k]) for k in closed] == [(2, 3)]
    assert (topology.arc(closed[0])[0] == topology.arc(closed[0])[-1]).all()


def test_left_and_right_are_seen_along_the_arc() -> None:
    polygons = drawn(*FOUR)
    topology = Topology.of(polygons)
    for k in range(len(topology)):
        a, b = topology.arc(k)[:2]
        aside = np.array([a[1] - b[1], b[0] - a[0]]) / np.hypot(*(b - a)) * 10
        for face, side in ((topology.left[k], 1), (topology.right[k], -1)):
            point = shapely.Point(to_degrees((a + b) / 2 + side * aside))
            inside = np.flatnonzero(shapely.contains(polygons, point))
            assert inside.tolist() == ([] if face == OUTSIDE else [face])


def test_polygons_come_back_vertex_for_vertex_in_any_order() -> None:
    polygons = drawn(*FOUR)
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        again = Topology.of(polygons[order]).polygons()
        assert shapely.equals_exact(again, shapely.normalize(polygons[order])).all()


def test_neighbours_share_the_length_of_their_border() -> None:
    polygons = drawn(*FOUR)
    pairs, length = Topology.of(polygons).adjacency(CRS)
    assert pairs.tolist() == [[-1, 0], [-1, 1], [-1, 2], [0, 1], [0, 2], [1, 2], [2, 3]]
    metric = to_metres(polygons, CRS)
    for (a, b), metres in zip(pairs[3:], length[3:], strict=True):
        assert metres == pytest.approx(metric[a].intersection(metric[b]).length, rel=1e-6)


def test_a_union_has_the_outline_of_its_members_and_their_vertices() -> None:
    polygons = drawn(*FOUR)
    joined = Topology.of(polygons).dissolve(np.array([0, 0, 1, 1]))
    assert shapely.equals_exact(joined[0], shapely.coverage_union_all(polygons[:2]).normalize())
    assert len(joined[1].interiors) == 0
    assert joined[1].equals(shapely.union_all(polygons[2:]))
    ring = Topology.of(polygons).dissolve(np.array([0, 0, 0, 1]))
    assert len(ring[0].interiors) == 1
    parts = Topology.of(drawn(box(0, 0, 1, 1), box(1, 0, 2, 1), box(2, 0, 3, 1)))
    assert parts.dissolve(np.array([0, 1, 0]))[0].geom_type == "MultiPolygon"


def test_a_vertex_missing_in_the_neighbour_leaves_an_open_border() -> None:
    lower = shapely.Polygon([(0, 0), (9, 0), (9, 5), (0, 5)])
    upper = shapely.Polygon([(0, 5), (4, 5), (9, 5), (9, 9), (0, 9)])
    topology = Topology.of(drawn(lower, upper))
    assert set(topology.right.tolist()) == {OUTSIDE}


def test_polygons_that_run_along_one_edge_together_are_refused_with_the_place() -> None:
    with pytest.raises(BoundaryError, match=r"polygons 0 and 1 overlap at 114\.000"):
        Topology.of(drawn(box(0, 0, 5, 5), box(0, 0, 5, 9)))


def test_polygons_too_far_apart_for_one_city_are_refused() -> None:
    with pytest.raises(CoordinateError, match="21 degrees"):
        Topology.of(np.array([box(100, 30, 101, 31), box(122, 30, 123, 31)]))


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 60),
    groups=st.integers(1, 6),
)
@settings(max_examples=60, deadline=None)
def test_random_partitions_come_back_and_unions_are_those_of_geos(seed, n, groups) -> None:
    rng = np.random.default_rng(seed)
    points = shapely.multipoints(rng.random((n, 2)))
    cells = shapely.voronoi_polygons(points, extend_to=box(-1, -1, 2, 2))
    origin = np.array([114.0, 33.0])
    cells = shapely.get_parts(shapely.transform(cells, lambda xy: xy / 100 + origin))
    polygons = snap(cells)
    if not (shapely.is_valid(polygons).all() and shapely.coverage_is_valid(polygons)):
        return  # snapping may fold a sliver of a cell
    topology = Topology.of(polygons)
    assert shapely.equals_exact(topology.polygons(), shapely.normalize(polygons)).all()
    group = rng.integers(0, groups, len(polygons))
    group[:groups] = np.arange(groups)[: len(polygons)]
    group = np.unique(group, return_inverse=True)[1]
    joined = topology.dissolve(group)
    for number, shape in enumerate(joined):
        assert shape.equals(shapely.coverage_union_all(polygons[group == number]))
    # Euler's formula for a connected plane graph, closed arcs left out: there are none here.
    if (topology.ends >= 0).all():
        assert len(topology.nodes) - len(topology) + topology.n_faces + 1 == 2
