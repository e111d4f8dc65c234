"""Maps: what is packed is what the edition holds, and a saved map needs no other file."""

import base64
import gzip
import hashlib
import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import folium
import folium.plugins
import geopandas as gpd
import mapclassify
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import geogrid as gg
from geogrid import maps
from geogrid._kernels import arcs
from geogrid.codes import LEVELS
from geogrid.coverage.check import check
from geogrid.coverage.topology import Topology
from geogrid.edition import Edition, snap
from geogrid.errors import CoordinateError, DataError, UnknownCodeError, UsageError
from geogrid.maps.classes import UNPAINTED, classes_of
from geogrid.maps.compare import moved_borders
from geogrid.maps.layers import GridLayer, PointLayer
from geogrid.maps.payload import pack, packed

HOSTILE = "</script><script>alert(1)</script>{{ 7*7 }}'\"\\"


# ---- an independent reader of the packed form, byte by byte as docs/data-format.md says


def varints(data: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def signed(numbers: list[int]) -> list[int]:
    return [n // 2 if n % 2 == 0 else -(n + 1) // 2 for n in numbers]


def summed(numbers: list[int]) -> list[int]:
    return np.cumsum(signed(numbers)).tolist()


def sections(content: bytes) -> tuple[dict, dict[str, list[int]]]:
    raw = gzip.decompress(content)
    size = int.from_bytes(raw[:4], "little")
    header, at, found = json.loads(raw[4 : 4 + size]), 4 + size, {}
    for name, count, length in header["sections"]:
        found[name] = list(varints(raw[at : at + length]))
        assert len(found[name]) == count
        at += length
    assert at == len(raw)
    return header, found


def faces(content: bytes) -> list[list[list[tuple[int, int]]]]:
    """Rings of each micro-grid, as open lists of vertices in steps of web mercator."""
    header, found = sections(content)
    pairs = np.array(signed(found["xy"])).reshape(-1, 2).cumsum(axis=0) + header["origin"]
    vertices = iter(map(tuple, pairs.tolist()))
    lines = [[next(vertices) for _ in range(size + 2)] for size in found["arc_sizes"]]
    along, seen, rings = set(summed(found["along"])), 0, []
    refs = iter(enumerate(found["refs"]))
    for size in found["ring_sizes"]:
        ring = []
        for place, ref in (next(refs) for _ in range(size)):
            if ref == 0:
                line, seen = lines[seen], seen + 1
            else:
                line = lines[seen - ref] if place in along else lines[seen - ref][::-1]
            assert not ring or ring[-1] == line[0]
            ring += line if not ring else line[1:]
        assert ring[0] == ring[-1]
        rings.append(ring[:-1])
    rest = iter(rings)
    return [[next(rest) for _ in range(n)] for n in found["unit_rings"]]


def texts(content: bytes, level: str) -> tuple[list[str], list[str]]:
    """Codes and names of a level's units."""
    header, found = sections(content)
    parents_codes, parents_names = [""], [""]
    for each in header["levels"]:
        own = lambda column, level=each["level"]: found[f"{level}.{column}"]  # noqa: E731
        rows = zip(summed(own("parents")), own("serials"), own("suffix"), strict=True)
        codes, names = [], []
        for row, (parent, serial, suffix) in enumerate(rows):
            code = parents_codes[parent] + str(serial).zfill(each["width"])
            codes.append(each["codes"].get(str(row), code))
            name = each["suffixes"][suffix].replace("\ue000", parents_names[parent])
            names.append(name.replace("\ue001", str(serial)))
        if each["level"] == level:
            return codes, names
        parents_codes, parents_names = [*codes, ""], [*names, ""]
    raise AssertionError(level)


def mercator(polygon: shapely.Polygon) -> list[list[tuple[int, int]]]:
    """Rings of a polygon in pixels of zoom 18, by the textbook's formula."""
    rings = []
    for ring in [polygon.exterior, *polygon.interiors]:
        lon, lat = np.array(ring.coords[:-1]).T
        y = 0.5 - np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)) / (2 * np.pi)
        steps = np.rint(np.column_stack([lon / 360 + 0.5, y]) * 256 * 2**18).astype(int)
        rings.append([tuple(step) for step in steps.tolist()])
    return rings


