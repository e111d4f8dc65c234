"""Measure the maps in a real browser, without a network, beside folium, geopandas and lonboard.

    pip install 'geogrid[bench,jupyter]' jupyterlab
    python benchmarks/maps.py CITY.gpkg --work FOLDER

JupyterLab is measured from Shift+Enter to pixels, each cell for the first time in a kernel that has
opened the edition; with FOLDER/lab, a virtual environment that has geogrid[jupyter] and JupyterLab,
it may be kept apart. Needs Chromium. Every request to another host is blocked and counted. The
rivals' scripts come from their own hosts: what a rival asks for in vain is named, and it is
measured only where a copy of the files lies in FOLDER/assets under the files' own names (`npm pack
leaflet jquery bootstrap leaflet.awesome-markers`). Rivals that are not installed are left out and
named; FOLDER/rivals may be a virtual environment that has them (geopandas, folium, mapclassify,
matplotlib, lonboard).
"""

import argparse
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geogrid as gg
from geogrid import maps
from geogrid.edition import Edition
from geogrid.maps import payload

FLAGS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
TYPES = {".js": "text/javascript", ".css": "text/css"}
PATIENCE = 300_000
"""Milliseconds that a rival may take."""

PAINTED = "performance.getEntriesByName('geogrid-painted').length > 0"
WHEN = "performance.getEntriesByName('geogrid-painted')[0].startTime"
LAYER = "void (window.LAYER = Object.values(window).find((v) => v && v._raster))"

HOVER = """() => {
  const map = LAYER._map, size = map.getSize(), times = [];
  for (let k = 0; k < 300; k++) {
    const place = [(size.x * ((k * 37) % 300)) / 300, (size.y * ((k * 91) % 300)) / 300];
    const at = map.containerPointToLatLng(place);
    const begun = performance.now(), hit = LAYER.find(at);
    if (hit) { LAYER.describe(hit); LAYER.lines(hit); }
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b);
}"""

PAN = """(by) => new Promise((resolve) => {
  const map = LAYER._map, begun = performance.now();
  const done = () => setTimeout(() => resolve(performance.now() - begun));
  map.once("moveend", () => requestAnimationFrame(done));
  map.panBy([by, by / 2], { animate: false });
})"""

CLASSES = """() => {
  const seen = new Uint32Array(256), { ids, view } = LAYER._raster;
  const unit = LAYER.city.above[LAYER._depth];
  for (let i = 0; i < view.width * view.height; i++) {
    if (ids[i] >= 0) seen[LAYER._classes[unit[ids[i]]]]++;
  }
  return LAYER.style.fills.map((_, k) => seen[k]);
}"""


class Browser:
    """Chromium without a network, but for files that lie in a folder under their own names."""

    def __init__(self, play: Any, assets: Path) -> None:
        program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
        self._started = play.chromium.launch(executable_path=program, args=FLAGS)
        self._assets = assets

    def page(self, *, slower: int = 1) -> tuple[Any, list[str]]:
        """Return a fresh page and the list of what it asks other hosts for."""
        context = self._started.new_context(viewport={"width": 1280, "height": 900})
        page, asked = context.new_page(), []
        page.set_default_timeout(PATIENCE)

        def answer(route: Any) -> None:
            url = route.request.url
            if url.startswith(("http://127.0.0.1", "file:", "data:", "blob:")):
                route.continue_()
                return
            asked.append(url)
            copy = self._assets / url.partition("?")[0].rpartition("/")[2]
            if copy.is_file():
                route.fulfill(path=copy, content_type=TYPES.get(copy.suffix, "text/plain"))
            else:
                route.abort()

        page.route("**/*", answer)
        if slower > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
        return page, asked

    def close(self) -> None:
        """End the browser."""
        self._started.close()


