"""The answer to one position as JSON, written byte by byte from texts that lie side by side.

Put together of a dozen texts, it took three times as long as finding the micro-grid.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.experimental import structref
from numpy.typing import NDArray

from geogrid._kernels.cells import Cells
from geogrid._kernels.locate import Borders, place_one
from geogrid._kernels.messages import copy_bytes
from geogrid._kernels.records import decimal

_ZERO = 48


def _text(said: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(said, np.uint8)


_HIT, _OUTSIDE = _text(b'{"status":"hit","grid_code":'), _text(b'{"status":"outside",')
_NOWHERE = _text(b'"grid_code":null,"microgrid_code":null,"chain":[')
_CODE, _CHAIN = _text(b',"microgrid_code":'), _text(b',"chain":[')
_OWN, _NAME, _OWN_END = _text(b',{"level":"microgrid","code":'), _text(b',"name":'), _text(b"}")
_TRUE, _FALSE = _text(b'],"on_edge":true,"edge_m":'), _text(b'],"on_edge":false,"edge_m":')
_BESIDE, _BESIDE_NAME = _text(b',"neighbour_code":'), _text(b',"neighbour_name":')
_NULL = _text(b"null")

ROOM = 400
"""Bytes that an answer takes besides what differs from city to city, at most."""


class Texts(NamedTuple):
    """Of each unit two texts as they stand in JSON.

    Text `k` is `blob[starts[k]:starts[k + 1]]`. Micro-grid `r` has the texts `2 * r`, its code, and
    `2 * r + 1`, its name. Behind all of them, grid `g` has its code and the chain from the city
    down to it; `parents[r]` is the grid of micro-grid `r`.
    """

    blob: NDArray[np.uint8]
    starts: NDArray[np.int64]
    parents: NDArray[np.int32]


@structref.register
class _CityType(types.StructRef):
    """Type of a `City`, as the compiler needs it."""


class City(structref.StructRefProxy):
    """What an edition is asked and answers with: `box`, `cells`, `borders` and `texts`.

    Made by `city`; it is handed over as one thing, where eighteen arrays take 2 µs.
    """

    box: tuple[float, float, float, float]
    cells: Cells
    borders: Borders
    texts: Texts


structref.define_proxy(  # type: ignore[no-untyped-call]
    City, _CityType, ["box", "cells", "borders", "texts"]
)


@njit(cache=True)
def city(
    box: tuple[float, float, float, float], cells: Cells, borders: Borders, texts: Texts
) -> City:
    """Return a city; `box` is where positions are expected, west south east north."""
    return City(box, cells, borders, texts)  # type: ignore[no-untyped-call]


@njit(cache=True, nogil=True)
def place(
    lon: float,
    lat: float,
    height: int,
    city: City,
    tail: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> tuple[int, int, bool]:
    """Look one position up, as `place_one` does, and write what was found.

    Parameters
    ----------
    tail : uint8
        End of the answer, from the comma behind the neighbour.
    out : uint8
        Filled from its beginning; see `ROOM`.

    Returns
    -------
    bytes, status, on-edge
    """
    texts = city.texts
    row, status, on_edge, metres, beside = place_one(
        lon, lat, height, city.box, city.cells, city.borders
    )
    if row >= 0:
        grid = 2 * (len(texts.parents) + texts.parents[row])
        at = _unit_text(out, copy_bytes(out, 0, _HIT), texts, grid)
        at = _unit_text(out, copy_bytes(out, at, _CODE), texts, 2 * row)
        at = _unit_text(out, copy_bytes(out, at, _CHAIN), texts, grid + 1)
        at = _unit_text(out, copy_bytes(out, at, _OWN), texts, 2 * row)
        at = _unit_text(out, copy_bytes(out, at, _NAME), texts, 2 * row + 1)
        at = copy_bytes(out, at, _OWN_END)
    else:
        at = copy_bytes(out, copy_bytes(out, 0, _OUTSIDE), _NOWHERE)
    at = copy_bytes(out, at, _TRUE if on_edge else _FALSE)
    if np.isnan(metres):
        at = copy_bytes(out, at, _NULL)
    else:
        at = decimal(out, at, metres)
        at -= out[at - 1] == _ZERO
    at = copy_bytes(out, at, _BESIDE)
    at = _unit_text(out, at, texts, 2 * beside) if beside >= 0 else copy_bytes(out, at, _NULL)
    at = copy_bytes(out, at, _BESIDE_NAME)
    at = _unit_text(out, at, texts, 2 * beside + 1) if beside >= 0 else copy_bytes(out, at, _NULL)
    return copy_bytes(out, at, tail), status, on_edge


@njit(cache=True, nogil=True)
def _unit_text(out: NDArray[np.uint8], at: int, texts: Texts, k: int) -> int:
    return copy_bytes(out, at, texts.blob[texts.starts[k] : texts.starts[k + 1]])
