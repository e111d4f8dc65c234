"""Where to split: the excess by hand, the cut against all others with shapely."""

import itertools

import numpy as np
import pandas as pd
import pytest
import shapely

from geogrid import maps
from geogrid.edition import Edition
from geogrid.norms import Norms
from geogrid.partition.splits import proposal, where_to_split


def with_households(edition: Edition, households: dict[str, int]) -> Edition:
    """Give micro-grids these households, and the levels above their sums."""
    units = dict(edition.units)
    table = units["microgrid"]
    given = table["code"].map(households).fillna(table["households"]).astype("int64")
    units["microgrid"] = table.assign(households=given)
    sums = units["microgrid"].groupby("parent")["households"].sum()
    units["grid"] = units["grid"].assign(households=units["grid"]["code"].map(sums))
    return Edition.of(edition.info, units)


@pytest.fixture(scope="module")
def crowded(toy_edition) -> Edition:
    """Grid 411601001001001 has 400, 10, 20 and 30 households; the others about 140 in all.

    1 2
    3 4
    """
    codes = toy_edition.units["microgrid"]["code"][:4]
    return with_households(toy_edition, dict(zip(codes, (400, 10, 20, 30), strict=True)))


def test_without_norms_the_mean_of_the_kind_decides(crowded):
    households = crowded.units["grid"]["households"]
    limit = 1.25 * households.mean()
    found = where_to_split(crowded, most=99)
    assert len(found) == (households > limit).sum()
    assert found["households"].is_monotonic_decreasing
    first = found.iloc[0]
    assert first["code"] == "411601001001001"
    assert first["households"] == 460
    assert first["limit"] == round(limit)
    assert first["over"] == pytest.approx(460 / limit, abs=0.006)
    assert first["grids_needed"] == np.ceil(460 / limit)
    assert "460" in first["reason_zh"]
    assert "times the mean" in first["reason_en"]


def test_the_norm_of_the_kind_goes_before_the_mean(crowded):
    found = where_to_split(crowded, Norms.parse("rural=100-200/20-40"))
    assert set(found["limit"]) == {200}
    assert (found["households"] > 200).all()
    assert "标准上限 200 户" in found["reason_zh"][0]
    assert len(where_to_split(crowded, Norms.parse("rural=100-460/20-40"))) == 0


def test_dedicated_grids_are_not_split(crowded):
    units = dict(crowded.units)
    dedicated = np.where(units["grid"]["code"] == "411601001001001", "dedicated", "rural")
    units["grid"] = units["grid"].assign(kind=dedicated)
    found = where_to_split(Edition.of(crowded.info, units), Norms.parse("rural=100-200/20-40"))
    assert "411601001001001" not in set(found["code"])


def test_cut_is_the_most_even_one_of_two_pieces(toy_edition):
    """All ways to part the micro-grids of a grid, their pieces joined by shapely."""
    rng = np.random.default_rng(11)
    codes = toy_edition.units["microgrid"]["code"]
    edition = with_households(
        toy_edition, dict(zip(codes, rng.integers(1, 200, len(codes)).tolist(), strict=True))
    )
    found = where_to_split(edition, Norms.parse("rural=1-2/1-2"), most=64)
    assert len(found) == 64
    table = edition.units["microgrid"]
    for row in found.itertuples():
        own = table[table["parent"] == row.code].reset_index(drop=True)
        best = min(
            max(int(own.households[part].sum()), int(own.households[~part].sum()))
            for part in map(np.array, itertools.product([False, True], repeat=len(own)))
            if all(
                half.any() and shapely.union_all(own.geometry[half]).geom_type == "Polygon"
                for half in (part, ~part)
            )
        )
        assert max(row.households_stay, row.households_leave) == best
        assert row.households_stay + row.households_leave == row.households
        assert sorted(f"{row.stay} {row.leave}".split()) == own["code"].tolist()
        assert row.stay.split()[0] == own["code"][0]
        assert row.over_after == pytest.approx(best / 2, abs=0.01)


def test_equally_even_cuts_take_the_shorter_border(toy_edition):
    codes = toy_edition.units["microgrid"]["code"][:4]
    edition = with_households(toy_edition, dict.fromkeys(codes, 100))
    row = where_to_split(edition).set_index("code").loc["411601001001001"]
    table = edition.units["microgrid"].set_index("code").to_crs("EPSG:4547").geometry

    def border(leave: list[str]) -> float:
        halves = [table[[c for c in codes if (c in leave) == left]].union_all() for left in (0, 1)]
        return float(shapely.length(shapely.intersection(halves[0], halves[1])))

    halves = [list(each) for each in itertools.combinations(codes, 2)]
    whole = [h for h in halves if all(
        table[[c for c in codes if (c in h) == left]].union_all().geom_type == "Polygon"
        for left in (0, 1)
    )]  # fmt: skip
    assert row["households_stay"] == row["households_leave"] == 200
    assert border(row["leave"].split()) == pytest.approx(min(map(border, whole)), abs=0.01)


def test_grid_of_one_microgrid_has_no_cut(toy_edition):
    units = dict(toy_edition.units)
    micro, grid = units["microgrid"], units["grid"].copy()
    lone = micro.index[micro["parent"] == "411601001001001"]
    merged = micro.loc[lone[:1]].assign(households=900)
    merged["geom"] = grid.geometry[grid["code"] == "411601001001001"].to_numpy()
    units["microgrid"] = pd.concat([micro.drop(index=lone), merged])
    units["grid"] = grid.assign(
        households=grid["households"].where(grid["code"] != "411601001001001", 900)
    )
    first = where_to_split(Edition.of(toy_edition.info, units)).iloc[0]
    assert (first["code"], first["stay"], first["leave"]) == ("411601001001001", "", "")
    assert np.isnan(first["over_after"])


def test_proposal_can_be_drawn(crowded):
    states = proposal(crowded, where_to_split(crowded, most=2))
    assert set(states) == {"不变 unchanged", "保留 stay", "新网格 new grid"}
    assert (states != "不变 unchanged").sum() == 8
    picture = maps.picture(crowded, states, part="411601001001")
    texts = [text.get_text() for axes in picture.figure.axes for text in axes.texts]
    assert any(text.startswith("新网格 new grid (") for text in texts)


def test_nothing_to_split_is_an_empty_table(toy_edition):
    found = where_to_split(toy_edition, above=50)
    assert len(found) == 0
    assert "leave" in found
    assert set(proposal(toy_edition, found)) == {"不变 unchanged"}
