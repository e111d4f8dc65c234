"""Turn published village boundaries into a coverage, by small repairs that are all reported.

Villages without a fault keep their polygon bit for bit. Around a fault the edges of the villages
concerned are noded on the integer grid, which gives faces; a face that one village covers is that
village's, a sliver goes to the neighbour it shares the longest edge with. Nothing is moved by more
than the width of a sliver. What cannot be decided for certain is refused, with every place named.

Known issues: a gap that opens to the outside of the layer is closed only where it is a sliver
between two villages; a notch in the outline of one village cannot be known for one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import half_edges, is_polygonal, on_integer_grid, outline
from geogrid.coverage.faults import (
    Faces,
    covering,
    grouped,
    measure,
    residual_faces,
    touching,
    unmatched_vertices,
)
from geogrid.coverage.findings import Finding, Point, finding
from geogrid.coverage.layers import metric_crs
from geogrid.coverage.patch import Patch, rebuild
from geogrid.edition import snap, to_degrees
from geogrid.errors import BoundaryError
from geogrid.schema import EXCHANGE_CRS, GRID_UNIT, require_columns

_ROUNDS = 6
"""Noding on the grid moves lines by half a step, which may touch one more village: go on then."""

_MOST = 20
"""Faults named in one error."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One change that `clean_villages` made.

    Attributes
    ----------
    rule : str
        The rule that was broken, a key of `findings.RULES`.
    codes : tuple of str
        Villages concerned; the one that received the area first.
    point : (lon, lat)
    area_m2 : float
        Area that changed hands; 0 where only a vertex was added.
    message_en, message_zh : str
    """

    rule: str
    codes: tuple[str, ...]
    point: Point
    area_m2: float
    message_en: str
    message_zh: str


@dataclass(frozen=True, slots=True)
class _Faults:
    """Slivers and lone vertices of the polygons at hand, and the rows they concern."""

    faces: Faces
    n_covering: NDArray[np.int64]
    rows: list[NDArray[np.int64]]  # polygons that cover a face, or share an edge with a gap
    touched_rows: NDArray[np.int64]  # and those that only touch one
    vertices: NDArray[np.int64]
    vertex_rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.faces) + len(self.vertices)

    def touched(self) -> NDArray[np.int64]:
        """Return all rows concerned."""
        return np.union1d(self.touched_rows, self.vertex_rows)

    def rule(self, row: int) -> str:
        return "gap" if self.n_covering[row] == 0 else "overlap"


def clean_villages(
    villages: gpd.GeoDataFrame, *, max_gap_width: float = 5.0
) -> tuple[gpd.GeoDataFrame, list[Repair]]:
    """Return the villages as a valid coverage, and what was changed for that.

    Parameters
    ----------
    villages : GeoDataFrame
        Column `code` and polygons in any reference system; further columns are kept.
    max_gap_width : float
        Metres: gaps, overlaps and loose parts up to this width are mended, wider ones refused.

    Returns
    -------
    GeoDataFrame
        The same rows in the same order, in EPSG:4490 on the integer grid, one polygon each. A layer
        that is a coverage already comes back as it is, without repairs.
    list of Repair

    Raises
    ------
    BoundaryError
        Something cannot be mended for certain: every fault is named (up to 20) with its place.
    """
    if villages.crs is None:
        raise BoundaryError(
            "the village layer has no coordinate reference system. Assign the one it was made in "
            "(CGCS2000 degrees are EPSG:4490, 3-degree zone 114E is EPSG:4547) and try again."
        )
    require_columns(villages, ("code",), "the village layer")
    # By code from here on, so that the order of the rows decides nothing.
    order = np.argsort(villages["code"].astype(str).to_numpy(str), kind="stable")
    codes = villages["code"].astype(str).to_numpy(object)[order]
    given = on_integer_grid(villages, "the village layer")[order]
    _refuse(_row_faults(codes, given))
    crs = metric_crs(given)
    shapes, repairs, refused = _single_polygons(codes, given, crs, max_gap_width)
    faults = _faults(shapes, crs)
    open_gaps = _open_gaps(shapes, max_gap_width, crs)
    _refuse([*refused, *_besides(refused, _too_wide(codes, faults, max_gap_width))])
    for _ in range(_ROUNDS):
        if not len(faults) and not len(open_gaps):
            break
        rows = np.union1d(faults.touched(), _near(shapes, open_gaps.polygons))
        patch = Patch(rows, open_gaps.polygons)
        changed, lost = rebuild(shapes, patch, _narrow(max_gap_width, crs))
        _refuse([_lost(codes, shapes, row) for row in lost])
        repairs += _reported(codes, faults, open_gaps, changed)
        shapes = changed
        faults, open_gaps = _faults(shapes, crs), open_gaps[np.zeros(len(open_gaps), bool)]
        _refuse([*_too_wide(codes, faults, max_gap_width)])
    _prove(codes, shapes, faults)
    in_rows = np.empty(len(shapes), object)
    in_rows[order] = shapes
    result = villages.set_geometry(gpd.GeoSeries(in_rows, index=villages.index, crs=EXCHANGE_CRS))
    return result, repairs


# --- what is refused ------------------------------------------------------------------------------


def _refuse(faults: Sequence[Finding]) -> None:
    """Raise an error that names the faults, if there are any."""
    if not faults:
        return
    lines = [f"- {each.message_en} {each.message_zh} {each.fix}" for each in faults[:_MOST]]
    if len(faults) > _MOST:
        lines.append(f"- … and {len(faults) - _MOST} more. 另有 {len(faults) - _MOST} 处。")
    raise BoundaryError(
        f"the village layer cannot be used: {len(faults)} fault{'s' * (len(faults) > 1)} that "
        "nobody but you can decide.\n" + "\n".join(lines)
    )


def _row_faults(codes: NDArray[np.object_], shapes: NDArray[np.object_]) -> list[Finding]:
    """Report rows that are wrong by themselves."""
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    polygonal = np.isin(shapely.get_type_id(shapes), (3, 6))
    usable = is_polygonal(shapes)
    found = [finding("no_geometry", "village", (codes[row],)) for row in np.flatnonzero(missing)]
    odd = np.flatnonzero(~missing & ~polygonal)
    found += [finding("not_polygon", "village", (codes[row],)) for row in odd]
    odd = np.flatnonzero(~missing & polygonal & ~usable)
    found += [finding("bad_coordinates", "village", (codes[row],)) for row in odd]
    for row in np.flatnonzero(pd.Series(codes).duplicated().to_numpy()):
        place = _inside(shapes[row]) if usable[row] else None
        found.append(finding("duplicate_code", "village", (codes[row],), point=place))
    return found


def _too_wide(
    codes: NDArray[np.object_], faults: _Faults, max_gap_width: float
) -> Iterator[Finding]:
    """Report gaps and overlaps that are no slivers."""
    for row in np.flatnonzero(faults.faces.width_m > max_gap_width).tolist():
        yield _at_face(faults.rule(row), _sorted(codes, faults.rows[row]), faults.faces, row)


def _besides(refused: list[Finding], faults: Iterator[Finding]) -> Iterator[Finding]:
    """Leave out the gap that a refused part leaves behind: it is no fault of its own."""
    boxes = [shapely.box(*each.bbox) for each in refused if each.bbox is not None]
    for fault in faults:
        if not any(shapely.intersects_xy(box, *fault.point) for box in boxes if fault.point):
            yield fault


def _lost(codes: NDArray[np.object_], shapes: NDArray[np.object_], row: int) -> Finding:
    """Report a village that the repair would cut apart or leave without area."""
    detail = ("mending its borders would divide it", "修补边界会使其断开")
    return finding("multipart", "village", (codes[row],), detail=detail, point=_inside(shapes[row]))


def _prove(codes: NDArray[np.object_], shapes: NDArray[np.object_], faults: _Faults) -> None:
    """Raise unless the polygons are valid, single, on the grid and a coverage."""
    wrong = np.flatnonzero(~shapely.is_valid(shapes) | (shapely.get_type_id(shapes) != 3))
    left = [
        finding("invalid_geometry", "village", (codes[row],), point=_inside(shapes[row]))
        for row in wrong
    ]
    left += [
        _at_face(faults.rule(row), _sorted(codes, faults.rows[row]), faults.faces, row)
        for row in range(len(faults.faces))
    ]
    for xy, rows in zip(to_degrees(faults.vertices), faults.vertex_rows, strict=True):
        place = (float(xy[0]), float(xy[1]))
        left.append(finding("unmatched_vertex", "village", _sorted(codes, rows), point=place))
    _refuse(left)


# --- polygons by themselves -----------------------------------------------------------------------


def _single_polygons(
    codes: NDArray[np.object_], given: NDArray[np.object_], crs: str, max_gap_width: float
) -> tuple[NDArray[np.object_], list[Repair], list[Finding]]:
    """Return valid single polygons; loose parts that are slivers are dropped and reported."""
    shapes = given.copy()
    repairs: list[Repair] = []
    refused: list[Finding] = []
    invalid = ~shapely.is_valid(given)
    for row in np.flatnonzero(invalid | (shapely.get_num_geometries(given) > 1)):
        rule = "invalid_geometry" if invalid[row] else "multipart"
        parts = _parts(given[row])
        if not len(parts):
            refused.append(finding("no_geometry", "village", (codes[row],)))
            continue
        loose = measure(parts[1:], crs)
        wide = np.flatnonzero(loose.width_m > max_gap_width).tolist()
        refused += [_at_face(rule, (codes[row],), loose, part) for part in wide]
        shapes[row] = parts[0]
        places = loose.points.tolist() or [_invalid_place(given[row])]
        areas = loose.area_m2.tolist() or [0.0]
        for place, area in zip(places, areas, strict=True):
            repairs.append(_repair(rule, (codes[row],), (place[0], place[1]), area))
    return shapes, repairs, refused


def _parts(shape: shapely.Geometry) -> NDArray[np.object_]:
    """Return the valid polygons of a geometry on the integer grid, largest first."""
    if shape.is_valid:
        parts = shapely.get_parts(shape)
    else:
        whole = shapely.make_valid(shape, method="structure")
        parts = shapely.get_parts(shapely.set_precision(shapely.get_parts(whole), GRID_UNIT))
        parts = snap(parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)])
    largest_first: NDArray[np.object_] = parts[np.argsort(-shapely.area(parts), kind="stable")]
    return largest_first


def _invalid_place(shape: shapely.Geometry) -> Point:
    numbers = shapely.is_valid_reason(shape).partition("[")[2].rstrip("]").split()
    return (float(numbers[0]), float(numbers[1])) if len(numbers) >= 2 else _inside(shape)


# --- polygons among themselves --------------------------------------------------------------------


def _faults(shapes: NDArray[np.object_], crs: str) -> _Faults:
    """Find gaps, overlaps and T-junctions among valid polygons."""
    residual = outline(half_edges(shapes))
    faces = residual_faces(residual, crs)
    tree = shapely.STRtree(shapes)
    count = np.bincount(covering(tree, faces)[0], minlength=len(faces))
    faces, count = faces[count != 1], count[count != 1]
    covers = grouped(*covering(tree, faces), len(faces))
    beside = grouped(*touching(tree, faces.polygons), len(faces))
    rows = [b if n == 0 else c for b, c, n in zip(beside, covers, count, strict=True)]
    xy, edge_owner, vertex_owner = unmatched_vertices(residual, faces)
    return _Faults(
        faces, count, rows, _near(shapes, faces.polygons), xy,
        np.column_stack([edge_owner, vertex_owner]),
    )  # fmt: skip


def _open_gaps(shapes: NDArray[np.object_], max_gap_width: float, crs: str) -> Faces:
    """Find slivers between two polygons that open to the outside of the layer.

    Closing the outline by half the width fills them; of what it fills, only what runs along two
    polygons for twice the width is a sliver, the rest is the ordinary shape of the outline.
    """
    lines = shapely.linestrings(to_degrees(outline(half_edges(shapes)).ends.reshape(-1, 2, 2)))
    solid = shapely.union_all(shapely.get_parts(shapely.polygonize(shapely.get_parts(
        shapely.node(shapely.multilinestrings(lines))))))  # fmt: skip
    metric, back = _flat(solid)
    reach = max_gap_width / 2
    closed = metric.buffer(reach, join_style="mitre").buffer(-reach, join_style="mitre")
    filled = shapely.get_parts(shapely.difference(closed, metric))
    filled = filled[(shapely.get_type_id(filled) == 3) & (shapely.area(filled) > GRID_UNIT)]
    candidates = shapely.transform(filled, back)
    tree = shapely.STRtree(shapes)
    face, row = tree.query(candidates, predicate="dwithin", distance=GRID_UNIT)
    near = shapely.buffer(candidates[face], 2 * GRID_UNIT)
    along = shapely.length(shapely.intersection(shapely.boundary(shapes[row]), near)) * 1e5
    sides = np.bincount(face, weights=along > 2 * max_gap_width, minlength=len(candidates))
    return measure(candidates[sides >= 2], crs)


def _flat(shape: shapely.Geometry):  # type: ignore[no-untyped-def]
    """Return a shape in metres around its centre, good to one per cent, and the way back."""
    centre = np.array(shapely.get_coordinates(shapely.centroid(shape))[0])
    scale = np.array([np.cos(np.radians(centre[1])), 1.0]) * 111_320
    return (
        shapely.transform(shape, lambda xy: (xy - centre) * scale),
        lambda xy: xy / scale + centre,
    )


def _near(shapes: NDArray[np.object_], faces: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return the rows of the shapes that touch one of the faces."""
    rows = shapely.STRtree(shapes).query(faces, predicate="dwithin", distance=2 * GRID_UNIT)[1]
    return np.unique(rows).astype(np.int64)


