"""Incidents that were located: read them, and count them by unit."""

from pathlib import Path

import pandas as pd

from geogrid import tables
from geogrid.codes import LEVELS, parent_level
from geogrid.edition import Edition
from geogrid.errors import DataError, UnknownCodeError, UsageError
from geogrid.schema import require_columns

_TIME_COLUMNS = ("time", "reported_at", "时间", "上报时间")


def read(path: Path) -> pd.DataFrame:
    """Read incidents from CSV (UTF-8 or GBK) or Parquet.

    Codes stay text: 18 digits are more than a number holds. A column named `time`, `reported_at`,
    时间 or 上报时间 becomes a time; `edge_m` a number. Everything else is text as it was.

    Raises
    ------
    DataError
        The file cannot be read, or a time is none.
    """
    if path.suffix.lower() == ".parquet":
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
    if path.suffix.lower() not in (".csv", ".txt"):
        raise UsageError(f"cannot read {path.name}: incidents are .csv, .txt or .parquet")
    table = tables.CsvTable.open(path)
    frame = table.read()
    for column in frame.columns.intersection(list(_TIME_COLUMNS)):
        try:
            frame[column] = pd.to_datetime(frame[column].replace("", None))
        except ValueError as error:
            raise DataError(f"{path}, column {column}: {error}") from error
    if "edge_m" in frame:
        frame["edge_m"] = pd.to_numeric(frame["edge_m"].replace("", None))
    return frame


def counts(located: pd.DataFrame, edition: Edition, level: str) -> pd.DataFrame:
    """Count located incidents by unit of one level, units without any included.

    Parameters
    ----------
    located : DataFrame
        Column `microgrid_code`; rows without a code count for no unit.
    edition : Edition
    level : str
        A level of the edition.

    Returns
    -------
    DataFrame
        Columns code, name, parent, households, incidents; one row a unit, by code.

    Raises
    ------
    UnknownCodeError
        A micro-grid code is not in the edition: the table was located in another one.
    """
    require_columns(located, ("microgrid_code",), "the table of incidents")
    if level not in LEVELS:
        raise UsageError(f"no level {level!r}; there are {', '.join(LEVELS)}")
    given = located["microgrid_code"].fillna("").astype(str)
    codes = given[given != ""]
    below = "microgrid"
    unknown = codes[~codes.isin(edition.units[below]["code"])]
    if len(unknown):
        raise UnknownCodeError(
            f"{unknown.nunique()} micro-grid codes, such as {unknown.iloc[0]}, are not in edition "
            f"{edition.info.id}. Locate the incidents in this edition first."
        )
    while below != level:
        codes = codes.map(edition.units[below].set_index("code")["parent"])
        below = parent_level(below)
    units = edition.units[level][["code", "name", "parent", "households"]].copy()
    number = codes.value_counts()
    units["incidents"] = units["code"].map(number).fillna(0).astype("int64")
    return pd.DataFrame(units)
