"""How units are shaded: classes, their colours, and the rows of the legend.

Colours are told apart by colour-blind readers (ColorBrewer YlGnBu and PuOr), and a unit of which
nothing is known is hatched, never pale: no data is not little.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.edition import Edition
from geogrid.errors import UnknownCodeError, UsageError
from geogrid.incidents.warning import COLOURS, COLOURS_ZH, NO_DATA

MEASURES = ("households", "balance", "density", "kind", "none")
"""What units can be shaded by, besides a Series of one's own."""

SEQUENCE = ("#ffffcc", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8")
DIVERGING = ("#5e3c99", "#b2abd2", "#f2f0f2", "#fdb863", "#e66101")
"""From far below the mean to far above it."""

BALANCE_EDGES = (0.5, 0.8, 1.25, 2.0)
"""Households over the mean of the parent's units: half, four fifths, five quarters, twice."""

WARNING_FILLS = {
    "none": "#f1f1ef", "blue": "#3f7fd0", "yellow": "#ffd92f", "orange": "#f58220",
    "red": "#c8102e",
}  # fmt: skip
_CATEGORIES = ("#8dd3c7", "#fdb462", "#bebada", "#80b1d3", "#fb8072", "#b3de69", "#d9d9d9")
_KINDS = {
    "urban": "城市社区 urban", "rural": "农村 rural", "dedicated": "专属网格 dedicated",
}  # fmt: skip
_HATCHED = -1


@dataclass(frozen=True, slots=True)
class Shading:
    """A class for each unit of a level.

    Attributes
    ----------
    heading : str
        What the colours stand for, Chinese and English.
    classes : (n,) int64
        Row of `fills` for each unit, in the order of the table; -1 where nothing is known.
    fills, rows : tuple of str
        A colour and a line of the legend for each class.
    """

    heading: str
    classes: NDArray[np.int64]
    fills: tuple[str, ...]
    rows: tuple[str, ...]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Units of which nothing is known."""
        hatched: NDArray[np.bool_] = self.classes == _HATCHED
        return hatched


def shade(edition: Edition, level: str, color: str | pd.Series) -> Shading:
    """Return how the units of `level` are shaded.

    Parameters
    ----------
    color : str or Series
        One of `MEASURES`; or values by code: warnings (`none`, `blue` … `red`, `no_data`), numbers
        (classes of about equally many units) or names. Units without a value are hatched.

    Raises
    ------
    UsageError
        There is no such measure.
    UnknownCodeError
        The index of the Series holds a code that is not one of this level.
    """
    if isinstance(color, pd.Series):
        return _of_series(edition, level, color)
    if color not in MEASURES:
        raise UsageError(
            f"no measure {color!r} to shade by: there are {', '.join(MEASURES)}; or give a Series "
            "of values by code."
        )
    return _MEASURED[color](edition, level)


def level_of(edition: Edition, codes: pd.Index) -> str:
    """Return the level whose units these codes name."""
    for level, table in edition.units.items():
        if codes.isin(table["code"]).any():
            return level
    raise UnknownCodeError(
        f"none of the {len(codes)} codes of the Series, such as {next(iter(codes), 'none')!r}, is "
        f"in edition {edition.info.id}. Its index must hold codes, as text."
    )


def balance(edition: Edition, level: str) -> NDArray[np.float64]:
    """Return each unit's households over the mean of its parent's units; NaN where that is 0."""
    table = edition.units[level]
    mean = table.groupby("parent")["households"].transform("mean").to_numpy(float)
    own = table["households"].to_numpy(float)
    ratio: NDArray[np.float64] = np.full(len(own), np.nan)
    np.divide(own, mean, out=ratio, where=mean > 0)
    return ratio


def _of_series(edition: Edition, level: str, values: pd.Series) -> Shading:
    table = edition.units[level]
    unknown = values.index[~values.index.isin(table["code"])]
    if len(unknown):
        raise UnknownCodeError(
            f"{len(unknown)} codes, such as {unknown[0]!r}, are no {level} of edition "
            f"{edition.info.id}. Make the Series from units of one level of this edition."
        )
    own = values.reindex(table["code"])
    name = str(values.name or "")
    if values.isin([*COLOURS, NO_DATA]).all():
        return _warnings(own, name)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return _quantiles(own.to_numpy(float), name)
    return _named(own.astype(object).where(own.notna(), ""), name)


def _warnings(own: pd.Series, name: str) -> Shading:
    place = pd.Series(range(len(COLOURS)), index=COLOURS)
    classes = own.map(place).fillna(_HATCHED).to_numpy().astype(np.int64)
    rows = tuple(f"{COLOURS_ZH[each]} {each}" for each in COLOURS)
    fills = tuple(WARNING_FILLS[each] for each in COLOURS)
    return Shading(name or "预警\nWarning", classes, fills, rows)


def _quantiles(own: NDArray[np.float64], name: str) -> Shading:
    known = own[~np.isnan(own)]
    if not len(known):
        return Shading(name, np.full(len(own), _HATCHED), (), ())
    shares = np.arange(1, len(SEQUENCE)) / len(SEQUENCE)
    breaks = np.unique(np.quantile(known, shares, method="higher"))
    breaks = breaks[breaks > known.min()]
    classes = np.searchsorted(breaks, own, side="right")
    classes[np.isnan(own)] = _HATCHED
    edges = [known.min(), *breaks, known.max()]
    whole = bool((known == np.rint(known)).all())
    rows = tuple(
        _span(first, last, whole=whole, end=place == len(breaks))
        for place, (first, last) in enumerate(itertools.pairwise(edges))
    )
    return Shading(name, classes.astype(np.int64), SEQUENCE[: len(rows)], rows)


def _span(first: float, last: float, *, whole: bool, end: bool) -> str:
    """Return a class as its least and its greatest value, or a half-open span of fractions."""
    if not whole:
        return f"{first:,.3g} – {last:,.3g}"
    last = last if end else last - 1
    return f"{first:,.0f} – {last:,.0f}" if last > first else f"{first:,.0f}"


def _named(own: pd.Series, name: str) -> Shading:
    present = [each for each in pd.unique(own) if each != ""]
    ordered = sorted(present, key=lambda each: (-int((own == each).sum()), str(each)))
    shown, others = ordered[: len(_CATEGORIES) - 1], ordered[len(_CATEGORIES) - 1 :]
    place = {each: row for row, each in enumerate(shown)} | dict.fromkeys(others, len(shown))
    classes = own.map(place).fillna(_HATCHED).to_numpy().astype(np.int64)
    rows = (*map(str, shown), *(["其他 other"] if others else []))
    return Shading(name, classes, _CATEGORIES[: len(rows)], rows)


def _households(edition: Edition, level: str) -> Shading:
    households = edition.units[level]["households"].to_numpy(float)
    if not households.any():
        households = np.full(len(households), np.nan)
    return _quantiles(
        households, f"每{LEVEL_NAMES_ZH[level]}户数\nHouseholds a {LEVEL_NAMES_EN[level]}"
    )


def _density(edition: Edition, level: str) -> Shading:
    table = edition.units[level]
    each_km2 = table["households"] / (table["area_m2"] / 1e6)
    return _quantiles(each_km2.round().to_numpy(float), "每平方公里户数\nHouseholds a km²")


def _balance(edition: Edition, level: str) -> Shading:
    ratio = balance(edition, level)
    classes = np.searchsorted(BALANCE_EDGES, ratio, side="right")
    classes[np.isnan(ratio)] = _HATCHED
    low, below, above, high = BALANCE_EDGES
    rows = (
        f"不足 below {low:g}", f"{low:g} – {below:g}", f"均衡 even {below:g} – {above:g}",
        f"{above:g} – {high:g}", f"超过 above {high:g}",
    )  # fmt: skip
    heading = "户数与同级均值之比\nHouseholds / mean of siblings"
    return Shading(heading, classes.astype(np.int64), DIVERGING, rows)


def _kind(edition: Edition, level: str) -> Shading:
    kinds = edition.units[level]["kind"]
    return _named(kinds.map(lambda kind: _KINDS.get(kind, kind)), "类型\nKind")


def _none(edition: Edition, level: str) -> Shading:
    n = len(edition.units[level])
    row = f"{LEVEL_NAMES_ZH[level]} {LEVEL_NAMES_EN[level]}"
    return Shading("单元\nUnits", np.zeros(n, np.int64), ("#f4f4f1",), (row,))


LEVEL_NAMES_EN = {
    "city": "city", "county": "county", "township": "township", "village": "village",
    "grid": "grid", "microgrid": "micro-grid",
}  # fmt: skip

_MEASURED = {
    "households": _households, "balance": _balance, "density": _density, "kind": _kind,
    "none": _none,
}  # fmt: skip
