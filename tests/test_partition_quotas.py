"""Numbers of units by village: fixed ones, the rest by weight, and tables that cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from geogrid.codes import kind_of
from geogrid.errors import QuotaError
from geogrid.norms import Norms
from geogrid.partition.quotas import Land, apportioned, read_counts

TOWN, FARM, HAMLET = "411602001001", "411602001201", "411602001202"


def land(*households: int) -> Land:
    """Villages of a hundred atoms each; their households are spread evenly."""
    codes = (TOWN, FARM, HAMLET)[: len(households)]
    weights = [np.full(100, n / 100) for n in households]
    return Land(
        codes, codes, [kind_of(code) for code in codes], weights, [np.ones(100)] * len(codes)
    )


def test_without_fixed_counts_seats_go_by_weight() -> None:
    assert apportioned(land(600, 300, 100), (5, 20), fixed={}).tolist() == [[3, 12], [1, 6], [1, 2]]


def test_fixed_villages_have_exactly_their_counts_and_the_rest_the_remainder() -> None:
    counts = apportioned(land(600, 300, 100), (6, 20), fixed={HAMLET: (3, 7), FARM: (0, 2)})
    assert counts[2].tolist() == [3, 7]
    assert counts[1, 1] == 2
    assert counts[1, 0] <= 2
    assert counts.sum(axis=0).tolist() == [6, 20]


def test_a_kind_with_a_larger_norm_gets_fewer_zones() -> None:
    even = apportioned(land(300, 300), (4, 12), fixed={})
    assert even.tolist() == [[2, 6], [2, 6]]
    norms = Norms.parse("urban=60,rural=30")
    assert apportioned(land(300, 300), (6, 12), fixed={}, norms=norms).tolist() == [[2, 4], [4, 8]]


@pytest.mark.parametrize(
    ("fixed", "totals", "message"),
    [
        ({"411602001999": (1, 1)}, (3, 9), "411602001999"),
        ({TOWN: (1, 101)}, (3, 200), r"411602001001 \(101 of 100\)"),
        ({TOWN: (4, 8)}, (5, 20), "5 grids cannot be reached.*6 at least, 1 off"),
        ({TOWN: (1, 1), FARM: (1, 1), HAMLET: (1, 1)}, (3, 5), "5 micro-grids.*3 at most, 2 off"),
    ],
)
def test_what_cannot_be_reached_is_refused_with_the_villages(fixed, totals, message) -> None:
    with pytest.raises(QuotaError, match=message):
        apportioned(land(600, 300, 100), totals, fixed=fixed)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_table_of_an_office_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "quotas.csv"
    rows = f"村代码,村名,网格数,微网格数\n{TOWN},陈州社区,4,28\n\n{FARM},大李庄,2,\n"
    path.write_text(rows, encoding=encoding)
    assert read_counts(path) == {TOWN: (4, 28), FARM: (2, 0)}


def test_every_bad_row_is_named_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text(
        f"code,grids,microgrids\n4.11602E+11,2,9\n{TOWN},2,9\n{TOWN},2,9\n{FARM},0,9\n"
        f"{HAMLET},3,2\n{HAMLET},2.5,7\n",
        encoding="utf-8",
    )
    with pytest.raises(QuotaError) as error:
        read_counts(path)
    for part in (
        "row 2: '4.11602E+11' is no village code", "row 4: 411602001001 stands there twice",
        "row 5: 411602001201 has counts 0 and 9", "row 6: 411602001202 has 3 grids and only 2",
        "row 7: 411602001202 has counts 2.5 and 7",
    ):  # fmt: skip
        assert part in str(error.value)


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text("name,count\na,1\n", encoding="utf-8")
    with pytest.raises(QuotaError, match="it has name, count"):
        read_counts(path)
