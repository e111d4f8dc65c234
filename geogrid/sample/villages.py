"""Villages, townships and counties as groups of cells, inside the real county outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid._kernels import annealing, trees
from geogrid.edition import integer_rings, to_degrees, to_integers
from geogrid.partition.vectorise import inserted_vertices, node_shared
from geogrid.partition.zones import neighbour_rows
from geogrid.sample import plane
from geogrid.sample.divisions import PORT_LAND
from geogrid.sample.landscape import RIVER, Lattice
from geogrid.sample.noise import chance

PORT = (114.705, 33.578)
"""About where the port zone lies, degrees; on the border of 川汇区 and 商水县."""

_URBAN_KM2 = 0.55
_URBAN_WEIGHT = 5.0
# A clipped cell below this share of a cell joins its neighbour.
_SCRAP = 0.35
_TRIES = 10
_TERMS = annealing.Terms(evenness=4.0, tolerance=0.5, thrift=0.0, sweeps=60, tries=_TRIES, rounds=1)


@dataclass(frozen=True, slots=True)
class Land:
    """The cells of one county outline.

    Attributes
    ----------
    pieces : (n,) polygons
        Degrees times 1e8, whole numbers; together exactly the outline.
    key : (n, 2) int64
        Column and row of the lattice cell.
    centre : (n, 2) float64
        Metres.
    area : (n,) float64
        In square steps of the integer grid.
    whole : (n,) bool
        The lattice cell is not cut by the outline.
    first, second : (m,) int32
        Neighbouring pieces.
    wall : (m,) float64
        What a border there costs: little where something wide is drawn.
    """

    pieces: NDArray[np.object_]
    key: NDArray[np.int64]
    centre: NDArray[np.float64]
    area: NDArray[np.float64]
    whole: NDArray[np.bool_]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    wall: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settled:
    """All villages of the sample.

    Attributes
    ----------
    villages : GeoDataFrame
        code, name, parent, kind; polygons in EPSG:4490 on the integer grid, a valid coverage.
    key : (n, 2) int64
        Lattice cells of the sample, and with them
    village : (n,) int64
        the row of the village each belongs to, and
    whole : (n,) bool
        whether the county outline leaves the cell whole.
    metric : (v,) polygons
        The villages in metres.
    """

    villages: gpd.GeoDataFrame
    key: NDArray[np.int64]
    village: NDArray[np.int64]
    whole: NDArray[np.bool_]
    metric: NDArray[np.object_]


def settle(
    table: pd.DataFrame,
    outlines: Mapping[str, shapely.Polygon],
    lattice: Lattice,
    wanted: Sequence[str],
) -> Settled:
    """Divide county outlines into townships and villages along the lattice.

    Parameters
    ----------
    table : DataFrame
        The divisions.
    outlines : mapping
        County outlines in degrees; those of 川汇区 and 商水县 both, where the port zone is wanted.
    wanted : sequence of str
        County codes to return.
    """
    rows: list[str] = []
    keys, owners, whole, polygons, inserted = [], [], [], [], []
    villages = table[table["level"] == "village"]
    for county, outline in outlines.items():
        land, added = cut_cells(outline, lattice)
        inserted.append(added)
        for township, members in _townships(land, table, county, lattice.seed).items():
            own = villages[villages["parent"] == township]
            zone = _villages(land, members, own, lattice.seed)
            codes = own["code"].to_numpy()
            if own["parent"].iloc[0][:6] not in wanted:
                continue
            for number in range(len(own)):
                cells = members[zone == number]
                polygons.append(shapely.coverage_union_all(land.pieces[cells]))
                keys.append(land.key[cells])
                whole.append(land.whole[cells])
                owners.append(np.full(len(cells), len(rows)))
                rows.append(codes[number])
    degrees = _noded(np.array(polygons), np.concatenate(inserted))
    frame = gpd.GeoDataFrame({"code": rows}, geometry=degrees, crs="EPSG:4490")
    frame = frame.merge(villages[["code", "name", "parent", "kind"]], on="code", how="left")
    order = np.argsort(frame["code"].to_numpy())
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    frame = frame.iloc[order].reset_index(drop=True)
    return Settled(
        frame,
        np.concatenate(keys),
        rank[np.concatenate(owners)],
        np.concatenate(whole),
        shapely.transform(frame.geometry.to_numpy(), plane.to_metres),
    )


def cut_cells(outline: shapely.Polygon, lattice: Lattice) -> tuple[Land, NDArray[np.int64]]:
    """Cut the lattice at an outline; scraps of cells join a neighbour.

    Returns the land and the vertices inserted into the outline's segments (rows `ax ay bx by x y`).
    """
    nodes = to_integers(plane.to_degrees(lattice.nodes.reshape(-1, 2))).astype(np.float64)
    ni, nj = lattice.nodes.shape[:2]
    nodes = nodes.reshape(ni, nj, 2)
    ring = np.stack(
        [nodes[:-1, :-1], nodes[1:, :-1], nodes[1:, 1:], nodes[:-1, 1:], nodes[:-1, :-1]], axis=2
    )
    exact = shapely.transform(outline, lambda xy: to_integers(xy).astype(np.float64))
    shapely.prepare(exact)
    i, j = (index.ravel() for index in lattice.cell_keys())
    ring = ring.reshape(-1, 5, 2)
    west, south, east, north = exact.bounds
    low, high = ring.min(axis=1), ring.max(axis=1)
    near = (high >= (west, south)).all(axis=1) & (low <= (east, north)).all(axis=1)
    cells, i, j = shapely.polygons(ring[near]), i[near], j[near]
    touching = np.flatnonzero(shapely.intersects(exact, cells))
    inner = shapely.contains_properly(exact, cells[touching])
    uncut, cut = touching[inner], touching[~inner]
    pieces, cell = _cut(cells[cut], cut, exact)
    pieces, cell = np.concatenate([cells[uncut], pieces]), np.concatenate([uncut, cell])
    key = np.column_stack([i[cell], j[cell]])
    pieces, key = _without_scraps(pieces, key, float(np.median(shapely.area(cells))))
    first, second, length = _neighbours(pieces)
    metric = plane.to_metres(to_degrees(_points(pieces)))
    wall = length * _openness(lattice, key[first], key[second])
    clipped = np.column_stack([i[cut], j[cut]]) @ [1, 1 << 20]
    whole = ~np.isin(key @ [1, 1 << 20], clipped)
    land = Land(pieces, key, metric, shapely.area(pieces), whole, first, second, wall)
    return land, inserted_vertices(pieces, exact)


def _cut(
    cells: NDArray[np.object_], number: NDArray[np.int64], outline: shapely.Polygon
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return the parts of the cells inside the outline, and the cell each comes from."""
    lines = shapely.union_all(
        np.append(shapely.boundary(cells), shapely.boundary(outline)), grid_size=1.0
    )
    faces = shapely.get_parts(shapely.polygonize([lines]))
    points = shapely.point_on_surface(faces)
    kept = shapely.contains(outline, points)
    faces, points = faces[kept], points[kept]
    face, cell = shapely.STRtree(cells).query(points, predicate="intersects")
    unique, at = np.unique(face, return_index=True)
    return faces[unique], number[cell[at]]


