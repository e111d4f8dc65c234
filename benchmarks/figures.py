"""Draw the pictures of docs/method.md: `python benchmarks/figures.py` writes docs/figures/."""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from geogrid.partition.atoms import grow
from geogrid.partition.barriers import Barriers, detect, reach_of
from geogrid.partition.imagery import Imagery, Window, open_imagery
from geogrid.partition.zones import assign

mpl.use("Agg")
from matplotlib import pyplot as plt

STEP, SIDE = 2.0, 360
ATOMS_PER_PIXEL = STEP**2 / 4_000
N_GRIDS, N_MICROGRIDS = 5, 30
PLACES = {"town": 0.98, "fields": 0.0}
"""Pictures, and how built-up their places look among all (a quantile)."""


def main() -> None:
    """Make a sample county, choose two places, draw each in four steps."""
    target = Path(__file__).parent.parent / "docs" / "figures"
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = ["sample", folder, "--counties", "川汇区", "--resolution", str(STEP), "-q"]
        subprocess.run([sys.executable, "-m", "geogrid", *command], check=True)
        imagery = open_imagery(Path(folder) / "imagery.tif", "EPSG:4547", resolution=STEP)
        seen = _candidates(imagery)
        order = np.argsort([barriers.built_up.mean() for _, barriers in seen], kind="stable")
        for name, quantile in PLACES.items():
            rgb, barriers = seen[order[round(quantile * (len(order) - 1))]]
            _draw(target / f"{name}.jpg", rgb, barriers)


def _candidates(imagery: Imagery) -> list[tuple[NDArray[np.uint8], Barriers]]:
    """Return image and barriers of places on a lattice, where there is imagery."""
    reach = reach_of(STEP)
    found = []
    for row in range(-4000, 12000, 1400):
        for col in range(-4000, 16000, 1400):
            wide = Window(row - reach, col - reach, SIDE + 2 * reach, SIDE + 2 * reach)
            rgb, valid = imagery.read(wide)
            if valid.all():
                inner = np.s_[reach:-reach, reach:-reach]
                seen = detect(rgb, STEP, origin=(wide.row, wide.col))
                arrays = (seen.relief, seen.lab, seen.built_up)
                part = Barriers(*(np.ascontiguousarray(array[inner]) for array in arrays))
                found.append((np.ascontiguousarray(rgb[inner]), part))
    return found


def _draw(path: Path, rgb: NDArray[np.uint8], barriers: Barriers) -> None:
    inside = np.ones(barriers.relief.shape, bool)
    mass = np.full(inside.shape, ATOMS_PER_PIXEL, np.float32) * (1 + 4 * barriers.built_up)
    mass *= ATOMS_PER_PIXEL * inside.size * 1.5 / mass.sum()
    atoms = grow(barriers, inside, mass=mass, weight=barriers.built_up + np.float32(0.1))
    grid, microgrid = assign(atoms, n_grids=N_GRIDS, n_microgrids=N_MICROGRIDS, seed=1)
    figure, panels = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
    panels[0].imshow(rgb)
    panels[1].imshow(np.minimum(barriers.relief / 256, 20), cmap="magma")
    panels[2].imshow(rgb)
    _lines(panels[2], atoms.labels, colour="white", width=0.5)
    panels[3].imshow(rgb)
    _lines(panels[3], microgrid[atoms.labels], colour="white", width=0.7)
    _lines(panels[3], grid[atoms.labels], colour="#ffd400", width=1.6)
    zones = f"{N_GRIDS} grids, {N_MICROGRIDS} micro-grids"
    titles = ("image, 2 m", "relief", f"{len(atoms)} atoms", zones)
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, fontsize=9)
        panel.set_axis_off()
    figure.savefig(path, dpi=90, pil_kwargs={"quality": 80, "optimize": True})
    plt.close(figure)


def _lines(panel: plt.Axes, labels: NDArray[np.int32], *, colour: str, width: float) -> None:
    """Draw the borders between labels along pixel edges."""
    down = np.argwhere(labels[1:] != labels[:-1])
    right = np.argwhere(labels[:, 1:] != labels[:, :-1])
    x = np.concatenate([down[:, [1, 1]] + [-0.5, 0.5], right[:, [1, 1]] + 0.5])
    y = np.concatenate([down[:, [0, 0]] + 0.5, right[:, [0, 0]] + [-0.5, 0.5]])
    segments = np.stack([x, y], axis=2)
    panel.add_collection(mpl.collections.LineCollection(segments, colors=colour, linewidths=width))


if __name__ == "__main__":
    main()
