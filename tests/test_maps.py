"""Maps: what is packed is what the edition holds, and a saved map needs no other file."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import folium
import geopandas as gpd
import numpy as np
import pytest
import shapely

from geogrid import maps
from geogrid.coverage.check import check
from geogrid.edition import Edition, integer_rings
from geogrid.errors import DataError, UnknownCodeError
from geogrid.maps.layers import GridLayer
from geogrid.maps.payload import encode_points, encode_rings

HOSTILE = "</script><script>alert(1)</script>{{ 7*7 }}'\"\\"


def varints(text: str) -> Iterator[int]:
    """Decode byte by byte, as the format is described."""
    value = shift = 0
    for byte in base64.b64decode(text):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def decoded(payload: dict[str, object]) -> list[list[list[tuple[int, int]]]]:
    """Polygons as lists of rings as lists of vertices, in steps of 1e-6 degree."""
    signed = [n // 2 if n % 2 == 0 else -(n + 1) // 2 for n in varints(str(payload["xy"]))]
    xy = np.cumsum(np.array(signed).reshape(-1, 2), axis=0).tolist()
    sizes = varints(str(payload["sizes"]))
    vertices = iter(tuple(vertex) for vertex in xy)
    return [
        [[next(vertices) for _ in range(next(sizes))] for _ in range(n_rings)]
        for n_rings in varints(str(payload["rings"]))
    ]


def layers(map_: folium.Map) -> dict[str, GridLayer]:
    found = [each for each in map_._children.values() if isinstance(each, GridLayer)]
    return {each.layer_name.split(" (")[0]: each for each in found}


def incidents_of(edition: Edition) -> gpd.GeoDataFrame:
    grids = edition.units["grid"].head(5)
    return gpd.GeoDataFrame(
        {"id": range(5), "item": HOSTILE, "grid_code": grids["code"]},
        geometry=[*grids.geometry.representative_point()[:4], None],
        crs="EPSG:4490",
    )


@pytest.mark.parametrize("level", ["county", "grid", "microgrid"])
def test_payload_decodes_to_the_rings_of_the_edition_at_1e_6_degree(toy_edition, level):
    polygons = toy_edition.units[level].geometry
    for polygon, rings in zip(
        polygons, decoded(encode_rings(toy_edition.rings(level))), strict=True
    ):
        expected = shapely.orient_polygons(polygon).exterior.coords[:-1]
        assert rings[0] == [(round(x * 1e6), round(y * 1e6)) for x, y in expected]


def test_payload_keeps_holes(toy_edition):
    holed = shapely.Polygon(
        [(114, 33), (115, 33), (115, 34), (114, 34)],
        [[(114.4, 33.4), (114.4, 33.6), (114.6, 33.6)]],
    )
    table = gpd.GeoSeries([holed, shapely.box(-1, -1, 0, 0)]).to_numpy()

    first, second = decoded(encode_rings(integer_rings(table)))
    assert [len(ring) for ring in first] == [4, 3]
    assert set(second[0]) == {(-1000000, -1000000), (0, -1000000), (0, 0), (-1000000, 0)}


def test_no_points_are_an_empty_text():
    assert encode_points(np.zeros((0, 2), np.int64)) == ""


def test_grids_are_classed_by_households_about_equally(toy_edition):
    payload = layers(maps.map_of(toy_edition))["网格 Grids"].payload
    classes, households = np.array(payload["classes"]), np.array(payload["households"])
    order = np.argsort(households, kind="stable")
    assert (np.diff(classes[order]) >= 0).all()
    assert np.ptp(np.bincount(classes)) <= 6


def test_equal_households_make_one_class(toy_edition):
    units = dict(toy_edition.units)
    units["grid"] = units["grid"].assign(households=5)
    payload = layers(maps.map_of(Edition.of(toy_edition.info, units)))["网格 Grids"].payload
    assert set(payload["classes"]) == {0}


@pytest.mark.parametrize("county", ["411602", "411602号"])
def test_microgrids_of_a_county_are_found_by_code_or_name(toy_edition, county):
    payload = layers(maps.map_of(toy_edition, microgrids_of=[county]))[
        "微网格 Micro-grids: 411602号"
    ].payload
    assert len(payload["codes"]) == 64
    assert {code[:6] for code in payload["codes"]} == {"411602"}
    place = payload["places"][payload["place"][0]]
    assert place == "411602号 / 411602001号 / 411602001001号"


def test_microgrids_follow_the_parent_column_and_not_the_digits(toy_edition):
    units = dict(toy_edition.units)
    moved = units["township"].assign(parent="411601")
    units["township"] = moved
    found = layers(maps.map_of(Edition.of(toy_edition.info, units), microgrids_of=["411601"]))
    assert len(found["微网格 Micro-grids: 411601号"].payload["codes"]) == 256


def test_unknown_county_is_refused_with_the_known_ones(toy_edition):
    with pytest.raises(UnknownCodeError, match=r"411699.*411601 411601号"):
        maps.map_of(toy_edition, microgrids_of=["411699"])


def test_incidents_without_a_place_are_left_out(toy_edition):
    map_ = maps.map_of(toy_edition, incidents=incidents_of(toy_edition))
    assert len(layers(map_)["事件 Incidents"].payload["codes"]) == 4


def test_incidents_without_a_crs_are_refused(toy_edition):
    table = incidents_of(toy_edition).set_crs(None, allow_override=True)
    with pytest.raises(DataError, match="no coordinate reference system"):
        maps.map_of(toy_edition, incidents=table)


def test_findings_are_points_with_both_messages(toy_edition):
    units = dict(toy_edition.units)
    units["microgrid"] = units["microgrid"].drop(index=100)
    broken = Edition.of(toy_edition.info, units)
    findings = check(broken)
    map_ = maps.map_of(broken, findings=findings)
    payload = layers(map_)["检查发现的问题 Findings"].payload
    placed = [each for each in findings if each.point is not None]
    assert placed
    assert len(payload["names"]) == len(placed)
    assert placed[0].message_zh in payload["names"][0]
    assert placed[0].message_en in payload["names"][0]
    steps = list(varints(payload["xy"]))[:2]
    assert [step / 2e6 for step in steps] == pytest.approx(placed[0].point, abs=1e-6)


def test_same_map_is_the_same_file(toy_edition, tmp_path):
    for name in ("a.html", "b.html"):
        maps.save(maps.map_of(toy_edition, microgrids_of=["411601"]), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_saved_map_asks_no_host_and_no_other_file(toy_edition, tmp_path):
    path = tmp_path / "map.html"
    maps.save(maps.map_of(toy_edition, microgrids_of=["411601"]), path)
    page = path.read_text("utf-8")
    assert not re.findall(r"<script[^>]*\bsrc|<link|@import|<img", page)
    assert not [
        url
        for url in re.findall(r"url\(([^)]*)", page)
        if "data:" not in url and url[0] in "\"'hi/"
    ]
    assert "sourceMappingURL" not in page


def test_saved_map_says_city_and_counts(toy_edition, tmp_path):
    maps.save(maps.map_of(toy_edition), tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text("utf-8")
    assert "64 网格 grids · 256 微网格 micro-grids" in page
    assert "玩具市" in page


def test_names_and_items_cannot_end_the_script(toy_edition, tmp_path):
    units = dict(toy_edition.units)
    units["grid"] = units["grid"].assign(name=HOSTILE)
    units["county"] = units["county"].assign(name=HOSTILE)
    edition = Edition.of(replace(toy_edition.info, city=HOSTILE), units)
    map_ = maps.map_of(edition, microgrids_of=["411601"], incidents=incidents_of(edition))
    maps.save(map_, tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert page.count("</script>") == page.count("<script")
    assert "{ 7*7 }}" in page
    assert "49\\u0027" not in page
    assert ">49" not in page


def test_map_shows_in_a_notebook(toy_edition):
    assert "geogrid-canvas" in maps.map_of(toy_edition)._repr_html_()


def test_failed_save_keeps_the_old_map(toy_edition, tmp_path):
    with pytest.raises(DataError, match="no folder"):
        maps.save(maps.map_of(toy_edition), tmp_path / "missing" / "map.html")


@pytest.mark.parametrize("folder", ["geogrid/maps/assets/vendor", "geogrid/api/static/vendor"])
def test_vendored_files_are_unchanged(folder):
    vendor = Path(__file__).parents[1] / folder
    lines = (vendor / "SHA256SUMS").read_text().splitlines()
    listed = dict(line.split("  ")[::-1] for line in lines)
    present = {
        path.relative_to(vendor).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.glob("*/*")
    }
    assert present == listed
