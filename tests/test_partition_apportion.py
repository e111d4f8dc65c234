"""Quotas are exact, fair and deterministic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geogrid.errors import QuotaError
from geogrid.partition.apportion import capped, webster


def slow_webster(weights, total, least, most):
    """Hand out seats one by one."""
    seats = least.copy()
    for _ in range(total - least.sum()):
        open_ = seats < most
        rank = np.where(open_, weights / (seats + 0.5), -1)
        seats[np.argmax(rank)] += 1
    return seats


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12), st.integers(0, 60))
def test_seats_sum_to_the_total_and_agree_with_handing_out_one_by_one(weights, more) -> None:
    weights = np.array(weights, float)
    least, most = np.ones(len(weights), np.int64), np.full(len(weights), 40)
    total = min(len(weights) + more, most.sum())
    seats = webster(weights, total, least=least, most=most)
    assert seats.sum() == total
    expected = slow_webster(weights, total, least, most)
    # Equal ratios may be served in either order; the ratios served are the same.
    assert sorted(weights / (seats + 0.5)) == pytest.approx(sorted(weights / (expected + 0.5)))


def test_limits_hold_and_impossible_totals_are_refused() -> None:
    weights = np.array([1000.0, 1.0, 1.0])
    least, most = np.ones(3, np.int64), np.array([4, 9, 9])
    assert webster(weights, 10, least=least, most=most).tolist() == [4, 3, 3]
    with pytest.raises(QuotaError, match="23 is not between 3 and 22"):
        webster(weights, 23, least=least, most=most)


def test_the_city_counts_come_out_exactly() -> None:
    rng = np.random.default_rng(0)
    weights = rng.lognormal(0, 0.7, 5113)
    ones, many = np.ones(5113, np.int64), np.full(5113, 800)
    grids = webster(weights, 14_738, least=ones, most=many)
    micro = webster(weights, 100_622, least=grids, most=many)
    assert (grids.sum(), micro.sum(), grids.min()) == (14_738, 100_622, 1)
    assert (micro >= grids).all()


def test_a_tower_counts_for_one_zone_only() -> None:
    sums, mean = capped([np.array([1000.0, 1, 1]), np.full(100, 1.0)], 10)
    assert sums.sum() == pytest.approx(10 * mean, rel=1e-5)
    assert sums[0] == pytest.approx(mean + 2, rel=1e-5)
