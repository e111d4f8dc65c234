"""Borders from pixels to polygons: buildings, and vertices that two villages insert."""

import itertools

import numpy as np
import pyproj
import shapely

from geogrid.edition import snap, to_degrees, to_integers
from geogrid.partition.assemble import _without_crossings
from geogrid.partition.imagery import Lattice, Window
from geogrid.partition.vectorise import node_shared, outline_zones

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


def zones_of_a_square(footprints: np.ndarray) -> np.ndarray:
    """Divide 200 x 200 m at a slanting border and return two polygons in metres."""
    lattice, window = Lattice("EPSG:4547", 500_000.0, 3_750_000.0, 5.0), Window(0, 0, 40, 40)
    to_exchange = pyproj.Transformer.from_crs("EPSG:4547", "EPSG:4490", always_xy=True)
    square = shapely.box(500_000, 3_749_800, 500_200, 3_750_000)
    village = snap(shapely.transform(np.array([square]), to_exchange.transform, interleaved=False))
    row, col = np.indices((40, 40))
    labels = (3 * col + row > 80).astype(np.int32)
    drawn = outline_zones(labels, village[0], lattice, window, to_exchange, footprints)
    assert shapely.coverage_is_valid(drawn.polygons)
    # Inserted vertices lie up to a millimetre beside the outline.
    np.testing.assert_allclose(shapely.area(drawn.polygons).sum(), village[0].area, rtol=1e-5)
    to_metres = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4547", always_xy=True)
    return shapely.transform(drawn.polygons, to_metres.transform, interleaved=False)


def test_a_border_is_led_round_the_buildings_it_would_cut() -> None:
    corners = [
        (500_093, 3_749_895),
        (500_128, 3_749_980),
        (500_068, 3_749_812),
        (500_020, 3_749_900),
    ]
    buildings = np.array([shapely.box(x, y, x + 12, y + 9) for x, y in corners])
    shares = [
        shapely.area(shapely.intersection(buildings[:, None], zones[None])) / 108
        for zones in (zones_of_a_square(buildings[:0]), zones_of_a_square(buildings))
    ]
    assert ((shares[0].max(axis=1) < 0.99) == [True, True, True, False]).all()
    np.testing.assert_allclose(shares[1].max(axis=1), 1, atol=1e-9)
    assert (shares[0].argmax(axis=1) == shares[1].argmax(axis=1)).all()
