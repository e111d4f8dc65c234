"""Answers of look-ups as bytes, put together from parts that were made when the edition was loaded.

A model of `models` gives the same bytes; making one takes longer than the look-up itself.
"""

import io
import math
from typing import TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from geogrid._kernels import json_columns as kernels
from geogrid.codes import LEVELS
from geogrid.datums import Datum
from geogrid.edition import Edition
from geogrid.locate import Located, Status
from geogrid.locate.index import Index
from geogrid.locate.locator import STATUS_TEXT

_NULL = b"null"

Ids: TypeAlias = list[str | int | None] | pa.ChunkedArray | None
"""What the caller calls the positions of a batch."""


class Answers:
    """Writes what was found in one edition; made once, asked often, safe in threads.

    Attributes
    ----------
    headers : tuple of (name, value)
        Of each answer: what it is, what it was found in, and that nobody may keep it.
    """

    def __init__(self, edition: Edition, index: Index) -> None:
        """Write the chain of every grid, and the name of every micro-grid."""
        self._codes = [code.encode() for code in index.unit_codes("microgrid").tolist()]
        self._names = [orjson.dumps(name) for name in edition.units["microgrid"]["name"].tolist()]
        self._parents = index.arrays["microgrid_parents"].tolist()
        self._grids = [code.encode() for code in index.unit_codes("grid").tolist()]
        self._chains = _chains(edition, index)
        self.headers = (
            (b"content-type", b"application/json"),
            (b"x-dataset-revision", edition.info.digest.encode()),
            (b"cache-control", b"no-store"),
        )
        info = orjson.dumps({"edition": edition.info.id, "revision": edition.info.digest})
        self._tails = {
            datum: b',"datum":"%s",%s' % (datum.value.encode(), info[1:]) for datum in Datum
        }
        texts = (STATUS_TEXT, index.grid_codes[:-1], index.codes[:-1])
        self._arrow, self._bytes = tuple(map(pa.array, texts)), tuple(map(_as_bytes, texts))

    def place(self, found: tuple[int, Status, bool, float, int], datum: Datum) -> bytes:
        """Return what `Locator.place` found, a `models.Place`, as JSON."""
        row, status, on_edge, metres, beside = found
        grid, code, chain = _NULL, _NULL, b""
        if row >= 0:
            parent, code = self._parents[row], b'"%s"' % self._codes[row]
            grid = b'"%s"' % self._grids[parent]
            own = b',{"level":"microgrid","code":%s,"name":%s}' % (code, self._names[row])
            chain = self._chains[parent] + own
        return b"".join(
            (
                b'{"status":"', status.value.encode(),
                b'","grid_code":', grid,
                b',"microgrid_code":', code,
                b',"chain":[', chain,
                b'],"on_edge":', b"true" if on_edge else b"false",
                b',"edge_m":', _NULL if math.isnan(metres) else b"%r" % round(metres, 2),
                b',"neighbour_code":', b'"%s"' % self._codes[beside] if beside >= 0 else _NULL,
                b',"neighbour_name":', self._names[beside] if beside >= 0 else _NULL,
                self._tails[datum],
            )
        )  # fmt: skip

    def columns(self, found: Located, ids: Ids, datum: Datum) -> bytes:
        """Return a batch as `models.Places`, as JSON."""
        status, grids, codes = self._bytes
        metres = np.empty(len(found.row) * kernels.LONGEST_NUMBER + 2, np.uint8)
        flags = np.empty(len(found.row) * 6 + 2, np.uint8)
        parts: list[bytes | memoryview] = [
            b'{"status":', _texts(status, found.status_row),
            b',"grid_code":', _texts(grids, found.row),
            b',"microgrid_code":', _texts(codes, found.row),
            b',"on_edge":', flags[: kernels.flags(found.on_edge, flags)].data,
            b',"edge_m":', metres[: kernels.decimals(found.edge_m, metres)].data,
            b',"neighbour_code":', _texts(codes, found.beside),
        ]  # fmt: skip
        if ids is not None:
            parts += [b',"id":', orjson.dumps(_listed(ids), default=str)]
        return b"".join([*parts, self._tails[datum]])

    def rows(self, found: Located, ids: Ids, datum: Datum) -> bytes:
        """Return a batch as `models.PlacesByRow`, as JSON."""
        table = self.table(found, None)
        columns: dict[str, list[object]] = {} if ids is None else {"id": _listed(ids)}
        columns |= {name: table.column(name).to_pylist() for name in table.column_names}
        names = tuple(columns)
        points = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return b'{"points":%s%s' % (orjson.dumps(points, default=str), self._tails[datum])

    def table(self, found: Located, ids: Ids) -> pa.Table:
        """Return a batch as a table: `id`, if there are any, and the columns of `models.Places`."""
        status, grids, codes = self._arrow
        row, beside = (pa.array(rows, mask=rows < 0) for rows in (found.row, found.beside))
        columns = {
            "status": status.take(pa.array(found.status_row)),
            "grid_code": grids.take(row),
            "microgrid_code": codes.take(row),
            "on_edge": pa.array(found.on_edge),
            "edge_m": pa.array(np.round(found.edge_m, 2), from_pandas=True),
            "neighbour_code": codes.take(beside),
        }
        if ids is None:
            return pa.table(columns)
        return pa.table({"id": _mixed(ids)} | columns)

    def arrow(self, found: Located, ids: Ids, datum: Datum) -> bytes:
        """Return a batch as an Arrow IPC stream; its metadata tell datum, edition and revision."""
        told = {
            key: str(value) for key, value in orjson.loads(b"{" + self._tails[datum][1:]).items()
        }
        table = self.table(found, ids).replace_schema_metadata(told)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()

    def csv(self, found: Located, ids: Ids) -> bytes:
        """Return a batch as CSV in UTF-8."""
        sink = io.BytesIO()
        pa.csv.write_csv(self.table(found, ids), sink, pa.csv.WriteOptions(quoting_style="needed"))
        return sink.getvalue()


def _chains(edition: Edition, index: Index) -> list[bytes]:
    """Return the units from the city down to each grid, as members of a JSON list."""
    above = [b""]
    for level in LEVELS[:-1]:
        rows = index.arrays[f"{level}_parents"].tolist() if level != "city" else [0]
        table = edition.units[level]
        links = (
            orjson.dumps({"level": level, "code": code, "name": name})
            for code, name in zip(table["code"], table["name"], strict=True)
        )
        above = [
            above[row] + (b"," if above[row] else b"") + link
            for row, link in zip(rows, links, strict=True)
        ]
    return above


def _as_bytes(texts: NDArray[np.str_]) -> NDArray[np.uint8]:
    """Return texts as rows of bytes, filled up with zeros."""
    return np.char.encode(texts, "ascii").view(np.uint8).reshape(len(texts), -1)


def _texts(values: NDArray[np.uint8], rows: NDArray[np.integer]) -> memoryview:
    out = np.empty(len(rows) * (max(values.shape[1], 4) + 3) + 2, np.uint8)
    return out[: kernels.texts(values, rows, out)].data


def _listed(ids: list[str | int | None] | pa.ChunkedArray) -> list[object]:
    return ids.to_pylist() if isinstance(ids, pa.ChunkedArray) else list(ids)


def _mixed(ids: list[str | int | None] | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return ids as a column; texts if some are texts and some numbers."""
    if isinstance(ids, pa.ChunkedArray):
        return ids
    if any(isinstance(each, int) for each in ids):
        try:
            return pa.array(ids, pa.int64())
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            ids = [None if each is None else str(each) for each in ids]
    return pa.array(ids, pa.string())
