"""Repair: what has one right answer is mended, the rest is left; all of it can be taken back."""

import itertools

import geopandas as gpd
import numpy as np
import planted
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from test_coverage_planted import partition_of

import geogrid as gg
from geogrid.codes import LEVELS
from geogrid.coverage import check, repair
from geogrid.edition import to_degrees, to_integers
from geogrid.errors import DataError, UsageError

MENDED = ("gap sliver", "overlap sliver", "duplicated unit")
LEFT = ("deleted unit", "wrong parent", "wrong code", "bow-tie")


def errors(findings) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((each.rule, each.codes) for each in findings if each.severity == "error")


def same_bytes(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> np.ndarray:
    return shapely.to_wkb(one.geometry.to_numpy()) == shapely.to_wkb(other.geometry.to_numpy())


def test_nothing_is_done_to_a_clean_city(toy_edition) -> None:
    edition, log = repair(toy_edition)
    assert edition is toy_edition
    assert len(log) == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", MENDED)
def test_what_is_certain_is_mended_on_all_levels(toy_edition, kind, seed) -> None:
    layers, (fault,) = planted.plant(toy_edition, {kind: 1}, seed)
    mended, log = repair(layers)
    assert list(check(mended)) == []
    assert len(log) >= 1
    assert set(fault.codes[:1]) <= {code for change in log for code in change.codes}
    assert {len(frame) for frame in mended.values()} == set(toy_edition.counts().values())


@pytest.mark.parametrize("kind", LEFT)
def test_what_is_not_certain_is_left_and_reported_as_before(toy_edition, kind) -> None:
    layers, key = planted.plant(toy_edition, {kind: 1}, seed=2)
    before = check(layers)
    mended, log = repair(layers)
    assert errors(check(mended)) == errors(before)
    assert planted.unfound(key, check(mended)) == []
    assert len(log) == 0


@pytest.mark.parametrize("seed", range(6))
def test_only_the_neighbourhood_changes_and_no_area_is_lost(toy_edition, seed) -> None:
    kind = ("gap sliver", "overlap sliver")[seed % 2]
    layers, _ = planted.plant(toy_edition, {kind: 1}, seed)
    faults = shapely.union_all([each.shape for each in check(layers)])
    mended, _ = repair(layers)
    frame = layers["microgrid"]
    touched = shapely.dwithin(frame.geometry.to_numpy(), faults, 3e-8)
    assert same_bytes(frame, mended["microgrid"])[~touched].all()
    assert (frame["code"] == mended["microgrid"]["code"]).all()
    area = shapely.area(mended["microgrid"].geometry.to_numpy()).sum()
    assert area == pytest.approx(
        shapely.area(toy_edition.units["city"].geometry.iloc[0]), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(4))
def test_no_unit_is_lost_renamed_or_split_and_parents_are_unions(toy_edition, seed) -> None:
    """By GEOS, on all levels, of units whose children have no fault that was left."""
    numbers = {"gap sliver": 1, "overlap sliver": 1, "duplicated unit": 1, "deleted unit": 1}
    layers, key = planted.plant(toy_edition, numbers, seed)
    mended, _ = repair(layers)
    (deleted,) = (fault.place for fault in key if fault.kind == "deleted unit")
    for above, level in itertools.pairwise(LEVELS):
        parents, children = mended[above], mended[level]
        assert set(children["code"]) == set(layers[level]["code"])
        assert children["code"].is_unique
        assert (shapely.get_type_id(children.geometry.to_numpy()) == 3).all()
        for code, shape in zip(parents["code"], parents.geometry, strict=True):
            union = shapely.union_all(children.geometry[children["parent"] == code].to_numpy())
            if level == "microgrid" and shape.intersects(deleted):
                assert shape.covers(union)
            else:
                assert shapely.equals(union, shape)


@pytest.mark.parametrize("seed", range(6))
def test_repairing_again_changes_nothing(toy_edition, seed) -> None:
    kinds = list(planted.FULL)
    numbers = {kinds[seed]: 1, kinds[seed + 2]: 1}
    layers, _ = planted.plant(toy_edition, numbers, seed)
    once, _ = repair(layers)
    twice, log = repair(once)
    assert len(log) == 0
    for level in LEVELS:
        assert same_bytes(once[level], twice[level]).all()


@pytest.mark.parametrize("seed", [6, 12])
@pytest.mark.parametrize("kinds", [{"moved vertex": 8}, {"bow-tie": 2, "moved vertex": 3}])
def test_what_is_left_is_named_as_it_was_on_every_level(toy_edition, seed, kinds) -> None:
    """Wide faults on borders of grids, and slivers beside crossed rings, change no parent."""
    layers, _ = planted.plant(toy_edition, kinds, seed)
    before = check(layers)
    mended, _ = repair(layers)
    left = errors(check(mended))
    assert left
    assert set(left) <= set(errors(before))
    assert len(repair(mended)[1]) == 0


def test_a_sliver_beside_a_crossed_ring_is_left_until_the_ring_is_redrawn() -> None:
    r"""A crossed ring a; between it and b a sliver of half a metre, which may belong to either.

    +   /+---+
    |\ /(    |
    | X s  b |
    |/ \(    |
    +   \+---+
    """
    x, y, h = 114.0, 33.0, 0.0012
    notch = [(h, h / 3), (h - 5e-6, h / 3), (h - 5e-6, h * 2 / 3), (h, h * 2 / 3)]
    square = np.array([(0, 0), (h, 0), *notch, (h, h), (0, h)]) + np.array([x, y])
    b = shapely.box(x + h, y, x + 2 * h, y + h)
    city = gpd.GeoDataFrame(geometry=[shapely.box(x, y, x + 2 * h, y + h)], crs="EPSG:4490")

    def drawn(ring: np.ndarray) -> dict[str, gpd.GeoDataFrame]:
        shapes = [shapely.Polygon(ring), b]
        codes = ["411601001001", "411601001002"]
        return {"village": gpd.GeoDataFrame({"code": codes}, geometry=shapes, crs="EPSG:4490")}

    crossed = drawn(square[[7, 1, 2, 3, 4, 5, 6, 0]])
    before = errors(check(crossed, city))
    assert {"invalid_geometry", "sliver"} <= {rule for rule, _ in before}
    mended, log = repair(crossed, city)
    assert len(log) == 0
    assert errors(check(mended, city)) == before
    mended, log = repair(drawn(square), city)
    assert {"gap"} <= {change.rule for change in log}
    assert errors(check(mended, city)) == []


def test_a_repair_is_taken_back_whole_or_one_by_one(toy_edition) -> None:
    layers, _ = planted.plant(toy_edition, {"gap sliver": 1, "overlap sliver": 1}, seed=3)
    mended, log = repair(layers)
    for level, frame in log.undone().items():
        assert same_bytes(frame, layers[level]).all()
    first = next(change for change in log if change.level == "microgrid")
    back = log.undo(mended, first)
    rows = list(first.rows)
    assert same_bytes(back["microgrid"], layers["microgrid"])[rows].all()
    others = np.setdiff1d(np.arange(len(back["microgrid"])), rows)
    assert same_bytes(back["microgrid"], mended["microgrid"])[others].all()
    assert "sliver" in {each.rule for each in check(back)}


def test_a_dropped_row_cannot_be_taken_back_by_itself(toy_edition) -> None:
    layers, _ = planted.plant(toy_edition, {"duplicated unit": 1}, seed=3)
    mended, log = repair(layers)
    with pytest.raises(DataError, match="undone"):
        log.undo(mended, log.changes[0])


def test_of_equal_polygons_the_one_with_a_parent_stays(toy_edition) -> None:
    layers = {level: toy_edition[level] for level in LEVELS}
    frame = layers["microgrid"]
    orphan = frame.iloc[[7]].assign(code="411601001001001099", parent="411699001001001")
    import pandas as pd

    layers["microgrid"] = pd.concat([orphan, frame], ignore_index=True)
    mended, log = repair(layers)
    assert list(mended["microgrid"]["code"]) == list(frame["code"])
    (change,) = log
    assert change.codes == (frame["code"].iloc[7], "411601001001001099")


def test_a_vertex_missing_in_the_neighbour_is_added_and_noted() -> None:
    frame = gpd.GeoDataFrame(
        {"code": ["411601001001", "411601001002", "411601001003"]},
        geometry=[
            shapely.box(114.0, 33.01, 114.01, 33.02),
            shapely.box(114.0, 33.0, 114.01, 33.01),
            shapely.box(114.01, 33.0, 114.02, 33.02),
        ],
        crs="EPSG:4490",
    )
    mended, log = repair({"village": frame})
    assert list(check(mended)) == []
    (change,) = log
    assert (change.rule, change.point) == ("unmatched_vertex", (114.01, 33.01))
    assert change.vertices_after == change.vertices_before + 1


def test_a_strip_at_the_outer_boundary_is_filled_or_cut() -> None:
    city = gpd.GeoDataFrame(
        {"code": ["4116"]}, geometry=[shapely.box(114.0, 33.0, 114.02, 33.01)], crs="EPSG:4490"
    )
    boxes = [
        shapely.box(114.000004, 33.0, 114.01, 33.01),
        shapely.box(114.01, 33.0, 114.020004, 33.01),
    ]
    frame = gpd.GeoDataFrame(
        {"code": ["411601", "411602"], "parent": ["4116"] * 2}, geometry=boxes, crs="EPSG:4490"
    )
    mended, log = repair({"city": city, "county": frame})
    assert list(check(mended)) == []
    assert {change.rule for change in log} == {"gap", "outside", "union_differs"}
    assert mended["county"].geometry.iloc[0].equals(shapely.box(114.0, 33.0, 114.01, 33.01))


def test_a_layer_in_metres_comes_back_in_degrees_on_the_grid(toy_edition) -> None:
    frame = toy_edition["village"].to_crs("EPSG:4547")
    mended, _ = repair({"village": frame})
    xy = shapely.get_coordinates(mended["village"].geometry.to_numpy())
    assert (xy == to_degrees(to_integers(xy))).all()
    assert [each.rule for each in check(mended) if each.severity == "error"] == []


def test_an_edition_comes_back_as_an_edition_that_names_its_parent(toy_edition) -> None:
    layers, _ = planted.plant(toy_edition, {"gap sliver": 1}, seed=1)
    faulty = gg.Edition.of(toy_edition.info, layers)
    mended, log = repair(faulty)
    assert isinstance(mended, gg.Edition)
    assert list(check(mended)) == []
    assert mended.info.parent_id == faulty.info.id
    assert len(log.to_dataframe()) == len(log)
    assert "缝隙划归" in log.to_json()


@pytest.mark.parametrize("width", [0, -1.0])
def test_a_width_of_nothing_is_refused(toy_edition, width) -> None:
    with pytest.raises(UsageError, match="max_gap_width"):
        repair(toy_edition, max_gap_width=width)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(9, 60), noise=st.floats(1e-8, 3e-6))
