"""Columns of an answer as JSON lists, written byte by byte: no text is made of any value."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.records import decimal, text

_OPEN, _CLOSE, _COMMA, _QUOTE = 91, 93, 44, 34
_NULL = np.frombuffer(b"null", np.uint8).reshape(1, 4)
_FLAGS = np.frombuffer(b"falsetrue\0", np.uint8).reshape(2, 5)

LONGEST_NUMBER = 24
"""Bytes of a distance with its comma, at most."""


@njit(cache=True, nogil=True)
def texts(values: NDArray[np.uint8], rows: NDArray[np.integer], out: NDArray[np.uint8]) -> int:
    """Write the text of each row, null for row -1; return the bytes.

    Parameters
    ----------
    values : (k, width) uint8
        Texts that need no escapes, filled up with zeros.
    rows : (n,) int
    out : (n * (max(width, 4) + 3) + 2,) uint8
    """
    out[0], at = _OPEN, 1
    for row in rows:
        if row < 0:
            at = text(out, at, _NULL, 0)
        else:
            out[at] = _QUOTE
            at = text(out, at + 1, values, row)
            out[at] = _QUOTE
            at += 1
        out[at] = _COMMA
        at += 1
    return _closed(out, at)


@njit(cache=True, nogil=True)
def decimals(values: NDArray[np.float64], out: NDArray[np.uint8]) -> int:
    """Write numbers that are not negative with two decimals, null for NaN; return the bytes."""
    out[0], at = _OPEN, 1
    for value in values:
        at = text(out, at, _NULL, 0) if np.isnan(value) else decimal(out, at, value)
        out[at] = _COMMA
        at += 1
    return _closed(out, at)


@njit(cache=True, nogil=True)
def flags(values: NDArray[np.bool_], out: NDArray[np.uint8]) -> int:
    """Write true or false for each value; return the bytes."""
    out[0], at = _OPEN, 1
    for value in values:
        at = text(out, at, _FLAGS, np.int64(value))
        out[at] = _COMMA
        at += 1
    return _closed(out, at)


@njit(cache=True, nogil=True)
def _closed(out: NDArray[np.uint8], at: int) -> int:
    """End a list in place of its last comma."""
    at -= out[at - 1] == _COMMA
    out[at] = _CLOSE
    return at + 1
