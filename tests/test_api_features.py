"""OGC API Features against pandas, shapely and pyproj, and with GDAL as an independent client."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from geogrid.api.app import create_app
from geogrid.api.settings import Limits, Settings

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
ITEMS = "/collections/microgrid/items"
HTML = "text/html"


@pytest.fixture(scope="module")
def table(toy_edition) -> pd.DataFrame:
    return toy_edition.units["microgrid"]


def codes_of(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["numberReturned"] == len(found["features"])
    return [feature["id"] for feature in found["features"]]


def select(client, **asked) -> list[str]:
    asked = {name.replace("_", "-"): value for name, value in asked.items()}
    return codes_of(client.get(ITEMS, params={"limit": 1000, **asked}))


def test_landing_page_is_json_for_programs_and_the_map_for_people(client):
    for headers, params in (({"Accept": "application/json"}, {}), ({}, {"f": "json"})):
        landing = client.get("/", headers=headers, params=params)
        assert landing.headers["content-type"] == "application/json"
    rels = {link["rel"]: link["href"] for link in landing.json()["links"]}
    assert {"self", "service-desc", "service-doc", "conformance", "data"} <= set(rels)
    for rel in ("service-desc", "conformance", "data"):
        assert client.get(rels[rel]).status_code == 200
    page = client.get("/", headers={"Accept": "text/html,application/json;q=0.9"})
    assert "text/html" in page.headers["content-type"]


def test_collections_are_the_levels_with_their_links_answered(client, toy_edition):
    listed = client.get("/collections").json()["collections"]
    assert [each["id"] for each in listed] == list(toy_edition.units)
    for each in listed:
        assert each == client.get(f"/collections/{each['id']}").json()
        assert each["crs"][0] == "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
        assert each["storageCrs"] in each["crs"]
        for link in each["links"]:
            assert client.get(link["href"]).status_code == 200, link


def test_pages_follow_one_another_to_the_last_unit(client, table):
    seen, href = [], f"{ITEMS}?limit=100"
    sizes = []
    while href:
        answer = client.get(href)
        assert answer.json()["numberMatched"] == len(table)
        sizes.append(len(codes_of(answer)))
        seen += codes_of(answer)
        href = next((x["href"] for x in answer.json()["links"] if x["rel"] == "next"), None)
    assert sizes == [100, 100, 56]
    assert seen == table["code"].tolist()


def test_a_feature_holds_all_digits_and_all_properties(client, toy_edition, table):
    features = client.get(ITEMS, params={"limit": 300}).json()["features"]
    for feature, (_, row) in zip(features, table.iterrows(), strict=True):
        expected = {name: row[name] for name in table.columns if name != "geom"}
        assert feature["properties"] == expected
        # Equal, not nearly equal: neighbours keep their common vertices.
        assert shapely.equals_exact(
            shapely.normalize(shapely.geometry.shape(feature["geometry"])),
            shapely.normalize(row["geom"]),
        )
        assert shapely.geometry.shape(feature["geometry"]).exterior.is_ccw
    one = client.get(f"{ITEMS}/{features[3]['id']}").json()
    assert {key: one[key] for key in features[3]} == features[3]
    city = client.get("/collections/city/items").json()["features"][0]
    assert city["properties"]["parent"] is None
    assert city["id"] == toy_edition.units["city"]["code"].iat[0]


def test_axes_are_in_the_order_of_the_authority(client, table):
    """By hand: 114E, 33.6N is 500 km east by definition in zone 114E, and north before east."""
    code, polygon = table["code"].iat[0], table["geom"].iat[0]
    lon, lat = np.asarray(polygon.exterior.coords)[0]

    def first(crs: str) -> list[float]:
        answer = client.get(f"{ITEMS}/{code}", params={"crs": crs})
        assert answer.headers["content-crs"] == f"<{crs}>"
        ring = np.array(answer.json()["geometry"]["coordinates"][0])
        near = to_lonlat(crs, ring)
        return ring[np.abs(near - [lon, lat]).sum(axis=1).argmin()].tolist()

    def to_lonlat(crs: str, ring: np.ndarray) -> np.ndarray:
        way = pyproj.Transformer.from_crs(crs.replace(EPSG, "EPSG:"), "EPSG:4490")
        lat_lon = np.column_stack(way.transform(ring[:, 0], ring[:, 1]))
        return lat_lon[:, ::-1]

    assert first(f"{EPSG}4490") == pytest.approx([lat, lon], abs=1e-9)
    assert first(f"{EPSG}4326") == pytest.approx([lat, lon], abs=1e-9)
    north, east = first(f"{EPSG}4547")
    # GRS80: a meridian arc of 33.6 degrees is 3,719 km; 0.6 degree of longitude here is 55.7 km.
    assert 3_715_000 < north < 3_730_000
    assert 550_000 < east < 565_000
    x, y = first(f"{EPSG}3857")
    assert x == pytest.approx(np.radians(lon) * 6378137, abs=0.001)
    assert y == pytest.approx(6378137 * np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)), abs=0.001)


@pytest.mark.parametrize("code", ["4490", "4326", "4547", "3857"])
def test_a_box_in_another_system_finds_the_same(client, table, code):
    row = 117
    point = table["geom"].iat[row].representative_point()
    way = pyproj.Transformer.from_crs("EPSG:4490", f"EPSG:{code}")
    a, b = way.transform(point.y, point.x)
    found = select(client, bbox=f"{a!r},{b!r},{a!r},{b!r}", bbox_crs=EPSG + code)
    assert found == [table["code"].iat[row]]


degrees = st.floats(114.55, 114.70), st.floats(33.55, 33.70)


@given(*degrees, st.floats(0, 0.08), st.floats(0, 0.08))
def test_a_box_selects_what_shapely_does(client, table, west, south, width, height):
    east, north = west + width, south + height
    found = select(client, bbox=f"{west!r},{south!r},{east!r},{north!r}")
    if width and height:
        box = shapely.box(west, south, east, north)
    else:
        box = shapely.LineString([(west, south), (east, north)]) if width or height else None
        box = shapely.Point(west, south) if box is None else box
    assert found == table["code"][table.intersects(box)].tolist()


POINT = "POINT(114.62 33.62)"
AREA = "POLYGON((114.61 33.61, 114.63 33.612, 114.62 33.63, 114.61 33.61))"
FILTERS = {
    "households > 40": lambda t: t.households > 40,
    "households >= 40 AND households <> 41": lambda t: (t.households >= 40) & (t.households != 41),
    "households BETWEEN 20 AND 25": lambda t: t.households.between(20, 25),
    "households NOT BETWEEN 20 AND 25": lambda t: ~t.households.between(20, 25),
    "households + 2 * 3 < 30 OR households = 59": (
        lambda t: (t.households + 6 < 30) | (t.households == 59)
    ),
    "households IN (11, 12, 13)": lambda t: t.households.isin([11, 12, 13]),
    "NOT (households < 30)": lambda t: ~(t.households < 30),
    "code LIKE '41160101%'": lambda t: t.code.str.startswith("41160101"),
    "name LIKE '%2号'": lambda t: t.name.str.endswith("2号"),
    "name LIKE '%00_号'": lambda t: t.name.str.fullmatch(".*00.号"),
    "CASEI(kind) = CASEI('RURAL')": lambda t: t.kind == "rural",
    "parent IS NULL": lambda t: t.parent == "",
    "parent IS NOT NULL AND area_m2 / households > 2500": (
        lambda t: t.area_m2 / t.households > 2500
    ),
    "valid_from >= DATE('2026-01-01')": lambda t: t.valid_from >= "2026-01-01",
    "valid_from > DATE('2026-01-01')": lambda t: t.valid_from > "2026-01-01",
    "valid_from < TIMESTAMP('2026-01-01T00:00:00Z')": lambda t: t.valid_from == "2026-01-01",
    "households % 7 = 3": lambda t: t.households % 7 == 3,
    "households div 10 = 4": lambda t: t.households // 10 == 4,
    "households ^ 2 < 900": lambda t: t.households < 30,
    "code > '411602'": lambda t: t.code > "411602",
    "true": lambda t: t.households > 0,
    f"S_INTERSECTS(geometry, {POINT})": lambda t: t.intersects(shapely.from_wkt(POINT)),
    f"S_INTERSECTS({AREA}, geometry)": lambda t: t.intersects(shapely.from_wkt(AREA)),
    f"S_WITHIN(geometry, {AREA})": lambda t: t.within(shapely.from_wkt(AREA)),
    f"S_CONTAINS(geometry, {POINT})": lambda t: t.contains(shapely.from_wkt(POINT)),
    f"S_DISJOINT(geometry, {AREA})": lambda t: t.disjoint(shapely.from_wkt(AREA)),
    f"S_OVERLAPS(geometry, {AREA})": lambda t: t.overlaps(shapely.from_wkt(AREA)),
    "S_INTERSECTS(geometry, BBOX(114.61, 33.61, 114.62, 33.62)) AND households > 30": (
        lambda t: t.intersects(shapely.box(114.61, 33.61, 114.62, 33.62)) & (t.households > 30)
    ),
}


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_selects_what_pandas_does(client, table, text):
    mask = FILTERS[text](_Named(table))
    assert select(client, filter=text) == table["code"][mask].tolist()


class _Named:
    """Columns by attribute, `name` included; everything else is the frame's."""

    def __init__(self, frame):
        self._frame = frame

    def __getattr__(self, name):
        return self._frame[name] if name in self._frame.columns else getattr(self._frame, name)


