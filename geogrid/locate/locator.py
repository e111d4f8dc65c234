"""Which grid and micro-grid a position lies in: exactly one, or a reason why none.

A position is converted to CGCS2000, rounded to the integer grid and compared with whole numbers
only. A point on an edge or a vertex belongs to the lowest micro-grid code that touches it. The
levels above are that micro-grid's parents; they are never looked up by themselves.
"""

import enum
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geogrid import datums
from geogrid._kernels import Recompiles, compiled
from geogrid._kernels import locate as kernels
from geogrid.codes import LEVELS, parent_level
from geogrid.datums import Datum, Epsg, Reference
from geogrid.edition import Edition
from geogrid.errors import CoordinateError
from geogrid.locate.build import build
from geogrid.locate.index import Index, index_of

_SHARE = 1 << 16
"""Positions a thread takes at once; fewer are looked up where they are asked for."""


class Status(enum.StrEnum):
    """What became of a position."""

    HIT = "hit"
    OUTSIDE = "outside"
    NO_COORDINATES = "no_coordinates"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    SWAPPED = "swapped"

    __hash__ = str.__hash__
    """As that of the text which it equals."""


STATUS_TEXT = np.array([status.value for status in Status])
_OUTSIDE, _OUT_OF_RANGE, _SWAPPED = kernels.OUTSIDE, kernels.OUT_OF_RANGE, kernels.SWAPPED


@dataclass(frozen=True, slots=True)
class Located:
    """What was found, one value a position, in the order given.

    Attributes
    ----------
    row : (n,) int32
        Row of the micro-grid in the edition's table, -1 where nothing was hit.
    status_row : (n,) int8
        Position of the status in `Status`.
    on_edge : (n,) bool
        The point lies exactly on an edge or vertex of its micro-grid.
    edge_m : (n,) float
        Metres to the nearest edge of its micro-grid, or, outside the city, to the city if that is
        less than 1 km. NaN elsewhere, and unless asked for.
    beside : (n,) int32
        Row of the micro-grid beyond that edge, -1 for none.
    xy : (n, 2) float
        The positions as given.
    codes, grid_codes : (m + 1,) text
        Of the edition's micro-grids, by row; the last is empty.
    """

    row: NDArray[np.int32]
    status_row: NDArray[np.int8]
    on_edge: NDArray[np.bool_]
    edge_m: NDArray[np.float64]
    beside: NDArray[np.int32]
    xy: NDArray[np.float64]
    codes: NDArray[np.str_]
    grid_codes: NDArray[np.str_]

    @property
    def microgrid_code(self) -> NDArray[np.str_]:
        """Micro-grid of each position; empty where nothing was hit."""
        return self.codes[self.row]

    @property
    def grid_code(self) -> NDArray[np.str_]:
        """Grid of each position; empty where nothing was hit."""
        return self.grid_codes[self.row]

    @property
    def neighbour_code(self) -> NDArray[np.str_]:
        """Micro-grid beyond the nearest edge; empty at the city's outline and where unknown."""
        return self.codes[self.beside]

    @property
    def status(self) -> NDArray[np.str_]:
        """Values of `Status`."""
        return STATUS_TEXT[self.status_row]

    def only(self, keep: NDArray[np.bool_]) -> "Located":
        """Return the positions for which `keep` `(n,)` is true."""
        return Located(
            self.row[keep], self.status_row[keep], self.on_edge[keep], self.edge_m[keep],
            self.beside[keep], self.xy[keep], self.codes, self.grid_codes,
        )  # fmt: skip

    def reason(self, index: int, lang: str = "en") -> str:
        """Say in one sentence what became of a position, in English (`en`) or Chinese (`zh`)."""
        lon, lat = (float(value) for value in self.xy[index])
        status = Status(str(STATUS_TEXT[self.status_row[index]]))
        metres = float(self.edge_m[index])
        near = status is Status.OUTSIDE and not np.isnan(metres)
        en, zh = _NEAR if near else _REASONS[status]
        return (zh if lang == "zh" else en).format(
            lon=f"{lon:.7f}", lat=f"{lat:.7f}", code=self.codes[self.row[index]], metres=metres
        )


_REASONS = {
    Status.HIT: ("in micro-grid {code}", "位于微网格 {code}"),
    Status.OUTSIDE: ("{lon}, {lat} is outside the city", "{lon}, {lat} 在市域之外"),
    Status.NO_COORDINATES: (
        "no coordinates (0, 0 is what a phone without a fix sends)",
        "没有坐标（0, 0 为未定位的手机所发）",
    ),
    Status.NOT_A_NUMBER: ("the coordinates are not numbers", "坐标不是数字"),
    Status.OUT_OF_RANGE: (
        "{lon}, {lat} is no longitude and latitude in degrees; are these metres?",
        "{lon}, {lat} 不是以度为单位的经纬度，是否为投影坐标？",
    ),
    Status.SWAPPED: (
        "{lon}, {lat} looks like latitude before longitude; the pair would be {lat}, {lon}",
        "{lon}, {lat} 似乎把纬度写在经度之前；应为 {lat}, {lon}",
    ),
}
_NEAR = (
    "{lon}, {lat} is outside the city, {metres:.2f} m from it",
    "{lon}, {lat} 在市域之外，距市界 {metres:.2f} 米",
)


