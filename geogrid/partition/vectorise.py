"""From labelled pixels to polygons on the integer grid, cut at the exact village outline.

Neighbouring zones share every vertex: a border is traced and simplified once for both. The village
outline stays as given; where an inner border meets it, a vertex is inserted, and `node_shared`
inserts the same vertex into the village across.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from geogrid._kernels import segment, trace
from geogrid.edition import to_degrees, to_integers
from geogrid.errors import DataError
from geogrid.partition.imagery import Lattice, Window

# Pixels; triangles below its square go. 1.5 takes the stairs away and leaves corners that show.
_TOLERANCES = (1.5, 0.5, 0.0)
# A building counts as cut when more than this share of it lies beyond a border. The border is then
# led round it, at a distance of about 0.3 m (steps of the grid).
_CUT_SHARE = 0.002
_WALL_DISTANCE = 300.0


@dataclass(frozen=True, slots=True)
class Outlines:
    """The zones of one village as polygons.

    Attributes
    ----------
    polygons : (n,) polygons
        In EPSG:4490, on the integer grid.
    inserted : (k, 6) int64
        A vertex (x, y) inserted into the outline's segment from (ax, ay) to (bx, by), as
        `ax ay bx by x y`, a before b in order of x, then y.
    """

    polygons: NDArray[np.object_]
    inserted: NDArray[np.int64]


def outline_zones(
    labels: NDArray[np.int32],
    village: shapely.Polygon,
    lattice: Lattice,
    window: Window,
    to_exchange: pyproj.Transformer,
    footprints: NDArray[np.object_],
) -> Outlines:
    """Return the polygons of zones 0..n-1 of a village, in the order of their numbers.

    Parameters
    ----------
    labels : (height, width) int32
        Zone of each pixel of the window, -1 outside the village; every zone is 4-connected.
    village : Polygon
        The village's exact outline in degrees (EPSG:4490), on the integer grid.
    to_exchange : pyproj.Transformer
        From the lattice's CRS to EPSG:4490, x first.
    footprints : (f,) polygons
        Buildings in the lattice's CRS; a border that would cut one is led round it.

    Raises
    ------
    DataError
        A zone has no land inside the outline, however finely it is drawn.
    """
    n = int(labels.max()) + 1
    origin = to_integers(np.array(village.bounds[:2]))
    exact = shapely.transform(village, lambda xy: (to_integers(xy) - origin).astype(np.float64))
    if n == 1:
        return Outlines(np.array([village]), np.empty((0, 6), np.int64))
    traced = _traced_polygons(segment.flood(labels), n)
    buildings = shapely.transform(
        footprints, lambda xy: np.column_stack(to_exchange.transform(*xy.T)) * 1e8 - origin
    )
    for tolerance in _TOLERANCES:
        simple = shapely.coverage_simplify(traced, tolerance) if tolerance else traced
        zones = shapely.transform(
            simple, lambda xy: _to_grid(xy, lattice, window, to_exchange) - origin
        )
        polygons = _cut_at_outline(zones, exact, *_cut_buildings(zones, buildings))
        if polygons is not None:
            inserted = inserted_vertices(polygons, exact) + np.tile(origin, 3)
            degrees = shapely.transform(polygons, lambda xy: to_degrees(np.int64(xy) + origin))
            return Outlines(degrees, inserted)
    raise DataError(
        f"a zone at {to_degrees(origin).tolist()} has no land inside its village; "
        "the village is narrower than a pixel there. Work at a finer resolution."
    )


def drawn_before(polygons: NDArray[np.object_], village: shapely.Polygon) -> Outlines:
    """Return polygons of an earlier division of the same village as they are.

    Parameters
    ----------
    polygons : (n,) polygons
        In degrees (EPSG:4490), on the integer grid.
    village : Polygon
        The outline; each of its vertices is one of the polygons'.
    """
    origin = to_integers(np.array(village.bounds[:2]))
    exact, zones = (
        shapely.transform(some, lambda xy: (to_integers(xy) - origin).astype(np.float64))
        for some in (village, polygons)
    )
    return Outlines(polygons, inserted_vertices(zones, exact) + np.tile(origin, 3))


def node_shared(
    xy: NDArray[np.int64], starts: NDArray[np.int64], inserted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Insert into all rings the vertices that either side inserted into a shared segment.

    Parameters
    ----------
    xy, starts : (v, 2), (r + 1,) int64
        Closed rings.
    inserted : (k, 6) int64
        As in `Outlines`, of all villages.
    """
    missing = _missing_vertices(inserted)
    last = np.zeros(len(xy), bool)
    last[starts[1:] - 1] = True
    tail = np.flatnonzero(~last)
    edges = pd.DataFrame(np.hstack([xy[tail], xy[tail + 1]]), columns=["ux", "uy", "vx", "vy"])
    edges["place"] = tail + 1
    found = edges.merge(missing, on=["ux", "uy", "vx", "vy"])
    found = found.sort_values(["place", "rank"], kind="stable")
    place = found["place"].to_numpy()
    grown = np.insert(xy, place, found[["x", "y"]].to_numpy(), axis=0)
    added = np.bincount(np.searchsorted(starts, place, side="right") - 1, minlength=len(starts) - 1)
    return grown, starts + np.concatenate([[0], np.cumsum(added)])


