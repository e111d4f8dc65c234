"""Rings on the integer grid: compiled, as Python, and by shapely."""

import subprocess
import sys

import numpy as np
import pytest
import shapely

from geogrid._kernels import rings as kernels
from geogrid.edition import integer_rings

RUNS = pytest.mark.parametrize("run", [lambda kernel: kernel, lambda kernel: kernel.py_func])
POLYGONS = shapely.from_wkt(
    [
        "POLYGON ((0 0, 0 1, 1 1, 0 0))",
        "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 2 1, 2 2, 1 1), (4 4, 4 5, 5 5, 4 4))",
        "POLYGON ((114 33, 114.5 33.1, 114.2 33.7, 114 33))",
        "POLYGON ((0 0, 2 0, 1 0, 0 0))",
    ]
)


@RUNS
def test_steps_are_rounded_half_to_even_and_may_take_the_memory_of_the_degrees(run):
    degrees = np.array([[0.5, 1.5], [2.5, -0.5], [114.3, 33.60000001]])
    expected = np.rint(degrees * 1e2).astype(np.int64)
    expected[:2] = [[50, 150], [250, -50]]
    run(kernels.to_steps)(degrees, 1e2, degrees.view(np.int64))
    np.testing.assert_array_equal(degrees.view(np.int64), expected)
    halves = np.array([[0.5, 1.5], [2.5, -0.5]])
    run(kernels.to_steps)(halves, 1.0, halves.view(np.int64))
    assert halves.view(np.int64).tolist() == [[0, 2], [2, 0]]


@RUNS
def test_areas_are_those_of_shapely(run):
    rings = integer_rings(POLYGONS)
    areas = run(kernels.doubled_areas)(rings.xy, rings.starts)
    loops = shapely.linearrings(rings.xy, indices=np.repeat(np.arange(6), np.diff(rings.starts)))
    expected = shapely.area(shapely.polygons(loops)) * np.where(shapely.is_ccw(loops), 2, -2)
    np.testing.assert_allclose(areas, expected, rtol=1e-12)


@RUNS
def test_half_edges_run_from_vertex_to_vertex(run):
    rings = integer_rings(POLYGONS)
    ends, owners = run(kernels.half_edges)(rings.xy, rings.starts, rings.owners)
    expected = [
        (*rings.xy[k], *rings.xy[k + 1], owner)
        for owner, first, end in zip(rings.owners, rings.starts, rings.starts[1:], strict=False)
        for k in range(first, end - 1)
    ]
    assert np.column_stack([ends, owners]).tolist() == np.array(expected).tolist()


@RUNS
def test_rings_are_turned_as_by_shapely(run):
    given = shapely.get_rings(POLYGONS)
    xy, ring_of = shapely.get_coordinates(given, return_index=True)
    starts = np.concatenate([[0], np.cumsum(np.bincount(ring_of))])
    steps = np.rint(xy * 1e8).astype(np.int64)
    run(kernels.orient)(steps, starts, np.array([True, True, False, False, True, True]))
    expected = shapely.get_coordinates(shapely.orient_polygons(POLYGONS[:3]))
    np.testing.assert_array_equal(steps[:-4], np.rint(expected * 1e8))
    np.testing.assert_array_equal(steps[-4:], np.rint(xy[-4:] * 1e8))


def test_first_kernel_does_not_load_scipy_and_products_of_others_work():
    script = (
        "import sys, numba, numpy as np\n"
        "from geogrid._kernels import rings\n"
        "rings.doubled_areas(np.zeros((4, 2), np.int64), np.array([0, 4]))\n"
        "print('scipy.linalg' in sys.modules)\n"
        "print(numba.njit(lambda a: np.dot(a, a))(np.full((2, 2), 2.0))[0, 0])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "8.0"]
