"""Many positions at once, in the form that suits the caller; larger ones leave the event loop."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import TypeAdapter

from geogrid import datums
from geogrid.api import forms
from geogrid.api.deps import Config, Counters, Data, Dataset, each_once
from geogrid.api.forms import ARROW, CSV, JSON, Batch
from geogrid.api.models import (
    BatchAsked,
    Places,
    PlacesByRow,
    Position,
    Positions,
    PositionsByRow,
    inlined,
)
from geogrid.api.problems import Problem, problem_of_file, unsupported
from geogrid.api.settings import Limits
from geogrid.datums import Datum
from geogrid.errors import CoordinateError, GeogridError
from geogrid.locate import Located, locate_file
from geogrid.locate.csv_file import examined
from geogrid.locate.job import Job
from geogrid.locate.locator import STATUS_TEXT
from geogrid.tables import CsvTable, coordinate_columns

FORMS = (JSON, ARROW, CSV)

_SMALL = 16_384
"""Bytes of a body, some 500 positions, that are answered faster than handed to a thread."""

_TABLES: dict[str, dict[str, object]] = {
    ARROW: {"schema": {"type": "string", "format": "binary"}},
    CSV: {"schema": {"type": "string"}},
}
_ASKED = inlined(TypeAdapter(Positions | PositionsByRow | list[Position]).json_schema())
_BODY = {"required": True, "content": {JSON: {"schema": _ASKED}} | _TABLES}

_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Places | PlacesByRow,
        "description": "The answers, in the form of the body or as `Accept` asks.",
        "content": _TABLES,
    }
}

PATH = "/v1/locate/batch"

router = APIRouter(prefix=PATH, tags=["locate"])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a batch is and how it is to be answered."""

    kind: str
    answer: str
    datums: Mapping[str, str | None]
    columns: tuple[str | None, str | None]
    limits: Limits


@router.post(
    "",
    response_class=Response,
    responses=_ANSWER,
    openapi_extra={"requestBody": _BODY},
    dependencies=[Depends(each_once)],
)
async def locate_batch(
    request: Request,
    data: Data,
    config: Config,
    counters: Counters,
    asked: Annotated[BatchAsked, Query()],
    x_datum: Annotated[str | None, Header(description="As `datum`.")] = None,
) -> Response:
    """Find the micro-grids of many positions; answers keep the order, and each has a status.

    JSON by column (`{"datum": …, "lon": […], "lat": […], "id": […]}`) or by row
    (`{"datum": …, "points": [{"lon": …, "lat": …, "id": …}]}`), an Arrow IPC stream with columns
    `lon`, `lat` and, if wanted, `id`, or CSV, whose rows come back with four columns more.
    """
    given = {"datum": asked.datum.value if asked.datum else None, "X-Datum": x_datum}
    wanted = _Wanted(*_forms(request), given, (asked.lon, asked.lat), config.limits)
    body = await request.body()
    if len(body) <= _SMALL:
        answer, statuses, n_on_edge = _answer(data, body, wanted)
    else:
        bulk = cast(Executor, request.app.state.bulk)
        answer, statuses, n_on_edge = await asyncio.get_running_loop().run_in_executor(
            bulk, _answer, data, body, wanted
        )
    counters.batch(statuses, n_on_edge)
    response = Response(answer, media_type=wanted.answer)
    response.raw_headers += data.answers.headers[1:]
    return response


def _forms(request: Request) -> tuple[str, str]:
    """Return the type of the body and that of the answer."""
    kind = forms.media_type(request.headers.get("content-type", ""), FORMS)
    if kind is None or request.headers.get("content-encoding", "identity") != "identity":
        raise unsupported(FORMS)
    answer = forms.preferred(request.headers.get("accept", ""), kind, FORMS)
    if answer is None:
        raise Problem(
            406, "not_acceptable", f"The answer comes as {', '.join(FORMS)}.",
            f"结果格式为 {'、'.join(FORMS)}。", field="Accept",
        )  # fmt: skip
    return kind, answer


