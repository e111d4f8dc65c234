"""The pages in a real browser: they draw, they answer, and they ask no other host."""

import hashlib
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from conftest import build_toy_edition

from geogrid import store
from geogrid.api.app import Settings, create_app
from geogrid.api.pages import STATIC

sync_api = pytest.importorskip("playwright.sync_api")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# WebGL without a graphics card.
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
VENDORED = (STATIC / "vendor", Path(store.__file__).parent / "maps" / "assets" / "vendor")


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = "no browser for the page tests: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service with the toy city on a free port."""
    city = tmp_path_factory.mktemp("page") / "city.gpkg"
    store.write_edition(build_toy_edition(), city, tables={})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(Settings(city, port=port))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


class Visit:
    """A page that was opened, with what it asked for and what went wrong in it."""

    def __init__(self, browser: "sync_api.Browser", size: tuple[int, int] = (1280, 900)) -> None:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="zh-CN", has_touch=width < 700
        )
        self.page = context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: "sync_api.ConsoleMessage") -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def until(self, expression: str) -> None:
        """Wait; the page's own policy forbids the evaluation that playwright waits with."""
        deadline = time.monotonic() + 30
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"{expression} never came true; {self.errors}"
            self.page.wait_for_timeout(30)

    def open_map(self, host: str) -> None:
        self.page.goto(host)
        self.until("Boolean(window.geogrid && geogrid.map.loaded() && geogrid.state.coverage)")


@pytest.fixture(scope="module")
def opened(browser, host) -> Iterator[Visit]:
    """The map page; opening it takes longer than all that is done with it."""
    visit = Visit(browser)
    visit.open_map(host)
    yield visit
    visit.page.context.close()


@pytest.fixture
def visit(opened) -> Iterator[Visit]:
    """The map page as it is after opening."""
    view = opened.page.evaluate(
        "({ center: geogrid.map.getCenter().toArray(), zoom: geogrid.map.getZoom() })"
    )
    city = opened.page.evaluate("geogrid.state.edition.city")
    yield opened
    opened.page.evaluate("(city) => { geogrid.state.edition.city = city; }", city)
    if opened.page.is_visible("#place .close"):
        opened.page.click("#place .close")
    if opened.page.get_attribute("html", "lang") == "en":
        opened.page.click("#lang")
    opened.page.evaluate("(view) => { geogrid.map.jumpTo(view); }", view)
    opened.until("geogrid.map.loaded()")


def text_of(visit: Visit, selector: str) -> str:
    return visit.page.inner_text(selector)


def click_middle(visit: Visit) -> None:
    """Click the middle of the city, wherever the panels leave it."""
    at = visit.page.evaluate(
        "(() => { const p = geogrid.map.project([114.6262, 33.6267]); return [p.x, p.y]; })()"
    )
    visit.page.mouse.click(*at)
    visit.until("Boolean(geogrid.state.place)")


def test_map_page_draws_the_units_and_asks_no_other_host(visit, host):
    levels = visit.page.evaluate(
        "[...new Set(geogrid.map.queryRenderedFeatures().map((f) => f.sourceLayer))].sort()"
    )
    assert {"county", "township", "grid"} <= set(levels)
    assert visit.errors == []
    others = [url for url in visit.requests if not url.startswith((host, "blob:", "data:"))]
    assert others == []


def test_overview_tells_counts_and_coverage(visit):
    told = text_of(visit, "#overview")
    assert "256" in told
    assert "64" in told
    assert "100 %" in told
    assert "玩具市" in text_of(visit, "#head")


def test_click_tells_the_chain_of_units(visit, host):
    click_middle(visit)
    place = visit.page.evaluate("geogrid.state.place")
    told = text_of(visit, "#place")
    for unit in place["chain"]:
        assert unit["name"] in told
    assert place["microgrid_code"][:12] in told
    assert f"{place['edge_m']} 米" in told
    assert visit.errors == []


def test_click_beside_the_city_says_so(visit):
    visit.page.mouse.click(1200, 60 + 400)
    visit.until("Boolean(geogrid.state.place)")
    assert "市域之外" in text_of(visit, "#place")


def test_switching_the_language_changes_every_box(visit):
    click_middle(visit)
    visit.page.click("#lang")
    assert "Coverage" in text_of(visit, "#overview")
    assert "micro-grid" in text_of(visit, "#place")
    assert "Households per" in text_of(visit, "#legend")
    assert visit.page.get_attribute("html", "lang") == "en"


def test_search_opens_a_unit(visit):
    visit.page.fill("#q", "411601001001001")
    visit.page.click("#results button")
    visit.until("Boolean(geogrid.state.place)")
    assert "411601001001-001" in text_of(visit, "#place")


def test_name_from_the_data_is_text_not_markup(visit):
    visit.page.evaluate(
        "geogrid.state.edition.city = '<img src=x onerror=\"window.hacked = true\">'"
    )
    visit.page.click("#lang")
    assert "<img" in text_of(visit, "#title")
    assert visit.page.evaluate("window.hacked") is None


def test_page_fits_a_phone(browser, host):
    visit = Visit(browser, (390, 800))
    visit.open_map(host)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    side, overview, legend = (
        visit.page.locator(selector).bounding_box()
        for selector in ("#side", "#overview", "#legend")
    )
    assert side["y"] + side["height"] < legend["y"]
    assert legend["y"] + legend["height"] <= overview["y"]
    assert visit.errors == []
    visit.page.context.close()


def test_documentation_opens_without_another_host(browser, host):
    visit = Visit(browser)
    visit.page.goto(f"{host}/docs")
    visit.page.wait_for_selector(".opblock-summary-path")
    assert "/v1/locate" in visit.page.inner_text("#docs")
    assert [url for url in visit.requests if not url.startswith((host, "data:"))] == []
    assert visit.errors == []
    visit.page.context.close()


def test_our_own_files_name_no_host():
    own = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]
    assert {path.suffix for path in own} == {".html", ".js", ".css", ".svg"}
    for path in own:
        named = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text("utf-8")))
        assert named <= {"http://www.w3.org"}, path  # the name of SVG, nobody asks for it


@pytest.mark.parametrize("folder", VENDORED, ids=("page", "maps"))
def test_vendored_files_are_what_was_reviewed_and_carry_their_licence(folder):
    sums = dict(
        reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    files = {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}
    assert files == set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    for package in {name.split("/")[0] for name in sums}:
        assert any(path.name.startswith("LICENSE") for path in (folder / package).iterdir())
