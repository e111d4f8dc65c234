"""Points in micro-grids: against shapely, on edges and vertices, and what is no point at all."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from geogrid import datums
from geogrid._kernels import locate as kernels
from geogrid.datums import Datum
from geogrid.edition import to_degrees, to_integers
from geogrid.errors import CoordinateError, DataError, UsageError
from geogrid.locate import Locator, Status, chain, locate_file


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
    ((0.0, 0.0), Status.OUTSIDE),
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


# --- kernels


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


def star(rng):
    """Return a polygon with a hole on a small lattice, so that points hit edges and vertices."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radius = rng.uniform(6, 12, 9)
    ring = np.rint(np.column_stack([np.cos(angles), np.sin(angles)]) * radius[:, None])
    shell = shapely.Polygon(ring)
    hole = shapely.box(-1, -1, 1, 1)
    return shell - hole if shell.contains(hole) else shell


@pytest.mark.parametrize("seed", range(8))
def test_side_equals_python_and_shapely_on_every_lattice_point(seed):
    polygon = star(np.random.default_rng(seed))
    if not polygon.is_valid or polygon.geom_type != "Polygon":
        pytest.skip("no simple polygon for this seed")
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygon)]
    xy = np.vstack(rings).astype(np.int64)
    starts = np.cumsum([0, *map(len, rings)])
    for x in range(-13, 14):
        for y in range(-13, 14):
            point = shapely.Point(x, y)
            expected = kernels.OUT
            if polygon.intersects(point):
                expected = kernels.IN if polygon.contains(point) else kernels.EDGE
            assert kernels.side(x, y, xy, starts) == expected
            assert kernels.side.py_func(x, y, xy, starts) == expected


def test_find_and_nearest_edge_equal_python(toy_edition, locator):
    index = locator._index
    points = to_integers(edge_points(toy_edition, np.random.default_rng(9), 20))
    points = np.vstack([points, points + 1234])
    args = (
        points, index.rings.xy, index.rings.starts, index.firsts, index.boxes,
        index.cells, index.items, index.origin, index.cell, index.shape,
    )  # fmt: skip
    compiled, plain = kernels.find(*args), kernels.find.py_func(*args)
    np.testing.assert_array_equal(compiled[0], plain[0])
    np.testing.assert_array_equal(compiled[1], plain[1])
    scale = np.full((len(points), 2), 1e-3)
    beyond = np.full(len(index.rings.xy), -1)
    more = (points, compiled[0], scale, index.rings.xy, index.rings.starts, index.firsts, beyond)
    for a, b in zip(kernels.nearest_edge(*more), kernels.nearest_edge.py_func(*more), strict=True):
        np.testing.assert_array_equal(a, b)


# --- files


