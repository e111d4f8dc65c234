"""Datums of Chinese coordinates and the exact way from one to another.

Phones and city systems give positions in four datums that look alike: 96 % of the positions of a
wrong datum fall into a wrong micro-grid, and only 1 % fall outside the city. So every position
travels with its `Datum`, and nothing here guesses one (rule R-30).

WGS84 and CGCS2000 are the same numbers here: plate motion since 2000.0 makes about 0.75 m by 2026.
GCJ-02 and BD-09 are the published algorithms; near Zhoukou they agree with the map providers'
own service to a few centimetres, and less well in the far west of China.

Any other system is named by its EPSG code and goes through PROJ. No parameters from Xian 1980 or
Beijing 1954 to CGCS2000 are published, and PROJ would shift them by nothing: they are refused.
"""

import enum
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.enums import TransformDirection

from geogrid._kernels import datums as kernels
from geogrid.errors import CoordinateError


class Datum(enum.Enum):
    """What longitude and latitude refer to."""

    WGS84 = "wgs84"
    """GPS, OpenStreetMap."""
    CGCS2000 = "cgcs2000"
    """天地图 and survey data of the government; our own."""
    GCJ02 = "gcj02"
    """高德, 腾讯, and phones that use them."""
    BD09 = "bd09"
    """百度 degrees (not its metres)."""

    __hash__ = object.__hash__
    """As fast as they are compared; that of an enum is a call of Python."""


@dataclass(frozen=True, slots=True)
class Epsg:
    """A reference system by its EPSG code, degrees or metres; coordinates are east before north."""

    code: int

    @property
    def value(self) -> str:
        """Name as `parse_reference` reads it."""
        return f"epsg:{self.code}"


Reference = Datum | Epsg
"""What positions refer to."""


def parse(text: str) -> Datum:
    """Return the datum named `text`; case does not matter.

    Raises
    ------
    CoordinateError
        There is no such datum.

    Examples
    --------
    >>> parse("GCJ02")
    <Datum.GCJ02: 'gcj02'>
    """
    try:
        return Datum(text.strip().lower())
    except ValueError:
        choices = ", ".join(datum.value for datum in Datum)
        if _OLD_DATUM.match(text.strip()):
            raise CoordinateError(
                f"{text[:40]!r}: no transformation to CGCS2000 that is good to a metre is "
                f"published. {_CONVERT_FIRST} Then it is one of {choices}.",
                f"{text[:40]!r}：没有公开的、优于 1 米的转换参数。{_CONVERT_FIRST_ZH}",
            ) from None
        if text.strip().lower().startswith("epsg:"):
            raise CoordinateError(
                f"{text[:40]!r}: single positions and batches are in one of {choices}. A whole "
                "file may be in any system: `geogrid locate`, or POST /v1/jobs.",
                f"{text[:40]!r}：单个或成批坐标的坐标系应为 {choices} 之一；"
                "整个文件可用任何参考系：geogrid locate 或 POST /v1/jobs。",
            ) from None
        raise CoordinateError(
            f"unknown datum {text[:40]!r}; choose one of {choices}. "
            "Ask whoever supplied the coordinates: it cannot be seen from the numbers.",
            f"没有坐标系 {text[:40]!r}，应为 {choices} 之一。"
            "请向数据提供方确认：从数字上看不出坐标系。",
        ) from None


def parse_reference(text: str) -> Reference:
    """Return the datum or the EPSG system (`epsg:4547`) named `text`.

    Raises
    ------
    CoordinateError
        There is no such datum or system, or no way from that system to CGCS2000 that is good to a
        metre.

    Examples
    --------
    >>> parse_reference("bd09"), parse_reference("EPSG:4547")
    (<Datum.BD09: 'bd09'>, Epsg(code=4547))
    """
    numbered = re.fullmatch(r"epsg:([0-9]{4,6})", text.strip().lower())
    if numbered is None:
        return parse(text)
    system = Epsg(int(numbered[1]))
    _projection(system.code)
    return system