def test_a_filter_may_be_json_and_in_another_system(client, table):
    row = 30
    point = table["geom"].iat[row].representative_point()
    way = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4547")
    north, east = way.transform(point.y, point.x)
    asked = {"op": "s_intersects", "args": [
        {"property": "geometry"}, {"type": "Point", "coordinates": [north, east]},
    ]}  # fmt: skip
    found = select(
        client, filter=json.dumps(asked), filter_lang="cql2-json", filter_crs=f"{EPSG}4547"
    )
    assert found == [table["code"].iat[row]]


def test_properties_are_parameters_too(client, table):
    parent = table["parent"].iat[9]
    assert select(client, parent=parent) == table["code"][table["parent"] == parent].tolist()
    assert select(client, households=41) == table["code"][table["households"] == 41].tolist()
    assert select(client, datetime="2025-12-31") == []
    assert len(select(client, datetime="2025-01-01T00:00:00Z/..")) == len(table)


BAD = (
    "bbox=1,2,3", "bbox=a,b,c,d", "bbox=3,1,2,4", "bbox=nan,1,2,4",
    "bbox=1,1,inf,4", "bbox=1,2,3,4&bbox-crs=EPSG:9999", "crs=nonsense",
    "bbox=1,1,2,4&bbox-crs=EPSG:99", "limit=0", "limit=-1",
    "limit=x", "limit=1e9", "unknown=1", "limit=1&limit=2", "datetime=yesterday",
    "datetime=2026-02-01/2026-01-01", "filter=households >", "filter=nothing = 1",
    "filter=code = 4", "filter=households LIKE 'a'", "filter=FOO(code) = 1",
    "filter=households", "filter=" + "(" * 30 + "a=1",
    "filter=" + "(" * 10 + "a=1" + ")" * 10,
    "filter=S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))",
    "filter=S_INTERSECTS(code, POINT(1 2))", "filter=a=1&filter-lang=sql",
    "filter={&filter-lang=cql2-json", "filter=[]&filter-lang=cql2-json",
    "filter=households > 1e999", "filter=T_AFTER(valid_from, DATE('2026-01-01'))",
    "filter=households IN ('a')", "filter=1", "filter=name IN (kind)",
    "filter=S_INTERSECTS(geometry, POINT EMPTY)", "filter=S_INTERSECTS(geometry, POLYGON EMPTY)",
    "filter=S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 1 0)))",
    "filter=S_INTERSECTS(geometry, CIRCULARSTRING(0 0, 1 1, 2 0))",
    "filter=S_INTERSECTS(geometry, POLYGON((170 30, -170 30, -170 40, 170 40, 170 30)))",
    "filter=S_INTERSECTS(geometry, LINESTRING(170 30, -170 30))",
    "filter=S_INTERSECTS(geometry, POINT(-245.35 33.6))",
    "filter=S_INTERSECTS(geometry, POINT(33.6 114.6))", "bbox=170,30,-170,34",
)  # fmt: skip


