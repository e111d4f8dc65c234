"""Exact quotas: how many grids and micro-grids each village gets.

Webster's method (divisor rounding at the half) with at least one grid a village, at least one
micro-grid a grid, and no more zones than atoms. Weights are capped first: a tower of a thousand
people can only ever be one micro-grid, so it counts as one; otherwise its village would be handed
zones that it cannot fill.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geogrid.errors import QuotaError

# Weight that all the land together adds to the weights, as a share of their sum. At .02 fields
# pushed 2 % of the micro-grids beyond 20 % of their mean.
_LAND_SHARE = 0.005


def webster(
    weights: NDArray[np.float64],
    total: int,
    *,
    least: NDArray[np.int64],
    most: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Apportion `total` seats by weight between the limits `least` and `most`.

    Each next seat goes to the largest weight / (seats + 1/2); ties go to the earlier row.

    Returns
    -------
    (n,) int64
        Seats that sum to `total` exactly.

    Raises
    ------
    QuotaError
        `total` lies outside the sums of the limits.
    """
    if not least.sum() <= total <= most.sum():
        raise QuotaError(f"{total} is not between {least.sum()} and {most.sum()}")
    seats = _near(weights, total, least, most)
    while (missing := total - seats.sum()) != 0:
        if missing > 0:
            rank = np.where(seats < most, weights / (seats + 0.5), -np.inf)
            seats[np.argmax(rank)] += 1
        else:
            # Of equal ones the later row gives back, as the earlier would have been served first.
            rank = np.where(seats > least, weights / (seats - 0.5), np.inf)
            seats[len(rank) - 1 - np.argmin(rank[::-1])] -= 1
    return seats


def loads(
    weights: Sequence[NDArray[np.float64]], areas: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Return what each atom of each group counts: its share of the weight and a little land.

    Without the land, land that nobody lives on would weigh nothing and be divided anyhow.
    """
    total = sum(float(some.sum()) for some in weights)
    land = sum(float(some.sum()) for some in areas)
    if total <= 0:
        return [area / land for area in areas]
    return [
        weight / total + _LAND_SHARE * (area / land)
        for weight, area in zip(weights, areas, strict=True)
    ]


def capped(
    weights: Sequence[NDArray[np.float64]], n_zones: int
) -> tuple[NDArray[np.float64], float]:
    """Return each group's weight when no atom counts for more than one mean zone, and that mean.

    Parameters
    ----------
    weights : sequence of (k,) arrays
        Weights of the atoms of each group.
    n_zones : int
        Zones asked for in all; the mean is of the capped weights.
    """
    atoms = np.concatenate(weights)
    group = np.repeat(np.arange(len(weights)), [len(some) for some in weights])
    mean = atoms.sum() / n_zones
    while True:
        sums = np.bincount(group, np.minimum(atoms, mean), len(weights)).astype(np.float64)
        lower = sums.sum() / n_zones
        # The fixed point is reached from above and to within a millionth, or there is no weight.
        if lower >= mean * (1 - 1e-6) or lower == 0:
            return sums, float(lower)
        mean = lower


def _near(
    weights: NDArray[np.float64],
    total: int,
    least: NDArray[np.int64],
    most: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return seats by one divisor, found by bisection; their sum is close to `total`."""
    low, high = 0.0, (total + len(weights)) / max(weights.max(), 1e-300) * len(weights)
    for _ in range(200):
        middle = (low + high) / 2
        seats = np.clip(np.floor(weights * middle + 0.5), least, most).astype(np.int64)
        if seats.sum() > total:
            high = middle
        else:
            low = middle
    return np.clip(np.floor(weights * low + 0.5), least, most).astype(np.int64)