def written(tmp_path, text, encoding="utf-8", name="in.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_keeps_text_order_and_encoding(locator, tmp_path, encoding, end):
    rows = ['编号,经度,纬度,"备注,长"', '001,114.61,33.62,"a,""b"', "2, 114.62 ,33.61,周口", "3,,,"]
    source = written(tmp_path, end.join(rows) + end, encoding)
    target = tmp_path / "out.csv"
    summary = locate_file(locator, source, target, datum="cgcs2000")
    lines = target.read_bytes().decode(encoding).split(end)
    assert lines[-1] == ""
    assert lines[0] == rows[0] + ",grid_code,microgrid_code,status,edge_m"
    for row, line in zip(rows, lines[:-1], strict=True):
        assert line.startswith(row + ",")
    assert lines[3] == rows[3] + ",,,no_coordinates,"
    expected = locator.locate(np.array([[114.61, 33.62]]), datum="cgcs2000")
    assert lines[1].split(",")[-3] == expected.microgrid_code[0]
    assert (summary.rows, summary.encoding, summary.lon) == (3, encoding, "经度")
    assert sum(summary.statuses.values()) == 3


def test_each_record_says_its_own_status(locator, tmp_path):
    text = "id;lng;lat\n1;114.61;33.62\n2;x;33.6\n3;33.62;114.61\n4;1_0;0x10\n5;10;20\n\n6;1e3;2"
    summary = locate_file(
        locator, written(tmp_path, text), tmp_path / "out.csv", datum=Datum.CGCS2000
    )
    lines = (tmp_path / "out.csv").read_text("utf-8").split("\n")
    statuses = [line.split(";")[-2] if line else "" for line in lines[1:]]
    assert statuses == [
        "hit", "not_a_number", "swapped", "not_a_number", "outside", "", "out_of_range",
    ]  # fmt: skip
    assert summary.statuses["not_a_number"] == 2
    assert "落入网格" in summary.as_text("zh")
    assert '"rows": 6' in summary.to_json()


def test_line_break_inside_quotes_is_one_record(locator, tmp_path):
    source = written(tmp_path, 'lon,lat,text\n114.61,33.62,"two\nlines"\n')
    assert locate_file(locator, source, tmp_path / "o.csv", datum="wgs84").rows == 1
    assert 'two\nlines",4116' in (tmp_path / "o.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n1,2\n", "no header"),
        (b"lon,lat\n1,2\n1,2,3\n", "line 3: 3 fields"),
        (b"lon,lat\n1\n", "line 2: 1 fields"),
        (b"lon,lat\n1,\x002\n", "line 2"),
        (b"lon,lat\n1,\xff\xff\n", "line 2: neither"),
        ("lon,lat\n".encode("utf-16"), "line 1: neither"),
        (b"lon,lat,t\n1,2," + "周口市\n".encode("gbk") + "1,2,周口市\n".encode(), "line 2"),
        (b'lon,lat\n1,"2\n', "line 2"),
        (b"lon,lat,status\n1,2,3\n", "already has a column status"),
    ],
)
def test_bad_table_is_refused_with_its_line(locator, tmp_path, content, said):
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(DataError, match=said):
        locate_file(locator, source, target, datum="wgs84")
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize(
    ("header", "named", "said"),
    [
        ("a,b", {}, "none"),
        ("lon,lat,x,y", {}, "lon and lat; x and y"),
        ("lon,lon,lat", {}, "occurs 2 times"),
        ("a,b", {"lon": "a"}, "both columns"),
        ("a,b", {"lon": "a", "lat": "c"}, "occurs 0 times"),
    ],
)
def test_columns_are_never_guessed_between_two(locator, tmp_path, header, named, said):
    source = written(tmp_path, header + "\n")
    with pytest.raises(UsageError, match=said):
        locate_file(locator, source, tmp_path / "o.csv", datum="wgs84", **named)


def test_named_columns_are_used(locator, tmp_path):
    source = written(tmp_path, "x,y,a,b\n0,0,114.61,33.62\n")
    summary = locate_file(locator, source, tmp_path / "o.csv", datum="wgs84", lon="a", lat="b")
    assert summary.statuses == {"hit": 1}


def test_parquet_keeps_columns_and_gets_text_codes(locator, tmp_path):
    table = pa.table({"id": [7, 8, 9], "lon": [114.61, None, 33.62], "lat": [33.62, 33.6, 114.61]})
    pq.write_table(table, tmp_path / "in.parquet")
    summary = locate_file(locator, tmp_path / "in.parquet", tmp_path / "o.parquet", datum="wgs84")
    out = pq.read_table(tmp_path / "o.parquet")
    assert out.select(["id", "lon", "lat"]).equals(table)
    assert out.column("status").to_pylist() == ["hit", "no_coordinates", "swapped"]
    assert out.schema.field("microgrid_code").type == pa.string()
    assert out.column("edge_m").to_pylist()[1:] == [None, None]
    assert summary.rows == 3


@pytest.mark.parametrize(
    ("source", "target"), [("a.xlsx", "b.xlsx"), ("a.csv", "b.parquet"), ("a.csv", "b.txt.gz")]
)
def test_other_kinds_of_file_are_refused(locator, tmp_path, source, target):
    with pytest.raises(UsageError, match="CSV UTF-8"):
        locate_file(locator, tmp_path / source, tmp_path / target, datum="wgs84")


def test_missing_file_is_refused(locator, tmp_path):
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(DataError, match="cannot read"):
            locate_file(locator, tmp_path / name, tmp_path / f"o{name}", datum="wgs84")


def test_same_file_gives_same_bytes(locator, tmp_path):
    rng = np.random.default_rng(10)
    xy = rng.uniform([114.6, 33.6], [114.65, 33.65], (500, 2))
    lines = "\n".join(f"{lon:.7f},{lat:.7f}" for lon, lat in xy)
    source = written(tmp_path, f"lon,lat\n{lines}\n")
    for name in ("a.csv", "b.csv"):
        locate_file(locator, source, tmp_path / name, datum="gcj02")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
