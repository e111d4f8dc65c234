"""Texts as messages of protocol buffers, as a tile holds its values."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geogrid._kernels.tiles import copy_bytes, write_varint

_MOST = 22
"""Bytes before a text: two fields and two lengths."""


@njit(cache=True, nogil=True)
def framed_texts(
    texts: NDArray[np.uint8], starts: NDArray[np.int64], outer: int, inner: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return texts as fields `inner` of messages that are fields `outer`, and where each starts.

    Text `k` is `texts[starts[k]:starts[k + 1]]`, in UTF-8.
    """
    out, ends = np.empty(len(texts) + _MOST * len(starts), np.uint8), np.zeros_like(starts)
    head, at = np.empty(_MOST, np.uint8), 0
    for k in range(len(starts) - 1):
        size = starts[k + 1] - starts[k]
        head[0] = inner
        n_head = write_varint(head, 1, size)
        out[at] = outer
        at = write_varint(out, at + 1, n_head + size)
        at = copy_bytes(out, at, head[:n_head])
        at = copy_bytes(out, at, texts[starts[k] : starts[k + 1]])
        ends[k + 1] = at
    return out[:at].copy(), ends
