"""The borders of a new edition: how long they are, what they follow, and where nothing shows.

Lengths come from the edition's geometry; what a border follows was measured between the pixels and
holds for the border of two micro-grids as a share of its length. A border of two grids is the sum
of the borders of their micro-grids.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.coverage.edges import edge_metres, half_edges, match
from geogrid.edition import Edition, to_degrees
from geogrid.partition.assemble import Pieces
from geogrid.partition.zones import SEEN
from geogrid.schema import EXCHANGE_CRS

SHORTEST_WEAK = 20.0
"""Metres of a border off given lines from which on it is listed when nothing shows along it."""

# A border shows when more than this share of it lies on given lines, whatever the rest does.
_LINED = 0.5
_LENGTHS = ["length", "seen", "lined", "link"]


@dataclass(frozen=True, slots=True)
class Borders:
    """The inner borders of one level, and how much of its borders is given.

    Attributes
    ----------
    table : DataFrame
        A row for each two units of a tract that touch: `first` and `second`, their rows in the
        level's table; metres of `length`, of which `seen` in the imagery, `lined` on given lines,
        `link` on links; `contrast`, the mean relief off given lines in Lab units.
    ends : (s, 4) int64
        Segments of the inner borders, x0 y0 x1 y1 on the integer grid.
    row : (s,) int64
        Row of `table` of each segment.
    administrative : float
        Metres of given borders: of villages and dedicated sites, the city's outline included.
    """

    table: pd.DataFrame
    ends: NDArray[np.int64]
    row: NDArray[np.int64]
    administrative: float


def microgrid_borders(edition: Edition, pieces: Pieces, codes: NDArray[np.str_]) -> Borders:
    """Return the borders between micro-grids; `codes` are those of the pieces."""
    table = edition.units["microgrid"]
    edges = half_edges(table.geometry.to_numpy())
    twin = match(edges).twin
    once = np.flatnonzero(twin < np.arange(len(edges)))
    sides = np.column_stack(
        [edges.owners[once], np.where(twin[once] < 0, -1, edges.owners[twin[once]])]
    )
    length = edge_metres(edges[once].ends, edition.info.working_crs)
    tract = pd.factorize(pd.Series(pieces.tract, codes).reindex(table["code"]))[0]
    inner = (sides[:, 1] >= 0) & (tract[sides[:, 0]] == tract[sides[:, 1]])
    key, row = np.unique(_key(sides[inner], len(table)), return_inverse=True)
    metres = np.bincount(row, length[inner], len(key)).astype(np.float64)
    known = np.searchsorted(table["code"].to_numpy(str), codes)[pieces.pairs]
    along = _looked_up(_key(known, len(table)), pieces.along, key)
    found = pd.DataFrame({"first": key // len(table), "second": key % len(table), "length": metres})
    found[["seen", "lined", "link"]] = along[:, :3] * metres[:, None]
    found["contrast"] = along[:, 3]
    return Borders(found, edges.ends[once][inner], row, float(length[~inner].sum()))


def grid_borders(edition: Edition, micro: Borders) -> Borders:
    """Return the borders between grids from those between micro-grids."""
    codes = edition.units["grid"]["code"].to_numpy(str)
    grid_of = np.searchsorted(codes, edition.units["microgrid"]["parent"].to_numpy(str))
    sides = grid_of[micro.table[["first", "second"]].to_numpy()]
    between = sides[:, 0] != sides[:, 1]
    key, number = np.unique(_key(sides[between], len(codes)), return_inverse=True)
    parts = micro.table[between]
    found = parts[_LENGTHS].groupby(number).sum()
    off = (parts["length"] - parts["lined"]).to_numpy()
    climb = np.bincount(number, off * parts["contrast"].to_numpy(), len(key))
    whole = np.bincount(number, off, len(key))
    found["contrast"] = np.divide(climb, whole, out=np.zeros(len(key)), where=whole > 0)
    found.insert(0, "first", key // len(codes))
    found.insert(1, "second", key % len(codes))
    new_row = np.full(len(micro.table), -1)
    new_row[between] = number
    row = new_row[micro.row]
    return Borders(found, micro.ends[row >= 0], row[row >= 0], micro.administrative)


def weak_edges(edition: Edition, levels: dict[str, Borders]) -> gpd.GeoDataFrame:
    """Return the inner borders along which nothing shows, the weakest first.

    Returns
    -------
    GeoDataFrame
        `rank` from 1, `level`, `code`, `neighbour_code`, `length_m`, `strength` (mean relief off
        given lines, Lab units; borders count as seen from `SEEN` on), `seen_share` and
        `lined_share` of the length, `lon` and `lat` of a point on it, and the line in EPSG:4490.
        Equally weak ones come the longest first, then by code.
    """
    found = pd.concat([_weak(edition, level, borders) for level, borders in levels.items()])
    found = found.sort_values(
        ["strength", "length_m", "level", "code", "neighbour_code"],
        ascending=[True, False, True, True, True],
        ignore_index=True,
    )
    found.insert(0, "rank", np.arange(1, len(found) + 1))
    return gpd.GeoDataFrame(found, geometry="geom", crs=EXCHANGE_CRS)


def _weak(edition: Edition, level: str, borders: Borders) -> pd.DataFrame:
    table = borders.table
    off = table["length"] - table["lined"]
    mostly_off = table["lined"] <= _LINED * table["length"]
    rows = np.flatnonzero(mostly_off & (off >= SHORTEST_WEAK) & (table["contrast"] < SEEN))
    number = np.full(len(table), -1)
    number[rows] = np.arange(len(rows))
    wanted = number[borders.row]
    lines = _lines(borders.ends[wanted >= 0], wanted[wanted >= 0])
    point = shapely.get_coordinates(shapely.point_on_surface(lines))
    codes, table = edition.units[level]["code"].to_numpy(), table.iloc[rows]
    return pd.DataFrame(
        {
            "level": level,
            "code": codes[table["first"]],
            "neighbour_code": codes[table["second"]],
            "length_m": table["length"].round(1).to_numpy(),
            "strength": table["contrast"].round(2).to_numpy(),
            "seen_share": (table["seen"] / table["length"]).round(3).to_numpy(),
            "lined_share": (table["lined"] / table["length"]).round(3).to_numpy(),
            "lon": point[:, 0],
            "lat": point[:, 1],
            "geom": lines,
        }
    )


def _lines(ends: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the segments of each number as one multi-line, joined where they meet."""
    order = np.argsort(number, kind="stable")
    segments = shapely.linestrings(to_degrees(ends[order]).reshape(-1, 2, 2))
    loose = shapely.multilinestrings(segments, indices=number[order])
    parts, of = shapely.get_parts(shapely.line_merge(loose), return_index=True)
    joined: NDArray[np.object_] = shapely.normalize(shapely.multilinestrings(parts, indices=of))
    return joined


def _key(sides: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return one number for each unordered pair of rows below `n`."""
    key: NDArray[np.int64] = sides.min(axis=1) * n + sides.max(axis=1)
    return key


def _looked_up(
    keys: NDArray[np.int64], values: NDArray[np.float64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the values of the wanted keys; zeros, nothing known to show, where there is none."""
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
    found = np.zeros((len(wanted), values.shape[1]))
    if len(keys):
        rows = order[place]
        same = keys[rows] == wanted
        found[same] = values[rows[same]]
    return found
