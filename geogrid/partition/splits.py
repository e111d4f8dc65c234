"""Where to split: grids that are too large, and the best cut of each along its micro-grids.

A proposal for people to decide on; nothing is changed. Cut along micro-grids, a grid's splits need
no new border: a micro-grid changes its parent, and whoever knows it knows it afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.coverage.topology import OUTSIDE, Topology
from geogrid.edition import Edition, to_degrees, to_metres
from geogrid.norms import Norms

MOST_MICROGRIDS = 14
"""Grids of more micro-grids get no proposal: their cuts double with each one."""

COLUMNS = (
    "code", "name", "village", "kind", "households", "limit", "over", "grids_needed",
    "stay", "leave", "households_stay", "households_leave", "over_after", "reason_zh", "reason_en",
)  # fmt: skip


def where_to_split(
    edition: Edition, norms: Norms | None = None, *, above: float = 1.25, most: int = 20
) -> pd.DataFrame:
    """Rank the grids that have too many households, and say what a split would give.

    A grid is too large when it exceeds the upper end of the norm of its kind; where there is no
    norm, `above` times the mean of the grids of its kind. Dedicated grids are not split. Ties are
    broken by code.

    Parameters
    ----------
    norms : Norms, optional
        Households of a grid by kind.
    above : float
        Share of the mean from which on a grid is too large.
    most : int
        Rows to return, the largest excess first.

    Returns
    -------
    DataFrame
        `limit`, households that are enough; `over`, households over the limit; `grids_needed` to
        come below it. `stay` and `leave` are the micro-grids (codes by space) of two parts, each of
        one piece, as even as can be, with the shortest border among equally even ones; `stay` holds
        the lowest code. `over_after` is the larger part over the limit. All empty where a grid has
        one micro-grid, more than 14, or no cut into two pieces.

    Known issues
    ------------
    A grid that needs three or more is cut in two only; ask again for the next edition.
    """
    table = edition.units["grid"]
    limit = _limits(table, norms, above)
    over = table["households"].to_numpy(float) / limit
    rows = np.flatnonzero(over > 1)
    rows = rows[np.lexsort((table["code"].to_numpy()[rows], -over[rows]))][:most]
    villages = edition.units["village"].set_index("code")["name"]
    cuts = _cuts(edition, table["code"].to_numpy()[rows])
    records = []
    for row in rows:
        unit = table.iloc[row]
        cut = cuts.get(unit["code"])
        record = {
            "code": unit["code"], "name": unit["name"], "village": villages[unit["parent"]],
            "kind": unit["kind"], "households": int(unit["households"]),
            "limit": round(float(limit[row])), "over": round(float(over[row]), 2),
            "grids_needed": int(np.ceil(over[row])),
        }  # fmt: skip
        records.append(record | _outcome(cut, float(limit[row])) | _reason(record, norms, above))
    return pd.DataFrame(records, columns=list(COLUMNS))


def proposal(edition: Edition, splits: pd.DataFrame) -> pd.Series:
    """Return by code, for a map, whether a micro-grid stays, leaves, or is not concerned."""
    states = {
        code: state
        for _, row in splits.iterrows()
        for column, state in (("stay", "保留 stay"), ("leave", "新网格 new grid"))
        for code in row[column].split()
    }
    codes = edition.units["microgrid"]["code"]
    shown = codes.map(lambda code: states.get(code, "不变 unchanged"))
    return pd.Series(shown.to_numpy(), index=codes, name="拆分建议 Where to split")


def _limits(table: gpd.GeoDataFrame, norms: Norms | None, above: float) -> NDArray[np.float64]:
    """Return how many households are enough for each grid; infinite for dedicated ones."""
    mean = table.groupby("kind")["households"].transform("mean") * above
    given: Mapping[str, float] = (
        {} if norms is None else {kind: norm.most for kind, norm in norms.grid.items()}
    )
    limit = table["kind"].map(given).astype(float).fillna(mean)
    never = (table["kind"] == "dedicated") | (limit <= 0)
    enough: NDArray[np.float64] = limit.mask(never, np.inf).to_numpy(float)
    return enough


@dataclass(frozen=True, slots=True)
class _Cut:
    """Two parts of a grid: codes and households."""

    stay: list[str]
    leave: list[str]
    households: tuple[int, int]

    @classmethod
    def of(cls, codes: NDArray[np.object_], households: NDArray[np.int64], leave: int) -> "_Cut":
        """Return the parts when the micro-grids with a bit in `leave` leave."""
        leaves = np.array([bool(leave >> place & 1) for place in range(len(codes))])
        sums = int(households[~leaves].sum()), int(households[leaves].sum())
        return cls(codes[~leaves].tolist(), codes[leaves].tolist(), sums)


def _outcome(cut: _Cut | None, limit: float) -> dict[str, object]:
    if cut is None:
        return {"stay": "", "leave": "", "households_stay": 0, "households_leave": 0,
                "over_after": np.nan}  # fmt: skip
    stay, leave = cut.households
    return {
        "stay": " ".join(cut.stay), "leave": " ".join(cut.leave), "households_stay": stay,
        "households_leave": leave, "over_after": round(max(stay, leave) / limit, 2),
    }  # fmt: skip


def _reason(record: dict[str, object], norms: Norms | None, above: float) -> dict[str, str]:
    households, limit = record["households"], record["limit"]
    if norms is not None and record["kind"] in norms.grid:
        zh, en = f"标准上限 {limit} 户", f"the norm allows {limit}"
    else:
        zh, en = f"同类均值的 {above:g} 倍为 {limit} 户", f"{above:g} times the mean is {limit}"
    return {"reason_zh": f"{households} 户,{zh}", "reason_en": f"{households} households, {en}"}


def _cuts(edition: Edition, grids: NDArray[np.object_]) -> dict[str, _Cut]:
    """Return the best cut of each grid that has one."""
    table = edition.units["microgrid"]
    table = table[table["parent"].isin(grids)]
    codes, parents = table["code"].to_numpy(object), table["parent"].to_numpy(object)
    households = table["households"].to_numpy(np.int64)
    borders = _borders(table, edition.info.working_crs)
    found = {}
    for grid in grids:
        rows = np.flatnonzero(parents == grid)
        if 2 <= len(rows) <= MOST_MICROGRIDS:
            place = {row: k for k, row in enumerate(rows.tolist())}
            own = {
                (place[a], place[b]): metres
                for (a, b), metres in borders.items()
                if a in place and b in place
            }
            leave = _best(households[rows], own)
            if leave:
                found[str(grid)] = _Cut.of(codes[rows], households[rows], leave)
    return found


def _borders(table: gpd.GeoDataFrame, crs: str) -> dict[tuple[int, int], float]:
    """Return the metres of border that each two micro-grids of one grid share, by rows."""
    if not len(table):
        return {}
    arcs = Topology.of(table.geometry.to_numpy())
    parents = table["parent"].to_numpy()
    inner = np.flatnonzero(arcs.right != OUTSIDE)
    inner = inner[parents[arcs.left[inner]] == parents[arcs.right[inner]]]
    lines = np.array([shapely.linestrings(to_degrees(arcs.arc(k))) for k in inner], object)
    shared: dict[tuple[int, int], float] = {}
    for k, metres in zip(inner, shapely.length(to_metres(lines, crs)), strict=True):
        a, b = sorted((int(arcs.left[k]), int(arcs.right[k])))
        shared[a, b] = shared.get((a, b), 0.0) + float(metres)
    return shared


def _best(households: NDArray[np.int64], borders: Mapping[tuple[int, int], float]) -> int:
    """Return the bits of the micro-grids that leave; 0 where there is no cut into two pieces."""
    n = len(households)
    beside = [0] * n
    for a, b in borders:
        beside[a] |= 1 << b
        beside[b] |= 1 << a
    everyone, total = (1 << n) - 1, int(households.sum())
    choices = []
    for leave in range(2, everyone + 1, 2):  # the lowest code stays
        if _whole(leave, beside) and _whole(everyone & ~leave, beside):
            moved = sum(int(households[k]) for k in range(n) if leave >> k & 1)
            cut = sum(m for (a, b), m in borders.items() if (leave >> a ^ leave >> b) & 1)
            choices.append((max(moved, total - moved), round(cut, 3), leave))
    return min(choices)[2] if choices else 0


def _whole(members: int, beside: list[int]) -> bool:
    """Return whether the micro-grids of these bits are one piece."""
    reached, before = members & -members, 0
    while reached != before:
        before = reached
        for k, around in enumerate(beside):
            if before >> k & 1:
                reached |= around & members
    return reached == members
