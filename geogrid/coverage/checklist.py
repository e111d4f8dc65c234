"""What a check compares with besides the polygons, and what it is not to report."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import geopandas as gpd
import pandas as pd

from geogrid.coverage.findings import RULES
from geogrid.errors import DataError, UsageError
from geogrid.norms import Norms
from geogrid.tables import CsvTable

SLIVER_WIDTH = 1.0
"""Metres: gaps and overlaps narrower than this are called slivers."""

_COLUMNS = (("code", "编码", "代码"), ("rule", "规则"), ("reason", "原因", "理由"))


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault that is known and stays: of which unit, by which rule (`*` for all), and why."""

    code: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Checklist:
    """What to check.

    Attributes
    ----------
    only : frozenset of str, optional
        Rules to report, keys of `findings.RULES`; all by default.
    expected : mapping of level to int
        Number of units that a level must have.
    sliver_width : float
        Metres below which a gap or an overlap is a sliver.
    norms : Norms, optional
        Households by kind; units above are reported.
    buildings : GeoDataFrame, optional
        Polygons that no border of a grid or micro-grid should cut.
    points : GeoDataFrame, optional
        Places, addresses or households; each must lie in exactly one micro-grid.
    workers : DataFrame, optional
        Column `code`: grids (or units of another level) that somebody looks after.
    exceptions : tuple of KnownFault
        Faults that are known; they are shown with their reason and count as notes.
    """

    only: frozenset[str] | None = None
    expected: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    sliver_width: float = SLIVER_WIDTH
    norms: Norms | None = None
    buildings: gpd.GeoDataFrame | None = None
    points: gpd.GeoDataFrame | None = None
    workers: pd.DataFrame | None = None
    exceptions: tuple[KnownFault, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rules that there are not."""
        named = (self.only or frozenset()) | {each.rule for each in self.exceptions} - {"*"}
        unknown = sorted(named - set(RULES))
        if unknown:
            raise UsageError(f"no rule {', '.join(unknown)}; there are {', '.join(RULES)}.")


def read_exceptions(path: Path) -> tuple[KnownFault, ...]:
    """Read a list of known faults: CSV with columns code (编码), rule (规则) and reason (原因).

    Raises
    ------
    DataError
        A column is missing, a rule does not exist or a reason is empty; rows are named.
    """
    table = CsvTable.open(path)
    names = [name.strip().lower() for name in table.header.fields]
    places = [next((names.index(n) for n in known if n in names), -1) for known in _COLUMNS]
    if min(places) < 0:
        raise DataError(
            f"{path} needs the columns code, rule and reason; it has "
            f"{', '.join(table.header.fields)}."
        )
    found = []
    for number, record in enumerate(table.records(), start=2):
        if not any(record.fields):
            continue
        code, rule, reason = (record.fields[k].strip() for k in places)
        if not re.fullmatch(r"[0-9A-Za-z-]+", code) or not reason or rule not in (*RULES, "*"):
            raise DataError(
                f"{path}, row {number}: code {code!r}, rule {rule!r}, reason {reason!r}. Give a "
                f"code, a reason, and one of the rules * {' '.join(RULES)}."
            )
        found.append(KnownFault(code, rule, reason))
    return tuple(found)
