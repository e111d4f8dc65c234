"""Another edition takes over while requests are answered; what cannot be used changes nothing."""

import gc
import multiprocessing
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import build_toy_edition
from fastapi.testclient import TestClient

from geogrid import store
from geogrid.api import beside
from geogrid.api.app import create_app
from geogrid.api.beside import Builder
from geogrid.api.deps import load
from geogrid.api.settings import Settings
from geogrid.edition import Edition, to_world


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two editions of one city whose codes are the same and whose borders and names differ."""
    folder = tmp_path_factory.mktemp("editions")
    paths = {}
    for name, seed in [("old", 7), ("new", 8)]:
        toy = build_toy_edition(seed)
        units = {
            level: table.assign(name=name + table["code"]) for level, table in toy.units.items()
        }
        edition = Edition.of(replace(toy.info, id=name), units)
        paths[name] = folder / f"{name}.gpkg"
        store.write_edition(edition, paths[name], tables={})
    return paths


@pytest.fixture
def served(files, tmp_path) -> Path:
    path = tmp_path / "city.gpkg"
    put(files["old"], path)
    return path


@pytest.fixture
def client(served) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(edition=served, reload_seconds=0))) as client:
        yield client


def put(source: Path, target: Path) -> None:
    """Replace a file as `geogrid` writes one."""
    draft = target.with_name("draft")
    shutil.copyfile(source, draft)
    draft.replace(target)


def edition_of(client: TestClient) -> str:
    return client.get("/readyz").json()["edition"]


def test_a_new_file_is_served_when_told_to(client, served, files):
    before = client.get("/readyz").json()
    assert before["reload"]["state"] == "none"
    put(files["new"], served)
    assert edition_of(client) == "old"
    answer = client.post("/v1/reload").json()
    assert (answer["edition"], answer["reload"]["state"]) == ("new", "done")
    assert answer["revision"] != before["revision"]
    assert client.get("/v1/units/4116").json()["properties"]["name"] == "new4116"
    assert client.post("/v1/reload").json()["reload"]["state"] == "unchanged"
    metrics = client.get("/metrics").text
    assert 'geogrid_reloads_total{result="done"} 1.0' in metrics
    assert f'geogrid_revision_info{{edition="new",revision="{answer["revision"]}"}} 1.0' in metrics
    assert 'edition="old"' not in metrics


def test_a_new_file_is_found(served, files):
    with TestClient(create_app(Settings(edition=served, reload_seconds=0.05))) as client:
        assert edition_of(client) == "old"
        put(files["new"], served)
        end = time.monotonic() + 10
        while edition_of(client) != "new":
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("harm", ["half", "text", "gone", "flipped"])
def test_a_file_that_cannot_be_used_leaves_the_old_edition(client, served, files, harm, caplog):
    content = files["new"].read_bytes()
    if harm == "gone":
        served.unlink()
    elif harm == "text":
        served.write_text("no edition")
    elif harm == "half":
        served.write_bytes(content[: len(content) // 2])
    else:
        place = content.index(b"new4116")
        served.write_bytes(content[:place] + b"N" + content[place + 1 :])
    response = client.post("/v1/reload")
    assert (response.status_code, response.json()["code"]) == (409, "edition_unusable")
    ready = client.get("/readyz").json()
    assert (ready["edition"], ready["reload"]["state"]) == ("old", "failed")
    assert "city.gpkg" in ready["reload"]["detail"]
    assert str(served.parent) not in ready["reload"]["detail"]
    assert "still served" in caplog.text
    put(files["new"], served)
    assert client.post("/v1/reload").json()["edition"] == "new"


def test_a_broken_file_is_tried_once(served, caplog):
    with TestClient(create_app(Settings(edition=served, reload_seconds=0.02))) as client:
        served.write_bytes(b"SQLite format 3\x00")
        end = time.monotonic() + 10
        while client.get("/readyz").json()["reload"]["state"] != "failed":
            assert time.monotonic() < end
        time.sleep(0.3)
        assert caplog.text.count("still served") == 1


def test_no_request_fails_and_none_mixes_editions_while_they_change(client, served, files):
    """Every body names one edition only: in its names, its revision and its header."""
    stop, answers = threading.Event(), []

    def ask(address: str) -> None:
        while not stop.is_set():
            answers.append(client.get(address))

    addresses = ["/v1/locate?lon=114.62&lat=33.62&datum=wgs84", "/v1/units/411601001001001001",
                 "/v1/search?q=411601001&limit=50"]  # fmt: skip
    revisions = {name: store.read_edition(path).info.digest for name, path in files.items()}
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, address) for address in addresses]
        for k in range(6):
            put(files["new" if k % 2 == 0 else "old"], served)
            assert client.post("/v1/reload").status_code == 200
        stop.set()
        for each in asking:
            each.result()
    assert {answer.status_code for answer in answers} == {200}
    names = {revision: name for name, revision in revisions.items()}
    seen = set()
    for answer in answers:
        name = names[answer.headers["x-dataset-revision"]]
        other = "old" if name == "new" else "new"
        assert f'"{name}4116' in answer.text
        assert f'"{other}4116' not in answer.text
        assert revisions[other] not in answer.text
        seen.add(name)
    assert seen == {"old", "new"}


def test_an_edition_that_was_replaced_is_freed(client, served, files):
    (guard,) = (each for each in client.app.user_middleware if "keepers" in each.kwargs)
    holder = guard.kwargs["keepers"].served
    old = weakref.ref(holder.dataset)
    client.get("/v1/coverage")
    put(files["new"], served)
    client.post("/v1/reload")
    gc.collect()
    assert old() is None


def test_a_dataset_built_in_another_process_answers_the_same(files):
    """The process builds the next edition too, and ends when it has rested."""
    settings, builder = Settings(edition=files["old"]), Builder(rest_seconds=0.5)
    here, new = load(settings), builder.load(Settings(edition=files["new"]))
    (process,) = multiprocessing.active_children()
    built = builder.load(settings)
    assert multiprocessing.active_children() == [process]
    assert (new.edition.info.id, built.edition.info.id) == ("new", "old")
    assert (
        built.revision
        == here.revision
        == Edition.of(built.edition.info, built.edition.units).info.digest
    )
    xy = np.random.default_rng(2).uniform([114.59, 33.59], [114.66, 33.66], (500, 2))
    mine, other = (each.locator.locate(xy, datum="gcj02", edges=True) for each in (here, built))
    assert mine.microgrid_code.tolist() == other.microgrid_code.tolist()
    np.testing.assert_array_equal(mine.edge_m, other.edge_m)
    x, y = (to_world(xy[:1])[0] * (1 << 13)).astype(int).tolist()
    assert built.tiles.encode(13, x, y) == here.tiles.encode(13, x, y) != b""
    for level, table in here.edition.units.items():
        pd.testing.assert_frame_equal(table, built.edition.units[level])
    with TestClient(create_app(settings, dataset=built)) as client:
        for path in ("/v1/units/411601/children", "/v1/search?q=old4", "/tiles.json"):
            assert client.get(path).status_code == 200
    end = time.monotonic() + 10
    while process.exitcode is None and time.monotonic() < end:  # a timer of the builder reaps it
        time.sleep(0.02)
    assert process.exitcode is not None


@pytest.mark.parametrize("shape", [(5_000,), (2, 2_500)])
def test_columns_of_texts_are_handed_over_in_shares(shape):
    """Of no more than 2,000 texts; what holds anything else is left to pickle."""
    texts = np.array(
        [["", "第三网格", "411602"][k % 3] + "x" * (k % 7) for k in range(5_000)], object
    )
    work, (shares, size) = beside._reduced(texts.reshape(shape))
    assert max(len(ends) for _, ends in shares) == 2_000
    np.testing.assert_array_equal(work(shares, size), texts.reshape(shape))
    texts[7] = None
    for other in (texts, texts[:2_000], np.arange(5_000), "text"):
        assert beside._reduced(other) is NotImplemented


def test_a_large_edition_is_built_in_another_process(client, served, files, monkeypatch):
    monkeypatch.setattr("geogrid.api.reload._SMALL", 10)
    put(files["new"], served)
    assert client.post("/v1/reload").json()["edition"] == "new"
    served.write_text("no edition")
    answer = client.post("/v1/reload")
    assert (answer.status_code, answer.json()["code"]) == (409, "edition_unusable")
    assert edition_of(client) == "new"


def test_reloading_needs_the_key_for_it(served):
    from geogrid.api import keys

    made = {scope: keys.make(scope, [scope]) for scope in ("read", "edit")}
    lines = tuple(key.line() for _, key in made.values())
    with TestClient(create_app(Settings(edition=served, keys=lines))) as client:
        for scope, status in [("read", 403), ("edit", 200)]:
            headers = {"X-API-Key": made[scope][0]}
            assert client.post("/v1/reload", headers=headers).status_code == status


def test_an_answer_in_the_making_keeps_its_edition(client, served, files):
    """A chain of parents that is built while the edition changes under it."""
    rng = np.random.default_rng(1)
    codes = store.read_edition(files["old"]).units["microgrid"]["code"].to_numpy()
    put(files["new"], served)
    with ThreadPoolExecutor(1) as pool:
        reloading = pool.submit(client.post, "/v1/reload")
        while not reloading.done():
            feature = client.get(f"/v1/units/{rng.choice(codes)}").json()["properties"]
            starts = {link["name"][:3] for link in feature["chain"]} | {feature["name"][:3]}
            assert starts == {feature["edition"]}
