"""A whole edition as a few megabytes that a script unpacks: borders once, codes and names by rule.

Vertices are rounded to pixels of web mercator at zoom 18 (0.5 m) and written as differences; each
border is written once, so neighbours share it vertex for vertex. A code is its parent's code and a
serial number, a name its parent's name and one of few endings. docs/data-format.md describes every
byte. TopoJSON of the same arcs is three times as long and has to be parsed as text.
"""

import base64
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import pandas as pd
from isal import igzip
from numpy.typing import NDArray

from geogrid._kernels.arcs import cut, deltas, varints
from geogrid.codes import LEVELS, parent_level
from geogrid.edition import Edition, Rings, to_degrees, to_world
from geogrid.errors import CoordinateError

FORMAT_VERSION = 1
PAYLOAD_ZOOM = 18
"""A step is a pixel of web mercator at this zoom: 0.5 m in the reference city."""

PARENT, SERIAL = "\ue000", "\ue001"
"""In an ending: the parent's name, and the serial number of the code."""

_RESERVED = str.maketrans({PARENT: "\ufffd", SERIAL: "\ufffd"})

_KEPT = 4
"""Editions whose payload stays in memory; 4 MB each for the reference city."""

# Two numbers below 2^31 make one key; 21 degrees are more than any municipality.
_WIDEST = 2**31

_LATITUDES = 85.0  # degrees; web mercator ends there, and nothing is shown beyond

# The fastest that is no longer than zlib's: 0.03 s and 3.2 MB where zlib takes 0.3 s.
_COMPRESSION = 3

_packed: OrderedDict[str, str] = OrderedDict()


def packed(edition: Edition) -> str:
    """Return an edition as text for the map's script; kept in memory by the edition's digest.

    Raises
    ------
    CoordinateError
        The micro-grids reach over more than 21 degrees.
    """
    if edition.info.digest not in _packed:
        _packed[edition.info.digest] = text_of(pack(edition))
        while len(_packed) > _KEPT:
            _packed.popitem(last=False)
    _packed.move_to_end(edition.info.digest)
    return _packed[edition.info.digest]


def pack(edition: Edition) -> bytes:
    """Return the units of all levels in the packed form, compressed."""
    content = _Content()
    origin = _add_borders(content, edition.rings(LEVELS[-1]), len(edition.units[LEVELS[-1]]))
    levels = [_add_level(content, edition.units, level) for level in LEVELS]
    header = {
        "format": "geogrid-map", "version": FORMAT_VERSION, "zoom": PAYLOAD_ZOOM,
        "origin": origin, "levels": levels, "sections": content.layout,
    }  # fmt: skip
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return compressed(b"".join([len(head).to_bytes(4, "little"), head, *content.pieces]))


def compressed(content: bytes) -> bytes:
    """Return bytes in gzip's form; the same bytes for the same content."""
    found: bytes = igzip.compress(content, _COMPRESSION, mtime=0)
    return found


def text_of(content: bytes) -> str:
    """Return bytes as text for a script."""
    return base64.b64encode(content).decode("ascii")


@dataclass(frozen=True, slots=True)
class _Content:
    """Columns of numbers, one after the other."""

    pieces: list[bytes] = field(default_factory=list)
    layout: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, name: str, numbers: NDArray[np.int64]) -> None:
        """Add numbers from 0 on."""
        piece = varints(np.ascontiguousarray(numbers, np.int64)).tobytes()
        self.pieces.append(piece)
        self.layout.append((name, len(numbers), len(piece)))


def _add_borders(content: _Content, rings: Rings, n_units: int) -> list[int]:
    """Add the borders of the micro-grids and return the origin of the vertices, in steps."""
    rows, starts, ring_arcs, ring_starts = cut(_keys(rings.xy), rings.starts)
    x, y = _mercator(to_degrees(rings.xy[rows]))
    origin = [int(x.min()), int(y.min())] if len(rows) else [0, 0]
    vertices, sizes = deltas(x - origin[0], y - origin[1], starts)
    content.add("xy", vertices)
    content.add("arc_sizes", sizes - 2)
    arcs = np.where(ring_arcs < 0, ~ring_arcs, ring_arcs)
    # Arcs are numbered in the order of their first use.
    new = arcs > np.maximum.accumulate(np.concatenate([[-1], arcs[:-1]]))
    content.add("refs", np.where(new, 0, np.cumsum(new) - arcs))
    content.add("along", _deltas(np.flatnonzero(~new & (ring_arcs >= 0))))
    content.add("ring_sizes", np.diff(ring_starts))
    content.add("unit_rings", np.bincount(rings.owners, minlength=n_units))
    return origin


