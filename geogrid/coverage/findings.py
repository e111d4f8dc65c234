"""What a check found: one rule broken at one place, said in English and Chinese."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import overload

import geopandas as gpd
import shapely

from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.schema import EXCHANGE_CRS

Point = tuple[float, float]
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's severity, its name and the way to mend a breach, in both languages."""

    severity: str
    en: str
    zh: str
    fix_en: str
    fix_zh: str


_MOVE = ("Move the units' borders onto each other.", "把相邻单元的边界对齐。")
_TEXT = ("Give the code column as text and fill it in again from the source.",
         "把代码列改为文本格式，并从源表重新填写。")  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "no_geometry": Rule("error", "no geometry", "缺少图形",
            "Draw the unit or delete its row.", "补画该单元，或删除该行。"),
        "not_polygon": Rule("error", "not a polygon", "不是面",
            "Draw the unit as a polygon.", "将该单元画成面。"),
        "bad_coordinates": Rule("error", "impossible coordinates", "坐标无效",
            "Check the layer's reference system and the vertices.", "检查图层坐标系和节点坐标。"),
        "invalid_geometry": Rule("error", "invalid geometry", "图形自相交或无效",
            "Redraw the ring where it crosses itself.", "在自相交处重画边界。"),
        "sliver": Rule("error", "sliver", "碎斑",
            "Run geogrid repair; beside a ring that crosses itself, redraw that first.",
            "可用 geogrid repair 处理；旁边若有自相交的边界，先重画该边界。"),
        "spike": Rule("warning", "spike", "尖刺",
            "Delete the vertex at the tip on both sides of the border.",
            "在边界两侧删除尖端节点。"),
        "has_z": Rule("note", "coordinates with height", "坐标带高程",
            "Nothing to do: heights are left out.", "不需处理：高程不参与检查。"),
        "rounded_together": Rule("note", "vertices nearer than a step", "节点间距不足一格",
            "Nothing to do where one vertex was meant; else draw them apart, or delete one.",
            "若本为同一节点，不需处理；否则拉开距离或删除其一。"),
        "multipart": Rule("error", "several parts", "由多个部分组成",
            "Give the parts to their neighbours, or list the unit as an enclave.",
            "将零散部分并入相邻单元，或登记为飞地。"),
        "hole": Rule("error", "hole", "孔洞",
            "Delete the inner ring, or draw the unit that lies in it.",
            "删除内环，或补画其中的单元。"),
        "gap": Rule("error", "gap", "缝隙",
            "Draw the unit that is missing here, or move its neighbours' borders onto each other.",
            "补画此处缺少的单元，或把相邻单元的边界对齐。"),
        "edge_gap": Rule("error", "gap at the outer boundary", "外边界处缝隙",
            "Extend the units to the boundary.", "将单元延伸到外边界。"),
        "overlap": Rule("error", "overlap", "重叠", *_MOVE),
        "duplicate_geometry": Rule("error", "same polygon twice", "图形重复",
            "Delete one of the rows.", "删除其中一行。"),
        "unmatched_vertex": Rule("error", "vertex missing in the neighbour", "相邻单元缺少对应节点",
            "Insert the vertex into the neighbour's edge.", "在相邻单元的边上插入该节点。"),
        "unmatched_edge": Rule("error", "edge without counterpart", "边界线无对应",
            *_MOVE),
        "outside": Rule("error", "outside the outer boundary", "超出外边界",
            "Cut the unit at the boundary.", "沿外边界裁剪该单元。"),
        "outline_vertices": Rule("warning", "outline with other vertices", "外轮廓节点不一致",
            "Nothing to do unless the outlines must be equal vertex for vertex.",
            "若不要求外轮廓逐点一致，可不处理。"),
        "outside_parent": Rule("error", "lies outside its parent", "超出上级单元",
            "Correct the parent column, or redraw the boundary on both levels.",
            "更正上级代码，或同时修改两级边界。"),
        "union_differs": Rule("error", "children do not make up their parent",
            "下级合并后与上级边界不符",
            "Dissolve the children to get the parent's polygon.", "用下级单元融合生成上级边界。"),
        "unknown_parent": Rule("error", "parent does not exist", "上级单元不存在",
            "Correct the parent column or add the parent.", "更正上级代码或补充上级单元。"),
        "no_child": Rule("error", "parent without children", "没有下级单元",
            "Add its units one level down.", "补充其下级单元。"),
        "no_parent_column": Rule("warning", "nesting not checked", "未检查层级嵌套",
            "Add a column parent with the code of the unit above.",
            "增加 parent 列，填写上级代码。"),
        "duplicate_code": Rule("error", "code used twice", "代码重复",
            "Give each unit a code of its own.", "为每个单元分配唯一代码。"),
        "malformed_code": Rule("error", "malformed code", "代码格式错误",
            "Correct the code.", "更正代码。"),
        "code_became_number": Rule("error", "code became a number", "代码被转换成数字", *_TEXT),
        "code_column_is_number": Rule("warning", "code column is a number", "代码列是数字", *_TEXT),
        "foreign_code": Rule("warning", "code was not issued by its parent",
            "代码与上级代码不一致",
            "Correct the code or the parent column; after the parent was recoded it is in order.",
            "更正代码或上级代码；上级重新编码后属正常。"),
        "building_cut": Rule("warning", "border cuts a building", "边界穿过建筑物",
            "Lead the border round the building.", "将边界绕开建筑物。"),
        "point_in_none": Rule("error", "point in no unit", "点不在任何单元内",
            "Check the point's datum and position, or the boundary.",
            "检查点的坐标系与位置，或外边界。"),
        "point_in_two": Rule("error", "point in several units", "点同时在多个单元内",
            "Mend the overlap.", "修正重叠。"),
        "no_worker": Rule("warning", "no worker", "没有网格员",
            "Assign a worker.", "指派网格员。"),
        "unknown_unit": Rule("warning", "worker of a unit that does not exist",
            "网格员所属单元不存在",
            "Correct the code in the list of workers.", "更正名册中的单元代码。"),
        "over_norm": Rule("warning", "more households than the norm", "户数超过标准",
            "Divide the unit, or change the norm.", "拆分该单元，或调整标准。"),
        "count": Rule("error", "unexpected count", "数量不符",
            "Add the missing units or delete the surplus ones.", "补充缺少的单元或删除多余单元。"),
        "changed_file": Rule("warning", "changed after it was written", "写出后被修改",
            "Write it again as an edition once the check is clean.",
            "检查通过后重新生成版本文件。"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a fault reaches: its shape in EPSG:4490, area and width in the working CRS."""

    shape: shapely.Geometry | None = None
    area_m2: float = 0.0
    width_m: float = 0.0

    @property
    def bbox(self) -> Bounds | None:
        """West, south, east, north."""
        if self.shape is None:
            return None
        west, south, east, north = shapely.bounds(self.shape).tolist()
        return west, south, east, north


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule broken at one place.

    Attributes
    ----------
    rule, severity, level : str
        A key of `RULES`; `error`, `warning` or `note`; a level of the division.
    codes : tuple of str
        Units concerned, lowest code first.
    point : (lon, lat), optional
        A point inside the fault; none where there is no geometry to point at.
    bbox : (west, south, east, north), optional
    area_m2, width_m : float
        Size of the fault in the working CRS; 0 where it has none.
    message_en, message_zh : str
        What is wrong, where.
    fix : str
        What to do next, in both languages.
    near : str
        Name of the village at the place, or of the nearest one; empty where none is known.
    excused : str
        Why the fault is known and stays; empty otherwise.
    shape : geometry, optional
        The fault itself in EPSG:4490: the gap, the overlap, the detached part.
    """

    rule: str
    severity: str
    level: str
    codes: tuple[str, ...]
    point: Point | None
    bbox: Bounds | None
    area_m2: float
    width_m: float
    message_en: str
    message_zh: str
    fix: str
    near: str = ""
    excused: str = ""
    shape: shapely.Geometry | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return the fields but for the shape, ready for JSON."""
        return {name: getattr(self, name) for name in Finding.__slots__ if name != "shape"}


@dataclass(frozen=True, slots=True)
class Findings(Sequence[Finding]):
    """All findings of a check, in the order of the levels, and the coverage rate by level.

    `coverage_rate` is the share of the container's area that the units of a level cover; it is 1.0
    if and only if no gap, no overlap and no unit outside exists.
    """

    items: tuple[Finding, ...]
    coverage_rate: Mapping[str, float]
    counts: Mapping[str, int]

    def summary(self, level: str) -> Mapping[str, tuple[int, float]]:
        """Return number and area (m²) of the gaps, overlaps and slivers of a level (R-11)."""
        kinds = {"gaps": ("gap", "edge_gap", "hole"), "overlaps": ("overlap",),
                 "slivers": ("sliver",)}  # fmt: skip
        own = [each for each in self.items if each.level == level]
        return {
            kind: (
                sum(each.rule in rules for each in own),
                sum(each.area_m2 for each in own if each.rule in rules),
            )
            for kind, rules in kinds.items()
        }

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, index: int | slice) -> Finding | tuple[Finding, ...]:
        """Return one finding, or several."""
        return self.items[index]

    def __len__(self) -> int:
        """Return the number of findings."""
        return len(self.items)

    def __iter__(self) -> Iterator[Finding]:
        """Yield the findings."""
        return iter(self.items)

    @property
    def ok(self) -> bool:
        """True when no finding is an error."""
        return all(finding.severity != "error" for finding in self.items)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and mappings, ready for JSON."""
        return {
            "ok": self.ok,
            "coverage_rate": dict(self.coverage_rate),
            "counts": dict(self.counts),
            "faults": {
                level: {
                    kind: {"number": number, "area_m2": area}
                    for kind, (number, area) in self.summary(level).items()
                }
                for level in self.counts
            },
            "findings": [finding.to_dict() for finding in self.items],
        }

    def to_json(self) -> str:
        """Return the findings as JSON text; Chinese is not escaped."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1)

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """Return one row a finding, with its point as geometry; codes are joined by spaces."""
        points = [None if f.point is None else shapely.Point(f.point) for f in self.items]
        return gpd.GeoDataFrame(_table(self.items), geometry=points, crs=EXCHANGE_CRS)

    def shapes(self) -> gpd.GeoDataFrame:
        """Return one row a finding that has a shape, with the shape as geometry."""
        items = [finding for finding in self.items if finding.shape is not None]
        shapes = [finding.shape for finding in items]
        return gpd.GeoDataFrame(_table(items), geometry=shapes, crs=EXCHANGE_CRS)


def _table(items: Sequence[Finding]) -> dict[str, list[object]]:
    apart = ("point", "bbox", "codes", "shape")
    columns = [name for name in Finding.__slots__ if name not in apart]
    table: dict[str, list[object]] = {name: [getattr(f, name) for f in items] for name in columns}
    return table | {"codes": [" ".join(finding.codes) for finding in items]}


def finding(
    rule: str,
    level: str,
    codes: Sequence[str],
    *,
    detail: tuple[str, str] = ("", ""),
    point: Point | None = None,
    extent: Extent = Extent(),  # frozen
) -> Finding:
    """Make a finding; `detail` adds to the message."""
    said = RULES[rule]
    area, width = extent.area_m2, extent.width_m
    who = _shortened(codes)
    where = "" if point is None else f" at {point[0]:.7f}, {point[1]:.7f}"
    where_zh = "" if point is None else f"，位置 {point[0]:.7f}, {point[1]:.7f}"
    large = f", {area:.6g} m², {width:.3g} m wide" if area else ""
    large_zh = f"，面积 {area:.6g} 平方米，宽 {width:.3g} 米" if area else ""
    return Finding(
        rule, said.severity, level, tuple(codes), point, extent.bbox, area, width,
        f"{level} {who}: {said.en}{_spaced(detail[0])}{large}{where}.".replace(" :", ":"),
        f"{_level_zh(level)}{who}：{said.zh}{_spaced(detail[1])}{large_zh}{where_zh}。",
        f"{said.fix_en} {said.fix_zh}", shape=extent.shape,
    )  # fmt: skip


def _shortened(codes: Sequence[str], most: int = 4) -> str:
    """Return up to `most` codes and how many more there are."""
    rest = len(codes) - most
    return ", ".join(codes[:most]) + (f" (+{rest})" if rest > 0 else "")


def _spaced(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _level_zh(level: str) -> str:
    return LEVEL_NAMES_ZH.get(level, level)
