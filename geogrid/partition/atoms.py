"""Atoms: the smallest pieces of land, never cut afterwards, and the graph of their borders."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geogrid._kernels import segment
from geogrid.partition.barriers import LAB_UNITS, Barriers

# On 20 aerial images with drawn fields, at 400 atoms per Mpx: recall .813, precision .492; .7 gave
# .819 and .439.
_SIZE_POWER = 0.5
# Weight of the colour distance beside the mean climb: .1 gave recall .805, .4 precision .457.
_TINT = 0.2 * 256
# Pull towards compact pieces where nothing shows. None gave recall .830 and precision .475, and
# zones less compact by .015.
_GRIP = 0.3
# An atom's mass may exceed the mean by this factor: one and a half micro-grids.
_HEAVIEST = 12.0


@dataclass(frozen=True, slots=True)
class Atoms:
    """The atoms of one village and their graph.

    Attributes
    ----------
    labels : (height, width) int32
        Atom of each pixel of the village's window; -1 where it is not the village's.
    area : (n,) float64
        Pixels of each atom.
    weight : (n,) float64
        What is to be balanced (households, or built-up area).
    outer : (n,) float64
        Pixel edges on the village's outline.
    first, second : (m,) int32
        Atoms that touch, first < second.
    length : (m,) float64
        Pixel edges they share.
    strength : (m,) float64
        Mean relief along them, in Lab units.
    shut : (m,) bool
        They lie wholly on a river, a railway or an expressway that nothing crosses there.
    """

    labels: NDArray[np.int32]
    area: NDArray[np.float64]
    weight: NDArray[np.float64]
    outer: NDArray[np.float64]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    length: NDArray[np.float64]
    strength: NDArray[np.float64]
    shut: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.area)


def grow(
    barriers: Barriers,
    inside: NDArray[np.bool_],
    *,
    mass: NDArray[np.float32],
    weight: NDArray[np.float32],
    buildings: NDArray[np.int32] | None = None,
    heaviest: float = np.inf,
) -> Atoms:
    """Grow the atoms of one village.

    Parameters
    ----------
    barriers : Barriers
        The relief of the village's window.
    inside : (height, width) bool
        The village's pixels. Only their largest 4-connected part is divided; pixels beyond a
        bottleneck narrower than a pixel join the nearest atom when outlines are drawn.
    mass : (height, width) float32
        How many atoms a pixel is worth; their sum is the number of atoms asked for. Fewer come
        out where the village has fewer basins.
    weight : (height, width) float32
        What is to be balanced, by pixel.
    buildings : (height, width) int32, optional
        Number of the building on a pixel, -1 where there is none. An atom holds the whole of a
        building, as far as its pixels hang together.
    heaviest : float
        Weight above which buildings do not share an atom. A single heavier one stays whole.
    """
    inside = segment.largest_component(inside)
    whole = np.full(inside.shape, np.int32(-1)) if buildings is None else buildings
    labels = segment.toboggan(barriers.relief, inside, whole)
    n = int(labels.max()) + 1
    first, second, length, climb, rim = segment.region_graph(labels, barriers.relief)
    size = np.bincount(labels[inside], minlength=n)
    colour = [segment.sums_by_label(labels, barriers.lab[..., band], n) for band in range(3)]
    load = segment.sums_by_label(labels, mass, n)
    target = max(round(load.sum()), 1)
    joined = segment.merge(
        first, second, length, climb, load * (target / load.sum()),
        np.column_stack(colour) / (LAB_UNITS * size[:, None]), rim,
        segment.sums_by_label(labels, weight, n) / heaviest,
        target=target, power=_SIZE_POWER, tint=_TINT, grip=_GRIP, most=_HEAVIEST,
    )  # fmt: skip
    lookup = np.append(joined, np.int32(-1))
    return _measure(lookup[labels], barriers, weight)


def _measure(labels: NDArray[np.int32], barriers: Barriers, weight: NDArray[np.float32]) -> Atoms:
    n = int(labels.max()) + 1
    first, second, length, climb, rim = segment.region_graph(labels, barriers.relief)
    shut = np.zeros(len(first), bool)
    if barriers.walls is not None:
        # Of the two pixels of an edge that a wall runs along, one at least is the wall's.
        shut = segment.region_graph(labels, barriers.walls.astype(np.uint16))[3] == length
    shared = np.bincount(first, length, n) + np.bincount(second, length, n)
    return Atoms(
        labels=labels,
        area=np.bincount(labels[labels >= 0], minlength=n).astype(np.float64),
        weight=segment.sums_by_label(labels, weight, n),
        outer=rim - shared,
        first=first,
        second=second,
        length=length,
        strength=climb / np.maximum(length, 1) / 256,
        shut=shut,
    )
