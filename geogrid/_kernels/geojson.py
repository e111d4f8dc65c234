"""Polygons as GeoJSON text, straight from integers: every digit, and no float on the way."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_POLYGON = np.array(bytearray(b'{"type":"Polygon","coordinates":['))
_MULTI = np.array(bytearray(b'{"type":"MultiPolygon","coordinates":[['))
_OPEN, _CLOSE, _COMMA, _POINT, _MINUS, _ZERO, _END = 91, 93, 44, 46, 45, 48, 125

_BYTES_PER_VERTEX, _BYTES_PER_RING, _BYTES_PER_UNIT = 48, 8, 48


@njit(cache=True, nogil=True)
def write_polygons(
    xy: NDArray[np.int64], starts: NDArray[np.int64], shells: NDArray[np.bool_],
    firsts: NDArray[np.int64], rows: NDArray[np.int64], decimals: int, first_axis: int,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:  # fmt: skip
    """Write the geometries of `rows`, one behind the other, and where each ends.

    Parameters
    ----------
    xy : (v, 2) int64
        Vertices, east and north, in steps of 10 to the power of `-decimals`.
    starts, shells, firsts
        Ring `k` is `xy[starts[k]:starts[k + 1]]`, closed, a shell or a hole; unit `i` has the rings
        `firsts[i]` to `firsts[i + 1]`, each shell before its holes.
    first_axis : int
        Column of `xy` that is written first.
    """
    room = 0
    for row in rows:
        first, last = firsts[row], firsts[row + 1]
        room += _BYTES_PER_UNIT + _BYTES_PER_RING * (last - first)
        room += _BYTES_PER_VERTEX * (starts[last] - starts[first])
    out, ends, at = np.empty(room, np.uint8), np.empty(len(rows), np.int64), 0
    for k in range(len(rows)):
        at = _write_unit(out, at, xy, starts, shells, firsts, rows[k], decimals, first_axis)
        ends[k] = at
    return out[:at], ends


@njit(cache=True, nogil=True)
def _write_unit(
    out: NDArray[np.uint8], at: int, xy: NDArray[np.int64], starts: NDArray[np.int64],
    shells: NDArray[np.bool_], firsts: NDArray[np.int64], row: int, decimals: int, first_axis: int,
) -> int:  # fmt: skip
    """Write one geometry; several shells make a MultiPolygon."""
    n_shells = 0
    for ring in range(firsts[row], firsts[row + 1]):
        n_shells += shells[ring]
    for byte in _MULTI if n_shells > 1 else _POLYGON:
        out[at] = byte
        at += 1
    for ring in range(firsts[row], firsts[row + 1]):
        if ring > firsts[row]:
            if shells[ring]:
                out[at], out[at + 1], out[at + 2] = _CLOSE, _COMMA, _OPEN
                at += 3
            else:
                out[at] = _COMMA
                at += 1
        out[at] = _OPEN
        at += 1
        for k in range(starts[ring], starts[ring + 1]):
            if k > starts[ring]:
                out[at] = _COMMA
                at += 1
            out[at] = _OPEN
            at = write_decimal(out, at + 1, xy[k, first_axis], decimals)
            out[at] = _COMMA
            at = write_decimal(out, at + 1, xy[k, 1 - first_axis], decimals)
            out[at] = _CLOSE
            at += 1
        out[at] = _CLOSE
        at += 1
    if n_shells > 1:
        out[at] = _CLOSE
        at += 1
    out[at], out[at + 1] = _CLOSE, _END
    return at + 2


@njit(cache=True, nogil=True)
def write_decimal(out: NDArray[np.uint8], at: int, value: int, decimals: int) -> int:
    """Write `value / 10 ** decimals` in full, with at least one digit before the point."""
    if value < 0:
        out[at] = _MINUS
        at += 1
        value = -value
    size, rest = 1, value // 10
    while rest > 0:
        size += 1
        rest //= 10
    size = max(size, decimals + 1)
    for k in range(size + 1):
        place = at + size - k
        if k == decimals:
            out[place] = _POINT
        else:
            out[place] = _ZERO + value % 10
            value //= 10
    return at + size + 1
