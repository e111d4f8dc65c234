"""What `check` and `repair` are asked, and how a repair is told."""

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from geogrid import store
from geogrid.coverage import report as reports
from geogrid.coverage.checklist import Checklist, read_exceptions
from geogrid.coverage.findings import RULES, Findings
from geogrid.coverage.log import RepairLog
from geogrid.datums import parse
from geogrid.errors import DataError
from geogrid.norms import Norms
from geogrid.sources import Reading, parse_pairs
from geogrid.tables import CsvTable


@dataclass(frozen=True, slots=True)
class Beside:
    """Files that a check compares with, and norms as text."""

    buildings: Path | None
    points: Path | None
    workers: Path | None
    exceptions: Path | None
    norms: str


def reading(
    levels: Sequence[str], columns: Sequence[str], datum: str | None, said: tuple[str, str]
) -> Reading:
    """Return how to read files; `said` are encoding and reference system.

    What is not said stands in `geogrid.toml` of the working folder, table `[check]`: `levels` and
    `columns` are tables, `datum`, `encoding` and `crs` texts.
    """
    kept = _configured(Path("geogrid.toml"))
    named = datum or kept.get("datum")
    return Reading(
        levels={**_table(kept, "levels"), **parse_pairs(levels, "--level")},
        columns={**_table(kept, "columns"), **parse_pairs(columns, "--column")},
        datum=None if named is None else parse(str(named)),
        encoding=said[0] or str(kept.get("encoding", "")),
        crs=said[1] or str(kept.get("crs", "")),
    )


def checklist(
    expected: Mapping[str, int | None], sliver_width: float, rules: str, beside: Beside
) -> Checklist:
    """Return what to check."""
    only = frozenset(name.strip() for name in rules.split(",") if name.strip())
    return Checklist(
        only=only or None,
        expected={level: count for level, count in expected.items() if count is not None},
        sliver_width=sliver_width,
        norms=Norms.parse(beside.norms) if beside.norms else None,
        buildings=None if beside.buildings is None else store.read_vector(beside.buildings),
        points=None if beside.points is None else store.read_vector(beside.points),
        workers=None if beside.workers is None else _workers(beside.workers),
        exceptions=() if beside.exceptions is None else read_exceptions(beside.exceptions),
    )


def repaired_json(log: RepairLog, left: Findings) -> dict[str, object]:
    """Return what was repaired and what is left, for machines."""
    return {"changes": log.to_dataframe().to_dict("records"), "left": left.to_dict()}


def repaired_text(log: RepairLog, left: Findings, output: Path, lang: str) -> str:
    """Return what was repaired and what is left, for people."""
    zh = lang == "zh"
    counts = Counter((change.level, change.rule) for change in log)
    lines = [
        f"已写出 {output}，修改 {len(log)} 处:" if zh else f"wrote {output}, {len(log)} changes:"
    ]
    for (level, rule), number in sorted(counts.items()):
        name = RULES[rule].zh if zh and rule in RULES else rule
        lines.append(f"  {level:<10} {name:<20} {number:>7,}")
    errors = Counter(each.rule for each in left if each.severity == "error")
    if errors:
        rules = ", ".join(
            f"{RULES[rule].zh if zh else rule} {number:,}" for rule, number in errors.most_common()
        )
        lines.append(
            f"按规定保留: {rules}。自相交的边界及与之相接的碎斑、更宽的问题不自动修补。"
            if zh
            else f"left on purpose: {rules}. Rings that cross themselves with the slivers that "
            "touch them, and wider faults, are not for a machine to mend."
        )
    return "\n".join([*lines, reports.as_text(left, lang)])


def _configured(path: Path) -> dict[str, object]:
    """Return the table `[check]` of a configuration file; empty where there is no file."""
    if not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text("utf-8")).get("check", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path.resolve()} cannot be read: {error}") from error
    unknown = sorted(set(content) - {"levels", "columns", "datum", "encoding", "crs"})
    if unknown:
        raise DataError(
            f"{path.resolve()}, table [check]: {', '.join(unknown)} is unknown; there are levels, "
            "columns, datum, encoding, crs."
        )
    return dict(content)


def _table(kept: Mapping[str, object], name: str) -> dict[str, str]:
    table = kept.get(name, {})
    if not isinstance(table, dict) or not all(isinstance(each, str) for each in table.values()):
        raise DataError(f"geogrid.toml, table [check.{name}]: write a text on each line.")
    return dict(table)


def _workers(path: Path) -> pd.DataFrame:
    """Read a list of workers: CSV with a column of unit codes."""
    table = CsvTable.open(path)
    names = [name.strip().lower() for name in table.header.fields]
    known = ("code", "grid_code", "网格编码", "编码", "代码")
    place = next((names.index(name) for name in known if name in names), -1)
    if place < 0:
        raise DataError(
            f"{path} needs a column with codes of units ({', '.join(known)}); it has "
            f"{', '.join(table.header.fields)}."
        )
    codes = [record.fields[place].strip() for record in table.records() if any(record.fields)]
    return pd.DataFrame({"code": codes})
