"""Whole files: sent, located in the background, fetched with the columns added."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path, PurePath
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse

from geogrid import datums
from geogrid.api import problems
from geogrid.api.deps import Config, Data, each_once
from geogrid.api.models import JobAsked, JobStatus, Remark, State
from geogrid.api.problems import Problem
from geogrid.api.workshop import Job, Order, Workshop, safe_name
from geogrid.errors import CoordinateError

_KINDS = {
    "text/csv": (".csv", ".txt", ".tsv"),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "application/vnd.apache.parquet": (".parquet", ".geoparquet"),
}
_ANY = "application/octet-stream"

_PIECE = 1 << 20
"""Bytes written at once."""

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_SENT = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
_BODY = {"required": True, "content": dict.fromkeys((*_KINDS, _ANY), _SENT)}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": dict.fromkeys(_KINDS, _BINARY)}
}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"schema": {"type": "string"}}}}
}

PATH = "/v1/jobs"

router = APIRouter(prefix=PATH, tags=["jobs"])


def _workshop(request: Request) -> Workshop:
    return cast(Workshop, request.app.state.workshop)


def _found(request: Request, job_id: str) -> Job:
    return _workshop(request).find(job_id, _owner(request))


def _owner(request: Request) -> str:
    return str(request.scope["state"].get("key", ""))


Found = Annotated[Job, Depends(_found)]


@router.post(
    "",
    status_code=202,
    responses=_ACCEPTED,
    openapi_extra={"requestBody": _BODY},
    dependencies=[Depends(each_once)],
)
async def send(
    request: Request,
    response: Response,
    data: Data,
    config: Config,
    asked: Annotated[JobAsked, Query()],
    idempotency_key: Annotated[
        str | None,
        Header(max_length=200, description="The same key and file again give the same job."),
    ] = None,
) -> JobStatus:
    """Locate a whole file: CSV (UTF-8 or GBK), XLSX or Parquet, which is the body.

    The answer tells the job; ask `/v1/jobs/{job_id}` until its state is `done` or `failed`. The
    result has the rows of the file in their order with the columns grid_code, microgrid_code,
    status and edge_m added.
    """
    workshop, order = _workshop(request), await _order(request, asked)
    workshop.require_room()
    folder = workshop.new_folder()
    try:
        digest = await _receive(request, folder / "in" / order.name, config.limits.upload_bytes)
        key = idempotency_key and (order.owner, idempotency_key)
        job = await workshop.begin_once(order, folder, data, (key or None, digest))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    response.headers["Location"] = f"{PATH}/{job.id}"
    return _told(request, job)


@router.get("/{job_id}")
async def state(request: Request, job: Found) -> JobStatus:
    """Tell how far a job is, and what came of it."""
    return _told(request, job)


@router.get("/{job_id}/result", response_class=FileResponse, responses=_FILE)
async def result(job: Found) -> FileResponse:
    """Return the file with the columns added; 409 until the job is done."""
    _require_done(job)
    return FileResponse(
        job.result, media_type=job.order.media_type, filename=f"located-{job.order.name}"
    )


@router.get("/{job_id}/rejects", response_class=FileResponse, responses=_FILE)
async def rejects(job: Found) -> FileResponse:
    """Return the rows without a micro-grid as CSV, with the reason; 409 until the job is done."""
    _require_done(job)
    name = f"rejects-{PurePath(job.order.name).stem}.csv"
    return FileResponse(job.rejects, media_type="text/csv", filename=name)


@router.delete("/{job_id}", status_code=204)
async def remove(request: Request, job: Found) -> None:
    """End a job if it is not done, and remove its files."""
    await _workshop(request).remove(job)


async def _order(request: Request, asked: JobAsked) -> Order:
    """Return what is asked, with the kind of the file by its type or by its name."""
    kind = request.headers.get("content-type", _ANY).partition(";")[0].strip().lower()
    suffix = PurePath(asked.name).suffix.lower()
    if kind == _ANY:
        kind = next((kind for kind, known in _KINDS.items() if suffix in known), "")
    if kind not in _KINDS or request.headers.get("content-encoding", "identity") != "identity":
        raise problems.unsupported(tuple(_KINDS))
    try:
        datum = await asyncio.to_thread(datums.parse_reference, asked.datum)
    except CoordinateError as error:
        raise Problem(422, "unknown_datum", str(error), error.zh, field="datum") from error
    name = safe_name(asked.name, suffix if suffix in _KINDS[kind] else _KINDS[kind][0])
    return Order(name, kind, datum.value, asked.lon, asked.lat, _owner(request))


async def _receive(request: Request, path: Path, most: int) -> str:
    """Write the body to a file as it comes, and return its SHA-256."""
    size, digest = 0, hashlib.sha256()
    with path.open("wb") as file:
        async for piece in _pieces(request):
            size += len(piece)
            if size > most:
                raise Problem(
                    413, "body_too_large",
                    f"The file is larger than {most:,} bytes. Send it in parts, or use "
                    "`geogrid locate` where the file is.",
                    f"文件超过 {most:,} 字节。请分成几个文件，或在文件所在处使用 geogrid locate。",
                )  # fmt: skip
            await asyncio.to_thread(_kept, piece, file, digest)
    if not size:
        said = ("The body is empty; it is the file.", "请求体为空，应为文件内容。")
        raise Problem(422, "empty", *said, field="body")
    return digest.hexdigest()


def _kept(piece: bytes, file: Any, digest: Any) -> None:
    file.write(piece)
    digest.update(piece)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in pieces of a size that is worth a thread."""
    waiting = bytearray()
    async for piece in request.stream():
        waiting += piece
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _require_done(job: Job) -> None:
    if job.state is not State.DONE:
        raise Problem(
            409, "job_not_done", f"The job is {job.state.value}; there is no result.",
            f"作业状态为 {job.state.value}，没有结果。",
        )  # fmt: skip


def _told(request: Request, job: Job) -> JobStatus:
    """Return a job as it is told."""
    place, summary, problem = f"{PATH}/{job.id}", job.summary, job.problem
    done, lang = job.state is State.DONE, problems.language(request.scope)
    return JobStatus(
        id=job.id,
        state=job.state,
        progress=round(job.progress, 3),
        file=job.order.name,
        datum=job.order.datum,
        edition=job.edition,
        revision=job.revision,
        created=job.created,
        finished=job.finished,
        expires=job.expires,
        rows=summary.get("rows"),
        statuses=summary.get("statuses", {}),
        columns=[summary["lon"], summary["lat"]] if summary else None,
        encoding=summary.get("encoding"),
        warnings=[Remark(en=en, zh=zh) for en, zh in summary.get("warnings", ())],
        problem=None if problem is None else problems.document(place, problem, lang=lang),
        result=f"{place}/result" if done else None,
        rejects=f"{place}/rejects" if done else None,
    )
