"""What a map is coloured by: a class for each unit of one level, its colours and its legend."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geogrid.codes import LEVEL_NAMES_ZH, LEVELS, parent_level
from geogrid.edition import Edition
from geogrid.errors import UnknownCodeError, UsageError
from geogrid.incidents.warning import COLOURS, COLOURS_ZH, NO_DATA
from geogrid.schema import UNIT_COLUMNS

UNPAINTED = 255
"""Class of a unit that is left out."""

SEQUENTIAL = ("#ffffcc", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8")
"""ColorBrewer YlGnBu, told apart by colour-blind readers; pale is little.

Its darkest blue is left out: borders cannot be seen on it.
"""

DIVERGING = ("#5e3c99", "#b2abd2", "#f1eef3", "#fdb863", "#e66101")
"""ColorBrewer PuOr, safe for colour-blind readers: violet is below, orange above."""

CATEGORIES = (
    "#88ccee", "#ddcc77", "#cc6677", "#117733", "#aa4499", "#44aa99", "#999933", "#882255",
    "#332288", "#bbbbbb",
)  # fmt: skip
"""Paul Tol's muted colours, safe for colour-blind readers."""

WARNINGS = ("#e4eae6", "#3f7fd6", "#f6d32d", "#f08a1d", "#d0241f")
"""No warning, then the four colours that the rule names."""

NOTHING_KNOWN = "#f7f8f8"
"""Under the hatching of units without data."""

_BALANCE = (0.5, 0.8, 1.25, 2.0)
"""Weight over the parent's mean: half, a fifth less, a quarter more, double."""

_KINDS = {"urban": "城市社区 Urban", "rural": "农村 Rural", "dedicated": "专属 Dedicated"}

