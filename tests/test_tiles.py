"""Tiles against shapely and against an independent decoder."""

import itertools

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from conftest import build_toy_edition
from hypothesis import given
from hypothesis import strategies as st

from geogrid._kernels import clipping, joining, messages, rounding, snapping
from geogrid.edition import Edition, to_world
from geogrid.errors import UsageError
from geogrid.tiles import LABEL_MIN_ZOOMS, MIN_ZOOMS, TileSet

EXTENT, BUFFER = clipping.EXTENT, clipping.BUFFER
TILE = shapely.box(0, 0, EXTENT, EXTENT)


@pytest.fixture(scope="module")
def tiles(toy_edition: Edition) -> TileSet:
    return TileSet(toy_edition)


def decode(body: bytes) -> dict[str, list[dict]]:
    layers = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})
    return {name: layer["features"] for name, layer in layers.items()}


def polygons_of(features: list[dict]) -> np.ndarray:
    return np.array([shapely.geometry.shape(feature["geometry"]) for feature in features])


def in_tile_units(geometry: shapely.Geometry, z: int, x: int, y: int) -> shapely.Geometry:
    corner = np.array([x, y])
    return shapely.transform(geometry, lambda xy: (to_world(xy) * (1 << z) - corner) * EXTENT)


@pytest.mark.parametrize("z", [10, 11, 12, 13, 14, 15])
def test_pieces_cover_the_city_in_a_tile_without_gap_or_overlap(toy_edition, tiles, z):
    city = toy_edition.units["city"].geometry.iat[0]
    for x, y in list(tiles.covering(z))[:6]:
        layers = decode(tiles.encode(z, x, y))
        for level in ("county", "township", "village", "grid", "microgrid"):
            if z < MIN_ZOOMS[level] or level not in layers:
                continue
            drawn = polygons_of(layers[level])
            assert shapely.is_valid(drawn).all()
            pieces = shapely.intersection(drawn, TILE)
            whole = shapely.union_all(pieces)
            assert shapely.area(pieces).sum() == pytest.approx(whole.area, rel=1e-12)
            # What is left is the rounding of the outline: half a unit along its length.
            here = shapely.intersection(in_tile_units(city, z, x, y), TILE)
            off = shapely.symmetric_difference(whole, here).area
            assert off <= 0.75 * (shapely.length(here) + 1)


def needles(rng: np.random.Generator) -> Edition:
    """A city of triangles; every third vertex lies less than 3 m from an edge that is not its own.

    So many triangles are needles, thinner than a unit of a tile.
    """
    like = build_toy_edition()
    points = rng.uniform(0, 1, (200, 2))
    ends, share = rng.integers(0, 200, (2, 100)), rng.uniform(0.1, 0.9, (100, 1))
    near = points[ends[0]] * share + points[ends[1]] * (1 - share) + rng.normal(0, 3e-4, (100, 2))
    degrees = np.array([114.6, 33.6]) + np.vstack([points, near]) * [0.01, 0.009]
    net = shapely.delaunay_triangles(shapely.multipoints(np.rint(degrees * 1e8) / 1e8))
    cells = shapely.get_parts(net)[: len(like.units["microgrid"])]
    units = {"microgrid": like.units["microgrid"].assign(geom=cells)}
    for level, lower in itertools.pairwise(reversed([*like.units])):
        parents = units[level]["parent"].to_numpy()
        shapes = [
            shapely.coverage_union_all(units[level]["geom"].to_numpy()[parents == code])
            for code in like.units[lower]["code"]
        ]
        units[lower] = like.units[lower].assign(geom=shapes)
    return Edition.of(like.info, units)