def main() -> None:
    """Print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("city", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rivals", action="store_true", help="measure the rivals too: minutes")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    city = gg.open(given.city)
    print(f"{city.counts()['microgrid']:,} micro-grids, {os.cpu_count()} processors")
    with sync_playwright() as play:
        browser = Browser(play, given.work / "assets")
        for name, value, unit in _figures(city, given, browser):
            print(f"{name:<58}{value:>12,.2f} {unit}", flush=True)
        browser.close()


def _figures(
    city: Edition, given: argparse.Namespace, browser: Browser
) -> Iterator[tuple[str, float, str]]:
    yield from _encoding(city)
    path = given.work / "map.html"
    begun = time.perf_counter()
    gg.map(city).save(path)
    yield "map and save, encoded before", time.perf_counter() - begun, "s"
    yield "saved map", path.stat().st_size / 1e6, "MB (goal 6)"
    yield "_repr_html_ of the edition", len(city._repr_html_().encode()) / 1e6, "MB (goal 6)"
    yield from _painting(path, browser)
    yield from _jupyter(given, browser)
    if given.rivals:
        yield from _rivals(city, given, browser)


def _encoding(city: Edition) -> Iterator[tuple[str, float, str]]:
    payload.pack(city)  # compiled kernels are loaded
    walls, cpus = [], []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        payload.pack(city)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    yield "encode, best of three", min(walls), "s (goal 1.5)"
    yield "encode, processor time, best of three", min(cpus), "s"
    payload.packed(city)
    begun = time.perf_counter()
    payload.packed(city)
    yield "encode once more", (time.perf_counter() - begun) * 1e3, "ms (cached)"


def _painting(path: Path, browser: Browser) -> Iterator[tuple[str, float, str]]:
    times, asked = [], []
    for _ in range(3):
        page, others = browser.page()
        page.goto(path.as_uri())
        page.wait_for_function(PAINTED)
        times.append(page.evaluate(WHEN) / 1e3)
        asked += others
    yield "painted, best of three", min(times), "s (goal 1.5)"
    page.evaluate(LAYER)
    counts = page.evaluate(CLASSES)
    yield "pixels of the rarest class city-wide", min(counts), "pixels"
    yield "pan city-wide, median of 9", _panned(page), "ms (goal 300)"
    hover = page.evaluate(HOVER)
    yield "hover city-wide, median", hover[len(hover) // 2], "ms (goal 5)"
    yield "hover city-wide, worst of 300", hover[-1], "ms"
    page.evaluate("void LAYER._map.setView(LAYER._map.getCenter(), 14, { animate: false })")
    yield "pan at zoom 14, median of 9", _panned(page), "ms (goal 60)"
    hover = page.evaluate(HOVER)
    yield "hover at zoom 14, median", hover[len(hover) // 2], "ms (goal 5)"
    slow, others = browser.page(slower=4)
    slow.goto(path.as_uri())
    slow.wait_for_function(PAINTED)
    yield "painted, processor four times slower", slow.evaluate(WHEN) / 1e3, "s (goal 4)"
    yield "requests to other hosts", len(asked + others), "(goal 0)"


def _panned(page: Any) -> float:
    return sorted(page.evaluate(PAN, 60) for _ in range(9))[4]


# ---- JupyterLab: Shift+Enter to painted

CELLS = {
    "widget, first map of the kernel": "gg.maps.widget(city)",
    "widget once more": "gg.maps.widget(city)",
    "map as a frame": "gg.map(city)",
    "edition as a frame": "city",
}


def notebook_of(city: Path) -> dict[str, object]:
    """Return a notebook that opens a city and then shows it in each way."""
    opening = f"import geogrid as gg\ncity = gg.open({str(city)!r})"
    cells = [
        {"cell_type": "code", "execution_count": None, "id": f"c{k}", "metadata": {},
         "outputs": [], "source": source}
        for k, source in enumerate([opening, *CELLS.values()])
    ]  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _jupyter(given: argparse.Namespace, browser: Browser) -> Iterator[tuple[str, float, str]]:
    python = next(
        (each for each in (given.work / "lab" / "bin" / "python", Path(sys.executable))
         if each.exists() and _has(each, "jupyterlab")), None,
    )  # fmt: skip
    if python is None:
        print("JupyterLab is not installed: left out")
        return
    folder = given.work / "notebooks"
    folder.mkdir(exist_ok=True)
    text = json.dumps(notebook_of(given.city.resolve()))
    (folder / "map.ipynb").write_text(text, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [python, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
         f"--port={port}", "--IdentityProvider.token=", "--ServerApp.password=",
         f"--ServerApp.root_dir={folder}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield from _cells(f"http://127.0.0.1:{port}", browser)
    finally:
        server.terminate()
        server.wait()


def _cells(address: str, browser: Browser) -> Iterator[tuple[str, float, str]]:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{address}/api"):
                break
        except OSError:
            time.sleep(0.1)
    page, asked = browser.page()
    page.goto(f"{address}/lab/tree/map.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector(
        "[data-status='idle'], .jp-Notebook-ExecutionIndicator[data-status=idle]"
    )
    prompt = "document.querySelector('.jp-CodeCell .jp-InputPrompt').textContent"
    while page.evaluate(prompt) == "[ ]:":  # keys pressed before all is loaded are lost
        page.click(".jp-Notebook .jp-CodeCell .jp-Editor")
        _run(page)
        page.wait_for_timeout(1000)
    page.wait_for_function(f"{prompt}.includes('1')")
    for name in CELLS:
        painted = f"({_OUTPUTS})().length"
        before = page.evaluate(painted)
        begun = time.perf_counter()
        _run(page)
        page.wait_for_function(f"{painted} > {before}", polling=20)
        yield (
            f"JupyterLab, {name}: Shift+Enter to painted",
            time.perf_counter() - begun,
            "s (goal 2)",
        )
    yield "JupyterLab: requests to other hosts", len(asked), "(goal 0)"


def _run(page: Any) -> None:
    page.keyboard.press("Shift+Enter")


# Canvases that are painted, in the page and in its frames.
_OUTPUTS = """() => {
  const frames = [...document.querySelectorAll("iframe")].map((each) => each.contentDocument);
  const pages = [document, ...frames.filter(Boolean)];
  return pages.flatMap((page) => [...page.querySelectorAll("canvas[data-painted]")]);
}"""


def _has(python: Path, module: str) -> bool:
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", probe], check=False).returncode == 0


# ---- rivals: the same micro-grids, coloured by households in six classes

RIVALS = {
    "folium GeoJson, style_function": """
