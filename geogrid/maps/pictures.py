"""Static maps for print and reports: PNG, PDF or SVG of a city or a part of it, to scale.

Colours are pixels even in a PDF: a hundred thousand polygons as vectors choke a printer. Borders
and texts are vectors, and texts can be searched and copied.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Stroke

from geogrid.codes import LEVELS
from geogrid.coverage.findings import Findings
from geogrid.edition import Edition
from geogrid.errors import UsageError
from geogrid.maps import PICTURES
from geogrid.maps.classes import Colour, classes_of
from geogrid.maps.furniture import Shown, furnish
from geogrid.maps.labels import Label, place
from geogrid.maps.part import Part
from geogrid.maps.scene import Scene
from geogrid.maps.shading import shade
from geogrid.maps.sheet import Box, Layout, Sheet
from geogrid.store import replacing

_NOTEBOOK_DPI = 110
_AUTO_MM = 1.0
"""Units smaller than this on paper, on average, are too small to be told apart."""

_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": "geogrid", "Producer": None, "CreationDate": None},
    "svg": {"Creator": "geogrid", "Date": None},
}
"""No clock and no version: the same map has the same bytes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A static map; a notebook shows it, `save` writes it.

    Attributes
    ----------
    figure : matplotlib Figure
        Of no backend: to add to it, or to show it in another program.
    dpi : int
        Of the sheet.
    missing : str
        Characters that the font cannot show; `〓` stands for them.
    """

    figure: Figure
    dpi: int
    missing: str

    def save(self, path: Path | str) -> None:
        """Write the map as `.png`, `.pdf` or `.svg`, whole or not at all.

        Raises
        ------
        UsageError
            Another suffix.
        DataError
            The folder is missing or cannot be written. The old file is unchanged.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind not in PICTURES:
            raise UsageError(f"cannot write {path.name}: pictures are {', '.join(PICTURES)}")
        with replacing(path) as draft, draft.open("wb") as file:
            self._write(file, kind[1:], self.dpi)

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self._write(content, "png", _NOTEBOOK_DPI)
        return content.getvalue()

    def _write(self, file: IO[bytes], kind: str, dpi: int) -> None:
        with _settings():
            self.figure.savefig(file, format=kind, dpi=dpi, metadata=_METADATA[kind])


def picture(
    edition: Edition,
    color: Colour = "households",
    *,
    level: str = "auto",
    part: str | Box = "",
    findings: Findings | None = None,
    sheet: Sheet | None = None,
) -> Picture:
    """Return a static map of an edition or a part of it, drawn to scale in the working CRS.

    Parameters
    ----------
    color : str, Series, Classes or MapClassifier
        As for `classes_of`: `households`, `balance` (over the mean of the parent's units), `kind`
        …, or a Series of warnings, numbers or names by code; besides `density` and `none`.
    level : str
        Level of the units that are shaded; by default that of a Series, or the finest that can be
        told apart on paper.
    part : str or box
        Code or full name of a county, township, village or grid; or west, south, east, north in
        degrees.
    findings : Findings, optional
        What a check found, drawn at its place by severity.
    sheet : Sheet, optional
        Title, paper (A4), pixels an inch (200), font.

    Raises
    ------
    UsageError
        No such measure, level or paper.
    UnknownCodeError
        A part or a code that the edition does not hold.

    Examples
    --------
    >>> picture(city, "balance", part="川汇区").save("balance.pdf")  # doctest: +SKIP
    """
    sheet = sheet or Sheet()
    where = Part.of(edition, part)
    layout = Layout.of(sheet, where.metres)
    where = where.widened(edition, layout.metres)
    level = _level(edition, color, level, (where, layout))
    shading = shade(edition, level, color)
    scene = Scene(edition, where, layout, level, sheet.dpi)
    chosen = where.held[level]
    with _settings():
        figure = Figure((layout.width / 25.4, layout.height / 25.4), facecolor="white")
        frame = _frame(figure, layout)
        scene.around(frame)
        scene.fill(frame, shading, chosen)
        borders = scene.borders(frame)
        labels = place(scene.names(borders), layout.map, layout.font)
        _letter(frame, layout, labels)
        if findings is not None:
            scene.mark(frame, findings)
        shown = Shown(edition, where, layout, level, shading, chosen, borders, findings)
        texts = furnish(figure, shown, sheet.title)
    missing = layout.font.warn_of([*texts, *(label.text for label in labels)])
    return Picture(figure, sheet.dpi, missing)


@contextmanager
def _settings() -> Iterator[None]:
    """Use matplotlib's own settings and ours, and put the caller's back afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("pdf", fonttype=42, compression=9)  # 42: text stays text
        mpl.rc("svg", fonttype="path", hashsalt="geogrid")
        mpl.rc("hatch", linewidth=0.4)
        mpl.rc("text", hinting="none")  # letters keep their distances at any size
        yield


def _level(edition: Edition, color: Colour, level: str, place_: tuple[Part, Layout]) -> str:
    """Return the level to shade."""
    if level != "auto" and level not in LEVELS:
        raise UsageError(f"no level {level!r}; there are {', '.join(LEVELS)}, and auto")
    if not isinstance(color, str):
        return classes_of(edition, color, level).level
    part, layout = place_
    below = LEVELS[LEVELS.index(part.level) :]
    if level != "auto":
        if level not in below:
            raise UsageError(f"{part.title} is no part of a {level}: it has {', '.join(below)}")
        return level
    fine = [
        each
        for each in below
        if Scene(edition, part, layout, each, 100).mean_mm(each) >= _AUTO_MM * layout.size
    ]
    return fine[-1] if fine else below[0]


def _frame(figure: Figure, layout: Layout) -> Axes:
    """Return the axes of the map, in millimetres of paper."""
    left, bottom, right, top = layout.map
    box = (
        left / layout.width, bottom / layout.height,
        (right - left) / layout.width, (top - bottom) / layout.height,
    )  # fmt: skip
    axes = figure.add_axes(box, facecolor="white")
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    return axes


def _letter(axes: Axes, layout: Layout, labels: list[Label]) -> None:
    """Write names with a white rim; the letters themselves stay text in a PDF."""
    for label in labels:
        font = layout.font.at(label.points)
        text = layout.font.shown(label.text)
        rim = [Stroke(linewidth=label.points / 4, foreground="white", alpha=0.85)]
        for order, effects in ((11, rim), (12, None)):
            axes.text(
                label.x, label.y, text, fontproperties=font, ha="center", va="center_baseline",
                color="#111111", path_effects=effects, zorder=order, parse_math=False,
            )  # fmt: skip
