"""The plane the sample is drawn in: metres east and north in EPSG:4547."""

import functools

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

PLANE_CRS = "EPSG:4547"
"""CGCS2000, 3-degree zone of 114 E; the east of the city lies outside its nominal area of use, yet
one plane for the whole city is worth more than 0.03 % of scale."""

_DEGREES_CRS = "EPSG:4490"


def to_metres(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return lon-lat degrees as metres east and north."""
    return _moved(xy, _DEGREES_CRS, PLANE_CRS)


def to_degrees(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return metres east and north as lon-lat degrees."""
    return _moved(xy, PLANE_CRS, _DEGREES_CRS)


def _moved(xy: NDArray[np.float64], source: str, target: str) -> NDArray[np.float64]:
    east, north = _transformer(source, target).transform(xy[:, 0], xy[:, 1])
    return np.column_stack([east, north])


@functools.cache
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)
