"""The relief: the same wherever a window is cut, and overruled by what is given."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from geogrid._kernels import lines
from geogrid.partition.barriers import detect, impose, reach_of


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Fields on the left, a town of roofs on the right, everywhere some noise."""
    rng = np.random.default_rng(11)
    coarse = rng.integers(60, 200, (12, 12, 3)).astype(np.float32)
    rgb = cv2.resize(coarse, (460, 440), interpolation=cv2.INTER_NEAREST)
    roofs = rng.integers(0, 255, (74, 40, 3)).astype(np.float32)
    rgb[:, 240:] = cv2.resize(roofs, (220, 440), interpolation=cv2.INTER_NEAREST)
    noisy = ndimage.gaussian_filter(rgb, (1, 1, 0)) + rng.normal(0, 4, rgb.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("step", [2.0, 5.0])
@pytest.mark.parametrize(("row", "col", "height", "width"), [(0, 0, 310, 330), (7, 101, 433, 359)])
def test_relief_does_not_depend_on_the_window(picture, step, row, col, height, width) -> None:
    origin = (1003, -77)
    whole = detect(picture, step, origin=origin)
    part = detect(
        np.ascontiguousarray(picture[row : row + height, col : col + width]),
        step,
        origin=(origin[0] + row, origin[1] + col),
    )
    reach = reach_of(step)
    inner = np.s_[reach : height - reach, reach : width - reach]
    same = np.s_[row + reach : row + height - reach, col + reach : col + width - reach]
    assert (part.built_up[inner] > 0).any()
    for name in ("relief", "lab", "built_up"):
        np.testing.assert_array_equal(getattr(part, name)[inner], getattr(whole, name)[same])


def test_towns_look_built_up_and_fields_do_not(picture) -> None:
    built_up = detect(picture, 5.0).built_up
    assert built_up[:, :150].max() == 0
    assert built_up[:, 330:].min() > 0.9


def test_missing_pixels_make_no_barrier() -> None:
    rgb = np.full((80, 90, 3), 120, np.uint8)
    valid = np.ones((80, 90), bool)
    rgb[20:40, 30:50], valid[20:40, 30:50] = 0, False
    assert detect(rgb, 5.0, valid=valid).relief.max() == 0


def test_buildings_lie_low_and_given_lines_stand_high(picture) -> None:
    seen = detect(picture, 5.0)
    buildings = np.zeros(seen.relief.shape, bool)
    buildings[100:110, 300:320] = True
    imposed = impose(seen, buildings, [np.array([[290, 105], [330, 105]], np.int32)])
    assert (imposed.relief[105, 290:331] == lines.HIGHEST).all()
    assert (imposed.relief[106:110, 300:320] == 0).all()
    elsewhere = ~buildings
    elsewhere[105, 290:331] = False
    np.testing.assert_array_equal(imposed.relief[elsewhere], seen.relief[elsewhere])


@pytest.mark.parametrize("spread", [lines.spread, lines.spread.py_func])
def test_spread_is_linear_between_the_middles_of_cells(spread) -> None:
    cells = np.float32([[0.0, 0.3, 0.9], [0.2, 0.4, 0.6]])
    pixels = spread(cells, 3, 1, 2, 4, 6)
    rows, cols = (np.arange(1, 5) - 1) / 3, (np.arange(2, 8) - 1) / 3
    at = np.meshgrid(rows, cols, indexing="ij")
    expected = ndimage.map_coordinates(cells, at, order=1, mode="nearest")
    np.testing.assert_allclose(pixels, expected, atol=1e-6)
