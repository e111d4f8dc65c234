"""Reference systems of the interface: by URI, with the axes in the order of their authority."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geogrid.api.problems import Problem
from geogrid.schema import EXCHANGE_CRS

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_EPSG = "http://www.opengis.net/def/crs/EPSG/0/"

_NAME = re.compile(
    r"(?:http://www\.opengis\.net/def/crs/|urn:ogc:def:crs:|\[)?(OGC|EPSG)(?:/[\d.]+/|:[\d.]*:|:)"
    r"(CRS84|\d{4,5})\]?",
    re.IGNORECASE,
)

_METRE_DECIMALS, _DEGREE_DECIMALS = 3, 8
"""Digits behind the point: 1 mm, and every digit of the integer grid."""

_SEGMENTS = 64
"""Pieces of each side of a box in another system: its sides are bent in degrees."""


@dataclass(frozen=True, slots=True)
class System:
    """A reference system; `north_first` tells that its authority names the north axis first."""

    uri: str
    crs: str
    north_first: bool
    decimals: int

    @property
    def is_degrees(self) -> bool:
        """Tell whether coordinates are those of the edition, but for the order of the axes."""
        return self.decimals == _DEGREE_DECIMALS

    def steps(self, xy: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return vertices of an edition, east before north, in this system's smallest unit."""
        if self.is_degrees:
            return xy
        degrees = xy / 10**_DEGREE_DECIMALS
        east, north = _way(EXCHANGE_CRS, self.crs).transform(degrees[:, 0], degrees[:, 1])
        metres = np.column_stack([east, north])
        steps: NDArray[np.int64] = np.rint(metres * 10**self.decimals).astype(np.int64)
        return steps

    def to_degrees(self, geometry: shapely.Geometry, parameter: str) -> shapely.Geometry:
        """Return a geometry, axes in the authority's order, as longitude and latitude.

        Raises
        ------
        Problem
            The system does not cover what was given as `parameter`.
        """

        def turned(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            xy = xy[:, ::-1] if self.north_first else xy
            if self.is_degrees:
                return np.ascontiguousarray(xy)
            moved = _way(self.crs, EXCHANGE_CRS).transform(xy[:, 0], xy[:, 1])
            return np.column_stack(moved)

        if not self.is_degrees and shapely.length(geometry) > 0:
            geometry = shapely.segmentize(geometry, shapely.length(geometry) / _SEGMENTS)
        moved = shapely.transform(geometry, turned)
        if not np.isfinite(shapely.get_coordinates(moved)).all():
            raise Problem(
                400, "coordinate",
                f"{parameter}: coordinates that {self.uri} does not cover; check the axis order.",
                f"{parameter}：坐标超出 {self.uri} 的适用范围，请检查坐标轴顺序。", field=parameter,
            )  # fmt: skip
        return moved


def offered(working_crs: str) -> tuple[System, ...]:
    """Return the systems in which features are given; the first is the default."""
    codes = ("4490", "4326", working_crs.removeprefix("EPSG:"), "3857")
    epsg = [_system(_EPSG + code, f"EPSG:{code}") for code in dict.fromkeys(codes)]
    return System(CRS84, EXCHANGE_CRS, north_first=False, decimals=_DEGREE_DECIMALS), *epsg


def find(name: str, systems: tuple[System, ...], parameter: str) -> System:
    """Return the system of a URI, a URN or a short name such as EPSG:4547.

    Raises
    ------
    Problem
        It is none of `systems`.
    """
    found = _NAME.fullmatch(name.strip())
    if found is not None:
        wanted = CRS84 if found[2].upper() == "CRS84" else _EPSG + found[2]
        for system in systems:
            if system.uri == wanted:
                return system
    known = ", ".join(system.uri for system in systems)
    raise Problem(
        400, "unknown_crs",
        f"{parameter}: unknown reference system {name[:80]!r}; there are {known}.",
        f"{parameter}：没有参考系 {name[:80]!r}，可用的为 {known}。", field=parameter,
    )  # fmt: skip


def _system(uri: str, crs: str) -> System:
    axes = pyproj.CRS(crs).axis_info
    metric = axes[0].unit_name == "metre"
    return System(
        uri, crs, axes[0].direction == "north", _METRE_DECIMALS if metric else _DEGREE_DECIMALS
    )


@lru_cache(maxsize=32)
def _way(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
