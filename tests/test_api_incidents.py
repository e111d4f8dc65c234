"""Incidents over HTTP: counts, colours, days without data, and small numbers that are not told."""

import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from geogrid import store
from geogrid.api.app import create_app
from geogrid.api.deps import Settings

STATS = "/v1/incidents/stats"


@pytest.fixture(scope="module")
def folder(toy_edition, tmp_path_factory) -> Path:
    """A city; incidents where the k-th micro-grid of 20 has k of them, from 1 to 20 September."""
    folder = tmp_path_factory.mktemp("incidents")
    store.write_edition(toy_edition, folder / "city.gpkg", tables={})
    codes = toy_edition.units["microgrid"]["code"]
    rows = [(codes[k], f"2026-09-{k + 1:02d}T23:30:00+08:00") for k in range(20) for _ in range(k)]
    rows += [("", "2026-09-02T08:00:00+08:00")]
    table = pd.DataFrame(rows, columns=["microgrid_code", "time"])
    table["item"] = ["0101" if k % 3 else "0201" for k in range(len(table))]
    table.to_csv(folder / "located.csv", index=False)
    (folder / "items.csv").write_text(
        "code,category,category_name,name\n0101,01,<b>一</b>,a\n0201,02,二,b\n", "utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def client(folder):
    settings = Settings(
        edition=folder / "city.gpkg", incidents=folder / "located.csv", items=folder / "items.csv"
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def test_units_are_counted_and_warned_by_thresholds_that_are_told(client, toy_edition):
    ask = {"level": "microgrid", "warn": "4,8,12,16"}
    answer = client.get(STATS, params=ask).json()
    codes = toy_edition.units["microgrid"]["code"]
    assert answer["incidents"] == 191
    assert answer["unplaced"] == 1
    found = {unit["code"]: (unit["incidents"], unit["warning"]) for unit in answer["units"]}
    colours = ["none"] * 4 + ["blue"] * 4 + ["yellow"] * 4 + ["orange"] * 4 + ["red"] * 4
    assert found == {codes[k]: (k, colours[k]) for k in range(1, 20)}
    assert answer["others"] == "none"
    assert answer["warnings"] == {
        "none": 240, "blue": 4, "yellow": 4, "orange": 4, "red": 4, "no_data": 0,
    }  # fmt: skip
    assert answer["thresholds"]["values"] == {"blue": 4, "yellow": 8, "orange": 12, "red": 16}


def test_days_are_those_of_the_city_and_both_ends_count(client, toy_edition):
    codes = toy_edition.units["microgrid"]["code"]
    ask = {"level": "microgrid", "from": "2026-09-05", "to": "2026-09-07", "warn": "1,2,3,4"}
    answer = client.get(STATS, params=ask).json()
    assert {unit["code"]: unit["incidents"] for unit in answer["units"]} == {
        codes[4]: 4, codes[5]: 5, codes[6]: 6,
    }  # fmt: skip
    assert (answer["first_day"], answer["last_day"]) == ("2026-09-02", "2026-09-20")


@pytest.mark.parametrize("days", [{"from": "2026-09-21"}, {"to": "2026-09-01"}])
def test_days_beyond_the_table_are_no_data_and_not_no_warning(client, days):
    answer = client.get(STATS, params=days | {"level": "grid"}).json()
    assert answer["others"] == "no_data"
    assert answer["units"] == []
    assert answer["thresholds"] is None
    assert answer["no_thresholds_zh"]
    assert answer["warnings"]["no_data"] == answer["n_units"] == 64
    assert answer["warnings"]["none"] == 0


def test_numbers_below_the_least_are_neither_warned_of_nor_told(client):
    ask = {"level": "microgrid", "warn": "1,2,3,4", "least": 5}
    units = client.get(STATS, params=ask).json()["units"]
    assert Counter(unit["incidents"] is None for unit in units) == {True: 4, False: 15}
    for unit in units:
        if unit["incidents"] is None:
            assert (unit["warning"], unit["rate"]) == ("none", None)


def test_a_unit_without_households_has_no_rate_and_no_data(toy_edition, folder, tmp_path):
    units = dict(toy_edition.units)
    bare = units["microgrid"]["code"][0]
    households = units["microgrid"]["households"].where(units["microgrid"]["code"] != bare, 0)
    units["microgrid"] = units["microgrid"].assign(households=households)
    store.write_edition(
        type(toy_edition).of(toy_edition.info, units), tmp_path / "c.gpkg", tables={}
    )
    settings = Settings(edition=tmp_path / "c.gpkg", incidents=folder / "located.csv")
    with TestClient(create_app(settings)) as client:
        ask = {"level": "microgrid", "measure": "rate", "warn": "1,2,3,4"}
        answer = client.get(STATS, params=ask).json()
        (unit,) = [unit for unit in answer["units"] if unit["code"] == bare]
        assert (unit["incidents"], unit["rate"], unit["warning"]) == (0, None, "no_data")
        assert answer["warnings"]["no_data"] == 1


def test_parts_of_a_unit_by_time_and_category_add_up(client, toy_edition):
    code = toy_edition.units["village"]["code"][0]
    whole = client.get(STATS, params={"level": "village"}).json()["units"]
    expected = next(unit["incidents"] for unit in whole if unit["code"] == code)
    for by in ("day", "week", "month", "category"):
        answer = client.get(STATS, params={"by": by, "code": code}).json()
        assert sum(part["incidents"] for part in answer["parts"]) == expected
    assert {part["name"] for part in answer["parts"]} <= {"<b>一</b>", "二"}
    one = client.get(STATS, params={"category": "01", "level": "city"}).json()
    other = client.get(STATS, params={"category": "02", "level": "city"}).json()
    assert one["incidents"] + other["incidents"] == 191


def test_values_too_alike_for_classes_are_told_not_refused(client):
    answer = client.get(STATS, params={"level": "county"}).json()
    assert answer["thresholds"] is None
    assert "Give the thresholds yourself" in answer["no_thresholds_en"]
    assert [unit["warning"] for unit in answer["units"]] == [None]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"level": "street"}, "level"), ({"from": "September"}, "from"), ({"least": 0}, "least"),
     ({"warn": "4,3,2,1"}, "warn"), ({"warn": "1,2"}, "warn"), ({"warn": "many"}, "warn"),
     ({"by": "hour"}, "by"), ({"category": "99"}, "category"), ({"form": "2026-09-01"}, "form"),
     ({"from": "2026-09-09", "to": "2026-09-08"}, "from")],
)  # fmt: skip
def test_a_question_that_cannot_be_right_is_refused_by_field(client, wrong, field):
    response = client.get(STATS, params=wrong)
    assert response.status_code == 422
    assert response.json()["field"] == field
    assert response.json()["detail_zh"]


