"""Two editions beside each other: a slider between them, and the borders that moved."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import HalfEdges, half_edges, match
from geogrid.edition import Edition, to_degrees
from geogrid.maps.city import GridMap, controlled
from geogrid.maps.classes import shared_classes
from geogrid.maps.layers import Call, GridLayer, LineLayer

_GONE = "#c2185b"
_NEW = "#1b7837"

# What both editions call by the same code and draw alike is shown once.
_SEEN = ("name", "kind", "households")


def compare_map(old: Edition, new: Edition, *, color: str = "kind") -> GridMap:
    """Return a map with a slider: left of it the old edition, right of it the new one.

    Borders of micro-grids that only the old edition has are magenta, those that only the new one
    has are green; what both have vertex for vertex is not marked.

    Parameters
    ----------
    old, new : Edition
    color : str
        Column that both are filled by.

    Examples
    --------
    >>> import geogrid as gg
    >>> old, new = gg.open("2025.gpkg"), gg.open("2026.gpkg")  # doctest: +SKIP
    >>> gg.maps.compare_map(old, new).save("compare.html")     # doctest: +SKIP
    """
    changed, fresh = _changed(old, new), _changed(new, old)
    said = (
        f"旧 old: {old.info.id} · 新 new: {new.info.id}\n"
        f"{len(changed):,} 个微网格变为 {len(fresh):,} 个 "
        f"micro-grids became {len(fresh):,}"
    )
    canvas = GridMap(new, f"{new.info.city} 两版对比 Two editions", said)
    part = _part(old, new, changed)
    tables = [new.units["microgrid"], part.units["microgrid"]]
    classes = shared_classes(tables, color, "microgrid")
    after = GridLayer(new, color=classes[0], name=f"新版 New: {new.info.id}", opacity=1.0)
    before = GridLayer(part, color=classes[1], name=f"旧版 Old: {old.info.id}", opacity=1.0)
    before.style |= {"legend": False, "labels": False, "part": True}
    for layer in (after, before):
        layer.add_to(canvas)
    gone, added = moved_borders(old, new)
    LineLayer("旧边界 Borders gone", gone, {"color": _GONE, "weight": 2.5}).add_to(canvas)
    LineLayer("新边界 New borders", added, {"color": _NEW, "weight": 2.5}).add_to(canvas)
    Call("swipe", before, [f"旧 {old.info.id}", f"新 {new.info.id}"]).add_to(canvas)
    return controlled(canvas)


def moved_borders(old: Edition, new: Edition) -> tuple[list[list[float]], list[list[float]]]:
    """Return the borders of micro-grids that only the old, and that only the new edition has.

    Each line is a list of longitude and latitude, one after the other.
    """
    one = _undirected(old, _changed(old, new))
    other = _undirected(new, _changed(new, old))
    return _lines(_only(one, other)), _lines(_only(other, one))


def _changed(edition: Edition, other: Edition) -> NDArray[np.int64]:
    """Return the rows of the micro-grids that the other edition has not, or has otherwise."""
    own, theirs = edition.units["microgrid"], other.units["microgrid"].set_index("code")
    theirs = theirs.reindex(own["code"])
    same = shapely.equals_identical(own.geometry.to_numpy(), theirs["geom"].to_numpy())
    for column in _SEEN:
        same &= own[column].to_numpy() == theirs[column].to_numpy()
    return np.flatnonzero(~same)


def _part(old: Edition, new: Edition, rows: NDArray[np.int64]) -> Edition:
    """Return the old edition with those micro-grids only: the others are the new one's."""
    units = dict(old.units)
    units["microgrid"] = old.units["microgrid"].iloc[rows].reset_index(drop=True)
    digest = f"{old.info.digest[:32]}{new.info.digest[:32]}"
    return Edition(replace(old.info, digest=digest), MappingProxyType(units))


def _undirected(edition: Edition, rows: NDArray[np.int64]) -> HalfEdges:
    """Return the edges of micro-grids, all from west to east or else from south to north."""
    edges = half_edges(edition.units["microgrid"].geometry.to_numpy()[rows])
    x0, y0, x1, y1 = edges.ends.T
    turned = (x0 > x1) | ((x0 == x1) & (y0 > y1))
    ends = np.where(turned[:, None], edges.ends[:, [2, 3, 0, 1]], edges.ends)
    return HalfEdges(ends, edges.owners)


def _only(edges: HalfEdges, others: HalfEdges) -> NDArray[np.int64]:
    """Return the ends of the edges that are not among the others, each once."""
    first = match(others.joined(edges)).first[len(others) :]
    return edges.ends[first < 0]


def _lines(ends: NDArray[np.int64]) -> list[list[float]]:
    """Return edges as lines as long as they go, degrees of six decimals (0.1 m)."""
    if not len(ends):
        return []
    segments = shapely.linestrings(to_degrees(ends).reshape(-1, 2, 2))
    joined = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(segments)))
    return [np.round(shapely.get_coordinates(line), 6).ravel().tolist() for line in joined]