def convert(xy: NDArray[np.float64], source: Reference, target: Reference) -> NDArray[np.float64]:
    """Return positions of datum `source` in datum `target`.

    The way there and back is exact to 1e-9 degree over China (three fixed-point steps, rule R-32).
    Positions outside China are shifted like any other: check the range before.

    Parameters
    ----------
    xy : (n, 2) float
        Longitude and latitude in degrees, or east and north in metres for a projected EPSG system;
        a row with NaN gives NaN.

    Returns
    -------
    (n, 2) float
        A new array. Positions where a projection is not defined become infinite.

    Examples
    --------
    >>> convert(np.array([[114.6497, 33.6204]]), Datum.WGS84, Datum.GCJ02).round(7)
    array([[114.6550742,  33.6187537]])
    """
    xy = np.array(xy, np.float64, order="C")
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise CoordinateError(
            f"positions have shape {xy.shape}, expected (n, 2): columns longitude, latitude"
        )
    if isinstance(source, Epsg):
        return convert(_project(xy, source, TransformDirection.FORWARD), Datum.WGS84, target)
    if isinstance(target, Epsg):
        return _project(convert(xy, source, Datum.WGS84), target, TransformDirection.INVERSE)
    climb, descend = HEIGHTS[source], HEIGHTS[target]
    for step in range(climb, descend):
        xy = _AWAY[step](xy)
    for step in range(climb, descend, -1):
        xy = _BACK[step - 1](xy)
    return xy


def _project(
    xy: NDArray[np.float64], system: Epsg, direction: TransformDirection
) -> NDArray[np.float64]:
    way = _projection(system.code)
    moved = way.transform(xy[:, 0], xy[:, 1], direction=direction)
    out = np.column_stack(moved)
    out[np.isnan(xy).any(axis=1)] = np.nan
    return out


@lru_cache(maxsize=32)
def _projection(code: int) -> pyproj.Transformer:
    """Return the way from an EPSG system to degrees of WGS84 or CGCS2000, never a null shift."""
    try:
        system = pyproj.CRS.from_epsg(code)
    except pyproj.exceptions.CRSError as error:
        raise CoordinateError(
            f"there is no reference system epsg:{code}.", f"没有参考系 epsg:{code}。"
        ) from error
    degrees = system.geodetic_crs
    own = degrees is not None and degrees.to_epsg() in _SAME_DEGREES
    goal = degrees if own else pyproj.CRS.from_epsg(4326)
    try:
        way = pyproj.Transformer.from_crs(
            system, goal, always_xy=True, allow_ballpark=False, only_best=True
        )
    except pyproj.exceptions.ProjError as error:
        raise _no_way(system, code) from error
    if not own and not 0 <= way.accuracy <= _WORST_ACCURACY:
        raise _no_way(system, code)
    return way


def _no_way(system: pyproj.CRS, code: int) -> CoordinateError:
    return CoordinateError(
        f"epsg:{code} ({system.name}): no transformation to CGCS2000 that is good to "
        f"{_WORST_ACCURACY:.0f} m is published. {_CONVERT_FIRST}",
        f"epsg:{code}（{system.name}）：没有公开的、优于 {_WORST_ACCURACY:.0f} 米的到 CGCS2000 的"
        f"转换参数。{_CONVERT_FIRST_ZH}",
    )


_OLD_DATUM = re.compile(
    r"(xi'?an|西安|beijing|北京|bj)[ _-]?(19)?[58][04]|(epsg:)?(4214|4610)$", re.IGNORECASE
)
"""Xian 1980 and Beijing 1954, as they are called."""

_CONVERT_FIRST = (
    "Have the survey office convert the coordinates to CGCS2000 first (a shift of tens of metres "
    "depends on the place)."
)
_CONVERT_FIRST_ZH = "请先由测绘部门转换为 CGCS2000（偏移几十米，因地而异）。"


_SAME_DEGREES = (4326, 4490)
"""WGS84 and CGCS2000: the same numbers here."""

_WORST_ACCURACY = 1.0
"""Metres; the published ones from Beijing 1954 are good to 15 m and hold offshore only."""

# The datums are a staircase: WGS84 - GCJ-02 - BD-09.
HEIGHTS = {Datum.WGS84: 0, Datum.CGCS2000: 0, Datum.GCJ02: 1, Datum.BD09: 2}
_AWAY = (kernels.wgs84_to_gcj02, kernels.gcj02_to_bd09)
_BACK = (kernels.gcj02_to_wgs84, kernels.bd09_to_gcj02)