def same_ring(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> bool:
    """Equal vertices in the same cyclic order, in either direction, from any start."""
    if len(one) != len(other) or not one:
        return len(one) == len(other)
    doubled = other + other
    return any(
        one == doubled[k : k + len(one)] or one == doubled[k : k + len(one)][::-1]
        for k in range(len(other))
    )


def without_repeats(ring: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [vertex for k, vertex in enumerate(ring) if vertex != ring[k - 1]]


def changed(edition: Edition, level: str, table: gpd.GeoDataFrame) -> Edition:
    return Edition.of(edition.info, {**edition.units, level: table})


def incidents_of(edition: Edition) -> gpd.GeoDataFrame:
    grids = edition.units["grid"].head(5)
    return gpd.GeoDataFrame(
        {"id": range(5), "item": HOSTILE, "grid_code": grids["code"]},
        geometry=[*grids.geometry.representative_point()[:4], None],
        crs="EPSG:4490",
    )


def layers(map_: folium.Map, kind: type) -> list:
    return [each for each in map_._children.values() if isinstance(each, kind)]


# ---- the packed form


@settings(max_examples=15)
@given(
    dropped=st.sets(st.integers(0, 255), max_size=40),
    shrunk=st.sampled_from([1, 7, 100, 3000]),
)
def test_every_face_comes_back_at_the_step_of_the_payload(toy_edition, dropped, shrunk):
    """Whole, with gaps, and so small that vertices fall on one step."""
    table = toy_edition.units["microgrid"].drop(index=list(dropped)).reset_index(drop=True)
    middle = np.array([114.62, 33.62])
    smaller = shapely.transform(
        table.geometry.to_numpy(), lambda xy: middle + (xy - middle) / shrunk
    )
    table = table.set_geometry(gpd.GeoSeries(snap(smaller), crs=table.crs))
    found = faces(pack(changed(toy_edition, "microgrid", table)))
    for polygon, rings in zip(table.geometry, found, strict=True):
        (expected,) = mercator(polygon)
        assert same_ring(without_repeats(rings[0]), without_repeats(expected))


@pytest.mark.parametrize("turned", [False, True])
def test_islands_holes_and_turned_rings_come_back(toy_edition, turned):
    """
    +-----------+
    | +---+     |   the island fills the hole, and a part of the outer unit lies apart
    | |   |     |
    | +---+     | ++
    +-----------+ ++
    """
    island = shapely.box(114.4, 33.4, 114.6, 33.6)
    around = shapely.box(114, 33, 115, 34).difference(island)
    apart = shapely.box(115.1, 33, 115.2, 33.1)
    table = toy_edition.units["microgrid"].iloc[:2].copy()
    shapes = [shapely.MultiPolygon([around, apart]), island]
    table["geom"] = [shapely.reverse(each) for each in shapes] if turned else shapes
    outer, inner = faces(pack(changed(toy_edition, "microgrid", table)))
    parts = [*mercator(around), *mercator(apart)]
    assert len(outer) == 3
    for ring in parts:
        assert any(same_ring(ring, each) for each in outer)
    assert same_ring(inner[0], mercator(island)[0])


def test_borders_are_packed_once(toy_edition):
    found = sections(pack(toy_edition))[1]
    topology = Topology.of(toy_edition.units["microgrid"].geometry.to_numpy())
    assert len(found["arc_sizes"]) == len(topology)
    assert found["refs"].count(0) == len(topology)


@pytest.mark.parametrize("level", LEVELS)
def test_codes_and_names_come_back(toy_edition, level):
    codes, names = texts(pack(toy_edition), level)
    assert codes == toy_edition.units[level]["code"].tolist()
    assert names == toy_edition.units[level]["name"].tolist()


def test_codes_that_do_not_follow_their_parent_come_back(toy_edition):
    grids = toy_edition.units["grid"].copy()
    grids.loc[3, "code"] = "9X"
    grids.loc[5, "parent"] = "no such village"
    grids["name"] = [f"{code[-3:]}号 \ue000" for code in grids["code"]]
    edition = changed(toy_edition, "grid", grids)
    codes, names = texts(pack(edition), "grid")
    assert codes == edition.units["grid"]["code"].tolist()
    assert names == [
        name.replace("\ue000", "\ufffd") for name in edition.units["grid"]["name"].tolist()
    ]


def test_names_made_of_the_parents_name_and_the_serial_share_one_ending(toy_edition):
    grids = toy_edition.units["grid"].copy()
    villages = toy_edition.units["village"].set_index("code")["name"]
    grids["name"] = villages[grids["parent"]].to_numpy() + "第" + grids["code"].str[-1] + "网格"
    header, _ = sections(pack(changed(toy_edition, "grid", grids)))
    assert header["levels"][LEVELS.index("grid")]["suffixes"] == ["\ue000第\ue001网格"]


def test_payload_is_made_once_for_an_edition(toy_edition):
    assert packed(toy_edition) is packed(toy_edition)
    again = changed(toy_edition, "city", toy_edition.units["city"].assign(name="别的市"))
    assert packed(again) != packed(toy_edition)


def test_places_half_round_the_world_are_refused(toy_edition):
    table = toy_edition.units["microgrid"].copy()
    table.loc[0, "geom"] = shapely.box(1, 1, 2, 2)
    with pytest.raises(CoordinateError, match="21 degrees"):
        pack(changed(toy_edition, "microgrid", table))


@pytest.mark.parametrize("name", ["cut", "deltas", "varints"])
def test_kernels_do_the_same_compiled_and_not(toy_edition, name, monkeypatch):
    rings = toy_edition.rings("microgrid")
    starts = rings.starts[:41]
    vertices = np.unique(rings.xy[: starts[-1]], axis=0, return_inverse=True)[1].astype(np.int64)
    rng = np.random.default_rng(1)
    given_ = {
        "cut": (vertices, starts),
        "deltas": (*rng.integers(0, 3, (2, 60)), np.array([0, 2, 30, 60])),
        "varints": (rng.integers(0, 2**40, 99) >> rng.integers(0, 40, 99),),
    }[name]
    compiled = getattr(arcs, name)(*given_)
    for helper in ("_numbered", "_nodes", "_slot", "_mixed"):
        monkeypatch.setattr(arcs, helper, getattr(arcs, helper).py_func)
    with np.errstate(over="ignore"):
        plain = getattr(arcs, name).py_func(*given_)
    pairs = zip(compiled, plain, strict=True) if isinstance(plain, tuple) else [(compiled, plain)]
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)


def test_varints_are_those_of_the_standard_reader():
    numbers = np.array([0, 1, 127, 128, 300, 2**21, 2**31 - 1, 2**40])
    assert list(varints(arcs.varints(numbers).tobytes())) == numbers.tolist()


# ---- classes


def test_numbers_are_classed_about_equally(toy_edition):
    classes = classes_of(toy_edition, "households", "grid")
    households = toy_edition.units["grid"]["households"].to_numpy()
    assert (np.diff(classes.values[np.argsort(households)].astype(int)) >= 0).all()
    assert np.ptp(np.bincount(classes.values)) <= 6
    assert len(classes.fills) == len(classes.labels) == 6


def test_equal_numbers_make_one_class(toy_edition):
    table = toy_edition.units["grid"].assign(households=5)
    classes = classes_of(changed(toy_edition, "grid", table), "households", "grid")
    assert set(classes.values) == {0}
    assert classes.labels == ("5",)


def test_column_colours_the_micro_grids_unless_a_level_is_named(toy_edition):
    assert classes_of(toy_edition, "households").level == "microgrid"
    assert classes_of(toy_edition, "area_m2", "village").level == "village"


def test_series_colours_the_level_of_its_codes_and_hatches_the_rest(toy_edition):
    codes = toy_edition.units["grid"]["code"]
    series = pd.Series([3.5, 1.0, np.nan], index=codes[[7, 0, 2]], name="每户事件")
    classes = classes_of(toy_edition, series)
    assert classes.level == "grid"
    assert classes.heading == "每户事件"
    assert classes.values[7] == 1
    assert classes.values[0] == 0
    unknown = {int(classes.values[row]) for row in range(64) if row not in (0, 7)}
    assert unknown == set(classes.hatched)
    assert classes.labels[unknown.pop()] == "无数据 No data"


def test_warnings_have_their_own_colours_even_if_some_do_not_occur(toy_edition):
    codes = toy_edition.units["grid"]["code"]
    classes = classes_of(toy_edition, pd.Series(["red", "none"], index=codes[:2]))
    assert len(classes.fills) == 6
    assert classes.labels[4] == "红 red"
    assert classes.values[:3].tolist() == [4, 0, 5]
    assert classes.hatched == (5,)


def test_texts_are_categories(toy_edition):
    table = toy_edition.units["grid"].assign(kind=["urban", "rural"] * 32)
    classes = classes_of(changed(toy_edition, "grid", table), "kind", "grid")
    assert classes.labels == ("农村 Rural", "城市社区 Urban")
    assert classes.values[:2].tolist() == [1, 0]


def test_balance_compares_with_the_mean_of_the_parents_units(toy_edition):
    """Four grids of a village with 10, 10, 20 and 40 households: mean 20."""
    table = toy_edition.units["grid"].copy()
    first = table["parent"] == table["parent"][0]
    table.loc[first, "households"] = [10, 17, 13, 40]
    table.loc[table["parent"] == table["parent"].iloc[-1], "households"] = 0
    classes = classes_of(changed(toy_edition, "grid", table), "balance")
    assert classes.level == "grid"
    assert classes.values[first.to_numpy()].tolist() == [1, 2, 1, 4]
    assert classes.labels[int(classes.values[-1])] == "无数据 No data"


def test_classification_of_mapclassify_is_taken(toy_edition):
    households = toy_edition.units["village"]["households"]
    classifier = mapclassify.EqualInterval(households, k=3)
    classes = classes_of(toy_edition, classifier)
    assert classes.level == "village"
    assert classes.values.tolist() == classifier.yb.tolist()


@pytest.mark.parametrize(
    ("colour", "level", "message"),
    [
        ("households", "street", r"level 'street': expected auto, city"),
        ("population", "auto", r"color='population': expected balance, a column"),
        ("parent", "microgrid", r"64 different texts"),
        ("balance", "city", r"the city has no neighbours"),
        (pd.Series([], dtype=float), "auto", r"the Series is empty"),
        (pd.Series([1, 2], index=["a", "a"]), "auto", r"code a is there more than once"),
        (mapclassify.EqualInterval(np.arange(9.0), k=3), "auto", r"9 values; the levels have"),
    ],
)
def test_what_cannot_colour_a_map_is_refused(toy_edition, colour, level, message):
    with pytest.raises(UsageError, match=message):
        classes_of(toy_edition, colour, level)


def test_unknown_codes_are_refused_with_an_example(toy_edition):
    codes = [*toy_edition.units["grid"]["code"][:3], "411699001001001"]
    with pytest.raises(UnknownCodeError, match=r"1 of 4 codes are no grid .*411699001001001"):
        classes_of(toy_edition, pd.Series(1.0, index=codes))


def test_whole_numbers_of_unpainted_units_fit_a_byte(toy_edition):
    assert classes_of(toy_edition, "kind").values.max() < UNPAINTED


# ---- maps and pages


def test_map_of_a_city_holds_all_its_micro_grids(toy_edition):
    (layer,) = layers(maps.map_of(toy_edition), GridLayer)
    assert len(layer.classes.values) == 256


def test_incidents_without_a_place_are_left_out(toy_edition):
    map_ = maps.map_of(toy_edition, incidents=incidents_of(toy_edition))
    (points,) = layers(map_, PointLayer)
    assert len(points.payload["codes"]) == 4
    assert len(points.payload["xy"]) == 8


def test_incidents_without_a_crs_are_refused(toy_edition):
    table = incidents_of(toy_edition).set_crs(None, allow_override=True)
    with pytest.raises(DataError, match="no coordinate reference system"):
        maps.map_of(toy_edition, incidents=table)


def test_findings_are_points_worst_first_with_both_messages(toy_edition):
    units = dict(toy_edition.units)
    units["microgrid"] = units["microgrid"].drop(index=100)
    broken = Edition.of(toy_edition.info, units)
    findings = check(broken)
    (points,) = layers(maps.coverage_map(broken, findings), PointLayer)
    placed = [each for each in findings if each.point is not None]
    assert placed
    assert len(points.payload["names"]) == len(placed)
    assert points.payload["classes"] == sorted(points.payload["classes"])
    first = next(each for each in placed if each.severity == "error")
    assert points.payload["notes"][0] == f"{first.message_zh} {first.message_en}"
    assert points.payload["xy"][:2] == pytest.approx(first.point, abs=1e-6)


def test_warnings_may_be_the_table_of_the_statistics(toy_edition):
    codes = toy_edition.units["grid"]["code"]
    table = pd.DataFrame({"code": codes, "warning": "none"})
    table.loc[0, "warning"] = "red"
    (layer,) = layers(maps.warning_map(toy_edition, table), GridLayer)
    assert layer.classes.values[:2].tolist() == [4, 0]
    with pytest.raises(UsageError, match=r"warning 'green': expected none, blue"):
        maps.warning_map(toy_edition, pd.Series(["green"], index=codes[:1]))


def test_comparison_marks_the_borders_that_moved(toy_edition):
    """Two micro-grids side by side are joined: their common border goes, nothing else changes."""
    table = toy_edition.units["microgrid"]
    pairs, _ = Topology.of(table.geometry.to_numpy()).adjacency("EPSG:4547")
    one, other = next(
        pair for pair in pairs.tolist()
        if pair[0] >= 0 and table["parent"][pair[0]] == table["parent"][pair[1]]
    )  # fmt: skip
    joined = table.drop(index=other).copy()
    joined.loc[one, "geom"] = shapely.union(table.geom[one], table.geom[other])
    new = changed(toy_edition, "microgrid", joined)
    gone, added = moved_borders(toy_edition, new)
    common = shapely.intersection(table.geom[one], table.geom[other])
    length = sum(shapely.LineString(np.reshape(line, (-1, 2))).length for line in gone)
    assert length == pytest.approx(common.length, rel=1e-3)
    assert moved_borders(new, toy_edition) == (added, gone)
    assert not added
    before = layers(maps.compare_map(toy_edition, new), GridLayer)[1]
    assert len(before.classes.values) == 2


def test_comparison_with_itself_is_empty(toy_edition, tmp_path):
    assert moved_borders(toy_edition, toy_edition) == ([], [])
    maps.compare_map(toy_edition, toy_edition).save(tmp_path / "same.html")


def test_imagery_lies_under_the_units_in_place(toy_edition, tmp_path):
    west, south, east, north = toy_edition.units["city"].total_bounds
    pixels = np.zeros((3, 256, 256), np.uint8)
    pixels[0, :128] = 255  # the northern half is red
    options = {"driver": "GTiff", "width": 256, "height": 256, "count": 3, "dtype": "uint8"}
    options["transform"] = rasterio.Affine(
        (east - west) / 256, 0, west, 0, (south - north) / 256, north
    )
    with rasterio.open(tmp_path / "image.tif", "w", crs="EPSG:4490", **options) as file:
        file.write(pixels)
    map_ = maps.map_of(toy_edition, imagery=tmp_path / "image.tif")
    (picture,) = layers(map_, folium.raster_layers.ImageOverlay)
    (low_lat, low_lon), (high_lat, high_lon) = picture.bounds
    assert (low_lon, high_lon) == pytest.approx((west, east), abs=1e-4)
    assert (low_lat, high_lat) == pytest.approx((south, north), abs=1e-4)
    assert picture.url.startswith("data:image/jpeg;base64,")
    map_.save(tmp_path / "map.html")


def test_same_map_is_the_same_file(toy_edition, tmp_path):
    for name in ("a.html", "b.html"):
        maps.map_of(toy_edition, incidents=incidents_of(toy_edition)).save(tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_saved_map_asks_no_host_and_no_other_file(toy_edition, tmp_path):
    path = tmp_path / "map.html"
    maps.map_of(toy_edition).save(path)
    page = path.read_text("utf-8")
    assert not re.findall(r"<script[^>]*\bsrc|<link|@import|<img", page)
    assert not [
        url
        for url in re.findall(r"url\(([^)]*)", page)
        if "data:" not in url and url[0] in "\"'hi/"
    ]
    assert "sourceMappingURL" not in page
    assert "jQuery" not in page


def test_popup_brings_what_it_needs(toy_edition):
    map_ = maps.map_of(toy_edition)
    folium.Marker([33.6, 114.6], popup="一号点").add_to(map_)
    assert "jQuery" in maps.offline(map_)


def test_plain_folium_map_with_a_grid_layer_is_saved_offline(toy_edition, tmp_path):
    map_ = folium.Map(tiles=None)
    GridLayer(toy_edition, color="balance").add_to(map_)
    maps.save(map_, tmp_path / "map.html")
    assert not re.findall(r"<script[^>]*\bsrc|<link", (tmp_path / "map.html").read_text("utf-8"))


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (folium.TileLayer(), r"TileLayer from tile\.openstreetmap\.org.*hosts="),
        (
            folium.raster_layers.ImageOverlay(
                "https://pictures.test/a.png", [[33, 114], [34, 115]]
            ),
            r"ImageOverlay from pictures\.test",
        ),
        (folium.plugins.MarkerCluster(), r"leaflet\.markercluster\.js from cdnjs"),
    ],
)
def test_what_needs_another_host_is_refused_by_name(toy_edition, tmp_path, element, message):
    map_ = maps.map_of(toy_edition)
    element.add_to(map_)
    with pytest.raises(UsageError, match=message):
        map_.save(tmp_path / "map.html")
    assert not (tmp_path / "map.html").exists()


