"""Offsets of the published GCJ-02 and BD-09 algorithms and their exact inverses.

All arrays are `(n, 2)` float64, lon-lat degrees; NaN in gives NaN out. There is no "outside China"
branch: the published boxes let swapped coordinates pass silently (rule R-33).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_AXIS = 6378245.0
"""Semi-major axis in metres that the published algorithm uses (Krasovsky 1940)."""

_ECCENTRICITY_SQUARED = 0.00669342162296594323
_BD_WAVE = np.pi * 3000.0 / 180.0

INVERSE_STEPS = 3
"""Fixed-point steps: two reach 1e-9 degree over Zhoukou, three reach it over all China."""


@njit(cache=True, nogil=True)
def _gcj02_offset(lon: float, lat: float) -> tuple[float, float]:
    x = lon - 105.0
    y = lat - 35.0
    root = np.sqrt(abs(x))
    waves = 20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += (
        waves
        + 20.0 * np.sin(y * np.pi)
        + 40.0 * np.sin(y / 3.0 * np.pi)
        + 160.0 * np.sin(y / 12.0 * np.pi)
        + 320.0 * np.sin(y * np.pi / 30.0)
    ) * (2.0 / 3.0)
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += (
        waves
        + 20.0 * np.sin(x * np.pi)
        + 40.0 * np.sin(x / 3.0 * np.pi)
        + 150.0 * np.sin(x / 12.0 * np.pi)
        + 300.0 * np.sin(x / 30.0 * np.pi)
    ) * (2.0 / 3.0)
    phi = lat / 180.0 * np.pi
    magic = 1.0 - _ECCENTRICITY_SQUARED * np.sin(phi) ** 2
    meridian = _AXIS * (1.0 - _ECCENTRICITY_SQUARED) / (magic * np.sqrt(magic))
    parallel = _AXIS / np.sqrt(magic) * np.cos(phi)
    return east * 180.0 / (parallel * np.pi), north * 180.0 / (meridian * np.pi)


@njit(cache=True, nogil=True)
def _bd09_of(lon: float, lat: float) -> tuple[float, float]:
    radius = np.sqrt(lon * lon + lat * lat) + 0.00002 * np.sin(lat * _BD_WAVE)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BD_WAVE)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


@njit(cache=True, nogil=True)
def wgs84_of(lon: float, lat: float, height: int) -> tuple[float, float]:
    """Return the WGS84 position of a position `height` stairs up: 0 WGS84, 1 GCJ-02, 2 BD-09."""
    if height == 2:
        at_lon, at_lat = lon, lat
        lon, lat = lon - 0.0065, lat - 0.006
        for _ in range(INVERSE_STEPS + 1):
            bd_lon, bd_lat = _bd09_of(lon, lat)
            lon += at_lon - bd_lon
            lat += at_lat - bd_lat
    if height >= 1:
        at_lon, at_lat = lon, lat
        for _ in range(INVERSE_STEPS + 1):  # the first pass only makes the guess
            east, north = _gcj02_offset(lon, lat)
            lon, lat = at_lon - east, at_lat - north
    return lon, lat


@njit(cache=True, nogil=True)
def wgs84_to_gcj02(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return WGS84 positions in GCJ-02."""
    out = np.empty_like(xy)
    for i in range(len(xy)):
        east, north = _gcj02_offset(xy[i, 0], xy[i, 1])
        out[i, 0] = xy[i, 0] + east
        out[i, 1] = xy[i, 1] + north
    return out


@njit(cache=True, nogil=True)
def gcj02_to_wgs84(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the WGS84 positions whose GCJ-02 positions are `xy`."""
    out = np.empty_like(xy)
    for i in range(len(xy)):
        out[i, 0], out[i, 1] = wgs84_of(xy[i, 0], xy[i, 1], 1)
    return out


@njit(cache=True, nogil=True)
def gcj02_to_bd09(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return GCJ-02 positions in BD-09."""
    out = np.empty_like(xy)
    for i in range(len(xy)):
        out[i, 0], out[i, 1] = _bd09_of(xy[i, 0], xy[i, 1])
    return out


@njit(cache=True, nogil=True)
def bd09_to_gcj02(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the GCJ-02 positions whose BD-09 positions are `xy`."""
    out = np.empty_like(xy)
    for i in range(len(xy)):
        lon = xy[i, 0] - 0.0065
        lat = xy[i, 1] - 0.006
        for _ in range(INVERSE_STEPS + 1):
            bd_lon, bd_lat = _bd09_of(lon, lat)
            lon += xy[i, 0] - bd_lon
            lat += xy[i, 1] - bd_lat
        out[i, 0] = lon
        out[i, 1] = lat
    return out
