"""A look-up from the query to its answer in JSON, byte by byte, from texts that lie side by side.

Done by an interpreter, of regular expressions and a dozen texts, all around takes three times as
long as finding the micro-grid, and twice that again where a server does something else in between
and so finds nothing of it in the nearest caches.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.experimental import structref
from numpy.typing import NDArray

from geogrid._kernels.cells import Cells
from geogrid._kernels.locate import Borders, place_one
from geogrid._kernels.messages import copy_bytes, copy_part
from geogrid._kernels.records import decimal, number

_ZERO, _NINE, _POINT, _MINUS, _AND = 48, 57, 46, 45, 38

_MOST_DECIMALS = 17


def _text(said: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(said, np.uint8)


_HIT, _OUTSIDE = _text(b'{"status":"hit","grid_code":'), _text(b'{"status":"outside",')
_NOWHERE = _text(b'"grid_code":null,"microgrid_code":null,"chain":[')
_CODE, _CHAIN = _text(b',"microgrid_code":'), _text(b',"chain":[')
_OWN, _NAME, _OWN_END = _text(b',{"level":"microgrid","code":'), _text(b',"name":'), _text(b"}")
_TRUE, _FALSE = _text(b'],"on_edge":true,"edge_m":'), _text(b'],"on_edge":false,"edge_m":')
_BESIDE, _BESIDE_NAME = _text(b',"neighbour_code":'), _text(b',"neighbour_name":')
_NULL = _text(b"null")
_LON, _LAT, _DATUM = _text(b"lon="), _text(b"lat="), _text(b"datum=")

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


class Datums(NamedTuple):
    """Names as they are asked for, filled up with zeros, heights for `wgs84_of`, ends of answers.

    The end of an answer in datum `k`, from the comma behind the neighbour, is
    `ends[starts[k]:starts[k + 1]]`.
    """

    names: NDArray[np.uint8]
    heights: NDArray[np.int64]
    ends: NDArray[np.uint8]
    starts: NDArray[np.int64]


@structref.register
class _CityType(types.StructRef):
    """Type of a `City`, as the compiler needs it."""


class City(structref.StructRefProxy):
    """What an edition is asked and answers with.

    Made by `city`; it is handed over as one thing, where so many arrays take 2 µs.
    """

    box: tuple[float, float, float, float]
    cells: Cells
    borders: Borders
    texts: Texts
    datums: Datums


structref.define_proxy(  # type: ignore[no-untyped-call]
    City, _CityType, ["box", "cells", "borders", "texts", "datums"]
)


@njit(cache=True)
def city(
    box: tuple[float, float, float, float],
    cells: Cells,
    borders: Borders,
    texts: Texts,
    datums: Datums,
) -> City:
    """Return a city; `box` is where positions are expected, west south east north."""
    return City(box, cells, borders, texts, datums)  # type: ignore[no-untyped-call]


@njit(cache=True, nogil=True)
def answer(query: bytes, city: City, room: bytearray) -> tuple[int, int, bool]:
    """Answer a query of `lon`, `lat` and `datum`, once each, as `place` does.

    Returns
    -------
    bytes, status, on-edge
        No bytes if the query is not of this kind, or it is not certain which float is nearest to a
        number.
    """
    lon, lat, datum = plain(query, city.datums.names)
    if datum < 0:
        return 0, 0, False
    return place(lon, lat, datum, city, room)


@njit(cache=True, nogil=True)
def plain(query: bytes, names: NDArray[np.uint8]) -> tuple[float, float, int]:
    """Return longitude, latitude and datum of a query, datum -1 if it is not plain."""
    lon, lat, datum, at, n = np.nan, np.nan, -1, 0, len(query)
    for part in range(3):
        if np.isnan(lon) and _begins(query, at, _LON):
            lon, at = _number(query, at + len(_LON))
        elif np.isnan(lat) and _begins(query, at, _LAT):
            lat, at = _number(query, at + len(_LAT))
        elif datum < 0 and _begins(query, at, _DATUM):
            datum, at = _name(query, at + len(_DATUM), names)
        else:
            return lon, lat, -1
        if at < 0 or (at < n and query[at] != _AND) or (at == n) != (part == 2):
            return lon, lat, -1
        at += 1
    return lon, lat, datum


@njit(cache=True, nogil=True)
def _begins(query: bytes, at: int, said: NDArray[np.uint8]) -> bool:
    if at + len(said) > len(query):
        return False
    k = 0
    while k < len(said) and query[at + k] == said[k]:
        k += 1
    return k == len(said)


@njit(cache=True, nogil=True)
def _name(query: bytes, at: int, names: NDArray[np.uint8]) -> tuple[int, int]:
    """Return which name stands there, and the place behind it; -1 twice for none."""
    end = at
    while end < len(query) and query[end] != _AND:
        end += 1
    for k in range(len(names)):
        size = 0
        while size < names.shape[1] and names[k, size] != 0:
            size += 1
        if size == end - at and _begins(query, at, names[k, :size]):
            return k, end
    return -1, -1


@njit(cache=True, nogil=True)
def _number(query: bytes, at: int) -> tuple[float, int]:
    """Return the number that stands there, and the place behind it; -1 if it is not plain.

    Plain is a sign or none, one to three digits, and perhaps a point and up to 17 digits more.
    """
    start = at
    at += at < len(query) and query[at] == _MINUS
    whole = _digits(query, at)
    at += whole
    decimals = 1
    if at < len(query) and query[at] == _POINT:
        decimals = _digits(query, at + 1)
        at += 1 + decimals
    value, certain = number(query, start, at)
    plain = 1 <= whole <= 3 and 1 <= decimals <= _MOST_DECIMALS and certain
    return value, at if plain else -1


@njit(cache=True, nogil=True)
def _digits(query: bytes, at: int) -> int:
    """Return how many digits stand there."""
    start = at
    while at < len(query) and _ZERO <= query[at] <= _NINE:
        at += 1
    return at - start


@njit(cache=True, nogil=True)
def place(lon: float, lat: float, datum: int, city: City, room: bytearray) -> tuple[int, int, bool]:
    """Look one position up, as `place_one` does, and write what was found.

    Parameters
    ----------
    datum : int
        Row in `Datums`.
    room : bytearray
        Filled from its beginning; see `ROOM`.

    Returns
    -------
    bytes, status, on-edge
    """
    texts, out = city.texts, np.frombuffer(room, np.uint8)
    row, status, on_edge, metres, beside = place_one(
        lon, lat, city.datums.heights[datum], city.box, city.cells, city.borders
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
    starts = city.datums.starts
    at = copy_part(out, at, city.datums.ends, starts[datum], starts[datum + 1])
    return at, status, on_edge


@njit(cache=True, nogil=True)
def _unit_text(out: NDArray[np.uint8], at: int, texts: Texts, k: int) -> int:
    return copy_part(out, at, texts.blob, texts.starts[k], texts.starts[k + 1])
