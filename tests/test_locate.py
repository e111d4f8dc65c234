"""Points in micro-grids: against shapely, on edges and vertices, and what is no point at all."""

import itertools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pyproj
import pytest
import shapely
import shapely.affinity
from conftest import build_toy_edition

from geogrid import datums, store
from geogrid._kernels import cells as cell_kernels
from geogrid._kernels import locate as kernels
from geogrid.codes import LEVELS
from geogrid.datums import HEIGHTS, Datum
from geogrid.edition import Edition, to_degrees, to_integers
from geogrid.errors import CoordinateError, DataError
from geogrid.locate import Locator, Status, chain
from geogrid.locate import locator as module

CITY_XY = np.array([[114.61, 33.62], [33.62, 114.61], [0, 0], [np.nan, 1], [np.inf, 1], [500, 1]])


@pytest.fixture(scope="module")
def locator(toy_edition):
    return Locator(toy_edition)


def oracle(edition, xy):
    """Return the lowest code among the micro-grids that cover each point, by shapely."""
    table = edition["microgrid"]
    # Whole steps around the city's corner are exact in a float, unlike degrees.
    base = to_integers(table.total_bounds[:2])
    shapes = shapely.transform(table.geometry.to_numpy(), lambda c: to_integers(c) - base)
    points = shapely.points((to_integers(xy) - base).astype(float))
    point, row = shapely.STRtree(shapes).query(points, predicate="intersects")
    codes = table.code.to_numpy(str)
    found = np.full(len(xy), "", codes.dtype)
    for k in np.lexsort((codes[row], point))[::-1]:
        found[point[k]] = codes[row[k]]
    return found


