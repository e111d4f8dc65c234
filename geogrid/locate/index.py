"""The look-up index: micro-grids in the form that the kernels read, in memory or in a mapped file.

The file holds one header and plain arrays, so opening it reads a page and maps the rest: processes
that open it share one copy in memory. It is derived from an edition, names the edition's digest,
and can be rebuilt at any time; docs/data-format.md describes it.
"""

import json
import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geogrid import store
from geogrid._kernels.cells import Cells
from geogrid._kernels.locate import Borders
from geogrid.codes import parent_level
from geogrid.edition import Edition
from geogrid.errors import DataError

_MAGIC = b"GEOGRID-LOCATE-2"
_ALIGNMENT = 64
NAMED_LEVELS = ("city", "county", "township", "village")
"""Levels whose names people write; those of grids are made of the village's."""

REACH = 1000.0
"""Metres outside the city up to which the distance to it is told."""

_MARGIN = 0.02
"""Degrees: BD-09 lies up to 0.012 degree off WGS84; swapped pairs are recognised this far out."""

_DIGITS = 16
"""Digits of the digest in a file's name."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Index:
    """The micro-grids of one edition, ready to be asked.

    Attributes
    ----------
    digest, edition : str
        Of the edition; `edition` is its id.
    source : mapping
        `size` and `mtime_ns` of the GeoPackage that the index lies beside; empty in memory.
    numbers : mapping
        west, south, shift, columns, rows, outside of the cells; columns and rows of the coarse
        cells of the outline.
    bounds : west south east north
        Of the city, in degrees.
    arrays : mapping
        What the kernels read, by name; see docs/data-format.md.
    """

    digest: str
    edition: str
    source: Mapping[str, int]
    numbers: Mapping[str, int]
    bounds: tuple[float, float, float, float]
    arrays: Mapping[str, NDArray[Any]]

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Where positions are expected, so that swapped pairs are recognised."""
        west, south, east, north = self.bounds
        return west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN

    @cached_property
    def cells(self) -> Cells:
        """The cells."""
        scalars = (self.numbers[name] for name in Cells._fields[:6])
        return Cells(*scalars, *(self.arrays[name] for name in Cells._fields[6:]))  # type: ignore[arg-type]

    @cached_property
    def borders(self) -> Borders:
        """What distances are measured to."""
        arrays, numbers = self.arrays, self.numbers
        return Borders(
            self.origin, arrays["ring_xy"], arrays["ring_starts"], arrays["ring_firsts"],
            arrays["ring_beyond"], arrays["outline"], arrays["outline_inner"],
            arrays["outline_starts"], arrays["outline_items"],
            (numbers["outline_columns"], numbers["outline_rows"], numbers["outline_cell"]), REACH,
        )  # fmt: skip

    @cached_property
    def codes(self) -> NDArray[np.str_]:
        """Codes of the micro-grids, and one empty code behind the last: what row -1 refers to."""
        return np.append(self.unit_codes("microgrid"), "")

    @cached_property
    def grid_codes(self) -> NDArray[np.str_]:
        """Codes of the grid of each micro-grid, and one empty code behind the last."""
        return np.append(self.unit_codes("grid")[self.arrays["microgrid_parents"]], "")

    def unit_codes(self, level: str) -> NDArray[np.str_]:
        """Return the codes of a level's units, ascending."""
        codes: NDArray[np.str_] = self.arrays[f"{level}_codes"].astype(str)
        return codes

    def unit_names(self, level: str) -> NDArray[np.str_]:
        """Return the names of a level's units; one of `NAMED_LEVELS`."""
        return np.char.decode(self.arrays[f"{level}_names"], "utf-8")

    def units_of(self, level: str, of: str = "microgrid") -> NDArray[np.int32]:
        """Return the row of the unit of a level that each unit of `of` lies in."""
        rows = np.arange(len(self.arrays[f"{of}_codes"]), dtype=np.int32)
        while of != level:
            rows = self.arrays[f"{of}_parents"][rows]
            of = parent_level(of)
        return rows

    @property
    def origin(self) -> tuple[int, int]:
        """South-west corner, in steps."""
        return self.numbers["west"], self.numbers["south"]

    def save(self, path: Path) -> None:
        """Write the index to a file, whole or not at all."""
        layout, offset = {}, 0
        for name, array in self.arrays.items():
            layout[name] = (array.dtype.str, array.shape, offset)
            offset = _aligned(offset + array.nbytes)
        header = json.dumps(
            {
                "digest": self.digest, "edition": self.edition, "source": dict(self.source),
                "numbers": dict(self.numbers), "bounds": self.bounds, "arrays": layout,
                "bytes": offset,
            }
        ).encode()  # fmt: skip
        with store.replacing(path) as draft, draft.open("wb") as file:
            file.write(_MAGIC + len(header).to_bytes(8, "little"))
            file.write(zlib.crc32(header).to_bytes(8, "little") + header)
            start = _aligned(file.tell())
            for name, array in self.arrays.items():
                file.seek(start + layout[name][2])
                file.write(np.ascontiguousarray(array).data)
            file.truncate(start + offset)

    @classmethod
    def open(cls, path: Path) -> "Index":
        """Map the index that a file holds.

        Raises
        ------
        DataError
            The file is missing, is no index, or is not whole.
        """
        try:
            mapped = np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        head = len(_MAGIC) + 16
        magic, sizes = bytes(mapped[: len(_MAGIC)]), bytes(mapped[len(_MAGIC) : head])
        n = int.from_bytes(sizes[:8], "little")
        text = bytes(mapped[head : head + n]) if n < len(mapped) else b""
        if magic != _MAGIC or zlib.crc32(text) != int.from_bytes(sizes[8:], "little"):
            raise DataError(f"{path} is not a look-up index of this version; delete it.")
        header = json.loads(text)
        start = _aligned(head + n)
        if start + header["bytes"] != len(mapped):
            raise DataError(f"{path} is not whole; delete it, and it will be made again.")
        arrays = {
            name: np.ndarray(shape, dtype, mapped.data, start + offset)
            for name, (dtype, shape, offset) in header["arrays"].items()
        }
        return cls(
            header["digest"], header["edition"], header["source"], header["numbers"],
            tuple(header["bounds"]), arrays,
        )  # fmt: skip


def index_of(city: Path, build: Callable[[Edition, Mapping[str, int]], Index]) -> Index:
    """Return the index of an edition file, kept beside it as `NAME.DIGEST.locator`.

    A kept index is taken if size and time of the edition file are those it was made from. Else the
    edition is read and proven, `build` makes the index anew, and indexes of earlier editions of
    this name are removed. Where the folder cannot be written, the index stays in memory.
    """
    try:
        stat = city.stat()
    except OSError as error:
        raise DataError(f"cannot read {city}: {error.strerror}.") from error
    source = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    kept = sorted(city.parent.glob(f"{escape(city.stem)}.{'[0-9a-f]' * _DIGITS}.locator"))
    for path in kept:
        try:
            index = Index.open(path)
        except DataError as error:
            logger.info("%s", error)
            continue
        if index.source == source:
            return index
    index = build(store.read_edition(city), source)
    target = city.with_name(f"{city.stem}.{index.digest[:_DIGITS]}.locator")
    try:
        index.save(target)
    except DataError as error:
        logger.info("%s", error)
        return index
    for path in kept:
        if path != target:
            path.unlink(missing_ok=True)
    return Index.open(target)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