@pytest.mark.parametrize("seed", [1, 5, 6, 8])
def test_needles_neither_cross_nor_overlap_nor_leave_gaps(seed):
    edition = needles(np.random.default_rng(seed))
    tiles = TileSet(edition)
    for z in (10, 11, 12, 13, 14, 15):
        for x, y in tiles.covering(z):
            layers = decode(tiles.encode(z, x, y))
            wholes = []
            for level in MIN_ZOOMS:
                if z < MIN_ZOOMS[level] or level not in layers:
                    continue
                drawn = np.array([p for p in polygons_of(layers[level]) if not is_speck(p)])
                mended = shapely.make_valid(drawn, method="structure", keep_collapsed=False)
                assert shapely.area(mended) == pytest.approx(shapely.area(drawn), abs=1e-6)
                pieces = shapely.intersection(mended, TILE)
                wholes.append(shapely.union_all(pieces))
                assert shapely.area(pieces).sum() == pytest.approx(wholes[-1].area, abs=1e-6)
            # Levels differ by nothing: what one leaves open, all would.
            for whole in wholes[1:]:
                assert shapely.symmetric_difference(whole, wholes[0]).area < 1e-6


def test_edge_gets_the_vertex_whose_square_it_passes_through_whichever_way_it_runs():
    # 0,0 to 8,2 passes x = 4 at 1. 4.2,1.3 rounds to 4,1; the third ring is far.
    rings = [[(0, 0), (8, 2), (4.2, 1.3)], [(8, 2), (0, 0), (4.2, -9)], [(20, 4), (2, 4), (20, 9)]]
    world = np.array([point for ring in rings for point in [*ring, ring[0]]]) + 16
    starts = np.array([0, 4, 8, 12])
    for near, snap in (
        (snapping.near_edges, snapping.snap),
        (snapping.near_edges.py_func, snapping.snap.py_func),
    ):
        snaps = snap(world, *near(world, starts, 1.0), 1.0)
        assert snaps.edges.tolist() == [0, 4]
        assert snaps.points.tolist() == [[20, 17], [20, 17]]
    turned = np.array([True, True, True])
    rounded = rounding.round_rings(world, starts, turned, np.arange(4), snaps, 1.0)
    assert rounded.firsts.tolist() == [0, 0, 1, 2]  # all vertices of the first are on its edge
    assert rounded.xy[:4].tolist() == [[20, 7], [16, 16], [20, 17], [24, 18]]


def test_every_edge_of_a_border_gets_all_vertices_near_it():
    """Compared pair by pair; a place counts once, whichever of its vertices is named."""
    rng = np.random.default_rng(4)
    corners = rng.uniform(0, 40, (6, 3, 2)).round()
    rings = [*corners, corners[0, ::-1], corners[3]]
    world = np.array([point for ring in rings for point in [*ring, ring[0]]])
    width = 1.5
    edges, vertices = snapping.near_edges(world, np.arange(0, len(world) + 1, 4), width)
    found = {(int(k), *world[v].tolist()) for k, v in zip(edges, vertices, strict=True)}
    assert len(found) == len(edges)
    assert (np.diff(edges) >= 0).all()
    expected = set()
    for k in range(len(world)):
        if k % 4 == 3:
            continue
        (ax, ay), (bx, by) = ends = world[k : k + 2]
        for x, y in world:
            beyond = np.any((ends.min(0) - width > (x, y)) | (ends.max(0) + width < (x, y)))
            across = abs((bx - ax) * (y - ay) - (by - ay) * (x - ax))
            far = across > (abs(bx - ax) + abs(by - ay)) * width
            if not beyond and not far and (x, y) not in ((ax, ay), (bx, by)):
                expected.add((k, float(x), float(y)))
    assert found == expected
    assert len({k for k, *_ in expected} & set(range(24, 32))) > 3
    for nearer in (snapping.nearer, snapping.nearer.py_func):
        kept = np.column_stack(nearer(world, edges, vertices, 0.75)).tolist()
        fresh = np.column_stack(snapping.near_edges(world, np.arange(0, len(world) + 1, 4), 0.75))
        assert 3 < len(kept) < len(found)
        places = [{(k, *world[v].tolist()) for k, v in pairs} for pairs in (kept, fresh.tolist())]
        assert places[0] == places[1]


