"""A real browser opens the page of the service, with no other host behind it."""

import dataclasses
import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import attackers
import cv2
import numpy as np
import planted
import pytest
import rasterio
import shapely
from browsing import opened
from upstream import Answering, running

from geogrid import store
from geogrid.api import keys
from geogrid.edition import Edition
from geogrid.locate import Locator

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def named(toy_edition) -> Edition:
    """The toy city; a village has a hostile name."""
    units = dict(toy_edition.units)
    names = units["village"]["name"].where(units["village"].index != 5, HOSTILE)
    units["village"] = units["village"].assign(name=names)
    return Edition.of(toy_edition.info, units)


@pytest.fixture(scope="module")
def folder(named, tmp_path_factory) -> Path:
    """What a service is started with: a clean city, one with faults, an image, incidents."""
    folder = tmp_path_factory.mktemp("service")
    store.write_edition(named, folder / "city.gpkg", tables={})
    faults = {"moved vertex": 2, "deleted unit": 1, "gap sliver": 1}
    faulty = Edition.of(named.info, planted.plant(named, faults, seed=3)[0])
    store.write_edition(faulty, folder / "faulty.gpkg", tables={})
    _write_image(folder / "image.tif", named)
    codes = named.units["microgrid"]["code"]
    rows = [f"{codes[k * 3]},2026-09-{k % 20 + 1:02d}T08:00:00+08:00" for k in range(60)] * 2
    rows += [f"{codes[k]},2026-09-05T08:00:00+08:00" for k in range(12) for _ in range(k)]
    (folder / "located.csv").write_text("microgrid_code,time\n" + "\n".join(rows), "utf-8")
    return folder


