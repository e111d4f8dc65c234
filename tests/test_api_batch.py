"""Batches in every form: the same answers, rows in order, and bad bodies named by row."""

import io
import json

import bombs
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from geogrid import datums
from geogrid._kernels import json_columns as kernels
from geogrid.api import forms
from geogrid.api.deps import Dataset
from geogrid.api.models import Places, PlacesByRow, Position, Positions, PositionsByRow
from geogrid.api.problems import Problem, ProblemDocument
from geogrid.datums import Datum

URL = "/v1/locate/batch"
JSON, ARROW, CSV = forms.JSON, forms.ARROW, forms.CSV
COLUMNS = ("status", "grid_code", "microgrid_code", "on_edge", "edge_m", "neighbour_code")


@pytest.fixture(scope="module")
def xy() -> np.ndarray:
    """Positions anywhere, outside, far away, missing, swapped."""
    rng = np.random.default_rng(3)
    near = rng.uniform([114.59, 33.59], [114.66, 33.66], (1500, 2)).round(7)
    odd = [[113, 33], [np.nan, 33.6], [114.6, np.nan], [33.62, 114.62], [500, 1], [0, 0]]
    return rng.permutation(np.vstack([near, odd]))


@pytest.fixture(scope="module")
def expected(data: Dataset, xy: np.ndarray) -> dict[str, list]:
    """What the locator says, as JSON has it."""
    found = data.locator.locate(xy, datum="gcj02", edges=True)
    assert set(found.status) >= {"hit", "outside", "no_coordinates", "swapped", "out_of_range"}
    metres = [None if np.isnan(m) else round(m, 2) for m in found.edge_m.tolist()]
    codes = (found.grid_code, found.microgrid_code, found.neighbour_code)
    grids, microgrids, beside = ([code or None for code in each.tolist()] for each in codes)
    values = (found.status.tolist(), grids, microgrids, found.on_edge.tolist(), metres, beside)
    return dict(zip(COLUMNS, values, strict=True))


def post(client: TestClient, body: bytes | str, kind: str = JSON, query: str = "", **headers: str):
    content = body.encode() if isinstance(body, str) else body
    return client.post(URL + query, content=content, headers={"Content-Type": kind, **headers})


