"""Vertices that two villages insert into one segment."""

import itertools

import numpy as np
import shapely

from geogrid.edition import to_degrees, to_integers
from geogrid.partition.assemble import _without_crossings
from geogrid.partition.vectorise import node_shared

# A segment of a village outline, and where a border from each side meets it, one millimetre apart:
#
#        a                 in steps of the integer grid, from the place where
#   L1   |   R1            it happened in the sample city
#  ------*------
#   L2   |   R2
#        b
PLACE = np.array([11_535_809_440, 3_371_227_270])
A, B = (-29, 389), (17293, -252817)
LEFT, RIGHT = (-2, 2), (-3, 2)
WEST, EAST = (-6218, 70), (15352, -167)
RINGS = [
    [A, (-300000, 1000), (-92782, -17008), WEST, LEFT],
    [LEFT, WEST, (-92782, -17008), (-300000, 1000), (-300000, -252817), B],
    [A, RIGHT, EAST, (300000, 0), (300000, 389)],
    [RIGHT, B, (300000, -252817), (300000, 0), EAST],
]
INSERTED = np.array([[*A, *B, *LEFT], [*A, *B, *RIGHT]]) + np.tile(PLACE, 3)


def noded_polygons() -> np.ndarray:
    rings = [np.array([*ring, ring[0]]) + PLACE for ring in RINGS]
    starts = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    xy, starts = node_shared(np.concatenate(rings), starts, INSERTED)
    return np.array(
        [shapely.Polygon(to_degrees(xy[first:last])) for first, last in itertools.pairwise(starts)]
    )


def test_both_sides_hold_the_vertices_of_both() -> None:
    chain = [A, RIGHT, LEFT, B]
    edges = set()
    for polygon in noded_polygons():
        points = to_integers(shapely.get_coordinates(polygon)) - PLACE
        edges |= {frozenset(pair) for pair in itertools.pairwise(map(tuple, points.tolist()))}
    assert {frozenset(pair) for pair in itertools.pairwise(chain)} <= edges


def test_a_border_crossed_by_the_bend_of_an_inserted_vertex_is_noded_again() -> None:
    crossed = noded_polygons()
    assert not shapely.is_valid(crossed).all()
    settled = _without_crossings(crossed)
    assert shapely.is_valid(settled).all()
    assert (shapely.get_type_id(settled) == 3).all()
    assert shapely.coverage_is_valid(settled)
    moved = shapely.area(shapely.symmetric_difference(settled, shapely.buffer(crossed, 0)))
    assert moved.max() * 1e10 < 0.01  # m²


def test_polygons_without_a_crossing_come_back_as_they_are() -> None:
    squares = shapely.box([0, 1, 2], 0, [1, 2, 3], 1)
    assert _without_crossings(squares) is squares
