"""A real browser opens the saved map and the page of the service, with no network behind them."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from geogrid import maps, store
from geogrid.edition import Edition

HOSTILE = "<img src=x onerror=alert(1)>"
RUN = "from geogrid.cli import main; main()"


@contextmanager
def opened(browser, address: str, **options: object) -> Iterator:
    """Open a page; fail on any error in it and on any request to another host."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: line.type == "error" and trouble.append(line.text))
    page.on("dialog", lambda dialog: (trouble.append("a dialog"), dialog.dismiss()))
    origin = "/".join(address.split("/")[:3])
    page.on(
        "request",
        lambda request: (
            request.url.startswith((origin, "data:", "blob:")) or trouble.append(request.url)
        ),
    )
    page.goto(address)
    yield page
    context.close()
    assert not trouble


@pytest.fixture(scope="module")
def saved_map(toy_edition, tmp_path_factory) -> str:
    units = dict(toy_edition.units)
    units["county"] = units["county"].assign(name=HOSTILE + "{{ 7*7 }}")
    edition = Edition.of(toy_edition.info, units)
    place = units["grid"].geometry.representative_point()[0]
    incidents = gpd.GeoDataFrame(
        {"id": [1], "item": [HOSTILE], "grid_code": [units["grid"]["code"][0]]},
        geometry=[place], crs="EPSG:4490",
    )  # fmt: skip
    path = tmp_path_factory.mktemp("map") / "map.html"
    maps.save(maps.map_of(edition, microgrids_of=["411601"], incidents=incidents), path)
    return path.as_uri()


PAINTED = """() => [...document.querySelectorAll("canvas.geogrid-canvas")].map((canvas) =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
    .filter((value, k) => k % 4 === 3 && value).length)"""


def test_saved_map_paints_without_a_network(browser, saved_map):
    with opened(browser, saved_map, offline=True) as page:
        page.wait_for_selector("canvas.geogrid-canvas")
        grids, _, townships, counties, incidents = page.evaluate(PAINTED)
        assert grids > 100_000
        assert townships > 1000
        assert counties > 1000
        assert incidents > 20


def test_saved_map_tells_the_unit_under_the_pointer_and_shows_names_as_text(browser, saved_map):
    with opened(browser, saved_map, offline=True) as page:
        page.wait_for_selector("canvas.geogrid-canvas")
        page.mouse.click(610, 470)
        card = page.wait_for_selector(".leaflet-popup .geogrid-card")
        assert "户 households" in card.inner_text()
        assert HOSTILE in card.inner_text()
        assert HOSTILE in page.inner_text(".leaflet-control-layers")
        assert "64 网格 grids · 256 微网格 micro-grids" in page.inner_text(".geogrid-title")


def test_saved_map_hides_and_shows_a_layer(browser, saved_map):
    with opened(browser, saved_map, offline=True) as page:
        page.wait_for_selector("canvas.geogrid-canvas")
        page.uncheck(".leaflet-control-layers label:has-text('Townships') input")
        assert len(page.evaluate(PAINTED)) == 4


def test_saved_map_draws_the_very_points_of_the_edition(browser, toy_edition, tmp_path):
    """Vertices that the script unpacked against the edition's own, in web mercator pixels."""
    maps.save(maps.map_of(toy_edition), tmp_path / "map.html")
    with opened(browser, (tmp_path / "map.html").as_uri(), offline=True) as page:
        found = page.evaluate(
            """() => {
              const layers = Object.keys(window).filter((name) => name.startsWith("grid_layer"));
              const grids = layers.map((name) => window[name]).find((each) => each.style.fills);
              const { shapes } = grids;
              return { xy: [...shapes.xy], n: shapes.n };
            }"""
        )
    polygons = shapely.orient_polygons(toy_edition.units["grid"].geometry.to_numpy())
    lon, lat = np.concatenate([shapely.get_coordinates(each)[:-1] for each in polygons]).T
    y = 0.5 - np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)) / (2 * np.pi)
    expected = 256 * np.column_stack([lon / 360 + 0.5, y])
    assert found["n"] == 64
    # Half a step of 1e-6 degree is 3.6e-7 pixel of zoom 0 eastward, a fifth more northward.
    np.testing.assert_allclose(np.reshape(found["xy"], (-1, 2)), expected, rtol=0, atol=4.5e-7)


