"""Pairing of half-edges: compiled, as Python, and against dictionaries."""

from collections import Counter

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geogrid._kernels.edges import pair
from geogrid.coverage.edges import half_edges, match, on_integer_grid, outline
from geogrid.errors import CoordinateError, DataError


def random_edges(seed, n=400, side=6):
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, side, (n, 4))
    edges = edges[(edges[:, :2] != edges[:, 2:]).any(axis=1)]
    return edges.astype(np.int64), rng.integers(0, 3, len(edges))


@pytest.mark.parametrize("seed", range(5))
def test_compiled_pairing_equals_python(seed):
    edges, labels = random_edges(seed, n=120)
    for compiled, plain in zip(pair(edges, labels), pair.py_func(edges, labels), strict=True):
        np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize("seed", range(5))
def test_pairing_leaves_the_difference_of_both_directions(seed):
    edges, labels = random_edges(seed)
    twin, first = pair(edges, labels)
    keys = [(*edge, label) for edge, label in zip(edges.tolist(), labels.tolist(), strict=True)]
    count = Counter(keys)
    left = Counter(key for key, other in zip(keys, twin, strict=True) if other < 0)
    for key in count:
        x0, y0, x1, y1, label = key
        assert left[key] == max(0, count[key] - count[(x1, y1, x0, y0, label)])
    matched = np.flatnonzero(twin >= 0)
    np.testing.assert_array_equal(twin[twin[matched]], matched)
    for row, key in enumerate(keys):
        earliest = keys.index(key)
        assert first[row] == (-1 if earliest == row else earliest)


def test_edges_of_other_labels_are_no_twins():
    edges = np.array([[0, 0, 1, 0], [1, 0, 0, 0]], np.int64)
    assert pair(edges, np.array([0, 1]))[0].tolist() == [-1, -1]
    assert pair(edges, np.array([1, 1]))[0].tolist() == [1, 0]


def test_outline_of_two_squares_has_no_shared_edge():
    squares = np.array([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)])
    edges = half_edges(squares)
    assert len(edges) == 8
    assert len(outline(edges)) == 6


def test_holes_run_the_other_way_round():
    ring = shapely.box(0, 0, 3, 3) - shapely.box(1, 1, 2, 2)
    edges = half_edges(np.array([ring, shapely.box(1, 1, 2, 2)]))
    assert len(edges[match(edges).unmatched]) == 4


def test_rows_without_polygon_have_no_half_edges():
    rows = np.array([None, shapely.Point(0, 0), shapely.Polygon(), shapely.box(0, 0, 1, 1)])
    assert half_edges(rows).owners.tolist() == [3, 3, 3, 3]


def test_edges_shorter_than_a_step_vanish():
    ring = [(0, 0), (1, 0), (1 + 1e-9, 1e-9), (1, 1), (0, 0)]
    assert len(half_edges(np.array([shapely.Polygon(ring)]))) == 3


def test_layer_without_crs_is_refused():
    with pytest.raises(DataError, match="no coordinate reference system"):
        on_integer_grid(gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]), "layer x")


@pytest.mark.parametrize("crs", ["EPSG:4610", "EPSG:4214", "EPSG:2363"])
def test_datum_that_proj_would_not_shift_is_refused(crs):
    with pytest.raises(CoordinateError, match="surveying office"):
        on_integer_grid(gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=crs), "layer x")
