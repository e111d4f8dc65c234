"""The sample that the notebooks share, made once: 周口临港开发区, invented, 43 villages.

It lies in `notebooks/.sample`; remove the folder to make it anew (half a minute).
"""

from pathlib import Path

from geogrid import sample, store
from geogrid.parallel import Engine
from geogrid.partition.pipeline import Request, partition

FOLDER = Path(__file__).parent / ".sample"
COUNTY = "周口临港开发区"
GRIDS, MICROGRIDS = 124, 846


def inputs() -> Path:
    """Return the folder with boundaries, imagery, buildings, incidents and workers."""
    FOLDER.mkdir(exist_ok=True)
    if not (FOLDER / "imagery.tif").exists():
        print(sample.write(FOLDER, counties=[COUNTY], workers=1).as_text("zh"))
    return FOLDER


def request() -> Request:
    """Return what notebook 01 asks for."""
    folder = inputs()
    return Request(
        boundaries=folder / "boundaries.gpkg",
        imagery=folder / "imagery.tif",
        households=folder / "buildings.parquet",
        n_grids=GRIDS,
        n_microgrids=MICROGRIDS,
        date="2026-01-01",
    )


def city_file() -> Path:
    """Return the divided city, as notebook 01 makes it."""
    path = inputs() / "city.gpkg"
    if not path.exists():
        division = partition(request(), FOLDER, engine=Engine(1))
        store.write_edition(division.edition, path, tables={})
    return path
