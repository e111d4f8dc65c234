"""Findings as a file or as text for a terminal."""

import io
from pathlib import Path

import geopandas as gpd
import pandas as pd
import shapely
from rich.console import Console
from rich.table import Table

from geogrid import store
from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.coverage.findings import RULES, Finding, Findings
from geogrid.coverage.page import as_html
from geogrid.errors import UsageError

_MOST_LINES = 50
"""Findings listed at a terminal."""

_WIDTH = 150
_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
_SEVERITIES_ZH = {"error": "错误", "warning": "警告", "note": "提示"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(findings: Findings, path: Path, *, outlines: gpd.GeoDataFrame | None = None) -> None:
    """Write findings as `.json`, `.csv`, `.gpkg` or `.html`, whole or not at all.

    Parameters
    ----------
    outlines : GeoDataFrame, optional
        Polygons to draw below the findings on the page, such as the townships.

    Raises
    ------
    UsageError
        The suffix is none of these.
    DataError
        The file cannot be written; the old one is whole.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        store.write_json(path, findings.to_dict())
    elif suffix == ".csv":
        with store.replacing(path) as draft:
            # Excel takes UTF-8 for the local encoding unless a byte order mark says otherwise.
            as_csv_table(findings).to_csv(
                draft, index=False, encoding="utf-8-sig", lineterminator="\n"
            )
    elif suffix == ".gpkg":
        store.write_layers(
            path, {"findings": findings.to_geodataframe(), "places": _places(findings)}
        )
    elif suffix in (".html", ".htm"):
        with store.replacing(path) as draft:
            draft.write_text(as_html(findings, outlines), "utf-8")
    else:
        raise UsageError(f"cannot write {path.name}: reports are .html, .json, .gpkg or .csv")


def as_csv_table(findings: Findings) -> pd.DataFrame:
    """Return one row a finding; no cell is a formula, and no code is taken for a number."""
    table = findings.to_geodataframe()
    plain = pd.DataFrame(table.assign(lon=table.geometry.x, lat=table.geometry.y))
    plain = plain.drop(columns="geometry")
    for column in ("codes", "message_en", "message_zh", "fix", "near", "excused"):
        text = plain[column].astype(str)
        risky = text.str.startswith(_FORMULA)
        if column == "codes":
            risky |= text.str.fullmatch(r"[0-9.eE+]+")
        plain[column] = text.where(~risky, "'" + text)
    return plain


def as_text(findings: Findings, lang: str = "en") -> str:
    """Return tables for a terminal, in English (`en`) or Chinese (`zh`)."""
    zh = lang == "zh"
    shown = io.StringIO()
    console = Console(file=shown, width=_WIDTH, highlight=False)
    console.print(_level_table(findings, zh=zh))
    if len(findings):
        console.print(_finding_table(findings.items[:_MOST_LINES], zh=zh))
    rest = len(findings) - _MOST_LINES
    if rest > 0:
        console.print(
            f"另有 {rest:,} 条，用 --report 写出全部" if zh else f"and {rest:,} more: --report FILE"
        )
    n = sum(each.severity == "error" for each in findings)
    if findings.ok:
        console.print("检查通过" if zh else "no errors")
    else:
        console.print(f"{n:,} 处错误" if zh else f"{n:,} error{'s' if n > 1 else ''}")
    return shown.getvalue().rstrip("\n")


def _level_table(findings: Findings, *, zh: bool) -> Table:
    heads = ("层级", "数量", "覆盖率", "缝隙", "重叠", "碎斑") if zh else (
        "level", "units", "coverage", "gaps", "overlaps", "slivers")  # fmt: skip
    table = Table(box=None, pad_edge=False)
    for k, head in enumerate(heads):
        table.add_column(head, justify="left" if k == 0 else "right", no_wrap=True)
    for level, rate in findings.coverage_rate.items():
        faults = [
            f"{number:,} ({area:,.1f} m²)" if number else "0"
            for number, area in findings.summary(level).values()
        ]
        name = LEVEL_NAMES_ZH[level] if zh else level
        table.add_row(name, f"{findings.counts[level]:,}", percent(rate), *faults)
    return table


def _finding_table(items: tuple[Finding, ...], *, zh: bool) -> Table:
    heads = (
        ("程度", "规则", "说明", "所在村") if zh else ("severity", "rule", "what and where", "near")
    )
    table = Table(box=None, pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for each in items:
        severity = _SEVERITIES_ZH[each.severity] if zh else each.severity
        message = each.message_zh if zh else each.message_en
        if each.excused:
            message += f" [{each.excused}]"
        rule = RULES[each.rule].zh if zh else each.rule
        colour = _COLOURS[each.severity]
        table.add_row(severity, rule, message.replace("[", "\\["), each.near, style=colour)
    return table


def percent(rate: float) -> str:
    """Return a rate for people, rounded down: 100 % is said of nothing less than everything."""
    return "100 %" if rate == 1.0 else f"{int(rate * 1e9) / 1e7:.7f} %"


def _places(findings: Findings) -> gpd.GeoDataFrame:
    """Return the areas as multipolygons: a GeoPackage layer holds one type."""
    shapes = findings.shapes()
    shapes = shapes[shapely.get_dimensions(shapes.geometry.to_numpy()) == 2]
    parts = [
        shapely.multipolygons([part for part in shapely.get_parts([shape]) if part.area > 0])
        for shape in shapes.geometry
    ]
    return shapes.set_geometry(gpd.GeoSeries(parts, index=shapes.index, crs=shapes.crs))
