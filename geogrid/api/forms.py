"""Batches as callers send them: JSON by column or by row, Arrow, CSV; read whole or refused by row.

Bodies come from anyone. What is read is bounded by the number of bytes before and the number of
positions after, nothing is unpacked, and no body makes the service open anything.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from geogrid.api.answers import Ids
from geogrid.api.problems import Problem
from geogrid.locate.guard import DATUM_HEADERS

_MOST_ID_BYTES = 1 << 26
"""Texts of a dictionary, were each position to have the longest; others are as long as the body."""

_ID_KINDS = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_null,
)  # fmt: skip

JSON, ARROW, CSV = "application/json", "application/vnd.apache.arrow.stream", "text/csv"


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions of one request.

    Attributes
    ----------
    xy : (n, 2) float
        NaN where a value is missing.
    ids : list or column, optional
        What the caller calls them.
    datum : str, optional
        What the body itself says.
    by_row : bool
        The body was a list of objects.
    """

    xy: NDArray[np.float64]
    ids: Ids
    datum: str | None
    by_row: bool = False


def read_json(body: bytes, most: int) -> Batch:
    """Read JSON: `{lon, lat, id, datum}`, `{points: [{lon, lat, id}], datum}` or only the list."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(
            400, "json_invalid",
            f"The body is no JSON: {error}. A missing number is null, not NaN.",
            f"请求体不是有效的 JSON（第 {error.lineno} 行第 {error.colno} 列）；"
            "缺失的数字写作 null，不是 NaN。", field="body",
        ) from None  # fmt: skip
    _refuse_repeated(body, given)
    if isinstance(given, list):
        return _by_row(given, None, most, "")
    if not isinstance(given, dict):
        _refuse("", "body_type", "an object or a list", "对象或数组", given)
    if "points" in given:
        _refuse_other(given, ("points", "datum"))
        points = given["points"]
        if not isinstance(points, list):
            _refuse("/points", "list_type", "a list", "数组", points)
        return _by_row(points, given.get("datum"), most, "/points")
    return _by_column(given, most)


def read_arrow(body: bytes, most: int) -> Batch:
    """Read an Arrow IPC stream with the columns `lon`, `lat` and, if wanted, `id`."""
    try:
        _refuse_compressed(body)
        table = pa.ipc.open_stream(body).read_all()
        require_few(table.num_rows, most)
        _refuse_datums(table.column_names)
        table = table.select([name for name in ("lon", "lat", "id") if name in table.column_names])
        ids = _identities(table)
        table.validate(full=True)
        columns = [_floats(table, name) for name in ("lon", "lat")]
    except (pa.ArrowException, OSError, KeyError, ValueError, IndexError) as error:
        raise Problem(
            422, "arrow_invalid", f"The body is no Arrow IPC stream that can be read: {error}",
            f"请求体不是可读的 Arrow IPC 流：{error}", field="body",
        ) from None  # fmt: skip
    told = (table.schema.metadata or {}).get(b"datum")
    datum = None if told is None else told.decode("utf-8", "replace")
    return Batch(np.column_stack(columns), ids, datum)


def require_few(n: int, most: int) -> None:
    """Refuse more positions than are answered at once."""
    if n > most:
        raise Problem(
            413,
            "too_many_positions",
            f"{n:,} positions; at most {most:,} at once. Send several batches, or the whole file "
            "as a job: POST /v1/jobs.",
            f"共 {n:,} 个坐标，一次最多 {most:,} 个。"
            "请分批提交，或把整个文件作为作业提交：POST /v1/jobs。",
        )


def _by_column(given: dict[str, object], most: int) -> Batch:
    _refuse_other(given, ("lon", "lat", "id", "datum"))
    lon, lat = (_column(given, name) for name in ("lon", "lat"))
    ids = None if given.get("id") is None else _column(given, "id")
    for name, column in (("lat", lat), ("id", ids)):
        if column is not None and len(column) != len(lon):
            raise Problem(
                422, "lengths_differ", f"lon has {len(lon)} values, {name} has {len(column)}.",
                f"lon 有 {len(lon)} 个值，{name} 有 {len(column)} 个。", field=f"/{name}",
            )  # fmt: skip
    require_few(len(lon), most)
    xy = np.column_stack([_numbers(lon, "/lon/{}"), _numbers(lat, "/lat/{}")])
    return Batch(xy, _ids(ids, "/id/{}"), _text(given.get("datum")))


def _by_row(points: list[object], datum: object, most: int, at: str) -> Batch:
    require_few(len(points), most)
    for row, point in enumerate(points):
        if type(point) is not dict:
            _refuse(
                f"{at}/{row}", "object_type", 'an object such as {"lon": 114.65, "lat": 33.62}',
                '形如 {"lon": 114.65, "lat": 33.62} 的对象', point,
            )  # fmt: skip
    rows: list[dict[str, object]] = points  # type: ignore[assignment]  # proven above
    names: set[str] = set().union(*rows)
    if names - {"lon", "lat", "id"}:
        for row, point in enumerate(rows):
            _refuse_other(point, ("lon", "lat", "id"), f"{at}/{row}")
    columns = []
    for name in ("lon", "lat"):
        try:
            column = [point[name] for point in rows]
        except KeyError:
            row = next(row for row, point in enumerate(rows) if name not in point)
            _refuse_missing(name, f"{at}/{row}/{name}")
        columns.append(_numbers(column, f"{at}/{{}}/{name}"))
    ids = _ids([p.get("id") for p in rows], f"{at}/{{}}/id") if "id" in names else None
    return Batch(np.column_stack(columns).reshape(-1, 2), ids, _text(datum), by_row=True)


def _column(given: dict[str, object], name: str) -> list[object]:
    column = given.get(name)
    if name not in given:
        _refuse_missing(name, f"/{name}")
    if not isinstance(column, list):
        _refuse(f"/{name}", "list_type", "a list", "数组", column)
    return column


def _numbers(column: list[object], place: str) -> NDArray[np.float64]:
    """Return numbers and nulls as floats; anything else is refused by its row."""
    if not set(map(type, column)) <= {float, int, type(None)}:
        row = next(
            k for k, value in enumerate(column) if type(value) not in (float, int, type(None))
        )
        _refuse(place.format(row), "float_type", "a number or null", "数字或 null", column[row])
    return np.array(column, np.float64)


def _ids(ids: list[object] | None, place: str) -> Ids:
    if ids is None:
        return None
    if not set(map(type, ids)) <= {str, int, type(None)}:
        row = next(k for k, value in enumerate(ids) if type(value) not in (str, int, type(None)))
        _refuse(
            place.format(row), "id_type", "a text, a whole number or null", "文字、整数或 null",
            ids[row],
        )  # fmt: skip
    return ids


def _text(datum: object) -> str | None:
    if datum is not None and not isinstance(datum, str):
        _refuse("/datum", "string_type", "a text", "文字", datum)
    return datum


def _refuse(place: str, code: str, expected: str, zh: str, given: object) -> NoReturn:
    """Refuse a value; of the value only its kind is told, for it may be anything."""
    kinds = {
        str: "a text", bool: "true or false", dict: "an object", list: "a list", type(None): "null",
        int: "a number", float: "a number",
    }  # fmt: skip
    field = place or "body"
    raise Problem(
        422, code, f"{field}: expected {expected}, not {kinds[type(given)]}.",
        f"{field}：应为{zh}。", field=field,
    )  # fmt: skip


def _refuse_missing(name: str, place: str) -> NoReturn:
    raise Problem(
        422, "missing", f"{place}: {name} is missing.", f"{place}：缺少 {name}。", field=place
    )


def _refuse_other(given: dict[str, object], known: Sequence[str], at: str = "") -> None:
    for name in given:
        if name not in known:
            field = f"{at}/{_pointer(name)}"
            advice, zh = ("", "")
            if name == "datum":
                advice = " All positions of a batch have one datum; send a batch for each."
                zh = "同一批坐标只能有一个坐标系，请分批提交。"
            raise Problem(
                422, "extra_forbidden",
                f"{field}: unknown; expected {', '.join(known)}.{advice}",
                f"{field}：未知字段，应为 {'、'.join(known)}。{zh}", field=field,
            )  # fmt: skip


def _pointer(name: str) -> str:
    """Return a name as a step of a JSON pointer, of a length fit to be told."""
    return name[:40].replace("~", "~0").replace("/", "~1")


def _refuse_repeated(body: bytes, given: object) -> None:
    """Refuse an object that has a name twice: which value is meant cannot be known.

    Quotes are counted first, which takes a twelfth of the time: what was dropped had some. Then
    names are, since objects are read pair by pair only where a count is odd.
    """
    if isinstance(given, dict):
        ids = given.get("id")
        texts = [*given, *given.values(), *(ids if isinstance(ids, list) else ())]
        if body.count(b'"') == 2 * sum(type(text) is str for text in texts):
            return
    points = given.get("points") if isinstance(given, dict) else given
    n = len(points) if isinstance(points, list) else 1
    expected = {b'"lon"': n, b'"lat"': n, b'"id"': n, b'"datum"': 1, b'"points"': 1}
    if any(body.count(name) > most for name, most in expected.items()) or rb"\u" in body:
        try:
            json.loads(body, object_pairs_hook=_unrepeated)
        except RecursionError:  # deeper than anything that is accepted
            return


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise Problem(
            422, "repeated", f"{_pointer(name)}: twice in one object.",
            f"{_pointer(name)}：在同一对象中重复。", field=_pointer(name),
        )  # fmt: skip
    return found


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    if table.column_names.count(name) != 1:
        raise Problem(
            422, "missing",
            f"column {name}: {table.column_names.count(name)} times in the stream, expected once.",
            f"列 {name}：应出现一次。", field=f"/{name}",
        )  # fmt: skip
    column = table.column(name)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise Problem(
            422, "float_type", f"column {name}: expected numbers, not {column.type}.",
            f"列 {name}：应为数字，而不是 {column.type}。", field=f"/{name}",
        )  # fmt: skip
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def _identities(table: pa.Table) -> pa.ChunkedArray | None:
    """Return what the caller calls the positions, none of it longer than it may be told again.

    A dictionary, a view or a run names one text many times, and takes no more room for that.
    """
    if "id" not in table.column_names:
        return None
    ids = table.column("id")
    plain = ids.type.value_type if pa.types.is_dictionary(ids.type) else ids.type
    if not any(is_kind(plain) for is_kind in _ID_KINDS):
        raise Problem(
            422, "id_type", f"column id: expected texts or whole numbers, not {ids.type}.",
            f"列 id：应为文字或整数，而不是 {ids.type}。", field="/id",
        )  # fmt: skip
    if pa.types.is_dictionary(ids.type) and not pa.types.is_integer(plain):
        longest = max((_longest(chunk.dictionary) for chunk in ids.chunks), default=0)
        if longest * len(ids) > _MOST_ID_BYTES:
            raise Problem(
                422, "ids_too_long",
                f"column id: texts of up to {longest:,} bytes, {len(ids):,} times; send shorter "
                "ones, or no dictionary.",
                f"列 id：文字最长 {longest:,} 字节，共 {len(ids):,} 行；请缩短，或不用字典编码。",
                field="/id",
            )  # fmt: skip
    return ids


def _longest(texts: pa.Array) -> int:
    return pc.max(pc.binary_length(texts)).as_py() or 0 if len(texts) else 0


def _refuse_datums(names: Sequence[str]) -> None:
    """Refuse a datum for each position: it would be thought to count."""
    for name in names:
        if name.strip().lower() in DATUM_HEADERS:
            raise Problem(
                422, "extra_forbidden",
                f"column {_pointer(name)}: all positions of a batch have one datum, which stands "
                "in ?datum=, X-Datum or the metadata of the schema; send a batch for each.",
                f"列 {_pointer(name)}：同一批坐标只能有一个坐标系，请分批提交。",
                field=f"/{_pointer(name)}",
            )  # fmt: skip


def _refuse_compressed(body: bytes) -> None:
    """Refuse a stream with compressed buffers: eight megabytes of them may unfold to any size."""
    reader = pa.ipc.MessageReader.open_stream(body)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        if message.type in ("record batch", "dictionary") and _is_compressed(message):
            raise Problem(
                422, "arrow_compressed", "The stream has compressed buffers; send it without.",
                "该流含压缩数据，请不要压缩。", field="body",
            )  # fmt: skip


def _is_compressed(message: pa.ipc.Message) -> bool:
    """Say whether a message names a compression: field 3 of `RecordBatch` in Arrow's Message.fbs.

    A table of a flat buffer begins with the distance back to the list of its fields' places.
    """
    data = message.metadata.to_pybytes()

    def number(at: int, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(data[at : at + size], "little", signed=signed)

    def field(table: int, k: int) -> int:
        places = table - number(table, 4, signed=True)
        place = number(places + 4 + 2 * k, 2) if 4 + 2 * k < number(places, 2) else 0
        return table + place if place else 0

    root = number(0, 4)
    header = field(root, 2)
    batch = header + number(header, 4)
    if message.type == "dictionary":
        inner = field(batch, 1)
        batch = inner + number(inner, 4)
    return field(batch, 3) != 0


def media_type(header: str, known: Iterable[str]) -> str | None:
    """Return which of the known types a `Content-Type` names; text must be in UTF-8."""
    name, _, parameters = header.lower().partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\";\s]+)", parameters)
    if charset is not None and name.strip() == JSON and charset[1] not in ("utf-8", "utf8"):
        return None
    return name.strip() if name.strip() in known else None


def preferred(header: str, own: str, known: Sequence[str]) -> str | None:
    """Return the type to answer in: of those that `Accept` weighs most `own`, else the first.

    >>> preferred("text/html, application/json;q=0.9, */*;q=0.1", CSV, (JSON, ARROW, CSV))
    'application/json'
    """
    if not header.strip():
        return own
    weights = dict.fromkeys([own, *known], 0.0)
    ranges: dict[str, float] = {}
    for each in header.lower().split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        ranges[name] = float(weight) if re.fullmatch(r"[01](\.\d*)?", weight) else 0.0
    for kind in weights:
        for pattern in ("*/*", kind.split("/")[0] + "/*", kind):  # the most exact one counts
            weights[kind] = ranges.get(pattern, weights[kind])
    best = max(weights, key=lambda kind: weights[kind])
    return best if weights[best] > 0 else None
