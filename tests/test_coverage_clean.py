"""Repairs of village layers: what is mended, what is refused, and that the rest stays as it was."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geogrid.coverage import check, clean_villages
from geogrid.edition import snap, to_degrees
from geogrid.errors import BoundaryError, DataError

ROW = 100


@pytest.fixture(scope="module")
def villages(toy_edition):
    """The 256 micro-grids of the toy city taken as villages."""
    frame = toy_edition["microgrid"]
    return frame.assign(code=[f"4116{k:08d}" for k in range(len(frame))])


def edited(frame, row, change):
    shapes = frame.geometry.to_numpy().copy()
    shapes[row] = change(shapes[row])
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))


def moving(vertex, dx, dy):
    def change(polygon):
        xy = shapely.get_coordinates(polygon)[:-1].copy()
        xy[vertex] += (dx, dy)
        return shapely.Polygon(xy)

    return change


def faults(frame):
    found = check({"village": frame})
    return [each for each in found if each.rule not in ("malformed_code", "spike")]


def same_rows(a, b):
    return np.array([x.wkb == y.wkb for x, y in zip(a.geometry, b.geometry, strict=True)])


def test_coverage_comes_back_bit_for_bit(villages):
    cleaned, repairs = clean_villages(villages)
    assert repairs == []
    assert same_rows(villages, cleaned).all()


def test_coverage_in_metres_needs_no_repair(villages):
    cleaned, repairs = clean_villages(villages.to_crs("EPSG:4547"))
    assert repairs == []
    assert cleaned.crs == "EPSG:4490"
    assert same_rows(villages.set_geometry(snap(villages.geometry.to_numpy())), cleaned).all()


@pytest.mark.parametrize("shift", [1e-8, 1e-7, 1e-6, 1e-5, 3e-5])
@pytest.mark.parametrize("vertex", range(4))
def test_moved_vertex_is_mended_and_the_rest_stays(villages, shift, vertex):
    broken = edited(villages, ROW, moving(vertex, shift, -0.7 * shift))
    cleaned, repairs = clean_villages(broken)
    assert faults(cleaned) == []
    assert repairs
    assert same_rows(broken, cleaned).sum() >= len(villages) - 9
    change = abs(cleaned.to_crs("EPSG:4547").area - broken.to_crs("EPSG:4547").area)
    assert change.max() <= sum(each.area_m2 for each in repairs) + 0.5


def test_repairs_name_villages_place_and_area(villages):
    broken = edited(villages, ROW, moving(2, 2e-5, 2e-5))
    cleaned, repairs = clean_villages(broken)
    for each in repairs:
        receiver = cleaned.geometry[cleaned.code == each.codes[0]].iloc[0]
        assert receiver.covers(shapely.Point(each.point))
        assert each.area_m2 > 0
        assert each.codes[0] in each.message_en
        assert each.codes[0] in each.message_zh
    assert {each.rule for each in repairs} <= {"gap", "overlap"}


def test_columns_order_and_index_are_kept(villages):
    mixed = edited(villages, ROW, moving(1, 1e-6, 0)).sample(frac=1, random_state=3)
    cleaned, _ = clean_villages(mixed)
    assert cleaned.code.tolist() == mixed.code.tolist()
    assert cleaned.index.equals(mixed.index)
    assert cleaned.name.tolist() == mixed.name.tolist()


def test_order_of_rows_decides_nothing(villages):
    broken = edited(villages, ROW, moving(1, 1e-5, 1e-5))
    a, repairs_a = clean_villages(broken)
    b, repairs_b = clean_villages(broken.sample(frac=1, random_state=5))
    assert same_rows(a, b.sort_index()).all()
    assert repairs_a == repairs_b


def test_argument_is_not_changed(villages):
    broken = edited(villages, ROW, moving(1, 1e-5, 1e-5))
    before = broken.geometry.to_wkb().tolist()
    clean_villages(broken)
    assert broken.geometry.to_wkb().tolist() == before


def test_cleaning_twice_changes_nothing_more(villages):
    once, _ = clean_villages(edited(villages, ROW, moving(0, -2e-5, 1e-5)))
    twice, repairs = clean_villages(once)
    assert repairs == []
    assert same_rows(once, twice).all()


def test_t_junction_gets_its_vertex():
    frame = gpd.GeoDataFrame(
        {"code": ["411601001001", "411601001002", "411601001003"]},
        geometry=[
            shapely.box(114.0, 33.01, 114.01, 33.02),
            shapely.box(114.0, 33.0, 114.01, 33.01),
            shapely.box(114.01, 33.0, 114.02, 33.02),
        ],
        crs="EPSG:4490",
    )
    cleaned, repairs = clean_villages(frame)
    assert [each.rule for each in repairs] == ["unmatched_vertex"]
    assert (114.01, 33.01) in map(tuple, shapely.get_coordinates(cleaned.geometry[2]))
    assert faults(cleaned) == []


@pytest.mark.parametrize("noise", [1e-8, 1e-7, 3e-6])
def test_villages_digitised_one_by_one_become_a_coverage(villages, noise):
    rng = np.random.default_rng(0)

    def shaken(polygon):
        xy = shapely.get_coordinates(polygon)[:-1]
        return shapely.Polygon(xy + rng.normal(0, noise, xy.shape))

    broken = villages.set_geometry(
        gpd.GeoSeries([shaken(p) for p in villages.geometry], crs=villages.crs)
    )
    cleaned, repairs = clean_villages(broken)
    assert faults(cleaned) == []
    assert len(repairs) > 100
    change = abs(cleaned.to_crs("EPSG:4547").area / broken.to_crs("EPSG:4547").area - 1)
    assert change.max() < 0.02


def test_sliver_that_opens_to_the_outside_is_closed():
    """Two villages side by side, one metre apart all along their border."""
    frame = gpd.GeoDataFrame(
        {"code": ["411601001001", "411601001002"]},
        geometry=[
            shapely.box(114.0, 33.0, 114.01, 33.01),
            shapely.box(114.01001, 33, 114.02, 33.01),
        ],
        crs="EPSG:4490",
    )
    cleaned, repairs = clean_villages(frame)
    assert [each.rule for each in repairs] == ["edge_gap"]
    assert shapely.union_all(cleaned.geometry).geom_type == "Polygon"
    assert faults(cleaned) == []


def test_loose_sliver_of_a_multipart_village_is_let_go(villages):
    x, y = shapely.get_coordinates(villages.geometry[5].centroid)[0].round(8)
    crumb = shapely.box(x, y, x + 1e-5, y + 1e-5)
    broken = edited(villages, ROW, lambda polygon: shapely.MultiPolygon([polygon, crumb]))
    cleaned, repairs = clean_villages(broken)
    assert [(each.rule, each.codes) for each in repairs] == [("multipart", (villages.code[ROW],))]
    assert same_rows(villages, cleaned).all()


REFUSED = {
    "gap, 86": lambda frame: frame.drop(index=ROW),
    "overlap": lambda frame: edited(frame, ROW, lambda p: p.buffer(1e-3)),
    "several parts": lambda frame: edited(
        frame, ROW, lambda p: shapely.MultiPolygon([p, frame.geometry[5]])
    ),
    "invalid geometry": lambda frame: edited(
        frame, ROW, lambda p: shapely.Polygon(shapely.get_coordinates(p)[[0, 2, 1, 3]])
    ),
    "no geometry": lambda frame: edited(frame, ROW, lambda p: None),
    "not a polygon": lambda frame: edited(frame, ROW, lambda p: p.centroid),
    "code used twice": lambda frame: frame.assign(code=frame.code.where(frame.index != ROW, "1")),
    "coordinate reference system": lambda frame: frame.set_crs(None, allow_override=True),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_mended_for_certain_is_refused(villages, said):
    broken = REFUSED[said](villages)
    if said == "code used twice":
        broken.loc[ROW + 1, "code"] = "1"
    with pytest.raises(BoundaryError, match=said):
        clean_villages(broken)


def test_all_faults_are_named_at_once(villages):
    broken = edited(edited(villages, 20, lambda p: None), 200, lambda p: p.centroid)
    broken.loc[60, "code"] = broken.code[61]
    with pytest.raises(BoundaryError) as caught:
        clean_villages(broken)
    assert str(caught.value).startswith("the village layer cannot be used: 3 faults")
    for row in (20, 200, 61):
        assert villages.code[row] in str(caught.value)


def test_error_names_twenty_faults_and_counts_the_rest(villages):
    broken = villages.set_geometry(
        gpd.GeoSeries([None] * 30 + villages.geometry.tolist()[30:], crs=villages.crs)
    )
    with pytest.raises(BoundaryError, match="and 10 more"):
        clean_villages(broken)


def test_layer_without_code_is_refused(villages):
    with pytest.raises(DataError, match="no column code"):
        clean_villages(villages.drop(columns="code"))


def test_wider_gaps_are_mended_on_demand(villages):
    broken = edited(villages, ROW, moving(1, 1e-4, 1e-4))
    with pytest.raises(BoundaryError):
        clean_villages(broken)
    cleaned, _ = clean_villages(broken, max_gap_width=20)
    assert faults(cleaned) == []


@pytest.mark.parametrize(
    ("layer", "column", "n_repairs"), [("lsoa", "LSOA11CD", 4), ("msoa", "MSOA11CD", 0)]
)
def test_published_layer_becomes_a_coverage(real_data, layer, column, n_repairs):
    published = gpd.read_file(real_data / "nested" / f"{layer}_E07000008.geojson")
    published = published.rename(columns={column: "code"})
    cleaned, repairs = clean_villages(published)
    assert faults(cleaned) == []
    assert len(repairs) == n_repairs


def test_crumb_that_none_of_its_coverers_borders_on_goes_to_a_third_village():
    """Four villages meet within four steps; two of them cover a crumb that touches neither."""
    corner = np.array([11_457_083_000, 3_301_021_000])
    rings = [
        [(662, 244), (617, 142), (561, 142), (561, 243)],
        [(663, 242), (561, 241), (561, 342), (636, 342)],
        [(663, 245), (761, 241), (761, 142), (618, 142)],
        [(659, 242), (632, 342), (761, 342), (761, 238)],
    ]
    frame = gpd.GeoDataFrame(
        {"code": ["1", "2", "3", "4"]},
        geometry=[shapely.Polygon(to_degrees(corner + np.array(ring))) for ring in rings],
        crs="EPSG:4490",
    )
    cleaned, repairs = clean_villages(frame)
    assert faults(cleaned) == []
    assert repairs
