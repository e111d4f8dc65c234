"""The table of incidents that the service counts; read again when its files change."""

import threading
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from geogrid import incidents
from geogrid.api.problems import Problem
from geogrid.errors import DataError, GeogridError
from geogrid.incidents.table import TIME_ZONE

Signature = tuple[tuple[str, int, int], ...]

_KINDS = (".csv", ".txt", ".parquet", ".xlsx", ".gpkg")


class Reports:
    """Incidents as `geogrid locate` wrote them: one file, or all files of a folder."""

    def __init__(self, path: Path, items: Path | None = None) -> None:
        """Open nothing yet."""
        self._path, self._items = path, items
        self._lock = threading.Lock()
        self._signature: Signature | None = None
        self._table = pd.DataFrame()

    def table(self) -> pd.DataFrame:
        """Return the incidents as the files are now; callers do not change it.

        Raises
        ------
        Problem
            A file is missing or cannot be used; told without the folder that it lies in.
        """
        with self._lock:
            try:
                signature = self._signed()
                if signature != self._signature:
                    parts = [self._read(Path(name)) for name, _, _ in signature[self._n_lists :]]
                    self._table = pd.concat(parts, ignore_index=True)
                    self._signature = signature
            except GeogridError as error:
                said = str(error).replace(f"{self._path.parent}/", "")
                raise Problem(
                    503, "incidents_unusable", f"The table of incidents cannot be used: {said}",
                    f"事件表不能使用，请由管理员更正：{said}",
                ) from error  # fmt: skip
            return self._table

    @property
    def _n_lists(self) -> int:
        return 0 if self._items is None else 1

    def _read(self, path: Path) -> pd.DataFrame:
        table = incidents.normalise(incidents.read(path))
        if self._items is not None:
            table = incidents.with_category(table, incidents.read_items(self._items))
        return table

    def _signed(self) -> Signature:
        """Return the list of items, if any, and the files, each with its size and time."""
        files = [self._path]
        if self._path.is_dir():
            files = sorted(f for f in self._path.iterdir() if f.suffix.lower() in _KINDS)
        if self._items is not None:
            files = [self._items, *files]
        try:
            stats = [(str(file), file.stat()) for file in files]
        except OSError as error:
            raise DataError(f"cannot read {error.filename}: {error.strerror}.") from error
        if len(stats) == self._n_lists:
            raise DataError(f"no table of incidents in {self._path}; it may be {', '.join(_KINDS)}")
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def span_of(table: pd.DataFrame) -> tuple[date, date] | None:
    """Return the days of the first and the last incident; None where no time is known."""
    times = table["time"].dropna() if "time" in table else pd.Series(dtype="datetime64[ns]")
    if not len(times):
        return None
    return times.min().date(), times.max().date()


def between(table: pd.DataFrame, first: date | None, last: date | None) -> pd.DataFrame:
    """Return the incidents from day to day, both included (Asia/Shanghai); None is no limit.

    Incidents without a time are left out where there is a limit.
    """
    if first is None and last is None:
        return table
    keep = table["time"].notna()
    if first is not None:
        keep &= table["time"] >= pd.Timestamp(first, tz=TIME_ZONE)
    if last is not None:
        keep &= table["time"] < pd.Timestamp(last + timedelta(days=1), tz=TIME_ZONE)
    return pd.DataFrame(table[keep])
