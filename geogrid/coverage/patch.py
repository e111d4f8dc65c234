"""Rebuild the polygons of a patch from one set of noded lines.

All edges of the patch's polygons are noded on the integer grid together. The faces between the
lines are then given out, each to one polygon, so that neighbours share their edges by construction.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import half_edges, match
from geogrid.edition import to_degrees

_NOBODY = -1  # not given out yet
_ELSEWHERE = -2  # outside the layer, or covered by a polygon that is not part of the patch
_TURNS = 10
"""Giving a loose sliver away may loosen the next one; more turns than this were never needed."""

IsNarrow = Callable[[NDArray[np.object_]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class _Borders:
    """Shared edges of faces: face, the face beyond, length in degrees."""

    face: NDArray[np.int64]
    beyond: NDArray[np.int64]
    length: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Patch:
    """What is rebuilt together.

    Attributes
    ----------
    rows : (k,) int64
        Polygons, ascending.
    fillers : polygons
        Areas beside the polygons that are to be given out too, such as open slivers.
    cut : polygons
        Areas that no polygon may have, such as what juts out of the container.
    left : polygons
        Gaps and overlaps that stay as they are.
    """

    rows: NDArray[np.int64]
    fillers: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, object))
    cut: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, object))
    left: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, object))


def rebuild(
    shapes: NDArray[np.object_], patch: Patch, is_narrow: IsNarrow
) -> tuple[NDArray[np.object_], list[int]]:
    """Return `shapes` with the polygons of a patch rebuilt, and the rows where that failed.

    Parameters
    ----------
    shapes : (n,) polygons
        Valid, in degrees, on the integer grid.
    is_narrow : callable
        Which polygons are slivers; only slivers may be cut off from their polygon.

    Returns
    -------
    shapes : (n,) polygons
        The rows outside the patch are the same objects.
    lost : list of int
        Rows that would fall apart or vanish.
    """
    rows = patch.rows
    faces = _noded_faces(np.concatenate([shapes[rows], patch.fillers, patch.cut]))
    owners, choices = _first_owners(faces, shapes, rows)
    shared = _set_apart(faces, patch, owners, choices)
    borders = _borders(faces)
    barred: set[tuple[int, int]] = set()
    for _ in range(_TURNS):
        owners = _given_out(owners, choices, barred, borders)
        merged = {int(row): _united(faces, owners, shared, int(row)) for row in rows}
        loose, lost = _loose_faces(faces, owners, merged, is_narrow)
        if not loose or lost:
            break
        barred |= {(face, int(owners[face])) for face in loose}
        # Cut off from all that cover it, a sliver may go to any neighbour.
        choices = {face: units for face, units in choices.items() if face not in set(loose)}
        owners[loose] = _NOBODY
    result = shapes.copy()
    for row, shape in merged.items():
        single = shapely.get_parts(shape)
        if len(single) == 1:
            result[row] = single[0]
        else:
            lost.append(row)
    return result, sorted(set(lost))


def _set_apart(
    faces: NDArray[np.object_],
    patch: Patch,
    owners: NDArray[np.int64],
    choices: dict[int, set[int]],
) -> dict[int, set[int]]:
    """Mark the faces that nobody may have, and return those that all who cover them keep."""
    points = shapely.point_on_surface(faces)
    nobody = np.zeros(len(faces), bool)
    nobody[shapely.STRtree(points).query(patch.cut, predicate="contains")[1]] = True
    kept = np.unique(shapely.STRtree(points).query(patch.left, predicate="contains")[1])
    nobody[kept[owners[kept] == _NOBODY]] = True
    shared = {face: choices[face] for face in kept.tolist() if face in choices}
    nobody[list(shared)] = True
    for face in np.flatnonzero(nobody).tolist():
        choices.pop(face, None)
    owners[nobody] = _ELSEWHERE
    return shared


def _united(
    faces: NDArray[np.object_],
    owners: NDArray[np.int64],
    shared: dict[int, set[int]],
    row: int,
) -> shapely.Geometry:
    own = owners == row
    own[[face for face, units in shared.items() if row in units]] = True
    return shapely.coverage_union_all(faces[own])


def _noded_faces(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the faces between all edges of the shapes; every vertex is on the integer grid."""
    ends = np.unique(half_edges(shapes).ends, axis=0)
    base = ends[:, :2].min(axis=0)
    lines = shapely.linestrings((ends.reshape(-1, 2, 2) - base).astype(float))
    noded = shapely.union_all(shapely.multilinestrings(lines), grid_size=1.0)
    faces = shapely.get_parts(shapely.polygonize([noded]))
    placed: NDArray[np.object_] = shapely.transform(
        faces, lambda xy: to_degrees(np.rint(xy).astype(np.int64) + base)
    )
    return placed


