"""Filters in CQL2 (OGC 21-065r2), parsed by the `cql2` package and evaluated on whole columns.

What a filter compares with a missing value is unknown, and so is what follows from it (Kleene); a
unit of which the filter is unknown is not selected. What is not supported is refused by name.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import cql2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from geogrid.api.systems import System
from geogrid.errors import UsageError

MAX_LENGTH = 8_000
"""Characters of a filter."""

# Parsing takes four times as long with every two brackets that are opened too many: 10 ms here.
_MAX_DEPTH = 8

_MAX_JSON_DEPTH = 64

GEOMETRY = "geometry"

_COMPARISONS = {
    "=": "equal", "<>": "not_equal", "<": "less", ">": "greater", "<=": "less_equal",
    ">=": "greater_equal",
}  # fmt: skip
_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}

# What a predicate is with its operands exchanged.
_EXCHANGED = {"s_within": "s_contains", "s_contains": "s_within"}
_SPATIAL: Mapping[str, Callable[..., NDArray[np.bool_]]] = {
    "s_intersects": shapely.intersects,
    "s_disjoint": shapely.intersects,  # the opposite of it
    "s_within": shapely.within,
    "s_contains": shapely.contains,
    "s_touches": shapely.touches,
    "s_crosses": shapely.crosses,
    "s_overlaps": shapely.overlaps,
    "s_equals": shapely.equals,
}


class Columns(Protocol):
    """What a filter is evaluated on."""

    @property
    def n(self) -> int:
        """Number of units."""

    def column(self, name: str) -> pa.Array | None:
        """Return a column; None if there is no such."""

    def near(self, geometry: shapely.Geometry) -> NDArray[np.int64]:
        """Return the rows whose box touches that of a geometry."""

    def shapes(self, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the geometries of some rows, degrees."""


def select(columns: Columns, text: str, language: str, system: System) -> NDArray[np.bool_]:
    """Return for each unit whether a filter selects it.

    Parameters
    ----------
    text : str
        The filter.
    language : str
        `cql2-text` or `cql2-json`.
    system : System
        Of the coordinates in the filter.

    Raises
    ------
    UsageError
        It cannot be read, names what is not there, or asks for what is not supported.
    """
    found = _Evaluation(columns, system).truth(_parsed(text, language))
    return cast("NDArray[np.bool_]", pc.fill_null(found, False).to_numpy(zero_copy_only=False))  # noqa: FBT003


def _parsed(text: str, language: str) -> object:
    if len(text) > MAX_LENGTH:
        raise UsageError(f"filter: {len(text):,} characters; at most {MAX_LENGTH:,} are read.")
    _require_brackets(text, language)
    try:
        parsed = cql2.parse_json(text) if language == "cql2-json" else cql2.parse_text(text)
        return parsed.to_json()
    except (cql2.ParseError, cql2.ValidationError, ValueError) as error:
        place = " ".join(str(error).split())[:200]
        raise UsageError(f"filter: this is no {language}: {place}") from error