@pytest.mark.parametrize("compiled", [True, False])
def test_rings_are_rounded_without_repeats_spikes_or_what_has_no_area(compiled):
    rings = [
        [(0, 0), (0, 4), (0.2, 4.3), (4, 4), (4, 8), (4, 4), (4, 0)],  # a repeat and a spike
        [(1, 1), (2, 1), (2, 2), (1, 2)],  # its hole
        [(9, 9), (9.2, 9.4), (9.4, 9)],  # all one vertex
        [(9.1, 9.1), (9.2, 9.2), (9.2, 9.1)],  # the hole of what is gone
        [(0, 20), (4, 20.6), (4, 20.4)],  # turns over
        [(0, 30), (0, 34), (2, 32), (4, 34), (4, 30), (2, 32)],  # meets itself
    ]
    world = np.array([point for ring in rings for point in [*ring, ring[0]]])
    starts = np.cumsum([0, *(len(ring) + 1 for ring in rings)])
    shells = np.array([True, False, True, False, True, True])
    firsts = np.array([0, 2, 4, 5, 6])
    round_rings, pinched_rings = rounding.round_rings, rounding.pinched_rings
    if not compiled:
        round_rings, pinched_rings = round_rings.py_func, pinched_rings.py_func
    found = round_rings(world, starts, shells, firsts, rounding.NO_SNAPS, 1.0)
    kept = [found.xy[a:b].tolist() for a, b in itertools.pairwise(found.starts)]
    assert kept[0] == [[0, 0], [0, 4], [4, 4], [4, 0]]
    assert kept[1] == [[1, 1], [2, 1], [2, 2], [1, 2]]
    assert found.firsts.tolist() == [0, 2, 2, 3, 4]
    assert found.shells.tolist() == [True, False, True, True]
    areas = [clipping.signed_area2(np.array(ring), len(ring)) for ring in kept]
    assert [area < 0 for area in areas] == [True, False, True, True]
    assert pinched_rings(found.xy, found.starts).tolist() == [False, False, False, True]


def is_speck(shape: shapely.Geometry) -> bool:
    """Tell whether this is how a unit without area is drawn."""
    return shape.area == 1 and shape.equals(shapely.box(*shape.bounds))


@pytest.mark.parametrize("z", [12, 14, 15])
def test_every_unit_that_reaches_into_a_tile_is_there_with_its_properties(toy_edition, tiles, z):
    table = toy_edition.units["microgrid"]
    for x, y in tiles.covering(z):
        shapes = in_tile_units(table.geometry.to_numpy(), z, x, y)
        visible = shapely.area(shapely.intersection(shapes, TILE)) > 2 * EXTENT
        features = {
            f["id"]: f["properties"] for f in decode(tiles.encode(z, x, y)).get("microgrid", [])
        }
        assert set(np.flatnonzero(visible)) <= set(features)
        for row, properties in features.items():
            assert properties == {
                "code": table["code"][row],
                "name": table["name"][row],
                "households": table["households"][row],
            }


def test_ids_are_the_same_at_every_zoom(toy_edition, tiles):
    seen: dict[int, str] = {}
    for z in (12, 13, 15):
        for x, y in tiles.covering(z):
            for feature in decode(tiles.encode(z, x, y)).get("microgrid", []):
                code = feature["properties"]["code"]
                assert seen.setdefault(feature["id"], code) == code
    assert sorted(seen.values()) == toy_edition.units["microgrid"]["code"].tolist()


def test_rings_run_as_the_specification_says(tiles):
    for x, y in tiles.covering(13):
        for feature in decode(tiles.encode(13, x, y)).get("grid", []):
            shell = np.array(feature["geometry"]["coordinates"][0])
            closed = np.vstack([shell, shell[:1]])
            area2 = np.sum(closed[:-1, 0] * closed[1:, 1] - closed[1:, 0] * closed[:-1, 1])
            assert area2 > 0  # clockwise on the screen: y runs down


def test_hole_stays_a_hole():
    edition = with_an_island()
    tiles = TileSet(edition)
    z = 14
    area, layers = 0.0, set()
    for x, y in tiles.covering(z):
        decoded = decode(tiles.encode(z, x, y))
        layers |= set(decoded)
        area += shapely.area(shapely.intersection(polygons_of(decoded.get("grid", [])), TILE)).sum()
    city = in_tile_units(edition.units["city"].geometry.iat[0], z, 0, 0)
    assert area == pytest.approx(city.area, rel=1e-3)


