"""What stands inside the frame of a static map: shaded units, borders, names, findings."""

import re
from dataclasses import dataclass

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.path import Path
from numpy.typing import NDArray

from geogrid.codes import LEVELS
from geogrid.coverage.findings import Findings
from geogrid.coverage.topology import OUTSIDE, Topology
from geogrid.edition import Edition, to_degrees, to_metres
from geogrid.maps import paths
from geogrid.maps.classes import Classes
from geogrid.maps.labels import Names
from geogrid.maps.part import Part, ancestors
from geogrid.maps.sheet import Layout

LINES = {
    "outline": ("#111111", 1.5), "county": ("#111111", 1.1), "township": ("#2b2b2b", 0.65),
    "village": ("#3d3d3d", 0.45), "grid": ("#555555", 0.3), "microgrid": ("#777777", 0.14),
}  # fmt: skip
"""Colour and width (points) of borders by level; `outline` is that of the part shown."""

MARKS = {"error": ("#c8102e", "o", 26.0), "warning": ("#e69f00", "^", 24.0),
         "note": ("#0072b2", "s", 18.0)}  # fmt: skip
"""Colour, marker and size of findings by severity; shapes differ for those who see no colours."""

_LINE_MM = {"township": 1.2, "village": 1.8, "grid": 1.6, "microgrid": 1.3}
"""Least mean size on paper at which borders of a level are drawn: closer ones make a grey smear."""

_NAME_MM = {"county": 6.0, "township": 6.0, "village": 5.0, "grid": 8.0, "microgrid": 4.5}
"""Least mean size on paper at which units of a level are named."""

