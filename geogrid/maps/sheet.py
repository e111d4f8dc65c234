"""The sheet of paper under a static map: size, orientation, scale, and where things stand.

All places and sizes are millimetres of paper from the lower left corner.
"""

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from geogrid.errors import UsageError
from geogrid.maps.fonts import OWN, Font

PAPERS = MappingProxyType({"A2": (594, 420), "A3": (420, 297), "A4": (297, 210), "A5": (210, 148)})
"""Sizes of ISO 216, long side first."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_A4_DIAGONAL = float(np.hypot(297, 210))
_LEAST_DPI, _MOST_DPI = 50, 600


@dataclass(frozen=True, slots=True)
class Sheet:
    """How a static map is printed.

    Attributes
    ----------
    title : str
        Made from the names of city and part where none is given.
    paper : str
        A2, A3, A4 or A5; upright or lying, whichever makes the map larger.
    dpi : int
        Pixels an inch of PNG files and of the colours in PDF and SVG files.
    font : Path
        Another font file, for names with characters that the one in the package lacks.
    """

    title: str = ""
    paper: str = "A4"
    dpi: int = 200
    font: Path = OWN

    def __post_init__(self) -> None:
        """Refuse what no printer has."""
        if self.paper not in PAPERS:
            raise UsageError(f"no paper {self.paper!r}: there are {', '.join(PAPERS)}")
        if not _LEAST_DPI <= self.dpi <= _MOST_DPI:
            raise UsageError(f"{self.dpi} dpi: give {_LEAST_DPI} to {_MOST_DPI} pixels an inch")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand on a sheet, for a map of so many metres.

    Attributes
    ----------
    width, height : float
    map, panel : Box
        The map, and the strip for legend and scale.
    metres : Box
        West, south, east, north of the map in the working CRS.
    scale : int
        Metres on the ground a metre of paper, two digits and zeros.
    size : float
        1 on A4; texts and gaps grow with the paper.
    """

    width: float
    height: float
    map: Box
    panel: Box
    metres: Box
    scale: int
    size: float
    font: Font = field(default_factory=Font)

    @classmethod
    def of(cls, sheet: Sheet, extent: Box) -> "Layout":
        """Return the layout, upright or lying, on which `extent` (metres) is larger."""
        long, short = PAPERS[sheet.paper]
        both = [cls._on(sheet, extent, (long, short)), cls._on(sheet, extent, (short, long))]
        return min(both, key=lambda layout: layout.scale)

    @classmethod
    def _on(cls, sheet: Sheet, extent: Box, paper: tuple[float, float]) -> "Layout":
        width, height = paper
        size = float(np.hypot(width, height)) / _A4_DIAGONAL
        edge, header, footer = 9 * size, 17 * size, 6 * size
        inner = (edge, edge + footer, width - edge, height - edge - header)
        if width > height:
            cut = inner[2] - 60 * size
            map_, panel = (*inner[:2], cut, inner[3]), (cut + 4 * size, *inner[1:])
        else:
            cut = inner[1] + 54 * size
            map_, panel = (inner[0], cut, *inner[2:]), (*inner[:3], cut - 4 * size)
        west, south, east, north = extent
        across, up = map_[2] - map_[0], map_[3] - map_[1]
        least = 1.04 * max((east - west) / across, (north - south) / up, 1e-3)
        a_mm = _two_digits(least * 1000) / 1000
        x, y = (west + east) / 2, (south + north) / 2
        half = (across * a_mm / 2, up * a_mm / 2)
        metres = (x - half[0], y - half[1], x + half[0], y + half[1])
        return cls(width, height, map_, panel, metres, round(a_mm * 1000), size, Font(sheet.font))

    @property
    def metres_a_mm(self) -> float:
        """Metres on the ground a millimetre of paper."""
        return self.scale / 1000

    def bar(self) -> float:
        """Return the length of the scale bar in metres: 1, 2 or 5 and zeros, at most 40 mm."""
        most = 40 * self.size * self.metres_a_mm
        power = 10.0 ** np.floor(np.log10(most))
        return float(max(step for step in (1, 2, 5) if step * power <= most) * power)


def _two_digits(number: float) -> float:
    """Return the next number upwards with two digits and zeros.

    >>> _two_digits(123_456.0)
    130000.0
    """
    power = 10.0 ** (np.floor(np.log10(number)) - 1)
    return float(np.ceil(number / power - 1e-9) * power)
