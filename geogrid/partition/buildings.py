"""What a division does to buildings: which ones it cuts, and which units have nobody in them."""

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.edition import Edition
from geogrid.partition.assemble import Pieces

CUT_SHARE = 0.01
"""A building is cut when more than this share of its area lies outside the unit of most of it."""


def buildings_cut(
    edition: Edition, metric: NDArray[np.object_], footprints: NDArray[np.object_]
) -> dict[str, int]:
    """Count the footprints cut at the levels `microgrid`, `grid` and `village`.

    A footprint cut by a village's border is cut at every level, and no division can help it. One
    that crosses itself is measured by the area it encloses; one outside the city is not counted.

    Parameters
    ----------
    metric : (n,) polygons
        The micro-grids in the working CRS.
    footprints : (f,) polygons
        In the working CRS.
    """
    _, touched = shapely.STRtree(footprints).query(shapely.boundary(metric), predicate="intersects")
    near = shapely.make_valid(footprints[np.unique(touched)])
    building, micro = shapely.STRtree(metric).query(near, predicate="intersects")
    part = shapely.area(shapely.intersection(near[building], metric[micro]))
    table = edition.units["microgrid"]
    grid = table["parent"].to_numpy()
    village = edition.units["grid"].set_index("code")["parent"].reindex(grid).to_numpy()
    whole = shapely.area(near)
    cut = {}
    for level, unit in (
        ("microgrid", table["code"].to_numpy()),
        ("grid", grid),
        ("village", village),
    ):
        inside = pd.Series(part).groupby([building, unit[micro]]).sum()
        most = inside.groupby(level=0).max()
        cut[level] = int((most.to_numpy() < (1 - CUT_SHARE) * whole[most.index]).sum())
    return cut


def empty_microgrids(
    edition: Edition,
    pieces: Pieces,
    land: tuple[NDArray[np.object_], NDArray[np.object_]],
    buildings: NDArray[np.object_],
) -> pd.DataFrame:
    """List the micro-grids without households, with the reason.

    The reason is `quota` where the tract (the village, unless sites were cut out of it) has fewer
    atoms with households than micro-grids, so that some stay empty whatever is done; else
    `no_households` where buildings stand in it (works, a school), else `open_land`.

    Parameters
    ----------
    land : polygons, text
        The micro-grids in the working CRS, and the key of the tract of each.
    buildings : (h,) polygons or points
        In the working CRS; a building stands where its centroid lies.

    Returns
    -------
    DataFrame
        `code`, `name`, `reason`, `buildings` in it, `village_microgrids`,
        `village_inhabited_atoms`, `area_m2`, `lon`, `lat`; by code.
    """
    table = edition.units["microgrid"]
    metric, tract = land
    rows = np.flatnonzero(table["households"] == 0)
    empty = table.iloc[rows]
    unit, near = shapely.STRtree(buildings).query(metric[rows])
    unit = unit[shapely.intersects(metric[rows[unit]], shapely.centroid(buildings[near]))]
    inhabited = pd.Series(pieces.atom_tract[pieces.atom_weight > 0]).value_counts()
    found = pd.DataFrame({"code": empty["code"].to_numpy(), "name": empty["name"].to_numpy()})
    found["buildings"] = np.bincount(unit, minlength=len(rows))
    quota = pd.Series(tract).value_counts()
    found["village_microgrids"] = quota.reindex(tract[rows]).to_numpy(np.int64)
    found["village_inhabited_atoms"] = inhabited.reindex(tract[rows]).fillna(0).to_numpy(np.int64)
    forced = found["village_inhabited_atoms"] < found["village_microgrids"]
    reason = np.where(found["buildings"] > 0, "no_households", "open_land")
    found.insert(2, "reason", np.where(forced, "quota", reason))
    found["area_m2"] = empty["area_m2"].to_numpy()
    inside = shapely.point_on_surface(empty.geometry.to_numpy())
    found[["lon", "lat"]] = shapely.get_coordinates(inside)
    return found
