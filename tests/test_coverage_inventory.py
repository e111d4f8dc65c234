"""Findings about what lies in the units: buildings, points, workers, households."""

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from geogrid.codes import LEVELS
from geogrid.coverage import Checklist, check
from geogrid.norms import Norms

ROW = 100


@pytest.fixture
def layers(toy_edition):
    return {level: toy_edition[level] for level in LEVELS}


def found(layers, **wanted) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.rule, each.codes) for each in check(layers, rules=Checklist(**wanted))]


def test_a_building_across_a_border_is_named_with_both_units(layers):
    frame = layers["microgrid"]
    x, y = frame.geometry[ROW].exterior.coords[1][:2]
    cut = shapely.box(x - 1e-4, y - 1e-4, x + 1e-4, y + 1e-4)
    inside = frame.geometry[ROW].centroid.buffer(1e-5)
    grazed = shapely.box(*frame.geometry[ROW].centroid.coords[0], x + 1e-9, y)
    buildings = gpd.GeoDataFrame(geometry=[cut, inside], crs="EPSG:4490")
    ((rule, codes),) = found(layers, buildings=buildings)
    assert rule == "building_cut"
    assert frame["code"][ROW] in codes
    assert len(codes) == 4
    assert grazed.area > 0


def test_a_point_lies_in_one_unit_also_on_a_border(layers):
    frame = layers["microgrid"]
    corner = shapely.Point(frame.geometry[ROW].exterior.coords[1])
    away = shapely.Point(100.0, 30.0)
    points = gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=[corner, away], crs="EPSG:4490")
    (each,) = check(layers, rules=Checklist(points=points))
    assert (each.rule, each.point) == ("point_in_none", (100.0, 30.0))
    assert "row 2, b" in each.message_en


def test_a_point_in_two_units_is_named_with_both(layers):
    frame = layers["microgrid"]
    shapes = frame.geometry.to_numpy().copy()
    shapes[ROW + 1] = shapely.union(shapes[ROW + 1], shapes[ROW])
    layers["microgrid"] = frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))
    points = gpd.GeoDataFrame(geometry=[frame.geometry[ROW].centroid], crs="EPSG:4490")
    named = [codes for rule, codes in found(layers, points=points) if rule == "point_in_two"]
    assert named == [(frame["code"][ROW], frame["code"][ROW + 1])]


def test_grids_without_a_worker_and_workers_of_no_grid_are_named(layers):
    codes = layers["grid"]["code"]
    workers = pd.DataFrame({"code": [*codes[1:], "411699001001001"]})
    assert found(layers, workers=workers) == [
        ("no_worker", (codes[0],)), ("unknown_unit", ("411699001001001",)),
    ]  # fmt: skip


def test_more_households_than_the_norm_of_the_kind_is_a_warning(layers):
    kinds = layers["microgrid"]["kind"].unique()
    most = int(layers["microgrid"]["households"].max())
    norms = Norms.parse(",".join(f"{kind}=1-{most - 1}" for kind in kinds if kind))
    named = found(layers, norms=norms)
    assert {rule for rule, _ in named} == {"over_norm"}
    heavy = layers["microgrid"]["households"] == most
    assert sorted(codes[0] for _, codes in named) == sorted(layers["microgrid"]["code"][heavy])


def test_an_enclave_is_excused_by_its_flag(layers):
    frame = layers["microgrid"]
    shapes = frame.geometry.to_numpy().copy()
    shapes[ROW] = shapely.MultiPolygon([shapes[ROW], shapes[5]])
    split = frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs)).drop(index=5)
    (each,) = [e for e in check({"microgrid": split}) if e.rule == "multipart"]
    assert each.severity == "error"
    assert each.area_m2 == pytest.approx(frame.to_crs(4547).area.iloc[[5, ROW]].min(), rel=1e-3)
    flagged = split.assign(enclave=["是" if k == ROW else "" for k in split.index])
    (each,) = [e for e in check({"microgrid": flagged}) if e.rule == "multipart"]
    assert (each.severity, each.excused) == ("note", "enclave 飞地")


def test_a_spike_heights_and_a_foreign_code_are_named(layers):
    frame = layers["village"]
    shapes = frame.geometry.to_numpy().copy()
    ring = shapely.get_coordinates(shapely.orient_polygons(shapes[3]))[:-1]
    a, b = ring[0], ring[1]
    out = (b - a)[::-1] * (1, -1) * 0.3
    middle = (a + b) / 2
    spiked = [a, middle - (b - a) * 1e-4, middle + out, middle + (b - a) * 1e-4, *ring[1:]]
    shapes[3] = shapely.force_3d(shapely.Polygon(spiked))
    changed = frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))
    changed.loc[4, "code"] = "411699" + changed["code"][4][6:]
    rules = {rule for rule, _ in found({"township": layers["township"], "village": changed})}
    assert {"spike", "has_z", "foreign_code"} <= rules


def test_only_the_rules_asked_for_are_reported(layers):
    layers["microgrid"] = layers["microgrid"].drop(index=ROW)
    assert found(layers, only=frozenset({"duplicate_code"})) == []
    assert [rule for rule, _ in found(layers, only=frozenset({"gap"}))] == ["gap"]


def test_a_sliver_is_narrower_than_the_width_asked_for(layers):
    layers["microgrid"] = layers["microgrid"].drop(index=ROW)
    assert [rule for rule, _ in found(layers, sliver_width=10_000.0)] == ["sliver"]