class Upstream(ThreadingHTTPServer):
    """A basemap of one colour, blue-green, for those who have the key."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tiles)
        self.asked: list[str] = []


class _Tiles(Answering):
    server: Upstream

    def respond(self) -> None:
        """Answer a tile."""
        self.server.asked.append(self.path)
        picture = np.full((256, 256, 3), (140, 120, 20), np.uint8)
        body = cv2.imencode(".png", picture)[1].tobytes()
        self.answer(200 if "tk=k3y" in self.path else 418, "image/png", body)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with running(Upstream()) as started:
        yield started


@contextmanager
def serving(city: Path, *options: object, **settings: str) -> Iterator[str]:
    """Serve in a process of its own: here, warnings of rasterio would be errors of the service."""
    with attackers.serving(city, *map(str, options), **settings) as service:
        yield f"http://127.0.0.1:{service.port}/"


@pytest.fixture(scope="module")
def service(folder, upstream) -> Iterator[str]:
    """A service with everything; its file is a copy, to be replaced by another edition."""
    shutil.copy(folder / "city.gpkg", folder / "served.gpkg")
    address = (
        f"http://127.0.0.1:{upstream.server_address[1]}/{{layer}}/{{z}}/{{x}}/{{y}}?tk={{key}}"
    )
    with serving(
        folder / "served.gpkg", "--imagery", folder / "image.tif",
        "--incidents", folder / "located.csv",
        basemap__token="k3y", basemap__template=address, basemap__folder=str(folder / "kept"),
        reload_seconds="0.2",
    ) as address:  # fmt: skip
        yield address


@pytest.fixture(scope="module")
def faulty_service(folder) -> Iterator[str]:
    with serving(folder / "faulty.gpkg") as address:
        yield address


@contextmanager
def shown(browser, address: str, **options: object) -> Iterator:
    """Open the page, its map painted."""
    size = {"width": 1100, "height": 760}  # drawn by the processor: small is quick
    with opened(browser, address, **{"viewport": size} | options) as page:
        page.wait_for_selector("body[data-ready]")
        yield page


def _write_image(path: Path, edition: Edition) -> None:
    west, south, east, north = edition.units["city"].total_bounds
    pixels = np.random.default_rng(1).integers(60, 200, (3, 128, 128), np.uint8)
    transform = rasterio.Affine((east - west) / 128, 0, west, 0, (south - north) / 128, north)
    with rasterio.open(
        path, "w", driver="GTiff", width=128, height=128, count=3, dtype="uint8",
        crs="EPSG:4326", transform=transform,
    ) as file:  # fmt: skip
        file.write(pixels)


@pytest.fixture(scope="module")
def reader(browser, service) -> Iterator:
    """A page for those tests that do not mind what others chose; `page` has no unit picked."""
    with shown(browser, service, locale="zh-CN") as page:
        yield page


@pytest.fixture
def page(reader):
    reader.keyboard.press("Escape")
    reader.click("#tab-layers")
    return reader


SCREEN = """() => {
  const shown = document.querySelector(".maplibregl-canvas");
  const copy = document.createElement("canvas");
  copy.width = shown.width, copy.height = shown.height;
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(shown, 0, 0);
  const numbers = new Map();
  for (const each of new Uint32Array(pen.getImageData(0, 0, copy.width, copy.height).data.buffer)) {
    numbers.set(each, (numbers.get(each) || 0) + 1);
  }
  const name = (n) => [n, n >> 8, n >> 16].map((k) => (k & 255).toString(16).padStart(2, "0"));
  return Object.fromEntries(
    [...numbers].filter(([, n]) => n > 50).map(([key, n]) => ["#" + name(key).join(""), n]));
}"""
CLASSES = ("#fdf6d8", "#bfe0c2", "#73bfc2", "#3a8fbf", "#2a5b9c")


def settled(page) -> dict[str, int]:
    """Return how many pixels of the map have each colour once it stands still."""
    page.wait_for_timeout(250)  # until it begins to move
    page.wait_for_selector("body[data-idle]")
    return page.evaluate(SCREEN)


def test_page_paints_the_grids_in_the_classes_of_the_legend(page):
    assert page.inner_text("#city") == "玩具市"
    assert page.inner_text("#counts") == "64 个网格 · 256 个微网格"
    painted = settled(page)
    for colour in CLASSES:
        assert painted.get(colour, 0) > 10_000, colour
    assert page.locator("#legend li").count() == 5
    page.click("#layers input[value=county]")
    assert "县(市、区)户数" in page.inner_text("#legend")
    assert settled(page) != painted
    page.uncheck("#layers tr:has-text('微网格') input[type=checkbox]")
    assert "level=county" in page.url


def test_a_click_tells_the_unit_its_parents_and_its_neighbours(page, named):
    page.click("#layers input[value=grid]")
    page.mouse.click(740, 420)
    page.wait_for_selector("#panel .chain li:nth-child(6)")
    told = page.inner_text("#place > .code")
    code = told.replace("-", "")
    row = named.units["grid"].set_index("code").loc[code]
    assert f"户数\t{row.households}" in page.inner_text("#place dl").replace("\n", "\t")
    assert page.inner_text(".chain li:nth-child(4) .code").replace("-", "") == row.parent
    assert "距边界" in page.inner_text("#place")
    page.wait_for_selector("#place details .note")
    beside = page.locator("#place details").first.locator(".code").all_inner_texts()
    shapes = named.units["grid"].geometry
    own = shapes[named.units["grid"]["code"] == code].iat[0]
    touching = named.units["grid"]["code"][shapely.intersection(shapes, own).length > 1e-9]
    assert {each.replace("-", "") for each in beside} == set(touching) - {code}
    page.click("#place details .chain button >> nth=0")
    page.wait_for_selector(f"#place > .code:not(:has-text('{told}'))")
    page.click("#place > .chain li:nth-child(2) button")
    page.wait_for_selector("#place > .kind:has-text('县(市、区)')")


def test_a_village_is_found_by_name_with_the_keyboard_alone(browser, service):
    with shown(browser, service, locale="en-GB") as page:
        page.keyboard.press("/")
        page.keyboard.type("411602001001号")
        page.wait_for_selector("#results li:nth-child(1)")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.locator("#results [aria-selected=true]").count() == 1
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        page.wait_for_selector("#panel:not([hidden])")
        assert page.inner_text("#place .kind >> nth=0") == "Village"
        assert "411602001001" in page.inner_text("#live")
        assert "unit=411602001001" in page.url
        page.keyboard.press("Escape")
        assert page.is_hidden("#panel")
        page.fill("#query", "no such name")
        page.wait_for_selector("#results .empty")


def test_the_language_changes_and_is_remembered(browser, service):
    with shown(browser, service, locale="en-GB") as page:
        assert page.inner_text("#counts") == "64 grids · 256 micro-grids"
        page.click("#language")
        assert page.inner_text("#counts") == "64 个网格 · 256 个微网格"
        assert page.get_attribute("html", "lang") == "zh"
        page.goto(service)
        page.wait_for_selector("body[data-ready]")
        assert page.inner_text("#counts") == "64 个网格 · 256 个微网格"
        page.goto("about:blank")
        page.goto(service + "#lang=en")
        page.wait_for_selector("body[data-ready]")
        assert page.inner_text("#counts") == "64 grids · 256 micro-grids"


def test_an_address_shows_what_it_was_copied_from(browser, service):
    with shown(browser, service, locale="zh-CN") as page:
        page.fill("#query", "411602001002")
        page.keyboard.press("Enter")
        page.wait_for_selector("#panel:not([hidden])")
        page.click("#tab-check")
        settled(page)
        address = page.url
    with shown(browser, address, locale="zh-CN") as page:
        page.wait_for_selector("#panel:not([hidden])")
        assert page.inner_text("#place > .code") == "411602001002"
        assert page.is_visible("#check")
        assert page.url.split("&")[0] == address.split("&")[0]


def test_a_position_needs_a_datum_and_a_swapped_pair_is_put_right(browser, service, named):
    with shown(browser, service, locale="en-GB") as page:
        page.click("#tab-point")
        assert page.locator("#point input[type=radio]:checked").count() == 0
        page.fill("#pair", "33.62，114.62")
        page.click("#point .main")
        assert "Choose a datum" in page.inner_text("#point .advice")
        page.check("#point input[value=gcj02]")
        page.click("#point .main")
        page.click("#point .advice button")
        page.wait_for_selector("#panel:not([hidden])")
        expected = Locator(named).locate(np.array([[114.62, 33.62]]), datum="gcj02", edges=True)
        assert page.inner_text("#place > .code").replace("-", "") == expected.microgrid_code[0]
        assert expected.neighbour_code[0] in page.inner_text("#place").replace("-", "")
        page.fill("#pair", "many, words")
        page.click("#point .main")
        assert "no pair" in page.inner_text("#point .advice")


PAIRS = {
    "114.6497, 33.6204": [114.6497, 33.6204],
    "114.6497\t33.6204": [114.6497, 33.6204],
    "１１４．６４９７，３３．６２０４": [114.6497, 33.6204],
    "北纬33.6204 东经114.6497": [114.6497, 33.6204],
    "33.6204N 114.6497E": [114.6497, 33.6204],
    "lat: 33.6204, lng: 114.6497": [114.6497, 33.6204],
    "114°38'59\" 33°37'13\"": [114 + 38 / 60 + 59 / 3600, 33 + 37 / 60 + 13 / 3600],
    "114.6497": None,
    "1, 2, 3": None,
    "": None,
}


def test_pairs_are_read_as_people_write_them(page):
    found = page.evaluate(
        """async (texts) => {
          const { pairOf } = await import("/static/point.js");
          return texts.map(pairOf);
        }""",
        list(PAIRS),
    )
    for text, pair, expected in zip(PAIRS, found, PAIRS.values(), strict=True):
        assert pair == (None if expected is None else pytest.approx(expected)), text


def test_findings_are_listed_filtered_and_zoomed_to(browser, faulty_service):
    with shown(browser, faulty_service + "#tab=check", locale="zh-CN") as page:
        page.wait_for_selector("#check .findings button")
        n = page.locator("#check .findings button").count()
        assert page.inner_text("#n-findings") == str(n)
        assert "%" in page.inner_text("#check .rate b")
        assert page.inner_text("#check .rate b") != "100 %"
        settled(page)
        before = page.url
        page.focus("#check .findings button >> nth=0")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_selector("#check .fix")
        settled(page)
        assert page.url != before
        assert page.locator("#check .findings .on").count() == 1
        page.click("#check .chips .error")
        assert page.locator("#check .findings button").count() <= n


def test_a_clean_city_says_that_nothing_was_found(browser, service):
    with shown(browser, service + "#tab=check", locale="en-GB") as page:
        page.wait_for_selector("#check .good")
        assert page.inner_text("#check .rate b") == "100 %"
        assert "Nothing found" in page.inner_text("#check")
        assert page.is_hidden("#n-findings")


def test_incidents_have_a_legend_and_no_data_is_not_no_warning(browser, service):
    with shown(browser, service + "#tab=incidents", locale="en-GB") as page:
        page.wait_for_selector("#incidents .sum")
        page.select_option("#incidents select >> nth=0", "microgrid")
        page.wait_for_selector("#legend:has-text('Micro-grid')")
        page.select_option("#incidents select >> nth=2", "absolute")
        page.fill("#incidents input[name=values]", "2,4,6,9")
        page.keyboard.press("Tab")
        page.wait_for_selector("#legend:has-text('≥ 9')")
        legend = page.inner_text("#legend")
        for name in ("Red", "Orange", "Yellow", "Blue", "No warning", "No data"):
            assert name in legend
        painted = settled(page)
        for colour in ("#d7263d", "#f28c28", "#ffd54a", "#4a90d9", "#f4f6f7"):
            assert painted.get(colour, 0) > 1000, colour
        assert painted.get("#8c949a", 0) == 0
        page.fill("#incidents input[name=to]", "2020-01-01")
        page.fill("#incidents input[name=from]", "2019-01-01")
        page.keyboard.press("Tab")
        page.wait_for_selector("#incidents .advice")
        assert "holds none of these days" in page.inner_text("#incidents .advice")
        hatched = settled(page)
        assert hatched.get("#8c949a", 0) > 2000
        assert hatched.get("#f4f6f7", 0) < 100
        page.uncheck("#warned-on")
        assert "Households" in page.inner_text("#legend")


def test_controls_keep_the_focus_and_a_level_chosen_ends_the_warnings(page):
    page.click("#tab-incidents")
    page.wait_for_selector("#incidents .sum")
    page.focus("#incidents select >> nth=0")
    page.keyboard.press("Home")
    page.wait_for_selector("#legend:has-text('县(市、区) · 事件数')")
    focused = "document.activeElement === document.querySelector('#incidents select')"
    assert page.evaluate(focused)
    page.click("#tab-layers")
    assert page.locator("#layers input[name=coloured]:checked").count() == 0
    page.check("#layers input[value=village]")
    page.wait_for_selector("#legend:has-text('村(社区)户数')")
    assert page.evaluate("document.activeElement.value") == "village"


def test_thresholds_that_are_refused_leave_the_map_of_households(browser, service):
    with browser.new_context(locale="zh-CN") as context:
        page = context.new_page()
        page.goto(service + "#tab=incidents")
        page.wait_for_selector("#incidents .sum")
        page.select_option("#incidents select >> nth=2", "absolute")
        page.fill("#incidents input[name=values]", "4,3")
        with page.expect_response(lambda answer: answer.status == 422):
            page.keyboard.press("Tab")
        page.wait_for_selector("#incidents .advice")
        assert "户数" in page.inner_text("#legend")


def test_without_incidents_the_control_says_so(browser, faulty_service):
    with shown(browser, faulty_service + "#tab=incidents", locale="zh-CN") as page:
        assert "--incidents" in page.inner_text("#incidents")


def test_imagery_and_basemap_lie_below_and_the_key_stays_at_the_service(browser, service, upstream):
    with shown(browser, service, locale="zh-CN") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        with page.expect_response(lambda answer: "/imagery/tiles/" in answer.url) as tile:
            page.check("#imagery-on")
        assert tile.value.ok
        assert page.locator("#layers input[type=range]").count() == 2
        page.uncheck("#imagery-on")
        with page.expect_response(lambda answer: "/basemap/vec/" in answer.url):
            page.check("#layers input[value=vec]")
        page.locator("#layers .slider input").last.fill("0")
        assert settled(page).get("#14788c", 0) > 100_000
        assert any("/basemap/vec/" in url for url in asked)
        assert any("/basemap/cva/" in url for url in asked)
        assert not any("k3y" in url for url in asked)
        assert "k3y" not in page.content()
    assert any("tk=k3y" in path for path in upstream.asked)


def test_hostile_names_are_text_and_foreign_scripts_do_not_run(browser, service, page):
    page.fill("#query", "<img")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel:not([hidden])")
    assert page.inner_text("#place h2") == HOSTILE
    page.fill("#query", "411")
    page.wait_for_selector("#results li:nth-child(2)")
    assert page.locator("#panel img, #results img").count() == 0
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(service)
        page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.broken = true";
              document.body.append(script);
            }"""
        )
        assert page.evaluate("window.broken") is None


