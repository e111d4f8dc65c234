"""Answers of look-ups as bytes, put together from parts that were made when the edition was loaded.

A model of `models` gives the same bytes; making one takes longer than the look-up itself.
"""

import io
from collections.abc import Callable
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from geogrid._kernels import Recompiles, compiled, places
from geogrid._kernels import json_columns as kernels
from geogrid.codes import LEVELS
from geogrid.datums import HEIGHTS, Datum
from geogrid.edition import Edition
from geogrid.locate import Located, Status
from geogrid.locate.index import Index
from geogrid.locate.locator import STATUS_TEXT

_STATUSES, _DATUMS = tuple(Status), tuple(Datum)

Ids: TypeAlias = list[str | int | None] | pa.ChunkedArray | None
"""What the caller calls the positions of a batch."""


class _Texts:
    """The texts that a column is made of; the last stands for row -1."""

    def __init__(self, texts: NDArray[np.bytes_]) -> None:
        self._values = texts.view(np.uint8).reshape(len(texts), -1)
        self._sizes = np.char.str_len(texts).astype(np.int32)

    def of(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the texts of rows, one behind the other."""
        return self._written(rows)[0]

    def column(self, rows: NDArray[np.integer]) -> pa.StringArray:
        """Return the texts of rows as a column; row -1 is null."""
        data, ends = self._written(rows)
        known = rows >= 0
        bits = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
        return pa.StringArray.from_buffers(len(rows), pa.py_buffer(ends), pa.py_buffer(data), bits)

    def _written(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        out = np.empty((len(rows) + 1) * self._values.shape[1], np.uint8)
        ends = np.zeros(len(rows) + 1, np.int32)
        return out[: kernels.texts(self._values, self._sizes, rows, out, ends)], ends


_FLAGS = _Texts(np.array([b"false,", b"true,"]))


class Answers(Recompiles):
    """Writes what was found in one edition; made once, asked often, safe in threads.

    Attributes
    ----------
    headers : tuple of (name, value)
        Of each answer: what it is, what it was found in, and that nobody may keep it.
    """

    def __init__(self, edition: Edition, index: Index) -> None:
        """Write the chain of every grid, and the name of every micro-grid."""
        self._index = index
        self._texts, longest = _texts_of_units(edition, index)
        self.headers = (
            (b"content-type", b"application/json"),
            (b"x-dataset-revision", edition.info.digest.encode()),
            (b"cache-control", b"no-store"),
        )
        info = orjson.dumps({"edition": edition.info.id, "revision": edition.info.digest})
        self._tails = {
            datum: b',"datum":"%s",%s' % (datum.value.encode(), info[1:]) for datum in Datum
        }
        self._room = longest + max(map(len, self._tails.values()))
        texts = (STATUS_TEXT, index.grid_codes[:-1], index.codes[:-1])
        plain = [np.append(np.char.encode(each, "ascii"), b"") for each in texts]
        self._plain = tuple(_Texts(each) for each in plain)
        self._quoted = tuple(_Texts(np.append(_quoted(each[:-1]), b"null,")) for each in plain)

    def to_query(self, query: bytes) -> tuple[bytearray, Status, bool] | None:
        """Find one position and measure to its border, in microseconds, if the query is plain.

        Plain is: `lon`, `lat` and `datum`, once each, nothing escaped.

        Returns
        -------
        answer, status, on_edge
            A `models.Place` as JSON, if the status is hit or outside. None for any other query.
        """
        out = bytearray(self._room)
        size, status, on_edge = self._answer(query, self._city, out)
        return (out[:size], _STATUSES[status], on_edge) if size else None

    @cached_property
    def _city(self) -> places.City:
        index, ends = self._index, [self._tails[datum] for datum in _DATUMS]
        values = np.array([datum.value.encode() for datum in _DATUMS])
        names = values.view(np.uint8).reshape(len(values), -1)
        heights = np.array([HEIGHTS[datum] for datum in _DATUMS])
        datums = places.Datums(names, heights, *_side_by_side(ends))
        return places.city(index.box, index.cells, index.borders, self._texts, datums)

    @cached_property
    def _answer(self) -> Callable[..., Any]:
        return compiled(places.answer, b"", self._city, bytearray(self._room))

    def columns(self, found: Located, ids: Ids, datum: Datum) -> bytes:
        """Return a batch as `models.Places`, as JSON."""
        status, grids, codes = self._quoted
        metres = np.empty(len(found.row) * kernels.LONGEST_NUMBER, np.uint8)
        parts: list[bytes | memoryview] = [
            b'{"status":[', _listed_bytes(status.of(found.status_row)),
            b'],"grid_code":[', _listed_bytes(grids.of(found.row)),
            b'],"microgrid_code":[', _listed_bytes(codes.of(found.row)),
            b'],"on_edge":[', _listed_bytes(_FLAGS.of(found.on_edge.view(np.int8))),
            b'],"edge_m":[', _listed_bytes(metres[: kernels.decimals(found.edge_m, metres)]),
            b'],"neighbour_code":[', _listed_bytes(codes.of(found.beside)), b"]",
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
        status, grids, codes = self._plain
        columns = {
            "status": status.column(found.status_row),
            "grid_code": grids.column(found.row),
            "microgrid_code": codes.column(found.row),
            "on_edge": pa.array(found.on_edge),
            "edge_m": pa.array(np.round(found.edge_m, 2), from_pandas=True),
            "neighbour_code": codes.column(found.beside),
        }
        if ids is None:
            return pa.table(columns)
        return pa.table({"id": _mixed(ids)} | columns)

    def arrow(self, found: Located, ids: Ids, datum: Datum) -> memoryview:
        """Return a batch as an Arrow IPC stream; its metadata tell datum, edition and revision."""
        told = {
            key: str(value) for key, value in orjson.loads(b"{" + self._tails[datum][1:]).items()
        }
        table = self.table(found, ids).replace_schema_metadata(told)
        sink = pa.BufferOutputStream()  # one of Python's is called for each buffer
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return memoryview(sink.getvalue())

    def csv(self, found: Located, ids: Ids) -> bytes:
        """Return a batch as CSV in UTF-8."""
        sink = io.BytesIO()
        pa.csv.write_csv(self.table(found, ids), sink, pa.csv.WriteOptions(quoting_style="needed"))
        return sink.getvalue()


def _texts_of_units(edition: Edition, index: Index) -> tuple[places.Texts, int]:
    """Return texts of micro-grids and grids, and the most bytes of an answer without its tail."""
    grids = [b'"%s"' % code.encode() for code in index.unit_codes("grid").tolist()]
    own = [b'"%s"' % code.encode() for code in index.unit_codes("microgrid").tolist()]
    names = map(orjson.dumps, edition.units["microgrid"]["name"].tolist())
    pairs = chain(zip(own, names, strict=True), zip(grids, _chains(edition, index), strict=True))
    texts = list(chain.from_iterable(pairs))
    blob, starts = _side_by_side(texts)
    sizes = np.diff(starts)
    own_sizes, grid_sizes = sizes[: 2 * len(own)], sizes[2 * len(own) :]
    room = places.ROOM + 6 * int(own_sizes.max()) + 2 * int(grid_sizes.max())
    return places.Texts(blob, starts, index.arrays["microgrid_parents"]), room


def _side_by_side(texts: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return texts as one, and where each begins and the last ends."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.frombuffer(b"".join(texts), np.uint8), np.append(0, np.cumsum(sizes))


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


def _quoted(texts: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """Return texts that need no escapes as members of a JSON list, each with its comma."""
    return np.char.add(np.char.add(b'"', texts), b'",')


def _listed_bytes(members: NDArray[np.uint8]) -> memoryview:
    """Leave out the last comma."""
    return members[:-1].data


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
