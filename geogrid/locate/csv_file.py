"""Locate the records of a CSV file, in pieces; a run that was killed goes on where it was."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from geogrid import store, tables
from geogrid._kernels import records as kernels
from geogrid.errors import DataError, GeogridError
from geogrid.locate import guard
from geogrid.locate.job import ADDED_COLUMNS, Job, LocateSummary, Tally
from geogrid.locate.locator import STATUS_TEXT, Located, Locator
from geogrid.tables import CsvTable, Piece, coordinate_columns

_NOTE_SECONDS = 2.0
"""At most this much work is done again after a kill."""

_LONGEST_ADDED = 32
"""Bytes of delimiters, status and distance, at most."""


@dataclass(slots=True)
class _Progress:
    """How far a run is: places in the source and in what is written, lines, counts."""

    source: int = 0
    line: int = 0
    draft: int = 0
    rejects: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def locate_csv(locator: Locator, job: Job) -> LocateSummary:
    """Locate a CSV file."""
    table = CsvTable.open(job.source)
    job.refuse_present(table.header.fields)
    columns = coordinate_columns(table.header.fields, job.lon, job.lat)
    warnings = examined(locator, job, table, columns)
    codes, grids, names = _texts(locator)
    size = job.source.stat().st_size
    with _resumable(job, locator, table) as (draft, rejects, at, note):
        tally = Tally(rejects, at.counts)
        tally.warnings += warnings
        if at.draft == 0:
            added = table.delimiter.join(["", *ADDED_COLUMNS]).encode("ascii")
            draft.write(table.header.raw + added + (table.header.end or b"\n"))
        for piece in table.pieces(columns, at.source, at.line):
            found = locator.locate(piece.xy, datum=job.datum, edges=True)
            room = piece.used + len(piece.bounds) * (
                codes.shape[1] + grids.shape[1] + _LONGEST_ADDED
            )
            out = np.empty(room, np.uint8)
            n = kernels.extend(
                piece.data, piece.bounds, piece.used, found.row, found.status_row, found.edge_m,
                codes, grids, names, ord(table.delimiter), out,
            )  # fmt: skip
            draft.write(out[:n].data)
            tally.add(_filled(found, piece))
            at.source, at.line, at.counts = piece.end, piece.line, dict(tally.counts)
            note()
            job.tell(piece.end, size)
    return tally.summary(
        job, table.encoding, (table.header.fields[columns[0]], table.header.fields[columns[1]])
    )


def examined(
    locator: Locator, job: Job, table: CsvTable, columns: tuple[int, int]
) -> list[tuple[str, str]]:
    """Compare the first records with what is known of their places; see `guard.examine`."""
    named = guard.telling_columns(table.header.fields, job)
    if not named and job.buildings is None:
        return []
    head = table.head(guard.MOST)
    xy = np.array([[tables.number(text) for text in head.iloc[:, k]] for k in columns]).T
    told = {name: head.iloc[:, table.header.fields.index(name)].tolist() for name in named}
    return guard.examine(locator, job, xy.reshape(-1, 2), told)


def _filled(found: Located, piece: Piece) -> Located:
    """Leave out empty lines: they are no records."""
    keep = piece.filled
    return found if keep.all() else found.only(keep)


def _texts(locator: Locator) -> tuple[NDArray[np.uint8], ...]:
    """Return codes, codes of grids and statuses as rows of bytes, filled up with zeros."""
    index = locator.index
    texts = (index.codes[:-1], index.grid_codes[:-1], STATUS_TEXT)
    encoded = (np.char.encode(each, "ascii") for each in texts)
    return tuple(each.view(np.uint8).reshape(len(each), -1) for each in encoded)


@contextmanager
def _resumable(job: Job, locator: Locator, table: CsvTable) -> Iterator[tuple]:  # type: ignore[type-arg]
    """Yield the draft, the draft of the rejects, how far they are, and a call that notes it.

    Drafts and note lie beside the target, named by everything that the result depends on. They
    outlive a kill, and are removed by success and by an error of the input.
    """
    key = _key(job, locator, table)
    if not job.target.parent.is_dir():
        raise DataError(
            f"cannot write {job.target}: there is no folder {job.target.parent}. Make it first."
        )
    draft, rejects, noted = (
        job.target.with_name(f".{job.target.name}.{key}.{what}")
        for what in ("part", "rejects", "note")
    )
    for stale in job.target.parent.glob(f".{job.target.name}.*"):
        if stale not in (draft, rejects, noted) and stale.suffix in (".part", ".rejects", ".note"):
            stale.unlink()
    at = _read_note(noted, draft, rejects if job.rejects else None)
    told = time.monotonic()

    def note() -> None:
        nonlocal told
        if time.monotonic() - told > _NOTE_SECONDS:
            _write_note(noted, at, out, missed)
            told = time.monotonic()

    try:
        with (
            _opened(draft, at.draft) as out,
            _opened(rejects, at.rejects) if job.rejects else nullcontext() as missed,
        ):
            yield out, missed, at, note
        if job.rejects:
            store.publish(rejects, job.rejects)
        store.publish(draft, job.target)
    except (GeogridError, OSError) as error:
        for path in (draft, rejects):
            path.unlink(missing_ok=True)
        noted.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DataError(
                f"cannot write {job.target}: {error}. The old file, if any, is whole.",
                f"不能写入 {job.target}：{error}。原有文件（如有）未改动。",
            ) from error
        raise
    noted.unlink(missing_ok=True)


def _key(job: Job, locator: Locator, table: CsvTable) -> str:
    stat = job.source.stat()
    parts = (
        str(job.source.resolve()), stat.st_size, stat.st_mtime_ns, locator.index.digest,
        job.datum.value, job.lon, job.lat, str(job.rejects), table.encoding,
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _opened(path: Path, size: int) -> BinaryIO:
    """Open a draft to go on behind its first `size` bytes."""
    file = path.open("r+b" if size else "wb")
    file.truncate(size)
    file.seek(size)
    return file


def _read_note(noted: Path, draft: Path, rejects: Path | None) -> _Progress:
    try:
        at = _Progress(**json.loads(noted.read_text("utf-8")))
        whole = draft.stat().st_size >= at.draft
        whole = whole and (rejects is None or rejects.stat().st_size >= at.rejects)
    except (OSError, ValueError, TypeError):
        return _Progress()
    return at if whole else _Progress()


def _write_note(noted: Path, at: _Progress, out: BinaryIO, missed: BinaryIO | None) -> None:
    at.draft, at.rejects = out.tell(), missed.tell() if missed else 0
    for file in (out, missed):
        if file is not None:
            file.flush()
            os.fsync(file.fileno())
    with store.replacing(noted) as draft:
        fields = {name: getattr(at, name) for name in _Progress.__slots__}
        draft.write_text(json.dumps(fields), "utf-8")
