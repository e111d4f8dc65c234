"""Statistics of incidents as files: CSV, a workbook, or a layer for QGIS."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
from numpy.typing import NDArray
from openpyxl.cell import WriteOnlyCell

from geogrid import store
from geogrid.edition import Edition
from geogrid.errors import UsageError
from geogrid.incidents.warning import COLOURS, NO_DATA, Thresholds, classify

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes a text for a formula by."""


@dataclass(frozen=True)
class Statistics:
    """What was counted.

    Attributes
    ----------
    level : str
    units : DataFrame
        As `counts` gives it, with a column `warning` where there are thresholds.
    parts : DataFrame or None
        As `breakdown` gives it.
    thresholds : Thresholds or None
    unplaced : int
        Incidents that count for no unit of this level.
    """

    level: str
    units: pd.DataFrame
    parts: pd.DataFrame | None
    thresholds: Thresholds | None
    unplaced: int

    def to_dict(self) -> dict[str, object]:
        """Return the figures for machines."""
        colours = self.units["warning"].tolist() if "warning" in self.units else []
        warned = Counter(colours)
        return {
            "level": self.level,
            "units": len(self.units),
            "incidents": int(self.units["incidents"].sum()),
            "unplaced": self.unplaced,
            "thresholds": None if self.thresholds is None else asdict(self.thresholds),
            "warnings": {colour: warned[colour] for colour in (*COLOURS, NO_DATA) if colours},
        }


def measured(units: pd.DataFrame, measure: str) -> NDArray[np.float64]:
    """Return what is warned by, for each unit: the count of incidents, or else the rate."""
    return units["incidents" if measure == "count" else "rate"].to_numpy("float64")


def warned(units: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Return counts by unit with the column `warning`."""
    values = measured(units, thresholds.measure)
    colours = classify(values, units["incidents"].to_numpy("int64"), thresholds)
    return units.assign(warning=colours)


def write(statistics: Statistics, edition: Edition, path: Path) -> None:
    """Write statistics to `.csv` (units only), `.xlsx` or `.gpkg`; the kind is the suffix.

    The thresholds are written too: in a CSV file as columns, elsewhere as a table of their own.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        _write_csv(statistics, path)
    elif kind == ".xlsx":
        _write_xlsx(statistics, path)
    elif kind == ".gpkg":
        shapes = edition.units[statistics.level][["code", "geom"]]
        layer = shapes.merge(statistics.units, on="code").set_geometry("geom")
        others = {name: frame for name, frame in _tables(statistics).items() if name != "units"}
        store.write_layers(path, {statistics.level: layer, **others})
    else:
        raise UsageError(f"cannot write {path.name}: statistics are .csv, .xlsx or .gpkg")


def _tables(statistics: Statistics) -> dict[str, pd.DataFrame]:
    tables = {"units": statistics.units}
    if statistics.parts is not None:
        tables["breakdown"] = statistics.parts
    if statistics.thresholds is not None:
        tables["thresholds"] = _scale(statistics.thresholds)
    return tables


def _scale(thresholds: Thresholds) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "warning": COLOURS[1:],
            "from_value": thresholds.values,
            "measure": thresholds.measure,
            "method": thresholds.method,
            "least_incidents": thresholds.least,
        }
    )


def _write_csv(statistics: Statistics, path: Path) -> None:
    table = statistics.units if statistics.parts is None else statistics.parts
    if statistics.thresholds is not None and statistics.parts is None:
        table = table.assign(thresholds=json.dumps(asdict(statistics.thresholds)))
    safe = table.copy()
    for column in safe.columns:
        if safe[column].dtype.kind not in "iuf":
            texts = safe[column].astype(str)
            safe[column] = texts.where(~texts.str.startswith(_FORMULA), "'" + texts)
    with store.replacing(path) as draft:
        safe.to_csv(draft, index=False, encoding="utf-8-sig", lineterminator="\r\n")


def _write_xlsx(statistics: Statistics, path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    for name, table in _tables(statistics).items():
        sheet = book.create_sheet(name)
        sheet.append(list(table.columns))
        for row in table.astype(object).where(table.notna(), None).itertuples(index=False):
            cells = []
            for value in row:
                cell = WriteOnlyCell(sheet, value)
                if isinstance(value, str):
                    cell.data_type = "s"  # a text that looks like a formula stays a text
                cells.append(cell)
            sheet.append(cells)
    with store.replacing(path) as draft:
        book.save(draft)
