"""Given administrative boundaries: the villages, and the units above them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyproj

from geogrid import store
from geogrid.codes import LEVELS, CodeScheme, parent_level
from geogrid.coverage.clean import Repair, clean_villages
from geogrid.errors import BoundaryError
from geogrid.schema import BOUNDARY_COLUMNS, EXCHANGE_CRS, require_columns, require_crs

_REFERENCE_CRS = "EPSG:4547"
# EPSG:4547 is right for 114E; Zhoukou reaches 115.65E and stays in it whole (scale +0.03 %).
_REFERENCE_LON = (112.0, 116.0)
_CHINA = (73.0, 18.0, 136.0, 54.0)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Villages that form a valid coverage on the integer grid, and what is known above them.

    Attributes
    ----------
    villages : GeoDataFrame
        Columns code, name, parent (the township's code), kind; polygons in EPSG:4490.
    above : mapping of level to DataFrame
        Columns code, name, parent, kind for `city`, `county`, `township`.
    repairs : list of Repair
        What was changed in the villages' polygons.
    """

    villages: gpd.GeoDataFrame
    above: Mapping[str, pd.DataFrame]
    repairs: list[Repair]


def read_boundaries(path: Path, *, scheme: CodeScheme | None = None) -> Boundaries:
    """Read and clean administrative boundaries.

    Parameters
    ----------
    path : Path
        A GeoPackage with a layer `village` (or a single layer), and where they are known
        `township`, `county` and `city`. A unit's parent is its column `parent`; where there is
        none, it is taken from the code, as at issue time.

    Raises
    ------
    BoundaryError, DataError
        No village layer, CRS or code; a code that fits no level, is double or has no parent;
        polygons that cannot be made a coverage for certain. Each fault is named with its place.
    """
    scheme = scheme or CodeScheme()
    names = store.layer_names(path)
    layer = names[0] if len(names) == 1 else "village"
    villages = store.read_layer(path, layer)
    if not isinstance(villages, gpd.GeoDataFrame) or villages.empty:
        raise BoundaryError(f"layer {layer} of {path} holds no polygons.")
    require_crs(villages, f"layer {layer} of {path}")
    table = _with_parents(villages, "village", scheme, path)
    above = _levels_above(path, names, table, scheme)
    cleaned, repairs = clean_villages(table)
    return Boundaries(cleaned, above, repairs)


def working_crs(villages: gpd.GeoDataFrame) -> str:
    """Return a metric CRS for a city.

    EPSG:4547 around 114E, the 3-degree CGCS2000 zone of its middle elsewhere in China, its UTM
    zone elsewhere.
    """
    west, south, east, north = villages.to_crs(EXCHANGE_CRS).total_bounds
    lon, lat = (west + east) / 2, (south + north) / 2
    if _REFERENCE_LON[0] <= lon <= _REFERENCE_LON[1] and _CHINA[1] <= lat <= _CHINA[3]:
        return _REFERENCE_CRS
    if _CHINA[0] <= lon <= _CHINA[2] and _CHINA[1] <= lat <= _CHINA[3]:
        return f"EPSG:{4534 + round(lon / 3) - 25}"
    area = pyproj.aoi.AreaOfInterest(west, south, east, north)
    return f"EPSG:{pyproj.database.query_utm_crs_info('WGS 84', area)[0].code}"


def _with_parents(
    frame: gpd.GeoDataFrame, level: str, scheme: CodeScheme, path: Path
) -> gpd.GeoDataFrame:
    """Return the frame with the four columns, codes cut to the level's length."""
    require_columns(frame, ("code",), f"layer {level} of {path}")
    table = frame.copy()
    for column in BOUNDARY_COLUMNS[1:]:
        if column not in table:
            table[column] = ""
    table = table[[*BOUNDARY_COLUMNS, table.geometry.name]]
    for column in BOUNDARY_COLUMNS:
        table[column] = table[column].fillna("").astype(str)
    table["code"] = [scheme.unpad(code, level) for code in table["code"]]
    table["name"] = table["name"].where(table["name"] != "", table["code"])
    if level != LEVELS[0]:
        up = parent_level(level)
        given = table["parent"]
        table["parent"] = [
            scheme.unpad(parent, up) if parent else scheme.parent_code(code, level)
            for parent, code in zip(given, table["code"], strict=True)
        ]
    return table


def _levels_above(
    path: Path, names: list[str], villages: gpd.GeoDataFrame, scheme: CodeScheme
) -> dict[str, pd.DataFrame]:
    """Return the upper levels as given, or as far as the codes below tell."""
    above: dict[str, pd.DataFrame] = {}
    children: pd.DataFrame = villages
    for level in ("township", "county", "city"):
        if level in names:
            given = _with_parents(store.read_layer(path, level), level, scheme, path)
            table = pd.DataFrame(given[[*BOUNDARY_COLUMNS]])
        else:
            codes = sorted(children["parent"].unique())
            table = pd.DataFrame({"code": codes, "name": codes, "parent": "", "kind": ""})
            if level != LEVELS[0]:
                table["parent"] = [scheme.parent_code(code, level) for code in codes]
        _require_parents(children, table, level)
        above[level] = table[table["code"].isin(children["parent"])].reset_index(drop=True)
        children = above[level]
    if len(above["city"]) > 1:
        raise BoundaryError(
            f"the villages of {path} belong to {len(above['city'])} cities "
            f"({', '.join(above['city']['code'])}); divide one city at a time."
        )
    return above


def _require_parents(children: pd.DataFrame, parents: pd.DataFrame, level: str) -> None:
    orphans = children[~children["parent"].isin(parents["code"])]
    if len(orphans):
        named = ", ".join(f"{row.code} -> {row.parent}" for row in orphans.head(20).itertuples())
        raise BoundaryError(
            f"{len(orphans)} units have a parent that layer {level} does not hold: {named}. "
            f"Add the missing {level} units or correct the column parent."
        )
    if parents["code"].duplicated().any():
        double = parents["code"][parents["code"].duplicated()].unique()[:20]
        raise BoundaryError(f"layer {level} holds codes more than once: {', '.join(double)}.")
