"""The units of an edition by code, by name and by parent."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.codes import LEVELS, parent_level
from geogrid.edition import Edition
from geogrid.errors import UnknownCodeError


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: its level, its row in the edition's table, its code and name."""

    level: str
    row: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class _Level:
    """Columns of one level as plain arrays: a look-up in a frame costs twenty times as much."""

    codes: NDArray[np.str_]
    names: NDArray[np.object_]
    parents: NDArray[np.int64]
    boxes: NDArray[np.float64]


class Directory:
    """Finds units of one edition; built once, asked often, safe in threads."""

    def __init__(self, edition: Edition) -> None:
        """Read codes, names and parents."""
        self.edition = edition
        self._levels: dict[str, _Level] = {}
        for level, table in edition.units.items():
            above = self._levels[parent_level(level)].codes if level != "city" else None
            parents = np.zeros(len(table), np.int64)
            if above is not None:
                parents = np.searchsorted(above, table["parent"].to_numpy(str))
            self._levels[level] = _Level(
                table["code"].to_numpy(str),
                table["name"].to_numpy(object),
                parents,
                shapely.bounds(table.geometry.to_numpy()),
            )

    def unit(self, code: str) -> Unit:
        """Return the unit of this code.

        Raises
        ------
        UnknownCodeError
            There is none.
        """
        for level in LEVELS:
            codes = self._levels[level].codes
            row = int(np.searchsorted(codes, code))
            if row < len(codes) and codes[row] == code:
                return self.at(level, row)
        raise UnknownCodeError(
            f"no unit {code[:40]!r} in edition {self.edition.info.id}; "
            "find codes by name with /v1/search?q=.",
            f"版本 {self.edition.info.id} 中没有单元 {code[:40]!r}，"
            "可用 /v1/search?q= 按名称查找。",
        )

    def at(self, level: str, row: int) -> Unit:
        """Return the unit in this row of a level's table."""
        return Unit(level, row, str(self._levels[level].codes[row]), self._levels[level].names[row])

    def chain(self, unit: Unit) -> list[Unit]:
        """Return a unit and all units above it, from the city down."""
        found = [unit]
        while found[-1].level != "city":
            last = found[-1]
            row = int(self._levels[last.level].parents[last.row])
            found.append(self.at(parent_level(last.level), row))
        return found[::-1]

    def children(self, unit: Unit) -> list[Unit]:
        """Return the units one level below a unit, by code; a micro-grid has none."""
        if unit.level == LEVELS[-1]:
            return []
        level = LEVELS[LEVELS.index(unit.level) + 1]
        rows = np.flatnonzero(self._levels[level].parents == unit.row)
        return [self.at(level, int(row)) for row in rows]

    def search(self, text: str, limit: int) -> list[Unit]:
        """Return units whose code starts with `text` or whose name holds it.

        Upper levels come first; inside a level, shorter names, then lower codes.
        """
        found: list[Unit] = []
        for level in LEVELS:
            columns = self._levels[level]
            named = np.fromiter((text in name for name in columns.names), bool)
            rows = np.flatnonzero(named | np.strings.startswith(columns.codes, text))
            lengths = np.fromiter((len(columns.names[row]) for row in rows), np.int64)
            best = rows[np.argsort(lengths, kind="stable")][: limit - len(found)]
            found += [self.at(level, int(row)) for row in best]
        return found

    def bbox(self, unit: Unit) -> list[float]:
        """Return west, south, east and north of a unit in degrees."""
        west, south, east, north = self._levels[unit.level].boxes[unit.row].tolist()
        return [west, south, east, north]
