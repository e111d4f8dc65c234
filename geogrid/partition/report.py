"""What a division is worth: balance, shape, borders that can be seen, buildings kept whole."""

from dataclasses import asdict, dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.edition import Edition, to_metres
from geogrid.norms import Norms
from geogrid.partition.arcs import Borders, grid_borders, microgrid_borders, weak_edges
from geogrid.partition.assemble import Pieces
from geogrid.partition.balance import (
    against_norm,
    against_siblings,
    deviation,
    floor,
    floor_of_atoms,
)
from geogrid.partition.buildings import buildings_cut, empty_microgrids


@dataclass(frozen=True, slots=True)
class LevelReport:
    """Figures of one level (`grid` or `microgrid`); None where there is nothing to measure.

    Attributes
    ----------
    units : int
        Number of units.
    balance_p5, balance_p50, balance_p95, balance_max : float
        Percentiles of a unit's weight (households, or built-up area) over the mean of its parent's
        units, less one; of the grids, without dedicated ones.
    deviation : float
        Mean absolute deviation of the weight from the city's mean, as a share of it.
    floor : float
        The least such deviation that any method could reach: units are whole, and so are atoms.
    floor_counts : float
        The same when atoms could be cut at will.
    norm_p5, norm_p50, norm_p95, norm_max : float, optional
        Percentiles of how far households lie beyond the norm of the unit's kind, as a share of it;
        0 inside.
    norm_within : float, optional
        Share of the units with a norm that are inside it.
    empty : int
        Units that weigh nothing.
    compactness, compactness_p5 : float
        Polsby-Popper, 4 pi area / perimeter²: mean and 5th percentile.
    reock, reock_p5 : float
        Area over that of the smallest circle around: mean and 5th percentile.
    seen, lined : float
        Shares of the length of inner borders (those that are not the border of a village) on edges
        seen in the imagery, and on given lines.
    seen_by_chance, lined_by_chance : float
        The same shares for straight lines drawn blindly.
    border_seen, border_lined, border_link, border_unseen, border_administrative : float
        Shares of the length of all borders; they sum to 1. On edges seen; on given lines; on links,
        short and straight between two visible places; where nothing shows; on borders of villages.
    weak_edges : int
        Inner borders along which nothing shows (`arcs.weak_edges`).
    buildings_cut : int, optional
        Footprints with more than 1 % of their area outside the unit of most of it.
    buildings_cut_by_villages : int, optional
        Those among them that the border of a village cuts.
    """

    level: str
    units: int
    balance_p5: float
    balance_p50: float
    balance_p95: float
    balance_max: float
    deviation: float
    floor: float
    floor_counts: float
    norm_p5: float | None
    norm_p50: float | None
    norm_p95: float | None
    norm_max: float | None
    norm_within: float | None
    empty: int
    compactness: float
    compactness_p5: float
    reock: float
    reock_p5: float
    seen: float
    seen_by_chance: float
    lined: float
    lined_by_chance: float
    border_seen: float
    border_lined: float
    border_link: float
    border_unseen: float
    border_administrative: float
    weak_edges: int
    buildings_cut: int | None
    buildings_cut_by_villages: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a division.

    Attributes
    ----------
    levels : list of LevelReport
        Of the grids and of the micro-grids.
    weak_edges : GeoDataFrame
        As of `arcs.weak_edges`.
    empty : DataFrame, optional
        As of `buildings.empty_microgrids`; None where no households are known.
    """

    levels: list[LevelReport]
    weak_edges: gpd.GeoDataFrame
    empty: pd.DataFrame | None


def measure(
    edition: Edition,
    pieces: Pieces,
    codes: NDArray[np.str_],
    *,
    houses: gpd.GeoDataFrame | None = None,
    norms: Norms | None = None,
) -> Report:
    """Measure the grids and the micro-grids of a new edition.

    Parameters
    ----------
    codes : (n,) text
        The micro-grid code of each piece.
    houses : GeoDataFrame, optional
        The household layer, for buildings cut and micro-grids without people.
    norms : Norms, optional
        Households that units of some kind should have.
    """
    metric = {
        level: to_metres(edition.units[level].geometry.to_numpy(), edition.info.working_crs)
        for level in ("grid", "microgrid")
    }
    micro = microgrid_borders(edition, pieces, codes)
    borders = {"grid": grid_borders(edition, micro), "microgrid": micro}
    weak = weak_edges(edition, borders)
    weights = _weights(edition, pieces, codes)
    tracts = _tracts(edition, pieces, codes)
    cut: dict[str, int] = {}
    empty = None
    if houses is not None:
        shapes = _in_metres(houses, edition.info.working_crs)
        footprints = shapes[shapely.get_dimensions(shapes) == 2]
        cut = buildings_cut(edition, metric["microgrid"], footprints) if len(footprints) else {}
        empty = empty_microgrids(
            edition, pieces, (metric["microgrid"], tracts["microgrid"]), shapes
        )
    levels = [
        LevelReport(
            level=level,
            units=len(metric[level]),
            weak_edges=int((weak["level"] == level).sum()),
            buildings_cut=cut.get(level),
            buildings_cut_by_villages=cut.get("village"),
            **_balance(edition, level, weights[level], (tracts[level], pieces)),
            **_norm(edition, level, norms),
            **_shape(metric[level]),
            **_borders(borders[level], pieces.chance),
        )
        for level in ("grid", "microgrid")
    ]
    return Report(levels, weak, empty)


def as_table(levels: list[LevelReport]) -> pd.DataFrame:
    """Return the figures of the levels as rows, without columns in which nothing was measured."""
    return pd.DataFrame([asdict(level) for level in levels]).dropna(axis="columns", how="all")


def _in_metres(houses: gpd.GeoDataFrame, crs: str) -> NDArray[np.object_]:
    # GeoPandas projects a million shapes onto the same plane when only the order of axes differs.
    same = houses.crs.equals(crs, ignore_axis_order=True)
    shapes: NDArray[np.object_] = (houses if same else houses.to_crs(crs)).geometry.to_numpy()
    return shapes


def _weights(
    edition: Edition, pieces: Pieces, codes: NDArray[np.str_]
) -> dict[str, NDArray[np.float64]]:
    """Return what each unit weighs: its households or, where none are known, what was balanced."""
    table = edition.units["microgrid"]
    weight = pd.Series(pieces.weight, codes).reindex(table["code"]).to_numpy()
    if table["households"].sum() > 0:
        weight = table["households"].to_numpy(np.float64)
    by_grid = pd.Series(weight).groupby(table["parent"].to_numpy()).sum()
    return {
        "microgrid": weight,
        "grid": by_grid.reindex(edition.units["grid"]["code"]).to_numpy(),
    }


def _tracts(
    edition: Edition, pieces: Pieces, codes: NDArray[np.str_]
) -> dict[str, NDArray[np.object_]]:
    """Return the key of the tract of each unit."""
    table = edition.units["microgrid"]
    tract = pd.Series(pieces.tract, codes).reindex(table["code"])
    of_grid = pd.Series(tract.to_numpy(), table["parent"]).groupby(level=0).first()
    return {
        "microgrid": tract.to_numpy(object),
        "grid": of_grid.reindex(edition.units["grid"]["code"]).to_numpy(object),
    }


def _balance(
    edition: Edition,
    level: str,
    load: NDArray[np.float64],
    land: tuple[NDArray[np.object_], Pieces],
) -> dict[str, Any]:
    tract, pieces = land
    table = edition.units[level]
    # A site is one grid, whatever it weighs: only the others can be even among themselves.
    basic = ((table["kind"] != "dedicated") | (level == "microgrid")).to_numpy()
    if not basic.any():
        basic = ~basic
    siblings = tract if level == "grid" else table["parent"].to_numpy()
    own = against_siblings(load[basic], siblings[basic])
    return {
        "balance_p5": own.p5,
        "balance_p50": own.p50,
        "balance_p95": own.p95,
        "balance_max": own.max,
        "deviation": deviation(load),
        "floor": floor_of_atoms(load, tract, (pieces.atom_weight, pieces.atom_tract)),
        "floor_counts": floor(load, tract),
        "empty": int((load == 0).sum()),
    }


def _norm(edition: Edition, level: str, norms: Norms | None) -> dict[str, Any]:
    table = edition.units[level]
    names = ("norm_p5", "norm_p50", "norm_p95", "norm_max", "norm_within")
    if norms is None or table["households"].sum() == 0:
        return dict.fromkeys(names)
    households, kind = table["households"].to_numpy(np.float64), table["kind"].to_numpy()
    found = against_norm(households, kind, norms.of(level))
    if found is None:
        return dict.fromkeys(names)
    spread, within = found
    return dict(zip(names, (spread.p5, spread.p50, spread.p95, spread.max, within), strict=True))


def _shape(metric: NDArray[np.object_]) -> dict[str, Any]:
    area = shapely.area(metric)
    round_ = 4 * np.pi * area / shapely.length(metric) ** 2
    reock = area / (np.pi * shapely.minimum_bounding_radius(metric) ** 2)
    return {
        "compactness": float(round_.mean()),
        "compactness_p5": float(np.percentile(round_, 5)),
        "reock": float(reock.mean()),
        "reock_p5": float(np.percentile(reock, 5)),
    }


def _borders(borders: Borders, chance: NDArray[np.float64]) -> dict[str, Any]:
    length, seen, lined, link = borders.table[["length", "seen", "lined", "link"]].sum()
    every = length + borders.administrative
    inner = max(length, 1e-9)
    by_chance = chance[:, :2].sum(axis=0) / max(chance[:, 2].sum(), 1.0)
    return {
        "seen": seen / inner,
        "seen_by_chance": float(by_chance[0]),
        "lined": lined / inner,
        "lined_by_chance": float(by_chance[1]),
        "border_seen": seen / every,
        "border_lined": lined / every,
        "border_link": link / every,
        "border_unseen": (length - seen - lined - link) / every,
        "border_administrative": borders.administrative / every,
    }
