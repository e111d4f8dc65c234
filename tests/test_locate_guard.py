"""A wrong datum is refused where known places show it, and a right one never."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from geogrid import datums
from geogrid.datums import Datum
from geogrid.errors import CoordinateError, DataError, UsageError
from geogrid.locate import Locator, guard, locate_file


@pytest.fixture(scope="module")
def locator(toy_edition):
    return Locator(toy_edition)


def table(toy_edition, locator, rng, *, datum, n=500, known=20, level="village", names=False):
    """Return records of which some carry their unit, as a sender of `datum` writes them."""
    xy = rng.uniform([114.603, 33.603], [114.645, 33.645], (n, 2))
    microgrid = toy_edition["microgrid"].set_index("code")
    found = locator.locate(xy, datum="cgcs2000").microgrid_code
    length = {"village": 12, "grid": 15, "township": 9}[level]
    units = np.array(
        [
            code[:length]
            for code in microgrid.index.to_numpy()[np.searchsorted(microgrid.index, found)]
        ],
        object,
    )
    if names:
        units = toy_edition[level].set_index("code").name[units].to_numpy(object).copy()
    units[rng.permutation(n)[known:]] = ""
    moved = datums.convert(xy, Datum.CGCS2000, datum).round(7)
    return pd.DataFrame({"lng": moved[:, 0], "lat": moved[:, 1], "村": units})


def run(locator, frame, tmp_path, datum, **options):
    frame.to_csv(tmp_path / "a.csv", index=False)
    return locate_file(locator, tmp_path / "a.csv", tmp_path / "b.csv", datum=datum, **options)


@pytest.mark.parametrize(
    ("level", "names"), [("village", False), ("village", True), ("grid", False)]
)
def test_wrong_datum_is_refused_and_the_right_one_never(
    toy_edition, locator, tmp_path, level, names
):
    refused, wrongly = 0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        frame = table(toy_edition, locator, rng, datum=Datum.GCJ02, level=level, names=names)
        xy, units = frame[["lng", "lat"]].to_numpy(), frame["村"].tolist()
        evidence = guard.by_unit(locator, xy, units, "村")
        refused += evidence.refutes(Datum.WGS84)
        wrongly += evidence.refutes(Datum.GCJ02)
    assert refused >= 95
    assert wrongly == 0


def test_message_names_the_better_datum_and_force_goes_on(toy_edition, locator, tmp_path):
    frame = table(toy_edition, locator, np.random.default_rng(1), datum=Datum.GCJ02)
    with pytest.raises(CoordinateError, match=r"look like gcj02, not wgs84: of 20 .*--force"):
        run(locator, frame, tmp_path, "wgs84")
    assert not (tmp_path / "b.csv").exists()
    forced = run(locator, frame, tmp_path, "wgs84", force=True)
    assert "gcj02" in forced.warnings[0][0]
    assert run(locator, frame, tmp_path, "gcj02").warnings == ()
    plain = frame.rename(columns={"村": "where"})
    assert run(locator, plain, tmp_path, "wgs84").rows == 500
    with pytest.raises(CoordinateError, match="column where"):
        run(locator, plain, tmp_path, "wgs84", unit="where")
    with pytest.raises(UsageError, match="no column 'here'"):
        run(locator, plain, tmp_path, "wgs84", unit="here")


def test_cgcs2000_and_wgs84_are_one_hypothesis(toy_edition, locator, tmp_path):
    frame = table(toy_edition, locator, np.random.default_rng(2), datum=Datum.WGS84)
    for datum in ("wgs84", "cgcs2000"):
        assert run(locator, frame, tmp_path, datum).rows == 500
    with pytest.raises(CoordinateError, match="like wgs84, not bd09"):
        run(locator, frame, tmp_path, "bd09")


def test_nineteen_known_units_say_nothing(toy_edition, locator, tmp_path):
    frame = table(toy_edition, locator, np.random.default_rng(3), datum=Datum.BD09, known=19)
    assert run(locator, frame, tmp_path, "wgs84").rows == 500


def test_units_that_fit_nothing_refute_nothing(toy_edition, locator, tmp_path):
    rng = np.random.default_rng(4)
    frame = table(toy_edition, locator, rng, datum=Datum.WGS84, known=400)
    frame["村"] = frame["村"].sample(frac=1, random_state=1).to_numpy()
    assert run(locator, frame, tmp_path, "wgs84").rows == 500
    frame["村"] = "陈州社区"
    assert run(locator, frame, tmp_path, "wgs84").rows == 500


@pytest.mark.parametrize("kind", ["parquet", "xlsx", "gpkg"])
def test_every_format_is_examined(toy_edition, locator, tmp_path, kind):
    frame = table(toy_edition, locator, np.random.default_rng(5), datum=Datum.GCJ02)
    source, target = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pandas(frame), source)
    elif kind == "xlsx":
        frame.to_excel(source, index=False)
    else:
        shapes = shapely.points(frame[["lng", "lat"]].to_numpy())
        gpd.GeoDataFrame(frame[["村"]], geometry=shapes, crs=4326).to_file(source)
    with pytest.raises(CoordinateError, match="look like gcj02"):
        locate_file(locator, source, target, datum="wgs84")
    assert not target.exists()
    assert locate_file(locator, source, target, datum="gcj02").statuses["hit"] == 500
    assert locate_file(locator, source, target, datum="wgs84", force=True).warnings


def test_buildings_prove_the_datum(toy_edition, locator, tmp_path):
    rng = np.random.default_rng(6)
    houses = rng.uniform([114.60, 33.60], [114.65, 33.65], (400, 2))
    layer = gpd.GeoDataFrame(geometry=shapely.points(houses).copy(), crs=4490).to_crs(4547)
    layer.geometry = layer.geometry.buffer(6)
    layer.to_parquet(tmp_path / "houses.parquet")
    xy = houses[rng.integers(0, 400, 200)] + rng.normal(0, 1e-4, (200, 2))
    moved = datums.convert(xy, Datum.CGCS2000, Datum.GCJ02).round(7)
    frame = pd.DataFrame(moved, columns=["lng", "lat"])
    options = {"buildings": tmp_path / "houses.parquet"}
    with pytest.raises(CoordinateError, match=r"houses\.parquet.*as gcj02"):
        run(locator, frame, tmp_path, "wgs84", **options)
    assert run(locator, frame, tmp_path, "gcj02", **options).rows == 200
    anywhere = pd.DataFrame(
        rng.uniform([114.60, 33.60], [114.65, 33.65], (200, 2)), columns=["lng", "lat"]
    )
    assert run(locator, anywhere, tmp_path, "bd09", **options).rows == 200


def test_records_that_do_not_fit_are_still_named_by_their_line(toy_edition, locator, tmp_path):
    frame = table(toy_edition, locator, np.random.default_rng(7), datum=Datum.GCJ02)
    frame.to_csv(tmp_path / "a.csv", index=False)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("1,2\n")
    with pytest.raises(DataError, match="line 502: 2 fields"):
        locate_file(locator, tmp_path / "a.csv", tmp_path / "b.csv", datum="gcj02")


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_record_of_another_datum_is_named(locator, tmp_path, kind):
    frame = pd.DataFrame(
        {"lon": [114.61, 114.62, 114.63], "lat": 33.62, "坐标系": ["wgs84", "", "GCJ-02"]}
    )
    source, target = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    getattr(frame, {"xlsx": "to_excel"}.get(kind, f"to_{kind}"))(source, index=False)
    said = r"坐标系: 1, the first is record 3 \(gcj02\)"
    for datum in ("wgs84", "cgcs2000"):
        with pytest.raises(CoordinateError, match=said):
            locate_file(locator, source, target, datum=datum)
    with pytest.raises(CoordinateError, match=r"坐标系: 2, the first is record 1 \(wgs84\)"):
        locate_file(locator, source, target, datum="epsg:4547")
    assert not target.exists()
    forced = locate_file(locator, source, target, datum="wgs84", force=True)
    assert "gcj02" in forced.warnings[0][1]


def test_datum_that_no_record_contradicts_goes_on(locator, tmp_path):
    source = tmp_path / "a.csv"
    source.write_text("lon,lat,datum\n114.6123,33.6212,WGS 84\n114.6123,33.6212,?\n", "utf-8")
    summary = locate_file(locator, source, tmp_path / "b.csv", datum="cgcs2000")
    assert summary.rows == 2
    assert not summary.warnings
