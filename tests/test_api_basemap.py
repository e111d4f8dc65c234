"""The basemap proxy against a service on this machine that behaves as Tianditu does."""

import logging
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from upstream import Answering, running

from geogrid.api.app import create_app
from geogrid.api.basemap import Basemap, Terms
from geogrid.api.settings import Basemap as Given
from geogrid.api.settings import Settings

KEY = "5ecret/key+of=ours"
TILE = "/basemap/img/10/837/409"
JPEG = cv2.imencode(".jpg", np.full((256, 256, 3), 90, np.uint8))[1].tobytes()
PNG = cv2.imencode(".png", np.zeros((256, 256, 4), np.uint8))[1].tobytes()
PAGE = f"<html>疑似攻击 tk={KEY}</html>".encode()


class Server(ThreadingHTTPServer):
    """Gives imagery as JPEG and labels as PNG, to who has the key and comes from the site."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.fault: tuple[int, str, bytes] | None = None
        self.wait = 0.0


class Handler(Answering):
    server: Server

    def respond(self) -> None:
        """Answer a tile, or the fault."""
        self.server.asked.append(self.path)
        time.sleep(self.server.wait)
        key = parse_qs(urlsplit(self.path).query).get("tk")
        good = (200, "image/jpeg", JPEG) if "/img" in self.path else (200, "image/png", PNG)
        refused = None if key == [KEY] and self.headers.get("Referer") == "https://our.example/" \
            else (418, "text/html", PAGE)  # fmt: skip
        status, kind, body = refused or self.server.fault or good
        self.answer(status, kind, body)


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as started:
        yield started


def given(server: Server, folder: Path, **changes: object) -> dict[str, object]:
    address = f"http://127.0.0.1:{server.server_address[1]}/{{layer}}/{{z}}/{{x}}/{{y}}?tk={{key}}"
    return {
        "token": KEY, "template": address, "referer": "https://our.example/", "folder": folder,
        "seconds": 1.0,
    } | changes  # fmt: skip


@pytest.fixture
def client(toy_file, data, server, tmp_path):
    settings = Settings(edition=toy_file, basemap=Given(**given(server, tmp_path)))
    with TestClient(create_app(settings, dataset=data)) as client:
        yield client


def pictures(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    return [path for path in files if path.read_bytes()[:1] in b"\x89\xff"]


def test_without_a_key_there_is_no_basemap(toy_file, data):
    with TestClient(create_app(Settings(edition=toy_file), dataset=data)) as client:
        response = client.get(TILE)
        assert (response.status_code, response.json()["code"]) == (404, "no_basemap")
        assert client.get("/page.json").json()["basemap"] is None


def test_a_tile_comes_with_its_type_is_private_and_asked_for_once(client, server, tmp_path):
    for _ in range(3):
        response = client.get(TILE)
        assert (response.status_code, response.content) == (200, JPEG)
        assert response.headers["content-type"] == "image/jpeg"
        assert response.headers["cache-control"].startswith("private")
    assert server.asked == ["/img/10/837/409?tk=5ecret%2Fkey%2Bof%3Dours"]
    labels = client.get("/basemap/cia/10/837/409")
    assert labels.headers["content-type"] == "image/png"
    assert len(server.asked) == 2
    assert client.get("/page.json").json()["basemap"] == ["vec", "cva", "img", "cia"]
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize(
    ("fault", "code"),
    [((418, "text/html", PAGE), "basemap_refused"),
     ((403, "application/json", b'{"msg":"key"}'), "basemap_refused"),
     ((302, "text/plain", b""), "basemap_refused"),
     ((200, "text/html", PAGE), "basemap_unanswered"),
     ((200, "image/jpeg", PAGE), "basemap_unanswered"),
     ((200, "application/json", JPEG), "basemap_unanswered"),
     ((200, "image/jpeg", JPEG[:-200]), "basemap_unanswered"),
     ((200, "image/png", b"\x89PNG\r\n\x1a\n" + b"\0" * 8_000_001), "basemap_unanswered"),
     ((503, "text/plain", b"busy"), "basemap_unanswered"),
     ((429, "text/plain", b"slow"), "basemap_unanswered")],
)  # fmt: skip
def test_what_is_no_picture_is_a_problem_and_never_kept(
    client, server, tmp_path, caplog, fault, code
):
    server.fault = fault
    with caplog.at_level(logging.DEBUG):
        response = client.get(TILE)
    assert (response.status_code, response.json()["code"]) == (502, code)
    assert response.headers["cache-control"] == "no-store"
    assert int(response.headers["retry-after"]) > 0
    assert pictures(tmp_path) == []
    for text in (response.text, caplog.text):
        assert "5ecret" not in text
        assert "疑似" not in text
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"5ecret" not in path.read_bytes()


def test_a_tile_that_there_is_not_is_no_content(client, server, tmp_path):
    server.fault = (404, "text/html", b"<html>none</html>")
    assert client.get(TILE).status_code == 204
    assert pictures(tmp_path) == []


def test_a_service_that_refuses_is_left_alone_but_what_is_kept_is_given(client, server):
    assert client.get(TILE).status_code == 200
    server.fault = (418, "text/html", PAGE)
    for x in range(5):
        assert client.get(f"/basemap/img/10/{x}/1").status_code == 502
    assert len(server.asked) == 2
    assert client.get(TILE).status_code == 200


def test_a_service_that_is_silent_costs_its_time_and_no_more(client, server):
    server.wait = 3.0
    begun = time.monotonic()
    assert client.get(TILE).json()["code"] == "basemap_unanswered"
    assert time.monotonic() - begun < 2.5


@pytest.mark.parametrize("place", ["19/0/0", "0/0/0", "5/32/0", "5/0/-1", "60/1/1"])
def test_a_tile_beyond_the_matrix_is_not_asked_for(client, server, place):
    assert client.get(f"/basemap/vec/{place}").status_code == 404
    assert server.asked == []


@pytest.mark.parametrize("layer", ["ter", "..", "http:%2F%2Fevil", "img%2F.."])
def test_a_layer_that_is_none_of_four_is_not_asked_for(client, server, layer):
    assert client.get(f"/basemap/{layer}/5/1/1").status_code in (404, 422)
    assert server.asked == []


def test_the_limit_of_a_day_stops_before_it_and_the_next_day_goes_on(
    toy_file, data, server, tmp_path
):
    settings = Settings(edition=toy_file, basemap=Given(**given(server, tmp_path, daily_limit=2)))
    with TestClient(create_app(settings, dataset=data)) as client:
        codes = [client.get(f"/basemap/img/9/{x}/1").status_code for x in range(3)]
        assert codes == [200, 200, 503]
        spent = client.get("/basemap/img/9/7/1")
        assert spent.json()["code"] == "basemap_spent"
        assert 0 < int(spent.headers["retry-after"]) <= 86_400
        assert client.get("/basemap/cia/9/7/1").status_code == 200  # a layer has its own limit
        assert client.get("/basemap/img/9/1/1").status_code == 200  # kept
    assert len(server.asked) == 3
    terms = given(server, tmp_path, daily_limit=2)
    later = datetime(2100, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    tomorrow = Basemap(Terms(key=terms.pop("token"), **terms, now=lambda: later))
    assert tomorrow.fetch("img", (9, 8, 1)) == JPEG


def test_the_cache_keeps_within_its_size_what_was_used_last(toy_file, data, server, tmp_path):
    room = len(JPEG) * 5
    settings = Settings(
        edition=toy_file, basemap=Given(**given(server, tmp_path, cache_bytes=room))
    )
    with TestClient(create_app(settings, dataset=data)) as client:
        for x in range(8):
            client.get(f"/basemap/img/9/{x}/1")
            client.get("/basemap/img/9/0/1")
            assert sum(path.stat().st_size for path in pictures(tmp_path)) <= room
            time.sleep(0.01)
    assert sum("/9/0/1?" in path for path in server.asked) == 1
    assert len(pictures(tmp_path)) >= 3


def test_a_cache_that_cannot_be_written_costs_a_request_and_not_the_tile(
    toy_file, data, server, tmp_path
):
    (tmp_path / "tiles").write_text("a file in the way")
    settings = Settings(edition=toy_file, basemap=Given(**given(server, tmp_path)))
    with TestClient(create_app(settings, dataset=data)) as client:
        assert [client.get(TILE).status_code for _ in range(2)] == [200, 200]
    assert len(server.asked) == 2


def test_the_key_is_not_shown_with_the_terms(server, tmp_path):
    terms = given(server, tmp_path)
    assert "5ecret" not in repr(Terms(key=terms.pop("token"), **terms))