def _narrow(max_gap_width: float, crs: str):  # type: ignore[no-untyped-def]
    """Return a test for slivers."""
    return lambda polygons: measure(polygons, crs).width_m <= max_gap_width


# --- what is said ---------------------------------------------------------------------------------


def _reported(
    codes: NDArray[np.object_], faults: _Faults, open_gaps: Faces, shapes: NDArray[np.object_]
) -> Iterator[Repair]:
    """Say what became of each fault."""
    tree = shapely.STRtree(shapes)
    owner = dict(reversed(list(zip(*covering(tree, faults.faces), strict=True))))
    for row in range(len(faults.faces)):
        names = _sorted(codes, faults.rows[row])
        to = (codes[owner[row]],) if row in owner else ()
        order = (*to, *(name for name in names if name not in to))
        place = faults.faces.points[row]
        area = float(faults.faces.area_m2[row])
        yield _repair(faults.rule(row), order, (float(place[0]), float(place[1])), area)
    for xy, rows in zip(to_degrees(faults.vertices), faults.vertex_rows, strict=True):
        yield _repair("unmatched_vertex", _sorted(codes, rows), (float(xy[0]), float(xy[1])), 0.0)
    for row, place in enumerate(open_gaps.points):
        units = tree.query(open_gaps.polygons[row], predicate="dwithin", distance=GRID_UNIT)
        area = float(open_gaps.area_m2[row])
        yield _repair("edge_gap", _sorted(codes, units), (float(place[0]), float(place[1])), area)