def _without_scraps(
    pieces: NDArray[np.object_], key: NDArray[np.int64], cell_area: float
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Join small pieces to the neighbour with the longest border until none is left."""
    for _ in range(12):
        area = shapely.area(pieces)
        small = np.flatnonzero(area < _SCRAP * cell_area)
        if not len(small):
            break
        first, second, length = _neighbours(pieces)
        target = np.arange(len(pieces))
        both = np.concatenate([first, second]), np.concatenate([second, first])
        share = np.tile(length, 2)
        order = np.lexsort([both[1], -share, both[0]])
        source, partner = both[0][order], both[1][order]
        heads, at = np.unique(source, return_index=True)
        best = dict(zip(heads.tolist(), partner[at].tolist(), strict=True))
        taken: set[int] = set()
        for piece in small.tolist():
            other = best.get(piece)
            if other is None or piece in taken or target[other] != other:
                continue
            target[piece] = other
            taken.update((piece, other))
        joining = np.flatnonzero(target != np.arange(len(pieces)))
        pieces = pieces.copy()
        for piece in joining.tolist():
            pieces[target[piece]] = shapely.coverage_union_all(pieces[[target[piece], piece]])
        pieces, key = np.delete(pieces, joining), np.delete(key, joining, axis=0)
    return pieces, key


def _neighbours(
    pieces: NDArray[np.object_],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Return pairs of pieces with shared edges, first < second, and the shared length."""
    rings, owner = shapely.get_rings(shapely.orient_polygons(pieces), return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    tail = np.flatnonzero(ring[:-1] == ring[1:])
    a, b, face = xy[tail], xy[tail + 1], owner[ring[tail]]
    swap = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    low, high = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    order = np.lexsort([high[:, 1], high[:, 0], low[:, 1], low[:, 0]])
    ends = np.hstack([low, high])[order]
    same = np.flatnonzero((ends[1:] == ends[:-1]).all(axis=1))
    one, other = face[order[same]], face[order[same + 1]]
    length = np.hypot(*(ends[same, 2:] - ends[same, :2]).T)
    pair = np.minimum(one, other) * np.int64(len(pieces)) + np.maximum(one, other)
    unique, at = np.unique(pair, return_inverse=True)
    total = np.bincount(at, length)
    return (
        (unique // len(pieces)).astype(np.int32),
        (unique % len(pieces)).astype(np.int32),
        total.astype(np.float64),
    )


def _openness(
    lattice: Lattice, one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what a border between two cells costs: the wider the thing drawn there, the less."""
    step = other - one
    at = np.maximum(one, other) - np.array([lattice.i0, lattice.j0])
    kind = np.zeros(len(one), np.uint8)
    east = np.abs(step) @ np.array([1, 2]) == 1
    north = np.abs(step) @ np.array([1, 2]) == 2
    kind[east] = lattice.along[at[east, 0], at[east, 1]]
    kind[north] = lattice.across[at[north, 0], at[north, 1]]
    open_ = 1.0 / (1.0 + 0.5 * kind.astype(np.float64))
    return open_ * np.where(kind == RIVER, 0.3, 1.0)


def _townships(
    land: Land,
    table: pd.DataFrame,
    county: str,
    seed: int,
) -> dict[str, NDArray[np.int64]]:
    """Return the pieces of each township laid in this outline."""
    townships = table[table["level"] == "township"]
    sizes = table[table["level"] == "village"].groupby("parent").size()
    own = list(townships["code"][townships["parent"] == county])
    port = [code for code, place in PORT_LAND.items() if place == county]
    everything = np.arange(len(land.pieces))
    rng = np.random.default_rng([seed, int(county)])
    shared: dict[str, NDArray[np.int64]] = {}
    if port:
        share = sizes[port].sum() / sizes[own + port].sum()
        inside = _around_port(land, share)
        shared |= _divide(land, everything[inside], port, sizes, rng)
        everything = everything[~inside]
    return shared | _divide(land, everything, own, sizes, rng)


def _around_port(land: Land, share: float) -> NDArray[np.bool_]:
    """Return the pieces nearest to the port, of about `share` of the land, connected.

    The port is a place on the border of the two counties; what would be cut off from the rest of
    its county by the zone joins the zone.
    """
    distance = np.hypot(*(land.centre - plane.to_metres(np.array([PORT]))[0]).T)
    nearest = np.argsort(distance, kind="stable")
    inside = np.zeros(len(distance), bool)
    inside[nearest[np.cumsum(land.area[nearest]) <= share * land.area.sum()]] = True
    inside = _largest(land, inside)
    return ~_largest(land, ~inside)


def _largest(land: Land, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of the pieces in `mask`."""
    label = np.where(mask, np.arange(len(mask)), -1)
    inner = mask[land.first] & mask[land.second]
    one, other = land.first[inner], land.second[inner]
    while True:
        low = np.minimum(label[one], label[other])
        before = label.copy()
        np.minimum.at(label, one, low)
        np.minimum.at(label, other, low)
        if (label == before).all():
            break
    sizes = np.bincount(label[mask], minlength=1)
    part: NDArray[np.bool_] = mask & (label == np.argmax(sizes))
    return part


def _divide(
    land: Land,
    members: NDArray[np.int64],
    codes: list[str],
    sizes: pd.Series,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.int64]]:
    """Split connected land among townships by their numbers of villages, by repeated halving."""
    if len(codes) == 1:
        return {codes[0]: members}
    half = len(codes) // 2
    share = float(sizes[codes[:half]].sum() / sizes[codes].sum())
    graph = _graph(land, members, land.area[members])
    side = trees.split_by_share(graph, share, _TRIES, rng)
    return _divide(land, members[side], codes[:half], sizes, rng) | _divide(
        land, members[~side], codes[half:], sizes, rng
    )


def _villages(
    land: Land, members: NDArray[np.int64], own: pd.DataFrame, seed: int
) -> NDArray[np.int64]:
    """Return the row in `own` of the village that each piece belongs to.

    Urban communities lie around the seat and are smaller.
    """
    code = int(own["code"].iloc[0][:9])
    rng = np.random.default_rng([seed, code])
    centre = land.centre[members]
    seat = centre[np.argmin(np.hypot(*(centre - centre.mean(axis=0)).T))]
    distance = np.hypot(*(centre - seat).T)
    urban = (own["kind"] == "居委会").to_numpy()
    town = distance < 1000 * np.sqrt(urban.sum() * _URBAN_KM2 / np.pi)
    weight = land.area[members] * np.where(town, _URBAN_WEIGHT, 1.0)
    weight *= 0.6 + 0.8 * chance(seed, land.key[members, 0] // 6, land.key[members, 1] // 6)
    graph = _graph(land, members, weight)
    zone = trees.bisect(graph, len(own), _TRIES, rng)
    zone, _ = annealing.anneal(graph, zone, len(own), _TERMS, rng)
    apart = np.bincount(zone, distance) / np.bincount(zone)
    ranked = np.empty(len(own), np.int64)
    ranked[np.argsort(apart, kind="stable")] = np.argsort(~urban, kind="stable")
    return ranked[zone]


def _graph(land: Land, members: NDArray[np.int64], load: NDArray[np.float64]) -> trees.Graph:
    """Return the graph among `members`; neither borders nor the outline are seen."""
    number = np.full(len(land.pieces), -1, np.int32)
    number[members] = np.arange(len(members), dtype=np.int32)
    one, other = number[land.first], number[land.second]
    inner = (one >= 0) & (other >= 0)
    row, neighbour, order = neighbour_rows(one[inner], other[inner], len(members))
    return trees.Graph(
        row=row,
        neighbour=neighbour,
        cost=np.tile(land.wall[inner], 2)[order],
        show=np.zeros(len(order)),
        shut=np.zeros(len(order), bool),
        load=load,
        area=land.area[members],
        outer=np.zeros(len(members)),
    )


def _points(pieces: NDArray[np.object_]) -> NDArray[np.int64]:
    points = shapely.get_coordinates(shapely.point_on_surface(pieces))
    return np.asarray(np.rint(points), np.int64)


def _noded(polygons: NDArray[np.object_], inserted: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the polygons in degrees, with the vertices of both sides of the county borders."""
    rings = integer_rings(shapely.transform(polygons, lambda xy: to_degrees(xy.astype(np.int64))))
    xy, starts = node_shared(rings.xy, rings.starts, inserted)
    offsets = np.searchsorted(rings.owners, np.arange(len(polygons) + 1))
    built: NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, to_degrees(xy), (starts, offsets)
    )
    normal: NDArray[np.object_] = shapely.normalize(built)
    return normal
