"""Incidents counted by unit, by category and by time, with rates."""

import numpy as np
import pandas as pd

from geogrid.codes import LEVELS, parent_level
from geogrid.edition import Edition
from geogrid.errors import DataError, UnknownCodeError, UsageError
from geogrid.schema import require_columns

PERIODS = ("day", "week", "month")

PER_HOUSEHOLDS = 1000
"""A rate is a number of incidents to so many households."""


def counts(located: pd.DataFrame, edition: Edition, level: str) -> pd.DataFrame:
    """Count located incidents by unit of one level, units without any included.

    Parameters
    ----------
    located : DataFrame
        Column `microgrid_code`; rows without a code count for no unit, unless they have a
        `text_code`, the unit that their text names (`gazetteer`), at this level or below.
    edition : Edition
    level : str
        A level of the edition.

    Returns
    -------
    DataFrame
        Columns code, name, parent, households, incidents and rate (to 1,000 households, missing
        where there are none); one row a unit, by code.

    Raises
    ------
    UnknownCodeError
        A micro-grid code is not in the edition: the table was located in another one.
    """
    number = units_of(located, edition, level).value_counts()
    units = edition.units[level][["code", "name", "parent", "households"]].copy()
    units["incidents"] = units["code"].map(number).fillna(0).astype("int64")
    households = units["households"].where(units["households"] > 0).astype("float64")
    units["rate"] = units["incidents"] / households * PER_HOUSEHOLDS
    return pd.DataFrame(units)


def breakdown(
    located: pd.DataFrame,
    edition: Edition,
    level: str,
    *,
    period: str | None = None,
    by_category: bool = False,
) -> pd.DataFrame:
    """Count located incidents by unit and by day, week or month, by category, or by both.

    Parameters
    ----------
    located : DataFrame
        As for `counts`, normalised: with `time` for a period, `category` for categories.
    period : day, week or month
        In Asia/Shanghai; a week is named by its Monday.

    Returns
    -------
    DataFrame
        Columns code, name, then period, category and category_name as asked for, and incidents;
        a row for each combination that occurs, in order.
    """
    keys: dict[str, pd.Series] = {"code": units_of(located, edition, level)}
    rows = keys["code"].index
    if period is not None:
        keys["period"] = _periods(located.loc[rows], period)
    if by_category:
        require_columns(located, ("category", "category_name"), "the table of incidents")
        keys |= {name: located.loc[rows, name] for name in ("category", "category_name")}
    table = pd.DataFrame(keys).groupby(list(keys), sort=True).size().rename("incidents")
    frame = table.reset_index()
    names = edition.units[level].set_index("code")["name"]
    frame.insert(1, "name", frame["code"].map(names))
    return frame


def units_of(located: pd.DataFrame, edition: Edition, level: str) -> pd.Series:
    """Return the code of the unit of each incident that has one, by the index of `located`."""
    require_columns(located, ("microgrid_code",), "the table of incidents")
    if level not in LEVELS:
        raise UsageError(f"no level {level!r}; there are {', '.join(LEVELS)}")
    codes = _raised(_given(located, "microgrid_code"), "microgrid", edition, level)
    if "text_code" not in located:
        return codes
    texts = _given(located.drop(index=codes.index), "text_code")
    lengths = {len(str(edition.units[each]["code"].iloc[0])): each for each in LEVELS}
    parts = [codes]
    for length, below in lengths.items():
        if LEVELS.index(below) >= LEVELS.index(level):
            parts.append(_raised(texts[texts.str.len() == length], below, edition, level))
    joined: pd.Series = pd.concat(parts)
    return joined.sort_index()


def _given(located: pd.DataFrame, column: str) -> pd.Series:
    texts: pd.Series = located[column].fillna("").astype(str)
    return pd.Series(texts[texts != ""])


def _raised(codes: pd.Series, below: str, edition: Edition, level: str) -> pd.Series:
    """Return the units of `level` in which the units `codes` of `below` lie."""
    # An index of plain objects: a test of text columns for 100,000 codes takes 30 times as long.
    known = pd.Index(edition.units[below]["code"].to_numpy(object))
    unknown = codes[known.get_indexer(codes.to_numpy(object)) < 0]
    if len(unknown):
        raise UnknownCodeError(
            f"{unknown.nunique()} {below} codes, such as {unknown.iloc[0]}, are not in edition "
            f"{edition.info.id}. Locate the incidents in this edition first."
        )
    while below != level:
        codes = codes.map(edition.units[below].set_index("code")["parent"])
        below = parent_level(below)
    return codes


def _periods(located: pd.DataFrame, period: str) -> pd.Series:
    require_columns(located, ("time",), "the table of incidents")
    times: pd.Series = located["time"]
    if times.isna().any():
        raise DataError(
            f"{int(times.isna().sum())} incidents have no time; leave them out, or count "
            "without a period."
        )
    if period not in PERIODS:
        raise UsageError(f"no period {period!r}; there are {', '.join(PERIODS)}")
    days = times.dt.tz_localize(None).dt.normalize()
    if period == "week":
        days = days - pd.to_timedelta(np.asarray(days.dt.day_of_week), unit="D")
    names: pd.Series = days.dt.strftime("%Y-%m" if period == "month" else "%Y-%m-%d")
    return names