_NAME_POINTS = {"county": 10.0, "township": 7.5, "village": 6.0, "grid": 5.5, "microgrid": 4.5}
_AROUND, _AROUND_LINE = "#ecebe7", "#c9c7c1"
_HATCH = "#8a8a8a"
_PIXELS_A_STEP = 0.25
_SUFFIXES = ((re.compile("村民委员会$"), "村"), (re.compile("居民委员会$"), ""))


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of an edition on a sheet; shapes are millimetres of paper."""

    edition: Edition
    part: Part
    layout: Layout
    level: str
    dpi: int

    @property
    def step(self) -> float:
        """Millimetres that vertices are rounded to."""
        return 25.4 / self.dpi * _PIXELS_A_STEP

    def on_paper(self, shapes: NDArray[np.object_]) -> NDArray[np.object_]:
        """Return shapes in degrees as millimetres of paper."""
        metric = to_metres(shapes, self.edition.info.working_crs)
        moved: NDArray[np.object_] = shapely.transform(metric, self._paper)
        return moved

    def mean_mm(self, level: str) -> float:
        """Return the mean size of a unit of `level` in millimetres of paper."""
        area = self.edition.units[level]["area_m2"].to_numpy()[self.part.held[level]]
        return float(np.sqrt(area.mean())) / self.layout.metres_a_mm

    def fill(self, axes: Axes, shading: Classes, shown: NDArray[np.bool_]) -> None:
        """Paint the units that are shown, a colour a class; hatch those of which nothing is known.

        A pixel's width of outline in the same colour closes the cracks between neighbours.
        """
        shapes = self.on_paper(self.edition.units[self.level].geometry.to_numpy()[shown])
        classes = shading.values[shown]
        for place, colour in enumerate(shading.fills):
            own = shapes[classes == place]
            self._paint(axes, paths.filled(own, self.step), colour)
            if place in shading.hatched and len(own):
                whole = paths.filled(np.array([shapely.coverage_union_all(own)]), self.step)
                axes.add_collection(
                    PathCollection(whole, facecolors="none", edgecolors=_HATCH, hatch="/////",
                                   linewidths=0, zorder=1.5)
                )  # fmt: skip

    def around(self, axes: Axes) -> None:
        """Paint the townships beside the part in grey."""
        if self.part.cut or self.part.level == "city":
            return
        table = self.edition.units["township"]
        other = ~self.part.held.get("township", np.zeros(len(table), bool))
        shapes = self.on_paper(table.geometry.to_numpy()[other])
        frame = shapely.box(*self.layout.map)
        painted = paths.filled(shapes[shapely.intersects(shapes, frame)], self.step)
        axes.add_collection(
            PathCollection(painted, facecolors=_AROUND, edgecolors=_AROUND_LINE, linewidths=0.5,
                           zorder=0)
        )  # fmt: skip

    def borders(self, axes: Axes) -> list[str]:
        """Draw every border once, as one of the highest level that it parts; return the levels."""
        levels = [
            level
            for level in LEVELS[LEVELS.index(self.part.level) + 1 : LEVELS.index(self.level) + 1]
            if self.mean_mm(level) >= _LINE_MM.get(level, 0.0)
        ]
        finest = levels[-1] if levels else self.part.level
        table = self.edition.units[finest]
        shown = self.part.held[finest]
        pieces, row = shapely.get_parts(table.geometry.to_numpy()[shown], return_index=True)
        arcs = Topology.of(pieces)
        kind = self._kinds(arcs, levels, np.flatnonzero(shown)[row])
        arc = np.repeat(np.arange(len(arcs)), np.diff(arcs.starts))
        xy = self._paper(self._metric(to_degrees(arcs.xy)))
        for place, name in enumerate(["outline", *levels]):
            own = kind[arc] == place
            colour, width = LINES[name]
            axes.add_collection(
                PathCollection(
                    paths.stroked(xy[own], arc[own], self.step), facecolors="none",
                    edgecolors=colour, linewidths=width * self.layout.size, capstyle="round",
                    joinstyle="round", zorder=8 - place,
                )
            )  # fmt: skip
        return ["outline", *(name for place, name in enumerate(levels, 1) if (kind == place).any())]

    def names(self, drawn: list[str]) -> list[Names]:
        """Return the names of the units below the part that are large enough on paper."""
        found = []
        first = LEVELS.index(self.part.level) + 1
        for level in LEVELS[first : LEVELS.index(self.level) + 1]:
            if level in drawn and self.mean_mm(level) >= _NAME_MM[level] * self.layout.size:
                table = self.edition.units[level][self.part.held[level]]
                shapes = self._in_frame(self.on_paper(table.geometry.to_numpy()))
                texts = [
                    short_name(name, code, level)
                    for name, code in zip(table["name"], table["code"], strict=True)
                ]
                inside = level not in ("county", "township")
                points = _NAME_POINTS[level] * self.layout.size
                found.append(Names(texts, shapes, points, inside))
        return found

    def mark(self, axes: Axes, findings: Findings) -> None:
        """Draw findings where they are: the fault itself, and a sign by severity."""
        frame = shapely.box(*self.layout.map)
        for severity, (colour, marker, size) in reversed(MARKS.items()):
            own = [each for each in findings if each.severity == severity]
            shapes = np.array([each.shape for each in own if each.shape is not None], object)
            if len(shapes):
                faults = paths.filled(self.on_paper(_polygons(shapes)), self.step)
                axes.add_collection(
                    PathCollection(faults, facecolors=colour, edgecolors=colour, linewidths=0.8,
                                   alpha=0.8, zorder=9)
                )  # fmt: skip
            points = [each.point for each in own if each.point is not None]
            places = self.on_paper(shapely.points(np.array(points).reshape(-1, 2)))
            xy = shapely.get_coordinates(places[shapely.intersects(places, frame)])
            axes.scatter(xy[:, 0], xy[:, 1], s=size * self.layout.size, c=colour, marker=marker,
                         edgecolors="white", linewidths=0.6, zorder=10)  # fmt: skip

    def _paint(self, axes: Axes, painted: list[Path], colour: str) -> None:
        crack = 72 / self.dpi
        collection = PathCollection(
            painted, facecolors=colour, edgecolors=colour, linewidths=crack, antialiaseds=False,
            zorder=1, rasterized=True,
        )  # fmt: skip
        axes.add_collection(collection)

    def _kinds(
        self, arcs: Topology, levels: list[str], rows: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return for each arc 0 for the outline, else one more than the place of its level."""
        finest = levels[-1] if levels else self.part.level
        kind = np.zeros(len(arcs), np.int64)
        outer = arcs.right == OUTSIDE
        for place, level in reversed(list(enumerate(levels, 1))):
            of = ancestors(self.edition, finest, level)[rows]
            kind[(of[arcs.left] != of[arcs.right]) & ~outer] = place
        return kind

    def _in_frame(self, shapes: NDArray[np.object_]) -> NDArray[np.object_]:
        """Return shapes as seen through the frame, for the middle of what is seen."""
        if not self.part.cut:
            return shapes
        seen = shapely.clip_by_rect(shapes, *self.layout.map)
        kept: NDArray[np.object_] = np.where(shapely.area(seen) > 0, _polygons(seen), shapes)
        return kept

    def _metric(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        points = to_metres(np.array([shapely.multipoints(xy)]), self.edition.info.working_crs)
        metric: NDArray[np.float64] = shapely.get_coordinates(points)
        return metric

    def _paper(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return metres as millimetres of paper."""
        west, south, _, _ = self.layout.metres
        left, bottom, _, _ = self.layout.map
        corner = np.array([left, bottom])
        moved: NDArray[np.float64] = (xy - [west, south]) / self.layout.metres_a_mm + corner
        return moved


def short_name(name: str, code: str, level: str) -> str:
    """Return what a map has room for: a village without its committee, a serial for a grid.

    >>> short_name("陈州社区居民委员会", "411602001001", "village")
    '陈州社区'
    >>> short_name("李庄村民委员会", "411602001002", "village")
    '李庄村'
    >>> short_name("陈州社区居民委员会第三网格", "411602001001003", "grid")
    '003'
    """
    if level in ("grid", "microgrid"):
        return code[-3:]
    for pattern, ending in _SUFFIXES:
        name = pattern.sub(ending, name)
    return name or code


def _polygons(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the polygons among shapes and collections; a thin circle where there are none."""
    areal = shapely.get_dimensions(shapes) == 2
    return np.where(areal, shapes, shapely.buffer(shapes, 1e-6))
