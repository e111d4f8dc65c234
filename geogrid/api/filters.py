"""Filters in CQL2 (OGC 21-065r2), parsed by the `cql2` package and evaluated on whole columns.

What a filter compares with a missing value is unknown, and so is what follows from it (Kleene); a
unit of which the filter is unknown is not selected. What is not supported is refused by name.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import cql2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from geogrid.api.problems import Problem
from geogrid.api.systems import System

MAX_LENGTH = 8_000
"""Characters of a filter."""

# Parsing takes four times as long with every two brackets that are opened too many: 10 ms here.
_MAX_DEPTH = 8

_JSON_BRACKETS = (64, "[{]}")

_MAX_OPERATORS = 500
"""The parser calls itself once or twice for each; from 3,400 signs on the process dies of it."""

_OPERATOR = re.compile(r"[-+*/%^<>=]|\bnot\b", re.IGNORECASE)
_QUOTED = {
    "cql2-text": re.compile(r"'[^']*'|\"[^\"]*\""),
    "cql2-json": re.compile(r'"(?:[^"\\]|\\.)*"'),
}
"""Texts and names, in which brackets and operators are letters like any other."""

GEOMETRY = "geometry"

_COMPARISONS = {
    "=": "equal", "<>": "not_equal", "<": "less", ">": "greater", "<=": "less_equal",
    ">=": "greater_equal",
}  # fmt: skip
_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "^": "power"}

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
    Problem
        It cannot be read, names what is not there, or asks for what is not supported.
    """
    try:
        found = _Evaluation(columns, system).truth(_parsed(text, language))
    except RecursionError:
        raise _refused("it is too long a chain; use IN.", "嵌套过深，请改用 IN。") from None
    return cast("NDArray[np.bool_]", pc.fill_null(found, False).to_numpy(zero_copy_only=False))  # noqa: FBT003


def _parsed(text: str, language: str) -> object:
    if len(text) > MAX_LENGTH:
        raise _refused(
            f"{len(text):,} characters; at most {MAX_LENGTH:,} are read.",
            f"共 {len(text):,} 个字符，最多 {MAX_LENGTH:,} 个。",
        )
    bare = _QUOTED[language].sub("", text)
    _require_brackets(bare, *((_MAX_DEPTH, "()") if language == "cql2-text" else _JSON_BRACKETS))
    if language == "cql2-text":
        _require_few_operators(bare)
    try:
        parsed = cql2.parse_json(text) if language == "cql2-json" else cql2.parse_text(text)
        return parsed.to_json()
    except RecursionError:
        raise
    except Exception as error:  # of a position without numbers the parser says so, of no own kind
        place = " ".join(str(error).split())[:200]
        raise _refused(
            f"this is no {language}: {place}", f"不是有效的 {language}：{place}"
        ) from error


def _require_few_operators(text: str) -> None:
    n = len(_OPERATOR.findall(text))
    if n > _MAX_OPERATORS:
        raise _refused(
            f"{n:,} operators; at most {_MAX_OPERATORS} are read. For many values use IN.",
            f"共 {n:,} 个运算符，最多 {_MAX_OPERATORS} 个；多个取值请用 IN。",
        )


def _refused(en: str, zh: str) -> Problem:
    return Problem(400, "filter", f"filter: {en}", f"filter：{zh}", field="filter")


def _require_brackets(text: str, limit: int, marks: str) -> None:
    """Refuse brackets that do not match or lie too deep: the parser tries all ways to read them."""
    depth, deepest, half = 0, 0, len(marks) // 2
    for character in text:
        if character in marks[:half]:
            depth += 1
            deepest = max(deepest, depth)
        elif character in marks[half:]:
            depth -= 1
        if depth < 0:
            break
    if depth != 0:
        raise _refused("a bracket is opened or closed too many; count them.", "括号不配对。")
    if deepest > limit:
        raise _refused(
            f"brackets {deepest} deep; at most {limit} are read.",
            f"括号嵌套 {deepest} 层，最多 {limit} 层。",
        )


