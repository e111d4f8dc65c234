"""Published layers with real faults: what check says is what an overlay by GEOS says."""

from collections import Counter

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geogrid.coverage import Findings, check
from geogrid.coverage.edges import on_integer_grid
from geogrid.coverage.layers import metric_crs
from geogrid.edition import to_metres


def parented(child: gpd.GeoDataFrame, parent: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Give each unit the parent that a point inside it lies in."""
    points = shapely.point_on_surface(shapely.make_valid(child.geometry.to_numpy()))
    tree = shapely.STRtree(shapely.make_valid(parent.geometry.to_numpy()))
    row, unit = tree.query_nearest(points, all_matches=False)
    codes = np.full(len(child), "", object)
    codes[row] = parent["code"].to_numpy()[unit]
    return child.assign(parent=codes)


def area_of(findings: Findings, level: str, *rules: str) -> float:
    return sum(each.area_m2 for each in findings if each.level == level and each.rule in rules)


def snapped(frame: gpd.GeoDataFrame) -> np.ndarray:
    return shapely.make_valid(on_integer_grid(frame, "a layer"), method="structure")


@pytest.fixture
def census(real_data) -> dict[str, gpd.GeoDataFrame]:
    """Output areas in lower and middle super output areas of Cambridge, 2011."""
    layers = {}
    for level, name, column in (
        ("village", "msoa", "MSOA11CD"),
        ("grid", "lsoa", "LSOA11CD"),
        ("microgrid", "oa", "OA11CD"),
    ):  # fmt: skip
        frame = gpd.read_file(real_data / "nested" / f"{name}_E07000008.geojson")
        layers[level] = frame.rename(columns={column: "code"})
    layers["microgrid"] = parented(layers["microgrid"], layers["grid"])
    layers["grid"] = parented(layers["grid"], layers["village"])
    return layers


def test_census_areas_do_not_nest_by_what_overlay_says(census) -> None:
    findings = check(census)
    crs = metric_crs(snapped(census["village"]))
    small, large = snapped(census["microgrid"]), snapped(census["grid"])
    unit, child = shapely.STRtree(small).query(large, predicate="intersects")
    elsewhere = (
        census["microgrid"]["parent"].to_numpy()[child] != census["grid"]["code"].to_numpy()[unit]
    )
    part = shapely.intersection(small[child[elsewhere]], large[unit[elsewhere]])
    across = shapely.area(to_metres(part, crs)).sum()
    assert across > 1
    assert area_of(findings, "microgrid", "outside_parent") == pytest.approx(across, rel=0.02)
    # Simplified level by level: hundreds of strips under a millimetre wide, none of them visible.
    strips = [each for each in findings if each.rule == "outside_parent"]
    assert len(strips) > 200
    assert max(each.width_m for each in strips) < 0.05


def test_output_areas_alone_are_a_coverage_but_for_two_detached_parts(census) -> None:
    findings = check({"microgrid": census["microgrid"].drop(columns="parent")})
    found = Counter(each.rule for each in findings if each.rule != "malformed_code")
    assert found == {"multipart": 2}
    shapes = census["microgrid"].geometry
    assert (shapes.geom_type == "MultiPolygon").sum() == 2
    assert shapely.coverage_is_valid(shapes.to_numpy())


@pytest.mark.slow
def test_precincts_and_boroughs_differ_along_the_coast_by_what_overlay_says(real_data) -> None:
    precincts = gpd.read_file(real_data / "incidents" / "nyc-police-precincts.geojson")
    boroughs = gpd.read_file(real_data / "incidents" / "nyc-boroughs.geojson")
    boroughs = boroughs.assign(code=boroughs["BoroCode"].astype(str))
    precincts = parented(precincts.assign(code=precincts["precinct"].astype(str)), boroughs)
    findings = check({"county": boroughs, "township": precincts})
    crs = metric_crs(snapped(boroughs))
    city, police = (shapely.union_all(snapped(frame)) for frame in (boroughs, precincts))
    lacking, beyond = shapely.area(
        to_metres(np.array([city.difference(police), police.difference(city)]), crs)
    )
    assert area_of(findings, "township", "edge_gap", "gap", "hole") == pytest.approx(
        lacking, rel=1e-3
    )
    assert area_of(findings, "township", "outside") == pytest.approx(beyond, rel=1e-3)
    assert findings.coverage_rate["township"] == pytest.approx(1 - lacking / shapely.area(
        to_metres(np.array([city]), crs))[0], rel=1e-6)  # fmt: skip
    assert sum(each.rule == "invalid_geometry" for each in findings) == 4