_COLUMN_TITLES = {
    "households": "户数 Households", "area_m2": "面积 Area (m²)", "kind": "类型 Kind",
    "balance": "均衡 Households over the mean of the parent's units",
    "valid_from": "启用日期 Valid from",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """A class for each unit of a level.

    Attributes
    ----------
    level : str
    values : (n,) uint8
        Class of each unit, in the order of the level's table; `UNPAINTED` is left out.
    fills, labels : tuple of str
        Colour (`#rrggbb`) and text of each class.
    heading : str
        What the legend is headed by.
    hatched : tuple of int
        Classes that are hatched: those of which nothing is known.
    """

    level: str
    values: NDArray[np.uint8]
    fills: tuple[str, ...]
    labels: tuple[str, ...]
    heading: str
    hatched: tuple[int, ...] = ()

    def style(self) -> dict[str, object]:
        """Return what the script needs besides the values."""
        return {
            "level": self.level, "fills": list(self.fills), "labels_of": list(self.labels),
            "heading": self.heading, "hatched": list(self.hatched),
        }  # fmt: skip


@runtime_checkable
class Classifier(Protocol):
    """A classification by mapclassify, which takes seconds to import: its users have done so."""

    y: NDArray[np.float64]
    yb: NDArray[np.int64]
    k: int

    def get_legend_classes(self, fmt: str) -> list[str]:
        """Return the text of each class."""


Colour: TypeAlias = str | pd.Series | Classes | Classifier
"""What a map may be coloured by."""


def classes_of(edition: Edition, colour: Colour, level: str = "auto") -> Classes:
    """Return the classes of an edition's units.

    Parameters
    ----------
    colour : str, Series, Classes or MapClassifier
        A column of the units (`households`, `area_m2`, `kind`), `balance` (households over the
        mean of the parent's units), a Series of numbers or texts by code, a classification by
        mapclassify of all units of `level`, or classes made before. Warnings (`COLOURS` and
        `no_data`) get their own colours. Numbers are put in six classes of about equally many
        units; missing ones are hatched.
    level : str
        `auto`: the micro-grids, or for a Series the level that its codes belong to.

    Raises
    ------
    UsageError
        No such column or level, more than ten categories, or nothing to be coloured by.
    UnknownCodeError
        A Series holds codes that the edition does not.
    """
    if level not in ("auto", *LEVELS):
        raise UsageError(f"level {level!r}: expected auto, {', '.join(LEVELS)}")
    if isinstance(colour, Classes):
        return colour
    if isinstance(colour, pd.Series):
        chosen = _level_of(edition, colour, level)
        values = colour.reindex(edition.units[chosen]["code"])
        return _of_values(values.reset_index(drop=True), chosen, str(colour.name or "值 Value"))
    if isinstance(colour, Classifier):
        return _of_classifier(edition, colour, level)
    chosen = "microgrid" if level == "auto" else level
    if colour == "balance":
        return _balance(edition, "grid" if level == "auto" else level)
    if colour not in UNIT_COLUMNS:
        raise UsageError(
            f"color={colour!r}: expected balance, a column of the units "
            f"({', '.join(UNIT_COLUMNS)}), a Series by code, or a classification"
        )
    title = f"{LEVEL_NAMES_ZH[chosen]}{_COLUMN_TITLES.get(colour, colour)}"
    return _of_values(edition.units[chosen][colour], chosen, title)


def shared_classes(tables: Sequence[pd.DataFrame], column: str, level: str) -> list[Classes]:
    """Return the classes of several tables of one level by the same limits, colours and legend."""
    if column not in UNIT_COLUMNS:
        raise UsageError(f"color={column!r}: expected a column, {', '.join(UNIT_COLUMNS)}")
    values = pd.concat([table[column] for table in tables], ignore_index=True)
    found = _of_values(
        values, level, f"{LEVEL_NAMES_ZH[level]}{_COLUMN_TITLES.get(column, column)}"
    )
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return [replace(found, values=part) for part in np.split(found.values, ends)]


def _level_of(edition: Edition, series: pd.Series, level: str) -> str:
    """Return the level that the codes belong to."""
    codes = pd.Index(series.index)
    if not len(codes):
        raise UsageError("color: the Series is empty; give a value for each code")
    if not codes.is_unique:
        twice = codes[codes.duplicated()][0]
        raise UsageError(f"color: code {twice} is there more than once; give one value for each")
    if level == "auto":
        known = {each: int(codes.isin(edition.units[each]["code"]).sum()) for each in LEVELS}
        level = max(LEVELS, key=lambda each: known[each])
    strange = codes[~codes.isin(edition.units[level]["code"])]
    if len(strange):
        raise UnknownCodeError(
            f"color: {len(strange)} of {len(codes)} codes are no {level} of edition "
            f"{edition.info.id}, such as {strange[0]!r}. The index of the Series must hold codes, "
            "as text."
        )
    return level


def _of_values(values: pd.Series, level: str, title: str) -> Classes:
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return _of_numbers(values.to_numpy(np.float64), level, title)
    texts = values.astype(object).where(values.notna(), None)
    if set(texts.dropna()) <= {*COLOURS, NO_DATA} and texts.notna().any():
        return _of_warnings(texts, level)
    return _of_categories(texts, level, title)


def _of_numbers(numbers: NDArray[np.float64], level: str, title: str) -> Classes:
    known = np.isfinite(numbers)
    different = np.unique(numbers[known])
    classes = np.full(len(numbers), UNPAINTED, np.uint8)
    if not len(different):
        return _with_nothing_known(Classes(level, classes, (), (), title), ~known)
    if len(different) <= len(SEQUENTIAL):
        found = np.searchsorted(different, numbers[known])
    else:
        shares = np.arange(1, len(SEQUENTIAL) + 1) / len(SEQUENTIAL)
        bins = np.unique(np.quantile(numbers[known], shares))
        found = np.searchsorted(bins, numbers[known])
        found = np.unique(found, return_inverse=True)[1]  # a class may be empty where values repeat
    classes[known] = found
    n = int(found.max()) + 1
    ends = [(numbers[classes == k].min(), numbers[classes == k].max()) for k in range(n)]
    shown = Classes(level, classes, _spread(n), tuple(_range(*pair) for pair in ends), title)
    return _with_nothing_known(shown, ~known)


def _spread(n: int) -> tuple[str, ...]:
    """Return `n` of the sequential colours, as far apart as there are."""
    last = len(SEQUENTIAL) - 1
    return tuple(SEQUENTIAL[round(k * last / max(n - 1, 1))] for k in range(n))


def _range(low: float, high: float) -> str:
    texts = dict.fromkeys(
        f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.3g}"
        for value in (low, high)
    )
    return " – ".join(texts)


