"""Locate the records of a file: the same records come out, with their codes."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geogrid import datums, store, tables
from geogrid.datums import Datum
from geogrid.errors import DataError, UsageError
from geogrid.locate.locator import Located, Locator, Status

ADDED_COLUMNS = ("grid_code", "microgrid_code", "status", "edge_m")
"""Columns that `locate_file` puts behind the columns of a table."""

_BLOCK = 100_000
"""Records looked up at once: enough to forget the cost of a call, 30 MB of text."""


@dataclass(frozen=True, slots=True)
class LocateSummary:
    """What `locate_file` read, and how many records met which status; hits and misses make rows."""

    source: str
    target: str
    datum: str
    encoding: str
    lon: str
    lat: str
    rows: int
    statuses: Mapping[str, int]

    def to_json(self) -> str:
        """Return the summary as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    def as_text(self, lang: str = "en") -> str:
        """Return the summary for a terminal, in English (`en`) or Chinese (`zh`)."""
        n = {status: f"{count:,}" for status, count in self.statuses.items()}
        if lang == "zh":
            head = f"{self.rows:,} 行，经度列 {self.lon}，纬度列 {self.lat}，坐标系 {self.datum}"
        else:
            head = f"{self.rows:,} rows, columns {self.lon} and {self.lat}, datum {self.datum}"
        names = _STATUS_ZH if lang == "zh" else {status: status.value for status in Status}
        lines = [f"  {names[Status(status)]:<16} {count:>12}" for status, count in n.items()]
        return "\n".join([f"{head} ({self.encoding})", *lines])


_STATUS_ZH = {
    Status.HIT: "落入网格",
    Status.OUTSIDE: "市域之外",
    Status.NO_COORDINATES: "无坐标",
    Status.NOT_A_NUMBER: "坐标不是数字",
    Status.OUT_OF_RANGE: "超出经纬度范围",
    Status.SWAPPED: "经纬度颠倒",
}


def locate_file(
    locator: Locator,
    source: Path,
    target: Path,
    *,
    datum: Datum | str,
    lon: str | None = None,
    lat: str | None = None,
) -> LocateSummary:
    """Add `ADDED_COLUMNS` to the records of a CSV or Parquet file.

    Rows in are rows out, in the same order; what was there stays as it is. Where a record has no
    micro-grid, its codes and distance are empty and `status` says why.

    Parameters
    ----------
    source, target : Path
        Files of the same kind, `.csv`, `.txt` or `.parquet`; the target is replaced as a whole.
    datum : Datum or text
        What the coordinates refer to; there is no default.
    lon, lat : str, optional
        Columns; without them the usual headers (经度 纬度, lon lat, lng lat, x y …) are recognised.

    Raises
    ------
    UsageError
        Another kind of file; columns that are not there or not recognised.
    DataError
        The file cannot be read or written; a record that does not fit the header is named.
    """
    kinds = {".csv": _locate_csv, ".txt": _locate_csv, ".parquet": _locate_parquet}
    suffix = source.suffix.lower()
    if suffix not in kinds or kinds.get(target.suffix.lower()) is not kinds[suffix]:
        raise UsageError(
            f"cannot locate {source.name} into {target.name}: source and target must both be "
            ".csv or .txt, or both .parquet. Save a spreadsheet as 'CSV UTF-8' first."
        )
    known = datum if isinstance(datum, Datum) else datums.parse(datum)
    return kinds[suffix](locator, source, target, known, (lon, lat))


def _locate_csv(
    locator: Locator,
    source: Path,
    target: Path,
    datum: Datum,
    named: tuple[str | None, str | None],
) -> LocateSummary:
    table = tables.CsvTable.open(source)
    names = table.header.fields
    _refuse_present(names, source)
    columns = tables.coordinate_columns(names, *named)
    counts: Counter[str] = Counter()
    with (
        store.replacing(target) as draft,
        draft.open("w", encoding=table.encoding, newline="") as out,
    ):
        join = table.delimiter.join
        out.write(join([table.header.text, *ADDED_COLUMNS]) + (table.header.end or "\n"))
        records = table.records()
        while block := list(itertools.islice(records, _BLOCK)):
            filled = [record for record in block if record.fields]
            xy = [[tables.number(each.fields[column]) for column in columns] for each in filled]
            found = locator.locate(np.array(xy).reshape(-1, 2), datum=datum, edges=True)
            added = _texts(found)
            for record in block:
                cells = [record.text, *next(added)] if record.fields else [record.text]
                out.write(join(cells) + record.end)
            counts.update(found.status.tolist())
    return _summary((source, target), datum, table.encoding, (names, columns), counts)


def _locate_parquet(
    locator: Locator,
    source: Path,
    target: Path,
    datum: Datum,
    named: tuple[str | None, str | None],
) -> LocateSummary:
    try:
        table = pq.read_table(source)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot read {source}: {error}") from error
    _refuse_present(table.column_names, source)
    columns = tables.coordinate_columns(table.column_names, *named)
    xy = np.column_stack([_floats(table.column(column)) for column in columns])
    found = locator.locate(xy, datum=datum, edges=True)
    values = (
        found.grid_code,
        found.microgrid_code,
        found.status,
        pa.array(np.round(found.edge_m, 2), from_pandas=True),
    )
    for name, value in zip(ADDED_COLUMNS, values, strict=True):
        table = table.append_column(name, value if isinstance(value, pa.Array) else pa.array(value))
    with store.replacing(target) as draft:
        pq.write_table(table, draft)
    counts = Counter(found.status.tolist())
    return _summary((source, target), datum, "parquet", (table.column_names, columns), counts)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column of numbers or of texts as floats; null is NaN."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array([tables.number(text or "") for text in column.to_pylist()], float)
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return values


def _texts(found: Located) -> Iterator[tuple[str, str, str, str]]:
    metres = (f"{value:.2f}" if not math.isnan(value) else "" for value in found.edge_m.tolist())
    return zip(
        found.grid_code.tolist(), found.microgrid_code.tolist(), found.status.tolist(), metres,
        strict=True,
    )  # fmt: skip


def _refuse_present(names: list[str], source: Path) -> None:
    present = [name for name in ADDED_COLUMNS if name in names]
    if present:
        raise DataError(
            f"{source} already has a column {', '.join(present)}. Rename or remove it first."
        )


def _summary(
    paths: tuple[Path, Path],
    datum: Datum,
    encoding: str,
    columns: tuple[list[str], tuple[int, int]],
    counts: Counter[str],
) -> LocateSummary:
    names, (lon, lat) = columns
    statuses = {status.value: counts[status.value] for status in Status if counts[status.value]}
    return LocateSummary(
        str(paths[0]), str(paths[1]), datum.value, encoding, names[lon], names[lat],
        counts.total(), statuses,
    )  # fmt: skip
