"""The report of a division as files: figures for machines and tables, weak borders for a GIS."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from geogrid import store
from geogrid.edition import Edition
from geogrid.errors import DataError
from geogrid.norms import Norms
from geogrid.partition.report import Report, as_table
from geogrid.partition.zones import SEEN

FIGURES = MappingProxyType(
    {
        "units": ("单元数", "units"),
        "balance_p5": (
            "均衡(与上级内平均之差),5 %",
            "balance (weight over its siblings' mean), 5 %",
        ),
        "balance_p50": ("均衡,中位数", "balance, median"),
        "balance_p95": ("均衡,95 %", "balance, 95 %"),
        "balance_max": ("均衡,最大", "balance, largest"),
        "deviation": ("与全市平均的平均偏差", "mean deviation from the city's mean"),
        "floor": (
            "偏差下限(单元数取整、地块不可分割)",
            "floor of the deviation, units and atoms whole",
        ),
        "floor_counts": ("偏差下限(仅单元数取整)", "floor of the deviation, units whole"),
        "norm_p5": ("户数偏离标准,5 %", "households beyond the norm, 5 %"),
        "norm_p50": ("户数偏离标准,中位数", "households beyond the norm, median"),
        "norm_p95": ("户数偏离标准,95 %", "households beyond the norm, 95 %"),
        "norm_max": ("户数偏离标准,最大", "households beyond the norm, largest"),
        "norm_within": ("符合标准的单元占比", "units inside the norm"),
        "empty": ("权重为零的单元", "units that weigh nothing"),
        "compactness": ("紧凑度(Polsby-Popper),平均", "compactness (Polsby-Popper), mean"),
        "compactness_p5": ("紧凑度(Polsby-Popper),5 %", "compactness (Polsby-Popper), 5 %"),
        "reock": ("圆度(Reock),平均", "roundness (Reock), mean"),
        "reock_p5": ("圆度(Reock),5 %", "roundness (Reock), 5 %"),
        "seen": ("内部边界沿影像边缘", "inner borders on edges seen in the imagery"),
        "seen_by_chance": ("随机直线沿影像边缘", "blind lines on edges seen in the imagery"),
        "lined": ("内部边界沿给定线", "inner borders on given lines"),
        "lined_by_chance": ("随机直线沿给定线", "blind lines on given lines"),
        "border_seen": ("全部边界中沿影像边缘", "of all borders: on edges seen"),
        "border_lined": ("全部边界中沿给定线", "of all borders: on given lines"),
        "border_link": ("全部边界中短直连线", "of all borders: short straight links"),
        "border_unseen": ("全部边界中无可见依据", "of all borders: nothing shows"),
        "border_administrative": ("全部边界中行政边界", "of all borders: administrative"),
        "weak_edges": ("无可见依据的边界(条)", "inner borders along which nothing shows"),
        "buildings_cut": ("被切割的建筑", "buildings cut"),
        "buildings_cut_by_villages": ("其中被村界切割", "buildings cut by borders of villages"),
    }
)
"""What each figure of a level means, Chinese and English."""

REASONS = MappingProxyType(
    {
        "quota": (
            "本村有人居住的地块少于微网格数",
            "fewer inhabited atoms than micro-grids in the village",
        ),
        "no_households": ("有建筑而无住户", "buildings, but no households"),
        "open_land": ("无建筑", "no building"),
    }
)
"""Why a micro-grid has no households, Chinese and English."""

WEAK_LAYER = "weak_edge"
# From nothing at all to almost seen.
_COLOURS = ("#7f0000", "#d7301f", "#fc8d59", "#fdcc8a")


def make_folder(folder: Path) -> None:
    """Make the folder of a report, with those above it.

    Raises
    ------
    DataError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make the folder {folder} for the report: {error.strerror}. Name another one."
        ) from error


def write(folder: Path, edition: Edition, report: Report, norms: Norms | None) -> list[Path]:
    """Write `report.json`, `report.csv` and `weak_edges.gpkg` into a folder and return their paths.

    Raises
    ------
    DataError
        The folder cannot be made or written. Each file is whole, old or new.
    """
    make_folder(folder)
    files = [folder / name for name in ("report.json", "report.csv", "weak_edges.gpkg")]
    store.write_json(files[0], as_json(edition, report, norms))
    with store.replacing(files[1]) as draft:
        # Excel takes UTF-8 for the local encoding unless a byte order mark says otherwise.
        as_rows(report).to_csv(draft, index=False, encoding="utf-8-sig", lineterminator="\n")
    layers = {WEAK_LAYER: report.weak_edges, "layer_styles": _styles(edition.info.created)}
    store.write_layers(files[2], layers, date=edition.info.created)
    return files


