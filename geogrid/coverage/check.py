"""Check an edition or raw layers: every fault with its rule, its units and its place.

Levels are checked one by one against the container, then against the level above. The expensive
step, finding places, runs only where half-edges are left without a twin.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import geopandas as gpd

from geogrid import store
from geogrid.codes import LEVELS
from geogrid.coverage.edges import HalfEdges, half_edges, on_integer_grid
from geogrid.coverage.findings import Finding, Findings, finding
from geogrid.coverage.layers import Layer, metric_crs, prepared
from geogrid.coverage.nesting import nesting_findings
from geogrid.coverage.places import coverage_findings
from geogrid.coverage.rows import column_findings, unit_findings
from geogrid.edition import Edition
from geogrid.errors import BoundaryError, DataError, UsageError

_log = logging.getLogger(__name__)


def check(
    edition: Edition,
    *,
    container: gpd.GeoDataFrame | None = None,
    expected: Mapping[str, int] | None = None,
) -> Findings:
    """Check that every level of an edition fills the city, level by level.

    Parameters
    ----------
    edition : Edition
    container : GeoDataFrame, optional
        Polygons of the area to fill, in any reference system; the edition's city by default.
    expected : mapping of level to int, optional
        Number of units that each level must have.

    Returns
    -------
    Findings
        Empty if nothing is wrong: no fault of even one step (1 mm) is missed.
    """
    return check_layers(
        {level: edition.units[level] for level in LEVELS},
        container=container,
        expected=expected,
        working_crs=edition.info.working_crs,
    )


def check_file(
    path: Path, boundary: Path | None = None, expected: Mapping[str, int] | None = None
) -> Findings:
    """Check a GeoPackage: an edition, or any of the layers `city` to `microgrid`.

    Raises
    ------
    DataError
        The file or `boundary` cannot be read, or holds none of these layers.
    """
    names = store.layer_names(path)
    levels = [level for level in LEVELS if level in names]
    if not levels:
        raise DataError(
            f"{path} has no layer named {', '.join(LEVELS)}; it has {', '.join(names)}. "
            "Rename the layers after their levels."
        )
    container = None if boundary is None else store.read_vector(boundary)
    if "edition" not in names or len(levels) < len(LEVELS):
        layers = {level: store.read_layer(path, level) for level in levels}
        return check_layers(layers, container=container, expected=expected)
    try:
        edition = store.read_edition(path)
    except DataError as error:
        _log.info("%s is checked layer by layer: %s", path, error)
        layers = {level: store.read_layer(path, level) for level in levels}
        crs = str(store.read_layer(path, "edition")["working_crs"].iloc[0])
        found = check_layers(layers, container=container, expected=expected, working_crs=crs)
        return replace(found, items=(finding("changed_file", "city", ()), *found.items))
    return check(edition, container=container, expected=expected)


def check_layers(
    layers: Mapping[str, gpd.GeoDataFrame],
    *,
    container: gpd.GeoDataFrame | None = None,
    expected: Mapping[str, int] | None = None,
    working_crs: str | None = None,
) -> Findings:
    """Check raw layers, named by level; any subset of the levels, in any reference system.

    Without `container` the topmost layer is what the levels below it have to fill; of that layer
    itself only inner gaps can be known.

    Raises
    ------
    DataError
        A layer has no column `code` or no reference system.
    """
    unknown = [level for level in (*layers, *(expected or {})) if level not in LEVELS]
    if unknown or not layers:
        raise UsageError(f"levels are {', '.join(LEVELS)}; given {', '.join(unknown) or 'none'}")
    found: list[Finding] = []
    ready: dict[str, Layer] = {}
    for level in (level for level in LEVELS if level in layers):
        found += column_findings(layers[level], level)
        ready[level] = prepared(layers[level], level)
    top = next(iter(ready.values()))
    crs = working_crs or metric_crs(top.shapes)
    given = None if container is None else _outline_given(container)
    rates: dict[str, float] = {}
    above: Layer | None = None
    faulty = False
    for level, layer in ready.items():
        found += unit_findings(layer)
        fills = given if given is not None else (None if above is None else top.edges)
        places, rates[level] = coverage_findings(layer, fills, crs, exact=given is None)
        found += places
        faulty = faulty or bool(places)
        if above is not None:
            found += nesting_findings(layer, above, crs, explained=faulty)
        above = layer
    found += _count_findings(ready, expected or {})
    return Findings(tuple(found), rates, {level: len(each.codes) for level, each in ready.items()})


def _outline_given(container: gpd.GeoDataFrame) -> HalfEdges:
    edges = half_edges(on_integer_grid(container, "the boundary"))
    if not len(edges):
        raise BoundaryError("the boundary holds no polygon; it is the area that has to be filled")
    return edges


def _count_findings(layers: Mapping[str, Layer], expected: Mapping[str, int]) -> Iterator[Finding]:
    for level, number in expected.items():
        n = len(layers[level].codes) if level in layers else 0
        if n != number:
            top = next(iter(layers.values()))
            yield finding(
                "count", level, (), point=top.point_of(0) if len(top.codes) else None,
                detail=(f"{n:,} units, expected {number:,}", f"{n:,} 个，应为 {number:,} 个"),
            )  # fmt: skip
