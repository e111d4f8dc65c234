"""Invented buildings with households: rows of farmhouses, slab blocks, shops."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.sample.landscape import Lattice
from geogrid.sample.noise import chance
from geogrid.sample.plane import PLANE_CRS
from geogrid.sample.villages import Settled

FIELD, SETTLEMENT, TOWN, POND, WOOD = range(5)

_RURAL_HOUSEHOLDS = (425.0, 0.42, 30, 800)
_URBAN_HOUSEHOLDS = (1_650.0, 0.35, 600, 5_000)
"""Median, spread of the logarithm, least and most households of a village."""

_LAND_OF_A_HOUSEHOLD = 430.0
_ROWS = {SETTLEMENT: (9, 7), TOWN: (6, 3)}
"""Rows of buildings in a cell and buildings in a row."""
_SIZE = {SETTLEMENT: (26.0, 10.0), TOWN: (58.0, 14.0)}
"""Length and depth of a building, metres."""
_A_BUILDING = {SETTLEMENT: 2.7, TOWN: 42.0}
"""Households in a building."""
_SHOPS = 0.55
"""Share of a town's free building places that hold a building without households."""

_URBAN_KIND = "居委会"


@dataclass(frozen=True, slots=True)
class Buildings:
    """Footprints in metres, and what each cell of the landscape is.

    Attributes
    ----------
    corners : (n, 4, 2) float64
        Footprints, metres.
    households : (n,) int32
        Households in each.
    use : (n,) uint8
        SETTLEMENT or TOWN.
    village : (n,) int64
        Row of the village.
    land : (ni - 1, nj - 1) uint8
        Use of each lattice cell.
    """

    corners: NDArray[np.float64]
    households: NDArray[np.int32]
    use: NDArray[np.uint8]
    village: NDArray[np.int64]
    land: NDArray[np.uint8]

    def frame(self) -> gpd.GeoDataFrame:
        """Return the footprints as a table."""
        kinds = np.array(["", "house", "block"], object)[self.use]
        kinds[self.households == 0] = "shop"
        return gpd.GeoDataFrame(
            {"households": self.households, "kind": kinds},
            geometry=shapely.polygons(np.round(self.corners, 2)),
            crs=PLANE_CRS,
        )


def build(settled: Settled, lattice: Lattice) -> Buildings:
    """Build up every village: its households, the cells it fills, its buildings."""
    kinds = settled.villages["kind"].to_numpy()
    urban = kinds == _URBAN_KIND
    codes = settled.villages["code"].to_numpy(str)
    households = _households(codes, urban, lattice.seed)
    cells = _cells(settled, lattice, urban, households)
    land = _land_use(lattice)
    at = cells["i"].to_numpy() - lattice.i0, cells["j"].to_numpy() - lattice.j0
    land[at] = cells["use"]
    parts = [_places(cells[cells["use"] == use], lattice, use) for use in (SETTLEMENT, TOWN)]
    places = pd.concat(parts, ignore_index=True)
    return _filled(places, households, settled, land)


