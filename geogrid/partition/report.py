"""What a division is worth: balance, shape, and borders that can be seen."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.edition import Edition, to_metres
from geogrid.partition.assemble import Pieces


@dataclass(frozen=True, slots=True)
class LevelReport:
    """Figures of one level (`grid` or `microgrid`).

    Attributes
    ----------
    units : int
        Number of units.
    balance_p5, balance_p50, balance_p95 : float
        Percentiles of a unit's weight (households, or built-up area) over its parent's mean, less
        one.
    deviation : float
        Mean absolute deviation from the city's mean, as a share of it.
    floor : float
        The least such deviation that whole numbers of units per village allow.
    empty : int
        Units that weigh nothing.
    compactness, compactness_p5 : float
        Polsby-Popper, 4 pi area / perimeter²: mean and 5th percentile.
    seen : float
        Share of the length of inner borders that lies on edges seen in the imagery.
    seen_by_chance : float
        The same share for borders drawn blindly.
    """

    level: str
    units: int
    balance_p5: float
    balance_p50: float
    balance_p95: float
    deviation: float
    floor: float
    empty: int
    compactness: float
    compactness_p5: float
    seen: float
    seen_by_chance: float


def measure(edition: Edition, pieces: Pieces, codes: NDArray[np.str_]) -> list[LevelReport]:
    """Measure the grids and the micro-grids of a new edition; `codes` are those of the pieces."""
    table = edition.units["microgrid"]
    weight = pd.Series(pieces.weight, codes).reindex(table["code"]).to_numpy()
    if table["households"].sum() > 0:
        weight = table["households"].to_numpy(np.float64)
    length, seen = pieces.borders[:, :4:2].sum(axis=0), pieces.borders[:, 1:4:2].sum(axis=0)
    chance = pieces.borders[:, 4].sum() / pieces.borders[:, 5].sum()
    by_grid = pd.Series(weight).groupby(table["parent"].to_numpy()).sum()
    loads = [by_grid.reindex(edition.units["grid"]["code"]).to_numpy(), weight]
    return [
        _measure_level(
            edition, level, loads[k], (float(seen[k] / max(length[k], 1)), float(chance))
        )
        for k, level in enumerate(("grid", "microgrid"))
    ]


def as_table(reports: list[LevelReport]) -> pd.DataFrame:
    """Return the reports as rows."""
    return pd.DataFrame([asdict(report) for report in reports])


def _measure_level(
    edition: Edition, level: str, load: NDArray[np.float64], seen: tuple[float, float]
) -> LevelReport:
    table = edition.units[level]
    parent = table["parent"].to_numpy()
    siblings = pd.Series(load).groupby(parent)
    own = _relative(load, siblings.transform("mean").to_numpy())
    # Whole numbers of units: the best any method can do is every unit at its village's mean.
    villages = pd.Series(load).groupby([code[:12] for code in table["code"]])
    even = villages.transform("mean").to_numpy()
    mean = load.mean()
    shape = _polsby_popper(edition, level)
    low, middle, high = np.percentile(own, [5, 50, 95])
    return LevelReport(
        level=level,
        units=len(table),
        balance_p5=float(low),
        balance_p50=float(middle),
        balance_p95=float(high),
        deviation=float(np.abs(load / mean - 1).mean()),
        floor=float(np.abs(even / mean - 1).mean()),
        empty=int((load == 0).sum()),
        compactness=float(shape.mean()),
        compactness_p5=float(np.percentile(shape, 5)),
        seen=seen[0],
        seen_by_chance=seen[1],
    )


def _relative(load: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(load, mean, out=np.ones_like(load), where=mean > 0) - 1


def _polsby_popper(edition: Edition, level: str) -> NDArray[np.float64]:
    metric = to_metres(edition.units[level].geometry.to_numpy(), edition.info.working_crs)
    ratio: NDArray[np.float64] = 4 * np.pi * shapely.area(metric) / shapely.length(metric) ** 2
    return ratio
