"""What a repair changed, said in English and Chinese, and the way back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.coverage.findings import Point
from geogrid.errors import DataError
from geogrid.schema import EXCHANGE_CRS

_DONE: Mapping[str, tuple[str, str]] = {
    "gap": ("gap given to {to}", "缝隙划归 {to}"),
    "overlap": ("overlap left to {to}, who has the longest edge there", "重叠归边界最长的 {to}"),
    "outside": ("cut at the outer boundary", "沿外边界裁去"),
    "unmatched_vertex": ("vertex added to the neighbour's edge", "相邻边上补充节点"),
    "duplicate_geometry": (
        "row dropped, the polygon stands there as {to}",
        "删除重复行，保留 {to}",
    ),
    "off_grid": ("vertices moved to the integer grid", "节点归到整数格网"),
    "union_differs": ("made the union of its children", "由下级单元融合"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes
    ----------
    rule, level : str
        What was wrong; a key of `findings.RULES`, or `off_grid`.
    codes : tuple of str
        Units whose polygons changed; the one that received the area first.
    point : (lon, lat), optional
    area_m2 : float
        Area that changed hands.
    vertices_before, vertices_after : int
        Of the polygons changed.
    message_en, message_zh : str
    rows : tuple of int
        Rows of the polygons changed, in the layer as it was given.
    """

    rule: str
    level: str
    codes: tuple[str, ...]
    point: Point | None
    area_m2: float
    vertices_before: int
    vertices_after: int
    message_en: str
    message_zh: str
    rows: tuple[int, ...]


@dataclass(slots=True)
class Log:
    """Changes while they are made."""

    changes: list[Change] = field(default_factory=list)

    def add(
        self,
        rule: str,
        units: tuple[str, tuple[str, ...], tuple[int, ...]],
        *,
        place: tuple[Point | None, float] = (None, 0.0),
        vertices: tuple[int, int] = (0, 0),
    ) -> None:
        """Note a change of `units` (level, codes, rows) at `place` (point, area in m²)."""
        level, codes, rows = units
        point, area = place
        en, zh = (text.format(to=codes[0] if codes else "") for text in _DONE[rule])
        who = ", ".join(codes[:4]) + (f" (+{len(codes) - 4})" if len(codes) > 4 else "")
        where = "" if point is None else f" at {point[0]:.7f}, {point[1]:.7f}"
        where_zh = "" if point is None else f"，位置 {point[0]:.7f}, {point[1]:.7f}"
        size = f", {area:.4g} m²" if area else ""
        self.changes.append(
            Change(
                rule, level, codes, point, area, *vertices, f"{level} {who}: {en}{size}{where}.",
                f"{LEVEL_NAMES_ZH[level]}{who}：{zh}{size}{where_zh}。", rows,
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RepairLog:
    """All changes of a repair, in the order they were made.

    Attributes
    ----------
    changes : tuple of Change
    before : mapping of level to GeoDataFrame
        The layers as they were given.
    kept : mapping of level to (n,) int64
        Which of their rows are in the result, in order.
    """

    changes: tuple[Change, ...]
    before: Mapping[str, gpd.GeoDataFrame]
    kept: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        """Return the number of changes."""
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        """Yield the changes."""
        return iter(self.changes)

    def undone(self) -> dict[str, gpd.GeoDataFrame]:
        """Return the layers as they were given."""
        return {level: frame.copy() for level, frame in self.before.items()}

    def undo(
        self, layers: Mapping[str, gpd.GeoDataFrame], change: Change
    ) -> dict[str, gpd.GeoDataFrame]:
        """Return the repaired `layers` with one change taken back.

        Faults that share polygons are mended together and taken back together.

        Raises
        ------
        DataError
            Another repair touched one of the polygons later: take back all with `undone`.
        """
        others = {
            row
            for each in self.changes
            if each.rows != change.rows and each.level == change.level
            for row in each.rows
        }
        common = others & set(change.rows)
        if common or change.rule == "duplicate_geometry":
            raise DataError(
                f"{change.message_en} cannot be taken back by itself: other changes touched the "
                "same polygons. Take back all with undone()."
            )
        frame = layers[change.level]
        shapes = frame.geometry.to_numpy().copy()
        given = self.before[change.level].to_crs(EXCHANGE_CRS).geometry.to_numpy()
        place = np.searchsorted(self.kept[change.level], change.rows)
        shapes[place] = given[list(change.rows)]
        back = gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs)
        return {**layers, change.level: frame.set_geometry(back)}

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a change; codes are joined by spaces."""
        columns = [name for name in Change.__slots__ if name not in ("rows", "codes", "point")]
        table = pd.DataFrame({name: [getattr(c, name) for c in self.changes] for name in columns})
        table.insert(2, "codes", [" ".join(change.codes) for change in self.changes])
        points = [(None, None) if c.point is None else c.point for c in self.changes]
        table[["lon", "lat"]] = pd.DataFrame(points, columns=["lon", "lat"])
        return table

    def to_json(self) -> str:
        """Return the changes as JSON text; Chinese is not escaped."""
        records = self.to_dataframe().to_dict("records")
        return json.dumps({"changes": records}, ensure_ascii=False, indent=1)


def n_vertices(shapes: NDArray[np.object_]) -> int:
    """Return the number of vertices of shapes."""
    return int(shapely.get_num_coordinates(shapes).sum())