def test_a_table_that_grows_is_counted_anew(folder, tmp_path, toy_edition):
    path = tmp_path / "located.csv"
    path.write_bytes((folder / "located.csv").read_bytes())
    with TestClient(create_app(Settings(edition=folder / "city.gpkg", incidents=path))) as client:
        assert client.get("/v1/incidents").json()["incidents"] == 191
        with path.open("a") as file:
            file.write(
                f"{toy_edition.units['microgrid']['code'][0]},2026-10-01T08:00:00+08:00,0101\n"
            )
        os.utime(path, (1, 1))
        summary = client.get("/v1/incidents").json()
        assert (summary["incidents"], summary["last_day"]) == (192, "2026-10-01")
        path.unlink()
        gone = client.get("/v1/incidents/stats")
        assert (gone.status_code, gone.json()["code"]) == (503, "incidents_unusable")
        assert str(tmp_path) not in gone.text
        path.write_text("microgrid_code,time\n4116,2026-09-01\n4116,13800138000 张三\n", "utf-8")
        wrong = client.get("/v1/incidents").json()
        assert "located.csv, column time, record 2: expected a time" in wrong["detail"]
        assert "张三" not in str(wrong)


def test_all_tables_of_a_folder_count(folder, tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes((folder / "located.csv").read_bytes())
    settings = Settings(edition=folder / "city.gpkg", incidents=tmp_path)
    with TestClient(create_app(settings)) as client:
        assert client.get("/v1/incidents").json()["incidents"] == 382


def test_incidents_of_another_edition_are_a_conflict(folder, tmp_path):
    (tmp_path / "old.csv").write_text("microgrid_code\n410000000000000001\n")
    settings = Settings(edition=folder / "city.gpkg", incidents=tmp_path / "old.csv")
    with TestClient(create_app(settings)) as client:
        response = client.get(STATS)
        assert response.status_code == 409
        assert response.json()["code"] == "incidents_of_another_edition"


def test_a_service_without_incidents_says_so(folder):
    with TestClient(create_app(Settings(edition=folder / "city.gpkg"))) as client:
        for path in ("/v1/incidents", STATS):
            response = client.get(path)
            assert (response.status_code, response.json()["code"]) == (404, "no_incidents")
