"""An earlier edition as the start of the next one: grids stay unless a norm is broken."""

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid.edition import Edition, to_integers
from geogrid.partition.zones import Earlier

# Steps of the integer grid that an outline may have been bent by vertices of both its sides.
_BENT = 3.0
# Intersection over union from which a unit is the same one, reshaped.
_ALIKE = 0.9


def earlier_villages(previous: Edition, villages: gpd.GeoDataFrame) -> dict[str, Earlier]:
    """Return how villages were divided whose outline has not changed.

    Parameters
    ----------
    villages : GeoDataFrame
        Columns code and geometry, on the integer grid.
    """
    before = previous.units["village"].set_index("code").geometry
    now = villages.set_index("code").geometry
    common = now.index.intersection(before.index)
    same = common[_same_outline(before[common].to_numpy(), now[common].to_numpy())]
    grids = previous.units["grid"][["code", "parent"]]
    microgrids = previous.units["microgrid"]
    village_of = microgrids["parent"].map(grids.set_index("code")["parent"])
    found = {}
    for code, rows in microgrids.groupby(village_of.to_numpy(), sort=True).indices.items():
        if code not in same:
            continue
        own = microgrids.iloc[rows]
        grid_codes, grid = np.unique(own["parent"].to_numpy(str), return_inverse=True)
        found[str(code)] = Earlier(
            polygons=own.geometry.to_numpy(),
            codes=own["code"].to_numpy(str),
            grid_codes=grid_codes,
            grid=grid.astype(np.int32),
            households=own["households"].to_numpy(np.float64),
        )
    return found


def held_codes(
    earlier: Earlier | None, polygons: NDArray[np.object_], grid: NDArray[np.int32]
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the codes that micro-grids keep and those that their grids keep, else empty (R-08).

    A unit keeps its code while nine tenths of it and of what it was are the same.

    Parameters
    ----------
    polygons : (k,) polygons
        The micro-grids, numbered as before.
    grid : (k,) int32
        Grid of each, numbered as before.
    """
    if earlier is None:
        none = np.full(len(polygons), "", dtype="U18")
        return none, none
    held = np.where(_alike(earlier.polygons, polygons), earlier.codes, "")
    if (held == earlier.codes).all():
        return held, earlier.grid_codes[grid]
    numbers = range(len(earlier.grid_codes))
    before, now = (
        np.array([shapely.union_all(some[of == number]) for number in numbers], object)
        for some, of in ((earlier.polygons, earlier.grid), (polygons, grid))
    )
    kept = _alike(before, now)
    return np.where(kept[grid], held, ""), np.where(kept, earlier.grid_codes, "")[grid]


def _alike(before: NDArray[np.object_], now: NDArray[np.object_]) -> NDArray[np.bool_]:
    common = shapely.area(shapely.intersection(before, now))
    union = shapely.area(before) + shapely.area(now) - common
    return np.asarray(common >= _ALIKE * union, dtype=bool)


def counts_by_village(previous: Edition) -> dict[str, tuple[int, int]]:
    """Return how many grids and micro-grids each village had."""
    grids = previous.units["grid"].groupby("parent").size()
    parent = previous.units["grid"].set_index("code")["parent"]
    microgrids = previous.units["microgrid"]["parent"].map(parent).value_counts()
    return {str(code): (int(grids[code]), int(microgrids[code])) for code in grids.index}


def _same_outline(before: NDArray[np.object_], now: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Say which outlines are equal, but for vertices that neighbours inserted."""
    steps = [
        shapely.transform(some, lambda xy: to_integers(xy).astype(float)) for some in (before, now)
    ]
    near = shapely.hausdorff_distance(*steps) <= _BENT
    corners = np.array(
        [
            np.isin(_keys(one), _keys(other)).all()
            for one, other in zip(steps[1], steps[0], strict=True)
        ],
        dtype=bool,
    )
    return np.asarray(near & corners, dtype=bool)


def _keys(polygon: shapely.Polygon) -> NDArray[np.complex128]:
    xy = shapely.get_coordinates(polygon)
    keys: NDArray[np.complex128] = xy[:, 0] + 1j * xy[:, 1]
    return keys