@pytest.fixture(scope="module")
def service(toy_edition, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    store.write_edition(toy_edition, folder / "city.gpkg", tables={})
    _write_image(folder / "image.tif", toy_edition)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # A process of its own: in this one, warnings of rasterio would be errors of the service.
    command = ["serve", folder / "city.gpkg", "--imagery", folder / "image.tif", "--port", port]
    server = subprocess.Popen([sys.executable, "-c", RUN, *map(str, command)])
    try:
        _wait_until_ready(server, f"http://127.0.0.1:{port}/readyz")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


def _wait_until_ready(server: subprocess.Popen, address: str) -> None:
    for _ in range(600):
        assert server.poll() is None, f"the service ended with {server.returncode}"
        try:
            with urllib.request.urlopen(address):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the service is not ready after a minute")


def _write_image(path: Path, edition: Edition) -> None:
    west, south, east, north = edition.units["city"].total_bounds
    pixels = np.random.default_rng(1).integers(60, 200, (3, 128, 128), np.uint8)
    transform = rasterio.Affine((east - west) / 128, 0, west, 0, (south - north) / 128, north)
    with rasterio.open(
        path, "w", driver="GTiff", width=128, height=128, count=3, dtype="uint8",
        crs="EPSG:4326", transform=transform,
    ) as file:  # fmt: skip
        file.write(pixels)


def test_page_shows_the_map_and_a_click_fills_the_panel(browser, service, toy_edition):
    with opened(browser, service, locale="zh-CN") as page:
        page.wait_for_selector("body[data-ready]")
        assert page.inner_text("#city") == "玩具市"
        assert page.inner_text("#counts") == "64 个网格 · 256 个微网格"
        page.mouse.click(640, 500)
        page.wait_for_selector("#panel .chain li:nth-child(6)")
        code = page.inner_text("#place > .code").replace("-", "")
        row = toy_edition.units["microgrid"].set_index("code").loc[code]
        assert f"户数\t{row.households}" in page.inner_text("#place dl").replace("\n", "\t")
        assert page.inner_text(".chain li:nth-child(5) .code").replace("-", "") == row.parent
        assert "距边界" in page.inner_text("#place")
        page.wait_for_function("document.querySelector('#coverage').innerText.includes('100 %')")


def test_page_speaks_english_and_finds_a_unit_by_name(browser, service):
    with opened(browser, service, locale="en-GB") as page:
        page.wait_for_selector("body[data-ready]")
        assert page.inner_text("#counts") == "64 grids · 256 micro-grids"
        page.fill("#query", "411602001号")
        page.click("#results button")
        page.wait_for_selector("#panel:not([hidden])")
        assert page.inner_text("#place .kind >> nth=0") == "Township"
        page.click("#language")
        assert page.inner_text("#place .kind >> nth=0") == "乡镇(街道)"


def test_page_shows_imagery_when_it_is_switched_on(browser, service):
    with opened(browser, service) as page:
        page.wait_for_selector("body[data-ready]")
        with page.expect_response(lambda answer: "/imagery/tiles/" in answer.url) as tile:
            page.check("#imagery-on")
        assert tile.value.ok


def test_page_fits_a_phone(browser, service):
    with opened(browser, service, viewport={"width": 390, "height": 780}) as page:
        page.wait_for_selector("body[data-ready]")
        page.mouse.click(195, 390)
        page.wait_for_selector("#panel:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.click("#close")
        assert page.is_hidden("#panel")


def test_documentation_of_the_interface_opens_without_a_network(browser, service):
    with opened(browser, service + "docs") as page:
        page.wait_for_selector(".opblock")