def _traced_polygons(labels: NDArray[np.int32], n: int) -> NDArray[np.object_]:
    """Return the outlines of labels 0..n-1 as polygons in pixels (col, row), a valid coverage."""
    xy, starts, owners = trace.outlines(labels)
    closed = np.insert(xy, starts[1:], xy[starts[:-1]], axis=0) / 2
    starts = starts + np.arange(len(starts))
    rings = shapely.linearrings(closed, indices=np.repeat(np.arange(len(owners)), np.diff(starts)))
    hole = ~shapely.is_ccw(rings)  # rows grow downwards: a clockwise shell is counter-clockwise
    order = np.lexsort([hole, owners])
    sizes = np.diff(starts)[order]
    pick = np.repeat(starts[order] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    coordinates = closed[pick + np.arange(len(pick))]
    ring_offsets = np.concatenate([[0], np.cumsum(sizes)])
    polygon_offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=n))])
    polygons: NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, coordinates, (ring_offsets, polygon_offsets)
    )
    return polygons


def _to_grid(
    xy: NDArray[np.float64], lattice: Lattice, window: Window, to_exchange: pyproj.Transformer
) -> NDArray[np.float64]:
    east = lattice.x0 + (window.col + xy[:, 0]) * lattice.step
    north = lattice.y0 - (window.row + xy[:, 1]) * lattice.step
    lon, lat = to_exchange.transform(east, north)
    return np.column_stack([np.rint(lon * 1e8), np.rint(lat * 1e8)])


