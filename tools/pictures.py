"""Make the pictures of README and docs/: `make pictures`.

    python tools/pictures.py COUNTY CITY

COUNTY and CITY are folders that `geogrid demo --no-serve --out` made, of one county and of all.
The page and the saved map are photographed in Chromium; the rest is `maps.picture`.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import pandas as pd
import shapely
from PIL import Image
from playwright.sync_api import sync_playwright

import geogrid as gg
from geogrid import incidents, maps
from geogrid.edition import Edition
from geogrid.norms import Norms
from geogrid.partition.splits import proposal, where_to_split

TARGET = Path(__file__).parents[1] / "docs" / "figures"
TOWNSHIP = "411602001"
NORMS = "urban=300-500/30-90,rural=200-500/20-90"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main(county: Path, city: Path) -> None:
    """Write every picture into docs/figures/."""
    small = gg.open(county / "city.gpkg")
    _keep("city", maps.picture(gg.open(city / "city.gpkg")))
    _keep("check", _checked(small))
    _keep("warning", _warned(small, county))
    _keep("split", _split(small))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "map.html"
        maps.save(maps.map_of(small), page)
        _photograph("map", page.as_uri())
    with _served(county) as address:
        _photograph("page", address)


def _checked(city: Edition) -> maps.Picture:
    """Plant three faults in a township and draw what a check finds."""
    tables = {level: city[level] for level in ("grid", "microgrid")}
    micro = tables["microgrid"]
    own = micro.index[micro["parent"].str.startswith(TOWNSHIP)]
    xy = shapely.get_coordinates(micro.geometry[own[40]])
    xy[1, 0] += 0.0006
    micro.loc[own[40], "geom"] = shapely.Polygon(xy)
    micro.loc[own[120], "code"] = micro["code"][own[121]]
    tables["microgrid"] = micro.drop(index=own[200])
    return maps.picture(city, "none", level="microgrid", part=TOWNSHIP, findings=gg.check(tables))


def _warned(city: Edition, folder: Path) -> maps.Picture:
    located = incidents.normalise(incidents.read(folder / "incidents.located.csv"))
    units = incidents.counts(located, city, "village")
    scale = incidents.found("count", "quantile", incidents.measured(units, "count"), least=3)
    warned = incidents.warned(units, scale).set_index("code")["warning"].copy()
    warned[units.loc[units["incidents"] == 0, "code"]] = "no_data"
    return maps.picture(city, pd.Series(warned, name="事件预警 Warnings by village"))


def _split(city: Edition) -> maps.Picture:
    splits = where_to_split(city, Norms.parse(NORMS))
    village = city["grid"].set_index("code")["parent"][splits["code"].iloc[0]]
    return maps.picture(city, proposal(city, splits), part=village)


def _keep(name: str, picture: maps.Picture) -> None:
    content = Image.open(BytesIO(picture._repr_png_()))  # as a notebook shows it
    _write(name, content)


def _photograph(name: str, address: str) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 760})
        page.goto(address, wait_until="commit", timeout=120_000)
        page.wait_for_timeout(15_000)
        _write(name, Image.open(BytesIO(page.screenshot())))
        browser.close()


def _write(name: str, image: Image.Image) -> None:
    few = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(TARGET / f"{name}.png", optimize=True)
    print(f"{name}.png {(TARGET / f'{name}.png').stat().st_size / 1e3:.0f} kB")


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a city on a free port while its page is photographed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "geogrid", "serve", str(folder / "city.gpkg")]
    command += ["--imagery", str(folder / "sample" / "imagery.tif"), "--port", str(port), "-q"]
    address = f"http://127.0.0.1:{port}/"
    process = subprocess.Popen(command)
    try:
        for _ in range(240):
            with contextlib.suppress(OSError), urlopen(f"{address}readyz", timeout=5) as answer:
                if answer.status == 200:
                    break
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
