"""Does the declared datum fit? Known places of some records tell (rule R-31).

A wrong datum shifts positions by half a kilometre or more: 96 % fall into a wrong micro-grid, and
only 1 % out of the city, so nothing else would show it. Where records carry their village, or lie
at buildings, each datum is tried: read in the right one, records lie where they say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid import datums, store
from geogrid.datums import Datum, Reference
from geogrid.errors import CoordinateError, UsageError
from geogrid.locate.index import Index
from geogrid.locate.job import Job
from geogrid.locate.locator import Locator

FEWEST = 20
"""Records with a known place without which nothing is said."""

MOST = 200_000
"""Records looked at, from the first."""

_AT_BUILDING = 30.0
"""Metres: a report about a building is given at its door or in front of it."""

_CLEAR, _SIGMAS = 3, 3.0
"""A datum is better if that many more records agree and none disagrees, or if the difference is
that many times what chance makes of it."""

_HYPOTHESES = (Datum.WGS84, Datum.GCJ02, Datum.BD09)
"""WGS84 and CGCS2000 are the same numbers."""

_METRES_PER_DEGREE = 111_320.0

UNIT_HEADERS = (
    "village", "village_code", "village_name", "community", "unit", "unit_code",
    "村", "社区", "村社区", "村(社区)", "村（社区）", "行政村", "村名", "所属村", "所在村",
    "所属社区", "村代码", "社区代码", "村(社区)代码", "区划代码", "行政区划代码",
)  # fmt: skip
"""Headers, in lower case, of a column that tells the village (or a unit above) by code or name."""

DATUM_HEADERS = ("datum", "坐标系", "坐标系统", "坐标类型")
"""Headers, in lower case, of a column that tells the datum of each record."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which records agree with which datum.

    Attributes
    ----------
    what_en, what_zh : str
        What they were compared with.
    agrees : mapping of Datum to (n,) bool
    """

    what_en: str
    what_zh: str
    agrees: Mapping[Datum, NDArray[np.bool_]]

    @property
    def best(self) -> Datum:
        """The datum with which most records agree."""
        return max(self.agrees, key=lambda datum: int(self.agrees[datum].sum()))

    def refutes(self, declared: Datum) -> bool:
        """Say whether another datum is clearly better than the declared one."""
        best = self.agrees[self.best]
        said = self.agrees[_same(declared)]
        for_best, for_said = int((best & ~said).sum()), int((said & ~best).sum())
        gain = for_best - for_said
        chance = math.sqrt(for_best + for_said)
        clear = (for_said == 0 and gain >= _CLEAR) or gain > _SIGMAS * max(chance, 1.0)
        return clear and 2 * int(best.sum()) >= len(best)

    def told(self, declared: Datum) -> tuple[str, str]:
        """Return what the records say, in English and Chinese."""
        n, best = len(self.agrees[self.best]), self.best
        right, said = int(self.agrees[best].sum()), int(self.agrees[_same(declared)].sum())
        return (
            f"the coordinates look like {best.value}, not {declared.value}: of {n} records "
            f"{self.what_en}, {right} agree when read as {best.value}, {said} as {declared.value}.",
            f"坐标更像 {best.value}，而不是 {declared.value}：{n} 条{self.what_zh}的记录中，"
            f"按 {best.value} 有 {right} 条相符，按 {declared.value} 有 {said} 条。",
        )


def examine(
    locator: Locator, job: Job, xy: NDArray[np.float64], told: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Refuse a datum that known places refute; where it is forced, return the warnings instead.

    Parameters
    ----------
    locator : Locator
    job : Job
        Its `buildings` are compared with, if given.
    xy : (n, 2) float
        Positions of the first records.
    told : mapping of column to n texts
        Of `telling_columns`: codes or names of the unit of each, and the datum of each.

    Raises
    ------
    CoordinateError
        Another datum fits clearly better, or a record says another.
    """
    declared = job.datum
    refuted: list[tuple[str, str, str, str]] = []
    evidence: list[Evidence | None] = []
    for column, texts in told.items():
        if _is_datum(column):
            said = _said_otherwise(declared, texts, column)
            if said is not None:
                refuted.append(
                    (*said, "Locate the records of each datum by themselves", "请按坐标系分开落格")
                )
        elif isinstance(declared, Datum):
            evidence.append(by_unit(locator, xy, texts, column))
    if isinstance(declared, Datum):
        if job.buildings is not None:
            evidence.append(by_buildings(xy, read_buildings(job.buildings), job.buildings.name))
        refuted += [
            (
                *each.told(declared),
                f"Give --datum {each.best.value}",
                f"请改用 --datum {each.best.value}",
            )
            for each in evidence
            if each is not None and each.refutes(declared)
        ]
    if refuted and not job.force:
        en, zh, instead, instead_zh = refuted[0]
        raise CoordinateError(
            f"{job.source}: {en} {instead}, or --force if you know better.",
            f"{job.source}：{zh}{instead_zh}，确知无误时可用 --force。",
        )
    return [told[:2] for told in refuted]


