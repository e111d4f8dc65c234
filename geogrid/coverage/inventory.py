"""Findings between the units and what lies in them: buildings, points, workers, households."""

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.codes import LEVELS
from geogrid.coverage.checklist import Checklist
from geogrid.coverage.edges import is_polygonal, on_integer_grid
from geogrid.coverage.faults import measure
from geogrid.coverage.findings import Finding, finding
from geogrid.coverage.layers import Layer, text_of
from geogrid.schema import require_columns

CUT_SHARE = 0.01
"""A building is cut when more than this share of it lies beyond a border."""


def inventory_findings(
    layers: dict[str, Layer],
    frames: dict[str, gpd.GeoDataFrame],
    checklist: Checklist,
    crs: str,
) -> Iterator[Finding]:
    """Report what the checklist's tables show; the lowest level given stands for the units."""
    lowest = layers[next(level for level in reversed(LEVELS) if level in layers)]
    if checklist.buildings is not None:
        yield from _cut_buildings(lowest, checklist.buildings, crs)
    if checklist.points is not None:
        yield from _stray_points(lowest, checklist.points)
    if checklist.workers is not None:
        yield from _workers(layers, checklist.workers)
    if checklist.norms is not None:
        for level in ("grid", "microgrid"):
            if level in layers:
                yield from _over_norm(layers[level], frames[level], checklist)


def _cut_buildings(layer: Layer, buildings: gpd.GeoDataFrame, crs: str) -> Iterator[Finding]:
    """Report buildings with more than 1 % of their area outside the unit of most of it."""
    shapes = on_integer_grid(buildings, "the building layer")
    shapes = shapes[is_polygonal(shapes)]
    tree = layer.tree()
    # Only what a border touches can be cut.
    borders = shapely.boundary(tree.geometries)
    near = np.unique(shapely.STRtree(shapes).query(borders, predicate="intersects")[1])
    cut = shapely.make_valid(shapes[near])
    building, unit = tree.query(cut, predicate="intersects")
    part = shapely.area(shapely.intersection(cut[building], tree.geometries[unit]))
    table = pd.DataFrame({"building": building, "unit": unit, "part": part})
    most = table.groupby("building")["part"].max()
    beyond = 1 - most / shapely.area(cut[most.index])
    for row in beyond.index[beyond > CUT_SHARE].tolist():
        own = table[(table["building"] == row) & (table["part"] > 0)]
        codes = tuple(sorted(str(layer.codes[k]) for k in own["unit"]))
        faces = measure(cut[[row]], crs)
        share = f"{beyond[row]:.0%}"
        yield finding(
            "building_cut", layer.level, codes, detail=(f"{share} beyond", f"{share} 在边界外"),
            point=faces.point(0), extent=faces.extent(0),
        )  # fmt: skip


def _stray_points(layer: Layer, points: gpd.GeoDataFrame) -> Iterator[Finding]:
    """Report points in no unit, and those inside two; a point on a shared border is in one."""
    places = shapely.centroid(on_integer_grid(points, "the point layer"))
    tree = layer.tree()
    there = ~(shapely.is_missing(places) | shapely.is_empty(places))
    touched, _ = tree.query(places, predicate="intersects")
    inside, unit = tree.query(places, predicate="within")
    n_touched = np.bincount(touched, minlength=len(places))
    n_inside = np.bincount(inside, minlength=len(places))
    names = text_of(points["name"]) if "name" in points.columns else None
    for row in np.flatnonzero((n_touched == 0) & there).tolist():
        yield _at_point("point_in_none", layer.level, (), places[row], _named(names, row))
    for row in np.flatnonzero(n_inside > 1).tolist():
        codes = tuple(sorted(str(layer.codes[k]) for k in unit[inside == row]))
        yield _at_point("point_in_two", layer.level, codes, places[row], _named(names, row))


def _workers(layers: dict[str, Layer], workers: pd.DataFrame) -> Iterator[Finding]:
    """Report units without a worker, on each level that the list of workers speaks of."""
    require_columns(workers, ("code",), "the list of workers")
    codes = pd.Index(text_of(workers["code"]))
    named = {level: codes.isin(layer.codes) for level, layer in layers.items()}
    spoken = [level for level in named if named[level].any()] or ["grid"]
    for level in (level for level in spoken if level in layers):
        layer = layers[level]
        for row in np.flatnonzero(~pd.Index(layer.codes).isin(codes)).tolist():
            yield finding("no_worker", level, (str(layer.codes[row]),), point=layer.point_of(row))
    known = np.any(list(named.values()), axis=0)
    for code in codes[~known].unique():
        yield finding("unknown_unit", spoken[0], (str(code),))


def _over_norm(layer: Layer, frame: gpd.GeoDataFrame, checklist: Checklist) -> Iterator[Finding]:
    if checklist.norms is None or not {"households", "kind"} <= set(frame.columns):
        return
    norms = checklist.norms.of(layer.level)
    most = frame["kind"].map({kind: norm.most for kind, norm in norms.items()}).to_numpy(float)
    households = pd.to_numeric(frame["households"], errors="coerce").to_numpy(float)
    for row in np.flatnonzero(households > most).tolist():
        said = f"{households[row]:.0f} > {most[row]:g}"
        yield finding(
            "over_norm", layer.level, (str(layer.codes[row]),), detail=(said, said),
            point=layer.point_of(row),
        )  # fmt: skip


def _at_point(
    rule: str, level: str, codes: tuple[str, ...], place: shapely.Point, name: str
) -> Finding:
    return finding(rule, level, codes, detail=(name, name), point=(place.x, place.y))


def _named(names: NDArray[np.object_] | None, row: int) -> str:
    return f"row {row + 1}" if names is None else f"row {row + 1}, {names[row]}"
