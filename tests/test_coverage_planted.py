"""Faults planted at random into a clean city are all found, placed and named; nothing else is."""

import numpy as np
import planted
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import geogrid as gg
from geogrid.codes import LEVELS
from geogrid.coverage import check
from geogrid.edition import snap, to_degrees


@pytest.mark.parametrize("seed", range(12))
def test_every_planted_fault_is_found_where_it_is_and_nothing_else(toy_edition, seed) -> None:
    kinds = list(planted.FULL)
    numbers = {kinds[seed % len(kinds)]: 1, kinds[(seed * 3 + 1) % len(kinds)]: 1}
    layers, key = planted.plant(toy_edition, numbers, seed)
    findings = check(layers)
    assert planted.unfound(key, findings) == []
    assert planted.false_alarms(key, findings) == []
    assert not findings.ok or {fault.kind for fault in key} == {"wrong code"}


@pytest.mark.parametrize(
    "kind",  # no edition can hold the others: codes are unique and polygons valid
    ["moved vertex", "deleted unit", "gap sliver", "overlap sliver", "wrong parent"],
)
def test_a_fault_of_each_kind_is_found_around_its_units(toy_edition, kind) -> None:
    """The local check of an edited unit says what the whole check says of it."""
    layers, (fault,) = planted.plant(toy_edition, {kind: 1}, seed=5)
    edition = gg.Edition.of(toy_edition.info, layers)
    near = [code for code in fault.codes if code in set(layers["microgrid"]["code"])]
    found = check(edition, around=near)
    assert planted.unfound([fault], found) == []
    whole = [each for each in check(edition) if each.severity == "error"]
    assert {(each.rule, each.codes) for each in found} == {(e.rule, e.codes) for e in whole}


def test_the_neighbourhood_of_any_unit_of_a_clean_city_is_clean(toy_edition) -> None:
    for level in LEVELS:
        for code in toy_edition.units[level]["code"].iloc[::7]:
            assert list(check(toy_edition, around=[code])) == []


def test_an_unknown_code_is_refused(toy_edition) -> None:
    with pytest.raises(gg.errors.UnknownCodeError, match="999"):
        check(toy_edition, around=["999"])


def partition_of(seed: int, n: int) -> dict | None:
    """Return a random planar partition of a square of about a kilometre into villages."""
    rng = np.random.default_rng(seed)
    box = shapely.box(0, 0, 1, 1)
    cells = shapely.voronoi_polygons(shapely.multipoints(rng.random((n, 2))), extend_to=box)
    cells = shapely.intersection(shapely.get_parts(cells), box)
    cells = snap(shapely.transform(cells, lambda xy: xy / 100 + np.array([114.0, 33.0])))
    if not (shapely.is_valid(cells).all() and shapely.coverage_is_valid(cells)):
        return None
    codes = [f"411601001{k:03}" for k in range(1, len(cells) + 1)]
    import geopandas as gpd

    return {"village": gpd.GeoDataFrame({"code": codes}, geometry=cells, crs="EPSG:4490")}


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 80))
@settings(max_examples=40, deadline=None)
def test_no_false_alarm_on_random_partitions(seed, n) -> None:
    layers = partition_of(seed, n)
    if layers is None:
        return
    assert [each for each in check(layers) if each.rule != "spike"] == []


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(9, 80),
    row=st.integers(0, 79),
    steps=st.integers(2, 100_000),
    angle=st.floats(0, 2 * np.pi),
)
@settings(max_examples=80, deadline=None)
def test_no_moved_vertex_above_two_millimetres_is_missed(seed, n, row, steps, angle) -> None:
    layers = partition_of(seed, n)
    if layers is None:
        return
    frame = layers["village"]
    row %= len(frame)
    city = frame.dissolve()
    shapes = frame.geometry.to_numpy().copy()
    xy = np.rint(shapely.get_coordinates(shapes[row])[:-1] * 1e8).astype(np.int64)
    xy[0] += np.rint(steps * np.array([np.cos(angle), np.sin(angle)])).astype(np.int64)
    shapes[row] = shapely.Polygon(to_degrees(xy))
    if shapes[row].equals(frame.geometry.iloc[row]):
        return  # moved along a straight border
    findings = check({"village": frame.set_geometry(shapes).set_crs(4490)}, container=city)
    assert not findings.ok or "unmatched_vertex" in {each.rule for each in findings}
    named = {code for each in findings if each.severity == "error" for code in each.codes}
    assert frame["code"].iloc[row] in named
