"""Locate the rows of an Excel workbook: four cells are put behind each row, all else stays."""

import math
import xml.parsers.expat
import zipfile
from collections.abc import Iterator
from xml.sax.saxutils import escape

import numpy as np

from geogrid import store, tables
from geogrid.errors import DataError, GeogridError
from geogrid.locate import guard, workbook
from geogrid.locate.job import ADDED_COLUMNS, Job, LocateSummary, Tally, opened_rejects
from geogrid.locate.locator import Located, Locator

_MOST_COLUMNS = 16_384
"""Columns of a sheet, as Excel has them."""


def locate_xlsx(locator: Locator, job: Job) -> LocateSummary:
    """Locate the first sheet of a workbook that is shown."""
    try:
        with zipfile.ZipFile(job.source) as archive:
            workbook.refuse_bomb(job.source, archive)
            return _located(locator, job, archive)
    except GeogridError:
        raise
    except (
        OSError, KeyError, IndexError, ValueError,
        zipfile.BadZipFile, xml.parsers.expat.ExpatError,
    ) as error:  # fmt: skip
        raise DataError(
            f"{job.source} is no readable workbook: {error}. Save it anew as .xlsx.",
            f"{job.source} 不是可读的工作簿：{error}。请重新另存为 .xlsx。",
        ) from error


def _located(locator: Locator, job: Job, archive: zipfile.ZipFile) -> LocateSummary:
    names: list[str] = []
    places: list[int] = []
    xy: list[tuple[float, float]] = []
    told: dict[str, list[str]] = {}

    def take(cells: dict[int, str]) -> None:
        if not places:
            names.extend(text.strip() for text in cells.values())
            job.refuse_present(names)
            lon, lat = tables.coordinate_columns(names, job.lon, job.lat)
            told.update({name: [] for name in guard.telling_columns(names, job)})
            places.extend(list(cells)[k] for k in (lon, lat, *map(names.index, told)))
            names[:] = names[lon], names[lat]
        else:
            texts = [cells.get(place, "") for place in places]
            xy.append((tables.number(texts[0]), tables.number(texts[1])))
            for column, text in zip(told.values(), texts[2:], strict=True):
                column.append(text)

    sheet = workbook.first_sheet(archive)
    workbook.read_rows(archive, sheet, take)
    where = f"{job.source}, sheet {sheet.title}"
    if not places:
        raise DataError(
            f"{where}: no header; there is no row with a text.",
            f"{where}：没有表头，各行均无文字。",
        )
    if sheet.width + len(ADDED_COLUMNS) > _MOST_COLUMNS:
        raise DataError(
            f"{where}: no room for {len(ADDED_COLUMNS)} columns.",
            f"{where}：没有 {len(ADDED_COLUMNS)} 列的位置。",
        )
    positions = np.array(xy).reshape(-1, 2)
    warnings = guard.examine(locator, job, positions, told)
    found = locator.locate(positions, datum=job.datum, edges=True)
    with store.replacing(job.target) as draft, opened_rejects(job.rejects) as rejects:
        tally = Tally(rejects)
        tally.warnings += warnings
        tally.add(found)
        workbook.extend(archive, sheet, _cells(found, sheet), draft)
    job.tell(1, 1)
    return tally.summary(job, f"xlsx, {sheet.title}", (names[0], names[1]))


def _cells(found: Located, sheet: workbook.Sheet) -> Iterator[bytes]:
    """Yield the cells to put behind each row: texts, so that codes keep all their digits."""
    names = [workbook.letters(sheet.width + k) for k in range(len(ADDED_COLUMNS))]
    p = sheet.prefix

    def text(column: int, row: int, value: str) -> str:
        if not value:
            return ""
        return (
            f'<{p}c r="{names[column]}{row}" t="inlineStr"><{p}is><{p}t>{escape(value)}'
            f"</{p}t></{p}is></{p}c>"
        )

    row = sheet.numbers[0]
    yield "".join(text(k, row, name) for k, name in enumerate(ADDED_COLUMNS)).encode("ascii")
    columns = (found.grid_code.tolist(), found.microgrid_code.tolist(), found.status.tolist())
    metres = np.round(found.edge_m, 2).tolist()
    for row, *codes, metre in zip(sheet.numbers[1:], *columns, metres, strict=True):
        cells = "".join(text(k, row, code) for k, code in enumerate(codes))
        if not math.isnan(metre):
            cells += f'<{p}c r="{names[3]}{row}"><{p}v>{metre!r}</{p}v></{p}c>'
        yield cells.encode("ascii")
