"""Check an edition or raw layers: every fault with its rule, its units and its place.

Levels are checked one by one against the container, then against the level above. The expensive
step, finding places, runs only where half-edges are left without a twin.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid import store
from geogrid.codes import LEVELS, CodeScheme
from geogrid.coverage.faults import (
    Faces,
    covering,
    grouped,
    residual_faces,
    touching,
    unmatched_vertices,
)
from geogrid.coverage.findings import Finding, Findings, Point, finding
from geogrid.coverage.topology import (
    OUTLINE,
    HalfEdges,
    half_edges,
    is_polygonal,
    match,
    on_integer_grid,
    outline,
)
from geogrid.edition import Edition, to_degrees
from geogrid.errors import DataError, UsageError
from geogrid.schema import EXCHANGE_CRS, require_columns

OUTLINE_NOISE = 0.01
"""Metres. Where a given boundary has other vertices than the units, straight edges of a kilometre
depart by up to 9.8 mm between reference systems; less than this is not called a gap."""

_ALMOST = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One level, on the integer grid."""

    level: str
    codes: NDArray[np.object_]
    parents: NDArray[np.object_] | None
    shapes: NDArray[np.object_]
    edges: HalfEdges

    def tree(self) -> shapely.STRtree:
        """Index the shapes; crossed rings are untangled, for asking what covers a point only."""
        shapes = np.where(is_polygonal(self.shapes), self.shapes, None)
        broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
        shapes[broken] = shapely.make_valid(shapes[broken], method="structure")
        return shapely.STRtree(shapes)

    def point_of(self, row: int) -> Point | None:
        """Return a point inside a unit."""
        shape = self.shapes[row]
        if shape is None or shape.is_empty or not np.isfinite(shape.bounds).all():
            return None
        point = shapely.point_on_surface(shape)
        return (point.x, point.y)


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
    layers = {level: store.read_layer(path, level) for level in levels}
    crs = (
        str(store.read_layer(path, "edition")["working_crs"].iloc[0])
        if "edition" in names
        else None
    )
    return check_layers(
        layers,
        container=None if boundary is None else store.read_vector(boundary),
        expected=expected,
        working_crs=crs,
    )


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
    ready: dict[str, _Layer] = {}
    for level in (level for level in LEVELS if level in layers):
        found += _column_findings(layers[level], level)
        ready[level] = _prepared(layers[level], level)
    given = None if container is None else half_edges(on_integer_grid(container, "the boundary"))
    crs = working_crs or metric_crs(next(iter(ready.values())).shapes)
    rates: dict[str, float] = {}
    above: _Layer | None = None
    top = next(iter(ready.values()))
    for level, layer in ready.items():
        found += _unit_findings(layer)
        fills = given if given is not None else (None if above is None else top.edges)
        places, rates[level] = _coverage_findings(layer, fills, crs, exact=given is None)
        found += places
        if above is not None:
            found += _nesting_findings(layer, above, crs)
        above = layer
    found += _count_findings(ready, expected or {})
    return Findings(tuple(found), rates, {level: len(each.codes) for level, each in ready.items()})


def _prepared(frame: gpd.GeoDataFrame, level: str) -> _Layer:
    shapes = on_integer_grid(frame, f"layer {level}")
    parents = _text(frame["parent"]) if "parent" in frame.columns else None
    return _Layer(level, _text(frame["code"]), parents, shapes, half_edges(shapes))


def _text(column: pd.Series) -> NDArray[np.object_]:
    """Return codes as text; numbers keep the digits they still have."""
    if pd.api.types.is_float_dtype(column):
        return np.array(["" if math.isnan(value) else f"{value:.0f}" for value in column], object)
    values: NDArray[np.object_] = column.astype("object").where(column.notna(), "").to_numpy()
    return np.array([str(value) for value in values], object)


# --- rows -----------------------------------------------------------------------------------------


