"""Messages of protocol buffers: numbers in base 128, and texts as a tile holds its values."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels import lean

_MOST = 22
"""Bytes before a text: two fields and two lengths."""


@lean
def write_varint(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a non-negative number in base 128, lowest digits first; return the next position."""
    while value > 127:
        out[at] = (value & 127) | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@lean
def write_two(out: NDArray[np.uint8], at: int, first: int, second: int) -> int:
    """Do `write_varint` with two numbers below 2 ** 14; needs room for four bytes.

    Whether one takes a second byte is as good as random in a tile: no branch depends on it.
    """
    for value in (first, second):
        long = value > 127
        out[at] = value & 127 | long << 7
        out[at + 1] = value >> 7
        at += 1 + long
    return at


@lean
def varint_size(value: int) -> int:
    """Return how many bytes `write_varint` writes."""
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@lean
def zigzag(value: int) -> int:
    """Fold the sign into the lowest bit."""
    return value << 1 ^ value >> 63


@lean
def copy_bytes(out: NDArray[np.uint8], at: int, part: NDArray[np.uint8]) -> int:
    """Copy bytes; return the next position."""
    return copy_part(out, at, part, 0, len(part))


@lean
def copy_part(
    out: NDArray[np.uint8], at: int, source: NDArray[np.uint8], start: int, end: int
) -> int:
    """Copy some bytes; return the next position. Counted from 0, the compiler copies 16 at once."""
    room, part = out[at : at + end - start], source[start:end]
    for k in range(len(room)):
        room[k] = part[k]
    return at + end - start


@njit(cache=True, nogil=True)
def framed_texts(
    texts: NDArray[np.uint8], starts: NDArray[np.int64], outer: int, inner: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return texts as fields `inner` of messages that are fields `outer`, and where each starts.

    Text `k` is `texts[starts[k]:starts[k + 1]]`, in UTF-8.
    """
    out, ends = np.empty(len(texts) + _MOST * len(starts), np.uint8), np.zeros_like(starts)
    at = 0
    for k in range(len(starts) - 1):
        size = starts[k + 1] - starts[k]
        out[at] = outer
        at = write_varint(out, at + 1, 1 + varint_size(size) + size)
        out[at] = inner
        at = write_varint(out, at + 1, size)
        at = copy_part(out, at, texts, starts[k], starts[k + 1])
        ends[k + 1] = at
    return out[:at].copy(), ends
