"""Locate the records of a file: the same records come out in the same order, with their codes."""

from collections.abc import Callable
from pathlib import Path

from geogrid import datums
from geogrid.datums import Reference
from geogrid.errors import UsageError
from geogrid.locate.csv_file import locate_csv
from geogrid.locate.gpkg_file import locate_gpkg
from geogrid.locate.job import Job, LocateSummary, Progress
from geogrid.locate.locator import Locator
from geogrid.locate.parquet_file import locate_parquet
from geogrid.locate.xlsx_file import locate_xlsx

_KINDS: dict[str, Callable[[Locator, Job], LocateSummary]] = {
    ".csv": locate_csv,
    ".txt": locate_csv,
    ".tsv": locate_csv,
    ".parquet": locate_parquet,
    ".geoparquet": locate_parquet,
    ".xlsx": locate_xlsx,
    ".gpkg": locate_gpkg,
}


def locate_file(  # noqa: PLR0913  # what the command line offers
    locator: Locator,
    source: Path | str,
    target: Path | str,
    *,
    datum: Reference | str,
    lon: str | None = None,
    lat: str | None = None,
    rejects: Path | str | None = None,
    progress: Progress | None = None,
    unit: str | None = None,
    buildings: Path | str | None = None,
    force: bool = False,
) -> LocateSummary:
    """Add `ADDED_COLUMNS` to the records of a table.

    Rows in are rows out, in the same order; what was there stays as it is, in a CSV file byte for
    byte. Where a record has no micro-grid, its codes are empty and `status` says why; `edge_m` is
    the distance to the nearest border of the micro-grid, or to the city if that is less than 1 km.

    Parameters
    ----------
    source, target : Path or text
        Files of the same kind: CSV (`.csv`, `.txt`, `.tsv`), Parquet, an Excel workbook (`.xlsx`;
        its first sheet), or a GeoPackage with one layer of points, whose coordinates are of
        `datum` whatever degrees the layer says. The target is replaced as a whole. A run over a
        CSV file that was killed goes on where it was.
    datum : Datum, Epsg or text
        What the coordinates refer to; there is no default.
    lon, lat : str, optional
        Columns; without them the usual headers (经度 纬度, lon lat, lng lat, x y …) are recognised.
    rejects : Path or text, optional
        CSV file to write the records to that have no micro-grid: row, status, coordinates, and for
        a swapped pair the right one.
    progress : callable, optional
        Called with what is done and all there is.
    unit : str, optional
        Column with the code or name of each record's village (or grid, township, county); without
        it the usual headers (village, 村, 社区 …) are recognised. With 20 known units or more, a
        datum that does not fit them is refused.
    buildings : Path or text, optional
        Layer of buildings or households at which the records lie: another proof of the datum.
    force : bool
        Go on with a datum that known places refute.

    Raises
    ------
    UsageError
        Another kind of file; columns that are not there or not recognised.
    CoordinateError
        Another datum than the declared one clearly fits what is known of the records' places.
    DataError
        The file cannot be read or written; a record that does not fit the header is named.
    """
    source, target = Path(source), Path(target)
    kind = _KINDS.get(source.suffix.lower())
    if kind is None or _KINDS.get(target.suffix.lower()) is not kind:
        raise UsageError(
            f"cannot locate {source.name} into {target.name}: source and target must be of one "
            "kind, .csv (.txt, .tsv), .xlsx, .parquet or .gpkg. "
            "Save an old workbook as 'CSV UTF-8' first."
        )
    known = datums.parse_reference(datum) if isinstance(datum, str) else datum
    job = Job(
        source, target, known, lon, lat, _path(rejects), progress, unit, _path(buildings), force
    )
    return kind(locator, job)


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)
