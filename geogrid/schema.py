"""Columns of the tables that geogrid reads and writes, declared once and checked at the door."""

from types import MappingProxyType

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.errors import DataError

EXCHANGE_CRS = "EPSG:4490"
"""CGCS2000 longitude and latitude; every coordinate of ours is in lon-lat order."""

GRID_UNIT = 1e-8
"""Degrees a step of the integer grid on which an edition's vertices lie (about 1 mm)."""

UNIT_COLUMNS = MappingProxyType(
    {
        "code": "text",
        "uid": "text",
        "name": "text",
        "parent": "text",
        "kind": "text",
        "households": "integer",
        "area_m2": "real",
        "valid_from": "text",
    }
)
"""Columns of a unit layer (`county` … `microgrid`), in order; the geometry column is `geom`."""

BOUNDARY_COLUMNS = ("code", "name", "parent", "kind")
"""Columns of a layer of given administrative boundaries; only `code` is indispensable."""


def require_columns(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    """Raise `DataError` naming the missing and the present columns of `what`."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(
            f"{what} has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns))}. Rename the columns or add the missing ones."
        )


def require_crs(frame: gpd.GeoDataFrame, what: str) -> None:
    """Raise `DataError` when `frame` does not say its coordinate reference system."""
    if frame.crs is None:
        raise DataError(
            f"{what} has no coordinate reference system. Assign the one it was made in "
            "(CGCS2000 degrees are EPSG:4490, 3-degree zone 114E is EPSG:4547) and try again."
        )


def _single(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return multipolygons of one part, as GeoPackage layers hold them, as polygons."""
    single = (shapely.get_type_id(shapes) == 6) & (shapely.get_num_geometries(shapes) == 1)
    polygons = shapes.copy()
    polygons[single] = shapely.get_geometry(shapes[single], 0)
    return polygons


def as_unit_table(frame: gpd.GeoDataFrame, level: str) -> gpd.GeoDataFrame:
    """Return `frame` with the unit columns in order, typed and sorted by code."""
    require_columns(frame, tuple(UNIT_COLUMNS), f"layer {level}")
    table = frame[[*UNIT_COLUMNS, frame.geometry.name]].rename(
        columns={frame.geometry.name: "geom"}
    )
    table = table.set_geometry("geom")
    table["geom"] = _single(table["geom"].to_numpy())
    for column, kind in UNIT_COLUMNS.items():
        if kind == "integer":
            table[column] = table[column].astype("int64")
        elif kind == "real":
            table[column] = table[column].astype("float64")
        else:
            table[column] = table[column].fillna("").astype("object")
    if table["code"].is_monotonic_increasing:
        return table.reset_index(drop=True)
    return table.sort_values("code", kind="stable", ignore_index=True)