def test_hosts_of_the_own_network_may_be_named(toy_edition, tmp_path):
    map_ = maps.map_of(toy_edition)
    folium.TileLayer("http://tiles.office.test/{z}/{x}/{y}.png", attr="office").add_to(map_)
    map_.save(tmp_path / "map.html", hosts=["tiles.office.test"])
    assert "tiles.office.test" in (tmp_path / "map.html").read_text("utf-8")


def test_saved_map_says_city_and_counts(toy_edition, tmp_path):
    maps.map_of(toy_edition).save(tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text("ascii")  # a browser holds it at a byte a character
    for said in ("64 网格 grids · 256 微网格 micro-grids", "玩具市"):
        assert json.dumps(said).strip('"') in page


def test_names_and_items_cannot_end_the_script(toy_edition, tmp_path):
    units = dict(toy_edition.units)
    units["grid"] = units["grid"].assign(name=HOSTILE, kind=HOSTILE)
    units["county"] = units["county"].assign(name=HOSTILE)
    edition = Edition.of(replace(toy_edition.info, city=HOSTILE, id=HOSTILE), units)
    map_ = maps.map_of(edition, color="kind", level="grid", incidents=incidents_of(edition))
    map_.save(tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert page.count("</script>") == page.count("<script")
    assert "{ 7*7 }}" in page
    assert "49\\u0027" not in page
    assert ">49" not in page


def test_map_and_edition_show_in_a_notebook(toy_edition):
    for shown in (maps.map_of(toy_edition), toy_edition):
        frame = shown._repr_html_()
        assert frame.startswith("<iframe srcdoc=")
        page = html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1])
        assert packed(toy_edition) in page
        assert not re.findall(r"<script[^>]*\bsrc|<link", page)