def _column_findings(frame: gpd.GeoDataFrame, level: str) -> Iterator[Finding]:
    """Report a code column that is not text."""
    require_columns(frame, ("code",), f"layer {level}")
    column = frame["code"]
    if pd.api.types.is_float_dtype(column):
        lost = column.abs().max() > 2**53
        detail = (
            ("the column is floating point" + ("; digits are lost" if lost else "")),
            ("该列为浮点数" + ("，末位数字已丢失" if lost else "")),
        )
        yield finding("code_became_number", level, tuple(_text(column)), detail=detail)
    elif pd.api.types.is_integer_dtype(column):
        yield finding("code_column_is_number", level, tuple(_text(column)))


def _unit_findings(layer: _Layer) -> Iterator[Finding]:
    """Report codes and geometries that are wrong by themselves."""
    yield from _code_findings(layer)
    missing = shapely.is_missing(layer.shapes) | shapely.is_empty(layer.shapes)
    kind = shapely.get_type_id(layer.shapes)
    usable = is_polygonal(layer.shapes)
    for row in np.flatnonzero(missing):
        yield _at(layer, "no_geometry", row)
    for row in np.flatnonzero(~missing & ~np.isin(kind, (3, 6))):
        yield _at(layer, "not_polygon", row, detail=(layer.shapes[row].geom_type,) * 2)
    for row in np.flatnonzero(~missing & np.isin(kind, (3, 6)) & ~usable):
        yield _at(layer, "bad_coordinates", row)
    for row in np.flatnonzero(usable & ~shapely.is_valid(layer.shapes)):
        reason, point = _split_reason(shapely.is_valid_reason(layer.shapes[row]))
        yield finding(
            "invalid_geometry", layer.level, (layer.codes[row],), detail=(reason,) * 2, point=point
        )
    for row in np.flatnonzero(usable & (shapely.get_num_geometries(layer.shapes) > 1)):
        n = shapely.get_num_geometries(layer.shapes[row])
        smallest = min(shapely.get_parts(layer.shapes[row]), key=shapely.area)
        inner = smallest.representative_point()
        yield finding(
            "multipart", layer.level, (layer.codes[row],),
            detail=(f"{n} parts", f"{n} 个部分"), point=(inner.x, inner.y),
        )  # fmt: skip


def _code_findings(layer: _Layer) -> Iterator[Finding]:
    codes = pd.Series(layer.codes)
    for row in np.flatnonzero(codes.duplicated().to_numpy()):
        yield _at(layer, "duplicate_code", row)
    formed = codes.str.fullmatch(CodeScheme().pattern(layer.level)).to_numpy(bool)
    number = codes.str.fullmatch(r"\d+\.0+|\d(\.\d+)?[eE]\+?\d+").to_numpy(bool)
    for row in np.flatnonzero(~formed):
        text = layer.codes[row]
        if number[row]:
            yield _at(layer, "code_became_number", row)
            continue
        length = CodeScheme().lengths[layer.level]
        yield _at(
            layer, "malformed_code", row,
            detail=(f"{text!r}: expected {length} digits, no serial 000",
                    f"{text!r}：应为 {length} 位数字，顺序号不得为 000"),
        )  # fmt: skip


def _at(layer: _Layer, rule: str, row: int, *, detail: tuple[str, str] = ("", "")) -> Finding:
    """Make a finding about one unit as a whole."""
    codes = (str(layer.codes[row]),)
    return finding(rule, layer.level, codes, detail=detail, point=layer.point_of(row))


def _split_reason(reason: str) -> tuple[str, Point | None]:
    """Take GEOS's reason, such as `Self-intersection[114.6 33.6]`, apart."""
    text, _, place = reason.partition("[")
    numbers = place.rstrip("]").split()
    return text, (float(numbers[0]), float(numbers[1])) if len(numbers) >= 2 else None


# --- coverage -------------------------------------------------------------------------------------


