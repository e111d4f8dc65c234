"""Located incidents: read with text codes, counted with zeros."""

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geogrid import incidents, store
from geogrid.codes import LEVELS
from geogrid.edition import Edition
from geogrid.errors import DataError, UnknownCodeError, UsageError
from geogrid.incidents import warning
from geogrid.locate import Locator, locate_file
from geogrid.sample import people


@pytest.fixture
def located(toy_edition, tmp_path):
    rng = np.random.default_rng(0)
    xy = rng.uniform([114.6, 33.6], [114.65, 33.65], (400, 2))
    rows = [f"{k},2026-03-0{k % 9 + 1} 08:00,{x:.7f},{y:.7f}" for k, (x, y) in enumerate(xy)]
    source = tmp_path / "in.csv"
    source.write_bytes("编号,时间,经度,纬度\n".encode("gbk") + "\n".join(rows).encode())
    locate_file(Locator(toy_edition), source, tmp_path / "out.csv", datum="cgcs2000")
    return tmp_path / "out.csv"


def test_codes_stay_text_and_times_become_times(located):
    frame = incidents.read(located)
    assert len(frame) == 400
    hits = frame.microgrid_code[frame.microgrid_code != ""]
    assert hits.str.len().eq(18).all()
    assert pd.api.types.is_datetime64_any_dtype(frame["时间"])
    assert pd.api.types.is_float_dtype(frame["edge_m"])
    assert frame["编号"].tolist()[:2] == ["0", "1"]


def test_parquet_is_read(tmp_path):
    frame = pd.DataFrame({"microgrid_code": ["411601001001001001"]})
    frame.to_parquet(tmp_path / "a.parquet")
    assert incidents.read(tmp_path / "a.parquet").equals(frame)


@pytest.mark.parametrize("level", ["city", "county", "village", "grid", "microgrid"])
def test_every_unit_is_counted_and_hits_add_up(toy_edition, located, level):
    frame = incidents.read(located)
    table = incidents.counts(frame, toy_edition, level)
    assert table.code.tolist() == toy_edition[level].code.tolist()
    assert table.incidents.sum() == (frame.microgrid_code != "").sum()
    # In the toy city a code begins with the codes of the units above.
    first = table.code.iloc[0]
    assert table.incidents.iloc[0] == frame.microgrid_code.str.startswith(first).sum()


def test_unit_without_incident_counts_zero(toy_edition):
    table = incidents.counts(pd.DataFrame({"microgrid_code": ["", None]}), toy_edition, "grid")
    assert table.incidents.tolist() == [0] * 64
    assert table.incidents.dtype == "int64"


def test_code_of_another_edition_is_refused(toy_edition):
    frame = pd.DataFrame({"microgrid_code": ["999999001001001001"]})
    with pytest.raises(UnknownCodeError, match="999999001001001001"):
        incidents.counts(frame, toy_edition, "grid")


def test_wrong_level_column_and_file_are_refused(toy_edition, tmp_path):
    with pytest.raises(UsageError, match="hamlet"):
        incidents.counts(pd.DataFrame({"microgrid_code": []}), toy_edition, "hamlet")
    with pytest.raises(DataError, match="microgrid_code"):
        incidents.counts(pd.DataFrame({"code": []}), toy_edition, "grid")
    with pytest.raises(UsageError, match="xlsx"):
        incidents.read(tmp_path / "a.doc")
    (tmp_path / "a.csv").write_text("time\nyesterday-ish\n")
    with pytest.raises(DataError, match="column time"):
        incidents.read(tmp_path / "a.csv")
    with pytest.raises(DataError, match="cannot read"):
        incidents.read(tmp_path / "none.parquet")


# --- columns, periods, categories


def located_frame(edition, times, items=None):
    codes = edition["microgrid"].code.to_numpy()
    n = len(times)
    frame = pd.DataFrame({"microgrid_code": codes[np.arange(n) % 7], "time": times})
    return frame if items is None else frame.assign(item=items)


def test_columns_get_one_name_and_times_the_zone_of_the_city():
    frame = pd.DataFrame(
        {
            "编号": ["1"],
            "上报时间": ["2026-01-31T16:30:00+00:00"],
            "地点": ["x"],
            "阶段": ["执行处置"],
        }
    )
    table = incidents.normalise(frame)
    assert set(table.columns) == {"id", "time", "address", "stage"}
    assert str(table.time[0]) == "2026-02-01 00:30:00+08:00"
    local = incidents.normalise(pd.DataFrame({"time": pd.to_datetime(["2026-02-01 00:30"])}))
    assert local.time[0] == table.time[0]


def test_two_columns_of_one_meaning_and_unknown_stages_are_refused():
    with pytest.raises(DataError, match="编号, id all mean id"):
        incidents.normalise(pd.DataFrame({"编号": ["1"], "id": ["2"]}))
    with pytest.raises(DataError, match=r"record 1: none of 信息汇集.*1 records"):
        incidents.normalise(pd.DataFrame({"stage": ["结束", "信息反馈", ""]}))