def with_an_island() -> Edition:
    """The first two grids become one with an island: the second is a ring around the first."""
    edition = build_toy_edition()
    grid = edition.units["grid"].copy()
    both = grid.geometry.iloc[:2].union_all()
    island = both.centroid.buffer(0.0008, quad_segs=2)
    grid.loc[0, "geom"], grid.loc[1, "geom"] = island, shapely.difference(both, island)
    return Edition.of(edition.info, {**edition.units, "grid": grid})


def with_a_speck() -> tuple[Edition, str]:
    """The first county gets an exclave in the second, and a village becomes 2 mm wide."""
    edition = build_toy_edition()
    county, village = edition.units["county"].copy(), edition.units["village"].copy()
    middle = county["geom"].iat[1].centroid
    exclave = shapely.box(middle.x - 0.004, middle.y - 0.004, middle.x + 0.004, middle.y + 0.004)
    county.loc[0, "geom"] = shapely.MultiPolygon([county["geom"].iat[0], exclave])
    county.loc[1, "geom"] = shapely.difference(county["geom"].iat[1], exclave)
    x, y = 114.613, 33.617
    village.loc[0, "geom"] = shapely.box(x, y, x + 2e-8, y + 2e-8)
    units = {**edition.units, "county": county, "village": village}
    return Edition.of(edition.info, units), village["code"].iat[0]


@pytest.mark.parametrize("z", [10, 12, 15])
def test_a_unit_without_area_is_still_there_as_a_square(z):
    edition, code = with_a_speck()
    tiles = TileSet(edition)
    specks = [
        shapely.geometry.shape(feature["geometry"])
        for x, y in tiles.covering(z)
        for feature in decode(tiles.encode(z, x, y)).get("village", [])
        if feature["properties"]["code"] == code
    ]
    assert specks
    assert all(speck.is_valid and speck.area == 1 for speck in specks)


@pytest.mark.parametrize("z", [8, 11, 14])
def test_an_exclave_is_a_part_not_a_hole(z):
    edition, _ = with_a_speck()
    tiles, area = TileSet(edition), np.zeros(4)
    for x, y in tiles.covering(z):
        for feature in decode(tiles.encode(z, x, y)).get("county", []):
            shape = shapely.geometry.shape(feature["geometry"])
            area[feature["id"]] += shapely.intersection(shape, TILE).area
    for row, polygon in enumerate(edition.units["county"]["geom"]):
        expected = in_tile_units(polygon, z, 0, 0).area
        assert area[row] == pytest.approx(expected, rel=0.03 if z == 8 else 0.005)


def test_each_label_is_in_one_tile_from_its_zoom_on(toy_edition, tiles):
    for z in (6, 10, 11, 12, 14, 15):
        labels = [
            feature["properties"]["code"]
            for x, y in tiles.covering(z)
            for feature in decode(tiles.encode(z, x, y)).get("label", [])
        ]
        levels = [level for level, first in LABEL_MIN_ZOOMS.items() if z >= first]
        expected = [code for level in levels for code in toy_edition.units[level]["code"]]
        assert sorted(labels) == sorted(expected)


def test_label_leaves_out_the_parents_name():
    edition = build_toy_edition()
    units = dict(edition.units)
    grids = units["grid"].set_index("code")["name"]
    microgrid = units["microgrid"].copy()
    microgrid["name"] = microgrid["parent"].map(grids) + "7号微网格"
    tiles = TileSet(Edition.of(edition.info, units | {"microgrid": microgrid}))
    x, y = next(tiles.covering(15))
    labels = [f["properties"] for f in decode(tiles.encode(15, x, y))["label"]]
    assert {each["name"] for each in labels if each["level"] == "microgrid"} == {"7号微网格"}


def test_tile_elsewhere_is_empty(tiles):
    assert tiles.encode(15, 0, 0) == b""
    assert tiles.encode(3, 0, 0) == b""


@pytest.mark.parametrize("tile", [(-1, 0, 0), (16, 0, 0), (3, 8, 0), (3, 0, -1), (99, 10**9, 0)])
def test_tile_that_cannot_be_is_refused(tiles, tile):
    with pytest.raises(UsageError, match="no tile"):
        tiles.encode(*tile)