@dataclass(frozen=True, slots=True)
class _Evaluation:
    columns: Columns
    system: System

    def truth(self, node: object) -> pa.Array:
        """Return true, false or unknown for each unit."""
        if isinstance(node, bool):
            return pa.array(np.full(self.columns.n, node))
        if not isinstance(node, dict) or not isinstance(node.get("op"), str):
            raise _refused(f"{_shown(node)} is no condition.", f"{_shown(node)} 不是条件。")
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
            raise _refused(
                f"{op[:40]!r} with {len(args)} operands is not supported.",
                f"不支持带 {len(args)} 个参数的 {op[:40]!r}。",
            )
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
            compared = f"{_shown(left)} {op} {_shown(right)}"
            raise _refused(
                f"{compared} compares text with a number. Codes, names and days are text: put "
                "them in single quotes.",
                f"{compared} 把文字与数字相比。代码、名称和日期是文字，请加单引号。",
            )
        return self._spread(pc.call_function(_COMPARISONS[op], list(values)))

    def _listed(self, value: object, choices: object) -> pa.Array:
        found = self._value(value)
        if not isinstance(choices, list) or any(isinstance(each, dict) for each in choices):
            raise _refused("IN takes a list of numbers or texts.", "IN 后应为数字或文字的列表。")
        for choice in choices:
            self._compared("=", value, choice)
        wanted = pa.array([self._value(choice).as_py() for choice in choices], found.type)
        inside = pc.is_in(found, value_set=wanted)
        return self._spread(pc.if_else(pc.is_valid(found), inside, pa.scalar(None, pa.bool_())))

    def _like(self, value: object, pattern: object) -> pa.Array:
        found, wanted = self._value(value), self._value(pattern)
        if not (isinstance(wanted, pa.StringScalar) and pa.types.is_string(found.type)):
            raise _refused(
                "LIKE compares text with a pattern in single quotes.",
                "LIKE 只能把文字与单引号内的模式相比。",
            )
        return self._spread(pc.match_like(found, wanted.as_py()))

    def _value(self, node: object) -> pa.Array | pa.Scalar:
        """Return a column or a literal: text or a number."""
        if isinstance(node, str):
            return pa.scalar(node, pa.string())
        if isinstance(node, int | float) and not isinstance(node, bool) and np.isfinite(node):
            return pa.scalar(float(node))
        if isinstance(node, dict):
            return self._named(node)
        raise _no_value(node)

    def _named(self, node: Mapping[str, object]) -> pa.Array | pa.Scalar:
        """Return the value of a property, a time or a function."""
        op, args = node.get("op"), node.get("args")
        if isinstance(node.get("property"), str):
            return self._property(str(node["property"]))
        for kind in ("date", "timestamp"):
            if isinstance(node.get(kind), str):
                return pa.scalar(node[kind], pa.string())
        if op == "casei" and isinstance(args, list) and len(args) == 1:
            return self._folded(args[0])
        if op in (*_ARITHMETIC, "div", "%") and isinstance(args, list) and len(args) == 2:
            return self._computed(str(op), args)
        raise _no_value(node)

    def _property(self, name: str) -> pa.Array:
        column = self.columns.column(name)
        if column is None:
            raise _refused(
                f"no property {name[:40]!r}; /queryables lists them.",
                f"没有属性 {name[:40]!r}，见 /queryables。",
            )
        return column

    def _folded(self, node: object) -> pa.Array | pa.Scalar:
        value = self._value(node)
        if not pa.types.is_string(value.type):
            raise _refused("CASEI takes text.", "CASEI 只能用于文字。")
        return pc.utf8_lower(value)

    def _computed(self, op: str, args: Sequence[object]) -> pa.Array | pa.Scalar:
        values = [self._value(arg) for arg in args]
        if any(pa.types.is_string(value.type) for value in values):
            raise _refused(f"{op!r} takes numbers.", f"{op!r} 只能用于数字。")
        left, right = (pc.cast(value, pa.float64()) for value in values)
        if op in _ARITHMETIC:
            return pc.call_function(_ARITHMETIC[op], [left, right])
        whole = pc.trunc(pc.divide(left, right))
        return whole if op == "div" else pc.subtract(left, pc.multiply(right, whole))

    def _spread(self, found: pa.Array | pa.Scalar) -> pa.Array:
        """Return what was found of two literals for every unit."""
        return pa.repeat(found, self.columns.n) if isinstance(found, pa.Scalar) else found

    def _spatial(self, op: str, left: object, right: object) -> NDArray[np.bool_]:
        if _is_geometry_property(right):
            op, left, right = _EXCHANGED.get(op, op), right, left
        if not _is_geometry_property(left) or _is_geometry_property(right):
            raise _refused(
                f"{op} compares the property {GEOMETRY} with a literal.",
                f"{op} 只能把属性 {GEOMETRY} 与给定的几何相比。",
            )
        given = self.system.to_degrees(_literal(right), "filter")
        _require_one_side(given)
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
    shown = _shown(node)
    try:
        if isinstance(node, dict) and "bbox" in node:
            return box_of([float(value) for value in node["bbox"]], "filter")
        geometry = shapely.from_geojson(json.dumps(node))
    except (shapely.errors.GEOSException, TypeError, ValueError) as error:
        raise _refused(f"{shown} is no geometry ({error}).", f"{shown} 不是几何。") from error
    if geometry is None or geometry.is_empty or not geometry.is_valid:
        why = "it is empty" if geometry is None or geometry.is_empty else "a ring crosses itself"
        zh = "为空" if geometry is None or geometry.is_empty else "环自相交"
        raise _refused(f"{shown} is no valid geometry: {why}.", f"{shown} 不是有效的几何：{zh}。")
    return geometry