def _coverage_findings(
    layer: _Layer, container: HalfEdges | None, crs: str, *, exact: bool
) -> tuple[list[Finding], float]:
    """Report gaps, overlaps and what comes with them; return the coverage rate too."""
    edges = layer.edges
    if container is not None:
        edges = edges.joined(outline(container).reversed())
    pairing = match(edges)
    residual = edges[pairing.unmatched]
    if not len(residual):
        return [], 1.0
    faces = residual_faces(residual, crs)
    tree = layer.tree()
    area = _Area.of(container, crs)
    faults = _classified(faces, tree, area)
    noise = np.zeros(len(faults.faces), bool)
    if not exact:
        noise = faults.at_outline & (faults.faces.width_m < OUTLINE_NOISE)
    found = _duplicates(layer, pairing, edges)
    found += _face_findings(layer, tree, faults, known=found, skip=noise)
    found += _vertex_findings(layer, residual, faults.faces, noise=int(noise.sum()))
    if container is not None and not found:
        found = [_loose_edge(layer, residual)]
    return found, _rate(faults, area, layer, crs)


@dataclass(frozen=True, slots=True)
class _Area:
    """The container as a shape: to ask what is inside it; none where none is given."""

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
    point, _ = covering(tree, faces.points)
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
    layer: _Layer,
    tree: shapely.STRtree,
    faults: _Faults,
    *,
    known: list[Finding],
    skip: NDArray[np.bool_],
) -> list[Finding]:
    covers = grouped(*covering(tree, faults.faces.points), len(faults.faces))
    beside = grouped(*touching(tree, faults.faces.polygons), len(faults.faces))
    twice = {code for each in known for code in each.codes}
    found = []
    for row in np.flatnonzero(~skip):
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
        found.append(_placed(rule, layer.level, codes, faults.faces, row))
    return found


def _placed(rule: str, level: str, codes: tuple[str, ...], faces: Faces, row: int) -> Finding:
    """Make a finding at a face."""
    west, south, east, north = shapely.bounds(faces.polygons[row])
    return finding(
        rule, level, codes,
        point=(float(faces.points[row, 0]), float(faces.points[row, 1])),
        shape=((float(west), float(south), float(east), float(north)),
               float(faces.area_m2[row]), float(faces.width_m[row])),
    )  # fmt: skip


def _duplicates(layer: _Layer, pairing: object, edges: HalfEdges) -> list[Finding]:
    """Report polygons that occur twice; only units with an equal half-edge can."""
    first = pairing.first  # type: ignore[attr-defined]
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
    layer: _Layer, residual: HalfEdges, faults: Faces, *, noise: int
) -> list[Finding]:
    """Report T-junctions; those on a given outline are one finding, they open nothing inside."""
    xy, edge_owner, vertex_owner = unmatched_vertices(residual, faults)
    inner = (edge_owner != OUTLINE) & (vertex_owner != OUTLINE)
    found = []
    for point, *owners in zip(
        to_degrees(xy[inner]), edge_owner[inner], vertex_owner[inner], strict=True
    ):
        codes = tuple(sorted(str(layer.codes[owner]) for owner in owners))
        place = (float(point[0]), float(point[1]))
        found.append(finding("unmatched_vertex", layer.level, codes, point=place))
    outer = xy[~inner]
    if len(outer) or noise:
        n = len(outer) + noise
        place = tuple(map(float, to_degrees(outer[0]))) if len(outer) else None
        detail = (f"{n} places, each under 10 mm", f"{n} 处，均小于 10 毫米")
        found.append(finding("outline_vertices", layer.level, (), detail=detail, point=place))  # type: ignore[arg-type]
    return found


def _loose_edge(layer: _Layer, residual: HalfEdges) -> Finding:
    """Report an edge without a twin where no face and no vertex explains it."""
    row = int(np.argmax(residual.owners))
    middle = to_degrees(residual.ends[row].reshape(2, 2)).mean(axis=0)
    owner = residual.owners[row]
    codes = () if owner == OUTLINE else (str(layer.codes[owner]),)
    return finding("unmatched_edge", layer.level, codes, point=(float(middle[0]), float(middle[1])))


