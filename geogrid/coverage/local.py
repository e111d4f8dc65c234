"""The neighbourhood of some units, on every level: all that an edit of them can have broken."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.codes import LEVELS
from geogrid.coverage.edges import HalfEdges, half_edges
from geogrid.coverage.layers import Layer
from geogrid.edition import Edition, to_degrees
from geogrid.errors import UnknownCodeError

# Degrees by which boxes are widened: a vertex beside a border is on it.
_MARGIN = 1e-7


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Units of one level that an edit may concern.

    Attributes
    ----------
    concerned : Layer
        The units named, what is above them and what is below.
    layer : Layer
        The units looked at, and those beside them, whose half-edges are their twins.
    looked_at : (n,) bool
        Rows of `layer` whose own half-edges must have a twin.
    outline : HalfEdges
        The city's outline, as far as it runs along the units looked at.
    children : Layer
        All units of `parents`.
    parents : Layer
        The parents concerned and those beside; none on the topmost level.
    """

    concerned: Layer
    layer: Layer
    looked_at: NDArray[np.bool_]
    outline: HalfEdges
    children: Layer
    parents: Layer | None


def neighbourhoods(edition: Edition, around: Iterable[str]) -> dict[str, Neighbourhood]:
    """Return the neighbourhood of units by level, from the city down to the micro-grids.

    Parameters
    ----------
    around : codes
        Of units on any levels; what lies above and below them is concerned too.

    Raises
    ------
    UnknownCodeError
        A code that the edition does not hold.
    """
    concerned = _concerned(edition, tuple(around))
    border = half_edges(edition.units[LEVELS[0]].geometry.to_numpy())
    beside = _boxes(border)
    bounds = {level: shapely.bounds(edition.units[level].geometry.to_numpy()) for level in LEVELS}
    made: dict[tuple[str, bytes], Layer] = {}

    def layer_of(level: str, rows: NDArray[np.int64]) -> Layer:
        """Make each selection once: of the large units above, all three are often the same."""
        key = (level, rows.tobytes())
        if key not in made:
            made[key] = _layer(edition, level, rows)
        return made[key]

    found = {}
    for above, level in zip((None, *LEVELS), LEVELS, strict=False):
        own, boxes = concerned[level], bounds[level]
        looked_at = _touching(boxes, boxes[own])
        rows = np.flatnonzero(_touching(boxes, boxes[looked_at]))
        layer = layer_of(level, rows)
        parents, children = None, layer
        if above is not None:
            over = _touching(bounds[above], boxes[own])
            over[concerned[above]] = True
            parents = layer_of(above, np.flatnonzero(over))
            below = np.array(edition.units[level]["parent"].isin(parents.codes), bool)
            below[own] = True
            children = layer_of(level, np.flatnonzero(below))
        outline = border[_touching(beside, boxes[looked_at])]
        units = layer_of(level, own)
        found[level] = Neighbourhood(units, layer, looked_at[rows], outline, children, parents)
    return found


def _layer(edition: Edition, level: str, rows: NDArray[np.int64]) -> Layer:
    """Return some units of an edition, whose columns are text and whose shapes are on the grid."""
    frame = edition.units[level]
    codes, names, parents = (
        frame[name].to_numpy(object)[rows] for name in ("code", "name", "parent")
    )
    shapes = frame.geometry.to_numpy()[rows]
    none = np.zeros(len(rows), bool)
    return Layer(level, codes, names, parents, shapes, half_edges(shapes), none)


def _concerned(edition: Edition, around: tuple[str, ...]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of the units, of what is above them and of what is below, by level."""
    named = {level: _rows_of(edition, level, around) for level in LEVELS}
    known = {code for level in LEVELS for code in edition.units[level]["code"].iloc[named[level]]}
    missing = sorted(set(around) - known)
    if missing:
        raise UnknownCodeError(
            f"no unit {', '.join(missing[:10])} in edition {edition.info.id}; name units that it "
            "holds."
        )
    chosen = dict(named)
    for level, below in zip(LEVELS[-2::-1], LEVELS[:0:-1], strict=True):
        parents = edition.units[below]["parent"].iloc[chosen[below]].unique()
        chosen[level] = np.union1d(chosen[level], _rows_of(edition, level, parents))
    for level, below in itertools.pairwise(LEVELS):
        if len(named[level]):
            codes = edition.units[level]["code"].iloc[named[level]]
            children = np.flatnonzero(edition.units[below]["parent"].isin(codes).to_numpy(bool))
            named[below] = np.union1d(named[below], children)
            chosen[below] = np.union1d(chosen[below], named[below])
    return chosen


def _rows_of(edition: Edition, level: str, wanted: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of a level with these codes, ascending; tables are sorted by code."""
    codes = edition.units[level]["code"].to_numpy(object)
    asked = np.array(sorted(set(wanted)), object)
    first, end = (np.searchsorted(codes, asked, side) for side in ("left", "right"))
    return np.concatenate(
        [np.arange(a, b) for a, b in zip(first, end, strict=True)] or [np.empty(0, np.int64)]
    )


def _touching(bounds: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes touch one of the others."""
    boxes = others + np.array([-_MARGIN, -_MARGIN, _MARGIN, _MARGIN])
    frame = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    found = np.zeros(len(bounds), bool)
    near = np.flatnonzero(_meet(bounds, frame))
    for first in range(0, len(boxes), 256):
        met = _meet(bounds[near, None], boxes[None, first : first + 256])
        found[near[np.any(met, axis=1)]] = True
    return found


def _meet(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    met: NDArray[np.bool_] = (one[..., 0] <= other[..., 2]) & (one[..., 2] >= other[..., 0])
    met &= one[..., 1] <= other[..., 3]
    met &= one[..., 3] >= other[..., 1]
    return met


def _boxes(edges: HalfEdges) -> NDArray[np.float64]:
    ends = to_degrees(edges.ends).reshape(-1, 2, 2)
    return np.hstack([ends.min(axis=1), ends.max(axis=1)])
