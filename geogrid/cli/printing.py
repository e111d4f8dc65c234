"""Maps behind `geogrid map`: a page that opens offline, or one for print."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from geogrid import tables
from geogrid.coverage.check import check
from geogrid.edition import Edition
from geogrid.maps.city import map_of
from geogrid.schema import require_columns


@dataclass(frozen=True, slots=True)
class Print:
    """What is printed.

    Attributes
    ----------
    warnings : Path, optional
        A table of `geogrid stats` with the columns `code` and `warning`; shown instead of `color`.
    findings : bool
        Whether the edition is checked and what is found is drawn.
    """

    color: str
    level: str
    part: str
    warnings: Path | None
    findings: bool
    paper: str
    title: str


def write_print(edition: Edition, output: Path, wanted: Print) -> None:
    """Write a map of `.png`, `.pdf` or `.svg`."""
    from geogrid.maps.pictures import picture
    from geogrid.maps.sheet import Sheet

    color = wanted.color if wanted.warnings is None else _warnings(wanted.warnings)
    picture(
        edition, color, level=wanted.level, part=wanted.part,
        findings=check(edition) if wanted.findings else None,
        sheet=Sheet(wanted.title, wanted.paper),
    ).save(output)  # fmt: skip


def write_page(edition: Edition, output: Path, wanted: Print, imagery: Path | None) -> None:
    """Write a map as a page that opens without a network."""
    color = wanted.color if wanted.warnings is None else _warnings(wanted.warnings)
    map_of(
        edition, color=color, level=wanted.level, imagery=imagery,
        findings=check(edition) if wanted.findings else None,
    ).save(output)  # fmt: skip


def _warnings(path: Path) -> pd.Series:
    table = tables.CsvTable.open(path).read()
    require_columns(table, ("code", "warning"), str(path))
    return pd.Series(table.set_index("code")["warning"], name="预警 Warning")