def test_same_edition_gives_same_bytes_in_any_row_order(toy_edition, tiles):
    shuffled = {
        level: table.sample(frac=1, random_state=3) for level, table in toy_edition.units.items()
    }
    again = TileSet(Edition.of(toy_edition.info, shuffled))
    for x, y in tiles.covering(12):
        assert again.encode(12, x, y) == tiles.encode(12, x, y)


rings = st.lists(
    st.tuples(st.integers(-300, 4400), st.integers(-300, 4400)), min_size=3, max_size=9, unique=True
)


@given(rings)
def test_clipping_keeps_exactly_what_lies_in_the_tile_and_its_buffer(points):
    ring = shapely.Polygon(points)
    if not ring.is_valid:
        return
    n = len(points)
    for clip in (clipping.clip_ring, clipping.clip_ring.py_func):
        xy, spare = np.zeros((6 * n, 2), np.int32), np.zeros((6 * n, 2), np.int32)
        xy[:n] = points
        m, _ = clip(xy, n, spare)
        kept = shapely.Polygon(xy[:m]) if m >= 3 else shapely.Polygon()
        window = shapely.box(*[-BUFFER] * 2, *[EXTENT + BUFFER] * 2)
        expected = shapely.intersection(ring, window)
        # Cut points are rounded to whole units.
        assert shapely.symmetric_difference(kept.buffer(0), expected).area <= ring.length + 4
        assert abs(clipping.signed_area2(xy, m)) == pytest.approx(
            2 * expected.area, abs=ring.length * 2 + 8
        )


@given(st.integers(0, 2**40))
def test_varint_is_read_back(value):
    for write in (messages.write_varint, messages.write_varint.py_func):
        out = np.zeros(10, np.uint8)
        size = write(out, 0, value)
        assert sum((int(byte) & 127) << 7 * k for k, byte in enumerate(out[:size])) == value
        assert out[size - 1] < 128


def test_neighbours_are_cut_at_the_same_point():
    edge = np.array([[-1000, 17], [5000, 3001]])
    above, below = np.array([[2000, -9000]]), np.array([[2000, 9000]])
    cuts = []
    for triangle in (np.vstack([edge, above]), np.vstack([edge[::-1], below])):
        xy, spare = np.zeros((18, 2), np.int32), np.zeros((18, 2), np.int32)
        xy[:3] = triangle
        n, _ = clipping.clip_ring(xy, 3, spare)
        cuts.append({tuple(point) for point in xy[:n].tolist()})
    assert cuts[0] & cuts[1] == {(-64, 483), (4160, 2583)}  # by hand: 17 + 936 * 2984 / 6000, ...


def clipped_region(polygon: shapely.Polygon) -> shapely.Geometry:
    """Clip a polygon of integers as the encoder does, shells counter-clockwise with north up."""
    shapes = [polygon.exterior, *polygon.interiors]
    room = clipping.CUTS * sum(len(ring.coords) for ring in shapes) + 8
    kept = rings_for(room, len(shapes))
    n = bends = 0
    for number, ring in enumerate(shapes):
        points = np.array(ring.coords, np.int32)[:-1]
        # y runs down in a tile: shells are to have a negative area.
        if (clipping.signed_area2(points, len(points)) < 0) != (number == 0):
            points = points[::-1]
        xy, spare = np.zeros((room, 2), np.int32), np.zeros((room, 2), np.int32)
        xy[: len(points)] = points
        m, crossings = clipping.clip_ring(xy, len(points), spare)
        bends += joining.is_bent(xy, m, number == 0, crossings)
        if clipping.signed_area2(xy, m) != 0:
            n = clipping.append_ring(kept, n, xy, 0, m, number == 0)
    if bends:
        joined = rings_for(joining.ROOM * room + 4, room)
        n = joining.rejoin(kept, n, joined)
        assert n >= 0
        kept = joined
    starts = [0, *kept.ends[:n].tolist()]
    polygons: list[tuple[list, list]] = []
    for ring, (start, end) in enumerate(itertools.pairwise(starts)):
        points = kept.xy[start:end].tolist()
        if kept.shells[ring]:
            polygons.append((points, []))
        else:
            polygons[-1][1].append(points)
    return shapely.MultiPolygon(polygons)


