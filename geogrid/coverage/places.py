"""Findings between the units of one level and its container: gaps, overlaps, lone vertices."""

import math
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import (
    OUTLINE,
    HalfEdges,
    Pairing,
    is_polygonal,
    match,
    outline,
)
from geogrid.coverage.faults import (
    Faces,
    covering,
    grouped,
    residual_faces,
    touching,
    unmatched_vertices,
)
from geogrid.coverage.findings import Finding, finding
from geogrid.coverage.layers import Layer
from geogrid.edition import to_degrees
from geogrid.schema import EXCHANGE_CRS

OUTLINE_NOISE = 0.01
"""Metres. Where a given boundary has other vertices than the units, straight edges of a kilometre
depart by up to 9.8 mm between reference systems; less than this is not called a gap."""

_OTHER_SHARE = 0.5
"""Share of a given outline without twins from which it is taken to have vertices of its own."""

_SLIVERS = {"gap": ("gap", "缝隙"), "overlap": ("overlap", "重叠")}

_ALMOST = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Look:
    """How faults of a level are looked at.

    Attributes
    ----------
    crs : str
        The working CRS.
    sliver_width : float
        Metres below which a gap or an overlap is a sliver.
    exact : bool
        The container's outline comes from the units: nothing is noise.
    rows : (n,) bool, optional
        Units whose half-edges are looked at; all by default. The others are there to be matched,
        and the container's half-edges are a part of its outline.
    area : geometry, optional
        With `rows`, the whole container in degrees.
    """

    crs: str
    sliver_width: float
    exact: bool
    rows: NDArray[np.bool_] | None = None
    area: shapely.Geometry | None = None


def coverage_findings(
    layer: Layer, container: HalfEdges | None, look: Look
) -> tuple[list[Finding], float]:
    """Report gaps, overlaps and what comes with them; return the coverage rate too."""
    edges, crs = layer.edges, look.crs
    if container is not None:
        border = container if look.rows is not None else outline(container)
        edges = edges.joined(border.reversed())
    pairing = match(edges)
    exact = look.exact or _same_vertices(edges, pairing)
    left = pairing.unmatched
    if look.rows is not None:
        left &= (edges.owners == OUTLINE) | look.rows[edges.owners]
    residual = edges[left]
    if not len(residual):
        return [], 1.0
    faces = residual_faces(residual, crs)
    tree = layer.tree()
    area = _Area.of(container, crs) if look.rows is None else _Area(look.area, 0.0)
    faults = _classified(faces, tree, area)
    noise = np.zeros(len(faults.faces), bool)
    if not exact:
        noise = faults.at_outline & (faults.faces.width_m < OUTLINE_NOISE)
        noise &= (faults.n_covering == 0) | ~faults.inside
    found = _duplicates(layer, pairing, edges)
    found += _face_findings(layer, tree, faults, known=found, skip=noise, look=look)
    found += _vertex_findings(layer, residual, faults.faces, noise=int(noise.sum()))
    if container is not None and not found:
        found = [_loose_edge(layer, residual)]
    return found, _rate(faults, area, layer, crs)


def _same_vertices(edges: HalfEdges, pairing: Pairing) -> bool:
    """Tell whether most of a given outline has the units' vertices, so that a notch is no noise."""
    given = edges.owners == OUTLINE
    return bool(given.any() and not pairing.unmatched[given].mean() > _OTHER_SHARE)


@dataclass(frozen=True, slots=True)
class _Area:
    """The container as a shape: to ask what is inside it; none where none is given.

    `area_m2` is 0 where the rate is that of the units at hand.
    """

    shape: shapely.Geometry | None
    area_m2: float

    @classmethod
    def of(cls, container: HalfEdges | None, crs: str) -> "_Area":
        if container is None:
            return cls(None, 0.0)
        lines = shapely.linestrings(to_degrees(outline(container).ends.reshape(-1, 2, 2)))
        shape = shapely.build_area(shapely.union_all(lines))
        metric = gpd.GeoSeries([shape], crs=EXCHANGE_CRS).to_crs(crs)
        shapely.prepare(shape)
        return cls(shape, float(metric.area.iloc[0]))


@dataclass(frozen=True, slots=True)
class _Faults:
    """Faces of the residual that are gaps, overlaps or outside."""

    faces: Faces
    n_covering: NDArray[np.int64]
    inside: NDArray[np.bool_]
    at_outline: NDArray[np.bool_]


def _classified(faces: Faces, tree: shapely.STRtree, area: _Area) -> _Faults:
    """Keep the faces that are not covered exactly once inside the container, or never outside."""
    point, _ = covering(tree, faces)
    count = np.bincount(point, minlength=len(faces))
    inside = np.ones(len(faces), bool)
    edge = np.zeros(len(faces), bool)
    if area.shape is not None:
        inside = shapely.intersects(area.shape, shapely.points(faces.points))
    wrong = np.where(inside, count != 1, count > 0)
    if area.shape is not None and wrong.any():
        border = shapely.boundary(area.shape)
        shapely.prepare(border)
        edge[wrong] = shapely.dwithin(border, faces.polygons[wrong], 1e-11)
    return _Faults(faces[wrong], count[wrong], inside[wrong], edge[wrong])