import folium
m = folium.Map([33.6, 114.6], zoom_start=9, tiles=None, prefer_canvas=True)
def style(f):
    return {"fillColor": FILLS[f["properties"]["class"]], "weight": 0.3, "fillOpacity": 0.8}
folium.GeoJson(frame, style_function=style).add_to(m)
m.fit_bounds(BOUNDS)
m.save(out)
""",
    "folium GeoJson": """
import folium
m = folium.Map([33.6, 114.6], zoom_start=9, tiles=None, prefer_canvas=True)
folium.GeoJson(frame).add_to(m)
m.fit_bounds(BOUNDS)
m.save(out)
""",
    "geopandas.explore": """
options = {"scheme": "quantiles", "k": 6, "tiles": None, "prefer_canvas": True}
frame.explore("households", **options).save(out)
""",
    "lonboard": """
from lonboard import Map, PolygonLayer
Map(PolygonLayer.from_geopandas(frame)).to_html(out)
""",
}
NEEDS = {"lonboard": "lonboard"}

_RIVAL_PAINTED = """() => [...document.querySelectorAll("canvas")].some((canvas) => {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context || !canvas.width) return false;
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i]) n++;
  return n > 20000;
})"""


def _rivals(
    city: Edition, given: argparse.Namespace, browser: Browser
) -> Iterator[tuple[str, float, str]]:
    own = given.work / "rivals" / "bin" / "python"
    python = own if own.exists() else Path(sys.executable)
    frame = city["microgrid"][["code", "name", "households", "geom"]]
    frame["class"] = maps.classes_of(city, "households").values
    frame.to_crs("EPSG:4326").to_parquet(given.work / "microgrids.parquet")
    for name, script in RIVALS.items():
        if not _has(python, NEEDS.get(name, "folium")):
            print(f"{name}: not installed, left out")
            continue
        yield from _rival(name, script, given.work, (python, browser))


def _rival(
    name: str, script: str, work: Path, by: tuple[Path, Browser]
) -> Iterator[tuple[str, float, str]]:
    python, browser = by
    out = work / "rival.html"
    head = (
        f"import geopandas\nFILLS = {list(maps.classes.SEQUENTIAL)!r}\nout = {str(out)!r}\n"
        f"frame = geopandas.read_parquet({str(work / 'microgrids.parquet')!r})\n"
        "west, south, east, north = frame.total_bounds.tolist()\n"
        "BOUNDS = [[south, west], [north, east]]\n"
    )
    begun = time.perf_counter()
    subprocess.run([python, "-c", head + script], check=True)
    yield f"{name}: build", time.perf_counter() - begun, "s"
    yield f"{name}: saved map", out.stat().st_size / 1e6, "MB"
    page, asked = browser.page()
    begun = time.perf_counter()
    page.goto(out.as_uri(), wait_until="commit")
    try:
        page.wait_for_function(_RIVAL_PAINTED, polling=200)
    except Exception as error:  # noqa: BLE001  # whatever happens to a rival is its result
        print(f"{name}: nothing painted in {PATIENCE // 1000} s ({type(error).__name__})")
    else:
        yield f"{name}: painted", time.perf_counter() - begun, "s"
    yield f"{name}: requests to other hosts", len(asked), ""
    page.close()


if __name__ == "__main__":
    if importlib.util.find_spec("playwright") is None:
        sys.exit("needs Playwright: pip install playwright")
    main()
