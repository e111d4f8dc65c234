"""Findings as a file or as text for a terminal."""

import html
from pathlib import Path

from geogrid import store
from geogrid.coverage.findings import Findings
from geogrid.errors import UsageError

_HEADINGS = (
    ("severity", "程度"),
    ("level", "层级"),
    ("rule", "规则"),
    ("place", "位置"),
    ("message", "说明"),
    ("fix", "处理"),
)


def write(findings: Findings, path: Path) -> None:
    """Write findings as `.json`, `.csv`, `.gpkg` or `.html`, whole or not at all.

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
        table = findings.to_geodataframe()
        table = table.assign(lon=table.geometry.x, lat=table.geometry.y).drop(columns="geometry")
        with store.replacing(path) as draft:
            # Excel takes UTF-8 for the local encoding unless a byte order mark says otherwise.
            table.to_csv(draft, index=False, encoding="utf-8-sig", lineterminator="\n")
    elif suffix == ".gpkg":
        store.write_layers(path, {"findings": findings.to_geodataframe()})
    elif suffix in (".html", ".htm"):
        with store.replacing(path) as draft:
            draft.write_text(as_html(findings), "utf-8")
    else:
        raise UsageError(f"cannot write {path.name}: reports are .html, .json, .gpkg or .csv")


def as_text(findings: Findings, lang: str = "en") -> str:
    """Return a short table for a terminal, in English (`en`) or Chinese (`zh`)."""
    zh = lang == "zh"
    lines = [
        f"{level:<10} {findings.counts[level]:>9,}  {_percent(rate)}"
        for level, rate in findings.coverage_rate.items()
    ]
    lines += [f"  {each.message_zh if zh else each.message_en}" for each in findings]
    if findings.ok:
        lines.append("检查通过" if zh else "no errors")
    else:
        n = sum(each.severity == "error" for each in findings)
        lines.append(f"{n} 处错误" if zh else f"{n} error{'s' if n > 1 else ''}")
    return "\n".join(lines)


def as_html(findings: Findings) -> str:
    """Return a page of its own: rates and findings, English and Chinese, nothing loaded."""
    rates = "".join(
        f"<tr><td>{level}</td><td>{findings.counts[level]:,}</td><td>{_percent(rate)}</td></tr>"
        for level, rate in findings.coverage_rate.items()
    )
    head = "".join(f"<th>{en}<br>{zh}</th>" for en, zh in _HEADINGS)
    rows = []
    for each in findings:
        place = "" if each.point is None else f"{each.point[0]:.7f}, {each.point[1]:.7f}"
        cells = [each.severity, each.level, each.rule, place]
        row = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        message = f"{html.escape(each.message_en)}<br>{html.escape(each.message_zh)}"
        rows.append(f"<tr>{row}<td>{message}</td><td>{html.escape(each.fix)}</td></tr>")
    verdict = "no errors · 检查通过" if findings.ok else "errors found · 发现错误"
    return (
        '<!doctype html><html lang="zh"><meta charset="utf-8"><title>覆盖检查</title>'
        "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
        "td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top}</style>"
        f"<h1>Coverage check 覆盖检查</h1><p>{verdict}</p>"
        f"<table><tr><th>level<br>层级</th><th>units<br>数量</th><th>coverage<br>覆盖率</th></tr>{rates}"
        f"</table><table><tr>{head}</tr>{''.join(rows)}</table></html>\n"
    )


def _percent(rate: float) -> str:
    """Return a rate for people, rounded down: 100 % is said of nothing less than everything."""
    return "100 %" if rate == 1.0 else f"{int(rate * 1e9) / 1e7:.7f} %"