def _first_owners(
    faces: NDArray[np.object_], shapes: NDArray[np.object_], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], dict[int, set[int]]]:
    """Give each face to the only polygon that covers it; of several, say which they are."""
    points = shapely.point_on_surface(faces)
    face, unit = shapely.STRtree(shapes).query(points, predicate="intersects")
    ours = np.isin(unit, rows)
    n_all = np.bincount(face, minlength=len(faces))
    n_ours = np.bincount(face[ours], minlength=len(faces))
    owners = np.full(len(faces), _NOBODY, np.int64)
    owners[(n_all > 0) & (n_ours == 0)] = _ELSEWHERE
    single = ours & (n_ours[face] == 1)
    owners[face[single]] = unit[single]
    choices: dict[int, set[int]] = {}
    for f, u in zip(face[ours & ~single], unit[ours & ~single], strict=True):
        choices.setdefault(int(f), set()).add(int(u))
    return owners, choices


def _borders(faces: NDArray[np.object_]) -> _Borders:
    edges = half_edges(faces)
    twin = match(edges).twin
    inner = np.flatnonzero(twin >= 0)
    run = edges.ends[inner, 2:] - edges.ends[inner, :2]
    middle = np.radians(to_degrees(edges.ends[inner, 1]))
    length = np.hypot(run[:, 0] * np.cos(middle), run[:, 1])
    return _Borders(edges.owners[inner], edges.owners[twin[inner]], length)


def _given_out(
    owners: NDArray[np.int64],
    choices: dict[int, set[int]],
    barred: set[tuple[int, int]],
    borders: _Borders,
) -> NDArray[np.int64]:
    """Give every free face to the neighbour with the longest shared edge; ties to the lower row."""
    owners = owners.copy()
    while True:
        asked = (owners[borders.face] == _NOBODY) & (owners[borders.beyond] >= 0)
        offers = pd.DataFrame(
            {
                "face": borders.face[asked],
                "unit": owners[borders.beyond[asked]],
                "length": borders.length[asked],
            }
        )
        offers = offers.groupby(["face", "unit"], as_index=False).sum()
        allowed = [
            (face, unit) not in barred and unit in choices.get(face, {unit})
            for face, unit in zip(offers["face"], offers["unit"], strict=True)
        ]
        best = offers[np.array(allowed, bool)].sort_values(
            ["face", "length", "unit"], ascending=[True, False, True]
        )
        best = best.drop_duplicates("face")
        if best.empty:
            break
        owners[best["face"].to_numpy()] = best["unit"].to_numpy()
    for face in np.flatnonzero(owners == _NOBODY):
        # A face that only its coverers may have and none of them borders on.
        owners[face] = min(choices.get(int(face), {_NOBODY}))
    return owners


def _loose_faces(
    faces: NDArray[np.object_],
    owners: NDArray[np.int64],
    merged: dict[int, shapely.Geometry],
    is_narrow: IsNarrow,
) -> tuple[list[int], list[int]]:
    """Return the faces of slivers cut off from their polygon, and rows cut into large parts."""
    loose: list[int] = []
    lost: list[int] = []
    for row, shape in merged.items():
        parts = shapely.get_parts(shape)
        if len(parts) < 2:
            continue
        small = parts[np.argsort(-shapely.area(parts), kind="stable")][1:]
        if not is_narrow(small).all():
            lost.append(row)
            continue
        own = np.flatnonzero(owners == row)
        points = shapely.point_on_surface(faces[own])
        loose += own[shapely.intersects(points[:, None], small[None, :]).any(axis=1)].tolist()
    return loose, lost
