"""Statistics of incidents, as the command line asks for them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from geogrid import incidents, store
from geogrid.errors import UsageError
from geogrid.incidents import Statistics, Thresholds
from geogrid.incidents.warning import COLOURS_ZH


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; empty texts ask for nothing."""

    level: str
    period: str = ""
    items: Path | None = None
    warn: str = ""
    measure: str = "count"
    least: int = 1
    text: str | None = None


def count(city: Path, located: Path, output: Path, question: Question) -> Statistics:
    """Count the incidents of a file, and write the statistics."""
    edition = store.read_edition(city)
    table = incidents.normalise(incidents.read(located))
    if question.items is not None:
        table = incidents.with_category(table, incidents.read_items(question.items))
    if question.text is not None:
        # The usual headers have one name by now.
        renamed = incidents.normalise(pd.DataFrame(columns=[question.text])).columns[0]
        table = incidents.with_text_code(table, edition, str(renamed))
    units = incidents.counts(table, edition, question.level)
    thresholds = _thresholds(units, question) if question.warn else None
    if thresholds is not None:
        units = incidents.warned(units, thresholds)
    parts = None
    if question.period or question.items is not None:
        parts = incidents.breakdown(
            table, edition, question.level, period=question.period or None,
            by_category=question.items is not None,
        )  # fmt: skip
    unplaced = len(table) - int(units["incidents"].sum())
    counted = Statistics(question.level, units, parts, thresholds, unplaced)
    incidents.write(counted, edition, output)
    return counted


def _thresholds(units: pd.DataFrame, question: Question) -> Thresholds:
    if question.warn in ("quantile", "natural"):
        measured = incidents.measured(units, question.measure)
        return incidents.found(question.measure, question.warn, measured, least=question.least)
    try:
        values = [float(value) for value in question.warn.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--warn {question.warn!r}: give quantile, natural, or four numbers such as 5,10,20,40"
        ) from error
    return incidents.given(question.measure, values, least=question.least)


def counted_text(counted: Statistics, output: Path, lang: str) -> str:
    """Return what was counted, for people."""
    zh, told = lang == "zh", counted.to_dict()
    placed = int(counted.units["incidents"].sum())
    lines = [
        f"{len(counted.units):,} 个单元（{counted.level}），{placed:,} 条事件，"
        f"{counted.unplaced:,} 条未计入 -> {output}"
        if zh
        else f"{len(counted.units):,} units ({counted.level}), {placed:,} incidents, "
        f"{counted.unplaced:,} that count for none -> {output}"
    ]
    warned = told["warnings"]
    if isinstance(warned, dict) and warned and counted.thresholds is not None:
        values = ", ".join(f"{value:g}" for value in counted.thresholds.values)
        lines.append(f"  {'阈值' if zh else 'thresholds'}: {values}")
        lines += [f"  {COLOURS_ZH[c] if zh else c:<8}{n:>10,}" for c, n in warned.items()]
    return "\n".join(lines)
