"""An earlier edition as the start of the next one: grids stay unless a norm is broken."""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.edition import Edition, to_integers
from geogrid.partition.tracts import Tract
from geogrid.partition.zones import Earlier

# Steps of the integer grid that an outline may have been bent by vertices of both its sides.
_BENT = 3.0
# Intersection over union from which a unit is the same one, reshaped.
_ALIKE = 0.9


def earlier_tracts(previous: Edition, tracts: Sequence[Tract]) -> dict[str, Earlier]:
    """Return by key how tracts were divided whose outline has not changed."""
    grid = previous.units["grid"].set_index("code")
    micro = previous.units["microgrid"]
    of_grid = grid.reindex(micro["parent"])
    special = of_grid["kind"].to_numpy() == "dedicated"
    rows_of = micro.groupby(of_grid["parent"].to_numpy(), sort=True).indices
    number = pd.Series([tract.village for tract in tracts]).value_counts()
    villages = previous.units["village"].set_index("code").geometry
    found: list[tuple[Tract, NDArray[np.int64]]] = []
    before: list[shapely.Geometry] = []
    for tract in tracts:
        rows = rows_of.get(tract.village, np.empty(0, np.int64))
        alone = number[tract.village] == 1 and tract.site is None and not special[rows].any()
        if not alone:
            rows = rows[special[rows] == (tract.site is not None)]
            inside = shapely.point_on_surface(micro.geometry.to_numpy()[rows])
            rows = rows[shapely.contains(tract.outline, inside)]
        if len(rows):
            found.append((tract, rows))
            polygons = micro.geometry.to_numpy()[rows]
            before.append(villages[tract.village] if alone else shapely.union_all(polygons))
    now = np.array([tract.outline for tract, _ in found], object)
    same = _same_outline(np.array(before, object), now)
    return {
        tract.key: _earlier(micro.iloc[rows])
        for (tract, rows), unchanged in zip(found, same, strict=True)
        if unchanged
    }


def _earlier(own: gpd.GeoDataFrame) -> Earlier:
    grid_codes, grid = np.unique(own["parent"].to_numpy(str), return_inverse=True)
    return Earlier(
        polygons=own.geometry.to_numpy(),
        codes=own["code"].to_numpy(str),
        grid_codes=grid_codes,
        grid=grid.astype(np.int32),
        households=own["households"].to_numpy(np.float64),
    )


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
