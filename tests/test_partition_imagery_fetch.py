"""Fetching tiles from a server on this machine that behaves as services do, faults included."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pytest
import shapely
from test_partition_imagery import CRS, ZOOM, X, Y, area, cut, encoded, picture, write_folder
from typer.testing import CliRunner
from upstream import Answering, running

from geogrid import store
from geogrid.cli.app import app
from geogrid.errors import ConflictError, ImageryError, UsageError
from geogrid.partition.imagery import ImagerySource, open_imagery
from geogrid.partition.imagery.fetch import Patience, fetch
from geogrid.partition.imagery.services import Service, template, tianditu
from geogrid.partition.imagery.tiles import tiles_over

KEY = "3f9a/secret+key"
HURRIED = Patience(tries=4, first_wait=0.01, longest_wait=0.05, timeout=0.5, at_once=3)
NINE = (ZOOM, tiles_over(area(), CRS, ZOOM))
PAGE = "<html><body>疑似攻击,请求被拒绝 tk={key}</body></html>"

Answer = tuple[int, str, bytes]


class Server(ThreadingHTTPServer):
    """Answers as Tianditu does: KVP, key, Referer; `faults` come first, tile by tile."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tiles = {place: encoded(tile) for place, tile in cut(picture()).items()}
        self.asked: Counter[tuple[int, int]] = Counter()
        self.agents: set[str] = set()
        self.faults: dict[tuple[int, int], list[str]] = {}
        self.always = ""
        self.referer = ""
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(Answering):
    """One request."""

    server: Server

    def respond(self) -> None:
        """Answer a tile, or the fault that is due."""
        parts = urlsplit(self.path)
        if parts.path.endswith("/wmts"):
            found = {name.upper(): values[0] for name, values in parse_qs(parts.query).items()}
            z, x, y = (int(found[k]) for k in ("TILEMATRIX", "TILECOL", "TILEROW"))
            fixed = {"SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": "1.0.0", "LAYER": "img",
                     "STYLE": "default", "TILEMATRIXSET": "w", "FORMAT": "tiles"}  # fmt: skip
            if {name: found.get(name) for name in fixed} != fixed:
                return self.answer(400, "application/json", b'{"msg": "parameter"}')
            refused = self._refusal(found.get("TK", ""))
        else:
            z, x, y = (int(text.split(".")[0]) for text in parts.path.strip("/").split("/")[-3:])
            refused = None
        with self.server.lock:
            self.server.asked[x, y] += 1
            self.server.agents.add(self.headers["User-Agent"])
            faults = self.server.faults.get((x, y), [])
            fault = faults.pop(0) if faults else self.server.always
        if refused:
            return self.answer(*refused)
        body = self.server.tiles.get((x, y)) if z == ZOOM else None
        if fault:
            return self._fail(fault, body or b"")
        if body is None:
            return self.answer(404, "text/html", b"<html>none</html>")
        return self.answer(200, "image/png", body)

    def _refusal(self, key: str) -> Answer | None:
        page = PAGE.format(key=key).encode()
        if not key:
            return 418, "text/html", page
        if key != KEY:
            return 403, "application/json", f'{{"msg": "非法key {key}"}}'.encode()
        if self.server.referer and self.headers.get("Referer") != self.server.referer:
            return 418, "text/html", page
        return None

    def _fail(self, fault: str, body: bytes) -> None:
        white = encoded(np.full((256, 256, 3), 255, np.uint8))
        answers: dict[str, Answer] = {
            "html": (200, "text/html", PAGE.format(key=KEY).encode()),
            "html called png": (200, "image/png", b"<html>busy</html>"),
            "json": (200, "application/json", b'{"code": 301, "msg": "busy"}'),
            "half": (200, "image/png", body[: len(body) // 2]),
            "not an image": (200, "image/png", b"x" * 300),
            "white": (200, "image/png", white),
            "error": (503, "text/plain", b"busy"),
            "too many": (429, "text/plain", b"slow down"),
            "elsewhere": (302, "text/plain", b""),
        }
        if fault == "silence":
            time.sleep(1.0)
            return
        if fault == "broken":
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:500])
            return
        self.answer(*answers[fault])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("TIANDITU_KEY", "TIANDITU_REFERER", "GEOGRID_TILE_KEY"):
        monkeypatch.delenv(name, raising=False)
    with running(Server()) as started:
        yield started