_DONE = {
    "gap": ("gap of {area:.4g} m² given to {first}", "缝隙 {area:.4g} 平方米划归 {first}"),
    "edge_gap": ("gap of {area:.4g} m² at the outline closed",
                 "外边界缝隙 {area:.4g} 平方米已闭合"),
    "overlap": ("overlap of {area:.4g} m² left to {first}", "重叠 {area:.4g} 平方米归 {first}"),
    "unmatched_vertex": ("vertex added to the neighbour's edge", "相邻边上补充节点"),
    "invalid_geometry": ("crossed ring untangled, {area:.4g} m² let go",
                         "自相交已解开，舍去 {area:.4g} 平方米"),
    "multipart": ("loose part of {area:.4g} m² let go", "零散部分 {area:.4g} 平方米已舍去"),
}  # fmt: skip


def _repair(rule: str, codes: tuple[str, ...], point: Point, area_m2: float) -> Repair:
    en, zh = (text.format(area=area_m2, first=codes[0] if codes else "") for text in _DONE[rule])
    who, where = ", ".join(codes), f"{point[0]:.7f}, {point[1]:.7f}"
    return Repair(
        rule, codes, point, area_m2, f"village {who}: {en} at {where}.",
        f"村(社区){who}：{zh}，位置 {where}。",
    )  # fmt: skip


def _at_face(rule: str, codes: tuple[str, ...], faces: Faces, row: int) -> Finding:
    return finding(rule, "village", codes, point=faces.point(row), extent=faces.extent(row))


def _sorted(codes: NDArray[np.object_], rows: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(sorted(str(codes[row]) for row in rows))


def _inside(shape: shapely.Geometry) -> Point:
    point = shapely.point_on_surface(shape)
    return (point.x, point.y)
