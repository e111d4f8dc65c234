"""Incidents that were located: read them, give their columns one name each, join the items."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from geogrid import store, tables
from geogrid.edition import Edition
from geogrid.errors import DataError, UsageError
from geogrid.gazetteer import Gazetteer
from geogrid.schema import require_columns

STAGES = ("信息汇集", "分流交办", "执行处置", "日常督办", "信息反馈", "督查考核")
"""Stages of the closed loop, in order."""

TIME_ZONE = "Asia/Shanghai"

COLUMNS = MappingProxyType(
    {
        "id": ("id", "编号", "事件编号"),
        "time": ("time", "reported_at", "时间", "上报时间", "发生时间"),
        "item": ("item", "item_code", "事项", "事项编码", "事项代码"),
        "text": ("text", "description", "内容", "描述", "事件描述"),
        "address": ("address", "地址", "地点", "发生地点", "事发地点"),
        "lon": ("lon", "lng", "longitude", "经度"),
        "lat": ("lat", "latitude", "纬度"),
        "datum": ("datum", "坐标系"),
        "stage": ("stage", "阶段", "环节", "办理环节"),
    }
)
"""Columns of a table of incidents and the headers, in lower case, by which each is known."""

ITEM_COLUMNS = ("code", "category", "category_name", "name")
"""Columns of the list of items: codes of item and category are text."""


def read(path: Path) -> pd.DataFrame:
    """Read incidents from CSV (UTF-8 or GBK), XLSX, Parquet or GeoPackage.

    Codes stay text: 18 digits are more than a number holds. A column named `time`, `reported_at`,
    时间 or 上报时间 becomes a time; `edge_m` a number. Everything else is text as it was.

    Raises
    ------
    DataError
        The file cannot be read, or a time is none.
    """
    kind = path.suffix.lower()
    if kind not in _READERS:
        raise UsageError(f"cannot read {path.name}: incidents are {', '.join(sorted(_READERS))}")
    try:
        frame = _READERS[kind](path)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read {path}: {error}") from error
    for column in frame.columns.intersection(list(COLUMNS["time"])):
        frame[column] = _times(frame[column].replace("", None), f"{path}, column {column}")
    if "edge_m" in frame:
        metres = frame["edge_m"].replace("", None)
        frame["edge_m"] = pd.to_numeric(metres, errors="coerce")
        _refuse_lost(metres, frame["edge_m"], f"{path}, column edge_m", "a number")
    return frame


def normalise(frame: pd.DataFrame) -> pd.DataFrame:
    """Return incidents with the names of `COLUMNS`, times in Asia/Shanghai.

    Times without a zone are taken as times of Asia/Shanghai; other columns stay.

    Raises
    ------
    DataError
        Two columns have the same meaning; a stage is none of the six.
    """
    plain = {str(name): str(name).strip().lower() for name in frame.columns}
    names: dict[str, str] = {}
    for column, headers in COLUMNS.items():
        found = [name for name, header in plain.items() if header in headers]
        if len(found) > 1:
            raise DataError(f"columns {', '.join(found)} all mean {column}; keep one of them.")
        names |= dict.fromkeys(found, column)
    table = frame.rename(columns=names)
    if "time" in table:
        times = _times(table["time"], "column time")
        local = times.dt.tz is None
        table["time"] = times.dt.tz_localize(TIME_ZONE) if local else times.dt.tz_convert(TIME_ZONE)
    if "stage" in table:
        other = np.flatnonzero(~table["stage"].isin(["", *STAGES]))
        if len(other):
            raise DataError(
                f"column stage, record {other[0] + 1}: none of {', '.join(STAGES)} "
                f"({len(other)} records)."
            )
    return table


def _times(texts: pd.Series, where: str) -> pd.Series:
    """Return texts as times; where one is none its record is told and not its text.

    What stands in a wrong column may be anything, a name or a number of a phone.
    """
    try:
        times = pd.to_datetime(texts)
    except ValueError:
        times = pd.to_datetime(texts, errors="coerce", utc=True)
    _refuse_lost(texts, times, where, "a time such as 2026-01-31T08:00:00+08:00 in one zone")
    return times


def _refuse_lost(texts: pd.Series, values: pd.Series, where: str, expected: str) -> None:
    lost = np.flatnonzero(values.isna() & texts.notna())
    if len(lost):
        raise DataError(f"{where}, record {lost[0] + 1}: expected {expected} ({len(lost)} wrong).")


def read_items(path: Path) -> pd.DataFrame:
    """Read the list of items: CSV with the columns of `ITEM_COLUMNS`.

    Raises
    ------
    DataError
        A column is missing, or an item occurs twice.
    """
    items = tables.CsvTable.open(path).read()
    require_columns(items, ITEM_COLUMNS, str(path))
    twice = items.loc[items["code"].duplicated(), "code"]
    if len(twice):
        raise DataError(f"{path}: item {twice.iloc[0]} occurs twice; an item has one category.")
    return items


def with_category(incidents: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Return incidents with the columns `category` and `category_name`.

    Both are empty for an incident whose item is not in the list.
    """
    require_columns(incidents, ("item",), "the table of incidents")
    listed = items.set_index("code")
    categories = {
        name: incidents["item"].map(listed[name]).fillna("") for name in ITEM_COLUMNS[1:3]
    }
    return incidents.assign(**categories)


def with_text_code(incidents: pd.DataFrame, edition: Edition, column: str) -> pd.DataFrame:
    """Return incidents with what their text names, where they have no micro-grid.

    Adds `text_level`, `text_code`, `text_candidates` (codes by semicolon) and `text_score`; see
    `gazetteer.Address`. They are empty where the incident was located.
    """
    require_columns(incidents, (column, "microgrid_code"), "the table of incidents")
    table = incidents.reset_index(drop=True)
    missed = table["microgrid_code"].fillna("").astype(str) == ""
    texts = table.loc[missed, column].fillna("").astype(str)
    found = pd.DataFrame(
        [
            (a.level, a.code, ";".join(a.candidates), a.score)
            for a in Gazetteer(edition).find(texts.tolist())
        ],
        columns=["text_level", "text_code", "text_candidates", "text_score"],
        index=texts.index,
    )
    return table.join(found).fillna(dict.fromkeys(found.columns[:3], ""))


def _read_csv(path: Path) -> pd.DataFrame:
    return tables.CsvTable.open(path).read()


def _read_xlsx(path: Path) -> pd.DataFrame:
    return pd.read_excel(path, dtype=str, na_filter=False)


def _read_gpkg(path: Path) -> pd.DataFrame:
    layer, _, _ = store.point_layer(path)
    return pd.DataFrame(store.read_layer(path, layer).drop(columns="geometry"))


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".txt": _read_csv,
    ".parquet": pd.read_parquet,
    ".xlsx": _read_xlsx,
    ".gpkg": _read_gpkg,
}
