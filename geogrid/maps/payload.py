"""Polygons and points as short text that a script decodes: deltas, zigzag, varint, base64.

Coordinates are rounded to 1e-6 degree (0.1 m, a third of a pixel at zoom 18). Each vertex is
written as its difference from the vertex before, so most numbers take one or two bytes: GeoJSON of
the same rings is about six times as long.
"""

import base64

import numpy as np
from numpy.typing import NDArray

from geogrid.edition import Rings
from geogrid.schema import GRID_UNIT

PAYLOAD_UNIT = 1e-6
"""Degrees a step of the coordinates in a payload."""

_STEPS = round(PAYLOAD_UNIT / GRID_UNIT)


def encode_rings(rings: Rings) -> dict[str, str]:
    """Return polygons as text: `xy`, the vertices; `sizes`, per ring; `rings`, per polygon.

    The closing vertex of a ring is left out. `sizes` and `rings` are plain varints.

    >>> square = np.array([[0, 0], [100, 0], [100, 100], [0, 0]])
    >>> encode_rings(Rings(square, np.array([0, 4]), np.array([0])))
    {'xy': 'AAACAAAC', 'sizes': 'Aw==', 'rings': 'AQ=='}
    """
    open_end = np.ones(len(rings.xy), bool)
    open_end[rings.starts[1:] - 1] = False
    return {
        "xy": encode_points(rings.xy[open_end]),
        "sizes": _text(np.diff(rings.starts) - 1),
        "rings": _text(np.bincount(rings.owners)),
    }


def encode_points(xy: NDArray[np.int64]) -> str:
    """Return points, in steps of the edition's integer grid, as text."""
    steps = np.rint(xy / _STEPS).astype(np.int64)
    delta = np.diff(steps, axis=0, prepend=np.zeros((1, 2), np.int64))
    return _text(((delta << 1) ^ (delta >> 63)).ravel())


def _text(numbers: NDArray[np.int64]) -> str:
    """Numbers from 0 on as base64 of varints: seven bits a byte, low ones first."""
    left = numbers.astype(np.uint64)
    sizes = np.ones(len(left), np.int64)
    for k in range(1, 9):
        sizes += left >> np.uint64(7 * k) > 0
    ends = np.cumsum(sizes)
    varints = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for k in range(int(np.max(sizes, initial=0))):
        has = sizes > k
        more = np.where(sizes[has] > k + 1, 0x80, 0)
        low = (left[has] >> np.uint64(7 * k)) & np.uint64(0x7F)
        varints[(ends - sizes)[has] + k] = low.astype(np.uint8) | more.astype(np.uint8)
    return base64.b64encode(varints.tobytes()).decode("ascii")
