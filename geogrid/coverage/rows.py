"""Findings about rows by themselves: codes and geometries."""

import re
from collections.abc import Iterator
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.codes import CodeScheme
from geogrid.coverage.edges import is_polygonal, metres_per_step
from geogrid.coverage.faults import measure
from geogrid.coverage.findings import Extent, Finding, Point, finding
from geogrid.coverage.layers import Layer, text_of
from geogrid.edition import to_degrees
from geogrid.schema import require_columns

# Cosine of one degree: a corner sharper than that is a spike. Both its sides are longer than five
# metres: shorter ones come where a border meets an outline at a grazing angle, and nobody sees
# them.
_NEEDLE = 0.99985
_SPIKE_LENGTH = 5.0
_NUMBER = re.compile(r"[0-9]+\.0+|[0-9](\.[0-9]+)?[eE]\+?[0-9]+")
_ABOVE = ("city", "county", "township")
_ENCLAVE = "enclave 飞地"
_EXCLAVE = "exclave of whole units 由完整下级单元组成的飞地"


def column_findings(frame: gpd.GeoDataFrame, level: str) -> Iterator[Finding]:
    """Report a code column that is not text."""
    require_columns(frame, ("code",), f"layer {level}")
    column = frame["code"]
    if pd.api.types.is_float_dtype(column):
        lost = column.abs().max() > 2**53
        detail = (
            ("the column is floating point" + ("; digits are lost" if lost else "")),
            ("该列为浮点数" + ("，末位数字已丢失" if lost else "")),
        )
        yield finding("code_became_number", level, tuple(text_of(column)), detail=detail)
    elif pd.api.types.is_integer_dtype(column):
        yield finding("code_column_is_number", level, tuple(text_of(column)))
    n = int(frame.geometry.has_z.sum())
    if n:
        yield finding("has_z", level, (), detail=(f"{n:,} units", f"{n:,} 个"))


def unit_findings(layer: Layer, crs: str, *, lowest: bool) -> Iterator[Finding]:
    """Report codes and geometries that are wrong by themselves; sizes are metres in `crs`.

    `lowest` says that no level below is given. Of a township, county or city with units below, the
    parts of an exclave are no fault: nesting proves them.
    """
    yield from _code_findings(layer)
    missing = shapely.is_missing(layer.shapes) | shapely.is_empty(layer.shapes)
    polygonal = np.isin(shapely.get_type_id(layer.shapes), (3, 6))
    usable = is_polygonal(layer.shapes)
    for row in np.flatnonzero(missing).tolist():
        yield at_unit(layer, "no_geometry", row)
    for row in np.flatnonzero(~missing & ~polygonal).tolist():
        yield at_unit(layer, "not_polygon", row, detail=(layer.shapes[row].geom_type, ""))
    for row in np.flatnonzero(~missing & polygonal & ~usable).tolist():
        yield at_unit(layer, "bad_coordinates", row)
    for row in np.flatnonzero(usable & ~shapely.is_valid(layer.shapes)).tolist():
        reason, point = _split_reason(shapely.is_valid_reason(layer.shapes[row]))
        yield finding(
            "invalid_geometry",
            layer.level,
            (layer.codes[row],),
            detail=(reason, reason),
            point=point,
        )
    exclaves = layer.level in _ABOVE and not lowest
    excuse = np.where(layer.enclave, _ENCLAVE, _EXCLAVE if exclaves else "")
    yield from _detached(layer, usable, crs, excuse)
    yield from _spikes(layer, crs)


def _detached(
    layer: Layer, usable: NDArray[np.bool_], crs: str, excuse: NDArray[np.str_]
) -> Iterator[Finding]:
    """Report each part of a unit but the largest; where there is an excuse, as a note."""
    several = np.flatnonzero(usable & (shapely.get_num_geometries(layer.shapes) > 1))
    for row in several.tolist():
        parts = shapely.get_parts(layer.shapes[row])
        faces = measure(parts[np.argsort(-shapely.area(parts), kind="stable")][1:], crs)
        for part in range(len(faces)):
            said = finding(
                "multipart", layer.level, (str(layer.codes[row]),),
                detail=(f"{len(parts)} parts", f"{len(parts)} 个部分"), point=faces.point(part),
                extent=faces.extent(part),
            )  # fmt: skip
            reason = str(excuse[row])
            yield replace(said, severity="note", excused=reason) if reason else said