def _keys(xy: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for each vertex, equal for equal ones."""
    if not len(xy):
        return np.empty(0, np.int64)
    steps = xy - xy.min(axis=0)
    if steps.max() >= _WIDEST:
        raise CoordinateError(
            "the micro-grids reach over more than 21 degrees: no city does. Check the edition's "
            "coordinates."
        )
    numbers: NDArray[np.int64] = steps[:, 0] * _WIDEST + steps[:, 1]
    return numbers


def _mercator(degrees: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return steps east and south of the upper left corner of web mercator."""
    shown = degrees.clip([-np.inf, -_LATITUDES], [np.inf, _LATITUDES])
    x, y = np.rint(to_world(shown) * (256 << PAYLOAD_ZOOM)).astype(np.int64).T
    return x, y


def _add_level(
    content: _Content, units: Mapping[str, gpd.GeoDataFrame], level: str
) -> dict[str, object]:
    """Add the columns of a level and return what a script needs to read them."""
    table = units[level]
    codes = table["code"].to_numpy(np.str_)
    above = units[parent_level(level)] if level != LEVELS[0] else None
    if above is None:
        parents, parent_codes = np.full(len(table), -1), np.full(len(table), "")
        parent_names = [""] * len(table)
    else:
        parents = pd.Index(above["code"]).get_indexer(table["parent"])
        parent_codes = np.append(above["code"].to_numpy(np.str_), "")[parents]
        parent_names = [*above["name"], ""]
        parent_names = [parent_names[row] for row in parents.tolist()]
    serials, width, apart = _serials(codes, parent_codes)
    endings, ending = _endings(table["name"].tolist(), parent_names, serials.tolist())
    kind, kinds = pd.factorize(table["kind"], sort=True)
    content.add(f"{level}.parents", _deltas(parents))
    content.add(f"{level}.serials", serials)
    content.add(f"{level}.suffix", ending)
    content.add(f"{level}.kind", kind)
    content.add(f"{level}.households", table["households"].to_numpy(np.int64).clip(0))
    return {
        "level": level, "width": width, "codes": apart, "suffixes": endings, "kinds": list(kinds),
    }  # fmt: skip


def _serials(
    codes: NDArray[np.str_], parents: NDArray[np.str_]
) -> tuple[NDArray[np.int64], int, dict[str, str]]:
    """Return the number behind the parent's code, its digits, and the codes that are not so."""
    spare = np.char.str_len(codes) - np.char.str_len(parents)
    width = int(np.median(spare)) if len(codes) else 0
    regular = np.zeros(len(codes), bool)
    serials = np.zeros(len(codes), np.int64)
    if 0 < width <= 9:
        begins = np.char.startswith(codes, parents) & (spare == width)
        tails = np.array([code[-width:] for code in codes.tolist()], dtype=f"U{width}")
        regular = begins & np.char.isdecimal(tails) & (parents != "")
        serials[regular] = tails[regular].astype(np.int64)
    apart = {str(row): str(codes[row]) for row in np.flatnonzero(~regular)}
    return serials, width, apart


def _endings(
    names: Sequence[str], parents: Sequence[str], serials: Sequence[int]
) -> tuple[list[str], NDArray[np.int64]]:
    """Return the different endings of names, and which one each unit has."""
    found = []
    for name, parent, serial in zip(names, parents, serials, strict=True):
        text = name if name.isprintable() else name.translate(_RESERVED)
        if parent and text.startswith(parent):
            text = PARENT + text[len(parent) :]
            if serial:
                text = text.replace(str(serial), SERIAL, 1)
        found.append(text)
    number, endings = pd.factorize(np.array(found, object))
    return [str(ending) for ending in endings], number.astype(np.int64)


def zigzag(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return signed numbers, 0, -1, 1, -2 …, as numbers from 0 on, 0, 1, 2, 3 and so on."""
    return (numbers << 1) ^ (numbers >> 63)


def _deltas(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    steps = numbers.astype(np.int64)
    steps[1:] -= numbers[:-1]
    return zigzag(steps)
