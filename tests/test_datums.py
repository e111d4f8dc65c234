"""Datums: published vectors, exact inverses, nothing guessed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geogrid._kernels import datums as kernels
from geogrid.datums import Datum, Epsg, convert, parse, parse_reference
from geogrid.errors import CoordinateError

METRES_PER_DEGREE = 111_320.0
KERNELS = ("wgs84_to_gcj02", "gcj02_to_wgs84", "gcj02_to_bd09", "bd09_to_gcj02")


def metres_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    scale = METRES_PER_DEGREE * np.array([np.cos(np.radians(33.6)), 1.0])
    return np.hypot(*((a - b) * scale).T)


@pytest.fixture(scope="module")
def vectors(real_data: Path) -> pd.DataFrame:
    return pd.read_csv(real_data / "datum_vectors.csv")


def columns(vectors: pd.DataFrame, datum: str) -> np.ndarray:
    return vectors[[f"{datum}_lon", f"{datum}_lat"]].to_numpy(float)


@pytest.mark.parametrize(
    ("source", "target"),
    [("wgs", "gcj"), ("gcj", "wgs"), ("wgs", "bd"), ("bd", "wgs"), ("gcj", "bd"), ("bd", "gcj")],
)
def test_published_vectors_are_met_both_ways(vectors, source, target):
    known = vectors.dropna(subset=[f"{source}_lon", f"{target}_lon"])
    names = {"wgs": Datum.WGS84, "gcj": Datum.GCJ02, "bd": Datum.BD09}
    found = convert(columns(known, source), names[source], names[target])
    apart = metres_apart(found, columns(known, target))
    assert len(known) >= 7
    assert (apart <= known.tol_m.to_numpy()).all()


def test_wgs84_and_cgcs2000_are_the_same_numbers():
    xy = np.array([[114.6, 33.6]])
    assert np.array_equal(convert(xy, Datum.WGS84, Datum.CGCS2000), xy)
    assert np.array_equal(
        convert(xy, Datum.CGCS2000, Datum.BD09), convert(xy, Datum.WGS84, Datum.BD09)
    )


@given(st.floats(73.7, 135.0), st.floats(3.9, 53.5), st.sampled_from([Datum.GCJ02, Datum.BD09]))
def test_there_and_back_is_exact_over_china(lon, lat, datum):
    xy = np.array([[lon, lat]])
    back = convert(convert(xy, Datum.WGS84, datum), datum, Datum.WGS84)
    assert np.abs(back - xy).max() < 1e-9


def test_there_and_back_is_exact_over_the_city():
    rng = np.random.default_rng(3)
    xy = rng.uniform([114.0, 33.0], [115.7, 34.4], (10_000, 2))
    for datum in (Datum.GCJ02, Datum.BD09):
        back = convert(convert(xy, Datum.CGCS2000, datum), datum, Datum.CGCS2000)
        assert metres_apart(back, xy).max() < 1e-6


def test_inverse_agrees_with_bisection():
    xy = np.array([[114.65, 33.62]])
    low, high = xy[0] - 0.02, xy[0] + 0.02
    for _ in range(60):
        middle = (low + high) / 2
        too_far = convert(middle[None], Datum.WGS84, Datum.GCJ02)[0] > xy[0]
        low, high = np.where(too_far, low, middle), np.where(too_far, middle, high)
    # Each axis is bisected with the other one moving along, which converges: the shift is smooth.
    assert np.allclose(convert(xy, Datum.GCJ02, Datum.WGS84)[0], low, rtol=0, atol=1e-12)


def test_nan_row_stays_nan_and_leaves_the_others_alone():
    xy = np.array([[np.nan, 33.6], [114.6, 33.6], [114.6, np.nan]])
    for source in Datum:
        for target in Datum:
            found = convert(xy, source, target)
            alone = convert(xy[1:2], source, target)
            assert np.isnan(found[[0, 2]]).any(axis=1).all()
            assert np.array_equal(found[1:2], alone)


def test_input_is_not_changed_and_result_is_new():
    xy = np.array([[114.6, 33.6]])
    kept = xy.copy()
    assert convert(xy, Datum.GCJ02, Datum.GCJ02) is not xy
    convert(xy, Datum.GCJ02, Datum.WGS84)
    assert np.array_equal(xy, kept)


def test_no_position_and_strided_positions():
    assert convert(np.empty((0, 2)), Datum.BD09, Datum.WGS84).shape == (0, 2)
    wide = np.random.default_rng(1).uniform(30, 40, (5, 4))
    assert np.array_equal(
        convert(wide[:, :2], Datum.BD09, Datum.WGS84),
        convert(wide[:, :2].copy(), Datum.BD09, Datum.WGS84),
    )


def test_swapped_coordinates_are_shifted_not_passed():
    xy = np.array([[33.6, 114.6]])
    assert not np.array_equal(convert(xy, Datum.WGS84, Datum.GCJ02), xy)


def test_wrong_shape_is_refused():
    with pytest.raises(CoordinateError, match=r"\(3,\).*longitude, latitude"):
        convert(np.zeros(3), Datum.WGS84, Datum.GCJ02)


@pytest.mark.parametrize("text", ["wgs84", "WGS84", " gcj02 ", "Bd09", "cgcs2000"])
def test_parse_ignores_case_and_blanks(text):
    assert parse(text).value == text.strip().lower()


def test_unknown_datum_lists_the_choices():
    with pytest.raises(CoordinateError, match=r"'mars'.*wgs84, cgcs2000, gcj02, bd09"):
        parse("mars")


@pytest.mark.parametrize("name", KERNELS)
def test_compiled_kernel_equals_python(name):
    xy = np.random.default_rng(5).uniform([75, 5], [135, 53], (300, 2))
    kernel = getattr(kernels, name)
    assert np.allclose(kernel(xy), kernel.py_func(xy), rtol=0, atol=1e-13)


# --- systems by EPSG code


def test_projected_metres_equal_the_published_grid_of_the_zone():
    # EPSG:4547 and 4526 are one plane; 4526 has its zone number, 38, in front of the easting.
    xy = np.array([[114.65, 33.62], [115.6, 34.2]])
    central = convert(xy, Datum.CGCS2000, Epsg(4547))
    zoned = convert(xy, Datum.CGCS2000, Epsg(4526))
    np.testing.assert_allclose(zoned - central, [[38e6, 0]] * 2, atol=1e-6)
    # On the central meridian the easting is 500 km by definition.
    assert convert(np.array([[114.0, 33.0]]), Datum.CGCS2000, Epsg(4547))[0, 0] == pytest.approx(
        5e5, abs=1e-6
    )
    np.testing.assert_allclose(convert(central, Epsg(4547), Datum.CGCS2000), xy, atol=1e-11)


def test_projected_metres_reach_gcj02_through_wgs84():
    xy = np.array([[114.65, 33.62]])
    metres = convert(xy, Datum.WGS84, Epsg(32650))
    expected = convert(xy, Datum.WGS84, Datum.GCJ02)
    np.testing.assert_allclose(convert(metres, Epsg(32650), Datum.GCJ02), expected, atol=1e-11)


@pytest.mark.parametrize("code", [4610, 2384, 2383, 4214, 2436, 4555])
def test_xian80_and_beijing54_are_refused_instead_of_shifted_by_nothing(code):
    with pytest.raises(CoordinateError, match=f"epsg:{code}.*convert the coordinates"):
        parse_reference(f"EPSG:{code}")


def test_unknown_epsg_is_refused_and_missing_values_stay_missing():
    with pytest.raises(CoordinateError, match="no reference system epsg:99999"):
        parse_reference("epsg:99999")
    out = convert(
        np.array([[np.nan, 1.0], [5e5, 3.7e6]]), parse_reference("epsg:4547"), Datum.WGS84
    )
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()