def by_unit(
    locator: Locator, xy: NDArray[np.float64], units: Sequence[str], column: str
) -> Evidence | None:
    """Compare records with the units they name, by code or by name; None for too few.

    A name counts for every unit that has it.
    """
    known = _known_units(locator.index, pd.Series(units, dtype=object).fillna("").astype(str))
    rows = np.flatnonzero((known["level"] != "").to_numpy() & np.isfinite(xy).all(axis=1))
    if len(rows) < FEWEST:
        return None
    agrees = {}
    for datum in _HYPOTHESES:
        found = locator.locate(xy[rows], datum=datum).row
        agrees[datum] = _agree(locator.index, found, known.iloc[rows])
    return Evidence(f"with a known unit (column {column})", f"已知所属单位（列 {column}）", agrees)


def by_buildings(
    xy: NDArray[np.float64], buildings: NDArray[np.object_], name: str
) -> Evidence | None:
    """Compare records with buildings or households `(m,)` in EPSG:4490; None for too few.

    Records agree where one is within 30 m.
    """
    rows = np.flatnonzero(np.isfinite(xy).all(axis=1))[:2000]
    if len(rows) < FEWEST:
        return None
    scale = np.array([math.cos(math.radians(float(np.median(xy[rows, 1])))), 1.0])
    scale = scale * _METRES_PER_DEGREE
    tree = shapely.STRtree(shapely.transform(buildings, lambda degrees: degrees * scale))
    agrees = {}
    for datum in _HYPOTHESES:
        points = shapely.points(datums.convert(xy[rows], datum, Datum.CGCS2000) * scale)
        near, _ = tree.query_nearest(points, max_distance=_AT_BUILDING, all_matches=False)
        agrees[datum] = np.isin(np.arange(len(rows)), near)
    return Evidence(
        f"compared with {name} ({_AT_BUILDING:.0f} m around)",
        f"与 {name}（周边 {_AT_BUILDING:.0f} 米）比对", agrees,
    )  # fmt: skip


def read_buildings(path: Path) -> NDArray[np.object_]:
    """Return the shapes of a layer of buildings or households, in EPSG:4490."""
    frame: gpd.GeoDataFrame = store.read_vector(path)
    shapes: NDArray[np.object_] = frame.geometry.dropna().to_crs("EPSG:4490").to_numpy()
    return shapes


def telling_columns(names: Sequence[str], job: Job) -> list[str]:
    """Return the columns that tell the unit and the datum of a record, if there are any.

    The unit is told by the column named, or the first usual header.
    """
    if job.unit is not None and job.unit not in names:
        raise UsageError(f"no column {job.unit!r}; the columns are {', '.join(names)}")
    usual = [name for name in names if name.strip().lower() in UNIT_HEADERS][:1]
    return (usual if job.unit is None else [job.unit]) + [n for n in names if _is_datum(n)][:1]


def _is_datum(column: str) -> bool:
    return column.strip().lower() in DATUM_HEADERS


def _said_otherwise(
    declared: Reference, texts: Sequence[str], column: str
) -> tuple[str, str] | None:
    """Return how many records say that they are of another datum, in English and Chinese."""
    plain = pd.Series(texts, dtype=object).fillna("").astype(str)
    plain = plain.str.lower().str.replace(r"[\s_-]", "", regex=True)
    same = _same(declared) if isinstance(declared, Datum) else None
    others = plain[plain.isin([datum.value for datum in Datum if _same(datum) is not same])]
    if not len(others):
        return None
    first, row = others.iloc[0], others.index[0] + 1
    return (
        f"records of another datum than {declared.value} by their column {column}: "
        f"{len(others)}, the first is record {row} ({first}).",
        f"按列 {column}，有 {len(others)} 条记录的坐标系不是 {declared.value}，"
        f"首条为第 {row} 条：{first}。",
    )


def _same(datum: Datum) -> Datum:
    """Return WGS84 for CGCS2000: they are the same numbers."""
    return Datum.WGS84 if datum is Datum.CGCS2000 else datum


def _known_units(index: Index, texts: pd.Series) -> pd.DataFrame:
    """Return level and code or name of the unit each text tells; empty where it tells none."""
    known = pd.DataFrame({"level": "", "text": texts.str.strip(), "named": False})
    for level in ("county", "township", "village", "grid"):
        codes = index.unit_codes(level)
        plain = known["text"].str.slice(0, len(codes[0]))
        padded = known["text"].str.slice(len(codes[0])).str.strip("0") == ""
        hit = plain.isin(codes) & padded
        known.loc[hit, ["level", "text"]] = np.column_stack(
            [np.full(int(hit.sum()), level), plain[hit]]
        )
    for level in ("county", "township", "village"):
        hit = (known["level"] == "") & known["text"].isin(index.unit_names(level))
        known.loc[hit, "level"] = level
        known.loc[hit, "named"] = True
    return known


def _agree(index: Index, found: NDArray[np.int32], known: pd.DataFrame) -> NDArray[np.bool_]:
    agrees = np.zeros(len(found), bool)
    for level in ("county", "township", "village", "grid"):
        units = np.append(index.units_of(level), -1)[found]
        codes = np.append(index.unit_codes(level), "")[units]
        agrees |= (
            (known["level"] == level) & ~known["named"] & (known["text"] == codes)
        ).to_numpy()
        if level != "grid":
            names = np.append(index.unit_names(level), "")[units]
            agrees |= (
                (known["level"] == level) & known["named"] & (known["text"] == names)
            ).to_numpy()
    return agrees
