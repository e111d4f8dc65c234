"""Fixtures that several test modules share."""

import os
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import settings

from geogrid import store
from geogrid.codes import LEVELS, parent_level
from geogrid.edition import Edition, EditionInfo, to_degrees, uid_of

# The first example compiles kernels and takes its time; the examples are the same every time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# Lines of the access log between the dots of pytest tell nothing.
os.environ.setdefault("GEOGRID_ACCESS_LOG", "")

FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data sets; tests that need one skip where it is absent."""
    folder = Path(os.environ.get("GEOGRID_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set GEOGRID_DATA")
    return folder


@pytest.fixture(scope="session")
def toy_edition() -> Edition:
    """A city of 16 x 16 micro-grids with crooked borders.

    counties   8 x 8 cells   2 x 2 of them
    townships  8 x 4         2 in a county
    villages   4 x 4         2 in a township
    grids      2 x 2         4 in a village
    microgrids 1 x 1         4 in a grid
    """
    return build_toy_edition()


@pytest.fixture(scope="session")
def toy_file(toy_edition: Edition, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy city as a file, to be read and not written."""
    path = tmp_path_factory.mktemp("toy") / "city.gpkg"
    store.write_edition(toy_edition, path, tables={})
    return path


@pytest.fixture(scope="session")
def data(toy_edition: Edition):
    """The toy city as the service holds it: many services may, it is never changed."""
    from geogrid.api.deps import Dataset

    return Dataset(toy_edition)


@pytest.fixture(scope="module")
def client(data):
    """A service of the toy city, asked without a port; it has no file to reload."""
    from fastapi.testclient import TestClient

    from geogrid.api.app import Settings, create_app

    app = create_app(Settings(edition=Path("toy")), dataset=data)
    with TestClient(app, raise_server_exceptions=False) as started:
        yield started


def build_toy_edition(seed: int = 7) -> Edition:
    rng = np.random.default_rng(seed)
    n, step = 16, 300_000  # a cell is 0.003 degree wide, about 300 m
    corners = np.stack(np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"), -1) * step
    corners = corners + rng.integers(-step // 5, step // 5, corners.shape)
    corners += np.array([11_460_000_000, 3_360_000_000])
    i, j = (index.ravel() for index in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    ring = np.stack(
        [corners[i, j], corners[i + 1, j], corners[i + 1, j + 1], corners[i, j + 1], corners[i, j]],
        axis=1,
    )
    cells = shapely.polygons(to_degrees(ring))
    sizes = {"county": (8, 8), "township": (8, 4), "village": (4, 4), "grid": (2, 2)}
    codes = {"city": np.full(n * n, "4116")}
    above = (n, n)
    widths = {"county": 2, "township": 3, "village": 3, "grid": 3, "microgrid": 3}
    for level, (w, h) in {**sizes, "microgrid": (1, 1)}.items():
        column, row = (i % above[0]) // w, (above[1] - 1 - j % above[1]) // h
        serial = (row * (above[0] // w) + column + 1).astype(str)
        codes[level] = np.char.add(codes[parent_level(level)], np.char.zfill(serial, widths[level]))
        above = (w, h)
    units = {}
    for level in LEVELS:
        frame = gpd.GeoDataFrame(
            {"code": codes[level], "households": rng.integers(10, 60, n * n)},
            geometry=cells,
            crs="EPSG:4490",
        )
        frame["parent"] = "" if level == "city" else codes[parent_level(level)]
        frame = frame.dissolve("code", aggfunc={"households": "sum", "parent": "first"})
        frame = frame.reset_index().rename_geometry("geom")
        frame["geom"] = shapely.normalize(frame.geom.to_numpy())
        frame["uid"] = [uid_of(code) for code in frame.code]
        frame["name"] = [f"{code}号" for code in frame.code]
        frame["kind"] = "rural"
        frame["area_m2"] = frame.geom.to_crs("EPSG:4547").area
        frame["valid_from"] = "2026-01-01"
        units[level] = frame
    info = EditionInfo(
        id="toy", parent_id="", city="玩具市", created="2026-01-01", working_crs="EPSG:4547",
        imagery_source="none", imagery_date="", weights="households", seed=seed, parameters="{}",
    )  # fmt: skip
    return Edition.of(info, units)


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium: CI must test the page; install it (apt-get install chromium)")
        pytest.skip("no Chromium; install it (apt-get install chromium) to test the page")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()
