"""Do atoms follow fields? Ours, SLIC and a square grid against hand-drawn fields."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from segmentation import score, squares, superpixels

from geogrid.partition.atoms import grow
from geogrid.partition.barriers import detect
from geogrid.partition.imagery import Window, open_imagery, rasterise

ATOMS_PER_PIXEL = 400e-6
TOLERANCE_PIXELS = 4.0

Labeller = Callable[[NDArray[np.uint8], float], NDArray[np.int32]]


def ours(rgb: NDArray[np.uint8], step: float) -> NDArray[np.int32]:
    """Return the atoms that a village of this extent would be cut into."""
    inside = np.ones(rgb.shape[:2], bool)
    mass = np.full(inside.shape, ATOMS_PER_PIXEL, np.float32)
    return grow(detect(rgb, step), inside, mass=mass, weight=mass).labels


def _wanted(rgb: NDArray[np.uint8]) -> int:
    return round(ATOMS_PER_PIXEL * rgb.shape[0] * rgb.shape[1])


METHODS: dict[str, Labeller] = {
    "geogrid": ours,
    "SLIC": lambda rgb, _: superpixels(rgb, _wanted(rgb)),
    "squares": lambda rgb, _: squares(rgb.shape[:2], _wanted(rgb)),
}


def scenes(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8], float, NDArray[np.int32]]]:
    """Yield name, image, metres a pixel and drawn fields (from 1, else 0) of each scene."""
    drawn = gpd.read_file(folder / "fields.gpkg")
    for name, fields in drawn.groupby("image"):
        with rasterio.open(folder / str(name)) as source:
            crs, native = source.crs.to_string(), source.res[0]
        imagery = open_imagery(folder / str(name), crs, resolution=native)
        with rasterio.open(folder / str(name)) as source:
            window = Window(0, 0, source.height, source.width)
        rgb, _ = imagery.read(window)
        shapes = fields.geometry.to_crs(crs).to_numpy()
        numbers = np.arange(1, len(shapes) + 1, dtype=np.int32)
        truth = rasterise(shapes, numbers, imagery.lattice, window)
        yield str(name), rgb, imagery.lattice.step, np.maximum(truth, 0)


def measure(folder: Path) -> pd.DataFrame:
    """Return one row of scores for each scene and method."""
    rows = []
    for name, rgb, step, truth in scenes(folder):
        for method, label in METHODS.items():
            start = time.process_time()
            atoms = label(rgb, step)
            seconds = time.process_time() - start
            found = score(atoms, truth, TOLERANCE_PIXELS)
            rows.append(
                {
                    "scene": name,
                    "method": method,
                    "atoms": found.atoms,
                    "recall": found.recall,
                    "precision": found.precision,
                    "lift": found.lift,
                    "ASA": found.accuracy,
                    "UE": found.error,
                    "IoU": found.overlap,
                    "CPU s": seconds,
                }
            )
    return pd.DataFrame(rows)
