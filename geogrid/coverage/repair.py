"""Mend what has one right answer; leave and report the rest.

Certain repairs only: vertices go to the integer grid, a vertex that the neighbour lacks is added to
it, a gap or an overlap narrower than `max_gap_width` goes to the neighbour with the longest shared
edge, a polygon that stands there twice is dropped once. The lowest level is mended, the levels
above follow it: a parent is the union of its children, but for faults that were left.

Known issues: a self-crossing polygon, or one of several parts, is left, and so are narrow faults
that touch it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.codes import LEVELS
from geogrid.coverage.edges import (
    HalfEdges,
    half_edges,
    is_polygonal,
    match,
    on_integer_grid,
    outline,
)
from geogrid.coverage.faults import Faces, covering, measure, residual_faces, unmatched_vertices
from geogrid.coverage.layers import Layer, metric_crs, prepared
from geogrid.coverage.log import Log, RepairLog, n_vertices
from geogrid.coverage.patch import Patch, rebuild
from geogrid.edition import Edition, snap, to_degrees, to_integers, to_metres
from geogrid.errors import UsageError
from geogrid.schema import EXCHANGE_CRS, GRID_UNIT

MAX_GAP_WIDTH = 1.0
"""Metres: wider faults are left. No border is known to a metre in the field."""

_ROUNDS = 6
"""Noding on the grid moves lines by half a step, which may touch one more unit: go on then."""


def repair(
    city: Edition | Mapping[str, gpd.GeoDataFrame],
    container: gpd.GeoDataFrame | None = None,
    *,
    max_gap_width: float = MAX_GAP_WIDTH,
) -> tuple[Edition | dict[str, gpd.GeoDataFrame], RepairLog]:
    """Mend the polygons of a city.

    Parameters
    ----------
    city : Edition or mapping of level to GeoDataFrame
        As for `check`; raw layers need a column `code` and a reference system.
    container : GeoDataFrame, optional
        The area to fill; the topmost level by default.
    max_gap_width : float
        Metres: gaps, overlaps and what juts out up to this width are mended, wider ones left.

    Returns
    -------
    Edition or layers
        What was given, as it was given: an edition for an edition, else layers in EPSG:4490 on the
        integer grid. Rows keep their order; polygons away from a fault are the same bytes.
    RepairLog
        Every change, and the way back. Repairing the result again changes nothing.

    Raises
    ------
    DataError
        A layer has no column `code` or no reference system.
    """
    if max_gap_width <= 0:
        raise UsageError(f"max_gap_width {max_gap_width}: give a width above 0, in metres.")
    frames = dict(city.units) if isinstance(city, Edition) else dict(city)
    levels = [level for level in LEVELS if level in frames]
    if not levels or len(levels) < len(frames):
        raise UsageError(f"levels are {', '.join(LEVELS)}; given {', '.join(frames) or 'none'}")
    layers = {level: prepared(frames[level], level) for level in levels}
    crs = (
        city.info.working_crs if isinstance(city, Edition) else metric_crs(layers[levels[0]].shapes)
    )
    terms = _Terms(crs, max_gap_width, Log())
    kept = {level: _kept(layers, level, terms) for level in levels}
    for level in levels:
        _note_moved(frames[level], layers[level], terms)
    layers = {level: layer.of(kept[level]) for level, layer in layers.items()}
    lowest = levels[-1]
    fills = _border(container, layers, levels)
    shapes, left = _mended(layers[lowest], kept[lowest], fills, terms)
    mended = {lowest: shapes}
    for above, level in zip(levels[-2::-1], levels[:0:-1], strict=True):
        below = replace(layers[level], shapes=mended[level])
        followed = _followed(layers[above], kept[above], (below, left), terms)
        # Beside a fault that was left, parents are cut one by one and may differ by a step.
        parents = replace(layers[above], shapes=followed)
        mended[above] = _mended(parents, kept[above], fills, terms)[0] if len(left) else followed
    result = {level: _as_frame(frames[level].iloc[kept[level]], mended[level]) for level in levels}
    log = RepairLog(tuple(terms.log.changes), {level: frames[level] for level in levels}, kept)
    if isinstance(city, Edition):
        if not log.changes:
            return city, log
        return Edition.of(replace(city.info, parent_id=city.info.id), result), log
    return result, log


@dataclass(frozen=True, slots=True)
class _Terms:
    """The working CRS, the width up to which faults are mended, and the log."""

    crs: str
    width: float
    log: Log

    def narrow(self, polygons: NDArray[np.object_]) -> NDArray[np.bool_]:
        """Return which polygons are narrow enough to be mended."""
        return np.asarray(measure(polygons, self.crs).width_m <= self.width, dtype=bool)


def _kept(layers: Mapping[str, Layer], level: str, terms: _Terms) -> NDArray[np.int64]:
    """Return the rows of a level without second copies of a polygon.

    Of equal polygons the one whose parent exists stays, then the lowest code, then the first row.
    """
    layer = layers[level]
    usable = np.flatnonzero(is_polygonal(layer.shapes))
    wkb = pd.Series(shapely.to_wkb(shapely.normalize(layer.shapes[usable])), index=usable)
    known = np.ones(len(layer), bool)
    up = LEVELS.index(level) - 1
    if layer.parents is not None and up >= 0 and LEVELS[up] in layers:
        known = pd.Index(layer.parents).isin(layers[LEVELS[up]].codes)
    order = pd.DataFrame({"wkb": wkb, "lost": ~known[usable], "code": layer.codes[usable]})
    order = order.sort_values(["wkb", "lost", "code"], kind="stable")
    second = order["wkb"].duplicated().to_numpy()
    keeper = np.maximum.accumulate(np.where(second, 0, np.arange(len(order))))
    dropped = order.index.to_numpy()[second]
    for row, first in zip(dropped, order.index.to_numpy()[keeper[second]], strict=True):
        codes = (str(layer.codes[first]), str(layer.codes[row]))
        n = n_vertices(layer.shapes[[row]])
        terms.log.add(
            "duplicate_geometry", (level, codes, (int(row),)),
            place=(layer.point_of(int(row)), 0.0), vertices=(n, 0),
        )  # fmt: skip
    return np.setdiff1d(np.arange(len(layer)), dropped)


def _note_moved(frame: gpd.GeoDataFrame, layer: Layer, terms: _Terms) -> None:
    """Note the units whose vertices were not on the integer grid."""
    same = frame.crs.to_epsg() == int(EXCHANGE_CRS.split(":")[1])
    given = frame.geometry.to_numpy()
    moved = np.flatnonzero(~(shapely.equals_exact(given, layer.shapes) | shapely.is_missing(given)))
    if same and len(moved):
        n = n_vertices(layer.shapes[moved])
        codes = tuple(str(code) for code in layer.codes[moved])
        units = (layer.level, codes, tuple(moved.tolist()))
        terms.log.add("off_grid", units, vertices=(n, n))


def _border(
    container: gpd.GeoDataFrame | None, layers: Mapping[str, Layer], levels: list[str]
) -> HalfEdges | None:
    """Return the outline that the lowest level has to fill; none if nothing tells it."""
    if container is not None:
        return outline(half_edges(on_integer_grid(container, "the container")))
    return outline(layers[levels[0]].edges) if len(levels) > 1 else None


@dataclass(frozen=True, slots=True)
class _Faults:
    """Narrow and wide faults of a level, and the units that each concerns."""

    faces: Faces
    n_covering: NDArray[np.int64]
    narrow: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    vertices: NDArray[np.int64]
    vertex_rows: NDArray[np.int64]

    def rule(self, face: int) -> str:
        if self.outside[face]:
            return "outside"
        return "gap" if self.n_covering[face] == 0 else "overlap"


def _mended(
    layer: Layer, numbers: NDArray[np.int64], fills: HalfEdges | None, terms: _Terms
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Mend a level in rounds, until no narrow fault is left that can be mended.

    Returns the shapes, and the faces of the faults that are left.
    """
    shapes = layer.shapes.copy()
    left = ~_sound(shapes)
    for _ in range(_ROUNDS):
        faults = _faults(shapes, fills, terms)
        tree = shapely.STRtree(_only(shapes, _sound(shapes)))
        groups = _groups(faults, shapely.STRtree(_reached(shapes)), left)
        if not groups:
            break
        for group in groups:
            done = _mended_group(shapes, tree, faults, group, terms)
            if done is None:
                left[group.rows] = True
                continue
            _note(layer, numbers, (shapes, done), (faults, group), terms)
            for row, shape in done.items():
                shapes[row] = shape
    return shapes, faults.faces.polygons


