"""Nodes, arcs and faces of a coverage.

The polygons of a coverage are kept as what they share: every border once. Built and taken apart on
whole arrays; a city of 100,000 micro-grids and two million vertices takes about a second.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import HalfEdges, edge_metres, match
from geogrid.edition import Rings, integer_rings, to_degrees
from geogrid.errors import BoundaryError, CoordinateError

OUTSIDE = -1
"""The face on the right of an arc of the outline."""

# Two numbers below 2^31 make one key; 21 degrees are more than any municipality.
_WIDEST = 2**31


@dataclass(frozen=True, slots=True)
class Topology:
    """A coverage as nodes, arcs and faces.

    A *node* is a vertex where three or more borders meet. An *arc* is the border of two faces, or
    of a face and the outside, from one node to the next; one that meets no node is closed and
    starts anywhere. A *face* is a polygon of the coverage, its rings are sequences of arcs.

    Attributes
    ----------
    xy : (v, 2) int64
        Vertices of the arcs, one arc after the other, east and north in steps of 1e-8 degree.
    starts : (a + 1,) int64
        Arc `k` is `xy[starts[k]:starts[k + 1]]`, both ends included.
    nodes : (n, 2) int64
        Nodes, ordered by x, then y.
    ends : (a, 2) int64
        First and last node of each arc, -1 for closed arcs.
    left, right : (a,) int64
        Faces on both sides, seen along the arc; `right` may be `OUTSIDE`.
    ring_arcs : (s,) int64
        Arcs of the rings, one ring after the other: `k` along arc `k`, `~k` against it.
    ring_starts : (r + 1,) int64
        Ring `i` is `ring_arcs[ring_starts[i]:ring_starts[i + 1]]`; a face lies on its left.
    ring_faces : (r,) int64
        Face of each ring, ascending; the first of a face is its shell, the others are holes.
    """

    xy: NDArray[np.int64]
    starts: NDArray[np.int64]
    nodes: NDArray[np.int64]
    ends: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    ring_arcs: NDArray[np.int64]
    ring_starts: NDArray[np.int64]
    ring_faces: NDArray[np.int64]

    @classmethod
    def of(cls, polygons: NDArray[np.object_]) -> "Topology":
        """Return the topology of a coverage.

        Parameters
        ----------
        polygons : (f,) polygons
            Single polygons in EPSG:4490, on the integer grid; face `k` is row `k`.

        Raises
        ------
        BoundaryError
            Two polygons run along the same edge in the same direction: they overlap. Overlaps and
            gaps without a common edge are found by `check`, not here; their borders are arcs of the
            outline.
        CoordinateError
            The polygons reach over more than 21 degrees.
        """
        rings = integer_rings(polygons)
        edges = HalfEdges(*rings.half_edges())
        sizes = np.diff(rings.starts) - 1
        first = np.concatenate([[0], np.cumsum(sizes)])
        pairing = match(edges)
        _refuse_overlaps(edges, pairing.first)
        ring = np.repeat(np.arange(len(sizes)), sizes)
        vertex, n_vertices = _numbered(edges.ends[:, :2])
        is_node = _nodes(vertex, n_vertices, pairing.twin, first)
        cut = _cut_at(is_node[vertex], ring, first)
        return _assembled(edges, pairing.twin, cut, rings)

    def __len__(self) -> int:
        """Return the number of arcs."""
        return len(self.left)

    @property
    def n_faces(self) -> int:
        """Number of faces."""
        return int(self.ring_faces[-1]) + 1 if len(self.ring_faces) else 0

    def arc(self, k: int) -> NDArray[np.int64]:
        """Return the vertices of an arc."""
        return self.xy[self.starts[k] : self.starts[k + 1]]

    def polygons(self) -> NDArray[np.object_]:
        """Return the faces as polygons in degrees: vertex for vertex those it was made of.

        Rings start at their lowest vertex (`shapely.normalize`), as those of an edition do.
        """
        back = self.ring_arcs < 0
        arcs = np.where(back, ~self.ring_arcs, self.ring_arcs)
        sizes = np.diff(self.starts)[arcs] - 1  # the last vertex is the next arc's first
        begin = np.where(back, self.starts[arcs + 1] - 1, self.starts[arcs])
        rows = _ranges(begin, sizes, np.where(back, -1, 1))
        per_ring = np.add.reduceat(sizes, self.ring_starts[:-1])
        stops = np.cumsum(per_ring)
        closed = np.insert(rows, stops, rows[stops - per_ring])
        rings = stops + np.arange(1, len(stops) + 1)
        shells = np.cumsum(np.bincount(self.ring_faces, minlength=self.n_faces))
        polygons = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON,
            to_degrees(self.xy[closed]),
            (np.concatenate([[0], rings]), np.concatenate([[0], shells])),
        )
        normal: NDArray[np.object_] = shapely.normalize(polygons)
        return normal

    def dissolve(self, group: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the union of the faces of each group.

        Parameters
        ----------
        group : (f,) int64
            Group of each face, 0 … g - 1.

        Returns
        -------
        (g,) polygons or multipolygons
            In degrees, normalized; they share every vertex with one another.
        """
        left = group[self.left]
        right = np.where(self.right == OUTSIDE, OUTSIDE, group[self.right])
        border = np.flatnonzero(left != right)
        of = np.concatenate([left[border], right[border]])
        arcs = np.concatenate([border, border])[of != OUTSIDE]
        order = np.argsort(of[of != OUTSIDE], kind="stable")
        lines = shapely.multilinestrings(self._lines(arcs[order]), indices=of[of != OUTSIDE][order])
        joined: NDArray[np.object_] = shapely.normalize(shapely.build_area(lines))
        return joined

    def adjacency(self, crs: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return which faces share a border, and how much.

        Parameters
        ----------
        crs : str
            The working CRS, in which lengths are measured.

        Returns
        -------
        pairs : (p, 2) int64
            Faces that share an edge, the lower first, ordered; with the outside as `OUTSIDE` first.
        length : (p,) float64
            Metres they share.
        """
        sides = np.sort(np.column_stack([self.left, self.right]), axis=1)
        pairs, pair = np.unique(sides, axis=0, return_inverse=True)
        length = np.bincount(pair.ravel(), self.lengths(crs), len(pairs)).astype(np.float64)
        return pairs, length

    def lengths(self, crs: str) -> NDArray[np.float64]:
        """Return the length of each arc, metres in a working CRS."""
        inner = np.ones(len(self.xy), bool)
        inner[self.starts[1:] - 1] = False
        tail = np.flatnonzero(inner)
        arc = np.repeat(np.arange(len(self)), np.diff(self.starts))[tail]
        metres = edge_metres(np.hstack([self.xy[tail], self.xy[tail + 1]]), crs)
        return np.bincount(arc, metres, len(self)).astype(np.float64)

    def _lines(self, arcs: NDArray[np.int64]) -> NDArray[np.object_]:
        sizes = np.diff(self.starts)[arcs]
        rows = _ranges(self.starts[arcs], sizes)
        lines: NDArray[np.object_] = shapely.linestrings(
            to_degrees(self.xy[rows]), indices=np.repeat(np.arange(len(arcs)), sizes)
        )
        return lines


@dataclass(frozen=True, slots=True)
class _Cut:
    """Rings cut into pieces at nodes, by half-edge.

    Attributes
    ----------
    run : (e,) int64
        Piece of a ring; pieces are numbered ring by ring.
    place : (e,) int64
        Ascending along each piece, also where it runs over the end of its ring.
    ring : (e,) int64
        Ring.
    at_node : (e,) bool
        The half-edge starts at a node.
    """

    run: NDArray[np.int64]
    place: NDArray[np.int64]
    ring: NDArray[np.int64]
    at_node: NDArray[np.bool_]


def _refuse_overlaps(edges: HalfEdges, first: NDArray[np.int64]) -> None:
    again = np.flatnonzero(first >= 0)
    if len(again):
        lon, lat = to_degrees(edges.ends[again[0], :2])
        one, other = edges.owners[first[again[0]]], edges.owners[again[0]]
        raise BoundaryError(
            f"polygons {one} and {other} overlap at {lon:.7f}, {lat:.7f}: a topology is made of a "
            "coverage. Run `check` for the places, and `repair`."
        )


def _numbered(xy: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return equal numbers for equal vertices, ascending by x, then y, and how many there are."""
    low = xy.min(axis=0)
    if (xy.max(axis=0) - low >= _WIDEST).any():
        raise CoordinateError(
            "the polygons reach over more than 21 degrees; is the reference system wrong?"
        )
    moved = xy - low
    keys, number = np.unique(moved[:, 0] << 31 | moved[:, 1], return_inverse=True)
    return number.ravel(), len(keys)


def _nodes(
    vertex: NDArray[np.int64], n: int, twin: NDArray[np.int64], first: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which vertices are nodes: those where other than two borders meet."""
    following = np.arange(1, len(vertex) + 1)
    following[first[1:] - 1] = first[:-1]
    # Each border once: of two twins the earlier one.
    once = (twin < 0) | (twin > np.arange(len(vertex)))
    degree = np.bincount(vertex[once], minlength=n)
    degree += np.bincount(vertex[following[once]], minlength=n)
    node: NDArray[np.bool_] = degree != 2
    return node


def _cut_at(at_node: NDArray[np.bool_], ring: NDArray[np.int64], first: NDArray[np.int64]) -> _Cut:
    n_nodes = np.add.reduceat(at_node.astype(np.int64), first[:-1])
    begins = at_node.copy()
    begins[first[:-1][n_nodes == 0]] = True
    run = np.cumsum(begins) - 1
    last = run[first[1:] - 1]
    position = np.arange(len(run))
    # Half-edges before the first node of their ring go on from its end.
    before = run < (last - np.maximum(n_nodes, 1) + 1)[ring]
    run = np.where(before, last[ring], run)
    place = np.where(before, position + np.diff(first)[ring], position)
    return _Cut(run, place, ring, at_node)


def _assembled(edges: HalfEdges, twin: NDArray[np.int64], cut: _Cut, rings: Rings) -> Topology:
    """Make each two pieces that are one border an arc, in the direction of the earlier piece."""
    order = np.lexsort((cut.place, cut.run))
    sizes = np.bincount(cut.run)
    last = np.cumsum(sizes) - 1
    head = order[last - sizes + 1]
    beyond = np.where(twin[head] < 0, -1, cut.run[twin[head]])
    own = np.flatnonzero((beyond < 0) | (beyond > np.arange(len(sizes))))
    number = np.empty(len(sizes), np.int64)
    number[own] = np.arange(len(own))
    against = beyond[own] >= 0
    number[beyond[own][against]] = ~np.flatnonzero(against)
    # The vertices of an arc: where its half-edges start, and where the last one ends.
    rows = order[_ranges((last - sizes + 1)[own], sizes[own])]
    stops = np.cumsum(sizes[own])
    xy = np.insert(edges.ends[rows, :2], stops, edges.ends[order[last[own]], 2:], axis=0)
    starts = np.concatenate([[0], stops + np.arange(1, len(own) + 1)])
    tips = np.stack([xy[starts[:-1]], xy[starts[1:] - 1]], axis=1)
    nodes, node = np.unique(tips.reshape(-1, 2), axis=0, return_inverse=True)
    open_ = cut.at_node[head[own]]
    used = np.zeros(len(nodes), bool)
    used[node.reshape(-1, 2)[open_]] = True
    renumbered = np.where(used, np.cumsum(used) - 1, -1)
    right = np.where(against, edges.owners[head[beyond[own]]], OUTSIDE)
    return Topology(
        xy=xy,
        starts=starts,
        nodes=nodes[used],
        ends=renumbered[node.reshape(-1, 2)],
        left=edges.owners[head[own]],
        right=right,
        ring_arcs=number,
        ring_starts=np.searchsorted(cut.ring[head], np.arange(len(rings.owners) + 1)),
        ring_faces=rings.owners,
    )


def _ranges(
    begin: NDArray[np.int64],
    sizes: NDArray[np.int64],
    step: NDArray[np.int64] | int = 1,
) -> NDArray[np.int64]:
    """Return begin, begin + step … for each row, `sizes` of them, one row after the other."""
    before = np.cumsum(sizes) - sizes
    within = np.arange(int(sizes.sum())) - np.repeat(before, sizes)
    steps = np.repeat(np.broadcast_to(step, sizes.shape), sizes)
    rows: NDArray[np.int64] = np.repeat(begin, sizes) + within * steps
    return rows