class Locator(Recompiles):
    """Finds the micro-grid of positions in one edition; made once, asked often, safe in threads.

    Examples
    --------
    >>> locator = Locator(edition)                                    # doctest: +SKIP
    >>> locator.locate(np.array([[114.65, 33.62]]), datum="gcj02").grid_code   # doctest: +SKIP
    array(['411602001001003'], dtype='<U15')
    """

    def __init__(self, edition: Edition | Index) -> None:
        """Index the micro-grids of `edition`, or take an index that is ready."""
        self.index = edition if isinstance(edition, Index) else build(edition)

    @classmethod
    def open(cls, path: Path | str) -> "Locator":
        """Open an index that `save` wrote: mapped, not read, and shared with other processes.

        Raises
        ------
        DataError
            The file is missing, is no index, or is not whole.
        """
        return cls(Index.open(Path(path)))

    @classmethod
    def of(cls, city: Path | str) -> "Locator":
        """Return the locator of an edition file; its index is kept beside the file.

        Raises
        ------
        DataError
            The file is missing, or is no edition.
        """
        return cls(index_of(Path(city), build))

    def save(self, path: Path | str) -> None:
        """Write the index to a file that `open` opens."""
        self.index.save(Path(path))

    def locate(
        self, xy: NDArray[np.float64], *, datum: Reference | str, edges: bool = False
    ) -> Located:
        """Find the micro-grid of each position.

        Parameters
        ----------
        xy : (n, 2) float
            Longitude and latitude in degrees, or east and north in metres of a projected EPSG
            system. NaN stands for a missing value, infinity for one that is no number.
        datum : Datum, Epsg or text
            What the positions refer to; there is no default.
        edges : bool
            Also measure the distance to the nearest edge, in metres on the ellipsoid (EPSG:4547
            differs by its scale, at most 0.03 % in Zhoukou), and name the unit beyond it.

        Returns
        -------
        Located
            One value a position, in the order given.
        """
        source = datums.parse_reference(datum) if isinstance(datum, str) else datum
        # A read-only array would be another type to the compiler.
        given = np.require(xy, np.float64, ["C", "W"])
        if given.ndim != 2 or given.shape[1] != 2:
            raise CoordinateError(
                f"positions have shape {given.shape}, expected (n, 2): columns longitude, latitude"
            )
        n = len(given)
        row, status, on_edge = np.empty(n, np.int32), np.empty(n, np.int8), np.empty(n, np.bool_)
        metres, beside = (
            np.full(n if edges else 1, np.nan),
            np.full(n if edges else 1, -1, np.int32),
        )
        degrees, height = given, 0
        if isinstance(source, Epsg):
            degrees = _degrees(given, source)
        else:
            height = datums.HEIGHTS[source]

        def look_up(part: slice) -> None:
            points = np.empty((part.stop - part.start, 2), np.int64)
            kernels.locate(
                degrees[part], height, self.index.box, self.index.cells, points, row[part],
                status[part], on_edge[part],
            )  # fmt: skip
            if edges:
                kernels.measure(
                    points, row[part], status[part], self.index.borders, metres[part], beside[part]
                )

        _in_threads(look_up, n)
        if isinstance(source, Epsg):
            self._recognise_swapped(given, source, status)
        if not edges:  # one value for all, which takes no memory
            metres, beside = np.broadcast_to(metres, n), np.broadcast_to(beside, n)
        return Located(
            row, status, on_edge, metres, beside, given, self.index.codes, self.index.grid_codes
        )

    def find(self, lon: float, lat: float, *, datum: Datum | str) -> tuple[str, Status]:
        """Find the micro-grid of one position: its code, empty if there is none, and the status.

        The same answer as `locate` gives, in microseconds.
        """
        known = datum if isinstance(datum, Datum) else datums.parse(datum)
        row, status, _ = self._find_one(
            float(lon), float(lat), datums.HEIGHTS[known], self.index.box, self.index.cells
        )
        return (str(self.index.codes[row]) if row >= 0 else ""), _STATUSES[status]

    @cached_property
    def _find_one(self) -> Callable[..., Any]:
        return compiled(kernels.locate_one, 0.0, 0.0, 0, self.index.box, self.index.cells)

    def _recognise_swapped(
        self, xy: NDArray[np.float64], source: Epsg, status: NDArray[np.int8]
    ) -> None:
        """Mark pairs of an EPSG system that would lie in the city the other way round."""
        missed = np.flatnonzero((status == _OUTSIDE) | (status == _OUT_OF_RANGE))
        west, south, east, north = self.index.box
        lon, lat = _degrees(xy[missed, ::-1], source).T
        inside = (west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)
        status[missed[inside]] = _SWAPPED


_STATUSES = tuple(Status)


def chain(edition: Edition, microgrid_code: str) -> dict[str, str]:
    """Return the codes of a micro-grid and of the units above it, by level from the city down."""
    codes = {"microgrid": microgrid_code}
    for level in reversed(LEVELS[1:]):
        table = edition.units[level]
        row = int(np.searchsorted(table["code"].to_numpy(str), codes[level]))
        codes[parent_level(level)] = str(table["parent"].iloc[row])
    return {level: codes[level] for level in LEVELS}


def _degrees(xy: NDArray[np.float64], source: Epsg) -> NDArray[np.float64]:
    """Return degrees; a number that a projection is not defined for is out of range, not none."""
    moved = datums.convert(np.where(np.isinf(xy), np.nan, xy), source, Datum.CGCS2000)
    undefined = np.isfinite(xy).all(axis=1) & ~np.isfinite(moved).all(axis=1)
    moved[undefined] = 999.0
    moved[np.isinf(xy).any(axis=1)] = np.inf
    return np.require(moved, np.float64, ["C", "W"])


def _in_threads(work: Callable[[slice], None], n: int) -> None:
    """Do `work` on parts of `n` positions; the kernels let go of the interpreter."""
    parts = [slice(first, min(first + _SHARE, n)) for first in range(0, n, _SHARE)]
    if len(parts) <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(work, parts))