def _sound(shapes: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which shapes are single valid polygons, which alone are rebuilt."""
    single = is_polygonal(shapes) & (shapely.get_type_id(shapes) == 3)
    return np.asarray(single & shapely.is_valid(shapes), dtype=bool)


def _only(shapes: NDArray[np.object_], wanted: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return the wanted shapes, the others missing."""
    some = shapes.copy()
    some[~wanted] = None
    return some


def _faults(shapes: NDArray[np.object_], fills: HalfEdges | None, terms: _Terms) -> _Faults:
    edges = half_edges(shapes)
    if fills is not None:
        edges = edges.joined(fills.reversed())
    residual = edges[match(edges).unmatched]
    faces = residual_faces(residual, terms.crs)
    tree = shapely.STRtree(_untangled(shapes))
    count = np.bincount(covering(tree, faces)[0], minlength=len(faces))
    outside = np.zeros(len(faces), bool)
    if fills is not None and len(faces):
        lines = shapely.linestrings(to_degrees(fills.ends.reshape(-1, 2, 2)))
        area = shapely.build_area(shapely.union_all(lines))
        shapely.prepare(area)
        outside = ~shapely.intersects(area, shapely.points(faces.points))
    wrong = np.where(outside, count > 0, count != 1)
    xy, edge_owner, vertex_owner = unmatched_vertices(residual, faces[wrong])
    inner = (edge_owner >= 0) & (vertex_owner >= 0)
    return _Faults(
        faces[wrong], count[wrong], faces[wrong].width_m <= terms.width, outside[wrong],
        xy[inner], np.column_stack([edge_owner, vertex_owner])[inner],
    )  # fmt: skip


def _untangled(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return shapes that can be asked what they cover; what is no polygon is missing."""
    asked = _only(shapes, is_polygonal(shapes))
    broken = ~shapely.is_missing(asked) & ~shapely.is_valid(asked)
    asked[broken] = shapely.make_valid(asked[broken], method="structure")
    return asked


def _reached(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return what a fault of each polygon touches: its area, and of a crossed ring its lines too.

    Untangling a ring drops parts of its line, along which there are faults of its own.
    """
    reached = _untangled(shapes)
    broken = np.flatnonzero(is_polygonal(shapes) & ~shapely.is_valid(shapes))
    lines = shapely.boundary(shapes[broken])
    both = np.column_stack([reached[broken], lines])
    reached[broken] = shapely.geometrycollections(both) if len(broken) else both[:, 0]
    return reached


@dataclass(frozen=True, slots=True)
class _Group:
    """Faults that share units, and the units."""

    rows: NDArray[np.int64]
    faces: NDArray[np.int64]
    vertices: NDArray[np.int64]


def _groups(faults: _Faults, tree: shapely.STRtree, left: NDArray[np.bool_]) -> list[_Group]:
    """Return the narrow faults in groups that have no unit in common, without those to be left."""
    narrow = np.flatnonzero(faults.narrow)
    n = len(narrow) + len(faults.vertices)
    face, row = tree.query(faults.faces.polygons[narrow], "dwithin", 2 * GRID_UNIT)
    number = np.concatenate([face, np.repeat(np.arange(len(narrow), n), 2)])
    rows = np.concatenate([row, faults.vertex_rows.ravel()])
    if not len(rows):
        return []
    label = _components(number, rows, n)
    order = np.argsort(label[number], kind="stable")
    groups = []
    starts = np.flatnonzero(np.diff(label[number][order], prepend=-1))
    for some in np.split(order, starts[1:]):
        own, of = np.unique(number[some]), np.unique(rows[some])
        if not left[of].any():
            vertices = own[own >= len(narrow)] - len(narrow)
            groups.append(_Group(of, narrow[own[own < len(narrow)]], vertices))
    return groups


def _components(number: NDArray[np.int64], rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return the group of each fault: faults with a unit in common are in one."""
    label = np.arange(n)
    while True:
        least = np.full(int(rows.max()) + 1, n)
        np.minimum.at(least, rows, label[number])
        lower = label.copy()
        np.minimum.at(lower, number, least[rows])
        if (lower == label).all():
            return label
        label = lower


def _mended_group(
    shapes: NDArray[np.object_],
    tree: shapely.STRtree,
    faults: _Faults,
    group: _Group,
    terms: _Terms,
) -> dict[int, shapely.Polygon] | None:
    """Return the rebuilt polygons of a group; None if a unit would be lost or fall apart."""
    frame = shapely.box(*shapely.total_bounds(shapes[group.rows]))
    near = np.unique(np.concatenate([tree.query(frame), group.rows]))
    faces = faults.faces.polygons[group.faces]
    wide = faults.faces.polygons[~faults.narrow]
    patch = Patch(
        rows=np.searchsorted(near, group.rows),
        fillers=faces[~faults.outside[group.faces]],
        cut=faces[faults.outside[group.faces]],
        left=wide[shapely.intersects(wide, frame)],
    )
    local = _only(shapes[near], _sound(shapes[near]))
    changed, lost = rebuild(local, patch, terms.narrow)
    done = {int(near[k]): changed[k] for k in patch.rows.tolist()}
    if lost or not _sound(np.array(list(done.values()), object)).all():
        return None
    return done


def _note(
    layer: Layer,
    numbers: NDArray[np.int64],
    result: tuple[NDArray[np.object_], Mapping[int, shapely.Polygon]],
    what: tuple[_Faults, _Group],
    terms: _Terms,
) -> None:
    """Note what was done about each fault of a group."""
    shapes, done = result
    faults, group = what
    rows = np.array(sorted(done))
    after = np.array([done[row] for row in rows.tolist()], object)
    counts = (n_vertices(shapes[rows]), n_vertices(after))
    given = tuple(numbers[rows].tolist())
    tree = shapely.STRtree(after)
    for face in group.faces.tolist():
        to = tree.query(shapely.Point(faults.faces.points[face]), "intersects")
        first = [str(layer.codes[rows[k]]) for k in to[:1].tolist()]
        others = [str(layer.codes[row]) for row in rows if str(layer.codes[row]) not in first]
        terms.log.add(
            faults.rule(face), (layer.level, (*first, *others), given), vertices=counts,
            place=(faults.faces.point(face), float(faults.faces.area_m2[face])),
        )  # fmt: skip
    for vertex in group.vertices.tolist():
        lon, lat = to_degrees(faults.vertices[vertex]).tolist()
        codes = tuple(str(layer.codes[row]) for row in faults.vertex_rows[vertex])
        terms.log.add(
            "unmatched_vertex", (layer.level, codes, given), place=((lon, lat), 0.0),
            vertices=counts,
        )  # fmt: skip


def _followed(
    above: Layer,
    numbers: NDArray[np.int64],
    children: tuple[Layer, NDArray[np.object_]],
    terms: _Terms,
) -> NDArray[np.object_]:
    """Return the parents as the unions of their children, but where faults were left.

    A parent keeps what it had there: a child missing, or drawn elsewhere.
    """
    below, left = children
    if below.parents is None:
        return above.shapes
    place = pd.Series(np.arange(len(above)), index=above.codes)
    place = place[~place.index.duplicated()]
    parent = place.reindex(below.parents).fillna(-1).to_numpy(np.int64)
    shapes = above.shapes.copy()
    usable = (parent >= 0) & is_polygonal(below.shapes) & shapely.is_valid(below.shapes)
    for row in _differing(above, below, parent):
        members = below.shapes[usable & (parent == row)]
        if not len(members) or not shapely.is_valid(shapes[row]):
            continue
        union = snap(shapely.union_all(members, grid_size=GRID_UNIT))
        kept = _kept_parts(shapely.difference(shapes[row], union), left, terms)
        union = snap(shapely.union(union, kept, grid_size=GRID_UNIT))
        kept = _kept_parts(shapely.difference(union, shapes[row]), left, terms)
        union = snap(shapely.difference(union, kept, grid_size=GRID_UNIT))
        union = shapely.normalize(union)
        if shapely.equals_exact(union, shapely.normalize(shapes[row])):
            continue
        if len(left) and _noded_only(union, shapes[row], members):
            continue
        area = shapely.area(
            to_metres(np.array([shapely.symmetric_difference(union, shapes[row])]), terms.crs)
        )
        terms.log.add(
            "union_differs", (above.level, (str(above.codes[row]),), (int(numbers[row]),)),
            place=(above.point_of(row), float(area[0])),
            vertices=(n_vertices(shapes[[row]]), n_vertices(np.array([union]))),
        )  # fmt: skip
        shapes[row] = union
    return shapes


def _noded_only(
    union: shapely.Geometry, parent: shapely.Geometry, children: NDArray[np.object_]
) -> bool:
    """Tell whether a parent differs from its children's union by what noding did to that alone.

    Beside a fault that was left, the children's edges cross, and noding them moves a border by a
    step that no child has moved: the union has vertices there that are no child's, or lacks some.
    """
    new, old, own = (
        pd.MultiIndex.from_arrays(list(to_integers(shapely.get_coordinates(shape)).T))
        for shape in (union, parent, children)
    )
    return not (new.difference(old).isin(own).any() or (~old.difference(new).isin(own)).any())


def _kept_parts(
    difference: shapely.Geometry, left: NDArray[np.object_], terms: _Terms
) -> shapely.Geometry:
    """Return the parts of a difference of a parent and its children that are to stay as they were.

    Those are the wide ones, and those that lie for the most part in a fault that was left.
    """
    parts = shapely.get_parts(difference)
    parts = parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)]
    wide = ~terms.narrow(parts)
    part, face = shapely.STRtree(left).query(parts, predicate="intersects")
    common = shapely.area(shapely.intersection(parts[part], shapely.make_valid(left[face])))
    inside = np.bincount(part, common, len(parts)) > shapely.area(parts) / 2
    return shapely.union_all(parts[wide | inside])


def _differing(above: Layer, below: Layer, parent: NDArray[np.int64]) -> list[int]:
    """Return the parents that are not, edge for edge, what their children make up."""
    edges = half_edges(below.shapes)
    labels = np.concatenate([parent[edges.owners], above.edges.owners])
    both = edges.joined(above.edges.reversed())
    residual = labels[match(both, labels).unmatched]
    rows: list[int] = np.unique(residual[residual >= 0]).tolist()
    return rows


def _as_frame(frame: gpd.GeoDataFrame, shapes: NDArray[np.object_]) -> gpd.GeoDataFrame:
    """Return the frame with other geometries, in EPSG:4490."""
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=EXCHANGE_CRS))
