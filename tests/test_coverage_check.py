"""Faults planted into the toy city; each has to be found with its rule, its units and its place.

The unit touched is micro-grid row 100; it lies inside the city and has eight neighbours.
"""

import math
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geogrid import store
from geogrid.codes import LEVELS
from geogrid.coverage import Checklist, check, check_file
from geogrid.edition import Edition
from geogrid.errors import BoundaryError, DataError, UsageError

ROW = 100
STEP = 1e-8


@pytest.fixture
def layers(toy_edition):
    return {level: toy_edition[level] for level in LEVELS}


def with_shape(layers, row, shape, level="microgrid"):
    """Return the layers with another geometry in one row."""
    frame = layers[level].copy()
    shapes = frame.geometry.to_numpy().copy()
    shapes[row] = shape
    return layers | {level: frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))}


def moved(polygon, vertex, dx, dy):
    xy = shapely.get_coordinates(polygon)[:-1].copy()
    xy[vertex] += (dx, dy)
    return shapely.Polygon(xy)


def towards_centre(polygon, vertex, distance):
    """Return the shift of a vertex by `distance` degrees towards the centroid."""
    corner = shapely.get_coordinates(polygon)[vertex]
    way = shapely.get_coordinates(polygon.centroid)[0] - corner
    return way / np.hypot(*way) * distance


def rules(findings, level="microgrid"):
    return {each.rule for each in findings if each.level == level}


def test_clean_city_has_no_findings_and_rate_is_exactly_one(toy_edition):
    findings = check(toy_edition)
    assert list(findings) == []
    assert findings.ok
    assert set(findings.coverage_rate.values()) == {1.0}
    assert findings.counts == toy_edition.counts()


def test_order_of_rows_does_not_matter(layers):
    rng = np.random.default_rng(1)
    shuffled = {
        level: frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)
        for level, frame in layers.items()
    }
    assert list(check(shuffled)) == []
    gone = layers["microgrid"].drop(index=ROW)
    mixed = gone.iloc[rng.permutation(len(gone))]
    a = check(layers | {"microgrid": gone})
    b = check(layers | {"microgrid": mixed})
    assert a.items == b.items


@pytest.mark.parametrize("distance", [1e-8, 1e-7, 1e-6, 1e-5, 1e-4])
@pytest.mark.parametrize("vertex", range(4))
def test_vertex_pulled_in_is_a_gap_at_that_vertex(layers, distance, vertex):
    polygon = layers["microgrid"].geometry.iloc[ROW]
    shift = towards_centre(polygon, vertex, max(distance, 3 * STEP))
    findings = check(with_shape(layers, ROW, moved(polygon, vertex, *shift)))
    gaps = [each for each in findings if each.rule in ("gap", "sliver")]
    assert gaps
    assert not findings.ok
    corner = shapely.Point(shapely.get_coordinates(polygon)[vertex])
    boxes = shapely.union_all([shapely.box(*each.bbox) for each in gaps])
    assert boxes.distance(corner) < 2 * STEP
    assert findings.coverage_rate["microgrid"] < 1.0
    for each in gaps:
        assert shapely.box(*each.bbox).covers(shapely.Point(each.point))
        assert layers["microgrid"].code[ROW] in each.codes


@pytest.mark.parametrize("distance", [3e-8, 1e-6, 1e-4])
def test_vertex_pushed_out_is_an_overlap(layers, distance):
    polygon = layers["microgrid"].geometry.iloc[ROW]
    pushed = moved(polygon, 2, *-towards_centre(polygon, 2, distance))
    findings = check(with_shape(layers, ROW, pushed))
    overlaps = [each for each in findings if each.rule in ("overlap", "sliver")]
    assert overlaps
    others = layers["microgrid"].geometry.drop(index=ROW).to_numpy()
    for each in overlaps:
        assert layers["microgrid"].code[ROW] in each.codes
        assert shapely.dwithin(pushed, shapely.Point(each.point), 1e-12)
        assert shapely.dwithin(others, shapely.Point(each.point), 1e-12).any()


def test_missing_unit_is_a_gap_of_its_area(layers):
    frame = layers["microgrid"]
    findings = check(layers | {"microgrid": frame.drop(index=ROW)})
    (gap,) = findings
    assert gap.rule == "gap"
    assert frame.geometry[ROW].contains(shapely.Point(gap.point))
    area = frame.geometry.to_crs("EPSG:4547").area
    assert gap.area_m2 == pytest.approx(area[ROW], rel=1e-4)
    assert findings.coverage_rate["microgrid"] == pytest.approx(
        1 - area[ROW] / area.sum(), rel=1e-6
    )