def refused(response) -> ProblemDocument:
    """Return the problem; it has the shape of all."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = ProblemDocument.model_validate_json(response.content)
    assert problem.status == response.status_code
    assert any("\u4e00" <= letter <= "\u9fff" for letter in problem.detail_zh)
    return problem


def nulls(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def arrow(columns: dict[str, object], metadata: dict[str, str] | None = None, **options) -> bytes:
    table = pa.table(columns).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as out:
        out.write_table(table, max_chunksize=400)
    return sink.getvalue()


def same(columns: dict[str, list], expected: dict[str, list]) -> None:
    for name in COLUMNS:
        if name == "edge_m":
            pairs = zip(columns[name], expected[name], strict=True)
            assert all(a == b or abs(a - b) < 0.011 for a, b in pairs)
        else:
            assert columns[name] == expected[name]


# Forms


@pytest.mark.parametrize("n", [3, None])
def test_columns_come_back_as_columns(client, xy, expected, n):
    """A small batch is answered at once, a larger one in a thread."""
    body = {"lon": nulls(xy[:n, 0]), "lat": nulls(xy[:n, 1]), "datum": "gcj02"}
    response = post(client, json.dumps(body | {"id": list(range(len(body["lon"])))}))
    answer = Places.model_validate_json(response.content, strict=True).model_dump(mode="json")
    same(answer, {name: values[:n] for name, values in expected.items()})
    assert answer["id"] == list(range(len(body["lon"])))
    assert answer["datum"] == "gcj02"
    assert answer["revision"] == response.headers["x-dataset-revision"]


@pytest.mark.parametrize("wrapped", [True, False])
def test_rows_come_back_as_rows(client, xy, expected, wrapped):
    rows = [
        {"lon": lon, "lat": lat, "id": f"事件{k}"}
        for k, (lon, lat) in enumerate(zip(nulls(xy[:, 0]), nulls(xy[:, 1]), strict=True))
    ]
    body = {"points": rows, "datum": "gcj02"} if wrapped else rows
    response = post(client, json.dumps(body), query="" if wrapped else "?datum=gcj02")
    answer = PlacesByRow.model_validate_json(response.content, strict=True)
    points = [point.model_dump(mode="json") for point in answer.points]
    same({name: [point[name] for point in points] for name in COLUMNS}, expected)
    assert [point["id"] for point in points] == [row["id"] for row in rows]


def test_arrow_comes_back_as_arrow(client, xy, expected):
    ids = pa.array([f"a{k}" for k in range(len(xy))]).dictionary_encode()
    columns = {"id": ids, "lat": xy[:, 1], "lon": pa.array(xy[:, 0], from_pandas=True)}
    response = post(client, arrow(columns, {"datum": "GCJ02"}), ARROW)
    assert response.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(response.content).read_all()
    same(table.to_pydict(), expected)
    assert table.column("id").to_pylist() == ids.to_pylist()
    assert table.schema.metadata[b"datum"] == b"gcj02"
    assert table.schema.metadata[b"revision"].decode() == response.headers["x-dataset-revision"]


def test_csv_comes_back_as_it_was_with_four_columns_more(client, xy, expected):
    rows = [f'"{k}, 号",{lon},{lat}' for k, (lon, lat) in enumerate(xy.tolist())]
    text = "\r\n".join(["编号,经度,纬度", *rows, ""]).replace("nan", "")
    response = post(client, text.encode("gbk"), CSV, "?datum=gcj02")
    assert response.headers["content-type"].startswith(CSV)
    lines = response.content.decode("gbk").split("\r\n")
    assert lines[0] == "编号,经度,纬度,grid_code,microgrid_code,status,edge_m"
    assert [
        line.startswith(row) for line, row in zip(lines[1:], text.split("\r\n")[1:], strict=True)
    ]
    located = pd.read_csv(io.StringIO("\n".join(lines)), dtype=str, keep_default_na=False)
    assert located.status.tolist() == expected["status"]
    assert located.microgrid_code.tolist() == [code or "" for code in expected["microgrid_code"]]


@pytest.mark.parametrize("kind", [JSON, ARROW, CSV])
@pytest.mark.parametrize("answer", [JSON, ARROW, CSV])
def test_any_form_is_answered_in_any_other(client, xy, expected, kind, answer):
    ids = [f"n{k}" for k in range(len(xy))]
    bodies = {
        JSON: json.dumps({"lon": nulls(xy[:, 0]), "lat": nulls(xy[:, 1]), "id": ids}).encode(),
        ARROW: arrow({"lon": xy[:, 0], "lat": xy[:, 1], "id": ids}),
        CSV: pd.DataFrame({"id": ids, "lon": xy[:, 0], "lat": xy[:, 1]}).to_csv().encode(),
    }
    response = post(client, bodies[kind], kind, **{"X-Datum": "gcj02", "Accept": answer})
    assert response.headers["content-type"].startswith(answer)
    if answer == JSON:
        columns = response.json()
    elif answer == ARROW:
        columns = pa.ipc.open_stream(response.content).read_all().to_pydict()
    else:
        table = pd.read_csv(io.BytesIO(response.content), dtype=str, keep_default_na=False)
        columns = {name: [value or None for value in table[name]] for name in table}
        assert columns["microgrid_code"] == expected["microgrid_code"]
        assert columns["status"] == expected["status"]
        assert columns["id"] == ids
        return
    same(columns, expected)
    assert columns["id"] == ids


def test_an_empty_batch_is_answered_empty(client):
    assert post(client, '{"lon": [], "lat": [], "datum": "wgs84"}').json()["status"] == []
    assert post(client, "[]", query="?datum=wgs84").json()["points"] == []
    assert post(client, '{"points": [], "datum": "wgs84"}').json()["points"] == []
    empty = pa.array([], pa.float64())
    answer = post(client, arrow({"lon": empty, "lat": empty}), ARROW, "?datum=wgs84")
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 0
    answer = post(client, "lon,lat\n", CSV, "?datum=wgs84")
    assert answer.text == "lon,lat,grid_code,microgrid_code,status,edge_m\n"
    answer = post(client, "lon,lat\n", CSV, "?datum=wgs84", Accept=JSON)
    assert answer.json()["status"] == []


def test_ids_are_told_again_as_they_came_even_twice(client):
    ids = ["a", "a", 7, None, 2**64 - 1, "<&\"'"]
    body = {"lon": [114.62] * 6, "lat": [33.62] * 6, "id": ids, "datum": "wgs84"}
    assert post(client, json.dumps(body)).json()["id"] == ids
    points = [{"lon": 114.62, "lat": 33.62, "id": each} for each in ids]
    answer = post(client, json.dumps({"points": points, "datum": "wgs84"})).json()
    assert [point["id"] for point in answer["points"]] == ids
    table = pa.ipc.open_stream(post(client, json.dumps(body), Accept=ARROW).content).read_all()
    assert table.column("id").to_pylist() == ["a", "a", "7", None, str(2**64 - 1), "<&\"'"]


def test_one_bad_row_of_many_gets_its_status_and_the_rest_an_answer(client):
    lon, lat = [114.62] * 10_000, [33.62] * 10_000
    lon[1234], lat[1234] = 33.62, 114.62
    lon[77] = None
    status = post(client, json.dumps({"lon": lon, "lat": lat, "datum": "wgs84"})).json()["status"]
    assert (status[1234], status[77]) == ("swapped", "no_coordinates")
    assert status.count("hit") == 9_998


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", CSV), ("*/*", CSV), ("text/*", CSV), ("application/json", JSON),
        ("application/json, text/plain, */*", CSV), ("text/csv;q=0, */*", JSON),
        ("text/html, application/json;q=0.9, */*;q=0.1", JSON), ("image/png", None),
        (ARROW, ARROW), ("*/*;q=0", None), (";;q=x,,", None),
    ],
)  # fmt: skip
def test_accept_chooses_the_form_of_the_answer(accept, expected):
    assert forms.preferred(accept, CSV, (JSON, ARROW, CSV)) == expected


# Limits


@pytest.mark.parametrize(
    ("kind", "body", "limit"),
    [
        (JSON, json.dumps({"lon": [1] * 10_001, "lat": [1] * 10_001}), "10,000"),
        (JSON, json.dumps([{"lon": 1, "lat": 1}] * 10_001), "10,000"),
        (ARROW, arrow(dict.fromkeys(("lon", "lat"), np.ones(100_001, np.int8))), "100,000"),
        (ARROW, arrow({"lon": pa.nulls(10**6), "lat": pa.nulls(10**6)}), "100,000"),
        (CSV, "lon,lat\n" + "1,1\n" * 100_001, "100,000"),
    ],
    ids=["columns", "rows", "arrow", "nulls", "csv"],
)  # fmt: skip
def test_too_many_positions_are_refused_with_the_limit_and_what_to_do(client, kind, body, limit):
    response = post(client, body, kind, "?datum=wgs84")
    problem = refused(response)
    assert (problem.status, problem.code) == (413, "too_many_positions")
    assert limit in problem.detail
    assert "/v1/jobs" in problem.detail


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("text/plain", {}),
        ("application/json; charset=utf-16", {}),
        ("multipart/form-data; boundary=x", {}),
        ("", {}),
        (JSON, {"Content-Encoding": "gzip"}),
        (CSV, {"Content-Encoding": "br"}),
    ],
)
def test_other_types_and_compressed_bodies_are_refused_unread(client, kind, headers):
    response = post(client, b"\x1f\x8b", kind, "?datum=wgs84", **headers)
    assert (response.status_code, refused(response).code) == (415, "unsupported_type")
    assert response.headers["accept-post"] == ", ".join((JSON, ARROW, CSV))


def test_an_answer_in_another_form_is_not_to_be_had(client):
    response = post(client, "[]", Accept="image/png")
    assert (response.status_code, refused(response).code) == (406, "not_acceptable")


# Bodies that cannot be right


def deep(n: int) -> bytes:
    return b'{"lon":' + b"[" * n + b"]" * n + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"lon=1", b'{"lon": [1]', b'{"lon": [NaN], "lat": [1]}', b'{"lon": [Infinity]}',
        b'{"lon": [1e400], "lat": [1]}', b'{"lon": [1], "lat": [1], "datum": "wgs84"} x',
        '{"lon": [1], "lat": [1], "datum": "wgs84"}'.encode("utf-16"),
        '{"lon": [１１４], "lat": [1]}'.encode(), b'{"lon": [1_0], "lat": [1]}',
        b'{"lon": [0x10], "lat": [1]}', b'{"lon": [+1], "lat": [1]}', b"\xff\xfe", b"\x00",
        deep(100_000), b'{"lon": [' + b"9" * 5000 + b'], "lat": [1], "datum": "wgs84"}',
    ],
    ids=lambda body: repr(body[:30]),
)  # fmt: skip
def test_what_is_no_json_is_a_bad_request(client, body):
    response = post(client, body)
    problem = refused(response)
    assert (problem.status, problem.code, problem.field) == (400, "json_invalid", "body")


COLUMN = '{{"lon": [114.62, {}], "lat": [33.62, 33.6], "datum": "wgs84"}}'
ROW = '{{"points": [{{"lon": 114.62, "lat": 33.62}}, {}], "datum": "wgs84"}}'


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (COLUMN.format('"114.6"'), "float_type", "/lon/1"),
        (COLUMN.format("true"), "float_type", "/lon/1"),
        (COLUMN.format("[114.6]"), "float_type", "/lon/1"),
        (COLUMN.format("{}"), "float_type", "/lon/1"),
        (ROW.format("[114.6, 33.6]"), "object_type", "/points/1"),
        (ROW.format("null"), "object_type", "/points/1"),
        (ROW.format('{"lon": 114.6}'), "missing", "/points/1/lat"),
        (ROW.format('{"lon": "114.6", "lat": 33.6}'), "float_type", "/points/1/lon"),
        (ROW.format('{"lon": 114.6, "lat": false}'), "float_type", "/points/1/lat"),
        (ROW.format('{"lon": 114.6, "lat": 33.6, "id": 1.5}'), "id_type", "/points/1/id"),
        (ROW.format('{"lon": 114.6, "lat": 33.6, "x/y": 1}'), "extra_forbidden", "/points/1/x~1y"),
        (ROW.format('{"lon": 1, "lat": 2, "datum": "bd09"}'), "extra_forbidden", "/points/1/datum"),
        (ROW.format('{"lon": 114.6, "lat": 33.6, "lon": 33.6}'), "repeated", "lon"),
        (ROW.format('{"lon": 114.6, "lat": 33.6, "l\\u006fn": 33.6}'), "repeated", "lon"),
        ('{"lon": [1], "lat": [1], "lon": [2], "datum": "wgs84"}', "repeated", "lon"),
        ('{"lon": [1], "lat": [1], "datum": "wgs84", "datum": "bd09"}', "repeated", "datum"),
        ('{"lon": [1], "lat": [], "datum": "wgs84"}', "lengths_differ", "/lat"),
        ('{"lon": [1], "lat": [1], "id": [], "datum": "wgs84"}', "lengths_differ", "/id"),
        ('{"lon": 114.6, "lat": [33.6], "datum": "wgs84"}', "list_type", "/lon"),
        ('{"lat": [33.6], "datum": "wgs84"}', "missing", "/lon"),
        ('{"lon": [1], "lat": [1], "z": [1], "datum": "wgs84"}', "extra_forbidden", "/z"),
        ('{"lon": [1], "lat": [1]}', "missing", "datum"),
        ('{"lon": [1], "lat": [1], "datum": "wgs48"}', "unknown_datum", "/datum"),
        ('{"lon": [1], "lat": [1], "datum": "xian80"}', "unknown_datum", "/datum"),
        ('{"lon": [1], "lat": [1], "datum": 7}', "string_type", "/datum"),
        ('{"points": {}, "datum": "wgs84"}', "list_type", "/points"),
        ('{"points": [], "lon": [], "datum": "wgs84"}', "extra_forbidden", "/lon"),
        ('"text"', "body_type", "body"),
        ("7", "body_type", "body"),
        ("null", "body_type", "body"),
        (deep(900).decode(), "missing", "/lat"),
    ],
)
def test_a_body_that_cannot_be_right_is_refused_by_its_place(client, body, code, field):
    problem = refused(post(client, body))
    assert (problem.status, problem.code, problem.field) == (422, code, field)


@pytest.mark.parametrize(
    ("query", "header", "body", "code", "field"),
    [
        ("?datum=wgs84", "bd09", "", "datums_differ", "X-Datum"),
        ("?datum=wgs84", None, "bd09", "datums_differ", "/datum"),
        ("?datum=wgs48", None, "", "unknown_datum", "datum"),
        ("", "火星", "", "unknown_datum", "X-Datum"),
        ("?datum=wgs84&datum=bd09", None, "", "repeated", "datum"),
        ("?datums=wgs84", None, "", "extra_forbidden", "datums"),
    ],
)
def test_one_datum_must_be_known(client, query, header, body, code, field):
    headers = {} if header is None else {"X-Datum": header.encode()}
    content = {"lon": [1], "lat": [1]} | ({"datum": body} if body else {})
    problem = refused(post(client, json.dumps(content), query=query, **headers))
    assert (problem.status, problem.code, problem.field) == (422, code, field)


def test_the_same_datum_twice_is_one(client):
    body = '{"lon": [114.62], "lat": [33.62], "datum": "GCJ02"}'
    answer = post(client, body, query="?datum=gcj02", **{"X-Datum": "gcj02"}).json()
    assert answer["datum"] == "gcj02"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "arrow_invalid"),
        (b"no arrow", "arrow_invalid"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 4, "arrow_invalid"),
        (arrow({"lon": [1.0], "lat": [2.0]})[:-80], "arrow_invalid"),
        (arrow({"lon": [1.0]}), "missing"),
        (arrow({"lon": ["1"], "lat": [2.0]}), "float_type"),
        (arrow({"lon": [True], "lat": [2.0]}), "float_type"),
        (arrow({"lon": [1.0], "lat": [2.0]}, compression="zstd"), "arrow_compressed"),
        (arrow({"lon": [0.0] * 1000, "lat": [0.0] * 1000}, compression="lz4"), "arrow_compressed"),
    ],
)
def test_a_stream_that_cannot_be_read_is_refused(client, body, code):
    problem = refused(post(client, body, ARROW, "?datum=wgs84"))
    assert (problem.status, problem.code) == (422, code)


def test_a_damaged_stream_is_answered_or_refused_and_never_fails(client):
    rng = np.random.default_rng(0)
    whole = arrow({"lon": np.full(50, 114.62), "lat": np.full(50, 33.62), "id": ["x"] * 50})
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 4)] ^= rng.integers(1, 256, 4).astype(np.uint8)
        assert post(client, damaged.tobytes(), ARROW, "?datum=wgs84").status_code in (200, 413, 422)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (bombs.long_identity(), "ids_too_long", "/id"),
        (bombs.long_run(), "id_type", "/id"),
        (arrow({"lon": [1.0], "lat": [2.0], "id": [[1, 2]]}), "id_type", "/id"),
        (arrow({"lon": [1.0], "lat": [2.0], "id": [1.5]}), "id_type", "/id"),
        (arrow({"lon": [1.0], "lat": [2.0], "Datum": ["bd09"]}), "extra_forbidden", "/Datum"),
        (arrow({"lon": [1.0], "lat": [2.0], "坐标系": ["bd09"]}), "extra_forbidden", "/坐标系"),
    ],
    ids=["dictionary", "run", "list", "float", "datum", "坐标系"],
)
def test_columns_that_cannot_be_told_again_are_refused(client, body, code, field):
    """A text that is named 100,000 times takes no room in a body, and 100 gigabytes outside."""
    problem = refused(post(client, body, ARROW, "?datum=wgs84", Accept=JSON))
    assert (problem.status, problem.code, problem.field) == (422, code, field)


def test_other_columns_of_a_stream_are_left_out_of_account(client):
    columns = {"lon": [114.62], "lat": [33.62], "z": [7.0], "m": [[1]], "id": [2**63]}
    columns["id"] = pa.array(columns["id"], pa.uint64())
    answer = post(client, arrow(columns), ARROW, "?datum=wgs84", Accept=JSON).json()
    assert (answer["status"], answer["id"]) == (["hit"], [2**63])


@pytest.mark.parametrize("answer", [CSV, JSON])
def test_a_table_that_refutes_its_datum_is_refused_however_it_is_answered(
    client, toy_edition, answer
):
    """By the grids that it names, and by its own column of datums."""
    grids = toy_edition.units["grid"]
    places = np.array([shape.representative_point().coords[0] for shape in grids.geom])
    shifted = datums.convert(places, Datum.CGCS2000, Datum.GCJ02)
    rows = [f"{code},{x:.7f},{y:.7f}" for code, (x, y) in zip(grids.code, shifted, strict=True)]
    body = "\n".join(["unit_code,lon,lat", *rows])
    problem = refused(post(client, body, CSV, "?datum=wgs84", Accept=answer))
    assert (problem.status, problem.code, problem.field) == (422, "coordinate", "datum")
    assert "look like gcj02, not wgs84" in problem.detail
    assert problem.detail.endswith("Give datum=gcj02.")
    assert problem.detail_zh.endswith("请改用 datum=gcj02。")
    assert post(client, body, CSV, "?datum=gcj02", Accept=answer).status_code == 200
    mixed = "坐标系,lon,lat\nwgs84,114.62,33.62\nGCJ-02,114.62,33.62\n"
    problem = refused(post(client, mixed, CSV, "?datum=wgs84", Accept=answer))
    assert (problem.code, problem.field) == ("coordinate", "datum")
    assert "record 2 (gcj02)" in problem.detail
    assert "第 2 条" in problem.detail_zh
    assert "--" not in problem.detail + problem.detail_zh


@pytest.mark.parametrize("name", ["xian80", "Xi'an 1980", "西安80", "bj54", "epsg:4610"])
def test_datums_without_a_published_way_are_refused_with_what_to_do(client, name):
    body = json.dumps({"lon": [114.62], "lat": [33.62], "datum": name})
    one = {"lon": 114.62, "lat": 33.62, "datum": name}
    for answer in (
        post(client, body),
        client.get("/v1/locate", params=one),
        client.get("/v1/convert", params=one),
        client.post(f"/v1/jobs?datum={name}", content=b"x", headers={"Content-Type": CSV}),
    ):
        problem = refused(answer)
        assert (problem.status, problem.code) == (422, "unknown_datum")
        assert "survey office" in problem.detail
        assert "测绘部门" in problem.detail_zh


def test_a_system_by_its_number_is_for_files(client):
    problem = refused(client.get("/v1/locate?lon=557553&lat=3721433&datum=epsg:4547"))
    assert (problem.code, problem.field) == ("unknown_datum", "datum")
    assert "POST /v1/jobs" in problem.detail
    assert "POST /v1/jobs" in problem.detail_zh


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "lon=COLUMN&lat=COLUMN"),
        (b"lon,lat\n1,2,3\n", "line 2"),
        (b"lon,lat\n1,\x00\n", "line 2"),
        (b"PK\x03\x04....", "ZIP"),
        ("lon,lat\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"lon,lat,status\n1,2,3\n", "already has a column status"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_without_our_paths(client, body, said):
    problem = refused(post(client, body, CSV, "?datum=wgs84"))
    assert problem.status == 422
    assert problem.field in ("body", "lon")
    assert said in problem.detail
    assert not problem.detail_zh.startswith(("数据不能使用", "参数不正确"))
    assert "/tmp" not in problem.detail + problem.detail_zh


def test_bodies_of_many_names_are_read_in_time_in_proportion_to_their_length(client):
    """And not to its square, which holds the interpreter for hours."""
    names = ",".join(f'"k{k}":1' for k in range(60_000))
    problem = refused(post(client, f'{{{names},"lon":[1],"z":1,"z":2,"lon":[2],"lon":[3]}}'))
    assert (problem.status, problem.code, problem.field) == (422, "repeated", "lon")
    for width in (["a"] * 60_000, [f"a{k}" for k in range(60_000)]):
        header = ",".join(["lon", "lat", "id", *width])
        row = "114.62,33.62,7" + "," * len(width)
        answer = post(client, f"{header}\n{row}\n", CSV, "?datum=wgs84", Accept=JSON).json()
        assert (answer["status"], answer["id"]) == (["hit"], ["7"])


@pytest.mark.parametrize("header", ["id", "village"])
def test_a_field_that_is_too_long_to_be_told_is_refused_by_its_line(client, header):
    body = f'lon,lat,{header}\n114.62,33.62,x\n114.62,33.62,"{"x" * 140_000}"\n'
    problem = refused(post(client, body, CSV, "?datum=wgs84", Accept=JSON))
    assert (problem.status, problem.field) == (422, "body")
    assert "line 3" in problem.detail
    assert "第 3 行" in problem.detail_zh


def test_columns_of_a_table_may_be_named(client):
    response = post(client, "a,b\n33.62,114.62\n", CSV, "?datum=wgs84&lon=b&lat=a")
    assert ",hit," in response.text


values = st.one_of(
    st.none(), st.booleans(), st.integers(-200, 200), st.floats(allow_nan=False, width=32),
    st.text(max_size=3), st.lists(st.integers(), max_size=2),
)  # fmt: skip
columns = st.lists(values, max_size=3)
row = st.dictionaries(st.sampled_from(["lon", "lat", "id", "z"]), values, max_size=4)
bodies = st.one_of(
    st.fixed_dictionaries({}, optional={"lon": columns, "lat": columns, "id": columns}),
    st.fixed_dictionaries({"points": st.lists(row, max_size=3)}),
    st.lists(row, max_size=3),
    values,
)


@settings(max_examples=150)
@given(body=bodies)
def test_what_is_read_is_what_the_description_says(body):
    """Our reader and a strict model of what the OpenAPI document promises agree."""
    models = TypeAdapter(Positions | PositionsByRow | list[Position])
    text = json.dumps(body)
    try:
        forms.read_json(text.encode(), 10)
    except Problem as problem:
        if problem.code != "lengths_differ":
            with pytest.raises(ValidationError):
                models.validate_json(text)
    else:
        models.validate_json(text)


def test_kernels_equal_python_and_json():
    rng = np.random.default_rng(1)
    names = [b"411602", b"4", b"", b"41160200"]
    values = np.array(names).view(np.uint8).reshape(4, -1)
    sizes = np.array([len(name) for name in names], np.int32)
    for n in (0, 1, 50):
        rows = rng.integers(-1, 4, n).astype(np.int32)
        metres = np.where(rows < 0, np.nan, rng.uniform(0, 9000, n).round(2))
        expected = [names[row] for row in rows]
        for write in (kernels.texts, kernels.texts.py_func):
            out, ends = np.zeros((n + 1) * 8, np.uint8), np.zeros(n + 1, np.int32)
            size = write(values, sizes, rows, out, ends)
            assert out[:size].tobytes() == b"".join(expected)
            assert ends.tolist() == np.cumsum([0, *map(len, expected)]).tolist()
        for write in (kernels.decimals, kernels.decimals.py_func):
            out = np.zeros(n * kernels.LONGEST_NUMBER, np.uint8)
            written = out[: write(metres, out)].tobytes()
            assert json.loads(b"[%s]" % written[:-1]) == nulls(metres)


def test_an_arrow_column_equals_what_arrow_takes(data, xy):
    found = data.locator.locate(xy, datum="gcj02", edges=True)
    for n in (0, 1, 9, len(xy)):
        table = data.answers.table(found.only(np.arange(len(xy)) < n), None)
        table.validate(full=True)
        for name, rows in (("microgrid_code", found.row), ("neighbour_code", found.beside)):
            taken = pa.array(found.codes).take(pa.array(rows[:n], mask=rows[:n] < 0))
            assert table.column(name).combine_chunks().equals(taken)
        assert table.schema.types[:3] == [pa.string()] * 3
