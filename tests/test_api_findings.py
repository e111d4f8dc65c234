"""Coverage over HTTP: what a check finds, where, and never in the way of the service."""

import multiprocessing
import threading
import time
from pathlib import Path

import planted
import pytest
from fastapi.testclient import TestClient

from geogrid import store
from geogrid.api import checking
from geogrid.api.app import create_app
from geogrid.api.deps import Settings
from geogrid.coverage.check import check
from geogrid.edition import Edition
from geogrid.errors import ConflictError

FAULTS = {"moved vertex": 2, "deleted unit": 1, "gap sliver": 1, "overlap sliver": 1}


def served(edition: Edition, folder: Path) -> TestClient:
    store.write_edition(edition, folder / "city.gpkg", tables={})
    return TestClient(create_app(Settings(edition=folder / "city.gpkg")))


@pytest.fixture(scope="module")
def faulty(toy_edition) -> Edition:
    return Edition.of(toy_edition.info, planted.plant(toy_edition, FAULTS, seed=3)[0])


@pytest.fixture(scope="module")
def client(faulty, tmp_path_factory):
    with served(faulty, tmp_path_factory.mktemp("faulty")) as client:
        yield client


def test_a_clean_edition_has_full_coverage_and_no_findings(toy_edition, tmp_path):
    with served(toy_edition, tmp_path) as client:
        answer = client.get("/v1/coverage").json()
        assert answer["state"] == "done"
        assert answer["counts"] == toy_edition.counts()
        assert answer["coverage_rate"] == dict.fromkeys(toy_edition.counts(), 1.0)
        assert (answer["n_findings"], answer["ok"]) == (0, True)
        assert client.get("/v1/coverage/findings").json()["findings"] == []


def test_findings_are_those_of_a_check_with_their_places(client, faulty):
    expected = check(faulty)
    answer = client.get("/v1/coverage/findings").json()
    assert answer["n_matched"] == len(expected) > 5
    for number, (found, said) in enumerate(zip(answer["findings"], expected, strict=True)):
        assert found["number"] == number
        assert (found["rule"], found["codes"]) == (said.rule, list(said.codes))
        assert found["message_zh"] == said.message_zh
        if said.point is not None:
            assert tuple(found["point"]) == said.point
        assert (found["shape"] is None) == (said.shape is None)
        assert found["fix_zh"]
        assert found["fix_en"]


def test_findings_are_chosen_by_severity_level_and_rule_and_come_in_pages(client, faulty):
    expected = list(check(faulty))
    ask = "/v1/coverage/findings"
    for severity in ("error", "warning", "note"):
        answer = client.get(ask, params={"severity": severity}).json()
        assert answer["n_matched"] == sum(each.severity == severity for each in expected)
    gaps = client.get(ask, params={"rule": "gap", "level": "microgrid"}).json()
    assert {found["rule"] for found in gaps["findings"]} == {"gap"}
    pages = [client.get(ask, params={"offset": k, "limit": 3}).json() for k in (0, 3)]
    numbers = [found["number"] for page in pages for found in page["findings"]]
    assert numbers == [0, 1, 2, 3, 4, 5]
    assert client.get(ask, params={"severity": "grave"}).status_code == 422


def test_the_summary_counts_what_the_list_holds(client, faulty):
    expected = list(check(faulty))
    answer = client.get("/v1/coverage").json()
    assert answer["ok"] is False
    assert sum(answer["severities"].values()) == answer["n_findings"] == len(expected)
    assert sum(rule["n"] for rule in answer["findings"]) == len(expected)
    assert answer["coverage_rate"]["microgrid"] < 1


def test_a_check_runs_once_and_nobody_waits_for_it(toy_edition, tmp_path, monkeypatch):
    calls, go = [], threading.Event()

    def slow(edition: Edition):
        calls.append(edition)
        go.wait(20)
        return check(edition)

    monkeypatch.setattr(checking, "check", slow)
    with served(toy_edition, tmp_path) as client:
        begun = time.monotonic()
        for _ in range(3):
            early = client.get("/v1/coverage", params={"wait": 0.02})
            assert early.status_code == 202
            assert early.headers["retry-after"] == "2"
            assert early.json()["state"] == "checking"
            assert early.json()["coverage_rate"] is None
        inside = {"lon": 114.62, "lat": 33.62, "datum": "cgcs2000"}
        assert client.get("/v1/locate", params=inside).json()["status"] == "hit"
        assert time.monotonic() - begun < 10
        go.set()
        assert client.get("/v1/coverage").json()["state"] == "done"
    assert len(calls) == 1


def test_a_large_edition_is_checked_in_a_process_of_its_own(faulty, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "_SMALL", 0)
    monkeypatch.setattr(checking, "check", lambda _: pytest.fail("checked inside the service"))
    store.write_edition(faulty, tmp_path / "city.gpkg", tables={})
    edition = store.read_edition(tmp_path / "city.gpkg")
    found = checking.Checks(tmp_path / "city.gpkg").of(edition).result(60)
    assert [each.message_en for each in found] == [each.message_en for each in check(faulty)]


def test_a_file_that_was_replaced_is_not_checked_in_place_of_the_edition(
    toy_edition, faulty, tmp_path
):
    store.write_edition(toy_edition, tmp_path / "city.gpkg", tables={})
    receiver, sender = multiprocessing.Pipe(duplex=False)
    checking.work(tmp_path / "city.gpkg", faulty.info.digest, sender)
    assert isinstance(receiver.recv(), ConflictError)
