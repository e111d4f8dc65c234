"""Check an edition or raw layers: every fault with its rule, its units and its place.

Levels are checked one by one against the container, then against the level above. The expensive
step, finding places, runs only where half-edges are left without a twin.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import geopandas as gpd
import shapely

from geogrid.codes import LEVELS
from geogrid.coverage.checklist import Checklist
from geogrid.coverage.edges import HalfEdges, half_edges, on_integer_grid
from geogrid.coverage.findings import Finding, Findings, finding
from geogrid.coverage.inventory import inventory_findings
from geogrid.coverage.layers import Layer, metric_crs, prepared
from geogrid.coverage.local import neighbourhoods
from geogrid.coverage.nesting import nesting_findings
from geogrid.coverage.places import Look, coverage_findings
from geogrid.coverage.rounding import Rounded, rounding_findings
from geogrid.coverage.rows import column_findings, unit_findings
from geogrid.edition import Edition
from geogrid.errors import BoundaryError, UsageError

EVERYTHING = Checklist()
"""All rules, and nothing to compare with but the polygons."""


def check(
    city: Edition | Mapping[str, gpd.GeoDataFrame],
    container: gpd.GeoDataFrame | None = None,
    rules: Checklist = EVERYTHING,
    *,
    around: Iterable[str] | None = None,
) -> Findings:
    """Check that every level fills the container, edge by edge, and fits the level above.

    Parameters
    ----------
    city : Edition or mapping of level to GeoDataFrame
        Raw layers need a column `code` and a reference system; any subset of the levels will do,
        and each may be in another system.
    container : GeoDataFrame, optional
        Polygons of the area to fill, in any reference system. Without it the topmost level is what
        the levels below have to fill; of that level itself only inner gaps can be known.
    rules : Checklist
        Which rules, with what beside the polygons, and which faults are known.
    around : codes, optional
        Look at the neighbourhood of these units only, on every level: after an edit. Counts and
        coverage rates are those of the neighbourhood.

    Returns
    -------
    Findings
        Empty if nothing is wrong. No fault is missed: those of a step (1 mm) and more are placed,
        and vertices of raw layers that are nearer than that are counted in a note. By level from
        the top, then as they were found.

    Raises
    ------
    DataError
        A layer has no column `code` or no reference system.
    UsageError
        A level does not exist, or a code in `around`.
    """
    if around is not None:
        return _check_around(city, container, rules, around)
    frames = city.units if isinstance(city, Edition) else city
    unknown = [level for level in (*frames, *rules.expected) if level not in LEVELS]
    if unknown or not frames:
        raise UsageError(f"levels are {', '.join(LEVELS)}; given {', '.join(unknown) or 'none'}")
    found: list[Finding] = []
    ready: dict[str, Layer] = {}
    for level in (level for level in LEVELS if level in frames):
        found += column_findings(frames[level], level)
        ready[level] = prepared(frames[level], level)
    found += _rounded(frames, ready, container)
    top = next(iter(ready.values()))
    crs = city.info.working_crs if isinstance(city, Edition) else metric_crs(top.shapes)
    given = None if container is None else _outline_given(container)
    look = Look(crs, rules.sliver_width, exact=given is None)
    lowest = list(ready.values())[-1]
    rates: dict[str, float] = {}
    above: Layer | None = None
    faulty = False
    for level, layer in ready.items():
        found += unit_findings(layer, crs, lowest=layer is lowest)
        fills = given if given is not None else (None if above is None else top.edges)
        places, rates[level] = coverage_findings(layer, fills, look)
        found += places
        faulty = faulty or bool(places)
        if above is not None:
            found += nesting_findings(layer, above, crs, explained=faulty)
        above = layer
    found += inventory_findings(ready, dict(frames), rules, crs)
    found += _count_findings(ready, rules.expected)
    counts = {level: len(each) for level, each in ready.items()}
    return Findings(tuple(_told(found, ready, rules)), rates, counts)


def _check_around(
    city: Edition | Mapping[str, gpd.GeoDataFrame],
    container: gpd.GeoDataFrame | None,
    rules: Checklist,
    around: Iterable[str],
) -> Findings:
    """Check the neighbourhood of some units of an edition."""
    if not isinstance(city, Edition) or container is not None:
        raise UsageError("around= looks into an edition, which is its own container.")
    crs = city.info.working_crs
    found: list[Finding] = []
    rates: dict[str, float] = {}
    area = city.units[LEVELS[0]].geometry.iloc[0]
    near = neighbourhoods(city, around)
    faulty = False
    for level, each in near.items():
        found += unit_findings(each.concerned, crs, lowest=level == LEVELS[-1])
        look = Look(crs, rules.sliver_width, exact=True, rows=each.looked_at, area=area)
        places, rates[level] = coverage_findings(each.layer, each.outline, look)
        found += places
        faulty = faulty or bool(places)
        if each.parents is not None:
            found += nesting_findings(each.children, each.parents, crs, explained=faulty)
    layers = {level: each.layer for level, each in near.items()}
    counts = {level: len(each) for level, each in layers.items()}
    return Findings(tuple(_told(found, layers, rules)), rates, counts)


def _rounded(
    frames: Mapping[str, gpd.GeoDataFrame],
    ready: Mapping[str, Layer],
    container: gpd.GeoDataFrame | None,
) -> Iterator[Finding]:
    """Yield a note for each level of which vertices were apart by less than a step."""
    around = []
    if container is not None:
        around = [Rounded(container, on_integer_grid(container, "the boundary"))]
    above: list[Rounded] = []
    for level, layer in ready.items():
        yield from rounding_findings(layer, frames[level], [*above, *around])
        above = [Rounded(frames[level], layer.shapes)]


def _told(
    found: Iterable[Finding], layers: Mapping[str, Layer], rules: Checklist
) -> Iterator[Finding]:
    """Yield the findings asked for, with the village at their place, known ones as notes."""
    kept = [each for each in found if rules.only is None or each.rule in rules.only]
    names = _villages_near(kept, layers)
    excuses = {(known.code, known.rule): known.reason for known in rules.exceptions}
    for each, near in zip(kept, names, strict=True):
        keys = [(code, rule) for code in each.codes for rule in (each.rule, "*")]
        reason = next((excuses[key] for key in keys if key in excuses), each.excused)
        severity = "note" if reason else each.severity
        yield replace(each, near=near, excused=reason, severity=severity)


def _villages_near(found: list[Finding], layers: Mapping[str, Layer]) -> list[str]:
    """Return the name of the village at each finding, or of the nearest one."""
    names = [""] * len(found)
    rows = [row for row, each in enumerate(found) if each.point is not None]
    if "village" not in layers or not rows:
        return names
    village = layers["village"]
    tree = village.tree()
    points = shapely.points([found[row].point for row in rows])
    place, nearest = tree.query_nearest(points, all_matches=False)
    for k, unit in zip(place.tolist(), nearest.tolist(), strict=True):
        names[rows[k]] = str(village.names[unit]) or str(village.codes[unit])
    return names


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