def local_tianditu(server: Server, **changes: object) -> Service:
    service = tianditu("img")
    moved = service.template.replace("https://t{s}.tianditu.gov.cn", server.address)
    return replace(service, template=moved, **changes)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{ZOOM}/*/*.*"))


def everything_written(folder: Path) -> bytes:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() + str(path).encode() for path in files)


# ---- what is fetched -------------------------------------------------------------------------


def test_tianditu_is_fetched_with_the_key_and_nothing_twice(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TIANDITU_KEY", KEY)
    service = local_tianditu(server)
    told: list[tuple[str, int, int]] = []
    fetch(service, tmp_path / "t", NINE, patience=HURRIED, tell=lambda *what: told.append(what))
    assert told[0] == ("tiles", 0, 9)
    assert told[-1] == ("tiles", 9, 9)
    assert server.asked == Counter(dict.fromkeys(cut(picture()), 1))
    for (x, y), body in server.tiles.items():
        assert (tmp_path / "t" / str(ZOOM) / str(x) / f"{y}.png").read_bytes() == body
    fetch(service, tmp_path / "t", NINE, patience=HURRIED)
    assert server.asked.total() == 9
    assert KEY.encode() not in everything_written(tmp_path)
    assert all(agent.startswith("Mozilla/5.0") for agent in server.agents)


def test_the_address_of_tianditu_is_that_of_web_mercator_and_spreads_over_its_hosts() -> None:
    service = tianditu("vec")
    addresses = [service.address(16, 53_645 + k, 26_275, "K") for k in range(8)]
    assert len({urlsplit(address).netloc for address in addresses}) == 8
    parts = urlsplit(addresses[0])
    assert parts.netloc.endswith(".tianditu.gov.cn")
    assert parts.path == "/vec_w/wmts"
    found = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (found["TILEMATRIX"], found["TILECOL"], found["TILEROW"]) == ("16", "53645", "26275")
    assert (found["LAYER"], found["TILEMATRIXSET"], found["tk"]) == ("vec", "w", "K")


@pytest.mark.parametrize(
    "fault",
    ["html", "html called png", "json", "half", "not an image", "white", "error", "too many",
     "silence", "broken"],
)  # fmt: skip
def test_a_passing_fault_is_waited_out_and_never_kept(
    fault: str, server, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TIANDITU_KEY", KEY)
    server.faults = {(X, Y): [fault], (X + 2, Y + 1): [fault, fault]}
    fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert server.asked[X, Y] == 2
    assert server.asked[X + 2, Y + 1] == 3
    for (x, y), body in server.tiles.items():
        assert (tmp_path / "t" / str(ZOOM) / str(x) / f"{y}.png").read_bytes() == body
    assert len(kept(tmp_path / "t")) == 9


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("html", r"text instead of a picture \(疑似攻击,请求被拒绝 tk=\(key\)\)"),
        ("json", r"text instead of a picture .*busy"),
        ("half", "no whole PNG"),
        ("error", "status 503"),
        ("too many", "too many requests"),
        ("silence", "broke off|no answer"),
        ("broken", "broke off after 500 of"),
    ],
)
def test_a_lasting_fault_is_told_and_what_was_fetched_stays(
    fault: str, said: str, server, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TIANDITU_KEY", KEY)
    server.faults = {(X + 2, Y + 2): [fault] * 20}
    with pytest.raises(ImageryError, match=said) as failure:
        fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert "8 of 9 tiles were fetched now" in str(failure.value)
    assert KEY not in str(failure.value)
    assert server.asked[X + 2, Y + 2] <= HURRIED.tries
    server.faults = {}
    fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert len(kept(tmp_path / "t")) == 9
    assert server.asked[X, Y] == 1


def test_a_service_that_sends_elsewhere_is_not_followed(server, tmp_path) -> None:
    server.always = "elsewhere"
    service = template(server.address + "/{z}/{x}/{y}.png?tk=" + KEY)
    with pytest.raises(ImageryError, match="sends requests elsewhere"):
        fetch(service, tmp_path / "t", NINE, patience=HURRIED)
    assert server.asked.total() <= HURRIED.at_once
    assert kept(tmp_path / "t") == []


def test_a_host_that_does_not_answer_is_named(tmp_path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_address[1]
    service = template(f"http://127.0.0.1:{port}/{{z}}/{{x}}/{{y}}.png")
    with pytest.raises(ImageryError, match=rf"127\.0\.0\.1:{port}/.*no answer .*refused"):
        fetch(service, tmp_path / "t", NINE, patience=HURRIED)


@pytest.mark.parametrize(
    ("key", "referer", "said"),
    [
        ("wrong key", "", r"status 403.*非法key \(key\).*TIANDITU_KEY"),
        (KEY, "https://other.example/", r"status 418.*疑似攻击.*TIANDITU_REFERER"),
    ],
)
def test_a_refused_key_stops_at_once(
    key: str, referer: str, said: str, server, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TIANDITU_KEY", key)
    server.referer = referer
    with pytest.raises(ImageryError, match=said) as failure:
        fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert key not in str(failure.value)
    assert server.asked.total() <= HURRIED.at_once
    assert kept(tmp_path / "t") == []


def test_a_browser_key_is_used_with_the_address_of_its_site(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TIANDITU_KEY", KEY)
    monkeypatch.setenv("TIANDITU_REFERER", "https://grid.example.gov.cn/")
    server.referer = "https://grid.example.gov.cn/"
    fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert len(kept(tmp_path / "t")) == 9


def test_without_a_key_nothing_is_asked(server, tmp_path) -> None:
    with pytest.raises(UsageError, match="environment variable TIANDITU_KEY"):
        fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert server.asked.total() == 0


def test_the_daily_limit_stops_before_it_and_the_next_day_goes_on(
    server, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TIANDITU_KEY", KEY)
    service = local_tianditu(server, daily_limit=4)
    days = [datetime(2026, 3, day, 22, 30, tzinfo=ZoneInfo("UTC")) for day in (1, 2, 3)]
    for day, so_far in zip(days, (4, 8, 9), strict=True):
        if so_far < 9:
            with pytest.raises(ImageryError, match="limit of 4 requests a day") as stop:
                fetch(service, tmp_path / "t", NINE, patience=HURRIED, now=lambda day=day: day)
            # 22:30 in UTC is the next morning where the service counts its days.
            assert f"after 2026-03-0{day.day + 2} 00:00" in str(stop.value)
            with pytest.raises(ImageryError, match="0 of"):
                fetch(service, tmp_path / "t", NINE, patience=HURRIED, now=lambda day=day: day)
        else:
            fetch(service, tmp_path / "t", NINE, patience=HURRIED, now=lambda day=day: day)
        assert server.asked.total() == so_far
        assert len(kept(tmp_path / "t")) == so_far


def test_repeated_requests_count_too(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TIANDITU_KEY", KEY)
    server.faults = {(X, Y): ["error", "html"]}
    fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    counted = json.loads((tmp_path / "t" / "requests.json").read_text())
    assert list(counted.values()) == [11]


def test_a_tile_that_does_not_exist_is_asked_for_once(server, tmp_path) -> None:
    del server.tiles[X + 1, Y + 1]
    service = template(server.address + "/{z}/{x}/{y}.png")
    for _ in range(2):
        fetch(service, tmp_path / "t", NINE, patience=HURRIED)
    assert server.asked[X + 1, Y + 1] == 1


def test_a_tile_that_stays_white_is_left_out_and_asked_for_again_another_time(
    server, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TIANDITU_KEY", KEY)
    server.faults = {(X, Y): ["white"] * HURRIED.tries}
    fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert len(kept(tmp_path / "t")) == 8
    fetch(local_tianditu(server), tmp_path / "t", NINE, patience=HURRIED)
    assert len(kept(tmp_path / "t")) == 9


def test_two_runs_do_not_fetch_into_one_folder(server, tmp_path) -> None:
    service = template(server.address + "/{z}/{x}/{y}.png")
    server.faults = {(X, Y): ["silence"]}
    first = threading.Thread(
        target=fetch, args=(service, tmp_path / "t", NINE), kwargs={"patience": HURRIED}
    )
    first.start()
    while not server.asked:
        time.sleep(0.01)
    with pytest.raises(ConflictError, match="another run"):
        fetch(service, tmp_path / "t", NINE, patience=HURRIED)
    first.join()
    assert len(kept(tmp_path / "t")) == 9


# ---- as imagery ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "/{z}/{x}/{y}.png?tk=" + KEY,
        "/{z}/{x}/{y}.png?access_token=" + KEY + "&LAYER=img",
        "/{TileMatrix}/{TileCol}/{TileRow}.png",
        "/{z}/{x}/{y}.png?key={key}",
    ],
)
def test_a_service_gives_the_pixels_of_its_tiles_and_shows_no_key(
    pattern: str, server, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("GEOGRID_TILE_KEY", KEY)
    source = ImagerySource((server.address + pattern,), cache=tmp_path / "cache")
    made = open_imagery(source, CRS, resolution=2.0, area=area())
    again = open_imagery(source, CRS, resolution=2.0, area=area())
    assert server.asked.total() == len(server.asked)
    # Tiles round the boundaries are asked for as well; this server has none.
    assert set(cut(picture())) < set(server.asked)
    local = open_imagery(
        write_folder(tmp_path / "xyz", picture()), CRS, resolution=2.0, area=area()
    )
    window = local.lattice.window(area()[0].bounds)
    for imagery in (made, again):
        np.testing.assert_array_equal(imagery.read(window)[0], local.read(window)[0])
    assert made.source.endswith(" (zoom 16), 2 m")
    assert KEY not in repr(made)
    assert KEY.encode() not in everything_written(tmp_path / "cache")


def test_the_cache_is_the_same_whatever_the_key() -> None:
    one, other = (template("https://a/{z}/{x}/{y}?LAYER=b&tk=" + key) for key in ("k1", "k2"))
    another = template("https://a/{z}/{x}/{y}?LAYER=c&tk=k1")
    assert one.folder_name == other.folder_name != another.folder_name


def test_nothing_is_fetched_unless_a_service_is_named(server, tmp_path) -> None:
    open_imagery(write_folder(tmp_path / "xyz", picture()), CRS, area=area())
    assert server.asked.total() == 0


# ---- the command -----------------------------------------------------------------------------


@pytest.fixture
def boundaries(tmp_path: Path) -> Path:
    village = gpd.GeoDataFrame(
        {"code": ["411602001201"], "name": ["村"], "parent": ["411602001"], "kind": ["村委会"]},
        geometry=[shapely.box(*area()[0].buffer(-60).bounds)], crs=CRS,
    )  # fmt: skip
    store.write_layers(tmp_path / "boundaries.gpkg", {"village": village})
    return tmp_path / "boundaries.gpkg"


def run(boundaries: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        app,
        ["partition", str(boundaries), *options, "-o", str(boundaries.with_name("city.gpkg")),
         "--grids", "2", "--microgrids", "8", "--workers", "1", "-q", "--lang", "en"],
    )  # fmt: skip
    return result.exit_code, result.output + result.stderr


def test_the_command_divides_by_the_tiles_of_a_service(server, tmp_path, boundaries) -> None:
    address = server.address + "/{z}/{x}/{y}.png?token=" + KEY
    code, said = run(
        boundaries, address, "--tile-cache", str(tmp_path / "cache"), "--imagery-date", "2025-05-05"
    )
    assert code == 0, said
    info = store.read_edition(tmp_path / "city.gpkg").info
    assert info.imagery_source == f"{server.address}/{{z}}/{{x}}/{{y}}.png (zoom 16), 2 m"
    assert info.imagery_date == "2025-05-05"
    assert KEY.encode() not in (tmp_path / "city.gpkg").read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (lambda tmp: ["tianditu:img"], 2, "TIANDITU_KEY"),
        (lambda tmp: ["tianditu:dem"], 2, "tianditu:img or tianditu:vec"),
        (lambda tmp: [str(tmp / "no.tif")], 3, "there is no file"),
        (lambda tmp: [str(write_folder(tmp / "xyz", picture())), "--zoom", "12"], 3, "no zoom 12"),
        (lambda tmp: ["a.tif", "--bands", "3,2"], 2, "--bands '3,2': name three"),
        (lambda tmp: ["a.tif", "--imagery-date", "May"], 2, "--imagery-date 'May' is not a day"),
    ],
)
def test_the_command_says_what_is_wrong(
    options: Callable[[Path], list[str]], code: int, said: str, tmp_path, boundaries, monkeypatch
) -> None:
    monkeypatch.delenv("TIANDITU_KEY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    found, output = run(boundaries, *options(tmp_path))
    assert found == code, output
    assert said in output
    assert not (tmp_path / "city.gpkg").exists()