def _answer(
    data: Dataset, body: bytes, wanted: _Wanted
) -> tuple[bytes | memoryview, Mapping[str, int], int]:
    """Return an answer, how many positions have each status, and how many lie on an edge."""
    if wanted.kind == CSV:
        with tempfile.TemporaryDirectory(prefix="geogrid-batch-") as folder:
            path = Path(folder, "body.csv")
            path.write_bytes(body)
            try:
                if wanted.answer == CSV:
                    return _located_csv(data, path, wanted)
                batch = _read_csv(data, path, wanted)
            except GeogridError as error:
                raise problem_of_file(error, path.parent) from error
    elif wanted.kind == JSON:
        batch = forms.read_json(body, wanted.limits.positions)
    else:
        batch = forms.read_arrow(body, wanted.limits.table_positions)
    datum = _datum({**wanted.datums, "/datum": batch.datum})
    found = data.locator.locate(batch.xy, datum=datum, edges=True)
    counts = np.bincount(found.status_row, minlength=len(STATUS_TEXT)).tolist()
    statuses = dict(zip(STATUS_TEXT.tolist(), counts, strict=True))
    return _written(data, found, batch, (wanted.answer, datum)), statuses, int(found.on_edge.sum())


def _written(
    data: Dataset, found: Located, batch: Batch, how: tuple[str, Datum]
) -> bytes | memoryview:
    answers, (answer, datum) = data.answers, how
    if answer == ARROW:
        return answers.arrow(found, batch.ids, datum)
    if answer == CSV:
        return answers.csv(found, batch.ids)
    write = answers.rows if batch.by_row else answers.columns
    return write(found, batch.ids, datum)


def _located_csv(
    data: Dataset, path: Path, wanted: _Wanted
) -> tuple[bytes, Mapping[str, int], int]:
    """Put the answers behind the rows of a table, of which all else stays byte for byte."""
    target, (lon, lat) = path.with_name("located.csv"), wanted.columns
    datum = _datum(wanted.datums)
    summary = locate_file(data.locator, path, target, datum=datum, lon=lon, lat=lat)
    forms.require_few(summary.rows, wanted.limits.table_positions)
    return target.read_bytes(), Counter(summary.statuses), 0


def _read_csv(data: Dataset, path: Path, wanted: _Wanted) -> Batch:
    table, datum = CsvTable.open(path), _datum(wanted.datums)
    fields = table.header.fields
    columns = coordinate_columns(fields, *wanted.columns)
    xy = np.vstack([np.empty((0, 2)), *(piece.xy[piece.filled] for piece in table.pieces(columns))])
    forms.require_few(len(xy), wanted.limits.table_positions)
    examined(data.locator, Job(path, path, datum), table, columns)
    if "id" not in fields:
        return Batch(xy, None, None)
    place = fields.index("id")
    ids = [record.fields[place] for record in table.records() if record.fields]
    return Batch(xy, ids, None)


def _datum(given: Mapping[str, str | None]) -> Datum:
    """Return the one datum that is given, in whatever place; there is no default."""
    found: dict[Datum, str] = {}
    for place, text in given.items():
        if text is not None:
            try:
                found.setdefault(datums.parse(text), place)
            except CoordinateError as error:
                raise Problem(422, "unknown_datum", str(error), error.zh, field=place) from error
    if len(found) == 1:
        return next(iter(found))
    if found:
        names = ", ".join(datum.value for datum in found)
        raise Problem(
            422, "datums_differ", f"Two datums are given, {names}; a batch has one.",
            f"给出了两个坐标系（{names}），同一批坐标只能有一个。", field=list(found.values())[1],
        )  # fmt: skip
    raise Problem(
        422, "missing", "datum is missing: give it in the body, as ?datum= or in X-Datum.",
        "缺少坐标系 datum：请写在请求体、?datum= 或请求头 X-Datum 中。", field="datum",
    )  # fmt: skip