@settings(max_examples=25, deadline=None)
def test_noisy_random_partitions_are_mended_to_coverages(seed, n, noise) -> None:
    """Every unit's own vertices are moved by up to 30 cm: no two borders are equal any more."""
    layers = partition_of(seed, n)
    if layers is None:
        return
    rng = np.random.default_rng(seed)
    frame = layers["village"]
    city = frame.dissolve().assign(code="411601001")[["code", "geometry"]]
    closed = [
        shapely.Polygon(ring + rng.uniform(-noise, noise, ring.shape))
        for ring in (np.array(shape.exterior.coords)[:-1] for shape in frame.geometry)
    ]
    if not shapely.is_valid(closed).all():
        return
    noisy = {
        "township": city,
        "village": frame.assign(parent="411601001").set_geometry(
            gpd.GeoSeries(closed, crs="EPSG:4490")
        ),
    }
    mended, done = repair(noisy)
    assert list(mended["village"]["code"]) == list(frame["code"])
    assert (shapely.get_type_id(mended["village"].geometry.to_numpy()) == 3).all()
    union = shapely.union_all(mended["village"].geometry.to_numpy(), grid_size=1e-8)
    assert shapely.equals(union, mended["township"].geometry.iloc[0])
    named = {code for change in done for code in change.codes}
    untouched = ~frame["code"].isin(named).to_numpy()
    assert same_bytes(noisy["village"], mended["village"])[untouched].all()
    left = [e.rule for e in check(mended) if e.severity == "error" and e.rule != "malformed_code"]
    assert left == []
    twice, log = repair(mended)
    assert len(log) == 0
    area = shapely.area(mended["village"].geometry.to_numpy()).sum()
    assert area == pytest.approx(city.geometry.iloc[0].area, rel=1e-9)
    assert same_bytes(mended["village"], twice["village"]).all()
