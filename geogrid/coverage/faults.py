"""Faults of a coverage and their places, from the half-edges without a twin.

Only the residual is looked at, so the cost follows the number of faults, not the size of the city.
Lines are noded in steps relative to a corner of the data: there every vertex is a small whole
number, which a float holds exactly.
"""

from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import HalfEdges
from geogrid.coverage.findings import Extent, Point
from geogrid.edition import to_degrees, to_metres

_NEAR = 1e-3
"""Steps: noded lines leave the integer grid by far less than this."""

_TURNS = 20
"""Points asked of a face before its cover is taken as it is."""

_METRES_PER_DEGREE = 111_320.0

_SMALL = 0.5
"""Square metres: no circle above 0.8 m across fits, and searching for it takes 2 ms a face."""

_LARGE = 0.02
"""Degrees: above this the scale of a projection is not constant over a fault."""


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces of the residual, measured.

    Attributes
    ----------
    polygons : (f,) polygons in degrees
    points : (f, 2) float
        A point inside each face, degrees; of faces above half a square metre, the centre of the
        largest circle.
    area_m2, width_m : (f,) float
        In the working CRS. The width of faces up to half a square metre is twice the area by the
        perimeter: never more than the largest circle, in a convex face at least half of it.
    """

    polygons: NDArray[np.object_]
    points: NDArray[np.float64]
    area_m2: NDArray[np.float64]
    width_m: NDArray[np.float64]

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Faces":
        """Return some of the faces."""
        return Faces(self.polygons[rows], self.points[rows], self.area_m2[rows], self.width_m[rows])

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.polygons)

    def point(self, row: int) -> Point:
        """Return the point inside a face."""
        lon, lat = self.points[row].tolist()
        return lon, lat

    def extent(self, row: int) -> Extent:
        """Return how far a face reaches."""
        return Extent(self.polygons[row], float(self.area_m2[row]), float(self.width_m[row]))


def residual_faces(residual: HalfEdges, crs: str) -> Faces:
    """Return the faces that the residual half-edges bound, largest first."""
    if not len(residual):
        return measure(np.empty(0, object), crs)
    base = residual.ends[:, :2].min(axis=0)
    lines = shapely.linestrings((residual.ends.reshape(-1, 2, 2) - base).astype(float))
    noded = shapely.node(shapely.multilinestrings(lines))
    faces = shapely.get_parts(shapely.polygonize([noded]))
    # Half a step squared is the smallest triangle of the integer grid; less is noding noise.
    faces = faces[shapely.area(faces) > _NEAR]
    faces = faces[np.lexsort((*shapely.bounds(faces).T, -shapely.area(faces)))]
    return measure(shapely.transform(faces, lambda xy: (xy + base) / 1e8), crs)


def unmatched_vertices(
    residual: HalfEdges, faults: Faces
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find vertices that lie inside a residual edge of another owner, away from other faults.

    Returns
    -------
    xy : (k, 2) int64
        The vertices.
    edge_owner, vertex_owner : (k,) int64
        Whose edge lacks the vertex, and whose vertex it is.
    """
    if not len(residual):
        return np.empty((0, 2), np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
    base = residual.ends[:, :2].min(axis=0)
    lines = shapely.linestrings((residual.ends.reshape(-1, 2, 2) - base).astype(float))
    starts = residual.ends[:, :2]
    points = shapely.points((starts - base).astype(float))
    vertex, edge = shapely.STRtree(lines).query(points, predicate="dwithin", distance=_NEAR)
    along, back = residual.ends[edge], starts[vertex]
    strict = _strictly_inside(along, back) & (residual.owners[edge] != residual.owners[vertex])
    vertex, edge = vertex[strict], edge[strict]
    if len(faults) and len(vertex):
        near = shapely.STRtree(faults.polygons).query(
            shapely.points(to_degrees(starts[vertex])), predicate="dwithin", distance=_NEAR * 1e-8
        )[0]
        clear = ~np.isin(np.arange(len(vertex)), near)
        vertex, edge = vertex[clear], edge[clear]
    _, once = np.unique(starts[vertex], axis=0, return_index=True)
    vertex, edge = vertex[once], edge[once]
    return starts[vertex], residual.owners[edge], residual.owners[vertex]


def covering(tree: shapely.STRtree, faces: Faces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs (row of face, row of polygon in `tree`) where the polygon covers the face.

    Inside a face no edge is left without a twin, so all its points are covered by as many polygons;
    one point is asked. A large face may hold whole polygons, and its point lie on their common
    edge, which both cover: then another point is asked.
    """
    points = faces.points.copy()
    reach = np.where(faces.area_m2 > _SMALL, faces.width_m, 0.0) / _METRES_PER_DEGREE
    for turn in range(1, _TURNS):
        face, row = tree.query(shapely.points(points), predicate="intersects")
        edges = shapely.boundary(tree.geometries[row])
        unclear = np.unique(
            face[shapely.dwithin(edges, shapely.points(points[face]), reach[face] / 1000)]
        )
        unclear = unclear[reach[unclear] > 0]
        if not len(unclear):
            break
        aside = np.array([np.cos(turn), np.sin(turn)]) * reach[unclear, None] / 5
        points[unclear] = faces.points[unclear] + aside
    order = np.lexsort((row, face))
    return face[order], row[order]


def touching(
    tree: shapely.STRtree, faces: NDArray[np.object_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs (row of face, row of polygon in `tree`) that share more than a point."""
    face, row = tree.query(faces, predicate="dwithin", distance=_NEAR * 1e-8)
    shared = shapely.length(
        shapely.intersection(
            shapely.boundary(faces[face]), shapely.buffer(tree.geometries[row], 0.5e-8)
        )
    )
    kept = shared > 1.5e-8
    face, row = face[kept], row[kept]
    order = np.lexsort((row, face))
    return face[order], row[order]


def grouped(keys: NDArray[np.int64], values: NDArray[np.int64], n: int) -> list[NDArray[np.int64]]:
    """Return the values of each key 0 … n - 1; the keys are ascending."""
    return np.split(values, np.searchsorted(keys, np.arange(1, n))) if n else []


def _strictly_inside(edges: NDArray[np.int64], xy: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which points lie on their edge, but not at its ends; exact."""
    run, rise = edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1]
    east, north = xy[:, 0] - edges[:, 0], xy[:, 1] - edges[:, 1]
    along = run * east + rise * north
    inside: NDArray[np.bool_] = (
        (run * north == rise * east) & (along > 0) & (along < run * run + rise * rise)
    )
    return inside


def measure(polygons: NDArray[np.object_], crs: str) -> Faces:
    """Measure polygons (degrees) with the scale of the working CRS at its place.

    Projecting the vertices instead would bend edges: a straight kilometre departs by up to 10 mm,
    more than the faults that are to be measured.
    """
    centres = shapely.get_coordinates(shapely.centroid(polygons)).reshape(-1, 2)
    scale, inverse = _local_scale(centres, crs)
    xy, index = shapely.get_coordinates(polygons, return_index=True)
    local = np.einsum("nij,nj->ni", scale[index], xy - centres[index])
    metric = shapely.set_coordinates(polygons.copy(), local)
    area = shapely.area(metric)
    # No polygon's largest circle is smaller; the search below stops at a thousandth of the extent.
    width = np.divide(2 * area, shapely.length(metric), out=np.zeros_like(area), where=area > 0)
    inside = shapely.get_coordinates(shapely.point_on_surface(metric)).reshape(-1, 2)
    searched = np.flatnonzero(area > _SMALL)
    circles = shapely.maximum_inscribed_circle(metric[searched])
    inside[searched] = shapely.get_coordinates(circles).reshape(-1, 2, 2)[:, 0]
    width[searched] = np.maximum(width[searched], 2 * shapely.length(circles))
    points = centres + np.einsum("nij,nj->ni", inverse, inside)
    large = np.flatnonzero(
        np.ptp(shapely.bounds(polygons).reshape(-1, 2, 2), axis=1).max(1) > _LARGE
    )
    if len(large):
        area[large] = shapely.area(to_metres(polygons[large], crs))
    return Faces(polygons, points, area, width)


def _local_scale(
    centres: NDArray[np.float64], crs: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n, 2, 2) matrices from degrees to metres at `centres`, and their inverses."""
    project = pyproj.Transformer.from_crs("EPSG:4490", crs, always_xy=True)
    step = 1e-4
    origin = np.column_stack(project.transform(*centres.T))
    east = np.column_stack(project.transform(*(centres + np.array([step, 0])).T)) - origin
    north = np.column_stack(project.transform(*(centres + np.array([0, step])).T)) - origin
    scale = np.stack([east, north], axis=2) / step
    inverse = np.linalg.inv(scale).astype(np.float64)
    return scale, inverse