def _of_warnings(texts: pd.Series, level: str) -> Classes:
    states = [*COLOURS, NO_DATA]
    values = texts.fillna(NO_DATA).map(states.index).to_numpy(np.uint8)
    labels = tuple(f"{COLOURS_ZH[state]} {state.replace('_', ' ')}" for state in states)
    title = f"{LEVEL_NAMES_ZH[level]}预警 Warning"
    return Classes(
        level, values, (*WARNINGS, NOTHING_KNOWN), labels, title, hatched=(len(COLOURS),)
    )


def _of_categories(texts: pd.Series, level: str, title: str) -> Classes:
    number, names = pd.factorize(texts.astype(object), sort=True)
    if len(names) > len(CATEGORIES):
        raise UsageError(
            f"color: {len(names):,} different texts ({names[0]!r} …); at most {len(CATEGORIES)} "
            "colours can be told apart. Group them first, or give numbers."
        )
    values = np.where(number < 0, UNPAINTED, number).astype(np.uint8)
    labels = tuple(_KINDS.get(str(name), str(name) or "(空 empty)") for name in names)
    shown = Classes(level, values, CATEGORIES[: len(names)], labels, title)
    return _with_nothing_known(shown, number < 0)


def _with_nothing_known(classes: Classes, unknown: NDArray[np.bool_]) -> Classes:
    """Add a hatched class for units without a value, where there are any."""
    if not unknown.any():
        return classes
    n = len(classes.fills)
    return replace(
        classes,
        values=np.where(unknown, n, classes.values).astype(np.uint8),
        fills=(*classes.fills, NOTHING_KNOWN),
        labels=(*classes.labels, "无数据 No data"),
        hatched=(*classes.hatched, n),
    )


def _balance(edition: Edition, level: str) -> Classes:
    """Classes of households over the mean of the parent's units."""
    if level == "city":
        raise UsageError("balance: the city has no neighbours to be compared with")
    table = edition.units[level]
    mean = table.groupby("parent")["households"].transform("mean")
    share = (table["households"] / mean.where(mean > 0)).to_numpy(np.float64)
    classes = np.searchsorted(np.array(_BALANCE), share, side="right").astype(np.uint8)
    above = LEVEL_NAMES_ZH[parent_level(level)]
    labels = (
        "不足一半 below half", "0.5 – 0.8", "0.8 – 1.25 均衡 balanced", "1.25 – 2",
        "两倍以上 double or more",
    )  # fmt: skip
    title = f"{LEVEL_NAMES_ZH[level]}户数 ÷ {above}内平均 Households over the parent's mean"
    shown = Classes(level, classes, DIVERGING, labels, title)
    return _with_nothing_known(shown, ~np.isfinite(share))


def _of_classifier(edition: Edition, classifier: Classifier, level: str) -> Classes:
    counts = edition.counts()
    fitting: Sequence[str] = [each for each in LEVELS if counts[each] == len(classifier.y)]
    if level == "auto" and len(fitting) == 1:
        level = fitting[0]
    if level == "auto" or counts[level] != len(classifier.y):
        raise UsageError(
            f"color: the classification has {len(classifier.y):,} values; the levels have "
            f"{', '.join(f'{each} {n:,}' for each, n in counts.items())}. Classify the column of "
            "one level, whole and in order, and name the level."
        )
    if classifier.k > len(SEQUENTIAL):
        raise UsageError(f"color: {classifier.k} classes; at most {len(SEQUENTIAL)} are told apart")
    labels = tuple(classifier.get_legend_classes(fmt="{:,.4g}"))
    title = f"{LEVEL_NAMES_ZH[level]} {type(classifier).__name__}"
    return Classes(level, classifier.yb.astype(np.uint8), _spread(classifier.k), labels, title)