def _households(codes: NDArray[np.str_], urban: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    number = codes.astype(np.int64)
    # The sum of twelve even draws is close enough to a normal one.
    normal = sum(chance(seed + k, number) for k in range(12)) - 6.0
    median, spread, least, most = (
        np.where(urban, town, rural)
        for town, rural in zip(_URBAN_HOUSEHOLDS, _RURAL_HOUSEHOLDS, strict=True)
    )
    count = np.clip(median * np.exp(spread * normal), least, most)
    return np.asarray(np.rint(count), np.int64)


def _cells(
    settled: Settled, lattice: Lattice, urban: NDArray[np.bool_], households: NDArray[np.int64]
) -> pd.DataFrame:
    """Return the built-up cells: column, row, village, use, centre."""
    corners = lattice.corners()
    i, j = settled.key[:, 0], settled.key[:, 1]
    middle = corners[i - lattice.i0, j - lattice.j0].mean(axis=1)
    cells = pd.DataFrame({"i": i, "j": j, "village": settled.village})
    cells["x"], cells["y"] = middle[:, 0], middle[:, 1]
    centre = cells.groupby("village")[["x", "y"]].transform("mean")
    cells["distance"] = np.hypot(cells["x"] - centre["x"], cells["y"] - centre["y"])
    cells["whole"] = settled.whole
    cells = cells.sort_values(["village", "whole", "distance"], ascending=[True, False, True])
    rank = cells.groupby("village").cumcount()
    needed = np.ceil(households * _LAND_OF_A_HOUSEHOLD / 78_400)[cells["village"]]
    town = urban[cells["village"]]
    cells["use"] = np.where(town, TOWN, SETTLEMENT).astype(np.uint8)
    return cells[town | (rank < needed)]


def _land_use(lattice: Lattice) -> NDArray[np.uint8]:
    i, j = lattice.cell_keys()
    draw = chance(lattice.seed * 3 + 5, i, j)
    return np.select([draw < 0.008, draw < 0.03], [POND, WOOD], FIELD).astype(np.uint8)


def _places(cells: pd.DataFrame, lattice: Lattice, use: int) -> pd.DataFrame:
    """Return all building places of cells of one use: position, axis, village, order."""
    rows, columns = _ROWS[use]
    v = np.repeat((np.arange(rows) + 0.5) / rows, columns) * 0.84 + 0.08
    u = np.tile((np.arange(columns) + 0.5) / columns, rows) * 0.84 + 0.08
    corners = lattice.corners()[cells["i"] - lattice.i0, cells["j"] - lattice.j0]
    a, b, c, d = (corners[:, k, None, :] for k in range(4))
    u, v = u[None, :, None], v[None, :, None]
    point = (1 - u) * (1 - v) * a + u * (1 - v) * b + u * v * c + (1 - u) * v * d
    axis = (b - a + c - d)[:, 0]
    axis = axis / np.hypot(axis[:, 0], axis[:, 1])[:, None]
    n, each = point.shape[:2]
    slot = np.tile(np.arange(each), n)
    i, j = np.repeat(cells["i"].to_numpy(), each), np.repeat(cells["j"].to_numpy(), each)
    return pd.DataFrame(
        {
            "x": point[..., 0].ravel(), "y": point[..., 1].ravel(),
            "ax": np.repeat(axis[:, 0], each), "ay": np.repeat(axis[:, 1], each),
            "village": np.repeat(cells["village"].to_numpy(), each),
            "whole": np.repeat(cells["whole"].to_numpy(), each),
            "use": np.uint8(use),
            "draw": chance(lattice.seed + 99, i, j, slot),
        }
    )  # fmt: skip


def _filled(
    places: pd.DataFrame,
    households: NDArray[np.int64],
    settled: Settled,
    land: NDArray[np.uint8],
) -> Buildings:
    """Put as many buildings on the places as the households need, and shops on some others."""
    corners = _footprints(places)
    doubtful = np.flatnonzero(~places["whole"].to_numpy())
    polygons = settled.metric[places["village"].to_numpy()[doubtful]]
    fits = np.ones(len(places), bool)
    fits[doubtful] = shapely.contains(polygons, shapely.polygons(corners[doubtful]))
    places, corners = places[fits].reset_index(drop=True), corners[fits]
    order = places.sort_values(["village", "draw"], kind="stable").index.to_numpy()
    places, corners = places.loc[order].reset_index(drop=True), corners[order]
    village = places["village"].to_numpy()
    size = np.where(places["use"] == TOWN, _A_BUILDING[TOWN], _A_BUILDING[SETTLEMENT])
    rank = places.groupby("village").cumcount().to_numpy()
    there = np.bincount(village, minlength=len(households))
    wanted = np.ceil(households[village] / size).astype(np.int64)
    homes = np.minimum(wanted, there[village])
    home = rank < homes
    # Households are dealt out one by one, as evenly as whole numbers allow.
    count = households[village] // homes + (rank < households[village] % homes)
    kept = home | ((places["use"] == TOWN) & (chance(7, rank, village) < _SHOPS))
    return Buildings(
        corners[kept],
        np.where(home, count, 0)[kept].astype(np.int32),
        places["use"].to_numpy()[kept],
        village[kept],
        land,
    )


def _footprints(places: pd.DataFrame) -> NDArray[np.float64]:
    town = (places["use"] == TOWN).to_numpy()
    vary = 0.85 + 0.3 * places["draw"].to_numpy()
    length = np.where(town, _SIZE[TOWN][0], _SIZE[SETTLEMENT][0]) * vary / 2
    depth = np.where(town, _SIZE[TOWN][1], _SIZE[SETTLEMENT][1]) / 2
    centre = places[["x", "y"]].to_numpy()
    axis = places[["ax", "ay"]].to_numpy()
    normal = np.column_stack([-axis[:, 1], axis[:, 0]])
    along, out = axis * length[:, None], normal * depth[:, None]
    return np.stack(
        [centre - along - out, centre + along - out, centre + along + out, centre - along + out],
        axis=1,
    )