def _cut_buildings(
    zones: NDArray[np.object_], buildings: NDArray[np.object_]
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return the buildings that borders would cut, a little wider, and the zone of most of each."""
    none = np.empty(0, object), np.empty(0, np.int64)
    building, zone = shapely.STRtree(zones).query(buildings, predicate="intersects")
    several = np.bincount(building, minlength=len(buildings))[building] > 1
    building, zone = building[several], zone[several]
    if not len(building):
        return none
    part = shapely.area(shapely.intersection(buildings[building], zones[zone]))
    order = np.lexsort([zone, -part, building])
    first = order[np.diff(building[order], prepend=-1) > 0]
    number = building[first]
    cut = part[first] < (1 - _CUT_SHARE) * np.bincount(building, part)[number]
    wider = shapely.buffer(buildings[number[cut]], _WALL_DISTANCE, join_style="mitre")
    return wider, zone[first[cut]]


def _cut_at_outline(
    zones: NDArray[np.object_],
    village: shapely.Polygon,
    buildings: NDArray[np.object_],
    zone_of: NDArray[np.int64],
) -> NDArray[np.object_] | None:
    """Return the parts of the zones inside `village`, one polygon each, or None if one has none.

    Land of a building goes to the zone named for it.
    """
    borders = shapely.boundary(np.concatenate([zones, [village], buildings]))
    noded = shapely.union_all(borders, grid_size=1.0)
    faces = shapely.get_parts(shapely.polygonize([noded]))
    inside = shapely.point_on_surface(faces)
    faces, inside = _within(faces, inside, village)
    face, zone = shapely.STRtree(zones).query(inside, predicate="intersects")
    owner = np.full(len(faces), -1)
    owner[face[::-1]] = zone[::-1]
    face, building = shapely.STRtree(buildings).query(inside, predicate="intersects")
    owner[face[::-1]] = zone_of[building[::-1]]
    if len(buildings):
        faces, owner = _joined_faces(faces, owner)
    owner = _one_piece_each(faces, owner, len(zones))
    if len(np.setdiff1d(np.arange(len(zones)), owner)):
        return None
    order = np.argsort(owner, kind="stable")
    groups = np.split(faces[order], np.cumsum(np.bincount(owner, minlength=len(zones)))[:-1])
    joined = np.array(
        [group[0] if len(group) == 1 else shapely.coverage_union_all(group) for group in groups]
    )
    return joined if (shapely.get_type_id(joined) == 3).all() else None


def _joined_faces(
    faces: NDArray[np.object_], owner: NDArray[np.int64]
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return the faces of one owner that border on one another as one face."""
    owners, number = np.unique(owner, return_inverse=True)
    order = np.argsort(number, kind="stable")
    groups = np.split(faces[order], np.cumsum(np.bincount(number))[:-1])
    parts, of = shapely.get_parts(
        [shapely.coverage_union_all(group) for group in groups], return_index=True
    )
    return parts, owners[of]


def _within(
    faces: NDArray[np.object_], points: NDArray[np.object_], village: shapely.Polygon
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    shapely.prepare(village)
    kept = shapely.contains(village, points)
    return faces[kept], points[kept]


def _one_piece_each(
    faces: NDArray[np.object_], owner: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Leave each zone its largest face and give its others to neighbours, smallest first.

    The neighbour is the one with the longest shared border. A zone may be cut in two where the
    outline bends inwards.
    """
    owner = owner.copy()
    area = shapely.area(faces)
    by_size = np.argsort(area, kind="stable")
    main = np.full(n, -1)
    for face in by_size:
        if owner[face] >= 0:
            main[owner[face]] = face
    waiting = [face for face in by_size if owner[face] < 0 or main[owner[face]] != face]
    settled = np.ones(len(faces), bool)
    settled[waiting] = False
    while waiting:
        remaining = []
        for face in waiting:
            others = np.flatnonzero(settled)
            shared = shapely.length(
                shapely.intersection(shapely.boundary(faces[face]), shapely.boundary(faces[others]))
            )
            if shared.max(initial=0) > 0:
                owner[face] = owner[others[np.argmax(shared)]]
                settled[face] = True
            else:
                remaining.append(face)
        if len(remaining) == len(waiting):
            break
        waiting = remaining
    return owner


def inserted_vertices(polygons: NDArray[np.object_], village: shapely.Polygon) -> NDArray[np.int64]:
    """Return the vertices that lie on the outline without being its vertices, with the segment."""
    following = _outline_edges(polygons)
    rows = []
    for a, b in _directed_edges(np.array([village])):
        here = _nearest_to_line(following[a], a, b)
        while here != b:
            rows.append((*min(a, b), *max(a, b), *here))
            here = following[here][0]
    return np.array(rows, np.int64).reshape(-1, 6)


def _outline_edges(
    polygons: NDArray[np.object_],
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return where the directed edges lead that no neighbour walks in the other direction."""
    edges = set(_directed_edges(polygons))
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for tail, head in sorted(edges):
        if (head, tail) not in edges:
            following.setdefault(tail, []).append(head)
    return following


def _directed_edges(
    polygons: NDArray[np.object_],
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    rings = shapely.get_rings(shapely.orient_polygons(polygons))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    points = list(map(tuple, xy.astype(np.int64).tolist()))
    return [(points[k], points[k + 1]) for k in np.flatnonzero(ring[:-1] == ring[1:]).tolist()]


def _nearest_to_line(
    choices: list[tuple[int, int]], a: tuple[int, int], b: tuple[int, int]
) -> tuple[int, int]:
    """Return the choice that leaves `a` in the direction of `b`: an outline may touch itself."""
    if len(choices) == 1 or b in choices:
        return choices[0] if len(choices) == 1 else b
    ahead = np.array(b) - np.array(a)
    ways = np.array(choices) - np.array(a)
    return choices[int(np.argmax(ways @ ahead / np.hypot(ways[:, 0], ways[:, 1])))]


def _missing_vertices(inserted: NDArray[np.int64]) -> pd.DataFrame:
    """List, for every piece of a segment that somebody may hold, the vertices missing in it.

    A segment from a to b with the vertices 1, 2 in all may stand in a ring as a-b, a-1-b, a-2-b
    or a-1-2-b, depending on who inserted what; so a-b misses 1 and 2, a-2 misses 1, 1-b misses 2.
    """
    columns = ["ax", "ay", "bx", "by", "x", "y"]
    table = pd.DataFrame(inserted, columns=columns).drop_duplicates()
    along = (table.x - table.ax) * (table.bx - table.ax) + (table.y - table.ay) * (
        table.by - table.ay
    )
    table = table.assign(along=along).sort_values([*columns[:4], "along", "x", "y"])
    rows = []
    for segment_ends, group in table.groupby(columns[:4], sort=False):
        chain = [segment_ends[:2], *zip(group.x, group.y, strict=True), segment_ends[2:]]
        for i in range(len(chain) - 2):
            for j in range(i + 2, len(chain)):
                between = chain[i + 1 : j]
                for rank, point in enumerate(between):
                    rows.append((*chain[i], *chain[j], *point, rank))
                    rows.append((*chain[j], *chain[i], *point, len(between) - 1 - rank))
    return pd.DataFrame(rows, columns=["ux", "uy", "vx", "vy", "x", "y", "rank"])
