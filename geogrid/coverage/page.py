"""Findings as one page of HTML: a map to click, filters, two languages, nothing loaded."""

import base64
import hashlib
import html
import json
from importlib.resources import files

import geopandas as gpd
import numpy as np
import shapely

from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.coverage.findings import RULES, Findings
from geogrid.schema import EXCHANGE_CRS

_PLACES = 7
"""Decimals of degrees on the page: a centimetre."""

_OUTLINE_TOLERANCE = 0.0003
"""Degrees: outlines are there to find one's way."""


def as_html(findings: Findings, outlines: gpd.GeoDataFrame | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    outlines : GeoDataFrame, optional
        Polygons drawn below the findings; a column `name` labels them.
    """
    content = json.dumps(
        {
            "rates": _rates(findings),
            "rules": {
                name: [rule.en, rule.zh, rule.fix_en, rule.fix_zh] for name, rule in RULES.items()
            },
            "findings": [_finding(each) for each in findings],
            "outlines": [] if outlines is None else _outlines(outlines),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).replace("</", "<\\/")
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'\">"
        f"<title>覆盖检查 Coverage check</title><style>{_asset('report.css')}</style></head>"
        f"<body>{_asset('report.html')}"
        f'<script type="application/json" id="content">{content}</script>'
        f"<noscript>{_plain(findings)}</noscript>"
        f"<script>{script}</script></body></html>\n"
    )


def _rates(findings: Findings) -> list[list[object]]:
    return [
        [level, LEVEL_NAMES_ZH[level], findings.counts[level], rate,
         *[list(pair) for pair in findings.summary(level).values()]]
        for level, rate in findings.coverage_rate.items()
    ]  # fmt: skip


def _finding(each) -> dict[str, object]:  # type: ignore[no-untyped-def]  # a Finding
    told: dict[str, object] = {
        "rule": each.rule, "severity": each.severity, "level": each.level, "codes": each.codes,
        "en": each.message_en, "zh": each.message_zh, "near": each.near,
    }  # fmt: skip
    if each.excused:
        told["excused"] = each.excused
    if each.point is not None:
        told["point"] = [round(value, _PLACES + 2) for value in each.point]
    if each.shape is not None:
        told["bbox"] = [round(value, _PLACES + 2) for value in each.bbox]
    if shapely.get_dimensions(each.shape) == 2:
        told["rings"] = _rings(each.shape)
    return told


def _rings(shape: shapely.Geometry) -> list[list[float]]:
    rings = shapely.get_rings(shapely.get_parts([shape]))
    return [np.round(shapely.get_coordinates(ring), _PLACES + 2).ravel().tolist() for ring in rings]


def _outlines(frame: gpd.GeoDataFrame) -> list[dict[str, object]]:
    shapes = shapely.simplify(frame.to_crs(EXCHANGE_CRS).geometry.to_numpy(), _OUTLINE_TOLERANCE)
    names = frame["name"].astype(str) if "name" in frame.columns else [""] * len(frame)
    return [
        {"name": name, "rings": [np.round(ring, 5).tolist() for ring in _rings(shape)]}
        for name, shape in zip(names, shapes, strict=True)
        if shape is not None
    ]


def _plain(findings: Findings) -> str:
    rows = [f"<li>{html.escape(each.message_zh)} {html.escape(each.message_en)}</li>"
            for each in findings.items[:1000]]  # fmt: skip
    return f"<ol>{''.join(rows)}</ol>"


def _asset(name: str) -> str:
    return (files("geogrid.coverage") / "assets" / name).read_text("utf-8")