def test_periods_are_those_of_the_city_not_of_greenwich(toy_edition):
    # Sunday evening in Greenwich is Monday of the next month in Zhoukou.
    times = ["2026-05-31T15:59:00Z", "2026-05-31T16:01:00Z", "2026-06-07T16:00:00Z"]
    frame = incidents.normalise(located_frame(toy_edition, times))
    found = {
        period: incidents.breakdown(frame, toy_edition, "city", period=period).period.tolist()
        for period in incidents.PERIODS
    }
    assert found == {
        "day": ["2026-05-31", "2026-06-01", "2026-06-08"],
        "week": ["2026-05-25", "2026-06-01", "2026-06-08"],
        "month": ["2026-05", "2026-06"],
    }
    with pytest.raises(UsageError, match="fortnight"):
        incidents.breakdown(frame, toy_edition, "city", period="fortnight")
    frame.loc[0, "time"] = pd.NaT
    with pytest.raises(DataError, match="1 incidents have no time"):
        incidents.breakdown(frame, toy_edition, "city", period="day")


def test_parts_add_up_to_the_whole(toy_edition):
    rng = np.random.default_rng(1)
    listed = people.items()
    assert (len(listed), listed.category.nunique()) == (338, 55)
    times = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, 500), unit="D")
    items = rng.choice([*listed.code, "9999"], 500)
    frame = incidents.normalise(located_frame(toy_edition, times, items))
    frame = incidents.with_category(frame, listed)
    whole = incidents.counts(frame, toy_edition, "grid").set_index("code").incidents
    parts = incidents.breakdown(frame, toy_edition, "grid", period="week", by_category=True)
    assert (parts.groupby("code").incidents.sum() == whole[whole > 0]).all()
    assert (parts.category == "").sum() == (frame["item"] == "9999").sum()
    assert set(parts.columns) == {
        "code", "name", "period", "category", "category_name", "incidents",
    }  # fmt: skip


def test_items_are_read_and_a_doubled_one_refused(tmp_path):
    people.items().to_csv(tmp_path / "items.csv", index=False, encoding="gbk")
    assert incidents.read_items(tmp_path / "items.csv").code.iloc[0] == "0101"
    (tmp_path / "b.csv").write_text("code,category,category_name,name\n1,1,a,b\n1,2,c,d\n")
    with pytest.raises(DataError, match="item 1 occurs twice"):
        incidents.read_items(tmp_path / "b.csv")


def test_rate_is_to_a_thousand_households_and_missing_without_any(toy_edition):
    units = {level: toy_edition[level] for level in LEVELS}
    units["grid"].loc[0, "households"] = 0
    edition = Edition.of(toy_edition.info, units)
    frame = pd.DataFrame({"microgrid_code": edition["microgrid"].code})
    table = incidents.counts(frame, edition, "grid")
    assert np.isnan(table.rate[0])
    assert table.rate[1] == pytest.approx(4000 / table.households[1])


@pytest.mark.parametrize("kind", ["xlsx", "gpkg"])
def test_other_kinds_of_files_are_read(toy_edition, tmp_path, kind):
    frame = pd.DataFrame({"id": ["01"], "microgrid_code": ["411601001001001001"]})
    if kind == "xlsx":
        frame.to_excel(tmp_path / "a.xlsx", index=False)
    else:
        points = gpd.GeoDataFrame(frame, geometry=shapely.points([[114.6, 33.6]]), crs=4326)
        points.to_file(tmp_path / "a.gpkg")
    found = incidents.read(tmp_path / f"a.{kind}")
    assert found[["id", "microgrid_code"]].astype(str).equals(frame.astype(str))


# --- texts


def test_incident_without_position_counts_where_its_text_says(toy_edition):
    village = toy_edition["village"].iloc[3]
    frame = pd.DataFrame(
        {
            "microgrid_code": [toy_edition["microgrid"].code[0], "", "", ""],
            "address": ["", f"在{village['name']}", f"{village['parent']}号", "不知何处"],
        }
    )
    table = incidents.with_text_code(frame, toy_edition, "address")
    assert table.text_code.tolist() == ["", village.code, village.parent, ""]
    assert table.text_level.tolist() == ["", "village", "township", ""]
    villages = incidents.counts(table, toy_edition, "village").set_index("code").incidents
    assert villages[village.code] == 1 + (toy_edition["microgrid"].code[0][:12] == village.code)
    assert villages.sum() == 2
    assert incidents.counts(table, toy_edition, "township").incidents.sum() == 3
    assert incidents.counts(table, toy_edition, "grid").incidents.sum() == 1


# --- four colours


