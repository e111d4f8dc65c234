"""Chance that depends on place only.

The landscape must be the same whether one county or the whole city is written, so its randomness
is not drawn in sequence: it is hashed from a key and the index of the thing it belongs to.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)


def chance(key: int, *index: ArrayLike) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each row of the integer arrays `index` (splitmix64).

    Examples
    --------
    >>> bool(chance(1, np.arange(3))[2] == chance(1, 2))
    True
    """
    state = np.asarray(np.uint64(key % 2**63))
    for part in index:
        state = _mixed(state ^ np.asarray(part).astype(np.int64).astype(np.uint64))
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


def waves(xy: NDArray[np.float64], length: float, key: int) -> NDArray[np.float64]:
    """Return smooth value noise in [-1, 1] at `xy`, with features `length` metres wide."""
    cell = np.floor(xy / length).astype(np.int64)
    part = xy / length - cell
    ease = part * part * (3.0 - 2.0 * part)
    total = np.zeros(len(xy))
    for east in (0, 1):
        for north in (0, 1):
            weight = np.abs(1 - east - ease[:, 0]) * np.abs(1 - north - ease[:, 1])
            total += weight * chance(key, cell[:, 0] + east, cell[:, 1] + north)
    return 2.0 * total - 1.0


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):  # the product is meant to wrap
        state = (state + _GOLDEN).astype(np.uint64)
        state = (state ^ (state >> np.uint64(30))) * _MIX_A
        state = (state ^ (state >> np.uint64(27))) * _MIX_B
    return state ^ (state >> np.uint64(31))