def edge_points(edition, rng, n):
    """Return points that lie exactly on edges, with no rounding: lattice points of the edge."""
    ends, _ = edition.rings("microgrid").half_edges()
    ends = ends[rng.integers(0, len(ends), n)]
    steps = ends[:, 2:] - ends[:, :2]
    common = np.gcd(abs(steps[:, 0]), abs(steps[:, 1]))
    share = rng.integers(0, common + 1)
    return to_degrees(ends[:, :2] + steps // common[:, None] * share[:, None])


def test_random_points_equal_shapely(toy_edition, locator):
    rng = np.random.default_rng(0)
    west, south, east, north = toy_edition["city"].total_bounds
    xy = rng.uniform([west - 0.001, south - 0.001], [east + 0.001, north + 0.001], (20_000, 2))
    found = locator.locate(xy, datum="cgcs2000")
    np.testing.assert_array_equal(found.microgrid_code, oracle(toy_edition, xy))
    assert set(found.status) == {"hit", "outside"}


def test_point_on_shared_edge_goes_to_lower_code(toy_edition, locator):
    rng = np.random.default_rng(1)
    xy = edge_points(toy_edition, rng, 5_000)
    found = locator.locate(xy, datum="cgcs2000")
    np.testing.assert_array_equal(found.microgrid_code, oracle(toy_edition, xy))
    assert found.on_edge.all()
    assert (found.status == Status.HIT).all()


def test_point_on_vertex_goes_to_lowest_code(toy_edition, locator):
    xy = to_degrees(toy_edition.rings("microgrid").xy)
    found = locator.locate(xy, datum="cgcs2000", edges=True)
    np.testing.assert_array_equal(found.microgrid_code, oracle(toy_edition, xy))
    assert found.on_edge.all()
    assert (found.edge_m == 0).all()


def test_points_a_step_beside_an_edge_are_on_one_side(toy_edition, locator):
    rng = np.random.default_rng(2)
    steps = to_integers(edge_points(toy_edition, rng, 5_000)) + rng.integers(-2, 3, (5_000, 2))
    xy = to_degrees(steps)
    found = locator.locate(xy, datum="cgcs2000")
    np.testing.assert_array_equal(found.microgrid_code, oracle(toy_edition, xy))


def test_upper_levels_are_the_parents(toy_edition, locator):
    xy = edge_points(toy_edition, np.random.default_rng(3), 500)
    found = locator.locate(xy, datum="cgcs2000")
    parents = dict(zip(toy_edition["microgrid"].code, toy_edition["microgrid"].parent, strict=True))
    assert found.grid_code.tolist() == [parents[code] for code in found.microgrid_code]
    codes = chain(toy_edition, str(found.microgrid_code[0]))
    assert list(codes) == ["city", "county", "township", "village", "grid", "microgrid"]
    assert codes["grid"] == found.grid_code[0]
    assert codes["city"] == "4116"


def test_order_and_number_of_points_decide_nothing(toy_edition, locator):
    rng = np.random.default_rng(4)
    xy = edge_points(toy_edition, rng, 300)
    order = rng.permutation(300)
    whole = locator.locate(xy, datum="cgcs2000").microgrid_code
    np.testing.assert_array_equal(
        locator.locate(xy[order], datum="cgcs2000").microgrid_code, whole[order]
    )
    single = [locator.locate(xy[k : k + 1], datum="cgcs2000").microgrid_code[0] for k in range(50)]
    np.testing.assert_array_equal(single, whole[:50])


@pytest.mark.parametrize("datum", ["gcj02", "bd09", Datum.WGS84])
def test_positions_are_converted_from_their_datum(toy_edition, locator, datum):
    west, south, east, north = toy_edition["city"].total_bounds
    xy = np.random.default_rng(5).uniform([west, south], [east, north], (2_000, 2))
    known = datum if isinstance(datum, Datum) else datums.parse(datum)
    shifted = datums.convert(xy, Datum.CGCS2000, known)
    a = locator.locate(xy, datum="cgcs2000")
    b = locator.locate(shifted, datum=datum)
    assert (a.microgrid_code != b.microgrid_code).sum() == 0


def test_datum_is_required(locator):
    with pytest.raises(TypeError):
        locator.locate(np.zeros((1, 2)))
    with pytest.raises(CoordinateError, match="wgs48"):
        locator.locate(np.zeros((1, 2)), datum="wgs48")


CASES = [
    ((math.nan, math.nan), Status.NO_COORDINATES),
    ((114.61, math.nan), Status.NO_COORDINATES),
    ((math.inf, 33.6), Status.NOT_A_NUMBER),
    ((math.nan, -math.inf), Status.NOT_A_NUMBER),
    ((181.0, 33.6), Status.OUT_OF_RANGE),
    ((114.6, 90.5), Status.OUT_OF_RANGE),
    ((500_000.0, 3_720_000.0), Status.OUT_OF_RANGE),
    ((33.62, 114.61), Status.SWAPPED),
    ((0.0, 0.0), Status.NO_COORDINATES),
    ((0.0, 1.0), Status.OUTSIDE),
    ((-114.61, 33.62), Status.OUTSIDE),
    ((114.61, 33.62), Status.HIT),
]


@pytest.mark.parametrize(("position", "status"), CASES)
def test_status_says_why_there_is_no_answer(locator, position, status):
    found = locator.locate(np.array([position]), datum="cgcs2000", edges=True)
    assert found.status[0] == status
    hit = status == Status.HIT
    assert bool(found.microgrid_code[0]) == bool(found.grid_code[0]) == hit
    assert (found.row[0] >= 0) == hit
    assert math.isnan(found.edge_m[0]) != hit
    assert found.reason(0)
    assert found.reason(0, "zh")


def test_swapped_pair_is_shown_but_never_used(locator):
    found = locator.locate(np.array([[33.62, 114.61]]), datum="cgcs2000")
    assert found.row[0] == -1
    assert "114.6100000, 33.6200000" in found.reason(0)


def test_misses_do_not_disturb_their_neighbours(locator):
    xy = np.array([position for position, _ in CASES])
    found = locator.locate(xy, datum="gcj02")
    alone = [locator.locate(xy[k : k + 1], datum="gcj02").status[0] for k in range(len(xy))]
    assert found.status.tolist() == alone


def test_no_points_give_no_answers(locator):
    found = locator.locate(np.empty((0, 2)), datum="wgs84", edges=True)
    assert len(found.status) == 0


def test_wrong_shape_is_refused(locator):
    with pytest.raises(CoordinateError, match="shape"):
        locator.locate(np.zeros((2, 3)), datum="wgs84")


def test_distance_to_edge_equals_the_working_crs(toy_edition, locator):
    west, south, east, north = toy_edition["city"].total_bounds
    xy = np.random.default_rng(6).uniform([west, south], [east, north], (300, 2))
    found = locator.locate(xy, datum="cgcs2000", edges=True)
    hit = np.flatnonzero(found.row >= 0)
    shapes = toy_edition["microgrid"].geometry.to_crs("EPSG:4547").boundary.to_numpy()
    project = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4547", always_xy=True)
    points = shapely.points(np.column_stack(project.transform(*xy[hit].T)))
    expected = shapely.distance(shapes[found.row[hit]], points)
    np.testing.assert_allclose(found.edge_m[hit], expected, rtol=1e-3, atol=0.01)


def test_neighbour_is_the_unit_beyond_the_nearest_edge(toy_edition, locator):
    west, south, east, north = toy_edition["city"].total_bounds
    xy = np.random.default_rng(7).uniform([west, south], [east, north], (300, 2))
    found = locator.locate(xy, datum="cgcs2000", edges=True)
    table = toy_edition["microgrid"].set_index("code").geometry.to_crs("EPSG:4547")
    project = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4547", always_xy=True)
    points = shapely.points(np.column_stack(project.transform(*xy.T)))
    beside = np.flatnonzero(found.neighbour_code != "")
    for k in beside:
        assert table[found.neighbour_code[k]].distance(points[k]) == pytest.approx(
            found.edge_m[k], rel=1e-3, abs=0.02
        )
    city = toy_edition["city"].geometry.to_crs("EPSG:4547").boundary.iloc[0]
    for k in np.flatnonzero((found.row >= 0) & (found.neighbour_code == "")):
        assert city.distance(points[k]) == pytest.approx(found.edge_m[k], rel=1e-3, abs=0.02)


# --- one position, threads, files of the index


def test_one_position_is_answered_as_columns_are(toy_edition, locator):
    rng = np.random.default_rng(11)
    xy = np.vstack([edge_points(toy_edition, rng, 200), rng.uniform(33, 115, (50, 2)), CITY_XY])
    for datum in Datum:
        found = locator.locate(xy, datum=datum)
        one = [locator.find(lon, lat, datum=datum.value) for lon, lat in xy]
        assert [code for code, _ in one] == found.microgrid_code.tolist()
        assert [status for _, status in one] == found.status.tolist()


def test_number_of_threads_decides_nothing(toy_edition, locator, monkeypatch):
    rng = np.random.default_rng(12)
    xy = np.vstack(
        [
            edge_points(toy_edition, rng, 3_000),
            rng.uniform([114.5, 33.5], [114.7, 33.7], (3_000, 2)),
        ]
    )
    whole = locator.locate(xy, datum="gcj02", edges=True)
    monkeypatch.setattr(module, "_SHARE", 37)
    parts = locator.locate(xy, datum="gcj02", edges=True)
    for name in ("row", "status_row", "on_edge", "edge_m", "beside"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_asking_in_many_threads_at_once_gives_the_same(toy_edition, locator):
    xy = edge_points(toy_edition, np.random.default_rng(13), 2_000)
    expected = locator.locate(xy, datum="wgs84", edges=True)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: locator.locate(xy, datum="wgs84", edges=True), range(16)):
            np.testing.assert_array_equal(found.row, expected.row)
            np.testing.assert_array_equal(found.edge_m, expected.edge_m)


def test_order_of_the_tables_rows_decides_nothing(toy_edition, locator):
    units = {level: toy_edition[level].sample(frac=1, random_state=3) for level in LEVELS}
    shuffled = Locator(Edition.of(toy_edition.info, units))
    xy = edge_points(toy_edition, np.random.default_rng(14), 2_000)
    np.testing.assert_array_equal(
        shuffled.locate(xy, datum="wgs84").microgrid_code,
        locator.locate(xy, datum="wgs84").microgrid_code,
    )


def test_mapped_index_answers_as_the_one_in_memory(toy_edition, locator, tmp_path):
    locator.save(tmp_path / "toy.locator")
    mapped = Locator.open(tmp_path / "toy.locator")
    assert mapped.index.digest == toy_edition.info.digest
    rng = np.random.default_rng(15)
    xy = np.vstack(
        [
            edge_points(toy_edition, rng, 500),
            rng.uniform([114.59, 33.59], [114.66, 33.66], (500, 2)),
        ]
    )
    a, b = (each.locate(xy, datum="wgs84", edges=True) for each in (locator, mapped))
    for name in ("microgrid_code", "grid_code", "neighbour_code", "status", "edge_m"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_damaged_index_is_refused(locator, tmp_path):
    path = tmp_path / "toy.locator"
    locator.save(path)
    whole = path.read_bytes()
    for content in (b"", b"no", whole[:200], whole[:-1], whole[:50] + b"x" + whole[51:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"toy\.locator"):
            Locator.open(path)
    with pytest.raises(DataError, match="cannot read"):
        Locator.open(tmp_path / "none")


def test_index_is_kept_beside_the_edition_and_made_anew_when_the_file_changes(
    toy_edition, tmp_path, monkeypatch
):
    city = tmp_path / "city.gpkg"
    store.write_edition(toy_edition, city, tables={})
    assert Locator.of(city).index.digest == toy_edition.info.digest
    kept = list(tmp_path.glob("city.*.locator"))
    assert [path.name for path in kept] == [f"city.{toy_edition.info.digest[:16]}.locator"]
    with monkeypatch.context() as patch:
        patch.setattr(store, "read_edition", lambda _: pytest.fail("the edition was read"))
        assert Locator.of(city).find(114.62, 33.62, datum="wgs84")[1] == "hit"
    kept[0].write_bytes(b"damaged")
    assert Locator.of(city).index.digest == toy_edition.info.digest
    other = build_toy_edition(seed=8)
    store.write_edition(other, city, tables={})
    os.utime(city, ns=(1, 1))
    assert Locator.of(city).index.digest == other.info.digest
    assert len(list(tmp_path.glob("city.*.locator"))) == 1
    with pytest.raises(DataError, match="cannot read"):
        Locator.of(tmp_path / "none.gpkg")


def test_index_stays_in_memory_where_it_cannot_be_kept(toy_edition, tmp_path, monkeypatch):
    city = tmp_path / "city.gpkg"
    store.write_edition(toy_edition, city, tables={})

    @contextmanager
    def full(_):
        raise DataError("the disk is full")
        yield

    monkeypatch.setattr(store, "replacing", full)
    assert Locator.of(city).find(114.62, 33.62, datum="wgs84")[1] == "hit"
    assert [path.name for path in tmp_path.iterdir()] == ["city.gpkg"]


def test_overlapping_micro_grids_are_refused(toy_edition):
    units = {level: toy_edition[level] for level in LEVELS}
    table = units["microgrid"]
    table.loc[5, "geom"] = shapely.affinity.translate(table.geom[5], 0.0005, 0)
    with pytest.raises(DataError, match="geogrid check"):
        Locator(Edition.of(toy_edition.info, units))


@pytest.mark.parametrize("east", [1e-8, 1e-3, 0.0105])
def test_outside_near_the_city_says_how_far_and_from_which_unit(toy_edition, locator, east):
    outline = shapely.get_coordinates(toy_edition["city"].geometry)
    corner = outline[np.argmax(outline[:, 0])]
    xy = np.array([[corner[0] + east, corner[1]]])
    found = locator.locate(xy, datum="cgcs2000", edges=True)
    assert found.status[0] == "outside"
    point = shapely.Point(
        datums.convert(xy, Datum.CGCS2000, datums.parse_reference("epsg:4547"))[0]
    )
    expected = toy_edition["city"].geometry.to_crs("EPSG:4547").iloc[0].distance(point)
    assert found.edge_m[0] == pytest.approx(expected, rel=2e-3)
    beside = toy_edition["microgrid"].set_index("code").geometry.to_crs("EPSG:4547")
    assert beside[found.neighbour_code[0]].distance(point) == pytest.approx(expected, rel=1e-6)
    assert f"{found.edge_m[0]:.2f} m from it" in found.reason(0)


def test_outside_further_than_a_kilometre_has_no_distance(toy_edition, locator):
    east = toy_edition["city"].total_bounds[2]
    xy = np.array([[east + 0.0115, 33.62], [east + 3, 33.62], [-60.0, -20.0]])
    found = locator.locate(xy, datum="cgcs2000", edges=True)
    assert np.isnan(found.edge_m).all()
    assert (found.neighbour_code == "").all()


def test_outside_is_said_a_micrometre_from_the_city_and_never_the_nearest(toy_edition, locator):
    # A ring of points at growing distances; the integer grid tells steps of a millimetre.
    outline = toy_edition["city"].geometry.iloc[0].exterior
    middle = np.array(outline.centroid.coords[0])
    at = np.array(
        [outline.interpolate(share, normalized=True).coords[0] for share in np.linspace(0, 1, 200)]
    )
    away = (at - middle) / np.linalg.norm(at - middle, axis=1)[:, None]
    for distance in (1e-11, 1e-8, 1e-7, 1e-5, 1e-3, 1e-2):
        xy = at + away * distance
        found = locator.locate(xy, datum="cgcs2000")
        np.testing.assert_array_equal(found.microgrid_code, oracle(toy_edition, xy))
    assert (found.status == "outside").all()


def test_metres_of_a_zone_are_located_and_swapped_metres_recognised(toy_edition, locator):
    xy = np.random.default_rng(16).uniform([114.60, 33.60], [114.65, 33.65], (200, 2))
    plain = locator.locate(xy, datum="cgcs2000")
    for code in ("epsg:4547", "epsg:4526"):
        metres = datums.convert(xy, Datum.CGCS2000, datums.parse_reference(code))
        found = locator.locate(metres, datum=code)
        assert (found.microgrid_code == plain.microgrid_code).mean() > 0.999
        assert set(locator.locate(metres[:, ::-1], datum=code).status) == {"swapped"}
        assert locator.locate(xy, datum=code).status_row.min() >= 1
    odd = np.array([[np.nan, 1.0], [np.inf, 1.0], [1e300, 1.0]])
    assert locator.locate(odd, datum="epsg:4547").status.tolist() == [
        "no_coordinates", "not_a_number", "out_of_range",
    ]  # fmt: skip


# --- kernels


def crooked_map(rng):
    """Return polygons on a small lattice: quads with jittered corners, a hole, an island in one."""
    n = 5
    corner = np.stack(np.meshgrid(range(n + 1), range(n + 1), indexing="ij"), -1) * 10
    corner = corner + rng.integers(-3, 4, corner.shape)
    quads = [
        shapely.Polygon([corner[i, j], corner[i + 1, j], corner[i + 1, j + 1], corner[i, j + 1]])
        for i in range(n)
        for j in range(n)
    ]
    island = shapely.box(13, 13, 15, 16)
    quads[6] = quads[6] - island
    del quads[12]  # a hole: outside amid the faces
    return np.array([*quads[:3], island, *quads[3:]])


def cells_of(polygons, shift):
    rings, owners = shapely.get_rings(polygons, return_index=True)
    lines = [shapely.get_coordinates(ring).astype(np.int64) for ring in rings]
    seen = {}
    for owner, line in zip(owners.tolist(), lines, strict=True):
        for a, b in itertools.pairwise(line.tolist()):
            seen.setdefault((*min(a, b), *max(a, b)), []).append(owner)
    ends = np.array(list(seen))
    sides = np.array([(*each, len(polygons))[:2] for each in seen.values()], np.int32)
    low, high = (
        np.minimum(ends[:, :2], ends[:, 2:]).min(0),
        np.maximum(ends[:, :2], ends[:, 2:]).max(0),
    )
    columns, rows = ((high - low) >> (shift + 1)) + 1
    faces = np.zeros((2 * rows, 2 * columns), np.int32)
    edges = cell_kernels.list_edges(ends - np.tile(low, 2), sides, shift, faces)
    again = np.zeros_like(faces)
    np.testing.assert_array_equal(
        edges, cell_kernels.list_edges.py_func(ends - np.tile(low, 2), sides, shift, again)
    )
    np.testing.assert_array_equal(faces, again)
    copies = again, edges.copy()
    assert cell_kernels.spread_faces(faces, edges, shift, len(polygons))
    assert cell_kernels.spread_faces.py_func(*copies, shift, len(polygons))
    np.testing.assert_array_equal(faces, copies[0])
    blocks, quarters = cell_kernels.fold(faces)
    for compiled, plain in zip((blocks, quarters), cell_kernels.fold.py_func(faces), strict=True):
        np.testing.assert_array_equal(compiled, plain)
    return cell_kernels.Cells(
        int(low[0]),
        int(low[1]),
        shift,
        int(columns),
        int(rows),
        len(polygons),
        blocks,
        quarters,
        edges,
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shift", [0, 1, 3, 5])
def test_every_lattice_point_of_a_crooked_map_equals_shapely_and_python(seed, shift):
    polygons = crooked_map(np.random.default_rng(seed))
    cells = cells_of(polygons, shift)
    tree = shapely.STRtree(polygons)
    for x in range(-8, 60):
        for y in range(-8, 60):
            touching = tree.query(shapely.Point(x, y), predicate="intersects")
            lowest = touching.min() if len(touching) else -1
            on_edge = len(touching) > 0 and not polygons[lowest].contains(shapely.Point(x, y))
            assert cell_kernels.face_at(x, y, cells) == (lowest, on_edge)
            if (x + y) % 7 == 0:
                assert cell_kernels.face_at.py_func(x, y, cells) == (lowest, on_edge)


def test_faces_that_do_not_fit_are_noticed():
    faces = np.zeros((4, 4), np.int32)
    ends, sides = np.array([[1, 0, 1, 3]]), np.array([[0, 1]], np.int32)
    edges = cell_kernels.list_edges(ends, sides, 0, faces)
    assert not cell_kernels.spread_faces(faces, edges, 0, 1)
    assert not cell_kernels.spread_faces.py_func(faces, edges, 0, 1)


def test_locate_and_distances_equal_python(toy_edition, locator):
    rng = np.random.default_rng(9)
    xy = np.vstack(
        [
            edge_points(toy_edition, rng, 20),
            rng.uniform([114.59, 33.59], [114.66, 33.66], (40, 2)),
            CITY_XY,
        ]
    )
    found = locator.locate(xy, datum="gcj02", edges=True)
    index, n = locator.index, len(xy)
    out = [
        np.empty((n, 2), np.int64),
        np.empty(n, np.int32),
        np.empty(n, np.int8),
        np.empty(n, bool),
    ]
    kernels.locate.py_func(xy, 1, index.box, index.cells, *out)
    for plain, compiled in zip(out[1:], (found.row, found.status_row, found.on_edge), strict=True):
        np.testing.assert_array_equal(plain, compiled)
    metres, beside = np.full(n, np.nan), np.full(n, -1, np.int32)
    height = datums.HEIGHTS[Datum.GCJ02]
    for k, (x, y) in enumerate(out[0].tolist()):
        if out[1][k] >= 0:
            metres[k], beside[k] = kernels._to_polygon.py_func(x, y, out[1][k], index.borders)
        elif out[2][k] == kernels.OUTSIDE:
            metres[k], beside[k] = kernels._to_outline.py_func(x, y, index.borders)
        else:
            continue
        alone = kernels.place_one.py_func(*xy[k], height, index.box, index.cells, index.borders)
        assert alone[:3] == (out[1][k], out[2][k], out[3][k])
    np.testing.assert_allclose(metres, found.edge_m, rtol=1e-12)
    np.testing.assert_array_equal(beside, found.beside)
    assert np.isfinite(metres[found.status == "outside"]).any()


def test_one_position_is_placed_and_measured_as_in_a_batch(toy_edition, locator):
    rng = np.random.default_rng(10)
    nowhere = [(0, 0), (np.nan, 33.6), (np.inf, 1), (33.62, 114.62), (500, 1), (114.6497, 33.59)]
    xy = np.vstack(
        [edge_points(toy_edition, rng, 30), rng.uniform(114.59, 114.66, (60, 2)) - [0, 81], nowhere]
    )
    index = locator.index
    for datum in Datum:
        found = locator.locate(xy, datum=datum, edges=True)
        for k, (lon, lat) in enumerate(xy.tolist()):
            given = (lon, lat, HEIGHTS[datum], index.box, index.cells, index.borders)
            row, status, on_edge, metres, beside = kernels.place_one(*given)
            assert (row, status, on_edge, beside) == (
                found.row[k], found.status_row[k], found.on_edge[k], found.beside[k],
            )  # fmt: skip
            np.testing.assert_equal(metres, found.edge_m[k])


def test_cell_index_equals_python_and_brute_force():
    rng = np.random.default_rng(8)
    corner = rng.integers(0, 90, (40, 2))
    boxes = np.hstack([corner, corner + rng.integers(0, 10, (40, 2))])
    args = (boxes, np.zeros(2, np.int64), 7, np.array([15, 15]))
    starts, items = kernels.index_boxes(*args)
    for compiled, plain in zip((starts, items), kernels.index_boxes.py_func(*args), strict=True):
        np.testing.assert_array_equal(compiled, plain)
    for cell in range(15 * 15):
        column, row = cell % 15 * 7, cell // 15 * 7
        inside = (boxes[:, 0] < column + 7) & (boxes[:, 2] >= column)
        inside &= (boxes[:, 1] < row + 7) & (boxes[:, 3] >= row)
        assert items[starts[cell] : starts[cell + 1]].tolist() == np.flatnonzero(inside).tolist()


@pytest.mark.parametrize("n", [3, 63, 64, 65, 300])
def test_rings_of_any_length_are_measured_to_their_end(n):
    """A round ring about a small one, against GEOS in a plane of the same scale."""
    turn, of = np.linspace(0, 2 * np.pi, n, endpoint=False), 30
    turn = np.append(turn, turn[-1])  # a vertex that is repeated
    outer = np.stack([np.cos(turn), np.sin(turn)], 1) * 900_000 + 1_000_000
    inner = np.array([[0, 0], [9_000, 2_000], [3_000, 8_000]]) + 1_000_000
    rings = [np.vstack([ring, ring[:1]]).astype(np.int32) for ring in (outer, inner)]
    starts, none = np.cumsum([0, *map(len, rings)]), np.zeros((0, 4), np.int32)
    arrays = [
        np.vstack(rings), starts, np.array([0, 2]), np.arange(starts[-1], dtype=np.int32), none,
        none[:, 0].copy(), np.zeros(2, np.int64), none[:, 0].copy(),
    ]  # fmt: skip
    for array in arrays:
        array.setflags(write=False)  # as in an index
    borders = kernels.Borders((11_400_000_000, 3_360_000_000), *arrays, (1, 1, 1), 1.0)
    xy = np.random.default_rng(n).integers(200_000, 1_800_000, (of, 2))
    points = xy + np.array(borders.origin)
    metres, beside = np.full(of, np.nan), np.full(of, -1, np.int32)
    kernels.measure(
        points, np.zeros(of, np.int32), np.zeros(of, np.int8), borders, metres, beside
    )  # fmt: skip
    for k in range(of):
        scale = np.array(kernels.metres_per_step(points[k, 1]))
        vertices = borders.xy * scale
        far = shapely.distance(
            shapely.points(xy[k] * scale),
            shapely.linestrings(np.stack([vertices[:-1], vertices[1:]], 1)),
        )
        far[len(outer)] = np.inf  # leads from one ring to the other
        assert metres[k] == pytest.approx(far.min(), rel=1e-9)
        assert far[beside[k]] == pytest.approx(far.min(), rel=1e-9)
