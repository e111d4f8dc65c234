"""Codes of units: text made of digits, one segment a level.

A grid's code is its village's 12-digit code and a 3-digit serial; a micro-grid's code is its grid's
code and a 3-digit serial (DB11/T 2157 for the grid serial; the micro-grid serial is a proposal of
this project). The code starts with the parent's code *at issue time* only: the parent of a unit is
a column of its own, since a township may be recoded later.
Codes are text everywhere: 18 digits are more than a float, a spreadsheet or JavaScript can hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geogrid.errors import DataError, QuotaError, UsageError

LEVELS = ("city", "county", "township", "village", "grid", "microgrid")
LEVEL_NAMES_ZH = MappingProxyType(
    {
        "city": "市",
        "county": "县(市、区)",
        "township": "乡镇(街道)",
        "village": "村(社区)",
        "grid": "网格",
        "microgrid": "微网格",
    }
)

_LENGTHS = MappingProxyType(
    {"city": 4, "county": 6, "township": 9, "village": 12, "grid": 15, "microgrid": 18}
)


_URBAN_SERIALS = ("0", "1", "4")


@dataclass(frozen=True, slots=True)
class CodeScheme:
    """Lengths of the codes by level and ranges of the serials.

    Other cities use 14, 15 or 20 digits, so the scheme is configuration. `basic` and `dedicated`
    are inclusive ranges of serials; 900 is spare and 000 means "the whole parent, undivided" and is
    never issued.

    >>> CodeScheme().display("411602001001003012")
    '411602001001-003-012'
    """

    lengths: Mapping[str, int] = field(default_factory=lambda: _LENGTHS)
    basic: tuple[int, int] = (1, 899)
    dedicated: tuple[int, int] = (901, 999)

    def unpad(self, code: str, level: str) -> str:
        """Return `code` without the zeros that fill a published code up to a longer level.

        >>> CodeScheme().unpad("411602000000", "county")
        '411602'
        """
        length = self.lengths[level]
        if not re.fullmatch(r"[0-9]+", code) or len(code) < length or code[length:].strip("0"):
            raise DataError(
                f"code {code!r} is not a {level} code: expected {length} digits, "
                "with nothing but zeros behind them. Give the code column as text."
            )
        return code[:length]

    def parent_code(self, code: str, level: str) -> str:
        """Return the code of the parent at issue time."""
        return code[: self.lengths[parent_level(level)]]

    def pattern(self, level: str) -> str:
        """Return the regular expression that a code of this level matches whole."""
        length = self.lengths[level]
        if level not in ("grid", "microgrid"):
            return rf"[0-9]{{{length}}}"
        serial = length - self.lengths[parent_level(level)]
        return rf"[0-9]{{{length - serial}}}(?!0{{{serial}}})[0-9]{{{serial}}}"

    def display(self, code: str) -> str:
        """Return the dashed form for people; it cannot be taken for a resident's ID number."""
        cuts = [self.lengths[level] for level in ("village", "grid", "microgrid")]
        pieces = [code[: cuts[0]], code[cuts[0] : cuts[1]], code[cuts[1] : cuts[2]]]
        return "-".join(piece for piece in pieces if piece)


def parent_level(level: str) -> str:
    """Return the level above; the city has none.

    >>> parent_level("microgrid")
    'grid'
    """
    index = LEVELS.index(level)
    if index == 0:
        raise UsageError("the city has no parent level")
    return LEVELS[index - 1]


def kind_of(village: str) -> str:
    """Return `urban` for the code of a residents' committee, `rural` for a villagers'.

    The tenth digit tells: 0, 1 and 4 are residents' committees and the like (NBS).

    >>> kind_of("411602001001"), kind_of("411602001200")
    ('urban', 'rural')
    """
    return "urban" if village[9] in _URBAN_SERIALS else "rural"


def issue(
    parents: NDArray[np.str_],
    points: NDArray[np.float64],
    areas: NDArray[np.float64],
    *,
    dedicated: NDArray[np.bool_] | None = None,
    held: NDArray[np.str_] | None = None,
    used: NDArray[np.str_] | None = None,
) -> NDArray[np.str_]:
    """Issue codes to units inside their parents (rules R-04, R-05).

    Siblings are numbered by row bands from north to south, and from west to east inside a band;
    ties go by x, then y, then the row. The order of the rows does not matter otherwise.

    Parameters
    ----------
    parents : (n,) text
        Code of each unit's parent.
    points : (n, 2) float
        A point inside each unit, metres east and north in the working CRS.
    areas : (n,) float
        Areas in m²; a band is as high as the median square root of the siblings' areas.
    dedicated : (n,) bool, optional
        Units that take a serial of the dedicated range (901-999).
    held : (n,) text, optional
        Codes that units keep, else empty.
    used : (m,) text, optional
        Codes issued before, held or not: new serials come after the highest of a parent.

    Returns
    -------
    (n,) text
        Codes, the parent's code plus a serial of three digits.
    """
    scheme = CodeScheme()
    special = np.zeros(len(parents), bool) if dedicated is None else dedicated
    frame = pd.DataFrame(
        {"parent": parents, "x": points[:, 0], "y": points[:, 1], "special": special}
    )
    frame["side"] = np.sqrt(areas)
    siblings = frame.groupby("parent", sort=False)
    height = siblings["side"].transform("median")
    frame["band"] = np.floor((siblings["y"].transform("max") - frame["y"]) / height)
    order = frame.sort_values(["parent", "special", "band", "x", "y"], kind="stable").index
    frame["fresh"] = np.ones(len(frame), bool) if held is None else held == ""
    ranked = frame.loc[order].groupby(["parent", "special"], sort=False)
    rank = ranked["fresh"].cumsum().reindex(frame.index).to_numpy() - 1
    first = np.where(special, scheme.dedicated[0], scheme.basic[0])
    last = np.where(special, scheme.dedicated[1], scheme.basic[1])
    first = np.maximum(first, _after(used, parents, special, scheme))
    kept = np.zeros(len(frame), np.int64)
    if held is not None:
        kept[held != ""] = [int(code[-3:]) for code in held.tolist() if code]
    serial = np.where(frame["fresh"], rank + first, kept)
    if (serial > last).any():
        full = frame.loc[serial > last, "parent"].iloc[0]
        raise QuotaError(
            f"{full} has more units than serials {scheme.basic[0]}-{scheme.basic[1]} allow. "
            "Ask for fewer units, or divide the parent first."
        )
    return np.char.add(parents, np.char.zfill(serial.astype(np.int64).astype(str), 3))


def _after(
    used: NDArray[np.str_] | None,
    parents: NDArray[np.str_],
    special: NDArray[np.bool_],
    scheme: CodeScheme,
) -> NDArray[np.int64]:
    """Return the serial after the highest that each unit's parent has issued in its range."""
    if used is None or not len(used):
        return np.ones(len(parents), np.int64)
    frame = pd.DataFrame({"parent": [code[:-3] for code in used.tolist()]})
    frame["serial"] = [int(code[-3:]) for code in used.tolist()]
    frame["special"] = frame["serial"] >= scheme.dedicated[0]
    most = frame.groupby(["parent", "special"])["serial"].max()
    wanted = pd.MultiIndex.from_arrays([parents, special])
    return most.reindex(wanted).fillna(0).to_numpy(np.int64) + 1