def _face_findings(
    layer: Layer,
    tree: shapely.STRtree,
    faults: _Faults,
    *,
    known: list[Finding],
    skip: NDArray[np.bool_],
    look: Look,
) -> list[Finding]:
    covers = grouped(*covering(tree, faults.faces), len(faults.faces))
    beside = grouped(*touching(tree, faults.faces.polygons), len(faults.faces))
    twice = {code for each in known for code in each.codes}
    found = []
    for row in np.flatnonzero(~skip).tolist():
        gap = faults.n_covering[row] == 0
        units = beside[row] if gap else covers[row]
        codes = tuple(sorted(str(layer.codes[unit]) for unit in units))
        if not faults.inside[row]:
            rule = "outside"
        elif not gap:
            rule = "overlap"
        elif len(units) == 1 and not faults.at_outline[row]:
            rule = "hole"
        else:
            rule = "edge_gap" if faults.at_outline[row] else "gap"
        if rule == "overlap" and twice.issuperset(codes):
            continue
        detail = ("", "")
        if rule in _SLIVERS and faults.faces.width_m[row] < look.sliver_width:
            detail, rule = _SLIVERS[rule], "sliver"
        found.append(at_face(rule, (layer.level, codes), faults.faces, row, detail=detail))
    return found


def at_face(
    rule: str,
    units: tuple[str, tuple[str, ...]],
    faces: Faces,
    row: int,
    *,
    detail: tuple[str, str] = ("", ""),
) -> Finding:
    """Make a finding at a face; `units` are the level and the codes concerned."""
    return finding(rule, *units, detail=detail, point=faces.point(row), extent=faces.extent(row))


def _duplicates(layer: Layer, pairing: Pairing, edges: HalfEdges) -> list[Finding]:
    """Report polygons that occur twice; only units with an equal half-edge can."""
    first = pairing.first
    again = (first >= 0) & (edges.owners != OUTLINE)
    rows = np.unique(np.concatenate([edges.owners[again], edges.owners[first[again]]]))
    rows = rows[rows != OUTLINE]
    wkb = pd.Series(shapely.to_wkb(shapely.normalize(layer.shapes[rows])), index=rows)
    found = []
    for group in wkb.groupby(wkb).groups.values():
        if len(group) > 1:
            codes = tuple(sorted(str(layer.codes[row]) for row in group))
            place = layer.point_of(int(group[0]))
            found.append(finding("duplicate_geometry", layer.level, codes, point=place))
    return found


def _vertex_findings(
    layer: Layer, residual: HalfEdges, faults: Faces, *, noise: int
) -> list[Finding]:
    """Report T-junctions; those on a given outline are one finding, they open nothing inside."""
    xy, edge_owner, vertex_owner = unmatched_vertices(residual, faults)
    inner = (edge_owner != OUTLINE) & (vertex_owner != OUTLINE)
    found = []
    for point, *owners in zip(
        to_degrees(xy[inner]), edge_owner[inner], vertex_owner[inner], strict=True
    ):
        codes = tuple(sorted(str(layer.codes[owner]) for owner in owners))
        inside = (float(point[0]), float(point[1]))
        found.append(finding("unmatched_vertex", layer.level, codes, point=inside))
    outer = xy[~inner]
    if len(outer) or noise:
        n = len(outer) + noise
        at = to_degrees(outer[0]).tolist() if len(outer) else None
        place = None if at is None else (at[0], at[1])
        detail = (f"{n} places, each under 10 mm", f"{n} 处，均小于 10 毫米")
        found.append(finding("outline_vertices", layer.level, (), detail=detail, point=place))
    return found


def _loose_edge(layer: Layer, residual: HalfEdges) -> Finding:
    """Report an edge without a twin where no face and no vertex explains it."""
    row = int(np.argmax(residual.owners))
    middle = to_degrees(residual.ends[row].reshape(2, 2)).mean(axis=0)
    owner = residual.owners[row]
    codes = () if owner == OUTLINE else (str(layer.codes[owner]),)
    return finding("unmatched_edge", layer.level, codes, point=(float(middle[0]), float(middle[1])))


def _rate(faults: _Faults, area: _Area, layer: Layer, crs: str) -> float:
    """Return the covered share of the container; below 1 whenever a face is wrong."""
    if not len(faults.faces):
        return 1.0
    gap = float(faults.faces.area_m2[faults.n_covering == 0].sum())
    whole = area.area_m2
    if not whole:
        usable = layer.shapes[is_polygonal(layer.shapes)]
        whole = float(gpd.GeoSeries(usable, crs=EXCHANGE_CRS).to_crs(crs).area.sum()) + gap
    return max(0.0, min(1 - gap / whole, _ALMOST)) if whole else 0.0