def test_missing_unit_at_the_outline_is_an_edge_gap(layers):
    frame = layers["microgrid"]
    findings = check(layers | {"microgrid": frame.drop(index=0)})
    assert rules(findings) == {"edge_gap"}
    assert frame.geometry[0].contains(shapely.Point(findings[0].point))


def test_pinhole_is_a_hole(layers):
    polygon = layers["microgrid"].geometry.iloc[ROW]
    x, y = np.round(shapely.get_coordinates(polygon.centroid)[0], 8)
    hole = shapely.Polygon([(x, y), (x + 2 * STEP, y), (x, y + 2 * STEP)])
    pierced = shapely.Polygon(polygon.exterior, [hole.exterior])
    (found,) = check(with_shape(layers, ROW, pierced))
    assert found.rule == "hole"
    assert found.codes == (layers["microgrid"].code[ROW],)
    assert hole.contains(shapely.Point(found.point))


def test_vertex_in_the_middle_of_a_straight_edge_is_unmatched():
    """+---+---+
    | a |   |
    +   | c |    a and b end in the middle of c's left edge
    | b |   |
    +---+---+.
    """
    frame = gpd.GeoDataFrame(
        {"code": ["411601001001", "411601001002", "411601001003"]},
        geometry=[
            shapely.box(114.0, 33.01, 114.01, 33.02),
            shapely.box(114.0, 33.0, 114.01, 33.01),
            shapely.box(114.01, 33.0, 114.02, 33.02),
        ],
        crs="EPSG:4490",
    )
    (found,) = check({"village": frame})
    assert found.rule == "unmatched_vertex"
    assert found.point == (114.01, 33.01)
    assert "411601001003" in found.codes


def test_same_polygon_twice_is_named_once(layers):
    shape = layers["microgrid"].geometry[ROW]
    findings = check(with_shape(layers, ROW + 1, shape))
    twice = [each for each in findings if each.rule == "duplicate_geometry"]
    assert [each.codes for each in twice] == [tuple(layers["microgrid"].code[ROW : ROW + 1 + 1])]
    assert "gap" in rules(findings)
    assert "overlap" not in rules(findings)


def test_bow_tie_is_invalid_with_the_place_of_the_crossing(layers):
    a, b, c, d = shapely.get_coordinates(layers["microgrid"].geometry[ROW])[:-1]
    findings = check(with_shape(layers, ROW, shapely.Polygon([a, c, b, d])))
    (broken,) = [each for each in findings if each.rule == "invalid_geometry"]
    crossing = shapely.LineString([a, c]).intersection(shapely.LineString([b, d]))
    assert shapely.Point(broken.point).distance(crossing) < 1e-7
    assert "Self-intersection" in broken.message_en


@pytest.mark.parametrize("shape", [None, shapely.Polygon()])
def test_row_without_geometry_is_named_and_leaves_a_gap(layers, shape):
    findings = check(with_shape(layers, ROW, shape))
    assert rules(findings) == {"no_geometry", "gap"}


def test_point_in_a_polygon_layer_is_named(layers):
    findings = check(with_shape(layers, ROW, shapely.Point(114.6, 33.6)))
    assert rules(findings) == {"not_polygon", "gap"}


def test_multipart_unit_is_named(layers):
    shapes = layers["microgrid"].geometry
    both = shapely.MultiPolygon([shapes[ROW], shapes[5]])
    findings = check(with_shape(layers, ROW, both))
    (found,) = [each for each in findings if each.rule == "multipart"]
    assert found.codes == (layers["microgrid"].code[ROW],)


def test_unit_outside_the_boundary_is_named(layers):
    box = shapely.box(*layers["city"].total_bounds).buffer(-0.002)
    boundary = gpd.GeoDataFrame(geometry=[box], crs="EPSG:4490")
    findings = check({"microgrid": layers["microgrid"]}, container=boundary)
    assert "outside" in rules(findings)
    for each in findings:
        assert not box.contains(shapely.Point(each.point))


def test_boundary_in_metres_with_other_vertices_is_no_fault(layers):
    city = layers["city"].to_crs("EPSG:4547")
    city = city.set_geometry(city.geometry.segmentize(50))
    findings = check({"microgrid": layers["microgrid"]}, container=city)
    assert findings.ok
    assert rules(findings) == {"outline_vertices"}
    assert 1 - 1e-6 < findings.coverage_rate["microgrid"] <= 1.0


def test_boundary_of_several_polygons_is_taken_as_one(layers):
    assert list(check({"grid": layers["grid"]}, container=layers["county"])) == []


def test_boundary_without_polygon_is_refused(layers):
    empty = gpd.GeoDataFrame(geometry=[shapely.Point(114, 33)], crs="EPSG:4490")
    with pytest.raises(BoundaryError, match="no polygon"):
        check(layers, container=empty)


