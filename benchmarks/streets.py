"""Do atoms follow streets? From imagery alone on the sample's towns, and with streets given.

Recall is the share of the streets' centre lines, in pixels, within 5 m of a border of atoms of
1 ha; lift is the recall above what the same borders reach when shifted.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from segmentation import borders, near, shifted, squares, superpixels

from geogrid.partition.atoms import grow
from geogrid.partition.barriers import Barriers, detect, impose, reach_of
from geogrid.partition.imagery import Lattice, Window, open_imagery

STEP, TOLERANCE, ATOM_M2 = 2.0, 5.0, 10_000.0
_CRS = "EPSG:4547"
_SIDE = 500
_TOWNS = 10
_STREETS = ("road", "main road", "expressway")
_WUHAN_WINDOWS = 6


def from_imagery() -> pd.DataFrame:
    """Return recall, chance and lift on the ten most built-up windows of a sample county."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["sample", folder, "--counties", "川汇区", "--resolution", str(STEP), "-q"]
        subprocess.run([sys.executable, "-m", "geogrid", *command], check=True)
        roads = gpd.read_file(Path(folder) / "truth.gpkg", layer="roads").to_crs(_CRS)
        streets = roads.geometry[roads["class"].isin(_STREETS)].to_numpy()
        imagery = open_imagery(Path(folder) / "imagery.tif", _CRS, resolution=STEP)
        reach = reach_of(STEP)
        rows = []
        for window in _most(streets, imagery.lattice, None, _SIDE):
            if len(rows) == _TOWNS * 3:
                break
            wide = Window(
                window.row - reach, window.col - reach, _SIDE + 2 * reach, _SIDE + 2 * reach
            )
            rgb, valid = imagery.read(wide)
            if not valid.all():
                continue
            inner = np.s_[reach:-reach, reach:-reach]
            seen = detect(rgb, STEP, origin=(wide.row, wide.col))
            part = Barriers(
                *(np.ascontiguousarray(a[inner]) for a in (seen.relief, seen.lab, seen.built_up))
            )
            truth = _drawn(streets, imagery.lattice, window)
            atoms = _atoms(part)
            n = int(atoms.max()) + 1
            methods = {
                "geogrid": atoms,
                "SLIC": superpixels(rgb[inner], n),
                "squares": squares(rgb[inner].shape, n),
            }
            rows += [{"method": name, **_scores(atoms, truth)} for name, atoms in methods.items()]
    return pd.DataFrame(rows).groupby("method", sort=False).mean()


def given(path: Path) -> pd.DataFrame:
    """Return the same for Wuhan's streets, laid on a plain image, in the densest windows."""
    lines = gpd.read_parquet(path).geometry.to_numpy()
    west, _, _, north = shapely.total_bounds(lines)
    lattice = Lattice("EPSG:32650", west, north, STEP)
    rows = []
    for window in _densest(lines, lattice):
        rng = np.random.default_rng(window.row)
        relief = rng.integers(200, 900, window.shape).astype(np.uint16)
        plain = Barriers(
            relief, np.zeros((*window.shape, 3), np.int16), np.zeros(window.shape, np.float32)
        )
        drawn = _drawn(lines, lattice, window)
        imposed = impose(plain, np.zeros(window.shape, bool), _pixels(lines, lattice, window))
        blocks = cv2.connectedComponents((~drawn).astype(np.uint8), connectivity=4)[0] - 1
        for name, count in (("1 ha", None), ("as many as blocks", blocks)):
            atoms = _atoms(imposed, count)
            rows.append({"atoms": name, "blocks": blocks, **_scores(atoms, drawn)})
    return pd.DataFrame(rows).groupby("atoms", sort=False).mean()


def _atoms(barriers: Barriers, count: int | None = None) -> NDArray[np.int32]:
    shape = barriers.relief.shape
    share = STEP**2 / ATOM_M2 if count is None else count / (shape[0] * shape[1])
    mass = np.full(shape, share, np.float32)
    return grow(barriers, np.ones(shape, bool), mass=mass, weight=mass).labels


def _scores(atoms: NDArray[np.int32], truth: NDArray[np.bool_]) -> dict[str, float]:
    found = borders(atoms)
    recall = near(truth, found, TOLERANCE / STEP)
    chance = float(np.mean([near(truth, one, TOLERANCE / STEP) for one in shifted(found)]))
    return {
        "n": float(atoms.max() + 1),
        "recall": recall,
        "chance": chance,
        "lift": (recall - chance) / (1 - chance),
    }


def _pixels(
    lines: NDArray[np.object_], lattice: Lattice, window: Window
) -> list[NDArray[np.int32]]:
    frame = shapely.box(*lattice.bounds(window))
    pixels = []
    for line in lines[np.sort(shapely.STRtree(lines).query(frame, predicate="intersects"))]:
        row, col = lattice.pixels(shapely.get_coordinates(line), window)
        pixels.append(np.column_stack([col, row]).astype(np.int32))
    return pixels


def _drawn(lines: NDArray[np.object_], lattice: Lattice, window: Window) -> NDArray[np.bool_]:
    image = np.zeros(window.shape, np.uint8)
    cv2.polylines(image, _pixels(lines, lattice, window), isClosed=False, color=1)
    return image > 0


def _densest(lines: NDArray[np.object_], lattice: Lattice) -> list[Window]:
    return _most(lines, lattice, _WUHAN_WINDOWS, 2 * _SIDE)


def _most(
    lines: NDArray[np.object_], lattice: Lattice, count: int | None, side: int
) -> list[Window]:
    """Return squares of `side` pixels, those with most lines first."""
    middle = shapely.get_coordinates(shapely.line_interpolate_point(lines, 0.5, normalized=True))
    row, col = lattice.pixels(middle, Window(0, 0, 1, 1))
    frame = pd.DataFrame({"row": row // side, "col": col // side, "m": shapely.length(lines)})
    most = (
        frame.groupby(["row", "col"])["m"].sum().sort_values(ascending=False, kind="stable").index
    )
    return [Window(r * side, c * side, side, side) for r, c in most[:count]]