def as_json(edition: Edition, report: Report, norms: Norms | None) -> dict[str, object]:
    """Return the report for machines; the keys are those of docs/data-format.md."""
    info, weak = edition.info, report.weak_edges
    metres = weak.groupby("level")["length_m"].sum().round(1)
    empty = report.empty
    return {
        "edition": info.id,
        "digest": info.digest,
        "city": info.city,
        "weights": info.weights,
        "norms": None if norms is None else asdict(norms),
        "levels": level_records(report),
        "weak_edges_m": {level: float(metres.get(level, 0.0)) for level in ("grid", "microgrid")},
        "empty_microgrids": None if empty is None else json.loads(empty.to_json(orient="records")),
    }


def level_records(report: Report) -> list[dict[str, object]]:
    """Return the figures of each level, without those of which there is nothing to measure."""
    return [
        {
            key: round(value, 6) if isinstance(value, float) else value
            for key, value in asdict(level).items()
            if value is not None
        }
        for level in report.levels
    ]


def as_rows(report: Report) -> pd.DataFrame:
    """Return the report as rows `level figure meaning_zh meaning_en value code reason`.

    One row for each figure of each level; then one, `empty_microgrid`, for each micro-grid without
    households, with its code, its reason and, as value, the number of buildings in it.
    """
    table = as_table(report.levels)
    rows = [
        (level["level"], figure, *FIGURES[figure], level[figure], "", "")
        for level in table.to_dict("records")
        for figure in FIGURES
        if figure in level
    ]
    if report.empty is not None:
        meanings = [REASONS[reason] for reason in report.empty["reason"]]
        codes, reasons = report.empty["code"], report.empty["reason"]
        rows += [
            ("microgrid", "empty_microgrid", *meaning, buildings, code, reason)
            for meaning, buildings, code, reason in zip(
                meanings, report.empty["buildings"], codes, reasons, strict=True
            )
        ]
    columns = ["level", "figure", "meaning_zh", "meaning_en", "value", "code", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    # Counts and shares stand in one column: a count must not become 415.0.
    frame["value"] = [f"{value:.6g}" if value % 1 else f"{value:.0f}" for value in frame["value"]]
    return frame


def _styles(created: str) -> pd.DataFrame:
    """Return the table in which QGIS looks for the style of a layer."""
    return pd.DataFrame(
        {
            "f_table_catalog": [""],
            "f_table_schema": [""],
            "f_table_name": [WEAK_LAYER],
            "f_geometry_column": ["geom"],
            "styleName": [WEAK_LAYER],
            "styleQML": [_qml()],
            "styleSLD": [""],
            "useAsDefault": [True],
            "description": ["strength: mean relief in Lab units"],
            "owner": [""],
            "ui": [""],
            "update_time": [datetime.fromisoformat(created).replace(tzinfo=UTC)],
        }
    )


def _qml() -> str:
    """Return a QGIS style that colours the borders by strength, the weakest darkest."""
    width = SEEN / len(_COLOURS)
    ranges = "".join(
        f'<range symbol="{k}" lower="{k * width:g}" upper="{(k + 1) * width:g}" '
        f'label="{k * width:g} - {(k + 1) * width:g}" render="true"/>'
        for k in range(len(_COLOURS))
    )
    symbols = "".join(
        f'<symbol name="{k}" type="line" alpha="1"><layer class="SimpleLine" enabled="1">'
        f'<Option type="Map"><Option name="line_color" type="QString" value="{_rgba(colour)}"/>'
        '<Option name="line_width" type="QString" value="0.7"/>'
        '<Option name="line_width_unit" type="QString" value="MM"/></Option></layer></symbol>'
        for k, colour in enumerate(_COLOURS)
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        '<qgis version="3.22" styleCategories="Symbology">'
        '<renderer-v2 type="graduatedSymbol" attr="strength" graduatedMethod="GraduatedColor">'
        f"<ranges>{ranges}</ranges><symbols>{symbols}</symbols></renderer-v2></qgis>"
    )


def _rgba(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour[1:])
    return f"{red},{green},{blue},255"