def _require_brackets(text: str, language: str) -> None:
    """Refuse brackets that do not match or lie too deep: the parser tries all ways to read them."""
    depth, deepest, quote = 0, 0, ""
    limit, marks = (_MAX_JSON_DEPTH, "[{]}") if language == "cql2-json" else (_MAX_DEPTH, "()")
    half = len(marks) // 2
    mark = '"' if language == "cql2-json" else "'"
    for character in text:
        if character == mark:
            quote = "" if quote else mark
        elif quote:
            continue
        elif character in marks[:half]:
            depth += 1
            deepest = max(deepest, depth)
        elif character in marks[half:]:
            depth -= 1
        if depth < 0:
            break
    if depth != 0:
        raise UsageError("filter: a bracket is opened or closed too many; count them.")
    if deepest > limit:
        raise UsageError(f"filter: brackets {deepest} deep; at most {limit} are read.")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    columns: Columns
    system: System

    def truth(self, node: object) -> pa.Array:
        """Return true, false or unknown for each unit."""
        if isinstance(node, bool):
            return pa.array(np.full(self.columns.n, node))
        if not isinstance(node, dict) or not isinstance(node.get("op"), str):
            raise UsageError(f"filter: {_shown(node)} is no condition.")
        op, args = node["op"].lower(), node.get("args", [])
        if op in ("and", "or") and args:
            join = pc.and_kleene if op == "and" else pc.or_kleene
            return functools.reduce(join, [self.truth(arg) for arg in args])
        if op in _SPATIAL and len(args) == 2:
            return pa.array(self._spatial(op, args[0], args[1]))
        if op in _COMPARISONS and len(args) == 2:
            return self._compared(op, args[0], args[1])
        known: dict[str, Callable[..., pa.Array]] = {
            "not": self._inverted,
            "between": self._between,
            "in": self._listed,
        }
        known |= {"like": self._like, "isnull": self._missing}
        n_operands = 3 if op == "between" else 1 if op in ("not", "isnull") else 2
        if op not in known or len(args) != n_operands:
            raise UsageError(f"filter: {op[:40]!r} with {len(args)} operands is not supported.")
        return known[op](*args)

    def _inverted(self, node: object) -> pa.Array:
        return pc.invert(self.truth(node))

    def _missing(self, node: object) -> pa.Array:
        return self._spread(pc.is_null(self._value(node)))

    def _between(self, value: object, low: object, high: object) -> pa.Array:
        return pc.and_kleene(self._compared(">=", value, low), self._compared("<=", value, high))

    def _compared(self, op: str, left: object, right: object) -> pa.Array:
        values = self._value(left), self._value(right)
        if pa.types.is_string(values[0].type) != pa.types.is_string(values[1].type):
            raise UsageError(
                f"filter: {_shown(left)} {op} {_shown(right)} compares text with a number. "
                "Codes, names and days are text: put them in single quotes."
            )
        return self._spread(pc.call_function(_COMPARISONS[op], list(values)))

    def _listed(self, value: object, choices: object) -> pa.Array:
        found = self._value(value)
        if not isinstance(choices, list):
            raise UsageError("filter: IN takes a list.")
        for choice in choices:
            self._compared("=", value, choice)
        wanted = pa.array([self._value(choice).as_py() for choice in choices], found.type)
        inside = pc.is_in(found, value_set=wanted)
        return self._spread(pc.if_else(pc.is_valid(found), inside, pa.scalar(None, pa.bool_())))

    def _like(self, value: object, pattern: object) -> pa.Array:
        found, wanted = self._value(value), self._value(pattern)
        if not (isinstance(wanted, pa.StringScalar) and pa.types.is_string(found.type)):
            raise UsageError("filter: LIKE compares text with a pattern in single quotes.")
        return self._spread(pc.match_like(found, wanted.as_py()))

    def _value(self, node: object) -> pa.Array | pa.Scalar:
        """Return a column or a literal: text or a number."""
        if isinstance(node, str):
            return pa.scalar(node, pa.string())
        if isinstance(node, int | float) and not isinstance(node, bool) and np.isfinite(node):
            return pa.scalar(float(node))
        if isinstance(node, dict):
            return self._named(node)
        raise UsageError(f"filter: {_shown(node)} is not supported as a value.")

    def _named(self, node: Mapping[str, object]) -> pa.Array | pa.Scalar:
        """Return the value of a property, a day or a function."""
        op, args = node.get("op"), node.get("args")
        if isinstance(node.get("property"), str):
            return self._property(str(node["property"]))
        if isinstance(node.get("date"), str):
            return pa.scalar(node["date"], pa.string())
        if op == "casei" and isinstance(args, list) and len(args) == 1:
            return self._folded(args[0])
        if op in _ARITHMETIC and isinstance(args, list) and len(args) == 2:
            return self._computed(str(op), args)
        raise UsageError(f"filter: {_shown(node)} is not supported as a value.")

    def _property(self, name: str) -> pa.Array:
        column = self.columns.column(name)
        if column is None:
            raise UsageError(f"filter: no property {name[:40]!r}; /queryables lists them.")
        return column

    def _folded(self, node: object) -> pa.Array | pa.Scalar:
        value = self._value(node)
        if not pa.types.is_string(value.type):
            raise UsageError("filter: CASEI takes text.")
        return pc.utf8_lower(value)

    def _computed(self, op: str, args: Sequence[object]) -> pa.Array | pa.Scalar:
        values = [self._value(arg) for arg in args]
        if any(pa.types.is_string(value.type) for value in values):
            raise UsageError(f"filter: {op!r} takes numbers.")
        return pc.call_function(_ARITHMETIC[op], [pc.cast(value, pa.float64()) for value in values])

    def _spread(self, found: pa.Array | pa.Scalar) -> pa.Array:
        """Return what was found of two literals for every unit."""
        return pa.repeat(found, self.columns.n) if isinstance(found, pa.Scalar) else found

    def _spatial(self, op: str, left: object, right: object) -> NDArray[np.bool_]:
        if _is_geometry_property(right):
            op, left, right = _EXCHANGED.get(op, op), right, left
        if not _is_geometry_property(left) or _is_geometry_property(right):
            raise UsageError(f"filter: {op} compares the property {GEOMETRY} with a literal.")
        given = self.system.to_degrees(_literal(right))
        rows = self.columns.near(given)
        shapely.prepare(given)
        # A prepared geometry is fast as the first operand.
        predicate = _SPATIAL[_EXCHANGED.get(op, op)]
        found = np.zeros(self.columns.n, bool)
        found[rows] = predicate(given, self.columns.shapes(rows))
        return ~found if op == "s_disjoint" else found


def _is_geometry_property(node: object) -> bool:
    return isinstance(node, dict) and node.get("property") in (GEOMETRY, "geom")


def _literal(node: object) -> shapely.Geometry:
    """Return a GeoJSON geometry or a box."""
    try:
        if isinstance(node, dict) and "bbox" in node:
            return box_of([float(value) for value in node["bbox"]], "filter")
        geometry = shapely.from_geojson(json.dumps(node))
    except (shapely.errors.GEOSException, TypeError, ValueError) as error:
        raise UsageError(f"filter: {_shown(node)} is no geometry ({error}).") from error
    if geometry is None or geometry.is_empty or not geometry.is_valid:
        raise UsageError(f"filter: {_shown(node)} is no valid geometry.")
    return geometry


def box_of(numbers: Sequence[float], parameter: str) -> shapely.Geometry:
    """Return the box of four numbers, or of six with heights; it may be a line or a point.

    Raises
    ------
    UsageError
        There are more or fewer numbers, they are not finite, or the wrong way round.
    """
    if len(numbers) not in (4, 6) or not np.isfinite(numbers).all():
        raise UsageError(f"{parameter}: a box has 4 finite numbers, or 6 with heights.")
    half = len(numbers) // 2
    (x0, y0), (x1, y1) = numbers[:2], numbers[half : half + 2]
    if x0 > x1 or y0 > y1:
        raise UsageError(f"{parameter}: the first corner of a box is lower than the second.")
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    distinct = list(dict.fromkeys(corners))
    if len(distinct) == 1:
        return shapely.Point(distinct[0])
    return shapely.LineString(distinct) if len(distinct) == 2 else shapely.Polygon(corners)


def _shown(node: object) -> str:
    return json.dumps(node, ensure_ascii=False, default=str)[:120]