def test_colour_rises_with_the_measure_and_no_data_is_apart():
    values = np.array([np.nan, 0, 4.9, 5, 9, 10, 20, 39, 40, 1e6])
    counted = np.where(np.isnan(values), 0, values).astype(int)
    colours = incidents.classify(values, counted, incidents.given("count", [5, 10, 20, 40]))
    assert colours.tolist() == [
        "no_data", "none", "none", "blue", "blue", "yellow", "orange", "orange", "red", "red",
    ]  # fmt: skip


def test_small_numbers_give_no_warning_however_high_the_rate():
    thresholds = incidents.given("rate", [1, 2, 3, 4], least=3)
    colours = incidents.classify(np.array([500.0, 500.0]), np.array([2, 3]), thresholds)
    assert colours.tolist() == ["none", "red"]


@pytest.mark.parametrize("method", ["quantile", "natural"])
@given(st.integers(0, 2**31), st.integers(10, 3000))
def test_found_thresholds_make_colours_monotone(method, seed, n):
    values = np.random.default_rng(seed).lognormal(1, 1, n).round(1)
    if len(np.unique(values[values > 0])) < 5:
        return
    thresholds = incidents.found("count", method, values)
    assert thresholds == incidents.found("count", method, values[::-1])
    colours = incidents.classify(values, values.astype(int) + 1, thresholds)
    rank = np.array([list(warning.COLOURS).index(colour) for colour in colours])
    assert (np.diff(rank[np.argsort(values)]) >= 0).all()
    assert (rank[values == 0] == 0).all()
    assert rank[values.argmax()] == 4


def test_quantiles_are_those_of_the_units_with_incidents():
    values = np.concatenate([np.zeros(900), np.arange(1, 101)]).astype(float)
    thresholds = incidents.found("count", "quantile", values)
    expected = np.percentile(np.arange(1, 101), [80, 90, 95, 99])
    np.testing.assert_allclose(thresholds.values, expected)


def test_natural_breaks_part_what_is_apart():
    groups = [[1, 2, 2, 3], [20, 21, 22], [50, 51], [80, 82], [200, 201]]
    thresholds = incidents.found(
        "count", "natural", np.array([value for group in groups for value in group], float)
    )
    assert thresholds.values == (20, 50, 80, 200)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: incidents.given("count", [1, 2, 3]), "3 thresholds"),
        (lambda: incidents.given("count", [4, 3, 2, 1]), "ascend"),
        (lambda: incidents.given("count", [0, 1, 2, 3]), "above 0"),
        (lambda: incidents.given("mood", [1, 2, 3, 4]), "mood"),
        (lambda: incidents.found("count", "quantile", np.array([0.0, 1, 1, 2])), "2 different"),
        (lambda: incidents.found("count", "magic", np.arange(9.0)), "magic"),
    ],
)
def test_scale_that_is_none_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()


# --- files


@pytest.fixture
def counted(toy_edition):
    frame = pd.DataFrame({"microgrid_code": toy_edition["microgrid"].code.repeat(2)[:200]})
    units = incidents.counts(frame, toy_edition, "village")
    units.loc[0, "name"] = '=HYPERLINK("x")'
    thresholds = incidents.given("count", [1, 2, 30, 40])
    return incidents.Statistics("village", incidents.warned(units, thresholds), None, thresholds, 3)


def test_statistics_survive_every_format_with_their_thresholds(toy_edition, tmp_path, counted):
    for kind in ("csv", "xlsx", "gpkg"):
        incidents.write(counted, toy_edition, tmp_path / f"s.{kind}")
    expected = counted.units[["code", "incidents", "warning"]].astype(str)
    csv = pd.read_csv(tmp_path / "s.csv", dtype=str)
    assert csv[expected.columns].equals(expected)
    assert csv.name[0] == '\'=HYPERLINK("x")'
    assert '"values": [1.0, 2.0, 30.0, 40.0]' in csv.thresholds[0]
    book = openpyxl.load_workbook(tmp_path / "s.xlsx")
    assert book["units"]["B2"].data_type in ("s", "inlineStr")
    assert [row[1] for row in book["thresholds"].values] == ["from_value", 1, 2, 30, 40]
    xlsx = pd.read_excel(tmp_path / "s.xlsx", dtype=str)
    assert xlsx[expected.columns].equals(expected)
    layer = store.read_layer(tmp_path / "s.gpkg", "village")
    assert pd.DataFrame(layer[expected.columns]).astype(str).equals(expected)
    assert layer.geometry.is_valid.all()
    assert store.read_layer(tmp_path / "s.gpkg", "thresholds").from_value.tolist() == [1, 2, 30, 40]
    with pytest.raises(UsageError, match="pdf"):
        incidents.write(counted, toy_edition, tmp_path / "s.pdf")


def test_statistics_tell_machines_the_counts(counted):
    told = counted.to_dict()
    assert (told["units"], told["incidents"], told["unplaced"]) == (16, 200, 3)
    assert sum(told["warnings"].values()) == 16
