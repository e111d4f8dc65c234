"""Which grid and micro-grid a position lies in: exactly one, or a reason why none.

A position is converted to CGCS2000, rounded to the integer grid and compared with whole numbers
only. A point on an edge or a vertex belongs to the lowest micro-grid code that touches it. The
levels above are that micro-grid's parents; they are never looked up by themselves.
"""

import enum
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
from geogrid._kernels import locate as kernels
from geogrid._kernels.topology import pair
from geogrid.codes import LEVELS, parent_level
from geogrid.datums import Datum
from geogrid.edition import Edition, Rings, to_integers
from geogrid.errors import CoordinateError, DataError, UsageError

_SWAP_MARGIN = 0.02
"""Degrees: BD-09 lies up to 0.012 degree off WGS84; swapped pairs are recognised this far out."""

_WIDEST = 20 * 10**8
"""Steps: products of differences up to 20 degrees fit into int64."""

_CELLS_PER_POLYGON = 2.0
"""Measured on 100,489 micro-grids: 1 and 4 are slower."""

# CGCS2000 ellipsoid (GB/T 30168): equatorial radius in metres, first eccentricity squared.
_RADIUS, _ECCENTRICITY2 = 6_378_137.0, 0.006694380022901


class Status(enum.StrEnum):
    """What became of a position."""

    HIT = "hit"
    OUTSIDE = "outside"
    NO_COORDINATES = "no_coordinates"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    SWAPPED = "swapped"


@dataclass(frozen=True, slots=True)
class Located:
    """What was found, one value a position, in the order given.

    Attributes
    ----------
    microgrid_code, grid_code : (n,) text
        Empty where nothing was hit.
    row : (n,) int64
        Row of the micro-grid in the edition's table, -1 where nothing was hit.
    status : (n,) text
        Values of `Status`.
    on_edge : (n,) bool
        The point lies exactly on an edge or vertex of its micro-grid.
    edge_m : (n,) float
        Metres to the nearest edge of its micro-grid; NaN unless asked for and hit.
    neighbour_code : (n,) text
        Micro-grid beyond that edge; empty at the city's outline.
    xy : (n, 2) float
        The positions as given.
    """

    microgrid_code: NDArray[np.str_]
    grid_code: NDArray[np.str_]
    row: NDArray[np.int64]
    status: NDArray[np.str_]
    on_edge: NDArray[np.bool_]
    edge_m: NDArray[np.float64]
    neighbour_code: NDArray[np.str_]
    xy: NDArray[np.float64]

    def reason(self, index: int, lang: str = "en") -> str:
        """Say in one sentence what became of a position, in English (`en`) or Chinese (`zh`)."""
        lon, lat = (float(value) for value in self.xy[index])
        en, zh = _REASONS[Status(str(self.status[index]))]
        return (zh if lang == "zh" else en).format(
            lon=f"{lon:.7f}", lat=f"{lat:.7f}", code=self.microgrid_code[index]
        )


_REASONS = {
    Status.HIT: ("in micro-grid {code}", "位于微网格 {code}"),
    Status.OUTSIDE: ("{lon}, {lat} is outside the city", "{lon}, {lat} 在市域之外"),
    Status.NO_COORDINATES: ("no coordinates", "没有坐标"),
    Status.NOT_A_NUMBER: ("the coordinates are not numbers", "坐标不是数字"),
    Status.OUT_OF_RANGE: (
        "{lon}, {lat} is no longitude and latitude in degrees; are these metres?",
        "{lon}, {lat} 不是以度为单位的经纬度，是否为投影坐标？",
    ),
    Status.SWAPPED: (
        "{lon}, {lat} looks like latitude before longitude; the pair would be {lat}, {lon}",
        "{lon}, {lat} 似乎把纬度写在经度之前；应为 {lat}, {lon}",
    ),
}