def _rate(faults: _Faults, area: _Area, layer: _Layer, crs: str) -> float:
    """Return the covered share of the container; below 1 whenever anything is wrong."""
    gap = float(faults.faces.area_m2[faults.n_covering == 0].sum())
    whole = area.area_m2
    if area.shape is None:
        usable = layer.shapes[is_polygonal(layer.shapes)]
        whole = float(gpd.GeoSeries(usable, crs=EXCHANGE_CRS).to_crs(crs).area.sum()) + gap
        if not len(faults.faces):
            return 1.0
    return max(0.0, min(1 - gap / whole, _ALMOST)) if whole else 0.0


# --- nesting --------------------------------------------------------------------------------------


def _nesting_findings(layer: _Layer, above: _Layer, crs: str) -> list[Finding]:
    """Report where the children of a unit are not, edge for edge, the unit."""
    if layer.parents is None:
        return [finding("no_parent_column", layer.level, ())]
    rows = pd.Series(np.arange(len(above.codes)), index=above.codes)
    rows = rows[~rows.index.duplicated()]
    parent = rows.reindex(layer.parents).fillna(-1).to_numpy(np.int64)
    found = [
        _at(layer, "unknown_parent", row, detail=(repr(layer.parents[row]),) * 2)
        for row in np.flatnonzero(parent < 0)
    ]
    childless = np.setdiff1d(np.arange(len(above.codes)), parent)
    found += [_at(above, "no_child", row) for row in childless]
    labels = np.concatenate([parent[layer.edges.owners], above.edges.owners])
    both = layer.edges.joined(above.edges.reversed())
    pairing = match(both, labels)
    if not pairing.unmatched.any():
        return found
    return found + _misfits(layer, above, parent, both[pairing.unmatched], crs)


def _misfits(
    layer: _Layer, above: _Layer, parent: NDArray[np.int64], residual: HalfEdges, crs: str
) -> list[Finding]:
    """Place the breaches of nesting that are not a gap or an overlap of either level."""
    faces = residual_faces(residual, crs)
    lower, upper = layer.tree(), above.tree()
    children = grouped(*covering(lower, faces.points), len(faces))
    parents = grouped(*covering(upper, faces.points), len(faces))
    found = []
    for row, (child, unit) in enumerate(zip(children, parents, strict=True)):
        if len(child) == 1 and len(unit) == 1 and parent[child[0]] not in (-1, unit[0]):
            codes = (str(layer.codes[child[0]]), str(above.codes[unit[0]]))
            found.append(_placed("nesting", layer.level, codes, faces, row))
    xy, edge_owner, vertex_owner = unmatched_vertices(residual, faces)
    for point, *owners in zip(to_degrees(xy), edge_owner, vertex_owner, strict=True):
        codes = tuple(sorted({str(layer.codes[owner]) for owner in owners if owner != OUTLINE}))
        found.append(finding("nesting", layer.level, codes,
                             detail=("a vertex on one level only", "节点只存在于一个层级"),
                             point=(float(point[0]), float(point[1]))))  # fmt: skip
    return found


# --- the whole ------------------------------------------------------------------------------------


def _count_findings(layers: Mapping[str, _Layer], expected: Mapping[str, int]) -> Iterator[Finding]:
    for level, number in expected.items():
        n = len(layers[level].codes) if level in layers else 0
        if n != number:
            top = next(iter(layers.values()))
            yield finding(
                "count", level, (), point=top.point_of(0) if len(top.codes) else None,
                detail=(f"{n:,} units, expected {number:,}", f"{n:,} 个，应为 {number:,} 个"),
            )  # fmt: skip


def metric_crs(shapes: NDArray[np.object_]) -> str:
    """Return a metric system for raw layers: the 3-degree zone in China, UTM elsewhere."""
    usable = shapes[is_polygonal(shapes)]
    if not len(usable):
        return "EPSG:4547"
    west, south, east, north = shapely.total_bounds(usable)
    meridian = round((west + east) / 6) * 3
    if 75 <= meridian <= 135 and 0 < south and north < 56:
        return f"EPSG:{4534 + (meridian - 75) // 3}"
    return str(gpd.GeoSeries(usable[:1], crs=EXCHANGE_CRS).estimate_utm_crs())