def _require_one_side(geometry: shapely.Geometry) -> None:
    """Refuse what lies off the globe, or takes the way around it: nobody means that.

    A side from -180 to 180 is that of the whole world.
    """
    parts = shapely.get_parts(geometry)
    kinds = shapely.get_type_id(parts)
    lines = [*parts[(kinds == 1) | (kinds == 2)], *shapely.get_rings(parts[kinds == 3])]
    xy, line = shapely.get_coordinates(lines, return_index=True)
    leaps = np.abs(np.diff(xy[:, 0]))[np.diff(line) == 0]
    if ((leaps > 180) & (leaps < 360)).any():
        raise _refused(
            "a side spans more than 180 degrees; cut the geometry at the antimeridian.",
            "有一条边跨越超过 180 度，请在 180 度经线处切开。",
        )
    if (np.abs(shapely.get_coordinates(geometry)) > (180, 90)).any():
        raise _refused(
            "a position lies beyond 180 or 90 degrees; check order and filter-crs.",
            "坐标超出 180 或 90 度，请检查坐标顺序和 filter-crs。",
        )


def box_of(numbers: Sequence[float], parameter: str) -> shapely.Geometry:
    """Return the box of four numbers, or of six with heights; it may be a line or a point.

    Raises
    ------
    Problem
        There are more or fewer numbers, they are not finite, or the wrong way round.
    """
    if len(numbers) not in (4, 6) or not np.isfinite(numbers).all():
        raise Problem(
            400, "box", f"{parameter}: a box has 4 finite numbers, or 6 with heights.",
            f"{parameter}：范围应为 4 个有限的数字，带高程时为 6 个。", field=parameter,
        )  # fmt: skip
    half = len(numbers) // 2
    (x0, y0), (x1, y1) = numbers[:2], numbers[half : half + 2]
    if x0 > x1 or y0 > y1:
        raise Problem(
            400, "box",
            f"{parameter}: the first corner of a box is not above or right of the second, and no "
            "box spans the antimeridian.",
            f"{parameter}：范围的第一个角点不得大于第二个，也不得跨 180 度经线。", field=parameter,
        )  # fmt: skip
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    distinct = list(dict.fromkeys(corners))
    if len(distinct) == 1:
        return shapely.Point(distinct[0])
    return shapely.LineString(distinct) if len(distinct) == 2 else shapely.Polygon(corners)


def _no_value(node: object) -> Problem:
    shown = _shown(node)
    return _refused(f"{shown} is not supported as a value.", f"不支持以 {shown} 为值。")


def _shown(node: object) -> str:
    return json.dumps(node, ensure_ascii=False, default=str)[:120]
