"""The report of a division as a table for a terminal, 100 columns wide."""

from collections import Counter
from collections.abc import Callable

from geogrid.partition.report import LevelReport, Report

_NAME_WIDTH, _VALUE_WIDTH = 40, 29
_MANY = 9.995  # from here on a percentage would take too many digits
_HEADINGS = (("grid", "网格", "grids"), ("microgrid", "微网格", "micro-grids"))


def report_text(report: Report, lang: str) -> str:
    """Return a row for each figure, grids and micro-grids side by side."""
    zh = lang == "zh"
    levels = {level.level: level for level in report.levels}
    columns = [levels[name] for name, _, _ in _HEADINGS]
    rows = [("", *(chinese if zh else english for _, chinese, english in _HEADINGS))]
    for chinese, english, cells in _figures(columns):
        if any(cells):
            rows.append((chinese if zh else english, *cells))
    lines = ["".join([padded(name, _NAME_WIDTH), *(_right(cell) for cell in cells)])
             for name, *cells in rows]  # fmt: skip
    if report.empty is not None and len(report.empty):
        lines.append(_empty_line(Counter(report.empty["reason"]), zh))
    return "\n".join(lines)


def padded(text: str, width: int) -> str:
    """Fill up to a width in which a Chinese character takes two columns."""
    return text + " " * (width - _columns(text))


def _figures(levels: list[LevelReport]) -> list[tuple[str, str, list[str]]]:
    """Return Chinese name, English name and cells of each row; empty cells for what is unknown."""
    rows: list[tuple[str, str, Callable[[LevelReport], str]]] = [
        ("数量", "units", lambda x: f"{x.units:,}"),
        ("均衡 5 / 50 / 95 % / 最大", "balance 5 / 50 / 95 % / max", _balance),
        ("偏离标准 5 / 50 / 95 % / 最大", "beyond norm 5 / 50 / 95 % / max", _norm),
        ("符合标准", "inside the norm", _within),
        ("全市偏差(下限)", "deviation in the city (floor)",
         lambda x: f"{x.deviation:.1%} ({x.floor:.1%})"),
        ("权重为零", "weigh nothing", lambda x: f"{x.empty:,}"),
        ("紧凑度 Polsby-Popper(5 %)", "compactness Polsby-Popper (5 %)",
         lambda x: f"{x.compactness:.3f} ({x.compactness_p5:.3f})"),
        ("圆度 Reock(5 %)", "roundness Reock (5 %)", lambda x: f"{x.reock:.3f} ({x.reock_p5:.3f})"),
        ("内部边界沿影像边缘(随机)", "inner borders on edges (by chance)",
         lambda x: f"{x.seen:.1%} ({x.seen_by_chance:.1%})"),
        ("内部边界沿给定线(随机)", "inner borders on lines (by chance)",
         lambda x: f"{x.lined:.1%} ({x.lined_by_chance:.1%})" if x.lined_by_chance else ""),
        ("全部边界:影像 / 给定线", "all borders: edges / lines",
         lambda x: f"{x.border_seen:.1%} / {x.border_lined:.1%}"),
        ("  行政 / 短连线 / 无依据", "  administrative / links / nothing",
         lambda x: f"{x.border_administrative:.1%} / {x.border_link:.1%} / {x.border_unseen:.1%}"),
        ("无可见依据的边界", "borders along which nothing shows", lambda x: f"{x.weak_edges:,}"),
        ("被切割的建筑(其中村界)", "buildings cut (by villages' borders)", _cut),
    ]  # fmt: skip
    return [(zh, en, [cell(level) for level in levels]) for zh, en, cell in rows]


def _balance(level: LevelReport) -> str:
    shares = (level.balance_p5, level.balance_p50, level.balance_p95, level.balance_max)
    return _listed(shares)


def _norm(level: LevelReport) -> str:
    shares = (level.norm_p5, level.norm_p50, level.norm_p95, level.norm_max)
    return _listed(tuple(share for share in shares if share is not None))


def _listed(shares: tuple[float, ...]) -> str:
    """Return shares in short: +27% for a quarter more, x21 for twenty-one times as much."""
    return " / ".join(f"{share:+.0%}" if share < _MANY else f"x{share + 1:.0f}" for share in shares)


def _within(level: LevelReport) -> str:
    return "" if level.norm_within is None else f"{level.norm_within:.1%}"


def _cut(level: LevelReport) -> str:
    if level.buildings_cut is None:
        return ""
    return f"{level.buildings_cut:,} ({level.buildings_cut_by_villages:,})"


def _empty_line(counts: Counter[str], zh: bool) -> str:
    quota, closed, land = (counts[name] for name in ("quota", "no_households", "open_land"))
    if zh:
        return f"无住户的微网格:地块不足 {quota},有建筑无住户 {closed},无建筑 {land}"
    return (
        f"micro-grids without households: {quota} for want of inhabited atoms, "
        f"{closed} with buildings only, {land} open land"
    )


def _right(text: str) -> str:
    return " " * (_VALUE_WIDTH - _columns(text)) + text


def _columns(text: str) -> int:
    return sum(2 if ord(char) > 0x2E80 else 1 for char in text)
