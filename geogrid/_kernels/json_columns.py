"""Columns of an answer, written byte by byte: no text is made of any value."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.records import decimal, text

_COMMA = 44
_NULL = np.frombuffer(b"null", np.uint8).reshape(1, 4)

LONGEST_NUMBER = 24
"""Bytes of a distance with its comma, at most."""


@njit(cache=True, nogil=True)
def texts(
    values: NDArray[np.uint8], sizes: NDArray[np.int32], rows: NDArray[np.integer],
    out: NDArray[np.uint8], ends: NDArray[np.int32],
) -> int:  # fmt: skip
    """Write the text of each row, one behind the other; return the bytes.

    Parameters
    ----------
    values : (k, width) uint8
        Texts, filled up to the width of the longest.
    sizes : (k,) int32
        Bytes of each.
    rows : (n,) int
        Row -1 has the last text.
    out : ((n + 1) * width,) uint8
        Each text is copied in its full width, which needs no look at its end, and the next one
        begins where it ends.
    ends : (n + 1,) int32
        Filled behind its first element with the end of each text.
    """
    at, last = np.int64(0), len(values) - 1
    for i in range(len(rows)):
        row = rows[i] if rows[i] >= 0 else last
        value, room = values[row], out[at : at + values.shape[1]]
        for k in range(len(room)):
            room[k] = value[k]
        at += sizes[row]
        ends[i + 1] = at
    return at


@njit(cache=True, nogil=True)
def decimals(values: NDArray[np.float64], out: NDArray[np.uint8]) -> int:
    """Write numbers that are not negative with two decimals and a comma, null for NaN."""
    at = 0
    for value in values:
        at = text(out, at, _NULL, 0) if np.isnan(value) else decimal(out, at, value)
        out[at] = _COMMA
        at += 1
    return at
