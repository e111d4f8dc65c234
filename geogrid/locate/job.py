"""One file to locate: what is asked, what was counted, and the records that were not placed."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from geogrid import store
from geogrid.datums import Reference
from geogrid.errors import DataError
from geogrid.locate.locator import STATUS_TEXT, Located, Locator, Status

ADDED_COLUMNS = ("grid_code", "microgrid_code", "status", "edge_m")
"""Columns put behind the columns of a table."""

REJECT_COLUMNS = ("row", "status", "lon", "lat", "suggested_lon", "suggested_lat", "edge_m")
"""Columns of the file of records that were not placed; `row` counts records from 1."""

Progress = Callable[[float, float], None]

_COARSE_STEPS = 1000.0
"""Three decimals of a degree, 111 m: fewer than a third of all positions keep their micro-grid."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked.

    Attributes
    ----------
    source, target : Path
    datum : Datum or Epsg
    lon, lat : str, optional
        Columns; without them the usual headers are recognised.
    rejects : Path, optional
        Where to write the records that were not placed.
    progress : callable, optional
        Called with what is done and all there is.
    unit : str, optional
        Column with the code or name of each record's unit; without it the usual headers.
    buildings : Path, optional
        Buildings or households at which the records lie.
    force : bool
        Go on with a datum that known places refute.
    """

    source: Path
    target: Path
    datum: Reference
    lon: str | None = None
    lat: str | None = None
    rejects: Path | None = None
    progress: Progress | None = None
    unit: str | None = None
    buildings: Path | None = None
    force: bool = False

    def tell(self, done: float, total: float) -> None:
        """Say how far the work is."""
        if self.progress is not None:
            self.progress(done, total)

    def refuse_present(self, names: list[str]) -> None:
        """Raise `DataError` where a column that would be added is there already."""
        present = [name for name in ADDED_COLUMNS if name in names]
        if present:
            raise DataError(
                f"{self.source} already has a column {', '.join(present)}. "
                "Rename or remove it first.",
                f"{self.source} 已有列 {'、'.join(present)}，请先改名或删除。",
            )


@dataclass(frozen=True, slots=True)
class LocateSummary:
    """What was read, and how many records met which status; hits and misses make rows.

    Attributes
    ----------
    encoding : str
        Of a CSV file; the kind of any other.
    lon, lat : str
        Columns that were read.
    warnings : tuple of (English, Chinese)
    """

    source: str
    target: str
    datum: str
    encoding: str
    lon: str
    lat: str
    rows: int
    statuses: Mapping[str, int]
    warnings: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """Return the summary as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    def as_text(self, lang: str = "en") -> str:
        """Return the summary for a terminal, in English (`en`) or Chinese (`zh`)."""
        zh = lang == "zh"
        n = {status: f"{count:,}" for status, count in self.statuses.items()}
        if zh:
            head = f"{self.rows:,} 行，经度列 {self.lon}，纬度列 {self.lat}，坐标系 {self.datum}"
        else:
            head = f"{self.rows:,} rows, columns {self.lon} and {self.lat}, datum {self.datum}"
        names = _STATUS_ZH if zh else {status: status.value for status in Status}
        lines = [f"  {names[Status(status)]:<16} {count:>12}" for status, count in n.items()]
        told = [f"{'注意' if zh else 'warning'}: {texts[zh]}" for texts in self.warnings]
        return "\n".join([f"{head} ({self.encoding})", *lines, *told])


_STATUS_ZH = {
    Status.HIT: "落入网格",
    Status.OUTSIDE: "市域之外",
    Status.NO_COORDINATES: "无坐标",
    Status.NOT_A_NUMBER: "坐标不是数字",
    Status.OUT_OF_RANGE: "超出经纬度范围",
    Status.SWAPPED: "经纬度颠倒",
}


