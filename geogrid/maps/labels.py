"""Names on a static map that do not cover one another."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.maps.fonts import Font
from geogrid.maps.sheet import Box

_POINT = 25.4 / 72
"""Millimetres a point."""

_SHIFTS = ((0.0, 0.0), (0.0, 1.0), (0.0, -1.0), (0.5, 0.0), (-0.5, 0.0), (0.3, 1.0), (-0.3, -1.0))
"""Places to try, in widths and heights of the text from the middle of the unit."""

_ROOM = 0.4
"""Millimetres between two names."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text in the middle of `x`, `y` (millimetres) at a size in points."""

    text: str
    x: float
    y: float
    points: float


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one level that want a place.

    Attributes
    ----------
    texts : list of str
    shapes : (n,) polygons
        Their units on paper, in millimetres.
    points : float
        Size of the letters.
    inside : bool
        A name that is wider than its unit is left out.
    """

    texts: list[str]
    shapes: NDArray[np.object_]
    points: float
    inside: bool


def place(levels: list[Names], frame: Box, font: Font) -> list[Label]:
    """Return the names that find a place inside `frame`, the first level and large units first.

    A name that would cover another one is moved by its own height or half its width; one that finds
    no place is left out.
    """
    taken = np.empty((0, 4))
    placed: list[Label] = []
    for names in levels:
        if not len(names.shapes):
            continue
        middles, radii = _middles(names.shapes)
        for k in np.argsort(-shapely.area(names.shapes), kind="stable"):
            width, height = measured(names.texts[k], names.points, font)
            if not names.texts[k] or (names.inside and width > 2.2 * radii[k]):
                continue
            free = _free(middles[k], (width, height), taken, frame)
            if free is not None:
                placed.append(Label(names.texts[k], free[0], free[1], names.points))
                taken = np.vstack([taken, free[2:]])
    return placed


def measured(text: str, points: float, font: Font) -> tuple[float, float]:
    """Return width and height of a text in millimetres."""
    return sum(map(font.advance, font.shown(text))) * points * _POINT, points * _POINT


def _middles(shapes: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle of the largest circle inside each unit, and its radius."""
    largest = np.array([max(shapely.get_parts(each), key=shapely.area) for each in shapes])
    spokes = [shapely.maximum_inscribed_circle(each, tolerance=0.3) for each in largest]
    return shapely.get_coordinates(shapely.get_point(spokes, 0)), shapely.length(spokes)


def _free(
    middle: NDArray[np.float64], size: tuple[float, float], taken: NDArray[np.float64], frame: Box
) -> tuple[float, ...] | None:
    """Return middle and box of the first place that is free, or nothing."""
    for across, up in _SHIFTS:
        x, y = middle[0] + across * size[0], middle[1] + up * size[1]
        box = (x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)
        inside = box[0] > frame[0] and box[1] > frame[1] and box[2] < frame[2] and box[3] < frame[3]
        apart = (
            (taken[:, 0] > box[2] + _ROOM)
            | (taken[:, 2] < box[0] - _ROOM)
            | (taken[:, 1] > box[3] + _ROOM)
            | (taken[:, 3] < box[1] - _ROOM)
        )
        if inside and apart.all():
            return (x, y, *box)
    return None