def test_public_names_are_reached_from_the_package():
    assert gg.map is maps.map_of
    assert gg.maps.coverage_map is maps.coverage_map
    assert all(getattr(maps, name) is not None for name in maps.__all__)
    with pytest.raises(AttributeError, match="maps_of"):
        _ = maps.maps_of


def test_showing_a_map_does_not_wait_for_what_it_does_not_need():
    script = (
        "import sys, geogrid as gg; gg.map, gg.maps.widget, gg.maps.classes_of; "
        "slow = {'matplotlib', 'mapclassify', 'sklearn', 'scipy.stats', 'rasterio'}; "
        "sys.exit(' '.join(slow & set(sys.modules)) or 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ran.stderr.strip() == ""
    assert ran.returncode == 0


def test_no_map_and_no_picture_needs_pyplot():
    """It chooses a backend by the screen and keeps every figure in memory."""
    script = "import sys, geogrid.maps.pictures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_widget_recolours_without_sending_geometry(toy_edition, monkeypatch):
    shown = gg.maps.widget(toy_edition)
    assert gzip.decompress(shown.payload) == gzip.decompress(pack(toy_edition))
    assert len(shown.classes) == 256
    sent = []
    monkeypatch.setattr(shown, "send_state", lambda key=None: sent.extend(key or []))
    shown.recolour("balance", "village")
    assert len(shown.classes) == 16
    assert shown.style["level"] == "village"
    assert set(sent) == {"classes", "style"}


def test_widget_without_anywidget_says_what_to_install(toy_edition, monkeypatch):
    monkeypatch.setattr("geogrid.maps.notebook.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"geogrid\[jupyter\]"):
        gg.maps.widget(toy_edition)


def test_classes_in_the_page_are_those_of_the_layer(toy_edition):
    layer = GridLayer(toy_edition)
    packed_classes = re.search(r'"classes": "([^"]*)"', layer.script_values)[1]
    assert gzip.decompress(base64.b64decode(packed_classes)) == layer.classes.values.tobytes()


def test_failed_save_keeps_the_old_map(toy_edition, tmp_path):
    with pytest.raises(DataError, match="no folder"):
        maps.map_of(toy_edition).save(tmp_path / "missing" / "map.html")


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
