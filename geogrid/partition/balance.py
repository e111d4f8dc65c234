"""Balance: what the units weigh against one another, against a norm, and at the very best."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geogrid.norms import Norm


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of a share: 0 is even, +0.5 half as much again, -1 nothing."""

    p5: float
    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, shares: NDArray[np.float64]) -> "Spread":
        """Return the 5th, 50th and 95th percentile and the maximum of one share or more."""
        return cls(*map(float, np.percentile(shares, [5, 50, 95, 100])))


def against_siblings(load: NDArray[np.float64], parent: NDArray[np.object_]) -> Spread:
    """Compare each unit with the mean of its parent's units; where that is 0, all are even."""
    mean = pd.Series(load).groupby(parent).transform("mean").to_numpy()
    return Spread.of(np.divide(load, mean, out=np.ones_like(load), where=mean > 0) - 1)


def against_norm(
    households: NDArray[np.float64], kind: NDArray[np.object_], norms: Mapping[str, Norm]
) -> tuple[Spread, float] | None:
    """Compare each unit with the norm of its kind.

    Returns
    -------
    (Spread, float) or None
        How far units lie above the norm's upper end or below its lower end, as a share of that end
        (0 inside), and the share of units inside. None when no unit has a norm.
    """
    least = pd.Series(kind).map({name: norm.least for name, norm in norms.items()}).to_numpy(float)
    most = pd.Series(kind).map({name: norm.most for name, norm in norms.items()}).to_numpy(float)
    known = ~np.isnan(least)
    if not known.any():
        return None
    load, least, most = households[known], least[known], most[known]
    beyond = np.where(load > most, load / most - 1, np.minimum(load / least - 1, 0.0))
    return Spread.of(beyond), float((beyond == 0).mean())


def deviation(load: NDArray[np.float64]) -> float:
    """Return the mean absolute deviation from the city's mean, as a share of that mean."""
    mean = load.mean()
    return float(np.abs(load / mean - 1).mean()) if mean > 0 else 0.0


def floor(load: NDArray[np.float64], village: NDArray[np.object_]) -> float:
    """Return the least deviation that the numbers of units per village allow.

    With whole units, the best that any method can do is every unit at its village's mean.
    """
    return deviation(pd.Series(load).groupby(village).transform("mean").to_numpy())


def floor_of_atoms(
    load: NDArray[np.float64],
    village: NDArray[np.object_],
    atoms: tuple[NDArray[np.float64], NDArray[np.str_]],
) -> float:
    """Return the least deviation when, besides, no atom can be cut.

    An atom heavier than the mean unit puts its unit above the mean by the difference, whatever the
    method. In a village of `n` units that weighs `W` the units above the city's mean `m` exceed it
    by `E = max(sum of these differences, W - n m, 0)` in all, those below lack `E - (W - n m)`.

    Parameters
    ----------
    atoms : weights, and codes of their villages
        Of all atoms, in the unit of `load`.
    """
    mean = load.mean()
    if mean <= 0:
        return 0.0
    weight, of = atoms
    sums = pd.Series(load).groupby(village).agg(["sum", "size"])
    over = pd.Series(np.maximum(weight - mean, 0.0)).groupby(of).sum()
    forced = over.reindex(sums.index).fillna(0.0).to_numpy()
    surplus = (sums["sum"] - sums["size"] * mean).to_numpy()
    above = np.maximum(np.maximum(forced, surplus), 0.0)
    return float((2 * above - surplus).sum() / (mean * len(load)))
