"""What a division costs as the city grows: one, three and ten counties of the sample."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import geopandas as gpd
import pandas as pd

COUNTIES = (
    "扶沟县",
    "西华县",
    "商水县",
    "太康县",
    "项城市",
    "淮阳区",
    "沈丘县",
    "鹿邑县",
    "川汇区",
    "周口临港开发区",
)


def measure(workers: int) -> pd.DataFrame:
    """Return time and peak memory (all processes) for each number of counties.

    The first run compiles what has not been compiled on this machine, so one small one goes ahead.
    """
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder) / "first", COUNTIES[-1:], workers)
        return pd.DataFrame(
            [_run(Path(folder) / str(n), COUNTIES[:n], workers) for n in (1, 3, 10)]
        )


def _run(folder: Path, counties: tuple[str, ...], workers: int) -> dict[str, float]:
    command = ["demo", "--no-serve", "--json", "-q", "--out", str(folder)]
    command += ["--counties", ",".join(counties), "--workers", str(workers)]
    answer = subprocess.run(
        [sys.executable, "-m", "geogrid", *command], check=True, capture_output=True, text=True
    )
    (stage,) = (
        stage for stage in json.loads(answer.stdout)["stages"] if stage["name_en"].startswith("div")
    )
    area = gpd.read_file(folder / "city.gpkg", layer="city")["area_m2"].sum() / 1e6
    return {
        "counties": len(counties),
        "km²": area,
        "seconds": stage["seconds"],
        "seconds a 1,000 km²": stage["seconds"] / area * 1000,
        "GB": stage["peak_mb"] / 1000,
    }