def rings_for(n_vertices: int, n_rings: int) -> clipping.Rings:
    return clipping.Rings(
        np.zeros((n_vertices, 2), np.int32), np.zeros(n_rings, np.int64), np.zeros(n_rings, bool)
    )


LOW, HIGH = -BUFFER, EXTENT + BUFFER
BENT = {
    # A comb whose back lies west of the window: three teeth come in.
    "three teeth": "POLYGON((-900 0, 500 0, 500 99, -500 99, -500 200, 500 200, 500 299,"
    " -500 299, -500 400, 500 400, 500 499, -900 499, -900 0))",
    # A C around the window's west side: the window lies in its mouth, but for the lips.
    "two lips": "POLYGON((-900 -900, 200 -900, 200 100, -700 100, -700 3000, 200 3000,"
    " 200 3900, -900 3900, -900 -900))",
    "hole over the edge": "POLYGON((-900 -900, 9000 -900, 9000 9000, -900 9000, -900 -900),"
    "(-500 1000, 700 1000, 700 2000, -500 2000, -500 1000))",
    "hole around a corner, hole inside": "POLYGON((-900 -900, 9000 -900, 9000 9000, -900 9000,"
    "-900 -900), (-500 -500, 700 -500, 700 700, -500 700, -500 -500),"
    "(1000 1000, 1100 1000, 1100 1100, 1000 1100, 1000 1000))",
    "hole as large as the window": f"POLYGON((-900 -900, 9000 -900, 9000 9000, -900 9000,"
    f" -900 -900), ({LOW} {LOW}, {HIGH} {LOW}, {HIGH} {HIGH}, {LOW} {HIGH}, {LOW} {LOW}))",
    "window inside, border beyond twice": "POLYGON((-900 -900, 9000 -900, 9000 9000, 2000 9000,"
    " 2000 5000, 1000 5000, 1000 9000, -900 9000, -900 -900))",
    "vertex on the edge of the window": "POLYGON((9000 100, 9000 900, 4100 900, 4100 700,"
    f" {HIGH} 500, 4100 300, 4100 100, 9000 100))",
    "edge along the edge of the window": "POLYGON((100 9000, 900 9000, 900 900,"
    f" 700 {HIGH}, 500 {HIGH}, 300 900, 100 900, 100 9000))",
    "band through the window, bent outside": "POLYGON((-500 100, 5000 100, 5000 900, -500 900,"
    " -500 700, 4500 700, 4500 300, -500 300, -500 100))",
}


@pytest.mark.parametrize("text", BENT.values(), ids=BENT.keys())
def test_a_unit_that_the_window_cuts_to_pieces_stays_valid(text):
    polygon = shapely.from_wkt(text)
    expected = shapely.intersection(polygon, shapely.box(LOW, LOW, HIGH, HIGH))
    kept = clipped_region(polygon)
    assert kept.is_valid
    assert shapely.symmetric_difference(kept, expected).area == 0


@given(
    st.lists(
        st.tuples(st.integers(-12, 40), st.integers(-12, 40)), min_size=5, max_size=24, unique=True
    ),
    st.integers(0, 2),
)
def test_clipped_pieces_are_valid_and_cover_what_lies_in_the_window(points, n_holes):
    shape = shapely.concave_hull(shapely.MultiPoint(points), 0.1)
    if shape.geom_type != "Polygon":
        return
    holes = [
        shapely.affinity.scale(shape, 0.3 - 0.1 * k, 0.3 - 0.1 * k, origin=shape.centroid)
        for k in range(n_holes)
    ][:1]
    if holes and holes[0].within(shape):
        shape = shape.difference(holes[0])
    # Vertices on a lattice of 128 units never round: cuts of steep edges are still rounded.
    shape = shapely.set_precision(shapely.transform(shape, lambda xy: np.rint(xy * 150)), 1)
    for part in shapely.get_parts(shape):
        if part.is_empty or not part.is_valid:
            continue
        expected = shapely.intersection(part, shapely.box(LOW, LOW, HIGH, HIGH))
        kept = clipped_region(part)
        off = shapely.symmetric_difference(kept.buffer(0), expected).area
        assert off <= part.length + 4
        assert kept.area == pytest.approx(expected.area, abs=part.length + 4)
        assert kept.is_valid