def test_border_between_parents_that_differs_from_the_children_is_a_breach_of_nesting(layers):
    frame = layers["microgrid"].copy()
    frame.loc[ROW, "parent"] = frame.parent[ROW + 40]
    findings = check(layers | {"microgrid": frame})
    (found,) = findings
    assert found.rule == "outside_parent"
    assert found.codes[0] == frame.code[ROW]
    assert frame.geometry[ROW].contains(shapely.Point(found.point))


@pytest.mark.parametrize("distance", [3e-8, 1e-5])
def test_vertex_moved_in_all_units_of_one_level_is_a_breach_of_nesting(layers, distance):
    corner = shapely.get_coordinates(layers["grid"].geometry[20])[1]

    def shifted(xy):
        xy = xy.copy()
        xy[(xy == corner).all(axis=1)] += distance
        return xy

    grid = layers["grid"].copy()
    grid = grid.set_geometry(
        gpd.GeoSeries(shapely.transform(grid.geometry.to_numpy(), shifted), crs=grid.crs)
    )
    findings = check({"grid": grid, "microgrid": layers["microgrid"]})
    assert "outside_parent" in rules(findings)
    place = shapely.Point(corner)
    assert any(shapely.box(*each.bbox).distance(place) < 2 * STEP for each in findings)


def test_vertex_on_one_level_only_is_a_breach_of_nesting():
    square = shapely.box(114.0, 33.0, 114.02, 33.02)
    ring = [(114.0, 33.0), (114.01, 33.0), (114.02, 33.0), (114.02, 33.02), (114.0, 33.02)]
    up = gpd.GeoDataFrame({"code": ["411601"]}, geometry=[square], crs="EPSG:4490")
    down = gpd.GeoDataFrame(
        {"code": ["411601001"], "parent": ["411601"]},
        geometry=[shapely.Polygon(ring)],
        crs="EPSG:4490",
    )
    findings = check({"county": up, "township": down})
    (found,) = [each for each in findings if each.rule == "union_differs"]
    assert found.point == (114.01, 33.0)


def test_unknown_parent_and_childless_parent_are_named(layers):
    frame = layers["microgrid"].copy()
    orphans = frame.parent == frame.parent[ROW]
    frame.loc[orphans, "parent"] = "411699001001001"
    findings = check(layers | {"microgrid": frame})
    assert rules(findings) == {"unknown_parent"}
    assert sum(each.rule == "unknown_parent" for each in findings) == orphans.sum()
    (childless,) = [each for each in findings if each.rule == "no_child"]
    assert childless.codes == (layers["microgrid"].parent[ROW],)


def test_layer_without_parents_says_that_nesting_is_unchecked(layers):
    findings = check(layers | {"microgrid": layers["microgrid"].drop(columns="parent")})
    assert rules(findings) == {"no_parent_column"}
    assert findings.ok


def test_face_that_holds_whole_units_is_asked_beside_their_common_edge():
    """A block of four squares whose outline differs from the boundary by one vertex.

    The middle of the block is a vertex of all four: asked there, each would cover it.
    """
    corners = [(x, y) for y in (33.0, 33.01) for x in (114.0, 114.01)]
    frame = gpd.GeoDataFrame(
        {"code": [f"41160100100{k}" for k in range(1, 5)]},
        geometry=[shapely.box(x, y, round(x + 0.01, 2), round(y + 0.01, 2)) for x, y in corners],
        crs="EPSG:4490",
    )
    city = gpd.GeoDataFrame(geometry=[shapely.box(114.0, 33.0, 114.02, 33.02)], crs="EPSG:4490")
    findings = check({"village": frame}, container=city)
    assert rules(findings, "village") == {"outline_vertices"}
    assert findings.coverage_rate["village"] == 1.0


def test_code_used_twice_is_named(layers):
    frame = layers["village"].copy()
    frame.loc[3, "code"] = frame.code[2]
    findings = check({"village": frame})
    (found,) = findings
    assert (found.rule, found.codes) == ("duplicate_code", (frame.code[2],))
    assert frame.geometry[3].contains(shapely.Point(found.point))


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("4116010010010010", "malformed_code"),
        ("411601001001001000", "malformed_code"),
        ("４11601001001001001", "malformed_code"),
        ("", "malformed_code"),
        ("4.11602001001001e+17", "code_became_number"),
        ("411601001001001001.0", "code_became_number"),
    ],
)
def test_malformed_code_is_named_as_what_it_is(layers, code, rule):
    frame = layers["microgrid"].copy()
    frame.loc[ROW, "code"] = code
    findings = check({"microgrid": frame})
    assert [each.rule for each in findings] == [rule]