def test_a_service_that_is_gone_is_told(browser, service):
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(service)
        page.wait_for_selector("body[data-ready]")
        context.set_offline(True)
        page.mouse.click(740, 420)
        page.wait_for_selector(".toast")
        assert "does not answer" in page.inner_text(".toast")


def test_page_fits_a_phone(browser, service):
    with shown(browser, service, viewport={"width": 390, "height": 844}, locale="zh-CN") as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.mouse.click(195, 400)
        page.wait_for_selector("#panel:not([hidden]) .chain")
        card = page.locator("#panel").bounding_box()
        assert (card["x"], card["width"]) == (0, 390)
        assert card["y"] > 300
        page.click("#tab-point")
        assert page.is_hidden("#panel")  # one sheet at a time
        page.keyboard.press("Escape")
        assert page.is_hidden("#panels")
        assert page.is_visible("#panel")
        page.click("#place .chain button >> nth=-1")
        marked = settled(page).get("#d9480f", 0)
        assert marked > 300  # the unit lies above its card
        page.click("#close")
        assert page.is_hidden("#panel")
        for tab in ("layers", "point", "check", "incidents"):
            page.click(f"#tab-{tab}")
            assert page.is_visible(f"#{tab}")
            wide = page.evaluate("document.querySelector('#panels').scrollWidth")
            assert wide <= 390, tab
        page.click("#tab-incidents")
        assert page.is_hidden("#panels")


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const part = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(node).backgroundColor);
      if (a > 0.8) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const node of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
    if (!own || !node.checkVisibility() || node.closest("#map, :has(> :disabled)")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push([node.outerHTML.slice(0, 90), ratio]);
  }
  return weak;
}"""


NAMELESS = """() => [...document.querySelectorAll("button, input, select")].filter((each) =>
  each.checkVisibility() && !(each.getAttribute("aria-label") || each.textContent.trim()
    || each.labels?.[0]?.textContent.trim())).map((each) => each.outerHTML)"""


def test_texts_stand_out_and_controls_have_names(browser, faulty_service):
    with shown(browser, faulty_service, locale="zh-CN") as page:
        page.mouse.click(740, 420)
        page.wait_for_selector("#panel:not([hidden])")
        for tab in ("layers", "point", "check", "incidents"):
            page.click(f"#tab-{tab}")
            page.wait_for_selector(f"#{tab} > :not(.wait)")
            assert page.evaluate(CONTRAST) == [], tab
            assert page.evaluate(NAMELESS) == [], tab


def test_a_service_with_keys_asks_for_one_and_then_shows_the_map(browser, folder):
    key, made = keys.make("page", ("read",))
    with (
        serving(folder / "city.gpkg", keys=json.dumps([made.line()])) as address,
        browser.new_context(locale="en-GB") as context,
    ):
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("dialog[open]")
        page.fill("#key-text", key)
        page.click("dialog .main")
        page.wait_for_selector("body[data-ready]")
        assert page.inner_text("#counts") == "64 grids · 256 micro-grids"
        assert sum(settled(page).get(colour, 0) for colour in CLASSES) > 100_000
        assert key not in page.content()


def test_a_new_edition_is_noticed_and_shown(browser, folder, toy_edition, service):
    """The last test of the service with everything: its file is replaced, twice."""

    def replace(name: str) -> None:
        info = dataclasses.replace(toy_edition.info, id=name)
        store.write_edition(Edition.of(info, toy_edition.units), folder / "served.gpkg", tables={})
        for _ in range(100):
            with urllib.request.urlopen(service + "v1/editions") as answer:
                if json.load(answer)[0]["id"] == name:
                    return
            time.sleep(0.1)

    with shown(browser, service, locale="zh-CN") as page:
        replace("next")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_selector(".toast.calm:has-text('next')")
        assert "next" in page.inner_text("#source")
        assert sum(settled(page).get(colour, 0) for colour in CLASSES) > 100_000
        replace("third")
        page.click(".maplibregl-ctrl-zoom-in")  # needs tiles, which are gone
        page.wait_for_selector(
            ".toast.calm:has-text('third')", timeout=8_000
        )  # looks by itself: 20 s
        assert "third" in page.inner_text("#source")
        assert page.locator(".toast").count() == 1
        assert sum(settled(page).get(colour, 0) for colour in CLASSES) > 100_000


def test_documentation_of_the_interface_opens_without_a_network(browser, service):
    with opened(browser, service + "docs") as page:
        page.wait_for_selector(".opblock")
