"""Findings about rows by themselves: codes and geometries."""

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geogrid.codes import CodeScheme
from geogrid.coverage.edges import is_polygonal
from geogrid.coverage.findings import Finding, Point, finding
from geogrid.coverage.layers import Layer, text_of
from geogrid.schema import require_columns


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


def unit_findings(layer: Layer) -> Iterator[Finding]:
    """Report codes and geometries that are wrong by themselves."""
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
    several = usable & (shapely.get_num_geometries(layer.shapes) > 1)
    for row in np.flatnonzero(several).tolist():
        n = shapely.get_num_geometries(layer.shapes[row])
        smallest = min(shapely.get_parts(layer.shapes[row]), key=shapely.area)
        inner = smallest.representative_point()
        yield finding(
            "multipart", layer.level, (layer.codes[row],),
            detail=(f"{n} parts", f"{n} 个部分"), point=(inner.x, inner.y),
        )  # fmt: skip


def _code_findings(layer: Layer) -> Iterator[Finding]:
    codes = pd.Series(layer.codes)
    for row in np.flatnonzero(codes.duplicated().to_numpy()).tolist():
        yield at_unit(layer, "duplicate_code", row)
    formed = codes.str.fullmatch(CodeScheme().pattern(layer.level)).to_numpy(bool)
    number = codes.str.fullmatch(r"[0-9]+\.0+|[0-9](\.[0-9]+)?[eE]\+?[0-9]+").to_numpy(bool)
    for row in np.flatnonzero(~formed).tolist():
        text = layer.codes[row]
        if number[row]:
            yield at_unit(layer, "code_became_number", row)
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