@pytest.mark.parametrize("query", BAD)
def test_what_cannot_be_answered_is_refused(client, query):
    answer = client.get(f"{ITEMS}?{query}")
    assert answer.status_code == 400, answer.text  # as OGC API Features asks
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["field"] == query.partition("=")[0] or "&" in query
    assert problem["field"] in problem["detail_en"]
    assert re.search("[\u4e00-\u9fff]", problem["detail_zh"])
    assert "参数不正确" not in problem["detail_zh"]


CHAINS = {
    "signs": "households > " + "-" * 7_000 + "1",
    "signs apart": "households > " + "- " * 3_900 + "1",
    "comparisons": "<".join("1" * 1_900),
    "powers": "households > " + "^".join("2" * 1_900),
    "negations": "NOT " * 1_900 + "households > 1",
    "sums": "households > " + "+".join("1" * 480),
    "brackets behind a quoted name": '"a\'" = 1 AND ' + "(" * 40 + "a = 1",
    "brackets in a text of JSON": '{"op": "=", "args": ["\\"", ' + "[" * 500 + '"]}',
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_filter_that_would_overturn_the_parser_is_refused_before(client, name):
    """Of 3,500 signs the parser ends the process; of brackets it takes for ever."""
    lang = "cql2-json" if "JSON" in name else "cql2-text"
    answer = client.get(ITEMS, params={"filter": CHAINS[name], "filter-lang": lang})
    assert (answer.status_code, answer.json()["field"]) == (400, "filter")


def test_many_alternatives_are_no_chain(client, table):
    codes = table["code"].tolist()[:200]
    either = " OR ".join(f"code = '{code}'" for code in codes)
    assert select(client, filter=either, limit=300) == codes
    days = ", ".join(["'2026-01-01'"] * 400)
    assert len(select(client, filter=f"valid_from IN ({days})", limit=300)) == len(table)


def test_heights_and_measures_of_a_geometry_are_left_out_of_account(client, table):
    inside = select(client, filter=f"S_INTERSECTS(geometry, {POINT})")
    assert len(inside) == 1
    for kind in ("Z", "M", "ZM"):
        given = f"POINT {kind}(114.62 33.62{' 7' * len(kind)})"
        assert select(client, filter=f"S_INTERSECTS(geometry, {given})") == inside


def test_the_whole_world_is_a_box(client, table):
    world = "POLYGON((-180 -90, 180 -90, 180 90, -180 90, -180 -90))"
    found = select(client, filter=f"S_INTERSECTS(geometry, {world})", limit=300)
    assert len(found) == len(table)
    assert len(select(client, bbox="-180,-90,180,90", limit=300)) == len(table)


@pytest.mark.parametrize(
    "path",
    ["/collections/none", "/collections/none/items", f"{ITEMS}/0", "/collections/none/queryables"],
)
def test_what_is_not_there_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_a_page_that_is_known_is_not_written_again(client):
    variants = ({"Accept-Encoding": "gzip"}, {"Accept-Encoding": "gzip;q=0"}, {"Accept": HTML})
    tags = set()
    for headers in variants:
        tag = client.get(ITEMS, headers=headers).headers["etag"]
        for told in (tag, f'W/{tag}, "other"', "*"):
            known = client.get(ITEMS, headers=headers | {"If-None-Match": told})
            assert (known.status_code, known.content) == (304, b"")
        tags.add(tag)
    assert len(tags) == len(variants)


def test_a_page_is_as_long_as_the_service_is_set_to(data, toy_file, table):
    given = Settings(edition=toy_file, limits=Limits(page=7))
    with TestClient(create_app(given, dataset=data)) as client:
        answer = client.get(ITEMS, params={"limit": 9000})
        assert codes_of(answer) == table["code"].tolist()[:7]
        assert answer.json()["numberMatched"] == len(table)
        for large in (10**9, 10**30):
            assert codes_of(client.get(ITEMS, params={"limit": large})) == codes_of(answer)
        (following,) = (x["href"] for x in answer.json()["links"] if x["rel"] == "next")
        assert codes_of(client.get(following)) == table["code"].tolist()[7:14]


@pytest.mark.parametrize(
    "path",
    ["/collections", "/collections/grid", "/collections/grid/queryables", ITEMS, "/conformance"],
)
def test_pages_for_people_hold_no_script_and_no_other_host(client, path):
    for lang, word in (("zh", "地图"), ("en", "Map")):
        headers = {"Accept": "text/html", "Accept-Language": lang}
        page = client.get(path, headers=headers)
        assert page.headers["content-type"].startswith("text/html")
        assert word in page.text
        assert "<script" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        hosts = [part for part in page.text.split('"') if part.startswith("http")]
        assert all(part.startswith("http://testserver/") for part in hosts)


def test_queryables_are_what_filters_may_name(client):
    listed = client.get("/collections/grid/queryables").json()["properties"]
    for name in set(listed) - {"geometry"}:
        answer = client.get("/collections/grid/items", params={"filter": f"{name} IS NOT NULL"})
        assert answer.json()["numberMatched"] == 64, name


@pytest.fixture(scope="module")
def address(toy_file):
    """A real server: GDAL speaks HTTP only."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(Settings(edition=toy_file))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(600):
        if server.started:
            break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")
def gdal() -> str:
    program = shutil.which("ogr2ogr")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no GDAL: CI must test the interface with it (apt-get install gdal-bin)")
        pytest.skip("no GDAL; install it (apt-get install gdal-bin) to test with another client")
    return program


def test_gdal_pages_through_every_unit(address, gdal, table, tmp_path):
    out = tmp_path / "units.geojson"
    subprocess.run(
        [gdal, "-q", "-f", "GeoJSON", str(out), f"OAPIF:{address}", "microgrid",
         "-oo", "PAGE_SIZE=100", "-lco", "COORDINATE_PRECISION=8"],
        check=True, timeout=60,
    )  # fmt: skip
    features = json.loads(out.read_text())["features"]
    assert [feature["properties"]["code"] for feature in features] == table["code"].tolist()
    shapes = np.array([shapely.geometry.shape(feature["geometry"]) for feature in features])
    assert shapely.coverage_is_valid(shapes)


def test_gdal_lists_the_collections(address, gdal):
    program = shutil.which("ogrinfo")
    listed = subprocess.run(
        [program, "-q", f"OAPIF:{address}"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert all(level in listed for level in ("county", "township", "village", "grid", "microgrid"))