@dataclass(frozen=True, slots=True)
class _Index:
    """Micro-grids in a form that the kernels read."""

    rings: Rings
    firsts: NDArray[np.int64]
    boxes: NDArray[np.int64]
    cells: NDArray[np.int64]
    items: NDArray[np.int32]
    origin: NDArray[np.int64]
    cell: int
    shape: NDArray[np.int64]

    @classmethod
    def of(cls, rings: Rings) -> "_Index":
        """Index polygons by a uniform grid of cells."""
        n = int(rings.owners[-1]) + 1
        firsts = np.searchsorted(rings.owners, np.arange(n + 1)).astype(np.int64)
        vertices = rings.starts[firsts[:-1]]
        boxes = np.hstack(
            [np.minimum.reduceat(rings.xy, vertices), np.maximum.reduceat(rings.xy, vertices)]
        )
        origin, corner = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        extent = corner - origin
        if extent.max() > _WIDEST:
            raise DataError(
                f"the micro-grids span {extent.max() / 1e8:.1f} degrees; more than 20 cannot be "
                "decided exactly. Look for a vertex far away with `geogrid check`."
            )
        cell = max(1, int(np.sqrt(float(extent[0]) * float(extent[1]) / n / _CELLS_PER_POLYGON)))
        shape = extent // cell + 1
        cells, items = kernels.index_boxes(boxes, origin, cell, shape)
        return cls(rings, firsts, boxes, cells, items, origin, cell, shape)

    def find(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return row and on-edge of each point on the integer grid."""
        rows, on_edge = kernels.find(
            points, self.rings.xy, self.rings.starts, self.firsts, self.boxes,
            self.cells, self.items, self.origin, self.cell, self.shape,
        )  # fmt: skip
        return rows, on_edge


class Locator:
    """Finds the micro-grid of positions in one edition; built once, asked often, safe in threads.

    Examples
    --------
    >>> locator = Locator(edition)                                    # doctest: +SKIP
    >>> locator.locate(np.array([[114.65, 33.62]]), datum="gcj02").grid_code   # doctest: +SKIP
    array(['411602001001003'], dtype='<U15')
    """

    def __init__(self, edition: Edition) -> None:
        """Index the micro-grids of `edition`."""
        table = edition.units["microgrid"]
        self._index = _Index.of(edition.rings("microgrid"))
        # One empty code behind the last: what row -1 refers to.
        self._codes = np.append(table["code"].to_numpy(str), "")
        self._grids = np.append(table["parent"].to_numpy(str), "")
        self._bounds = table.total_bounds
        self._beyond: NDArray[np.int64] | None = None
        self.edition = edition

    def locate(
        self, xy: NDArray[np.float64], *, datum: Datum | str, edges: bool = False
    ) -> Located:
        """Find the micro-grid of each position.

        Parameters
        ----------
        xy : (n, 2) float
            Longitude and latitude in degrees. NaN stands for a missing value, infinity for one
            that is no number.
        datum : Datum or text
            What the positions refer to; there is no default.
        edges : bool
            Also measure the distance to the nearest edge, in metres on the ellipsoid (EPSG:4547
            differs by its scale, at most 0.03 % in Zhoukou), and name the unit beyond it.

        Returns
        -------
        Located
            One value a position, in the order given.
        """
        source = datum if isinstance(datum, Datum) else datums.parse(datum)
        xy = np.asarray(xy, np.float64)
        if xy.ndim != 2 or xy.shape[1] != 2:
            raise CoordinateError(
                f"positions have shape {xy.shape}, expected (n, 2): columns longitude, latitude"
            )
        status = self._triage(xy)
        usable = status == _OUTSIDE
        points = to_integers(datums.convert(xy[usable], source, Datum.CGCS2000))
        rows = np.full(len(xy), -1, np.int64)
        on_edge = np.zeros(len(xy), bool)
        rows[usable], on_edge[usable] = self._index.find(points)
        status[rows >= 0] = _HIT
        metres, beside = np.full(len(xy), np.nan), np.full(len(xy), -1, np.int64)
        if edges:
            metres[usable], beside[usable] = self._nearest(points, rows[usable])
        return Located(
            self._codes[rows], self._grids[rows], rows, _STATUS_TEXT[status], on_edge,
            metres, self._codes[beside], xy,
        )  # fmt: skip

    def _triage(self, xy: NDArray[np.float64]) -> NDArray[np.int8]:
        """Sort out the positions that cannot be looked up; the rest are `outside` so far."""
        west, south, east, north = self._bounds + np.array([-1, -1, 1, 1]) * _SWAP_MARGIN
        lon, lat = xy.T
        status = np.full(len(xy), _OUTSIDE, np.int8)
        status[(np.abs(lon) > 180) | (np.abs(lat) > 90)] = _OUT_OF_RANGE
        turned = (lat >= west) & (lat <= east) & (lon >= south) & (lon <= north)
        upright = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        status[turned & ~upright] = _SWAPPED
        status[np.isnan(xy).any(axis=1)] = _NO_COORDINATES
        status[np.isinf(xy).any(axis=1)] = _NOT_A_NUMBER
        return status

    def _nearest(
        self, points: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        if self._beyond is None:
            self._beyond = _owners_beyond(self._index.rings)
        rings = self._index.rings
        metres, beside = kernels.nearest_edge(
            points, rows, _metres_per_step(points), rings.xy, rings.starts, self._index.firsts,
            self._beyond,
        )  # fmt: skip
        return metres, beside


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


def chain(edition: Edition, microgrid_code: str) -> dict[str, str]:
    """Return the codes of a micro-grid and of the units above it, by level from the city down."""
    codes = {"microgrid": microgrid_code}
    for level in reversed(LEVELS[1:]):
        table = edition.units[level]
        row = int(np.searchsorted(table["code"].to_numpy(str), codes[level]))
        codes[parent_level(level)] = str(table["parent"].iloc[row])
    return {level: codes[level] for level in LEVELS}


def _owners_beyond(rings: Rings) -> NDArray[np.int64]:
    """Return the polygon beyond the edge that starts at each vertex, -1 for none."""
    edges, owners = rings.half_edges()
    twin, _ = pair(edges, np.zeros(len(edges), np.int64))
    beyond = np.full(len(rings.xy), -1, np.int64)
    ends = np.zeros(len(rings.xy), bool)
    ends[rings.starts[1:] - 1] = True
    beyond[~ends] = np.where(twin >= 0, owners[twin], -1)
    return beyond


def _metres_per_step(points: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the length of one step east and north on the ellipsoid, at each point."""
    latitude = np.radians(points[:, 1] / 1e8)
    w2 = 1 - _ECCENTRICITY2 * np.sin(latitude) ** 2
    east = _RADIUS * np.cos(latitude) / np.sqrt(w2)
    north = _RADIUS * (1 - _ECCENTRICITY2) / w2**1.5
    return np.radians(np.column_stack([east, north])) / 1e8


_STATUS_TEXT = np.array([status.value for status in Status])
_HIT, _OUTSIDE, _NO_COORDINATES, _NOT_A_NUMBER, _OUT_OF_RANGE, _SWAPPED = range(len(Status))
