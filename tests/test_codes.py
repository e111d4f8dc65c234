"""Codes: format, parents, and the order in which serials are issued."""

import re

import numpy as np
import pytest

from geogrid.codes import LEVELS, CodeScheme, issue, parent_level
from geogrid.errors import DataError, QuotaError, UsageError

SCHEME = CodeScheme()


@pytest.mark.parametrize("level", LEVELS)
def test_pattern_takes_codes_of_its_level_only(level):
    digits = "411602001001003012"
    for other, length in SCHEME.lengths.items():
        matches = re.fullmatch(SCHEME.pattern(level), digits[:length]) is not None
        assert matches == (other == level)


@pytest.mark.parametrize("code", ["411602001001000", "41160200100100a", "４11602001001003"])
def test_pattern_refuses_serial_zero_and_other_characters(code):
    assert re.fullmatch(SCHEME.pattern("grid"), code) is None


def test_padded_code_is_cut_to_its_level():
    assert SCHEME.unpad("411602000000", "county") == "411602"
    assert SCHEME.unpad("411602001001", "village") == "411602001001"


@pytest.mark.parametrize("code", ["411602000001", "4116", "4.116e11", "411602x00000", ""])
def test_code_of_another_level_is_refused(code):
    with pytest.raises(DataError, match="as text"):
        SCHEME.unpad(code, "county")


def test_parents_are_one_level_up():
    assert [parent_level(level) for level in LEVELS[1:]] == list(LEVELS[:-1])
    assert SCHEME.parent_code("411602001001003012", "microgrid") == "411602001001003"
    with pytest.raises(UsageError, match="no parent"):
        parent_level("city")


def test_display_is_dashed_behind_the_village():
    assert SCHEME.display("411602001001") == "411602001001"
    assert SCHEME.display("411602001001003") == "411602001001-003"
    assert SCHEME.display("411602001001003012") == "411602001001-003-012"


def grid_of_points(n):
    """n x n points, rows from north to south."""
    x, y = np.meshgrid(np.arange(n), np.arange(n)[::-1])
    return np.column_stack([x.ravel(), y.ravel()]).astype(float)


def test_serials_run_west_to_east_in_bands_from_north_to_south():
    """1 2 3
    4 5 6
    7 8 9.
    """
    points = grid_of_points(3)
    codes = issue(np.full(9, "411602001001"), points, np.ones(9))
    assert codes.tolist() == [f"411602001001{k:03d}" for k in range(1, 10)]


def test_order_of_rows_does_not_change_the_codes():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (60, 2))
    parents = np.where(points[:, 0] < 40, "411602001001", "411602001002")
    areas = rng.uniform(50, 200, 60)
    codes = issue(parents, points, areas)
    assert len(set(codes)) == 60
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(60)
        np.testing.assert_array_equal(
            issue(parents[order], points[order], areas[order]), codes[order]
        )


def test_every_parent_starts_at_one_and_leaves_no_serial_out():
    parents = np.array(["411602001001"] * 3 + ["411602001002"] * 2)
    codes = issue(parents, grid_of_points(3)[:5], np.ones(5))
    assert sorted(code[12:] for code in codes[:3]) == ["001", "002", "003"]
    assert sorted(code[12:] for code in codes[3:]) == ["001", "002"]


def test_dedicated_units_take_serials_from_901():
    codes = issue(
        np.full(4, "411602001001"),
        grid_of_points(2),
        np.ones(4),
        dedicated=np.array([False, True, False, True]),
    )
    assert sorted(code[12:] for code in codes) == ["001", "002", "901", "902"]


def test_parent_with_too_many_units_is_named():
    with pytest.raises(QuotaError, match="411602001001"):
        issue(np.full(900, "411602001001"), grid_of_points(30), np.ones(900))


def test_new_units_take_serials_after_all_that_were_used() -> None:
    parent = "411602001001"
    held = np.array([f"{parent}002", "", "", ""])
    used = np.array([f"{parent}{serial}" for serial in ("001", "002", "007", "903")])
    special = np.array([False, False, False, True])
    codes = issue(
        np.full(4, parent), grid_of_points(2), np.ones(4), dedicated=special, held=held, used=used
    )
    assert codes.tolist() == [f"{parent}{serial}" for serial in ("002", "008", "009", "904")]
