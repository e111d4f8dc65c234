"""What is personal in incidents and requests stands in no answer, log, error, tile or metric."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import bombs
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from geogrid import store
from geogrid.api.app import create_app
from geogrid.api.settings import Settings

NAME, PHONE, STREET = "金丝雀某", "13800138000", "金丝雀路18号"
PLACE = ("114.6281337", "33.6181337")
PERSONAL = (NAME, PHONE, STREET, *PLACE, *(part[:9] for part in PLACE))

# What stands for each parameter of a path; others are found in the edition.
WORDS = {"z": "12", "x": "3351", "y": "1638", "row": "1638", "col": "3351", "layer": "vec",
         "matrix_set": "WebMercatorQuad"}  # fmt: skip


@pytest.fixture(scope="module")
def served(toy_edition, tmp_path_factory) -> Iterator[tuple[TestClient, Path]]:
    """A service with incidents that tell who, where and how to be reached; its access log."""
    folder = tmp_path_factory.mktemp("private")
    store.write_edition(toy_edition, folder / "city.gpkg", tables={})
    code = toy_edition.units["microgrid"]["code"].iat[5]
    one = {
        "id": NAME, "time": "2026-09-01T08:00:00+08:00", "item": "0101", "text": f"{NAME} {STREET}",
        "姓名": NAME, "电话": PHONE, "地址": STREET, "经度": PLACE[0], "纬度": PLACE[1],
        "stage": "信息汇集", "microgrid_code": code, "status": "hit", "edge_m": "1.5",
    }  # fmt: skip
    pd.DataFrame([one] * 3).to_csv(folder / "located.csv", index=False)
    items = "code,category,category_name,name\n0101,01,一,a\n"
    (folder / "items.csv").write_text(items, "utf-8")
    settings = Settings(
        edition=folder / "city.gpkg", incidents=folder / "located.csv",
        items=folder / "items.csv", access_log=str(folder / "access.log"), reload_seconds=0,
    )  # fmt: skip
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client, folder / "access.log"


def addresses(client: TestClient, code: str) -> list[tuple[str, str, str]]:
    """Return method, template and address of each operation of the description."""
    words = WORDS | {"code": code, "level": "microgrid", "job_id": "none"}
    words["version"] = client.get("/tiles.json").json()["tiles"][0].split("/")[4]
    found = []
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        filled = re.sub(r"\{(\w+)\}", lambda name: words[name[1]], path)
        found += [(method.upper(), path, filled) for method in methods]
    return found


def said_by(log: Path, client: TestClient, lines: int) -> str:
    """Return the access log, once it holds as many lines, and the metrics."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if log.exists() and log.read_text("utf-8").count("\n") >= lines:
            break
        time.sleep(0.05)
    return log.read_text("utf-8") + client.get("/metrics").text


def test_nothing_personal_of_an_incident_is_in_any_answer(served, toy_edition, capfd, caplog):
    """Every operation is asked, with counts by every period, and all tiles of the place."""
    client, log = served
    code = toy_edition.units["microgrid"]["code"].iat[5]
    stats = "/v1/incidents/stats?level=microgrid"
    asked = [
        *(filled for method, _, filled in addresses(client, code) if method == "GET"),
        *(f"{stats}&by={by}&code={code}" for by in ("day", "week", "month", "category")),
        f"{stats}&warn=1,2,3,4", f"{stats}&least=5", "/", "/page.json", "/docs", "/openapi.json",
        f"/collections/microgrid/items/{code}", "/collections/microgrid/items?limit=500",
        "/v1/locate?lon=114.6&lat=33.6&datum=wgs84", "/v1/search?q=1", "/?f=json",
    ]  # fmt: skip
    assert len(asked) > 45
    counted = 0
    for address in asked:
        answer = client.get(address)
        counted += '"incidents":3' in answer.text
        assert not [each for each in PERSONAL if each in answer.text], address
        assert not [each for each in PERSONAL if each.encode() in answer.content], address
    assert counted >= 5  # the incidents were there
    said = said_by(log, client, len(asked)) + "".join(capfd.readouterr()) + caplog.text
    assert not [each for each in PERSONAL if each in said]


def test_nothing_personal_of_a_request_is_kept_by_any_operation(served, toy_edition, capfd, caplog):
    """In every parameter, in bodies of every kind and in files of jobs that fail and succeed."""
    client, log = served
    caplog.set_level("DEBUG")
    code = toy_edition.units["microgrid"]["code"].iat[5]
    who = f"{NAME} {PHONE} {STREET}"
    operations = addresses(client, code)
    described = client.get("/openapi.json").json()["paths"]
    n = 0
    for method, path, filled in operations:
        names = [
            each["name"] for each in described[path][method.lower()].get("parameters", ())
            if each["in"] == "query"
        ]  # fmt: skip
        wrong = re.sub(r"\{(\w+)\}", who.replace("/", ""), path)
        for address in {filled, wrong}:
            for query in ({}, dict.fromkeys(names, who), {who: who}, {"lon": PLACE[0]}):
                if path != "/v1/reload":
                    client.request(method, address, params=query, headers={"X-Who": PHONE})
                    n += 1
    row = f"{who},{PLACE[0]},{PLACE[1]}"
    tables = {
        "": f"name,lon,lat\n{row}\n", "ragged": f"name,lon,lat\n{row},{who}\n",
        "nameless": f"{row}\n{row}\n", "columns": f"{who},{PHONE}\n1,2\n",
        "datum": f"datum,lon,lat\n{who},{PLACE[0]},{PLACE[1]}\ngcj02,1,2\n",
    }  # fmt: skip
    for body in tables.values():
        for url in ("/v1/locate/batch?datum=wgs84", f"/v1/jobs?datum=wgs84&name={NAME}.csv"):
            headers = {"Content-Type": "text/csv", "Idempotency-Key": PHONE}
            client.post(url, content=body.encode(), headers=headers)
            n += 1
    book = bombs.workbook(f'<row r="2"><c t="s"><v>{PHONE}</v></c></row>')
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    client.post("/v1/jobs?datum=wgs84", content=book, headers={"Content-Type": kind})
    rows = {"points": [{"lon": float(PLACE[0]), "lat": float(PLACE[1]), "id": who, who: who}]}
    client.post("/v1/locate/batch?datum=wgs84", json=rows)
    shop = client.app.state.workshop
    deadline = time.monotonic() + 60
    while any(job.finished is None for job in shop._jobs.values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    states = {job.state.value for job in shop._jobs.values()}
    assert states == {"done", "failed"}
    said = said_by(log, client, n) + "".join(capfd.readouterr())
    said += "".join(
        each.getMessage() for each in caplog.records if not each.name.startswith("httpx")
    )
    assert not [each for each in (*PERSONAL, json.dumps(NAME)[1:-1]) if each in said]
