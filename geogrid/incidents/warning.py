"""Four colours of warning: blue is the lowest, red the highest (rules R-40, R-41).

A unit without a warning is `none`, and one of which nothing is known is `no_data`; neither is ever
blue. The thresholds are part of the result: a map without them says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geogrid.errors import UsageError

COLOURS = ("none", "blue", "yellow", "orange", "red")
"""States in order; `no_data` is apart."""

NO_DATA = "no_data"
COLOURS_ZH = {
    "none": "无",
    "blue": "蓝",
    "yellow": "黄",
    "orange": "橙",
    "red": "红",
    NO_DATA: "无数据",
}

MEASURES = ("count", "rate")
METHODS = ("absolute", "quantile", "natural")

_PERCENTS = (80.0, 90.0, 95.0, 99.0)
"""Of the units with incidents, a fifth is warned of, a hundredth in red."""

_MOST_VALUES = 2000
"""Natural breaks take time with the square of the number of values; more are thinned out evenly."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which value on a unit has which colour.

    Attributes
    ----------
    measure : str
        `count` of incidents, or `rate` per 1,000 households.
    method : str
        How the values were found: `absolute` (given), `quantile` or `natural` (breaks).
    values : blue, yellow, orange, red
        Least value of each colour, not descending.
    least : int
        A unit with fewer incidents has no warning: one incident in a hamlet is no trend.
    """

    measure: str
    method: str
    values: tuple[float, float, float, float]
    least: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no scale."""
        if self.measure not in MEASURES or self.method not in METHODS:
            raise UsageError(
                f"warning by {self.measure}, {self.method}: the measures are "
                f"{', '.join(MEASURES)}, the methods {', '.join(METHODS)}"
            )
        if len(self.values) != 4 or sorted(self.values) != list(self.values):
            raise UsageError(
                f"thresholds {', '.join(map(str, self.values))}: give four that ascend, "
                "for blue, yellow, orange and red"
            )
        if not min(self.values) > 0 or self.least < 1:
            raise UsageError("thresholds and the least number of incidents must be above 0")


def given(measure: str, values: Sequence[float], *, least: int = 1) -> Thresholds:
    """Return thresholds that were decided on."""
    if len(values) != 4:
        raise UsageError(f"{len(values)} thresholds: give four, for blue, yellow, orange and red")
    a, b, c, d = (float(value) for value in values)
    return Thresholds(measure, "absolute", (a, b, c, d), least)


def found(measure: str, method: str, values: NDArray[np.float64], *, least: int = 1) -> Thresholds:
    """Return thresholds that the values of units suggest; units without incidents do not count.

    Parameters
    ----------
    method : str
        `quantile`: the 80th, 90th, 95th and 99th hundredth of the units with incidents.
        `natural`: Fisher's and Jenks's five classes with the least spread inside.
    values : (n,) float
        Measure of each unit, NaN where there is none.
    """
    positive = np.sort(values[np.nan_to_num(values) > 0])
    if len(np.unique(positive)) < len(COLOURS):
        raise UsageError(
            f"{len(np.unique(positive))} different values: {method} thresholds need at least "
            f"{len(COLOURS)}. Give the thresholds yourself, or take a longer time or larger units."
        )
    if method == "quantile":
        bins = np.percentile(positive, _PERCENTS)
    else:
        from mapclassify import FisherJenks  # seconds to import: it brings scikit-learn

        step = max(1, len(positive) // _MOST_VALUES)
        thinned = np.append(positive[::step], positive[-1])
        upper = FisherJenks(thinned, k=len(COLOURS)).bins[:4]
        # A class ends with its highest value; the next begins with the next value that occurs.
        bins = positive[np.searchsorted(positive, upper, side="right").clip(max=len(positive) - 1)]
    a, b, c, d = (float(value) for value in bins)
    return Thresholds(measure, method, (a, b, c, d), least)


def classify(
    values: NDArray[np.float64], counts: NDArray[np.int64], thresholds: Thresholds
) -> NDArray[np.str_]:
    """Return the colour of each unit.

    Parameters
    ----------
    values : (n,) float
        The measure; NaN is `no_data`.
    counts : (n,) int64
        Incidents, for the guard against small numbers.
    """
    steps = np.searchsorted(np.array(thresholds.values), values, side="right")
    steps[counts < thresholds.least] = 0
    names = np.array([*COLOURS, NO_DATA])
    return names[np.where(np.isnan(values), len(COLOURS), steps)]