def _spikes(layer: Layer, crs: str) -> Iterator[Finding]:
    """Report vertices at which a polygon ends in a needle, both of whose sides are long."""
    edges = layer.edges
    if not len(edges):
        return
    # Half-edges of a ring follow one another; the last one of a ring leads back to its first.
    run = (edges.ends[:, 2:] - edges.ends[:, :2]) * metres_per_step(edges, crs)
    new = (edges.ends[1:, :2] != edges.ends[:-1, 2:]).any(axis=1)
    new |= edges.owners[1:] != edges.owners[:-1]
    first = np.flatnonzero(np.concatenate([[True], new]))
    following = np.arange(1, len(edges) + 1)
    following[np.concatenate([first[1:], [len(edges)]]) - 1] = first
    after = run[following]
    length, length_after = np.hypot(*run.T), np.hypot(*after.T)
    back = -(run * after).sum(axis=1) > _NEEDLE * length * length_after
    left = run[:, 0] * after[:, 1] - run[:, 1] * after[:, 0] > 0
    tips = np.flatnonzero(back & left & (np.minimum(length, length_after) > _SPIKE_LENGTH))
    for row in tips.tolist():
        a, b, c = to_degrees(np.vstack([edges.ends[row].reshape(2, 2),
                                        edges.ends[following[row], 2:]]))  # fmt: skip
        area = abs(run[row, 0] * after[row, 1] - run[row, 1] * after[row, 0]) / 2
        reach = float(min(length[row], length_after[row]))
        yield finding(
            "spike", layer.level, (str(layer.codes[edges.owners[row]]),),
            detail=(f"{reach:.3g} m long", f"长 {reach:.3g} 米"), point=(float(b[0]), float(b[1])),
            extent=Extent(shapely.Polygon([a, b, c]), float(area), float(area / reach)),
        )  # fmt: skip


def _code_findings(layer: Layer) -> Iterator[Finding]:
    codes = layer.codes.tolist()
    again = pd.Series(layer.codes, dtype=object).duplicated().to_numpy() & (layer.codes != "")
    for row in np.flatnonzero(again).tolist():
        yield at_unit(layer, "duplicate_code", row)
    formed = re.compile(CodeScheme().pattern(layer.level)).fullmatch
    for row in [row for row, code in enumerate(codes) if not formed(code)]:
        text = codes[row]
        if _NUMBER.fullmatch(text):
            yield at_unit(layer, "code_became_number", row)
            continue
        if not text.strip():
            said = (f"row {row + 1} has none", f"第 {row + 1} 行没有代码")
            yield at_unit(layer, "malformed_code", row, detail=said)
            continue
        length = CodeScheme().lengths[layer.level]
        yield at_unit(
            layer, "malformed_code", row,
            detail=(f"{text!r}: expected {length} digits, no serial 000",
                    f"{text!r}：应为 {length} 位数字，顺序号不得为 000"),
        )  # fmt: skip


def _split_reason(reason: str) -> tuple[str, Point | None]:
    """Take GEOS's reason, such as `Self-intersection[114.6 33.6]`, apart."""
    text, _, place = reason.partition("[")
    numbers = place.rstrip("]").split()
    return text, (float(numbers[0]), float(numbers[1])) if len(numbers) >= 2 else None


def at_unit(layer: Layer, rule: str, row: int, *, detail: tuple[str, str] = ("", "")) -> Finding:
    """Make a finding about one unit as a whole."""
    codes = (str(layer.codes[row]),)
    return finding(rule, layer.level, codes, detail=detail, point=layer.point_of(row))