class Tally:
    """Counts statuses and writes what was not placed, block by block."""

    def __init__(self, rejects: BinaryIO | None, counts: Mapping[str, int] | None = None) -> None:
        """Begin, or go on from `counts` of an earlier run."""
        self._rejects = rejects
        self.warnings: list[tuple[str, str]] = []
        self.counts: Counter[str] = Counter(counts)
        if rejects is not None and rejects.tell() == 0:
            rejects.write(b"\xef\xbb\xbf" + ",".join(REJECT_COLUMNS).encode() + b"\r\n")

    @property
    def rows(self) -> int:
        """Records so far."""
        return sum(self.counts[status.value] for status in Status)

    def add(self, found: Located) -> None:
        """Count the next records."""
        rows = self.rows
        numbers = np.bincount(found.status_row, minlength=len(Status))
        self.counts.update(dict(zip(STATUS_TEXT.tolist(), numbers.tolist(), strict=True)))
        self.counts["coarse"] += int(_coarse(found).sum())
        if self._rejects is not None:
            missed = np.flatnonzero(found.row < 0)
            if len(missed):
                self._rejects.write(_reject_text(found, missed, rows + 1))

    def summary(self, job: Job, encoding: str, columns: tuple[str, str]) -> LocateSummary:
        """Return what was counted."""
        statuses = {s.value: self.counts[s.value] for s in Status if self.counts[s.value]}
        placed = self.counts[Status.HIT.value] + self.counts[Status.OUTSIDE.value]
        warnings = list(self.warnings)
        if placed and 2 * self.counts["coarse"] > placed:
            share = self.counts["coarse"] / placed
            warnings.append(
                (
                    f"{share:.0%} of the positions have three decimals or fewer: they are good to "
                    "111 m only, and many lie in a wrong micro-grid.",
                    f"{share:.0%} 的坐标最多三位小数，精度约 111 米，许多会落入错误的微网格。",
                )
            )
        if self.rows and not self.counts[Status.HIT.value]:
            warnings.append(
                (
                    f"no position lies in the city, read as {job.datum.value}. Is that what they "
                    "are? Eastings of eight digits begin with the number of their zone and have "
                    "another code than those of six (epsg:4526 and epsg:4547).",
                    f"按 {job.datum.value} 没有一个坐标落在市域内，请核对坐标系。"
                    "八位的东坐标含带号，其代码与六位的不同（如 epsg:4526 与 epsg:4547）。",
                )
            )
        return LocateSummary(
            str(job.source), str(job.target), job.datum.value, encoding, *columns, self.rows,
            statuses, tuple(warnings),
        )  # fmt: skip


def extended(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the added columns."""
    for name in ADDED_COLUMNS[:3]:
        schema = schema.append(pa.field(name, pa.string()))
    return schema.append(pa.field(ADDED_COLUMNS[3], pa.float64()))


def arrow_texts(locator: Locator) -> tuple[pa.Array, ...]:
    """Return codes of grids, codes and statuses, by row; the last code is empty."""
    index = locator.index
    return tuple(pa.array(each) for each in (index.grid_codes, index.codes, STATUS_TEXT))


def added_columns(found: Located, texts: tuple[pa.Array, ...]) -> list[pa.Array]:
    """Return the added columns; `texts` are those of `arrow_texts`."""
    last = len(texts[1]) - 1
    row = np.where(found.row < 0, last, found.row)
    return [
        texts[0].take(pa.array(row)),
        texts[1].take(pa.array(row)),
        texts[2].take(pa.array(found.status_row)),
        pa.array(np.round(found.edge_m, 2), from_pandas=True),
    ]


def texts_of(column: pa.Array) -> list[str]:
    """Return the values of a column as texts; null is empty."""
    return [str(text or "") for text in column.to_pylist()]


def _coarse(found: Located) -> NDArray[np.bool_]:
    """Say which positions are whole thousandths of a degree; metres never count."""
    placed = (found.status_row <= 1) & (np.abs(found.xy) <= 180).all(axis=1)
    steps = np.where(placed[:, None], found.xy, 0.5 / _COARSE_STEPS) * _COARSE_STEPS
    coarse: NDArray[np.bool_] = placed & (np.abs(steps - np.rint(steps)) < 1e-7).all(axis=1)
    return coarse


def _reject_text(found: Located, missed: NDArray[np.int64], first: int) -> bytes:
    swapped = found.status_row[missed] == list(Status).index(Status.SWAPPED)
    lon, lat = np.where(np.isfinite(found.xy[missed]), found.xy[missed], np.nan).T
    columns = (
        missed + first,
        STATUS_TEXT[found.status_row[missed]],
        lon,
        lat,
        np.where(swapped, lat, np.nan),
        np.where(swapped, lon, np.nan),
        np.round(found.edge_m[missed], 2),
    )
    table = pa.table(
        {
            name: pa.array(column, from_pandas=True)
            for name, column in zip(REJECT_COLUMNS, columns, strict=True)
        }
    )
    sink = pa.BufferOutputStream()
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    pa.csv.write_csv(table, sink, options)
    return bytes(sink.getvalue().to_pybytes().replace(b"\n", b"\r\n"))


@contextmanager
def opened_rejects(path: Path | None) -> Iterator[BinaryIO | None]:
    """Open the file of records that were not placed, if it is wanted; whole or not at all."""
    if path is None:
        yield None
        return
    with store.replacing(path) as draft, draft.open("wb") as file:
        yield file
