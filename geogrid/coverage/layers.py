"""One level made ready to be checked: codes as text, shapes on the integer grid."""

import math
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import NOWHERE, HalfEdges, half_edges, is_polygonal, on_integer_grid
from geogrid.coverage.findings import Point
from geogrid.schema import EXCHANGE_CRS


@dataclass(frozen=True, slots=True)
class Layer:
    """One level, on the integer grid.

    Attributes
    ----------
    codes, names : (n,) text
        `names` are empty where the layer has none.
    parents : (n,) text, optional
        None where the layer has no such column.
    shapes : (n,) geometries
        In EPSG:4490; perhaps missing or invalid.
    edges : HalfEdges
        Of the shapes that are polygons.
    enclave : (n,) bool
        Units that may consist of several parts.
    """

    level: str
    codes: NDArray[np.object_]
    names: NDArray[np.object_]
    parents: NDArray[np.object_] | None
    shapes: NDArray[np.object_]
    edges: HalfEdges
    enclave: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.codes)

    def of(self, rows: NDArray[np.int64]) -> "Layer":
        """Return some of the units."""
        shapes = self.shapes[rows]
        parents = None if self.parents is None else self.parents[rows]
        return Layer(
            self.level, self.codes[rows], self.names[rows], parents, shapes, half_edges(shapes),
            self.enclave[rows],
        )  # fmt: skip

    def tree(self) -> shapely.STRtree:
        """Index the shapes; crossed rings are untangled, for asking what covers a point only."""
        shapes = self.shapes.copy()
        shapes[~is_polygonal(shapes)] = None
        broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
        shapes[broken] = shapely.make_valid(shapes[broken], method="structure")
        return shapely.STRtree(shapes)

    def point_of(self, row: int) -> Point | None:
        """Return a point inside a unit."""
        shape = self.shapes[row]
        if shape is None or shape.is_empty or not (np.abs(shape.bounds) < NOWHERE).all():
            return None
        point = shapely.point_on_surface(shape)
        return (point.x, point.y)


def prepared(frame: gpd.GeoDataFrame, level: str) -> Layer:
    """Return a raw layer as a `Layer`."""
    shapes = on_integer_grid(frame, f"layer {level}")
    parents = text_of(frame["parent"]) if "parent" in frame.columns else None
    names = text_of(frame["name"]) if "name" in frame.columns else np.full(len(frame), "", object)
    return Layer(
        level, text_of(frame["code"]), names, parents, shapes, half_edges(shapes), _enclaves(frame)
    )


def _enclaves(frame: gpd.GeoDataFrame) -> NDArray[np.bool_]:
    """Return which units are flagged as enclaves (飞地): 1, true, yes, 是."""
    if "enclave" not in frame.columns:
        return np.zeros(len(frame), bool)
    flags = frame["enclave"].astype(str).str.strip().str.lower()
    enclave: NDArray[np.bool_] = flags.isin(("1", "1.0", "true", "yes", "y", "是")).to_numpy(bool)
    return enclave


def text_of(column: pd.Series) -> NDArray[np.object_]:
    """Return codes as text; numbers keep the digits they still have."""
    if pd.api.types.is_float_dtype(column):
        return np.array(["" if math.isnan(value) else f"{value:.0f}" for value in column], object)
    values: NDArray[np.object_] = column.astype("object").where(column.notna(), "").to_numpy()
    return np.array([str(value) for value in values], object)


def metric_crs(shapes: NDArray[np.object_]) -> str:
    """Return a metric system for raw layers: the 3-degree zone in China, UTM elsewhere."""
    usable = shapes[is_polygonal(shapes)]
    if not len(usable):
        return "EPSG:4547"
    west, south, east, north = shapely.total_bounds(usable)
    meridian = round((west + east) / 6) * 3
    if 75 <= meridian <= 135 and south > 0 and north < 56:
        return f"EPSG:{4534 + (meridian - 75) // 3}"
    return str(gpd.GeoSeries(usable[:1], crs=EXCHANGE_CRS).estimate_utm_crs())
