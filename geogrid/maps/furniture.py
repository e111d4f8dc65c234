"""What stands around a static map: title, legend, scale, north arrow, source."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import shapely
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from numpy.typing import NDArray

from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.coverage.findings import RULES, Findings
from geogrid.edition import Edition, to_metres
from geogrid.maps import paths
from geogrid.maps.classes import Classes
from geogrid.maps.labels import measured
from geogrid.maps.part import Part
from geogrid.maps.scene import LINES, MARKS
from geogrid.maps.shading import LEVEL_NAMES_EN, LEVEL_PLURALS_EN, two_lines
from geogrid.maps.sheet import Layout

_INK, _GREY, _HERE = "#111111", "#555555", "#c8102e"
_SEVERITIES = {"error": "错误 Error", "warning": "警告 Warning", "note": "提示 Note"}
_MOST_RULES = 8
_COLUMN, _SWATCH, _ROW, _HEADING = 58.0, 6.5, 4.5, 4.6
"""Millimetres on A4: width of the legend and of a colour, height of a row and of a heading."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a map shows, for its legend.

    Attributes
    ----------
    chosen : (n,) bool
        Units of `level` that are in the part.
    borders : list of str
        Levels whose borders are drawn.
    """

    edition: Edition
    part: Part
    layout: Layout
    level: str
    shading: Classes
    chosen: NDArray[np.bool_]
    borders: list[str]
    findings: Findings | None


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet whose coordinates are millimetres; keeps what was written on it."""

    axes: Axes
    layout: Layout
    texts: list[str] = field(default_factory=list)

    @classmethod
    def on(cls, figure: Figure, layout: Layout) -> "Page":
        """Return a page that covers the figure."""
        axes = figure.add_axes((0, 0, 1, 1), facecolor="none")
        axes.set(xlim=(0, layout.width), ylim=(0, layout.height))
        axes.set_axis_off()
        return cls(axes, layout)

    def write(
        self, xy: tuple[float, float], text: str, points: float, *, ha: str = "left",
        ink: str = _INK,
    ) -> None:  # fmt: skip
        """Write a line of text on its base line."""
        font = self.layout.font
        self.texts.append(text)
        self.axes.text(
            *xy, font.shown(text), fontproperties=font.at(points * self.layout.size), ha=ha,
            va="baseline", color=ink, parse_math=False,
        )  # fmt: skip

    def add(self, *artists: Artist) -> None:
        """Draw patches and lines."""
        for artist in artists:
            self.axes.add_artist(artist)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the legend: its height in millimetres, and what draws it below a corner."""

    height: float
    draw: Callable[[Page, float, float], None]


def furnish(figure: Figure, shown: Shown, title: str) -> list[str]:
    """Draw title, legend, scale and source; return all texts."""
    layout = shown.layout
    page = Page.on(figure, layout)
    left, bottom, right, top = layout.map
    page.add(Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=_INK, lw=0.8))
    _title(page, shown, title)
    _source(page, shown)
    blocks = [_classes(shown), _findings(shown), _borders(shown), _scale(shown), _inset(shown)]
    _stack(page, [block for block in blocks if block is not None])
    return page.texts


def _stack(page: Page, blocks: list[Block]) -> None:
    """Draw blocks below one another, and in further columns where the panel is wide."""
    left, bottom, right, top = page.layout.panel
    size = page.layout.size
    column, gap = _COLUMN * size, 3.5 * size
    x, y = left, top
    for block in blocks:
        if y - block.height < bottom and y < top and x + 2 * column <= right + 6 * size:
            x, y = x + column, top
        block.draw(page, x, y)
        y -= block.height + gap


def _title(page: Page, shown: Shown, title: str) -> None:
    left, top, size = shown.layout.map[0], shown.layout.map[3], shown.layout.size
    heading = two_lines(shown.shading.heading)
    made = f"{shown.part.title} {LEVEL_NAMES_ZH[shown.level]}图：{heading[0]}"
    page.write((left, top + 9.5 * size), title or made, 15)
    counted = (
        f"{int(shown.chosen.sum()):,} {LEVEL_NAMES_ZH[shown.level]} {LEVEL_PLURALS_EN[shown.level]}"
    )
    households = shown.edition.units[shown.level]["households"][shown.chosen].sum()
    parts = [counted, *([f"{households:,} 户 households"] if households else []), *heading[1:]]
    page.write((left, top + 3 * size), " · ".join(parts), 8.5, ink=_GREY)


def _source(page: Page, shown: Shown) -> None:
    info, layout = shown.edition.info, shown.layout
    taken = f", {info.imagery_date}" if info.imagery_date else ""
    parts = [
        f"版本 Edition {info.id} ({info.digest[:8]})",
        f"生成 made {info.created}",
        f"坐标系 CRS {info.working_crs}",
        f"影像 Imagery: {info.imagery_source}{taken}",
    ]
    page.write((layout.map[0], 7 * layout.size), " · ".join(parts), 5.5, ink=_GREY)


def _classes(shown: Shown) -> Block:
    shading, size = shown.shading, shown.layout.size
    heading = two_lines(shading.heading)
    rows = [
        (fill, f"{text} ({n:,})", "/////" if place in shading.hatched else "")
        for place, (fill, text) in enumerate(zip(shading.fills, shading.labels, strict=True))
        if (n := int((shading.values[shown.chosen] == place).sum())) or place not in shading.hatched
    ]

    def draw(page: Page, x: float, y: float) -> None:
        for place, line in enumerate(heading):
            page.write((x, y - (place + 0.75) * _HEADING * size), line, 8.5)
        top = y - len(heading) * _HEADING * size
        for place, (fill, text, hatch) in enumerate(rows):
            base = top - (place + 0.85) * _ROW * size
            corner, width = (x, base - 0.7 * size), _SWATCH * size
            page.add(Rectangle(corner, width, 3.4 * size, fc=fill, ec="#8a8a8a", lw=0.4,
                               hatch=hatch))  # fmt: skip
            page.write((x + width + 2 * size, base), text, 7.5)

    return Block((len(heading) * _HEADING + len(rows) * _ROW) * size, draw)


def _borders(shown: Shown) -> Block:
    size = shown.layout.size
    names = {"outline": "范围 outline"} | {
        level: f"{LEVEL_NAMES_ZH[level].split('(')[0]}界 {LEVEL_NAMES_EN[level]}"
        for level in shown.borders[1:]
    }

    def draw(page: Page, x: float, y: float) -> None:
        for place, (level, text) in enumerate(names.items()):
            base = y - (place + 0.85) * _ROW * size
            colour, width = LINES[level]
            ends = ([x, x + _SWATCH * size], [base + size] * 2)
            page.add(Line2D(*ends, color=colour, lw=max(width, 0.25) * size))
            page.write((x + (_SWATCH + 2) * size, base), text, 7.5)

    return Block(len(names) * _ROW * size, draw)


def _findings(shown: Shown) -> Block | None:
    if shown.findings is None:
        return None
    size = shown.layout.size
    kinds = Counter((each.severity, each.rule) for each in shown.findings)
    order = sorted(kinds.items(), key=lambda item: ([*MARKS].index(item[0][0]), -item[1]))
    rows = [
        (severity, _fitting(shown.layout, RULES[rule].zh, RULES[rule].en, n))
        for (severity, rule), n in order[:_MOST_RULES]
    ]
    more = sum(n for _, n in order[_MOST_RULES:])
    rows += [("note", f"其他 others ({more:,})")] if more else []
    heading = f"检查发现 Findings ({len(shown.findings):,})"

    def draw(page: Page, x: float, y: float) -> None:
        page.write((x, y - 0.75 * _HEADING * size), heading, 8.5)
        for place, (severity, text) in enumerate(rows, 1):
            base = y - (place + 0.85) * _ROW * size
            colour, marker, area = MARKS[severity]
            page.add(Line2D([x + 3 * size], [base + size], color=colour, marker=marker, mec="white",
                            ms=np.sqrt(area) * size, mew=0.6, ls=""))  # fmt: skip
            page.write((x + (_SWATCH + 2) * size, base), text, 7)

    return Block((_HEADING + len(rows) * _ROW) * size, draw)


def _fitting(layout: Layout, zh: str, en: str, n: int) -> str:
    """Return both names, or the Chinese one alone where both are too wide for a column."""
    both = f"{zh} {en} ({n:,})"
    room = _COLUMN - _SWATCH - 4
    wide, _ = measured(both, 7, layout.font)
    return both if wide <= room else f"{zh} ({n:,})"


def _scale(shown: Shown) -> Block:
    layout, size = shown.layout, shown.layout.size
    length = layout.bar()
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    width = length / layout.metres_a_mm

    def draw(page: Page, x: float, y: float) -> None:
        base = y - 8 * size
        for place, colour in enumerate((_INK, "white", _INK, "white")):
            page.add(Rectangle((x + place * width / 4, base), width / 4, 1.3 * size, fc=colour,
                               ec=_INK, lw=0.5))  # fmt: skip
        page.write((x, base + 2.4 * size), "0", 7)
        page.write((x + width, base + 2.4 * size), text, 7, ha="center")
        page.write((x, base - 4 * size), f"1 : {layout.scale:,} ({page_name(layout)})", 7.5)
        _north(page, x + 50 * size, base - 3 * size, size)

    return Block(13 * size, draw)


def page_name(layout: Layout) -> str:
    """Return the size of the sheet for which the scale holds.

    A print on other paper has another scale; the bar stays right.
    """
    return f"{max(layout.width, layout.height):g} × {min(layout.width, layout.height):g} mm"


def _north(page: Page, x: float, y: float, size: float) -> None:
    tip, left, right, notch = (x, y + 8 * size), (x - 2.2 * size, y), (x + 2.2 * size, y), (
        x, y + 2 * size)  # fmt: skip
    page.add(Polygon([tip, left, notch], fc=_INK, ec=_INK, lw=0.5))
    page.add(Polygon([tip, right, notch], fc="white", ec=_INK, lw=0.5))
    page.write((x, y + 9 * size), "北 N", 7, ha="center")


def _inset(shown: Shown) -> Block | None:
    """Return the whole city in small, with the part in red; nothing for a whole city."""
    if shown.part.level == "city" and not shown.part.cut:
        return None
    edition, size = shown.edition, shown.layout.size
    crs = edition.info.working_crs
    counties = to_metres(edition.units["county"].geometry.to_numpy(), crs)
    west, south, east, north = shapely.total_bounds(counties)
    factor = min(44 / (east - west), 30 / (north - south)) * size

    def draw(page: Page, x: float, y: float) -> None:
        def small(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            moved: NDArray[np.float64] = (xy - [west, north]) * factor + [x, y - 4 * size]
            return moved

        step = 25.4 / 600
        outlines = paths.filled(shapely.transform(counties, small), step)
        page.add(PathCollection(outlines, facecolors="#f4f4f1", edgecolors=_GREY, linewidths=0.4))
        low, high = small(np.array(shown.part.metres).reshape(2, 2))
        page.add(Rectangle(low, *np.maximum(high - low, 1.0), fc="none", ec=_HERE, lw=1.0))
        page.write((x, y - 2.6 * size), f"在{edition.info.city}的位置 Place in the city", 7)

    return Block((north - south) * factor + 5 * size, draw)