def test_code_column_of_floats_is_named(layers):
    frame = layers["microgrid"].assign(code=layers["microgrid"].code.astype(float))
    findings = check({"microgrid": frame})
    assert "code_became_number" in rules(findings)
    assert "digits are lost" in findings[0].message_en


def test_counts_that_differ_are_named(toy_edition):
    findings = check(toy_edition, rules=Checklist(expected={"microgrid": 257, "grid": 64}))
    (found,) = findings
    assert (found.rule, found.level) == ("count", "microgrid")
    assert "256 units, expected 257" in found.message_en
    assert found.point is not None


def test_every_finding_says_rule_place_and_remedy_in_two_languages(layers):
    frame = layers["microgrid"].drop(index=[ROW, 0])
    for each in check(layers | {"microgrid": frame}):
        lon, lat = each.point
        assert math.isclose(lon, float(f"{lon:.12f}"))
        assert f"{lon:.7f}, {lat:.7f}" in each.message_en
        assert f"{lon:.7f}, {lat:.7f}" in each.message_zh
        assert each.fix
        assert each.width_m > 0


def two_villages(apart: float, crs: str = "EPSG:4490") -> gpd.GeoDataFrame:
    """Two squares whose common corner in the north is `apart` degrees of longitude apart."""
    left = [(114.0, 33.0), (114.01, 33.0), (114.01 - apart, 33.01), (114.0, 33.01)]
    right = shapely.box(114.01, 33.0, 114.02, 33.01)
    return gpd.GeoDataFrame(
        {"code": ["411601001001", "411601001002"], "parent": "411601001"},
        geometry=[shapely.Polygon(left), right], crs=crs,
    )  # fmt: skip


def test_vertices_nearer_than_a_step_are_a_note_with_their_distance():
    """4e-9 degree of longitude at 33.01 N are 4e-9 x 111,320 m x cos 33.01 = 0.373 mm."""
    (note,) = check({"village": two_villages(4e-9)})
    assert (note.rule, note.severity) == ("rounded_together", "note")
    assert note.codes == ("411601001001", "411601001002")
    assert note.point == (114.01, 33.01)
    assert "1 place, up to 0.37 mm apart" in note.message_en
    assert "1 处，相距不超过 0.37 毫米" in note.message_zh
    assert list(check({"village": two_villages(0)})) == []


def test_vertices_of_two_levels_nearer_than_a_step_are_a_note_too():
    villages = two_villages(0)
    town = villages.dissolve().assign(code="411601001", parent="411601")
    ring = shapely.get_coordinates(town.geometry.iloc[0]) - [0, 3e-9]
    moved = town.set_geometry([shapely.Polygon(ring)], crs="EPSG:4490")
    (note,) = check({"township": moved, "village": villages})
    assert (note.level, note.rule) == ("village", "rounded_together")
    assert list(check({"township": moved.to_crs(4547), "village": villages})) == []
    (note,) = check({"village": villages}, container=moved)
    assert note.rule == "rounded_together"


def test_unknown_level_is_refused(layers):
    with pytest.raises(UsageError, match="hamlet"):
        check({"hamlet": layers["village"]})


def test_file_that_is_an_edition_is_checked(toy_edition, tmp_path):
    path = tmp_path / "city.gpkg"
    store.write_edition(toy_edition, path, tables={})
    assert list(check_file(path)) == []


def test_file_with_a_single_layer_is_checked(layers, tmp_path):
    path = tmp_path / "raw.gpkg"
    store.write_layers(path, {"village": layers["village"].drop(index=5)})
    boundary = tmp_path / "boundary.gpkg"
    store.write_layers(boundary, {"city": layers["city"]})
    assert {each.rule for each in check_file(path, boundary)} <= {"gap", "edge_gap"}
    assert len(check_file(path, boundary)) == 1


def test_file_edited_after_it_was_written_says_so(toy_edition, tmp_path):
    path = tmp_path / "city.gpkg"
    other = replace(toy_edition.info, seed=999)
    forged = Edition(replace(other, digest=toy_edition.info.digest), toy_edition.units)
    store.write_edition(forged, path, tables={})
    findings = check_file(path)
    assert [each.rule for each in findings] == ["changed_file"]
    assert findings.ok


def test_file_without_known_layers_is_refused(layers, tmp_path):
    path = tmp_path / "raw.gpkg"
    store.write_layers(path, {"hamlets": layers["village"]})
    with pytest.raises(DataError, match="hamlets"):
        check_file(path)


def test_published_output_areas_have_their_two_known_faults_only(real_data):
    """The 2011 output areas of Cambridge are a coverage but for two units in several parts."""
    areas = gpd.read_file(real_data / "nested" / "oa_E07000008.geojson")
    areas = areas.rename(columns={"OA11CD": "code"})
    findings = check({"microgrid": areas})
    assert rules(findings) == {"malformed_code", "multipart"}
