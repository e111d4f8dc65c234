"""The HTTP service: answers, errors in one shape, tiles and pages, without opening a port."""

import json
import re
from pathlib import Path

import cv2
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.shutil
import shapely
from conftest import build_toy_edition
from fastapi.testclient import TestClient
from rasterio.transform import from_bounds, from_origin

import geogrid.api
from geogrid import store
from geogrid.api import pages
from geogrid.api.app import create_app
from geogrid.api.imagery import Imagery
from geogrid.api.settings import Settings
from geogrid.datums import Datum
from geogrid.edition import to_degrees, to_world
from geogrid.errors import DataError, ImageryError
from geogrid.locate import Locator, locate_file
from geogrid.tiles import MIN_ZOOMS, TileSet

# rasterio 1.4 multiplies transforms in the way that affine 3.1 discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

INSIDE = {"lon": 114.62, "lat": 33.62}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def imagery_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bands over the western half of the city."""
    path = tmp_path_factory.mktemp("imagery") / "image.tif"
    profile = {
        "driver": "GTiff", "width": 256, "height": 512, "count": 3, "dtype": "uint8",
        "crs": "EPSG:4326", "transform": from_bounds(114.60, 33.60, 114.624, 33.648, 256, 512),
        "tiled": True, "blockxsize": 128, "blockysize": 128,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.full((3, 512, 256), 120, np.uint8))
    return path


@pytest.fixture(scope="module")
def client(toy_file: Path):
    with TestClient(
        create_app(Settings(edition=toy_file)), raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def client_with_imagery(toy_file: Path, imagery_file: Path):
    with TestClient(create_app(Settings(edition=toy_file, imagery=imagery_file))) as client:
        yield client


@pytest.fixture(scope="module")
def tile(client: TestClient) -> str:
    """Address of the tile of zoom 12 in the middle of the city."""
    x, y = (to_world(np.array([[114.62, 33.62]]))[0] * (1 << 12)).astype(int).tolist()
    return f"/tiles/12/{x}/{y}.mvt"


def problem_of(response) -> dict:
    """Return the problem document; it has the one shape that all errors have."""
    assert response.headers["content-type"] == PROBLEM
    problem = response.json()
    assert {"type", "title", "status", "code", "detail", "detail_zh"} <= set(problem)
    assert problem["status"] == response.status_code
    assert re.search("[\u4e00-\u9fff]", problem["detail_zh"])
    return problem


# Locate


def test_a_position_is_answered_as_the_locator_does_with_its_chain(client, toy_edition):
    found = Locator(toy_edition).locate(np.array([[114.62, 33.62]]), datum=Datum.GCJ02, edges=True)
    answer = client.get("/v1/locate", params=INSIDE | {"datum": "gcj02"}).json()
    assert answer["status"] == "hit"
    assert answer["microgrid_code"] == found.microgrid_code[0]
    assert answer["grid_code"] == found.grid_code[0]
    assert answer["neighbour_code"] == found.neighbour_code[0]
    assert answer["edge_m"] == pytest.approx(found.edge_m[0], abs=0.01)
    assert answer["datum"] == "gcj02"
    assert answer["edition"] == "toy"
    levels = [link["level"] for link in answer["chain"]]
    assert levels == ["city", "county", "township", "village", "grid", "microgrid"]
    for link in answer["chain"]:
        assert answer["microgrid_code"].startswith(link["code"])
        assert link["name"] == f"{link['code']}号"


def test_a_vertex_of_the_coverage_is_on_an_edge(client, toy_edition):
    lon, lat = toy_edition["microgrid"].geom.iat[100].exterior.coords[0]
    place = {"lon": repr(lon), "lat": repr(lat), "datum": "cgcs2000"}
    answer = client.get("/v1/locate", params=place).json()
    assert answer["on_edge"] is True
    assert answer["edge_m"] == 0


def test_a_position_outside_the_city_is_an_answer_not_an_error(client):
    response = client.get("/v1/locate", params={"lon": 113, "lat": 33.6, "datum": "wgs84"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "outside"
    assert answer["grid_code"] is answer["microgrid_code"] is answer["edge_m"] is None
    assert answer["chain"] == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"datum": None}, "missing", "datum"),
        ({"datum": "wgs-84"}, "unknown_datum", "datum"),
        ({"lon": None}, "missing", "lon"),
        ({"lon": "nan"}, "finite_number", "lon"),
        ({"lat": "-inf"}, "finite_number", "lat"),
        ({"lat": "1e999"}, "finite_number", "lat"),
        ({"lon": "abc"}, "float_parsing", "lon"),
        ({"lon": 500}, "out_of_range", "lon"),
        ({"lat": -91}, "out_of_range", "lat"),
        ({"lon": 33.62, "lat": 114.62}, "swapped", "lon"),
    ],
)
def test_a_position_that_cannot_be_right_is_refused_by_field(client, change, code, field):
    asked = INSIDE | {"datum": "wgs84"} | change
    asked = {name: value for name, value in asked.items() if value is not None}
    response = client.get("/v1/locate", params=asked)
    problem = problem_of(response)
    assert (response.status_code, problem["code"], problem["field"]) == (422, code, field)


def test_a_missing_datum_is_told_with_the_choices_and_whom_to_ask(client):
    for path in ("/v1/locate", "/v1/convert"):
        problem = problem_of(client.get(path, params=INSIDE))
        for text in (problem["detail"], problem["detail_zh"]):
            assert all(datum.value in text for datum in Datum)
        assert "ask whoever supplied" in problem["detail"]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/collections/street", "village, grid, microgrid"),
        ("/collections/street/items", "village, grid, microgrid"),
        ("/collections/street/tiles", "village, grid, microgrid"),
        ("/collections/city/tiles/WebMercatorQuad/1/0/0", "county, township"),
        ("/tileMatrixSets/street", "WebMercatorQuad"),
        ("/tiles/0123456789abcdef-0.1/1/0/0.mvt", "/tiles.json"),
        ("/v1/coverage/findings?level=street", "'village', 'grid'"),
        ("/v1/units/999", "/v1/search"),
        ("/collections/grid/items/999", "/v1/search"),
        ("/street", "/docs"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(client, path, known):
    problem = problem_of(client.get(path))
    assert problem["status"] in (404, 410, 422)
    assert known in problem["detail"]
    assert known in problem["detail_zh"]


def test_another_method_is_told_with_those_there_are(client):
    response = client.put("/v1/jobs/x")
    problem = problem_of(response)
    assert (problem["status"], response.headers["allow"]) == (405, "DELETE, GET, HEAD")
    assert "DELETE, GET" in problem["detail"]
    assert "DELETE, GET" in problem["detail_zh"]


def test_a_swapped_pair_is_named_the_right_way_round(client):
    asked = {"lon": 33.62, "lat": 114.62, "datum": "wgs84"}
    problem = problem_of(client.get("/v1/locate", params=asked))
    assert "114.6200000, 33.6200000" in problem["detail"]
    assert "114.6200000, 33.6200000" in problem["detail_zh"]


# Batch


def test_a_batch_keeps_the_order_and_gives_each_row_a_status(client):
    rows = {"lon": [114.62, 113, None, 33.62, 700], "lat": [33.62, 33.6, 33.6, 114.62, 1]}
    answer = client.post("/v1/locate/batch", json=rows | {"datum": "wgs84"}).json()
    expected = ["hit", "outside", "no_coordinates", "swapped", "out_of_range"]
    assert answer["status"] == expected
    single = client.get("/v1/locate", params=INSIDE | {"datum": "wgs84"}).json()
    for column in ("grid_code", "microgrid_code", "edge_m", "neighbour_code"):
        assert answer[column] == [single[column], None, None, None, None]


def test_a_batch_agrees_with_shapely(client, toy_edition):
    rng = np.random.default_rng(5)
    xy = rng.uniform([114.59, 33.59], [114.66, 33.66], (2000, 2)).round(6)
    body = {"lon": xy[:, 0].tolist(), "lat": xy[:, 1].tolist(), "datum": "cgcs2000"}
    answer = client.post("/v1/locate/batch", json=body).json()
    table = toy_edition["microgrid"]
    point, row = shapely.STRtree(table.geom).query(shapely.points(xy), predicate="intersects")
    expected = dict(zip(point.tolist(), table.code.iloc[row], strict=True))
    assert answer["microgrid_code"] == [expected.get(k) for k in range(len(xy))]


def test_one_by_one_columns_files_and_http_give_one_answer(client, toy_edition, tmp_path):
    """Positions anywhere, on vertices, and nowhere."""
    rng = np.random.default_rng(6)
    vertices = to_degrees(toy_edition.rings("microgrid").xy)
    anywhere = rng.uniform([114.59, 33.59], [114.66, 33.66], (900, 2)).round(8)
    xy = np.vstack([anywhere, rng.permutation(vertices)[:100]])
    locator = Locator(toy_edition)
    codes = locator.locate(xy, datum="cgcs2000").microgrid_code.tolist()
    assert [locator.find(*pair, datum="cgcs2000")[0] for pair in xy.tolist()] == codes
    table = pd.DataFrame({"lon": xy[:, 0], "lat": xy[:, 1]})
    table.to_csv(tmp_path / "in.csv", index=False)
    table.to_parquet(tmp_path / "in.parquet")
    for kind in ("csv", "parquet"):
        locate_file(locator, tmp_path / f"in.{kind}", tmp_path / f"out.{kind}", datum="cgcs2000")
    written = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert written.microgrid_code.tolist() == codes
    assert pd.read_parquet(tmp_path / "out.parquet").microgrid_code.tolist() == codes
    body = table.to_dict("list") | {"datum": "cgcs2000"}
    answer = client.post("/v1/locate/batch", json=body).json()
    assert [code or "" for code in answer["microgrid_code"]] == codes
    for k in range(850, 950):
        asked = {"lon": xy[k, 0], "lat": xy[k, 1], "datum": "cgcs2000"}
        response = client.get("/v1/locate", params=asked)
        found = response.json().get("microgrid_code") or ""
        assert found == codes[k]


def test_more_than_ten_thousand_positions_are_too_many(client):
    column = [1.0] * 10_001
    body = {"lon": column, "lat": column, "datum": "wgs84"}
    response = client.post("/v1/locate/batch", json=body)
    assert response.status_code == 413
    assert problem_of(response)["code"] == "too_many_positions"
    body = {"lon": column[1:], "lat": column[1:], "datum": "wgs84"}
    assert client.post("/v1/locate/batch", json=body).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_refused_before_it_is_read(client, chunked):
    chunks = [b"[" * 1_000_000] * 3
    response = client.post(
        "/v1/locate/batch",
        content=iter(chunks) if chunked else b"".join(chunks),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 413
    problem_of(response)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"lon": [1], "lat": [], "datum": "wgs84"}', 422),
        (b'{"lon": [1], "lat": [1]}', 422),
        (b'{"lon": ["x"], "lat": [1], "datum": "wgs84"}', 422),
        (b'{"lon": ', 400),
        (b"[]", 422),
        (b"", 400),
        (b'{"lon": ["\xff"]}', 400),
        (b"[" * 100_000, 400),
    ],
)
def test_a_batch_that_cannot_be_read_is_a_problem(client, body, status):
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/locate/batch", content=body, headers=headers)
    assert response.status_code == status
    problem_of(response)


# Units


def test_a_unit_is_a_geojson_feature_with_what_the_edition_knows(client, toy_edition):
    for level in ("city", "county", "township", "village", "grid", "microgrid"):
        row = toy_edition[level].iloc[-1]
        feature = client.get(f"/v1/units/{row.code}").json()
        assert feature["type"] == "Feature"
        assert shapely.geometry.shape(feature["geometry"]).equals(row.geom)
        assert feature["bbox"] == list(row.geom.bounds)
        properties = feature["properties"]
        for column in ("code", "uid", "name", "kind", "households", "area_m2"):
            assert properties[column] == row[column]
        parents = [link["code"] for link in properties["chain"][:-1]]
        assert parents[-1:] == ([row.parent] if row.parent else [])


def test_children_are_the_units_one_level_down(client, toy_edition):
    grids = toy_edition["grid"]
    code = "411601001001"
    children = client.get(f"/v1/units/{code}/children").json()
    assert [child["code"] for child in children] == grids.code[grids.parent == code].tolist()
    assert client.get(f"/v1/units/{code}").json()["properties"]["n_children"] == len(children)


def test_a_microgrid_has_no_children(client):
    assert client.get("/v1/units/411601001001001001/children").json() == []


@pytest.mark.parametrize(
    "path", ["/v1/units/999", "/v1/units/999/children", "/v1/units/4116' OR '1'='1"]
)
def test_an_unknown_code_is_not_found(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert problem_of(response)["code"] == "unknown_code"


@pytest.mark.parametrize("q", ["411601001", "411601-001", "411601001号", "1001号"])
def test_search_finds_codes_by_their_start_and_names_by_any_part(client, q):
    codes = [found["code"] for found in client.get("/v1/search", params={"q": q}).json()]
    assert "411601001" in codes


def test_search_gives_twenty_units_upper_levels_first(client):
    found = client.get("/v1/search", params={"q": "4116"}).json()
    assert len(found) == 20
    lengths = [len(each["code"]) for each in found]
    assert lengths == sorted(lengths)
    assert found[0]["level"] == "city"


@pytest.mark.parametrize("q", ["%", "(", ".*", "号号", "999", " ", "\0", "4116\0"])
def test_search_takes_its_text_literally(client, q):
    assert client.get("/v1/search", params={"q": q}).json() == []


@pytest.mark.parametrize("q", [None, "", "x" * 65])
def test_search_needs_a_text_of_sensible_length(client, q):
    response = client.get("/v1/search", params={} if q is None else {"q": q})
    assert response.status_code == 422
    assert problem_of(response)["field"] == "q"


# The edition as a whole


def test_editions_and_readiness_name_the_revision(client, toy_edition):
    (edition,) = client.get("/v1/editions").json()
    assert edition["id"] == "toy"
    assert edition["city"] == "玩具市"
    assert edition["counts"] == toy_edition.counts()
    ready = client.get("/readyz").json()
    assert ready["revision"] == edition["revision"] == toy_edition.info.digest
    assert client.get("/healthz").json()["status"] == "ok"


# Tiles


def test_a_tile_is_what_the_tile_set_encodes(client, tile, toy_edition):
    response = client.get(tile)
    assert response.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert response.headers["content-encoding"] == "gzip"
    z, x, y = map(int, tile.removesuffix(".mvt").split("/")[2:])
    assert response.content == TileSet(toy_edition).encode(z, x, y)
    assert set(mapbox_vector_tile.decode(response.content)) >= set(MIN_ZOOMS)


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "gzip; q=0.0, br"])
def test_a_client_without_gzip_gets_the_same_tile_plain(client, tile, accepted):
    plain = client.get(tile, headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"
    zipped = client.get(tile)
    assert plain.content == zipped.content
    assert plain.headers["etag"] != zipped.headers["etag"]


@pytest.mark.parametrize("header", ["{}", '"other", {}', "W/{}", "*"])
def test_a_known_tile_is_not_encoded_again(client, tile, header, monkeypatch):
    etag = client.get(tile).headers["etag"]
    assert re.fullmatch(r'"[^"]+"', etag)
    monkeypatch.setattr(TileSet, "encode", lambda *_: pytest.fail("encoded"))
    response = client.get(tile, headers={"If-None-Match": header.format(etag)})
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["etag"] == etag


def test_another_edition_has_other_tags(client, tile, tmp_path):
    path = tmp_path / "other.gpkg"
    store.write_edition(build_toy_edition(seed=8), path, tables={})
    with TestClient(create_app(Settings(edition=path))) as other:
        etag = client.get(tile).headers["etag"]
        assert other.get(tile, headers={"If-None-Match": etag}).status_code == 200


def test_a_tile_without_units_is_no_content(client):
    assert client.get("/tiles/12/0/0.mvt").status_code == 204


@pytest.mark.parametrize(
    "place", ["16/0/0", "60/0/0", "3/8/0", "3/0/8", "-1/0/0", "3/-1/0", f"{10**30}/0/0"]
)
def test_a_tile_that_does_not_exist_is_not_found(client, place):
    response = client.get(f"/tiles/{place}.mvt")
    assert response.status_code == 404
    assert problem_of(response)["code"] == "no_tile"


@pytest.mark.parametrize("z", ["a", "1.5", "1@2x@2x", "%00"])
def test_a_tile_address_that_is_no_number_is_refused(client, z):
    response = client.get(f"/tiles/{z}/0/0.mvt")
    assert (response.status_code, problem_of(response)["field"]) == (400, "z")


def test_tilejson_describes_every_layer(client, tile):
    document = client.get("/tiles.json").json()
    assert document["tilejson"] == "3.0.0"
    layers = {layer["id"]: layer for layer in document["vector_layers"]}
    assert set(layers) == {*MIN_ZOOMS, "label"}
    assert {level: layers[level]["minzoom"] for level in MIN_ZOOMS} == dict(MIN_ZOOMS)
    decoded = mapbox_vector_tile.decode(client.get(tile).content)
    for name, layer in decoded.items():
        assert set(layer["features"][0]["properties"]) == set(layers[name]["fields"])
    (address,) = document["tiles"]
    assert re.fullmatch(r"http://testserver/tiles/[0-9a-f]{16}-[^/]+/{z}/{x}/{y}\.mvt", address)


# Imagery


def test_imagery_tiles_are_jpeg_inside_and_transparent_at_the_edge(client_with_imagery):
    corner = to_world(np.array([[114.612, 33.624]]))[0]
    x, y = (corner * (1 << 16)).astype(int).tolist()
    inside = client_with_imagery.get(f"/imagery/tiles/16/{x}/{y}")
    assert inside.headers["content-type"] == "image/jpeg"
    assert inside.content.startswith(b"\xff\xd8")
    x, y = (corner * (1 << 11)).astype(int).tolist()
    edge = client_with_imagery.get(f"/imagery/tiles/11/{x}/{y}")
    assert edge.headers["content-type"] == "image/webp"
    assert edge.headers["etag"] == inside.headers["etag"]
    known = {"If-None-Match": edge.headers["etag"]}
    again = client_with_imagery.get(f"/imagery/tiles/11/{x}/{y}", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert client_with_imagery.get("/imagery/tiles/11/0/0").status_code == 204
    problem_of(client_with_imagery.get("/imagery/tiles/25/0/0"))


def test_imagery_of_16_bits_is_stretched_and_its_nodata_transparent(tmp_path):
    bands = np.full((4, 512, 512), 2000, np.uint16)
    bands[:, :, 256:] = 3000
    bands[:, :64] = 0
    profile = {
        "driver": "GTiff", "width": 512, "height": 512, "count": 4, "dtype": "uint16", "nodata": 0,
        "crs": "EPSG:4547", "transform": from_origin(560_000, 3_722_000, 5, 5),
    }  # fmt: skip
    with rasterio.open(tmp_path / "image.tif", "w", **profile) as file:
        file.write(bands)
    imagery = Imagery(tmp_path / "image.tif")
    west, south, east, north = imagery.bounds
    middle = to_world(np.array([[(west + east) / 2, (south + north) / 2]]))[0]
    body, media_type = imagery.tile(12, *(middle * (1 << 12)).astype(int).tolist())
    assert media_type == "image/webp"
    shown = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    opaque = shown[shown[..., 3] == 255][:, :3]
    assert 0 < len(opaque) < 256 * 256
    assert (opaque < 20).any()
    assert (opaque > 235).any()


def test_imagery_keeps_its_colours_at_every_zoom(tmp_path):
    """Red in, red out; from the overviews too."""
    bands = np.zeros((3, 1024, 1024), np.uint8)
    bands[0] = 200
    profile = {
        "driver": "GTiff", "width": 1024, "height": 1024, "count": 3, "dtype": "uint8",
        "crs": "EPSG:4547", "transform": from_origin(560_000, 3_722_000, 5, 5),
    }  # fmt: skip
    with rasterio.open(tmp_path / "image.tif", "w", **profile) as file:
        file.write(bands)
    with rasterio.open(tmp_path / "image.tif", "r+") as file:
        file.build_overviews([2, 4])
    imagery = Imagery(tmp_path / "image.tif")
    west, south, east, north = imagery.bounds
    middle = to_world(np.array([[(west + east) / 2, (south + north) / 2]]))[0]
    for z in (13, 14, 15, 18):
        body, _ = imagery.tile(z, *(middle * (1 << z)).astype(int).tolist())
        shown = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
        blue, green, red = shown[shown[..., 3] == 255 if shown.shape[2] == 4 else ...][
            ..., :3
        ].reshape(-1, 3).T  # fmt: skip
        assert abs(red.astype(int) - 200).max() < 12
        assert max(green.max(), blue.max()) < 12


def test_tilejson_of_the_imagery_names_its_zooms_and_bounds(client_with_imagery):
    document = client_with_imagery.get("/imagery/tiles.json").json()
    assert document["bounds"] == pytest.approx([114.60, 33.60, 114.624, 33.648])
    assert 0 <= document["minzoom"] <= document["maxzoom"]


@pytest.mark.parametrize("path", ["/imagery/tiles/1/0/0", "/imagery/tiles.json"])
def test_without_imagery_its_tiles_are_a_problem(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert problem_of(response)["code"] == "no_imagery"


# Service


def test_nothing_is_opened_before_the_server_starts(tmp_path):
    app = create_app(Settings(edition=tmp_path / "missing.gpkg"))
    with pytest.raises(DataError, match=r"missing\.gpkg"), TestClient(app):
        pass


def test_imagery_that_is_a_list_of_other_files_is_refused(tmp_path):
    secret = tmp_path / "secret.tif"
    profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 3, "dtype": "uint8"}
    place = from_origin(500_000, 3_720_000, 5, 5)
    with rasterio.open(secret, "w", crs="EPSG:4547", transform=place, **profile) as file:
        file.write(np.full((3, 8, 8), 77, np.uint8))
    disguised = tmp_path / "image.tif"
    rasterio.shutil.copy(secret, disguised, driver="VRT")
    with pytest.raises(ImageryError, match="cannot read the imagery"):
        Imagery(disguised)


def test_imagery_that_cannot_be_read_stops_the_start(toy_file, tmp_path):
    bad = tmp_path / "image.tif"
    bad.write_text("no image")
    app = create_app(Settings(edition=toy_file, imagery=bad))
    with pytest.raises(ImageryError, match=r"image\.tif"), TestClient(app):
        pass


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("GET", "/static/nope.js", 404), ("POST", "/healthz", 405),
     ("GET", "/v1/units/a%2Fb", 404), ("GET", "/static/%2e%2e/app.py", 404)],
)  # fmt: skip
def test_an_unknown_route_is_a_problem_too(client, method, path, status):
    response = client.request(method, path)
    assert response.status_code == status
    problem_of(response)


def test_a_bug_is_a_problem_that_tells_nothing_of_the_inside(client, tile, monkeypatch):
    def broken(*_):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(TileSet, "encode", broken)
    response = client.get(tile)
    assert response.status_code == 500
    assert "secret" not in json.dumps(problem_of(response))


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html"), ("/docs", "docs.html", "text/html"),
        ("/static/app.js", "app.js", "text/javascript"),
        ("/static/vendor/maplibre-gl/maplibre-gl.css", "vendor/maplibre-gl/maplibre-gl.css",
         "text/css"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_files_of_the_pages_are_sent_whole_or_known(client, path, name, kind, coding):
    asked = {"Accept-Encoding": coding}
    response = client.get(path, headers=asked)
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"
    assert response.headers.get("content-encoding", "identity") == coding
    assert response.content == Path(pages.__file__).with_name("static").joinpath(name).read_bytes()
    again = client.get(path, headers=asked | {"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    if path.startswith("/static"):
        assert client.head(path, headers=asked).headers["etag"] == response.headers["etag"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_may_load_files_of_this_service_only(client, path):
    response = client.get(path)
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "worker-src 'self' blob:" in policy
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", response.text)
    for address in re.findall(r"(?:src|href)=\"(/[^\"#]*)\"", response.text):
        assert client.get(address).status_code == 200, address


def test_every_error_in_the_description_is_a_problem_document(client):
    document = client.get("/openapi.json").json()
    assert {"/v1/locate", "/v1/locate/batch", "/tiles/{z}/{x}/{y}.mvt"} <= set(document["paths"])
    assert "HTTPValidationError" not in json.dumps(document["paths"])


def test_middleware_is_plain_asgi():
    """`@app.middleware` and BaseHTTPMiddleware cost 0.2 ms a request, twice the request itself."""
    sources = Path(geogrid.api.__file__).parent.glob("*.py")
    assert not [
        path.name for path in sources if re.search(r"BaseHTTP|\.middleware\(", path.read_text())
    ]
