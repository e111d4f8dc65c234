"""Files of positions: rows in are rows out, and every other byte stays."""

import datetime
import re
import zipfile

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

import geogrid as gg
from geogrid import datums, store, tables
from geogrid.datums import Datum
from geogrid.errors import CoordinateError, DataError, UsageError
from geogrid.locate import ADDED_COLUMNS, Locator, csv_file, locate_file


@pytest.fixture(scope="module")
def locator(toy_edition):
    return Locator(toy_edition)


def written(tmp_path, text, encoding="utf-8", name="in.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_keeps_text_order_and_encoding(locator, tmp_path, encoding, end):
    rows = ['编号,经度,纬度,"备注,长"', '001,114.61,33.62,"a,""b"', "2, 114.62 ,33.61,周口", "3,,,"]
    source = written(tmp_path, end.join(rows) + end, encoding)
    target = tmp_path / "out.csv"
    summary = locate_file(locator, source, target, datum="cgcs2000")
    lines = target.read_bytes().decode(encoding).split(end)
    assert lines[-1] == ""
    assert lines[0] == rows[0] + ",grid_code,microgrid_code,status,edge_m"
    for row, line in zip(rows, lines[:-1], strict=True):
        assert line.startswith(row + ",")
    assert lines[3] == rows[3] + ",,,no_coordinates,"
    expected = locator.locate(np.array([[114.61, 33.62]]), datum="cgcs2000")
    assert lines[1].split(",")[-3] == expected.microgrid_code[0]
    assert (summary.rows, summary.encoding, summary.lon) == (3, encoding, "经度")
    assert sum(summary.statuses.values()) == 3


def test_each_record_says_its_own_status(locator, tmp_path):
    text = "id;lng;lat\n1;114.61;33.62\n2;x;33.6\n3;33.62;114.61\n4;1_0;0x10\n5;10;20\n\n6;1e3;2"
    summary = locate_file(
        locator, written(tmp_path, text), tmp_path / "out.csv", datum=Datum.CGCS2000
    )
    lines = (tmp_path / "out.csv").read_text("utf-8").split("\n")
    statuses = [line.split(";")[-2] if line else "" for line in lines[1:]]
    assert statuses == [
        "hit", "not_a_number", "swapped", "not_a_number", "outside", "", "out_of_range",
    ]  # fmt: skip
    assert summary.statuses["not_a_number"] == 2
    assert "落入网格" in summary.as_text("zh")
    assert '"rows": 6' in summary.to_json()


def test_line_break_inside_quotes_is_one_record(locator, tmp_path):
    source = written(tmp_path, 'lon,lat,text\n114.61,33.62,"two\nlines"\n')
    assert locate_file(locator, source, tmp_path / "o.csv", datum="wgs84").rows == 1
    assert 'two\nlines",4116' in (tmp_path / "o.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n1,2\n", "no header"),
        (b"lon,lat\n1,2\n1,2,3\n", "line 3: 3 fields"),
        (b"lon,lat\n1\n", "line 2: 1 fields"),
        (b"lon,lat\n1,\x002\n", "line 2"),
        (b"lon,lat\n1,\xff\xff\n", "line 2: neither"),
        ("lon,lat\n".encode("utf-16"), "is UTF-16"),
        (b"lon,lat,t\n1,2," + "周口市\n".encode("gbk") + "1,2,周口市\n".encode(), "line 2"),
        (b'lon,lat\n1,"2\n', "line 2"),
        (b"lon,lat,status\n1,2,3\n", "already has a column status"),
    ],
)
def test_bad_table_is_refused_with_its_line(locator, tmp_path, content, said):
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(DataError, match=said):
        locate_file(locator, source, target, datum="wgs84")
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize(
    ("header", "named", "said"),
    [
        ("a,b", {}, "none"),
        ("lon,lat,x,y", {}, "lon and lat; x and y"),
        ("lon,lon,lat", {}, "occurs 2 times"),
        ("a,b", {"lon": "a"}, "both columns"),
        ("a,b", {"lon": "a", "lat": "c"}, "occurs 0 times"),
    ],
)
def test_columns_are_never_guessed_between_two(locator, tmp_path, header, named, said):
    source = written(tmp_path, header + "\n")
    with pytest.raises(UsageError, match=said):
        locate_file(locator, source, tmp_path / "o.csv", datum="wgs84", **named)


def test_named_columns_are_used(locator, tmp_path):
    source = written(tmp_path, "x,y,a,b\n0,0,114.61,33.62\n")
    summary = locate_file(locator, source, tmp_path / "o.csv", datum="wgs84", lon="a", lat="b")
    assert summary.statuses == {"hit": 1}


def test_parquet_keeps_columns_and_gets_text_codes(locator, tmp_path):
    table = pa.table({"id": [7, 8, 9], "lon": [114.61, None, 33.62], "lat": [33.62, 33.6, 114.61]})
    pq.write_table(table, tmp_path / "in.parquet")
    summary = locate_file(locator, tmp_path / "in.parquet", tmp_path / "o.parquet", datum="wgs84")
    out = pq.read_table(tmp_path / "o.parquet")
    assert out.select(["id", "lon", "lat"]).equals(table)
    assert out.column("status").to_pylist() == ["hit", "no_coordinates", "swapped"]
    assert out.schema.field("microgrid_code").type == pa.string()
    assert out.column("edge_m").to_pylist()[1:] == [None, None]
    assert summary.rows == 3


@pytest.mark.parametrize(
    ("source", "target"), [("a.xls", "b.xls"), ("a.csv", "b.parquet"), ("a.csv", "b.txt.gz")]
)
def test_other_kinds_of_file_are_refused(locator, tmp_path, source, target):
    with pytest.raises(UsageError, match="CSV UTF-8"):
        locate_file(locator, tmp_path / source, tmp_path / target, datum="wgs84")


@pytest.mark.parametrize(
    ("datum", "x", "y"),
    [
        ("epsg:4547", 97_000.0, 3_721_433.0),  # of the zone of 120 degrees
        ("epsg:4547", 38_557_553.0, 3_721_433.0),  # with the number of its zone
        ("wgs84", 557_553.0, 3_721_433.0),
        ("epsg:4547", 3_721_433.0, 557_553.0),
    ],
)
def test_a_file_of_which_nothing_lies_in_the_city_is_warned_of(locator, tmp_path, datum, x, y):
    source, target = written(tmp_path, f"x,y\n{x},{y}\n"), tmp_path / "o.csv"
    ((en, zh),) = locate_file(locator, source, target, datum=datum).warnings
    assert f"read as {datum}" in en
    assert "epsg:4526" in zh


def test_a_zone_number_has_a_code_of_its_own(locator, tmp_path):
    source = written(tmp_path, "x,y\n38557553.0,3721433.0\n")
    summary = locate_file(locator, source, tmp_path / "o.csv", datum="epsg:4526")
    assert (summary.statuses, summary.warnings) == ({"hit": 1}, ())


def test_parquet_of_which_a_page_was_damaged_is_refused_where_it_carries_checksums(
    locator, tmp_path
):
    xy = np.random.default_rng(3).uniform([114.6, 33.6], [114.65, 33.65], (500, 2))
    table = pa.table({"lon": xy[:, 0], "lat": xy[:, 1]})
    source = tmp_path / "a.parquet"
    pq.write_table(table, source, use_dictionary=False, write_page_checksum=True)
    damaged = bytearray(source.read_bytes())
    damaged[2_000] ^= 4  # in a latitude
    source.write_bytes(damaged)
    with pytest.raises(DataError, match="CRC"):
        locate_file(locator, source, tmp_path / "o.parquet", datum="wgs84")


def test_many_columns_are_not_all_told(locator, tmp_path):
    source = written(tmp_path, ",".join(["x" * 900] * 500) + "\n")
    with pytest.raises(UsageError) as caught:
        locate_file(locator, source, tmp_path / "o.csv", datum="wgs84")
    assert len(str(caught.value)) < 2_000
    assert len(caught.value.zh) < 2_000


def test_missing_file_is_refused(locator, tmp_path):
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(DataError, match="cannot read"):
            locate_file(locator, tmp_path / name, tmp_path / f"o{name}", datum="wgs84")


def test_same_file_gives_same_bytes(locator, tmp_path):
    rng = np.random.default_rng(10)
    xy = rng.uniform([114.6, 33.6], [114.65, 33.65], (500, 2))
    lines = "\n".join(f"{lon:.7f},{lat:.7f}" for lon, lat in xy)
    source = written(tmp_path, f"lon,lat\n{lines}\n")
    for name in ("a.csv", "b.csv"):
        locate_file(locator, source, tmp_path / name, datum="gcj02")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_rejects_name_row_status_and_the_pair_the_right_way_round(locator, tmp_path):
    text = "lon,lat\n114.61,33.62\n33.62,114.61\n\n,\nx,1\n114.0,33.6\n"
    for name in ("in.csv", "in.parquet"):
        source = written(tmp_path, text)
        if name == "in.parquet":
            lon = [114.61, 33.62, None, np.inf, 114.0]
            lat = [33.62, 114.61, None, 1.0, 33.6]
            source = tmp_path / name
            pq.write_table(pa.table({"lon": lon, "lat": lat}), source)
        rejects = tmp_path / "rejects.csv"
        target = tmp_path / f"out{source.suffix}"
        summary = locate_file(locator, source, target, datum="cgcs2000", rejects=rejects)
        assert summary.rows == 5
        assert rejects.read_bytes().decode("utf-8-sig").splitlines() == [
            "row,status,lon,lat,suggested_lon,suggested_lat,edge_m",
            "2,swapped,33.62,114.61,114.61,33.62,",
            "3,no_coordinates,,,,,",
            "4,not_a_number,,1,,,",
            "5,outside,114,33.6,,,",
        ]


@pytest.fixture
def many(tmp_path):
    rng = np.random.default_rng(12)
    xy = rng.uniform([114.59, 33.59], [114.66, 33.66], (3000, 2))
    lines = "".join(f"{k},{lon:.7f},{lat:.7f}\r\n" for k, (lon, lat) in enumerate(xy))
    return written(tmp_path, f"id,lon,lat\r\n{lines}")


@pytest.mark.parametrize("stop", [1, 3, 9])
def test_run_that_was_killed_goes_on_and_gives_the_same_bytes(
    locator, tmp_path, monkeypatch, many, stop
):
    monkeypatch.setattr(tables, "_PIECE", 8000)
    monkeypatch.setattr(csv_file, "_NOTE_SECONDS", 0.0)
    expected, misses = tmp_path / "whole.csv", tmp_path / "misses.csv"
    whole = locate_file(locator, many, expected, datum="gcj02", rejects=misses)
    calls = []

    def killed(done, total):
        calls.append(done)
        assert 0 < done <= total
        if len(calls) == stop:
            raise KeyboardInterrupt

    target, rejects = tmp_path / "out.csv", tmp_path / "rejects.csv"
    with pytest.raises(KeyboardInterrupt):
        locate_file(locator, many, target, datum="gcj02", rejects=rejects, progress=killed)
    assert not target.exists()
    again = []
    summary = locate_file(
        locator, many, target, datum="gcj02", rejects=rejects,
        progress=lambda done, _: again.append(done),
    )  # fmt: skip
    assert again[0] > calls[0]  # it did not begin at the beginning
    assert target.read_bytes() == expected.read_bytes()
    assert rejects.read_bytes() == misses.read_bytes()
    assert summary.statuses == whole.statuses
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_run_over_a_changed_file_begins_anew(locator, tmp_path, monkeypatch, many):
    monkeypatch.setattr(tables, "_PIECE", 8000)
    monkeypatch.setattr(csv_file, "_NOTE_SECONDS", 0.0)

    def killed(done, total):
        raise KeyboardInterrupt

    target = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        locate_file(locator, many, target, datum="gcj02", progress=killed)
    many.write_text("id,lon,lat\n1,114.61,33.62\n")
    assert locate_file(locator, many, target, datum="gcj02").rows == 1
    assert len(target.read_text().splitlines()) == 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_coordinates_of_three_decimals_are_warned_of(locator, tmp_path):
    fine = written(tmp_path, "lon,lat\n" + "114.6123456,33.6212345\n" * 30)
    assert locate_file(locator, fine, tmp_path / "o.csv", datum="wgs84").warnings == ()
    rough = written(tmp_path, "lon,lat\n" + "114.612,33.62\n" * 30 + "114.6123456,33.6212345\n")
    summary = locate_file(locator, rough, tmp_path / "o.csv", datum="wgs84")
    assert "111 m" in summary.warnings[0][0]
    assert "注意" in summary.as_text("zh")


@pytest.mark.parametrize("rows", ["", "\n"])
def test_header_alone_gives_a_header(locator, tmp_path, rows):
    summary = locate_file(
        locator, written(tmp_path, "lon,lat" + rows), tmp_path / "o.csv", datum="wgs84"
    )
    assert summary.rows == 0
    text = (tmp_path / "o.csv").read_text()
    assert text == "lon,lat,grid_code,microgrid_code,status,edge_m\n"


def test_parquet_of_texts_dictionaries_and_no_rows(locator, tmp_path):
    texts = pa.array(["114.61", None, "未知"])
    table = pa.table({"经度": texts.dictionary_encode(), "纬度": pa.array(["33.62", "1", "2"])})
    source, target = tmp_path / "a.parquet", tmp_path / "b.parquet"
    for rows, statuses in ((3, ["hit", "no_coordinates", "not_a_number"]), (0, [])):
        pq.write_table(table.slice(0, rows), source)
        assert locate_file(locator, source, target, datum="wgs84").rows == rows
        out = pq.read_table(target)
        assert out.column("status").to_pylist() == statuses
        assert out.select(["经度", "纬度"]).equals(table.slice(0, rows))
    for wrong, said in (([True], "bool"), ([[1.0]], "list")):
        pq.write_table(pa.table({"lon": wrong, "lat": [1.0]}), source)
        with pytest.raises(DataError, match=said):
            locate_file(locator, source, target, datum="wgs84")
    source.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="cannot read"):
        locate_file(locator, source, target, datum="wgs84")


def test_canary_of_a_personal_column_reaches_the_target_and_nothing_else(
    locator, tmp_path, caplog, capfd
):
    caplog.set_level(0)
    text = "name,lon,lat\nCANARY,114.61,33.62\nCANARY,x,1\n"
    summary = locate_file(
        locator, written(tmp_path, text), tmp_path / "o.csv", datum="wgs84",
        rejects=tmp_path / "r.csv",
    )  # fmt: skip
    with pytest.raises(DataError) as error:
        locate_file(
            locator, written(tmp_path, text + "CANARY,1\n"), tmp_path / "p.csv", datum="wgs84"
        )
    said = [summary.to_json(), str(error.value), caplog.text, *capfd.readouterr()]
    said.append((tmp_path / "r.csv").read_text("utf-8"))
    assert "CANARY" not in "".join(said)
    assert (tmp_path / "o.csv").read_text().count("CANARY") == 2


# --- workbooks


@pytest.fixture
def book(tmp_path):
    """A workbook as an office sends it: formats, a formula, a second sheet, blanks, texts."""
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.title = "事件&上报"
    sheet.append(["编号", "经度", "纬度", "备注", "网格编码"])
    sheet.append(["001", 114.61, 33.62, '红色 <&> "x"', "411602001001001"])
    sheet.append([2, "114.62", " 33.61 ", datetime.date(2026, 1, 2), None])
    sheet.append([])
    sheet.append([3, None, None, "无", None])
    sheet.append([4, 33.62, 114.61, "=1+1", None])
    sheet.append([5, "未知", "x", None, None])
    sheet["D2"].font = openpyxl.styles.Font(color="FF0000", bold=True)
    other = made.create_sheet("说明")
    other["A1"] = "不要动"
    made.save(tmp_path / "in.xlsx")
    return tmp_path / "in.xlsx"


def test_workbook_keeps_all_it_had_and_gets_text_codes(locator, tmp_path, book):
    target = tmp_path / "out.xlsx"
    summary = locate_file(locator, book, target, datum="cgcs2000", rejects=tmp_path / "r.csv")
    before, after = openpyxl.load_workbook(book), openpyxl.load_workbook(target)
    sheet = after.active
    for row in before.active.iter_rows():
        for cell in row:
            assert sheet[cell.coordinate].value == cell.value
            assert repr(sheet[cell.coordinate].font) == repr(cell.font)
            assert sheet[cell.coordinate].number_format == cell.number_format
    assert after["说明"]["A1"].value == "不要动"
    assert [cell.value for cell in sheet[1]][5:] == list(ADDED_COLUMNS)
    found = locator.locate(
        np.array([[114.61, 33.62], [114.62, 33.61]]), datum="cgcs2000", edges=True
    )
    for row, k in ((2, 0), (3, 1)):
        values = [cell.value for cell in sheet[row]][5:]
        assert values[:3] == [found.grid_code[k], found.microgrid_code[k], "hit"]
        assert values[3] == pytest.approx(found.edge_m[k], abs=0.005)
        assert sheet.cell(row, 7).data_type in ("s", "inlineStr")
    assert [sheet.cell(row, 8).value for row in (4, 5, 6, 7)] == [
        None, "no_coordinates", "swapped", "not_a_number",
    ]  # fmt: skip
    assert (summary.rows, summary.lon, summary.encoding) == (5, "经度", "xlsx, 事件&上报")
    assert len((tmp_path / "r.csv").read_text("utf-8").splitlines()) == 4
    frame = pd.read_excel(target, dtype=str)  # a reader that believes the extent sees all columns
    assert frame["microgrid_code"].str.len().iloc[0] == 18


def test_other_parts_of_a_workbook_are_copied_byte_for_byte(locator, tmp_path, book):
    locate_file(locator, book, tmp_path / "out.xlsx", datum="cgcs2000")
    with zipfile.ZipFile(book) as a, zipfile.ZipFile(tmp_path / "out.xlsx") as b:
        assert a.namelist() == b.namelist()
        changed = [name for name in a.namelist() if a.read(name) != b.read(name)]
    assert changed == ["xl/worksheets/sheet1.xml"]


def repacked(book, target, change):
    """Copy a workbook with some parts changed."""
    with zipfile.ZipFile(book) as a, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as b:
        for name in a.namelist():
            b.writestr(name, change(name, a.read(name)))
    return target


def test_workbook_without_cell_names_and_with_prefixes_is_read(locator, tmp_path, book):
    def change(name, content):
        if name != "xl/worksheets/sheet1.xml":
            return content
        text = re.sub(rb' r="[A-Z]*\d+"', b"", content)
        text = re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", text)
        return text.replace(b"xmlns=", b"xmlns:x=")

    odd = repacked(book, tmp_path / "odd.xlsx", change)
    summary = locate_file(locator, odd, tmp_path / "out.xlsx", datum="cgcs2000")
    # Without names, cells follow one another: the remark of the third row stands in the first two.
    assert summary.statuses == {"hit": 2, "not_a_number": 2, "swapped": 1}
    assert openpyxl.load_workbook(tmp_path / "out.xlsx").active["H2"].value == "hit"


def test_workbook_with_shared_texts_is_read(locator, tmp_path, book):
    texts = []

    def change(name, content):
        def share(found):
            texts.append(found[1])
            return b't="s"><v>%d</v></c>' % (len(texts) - 1)

        pattern = rb't="inlineStr"><is><t[^>]*>([^<]*)</t></is></c>'
        return re.sub(pattern, share, content) if name == "xl/worksheets/sheet1.xml" else content

    shared = repacked(book, tmp_path / "shared.xlsx", change)
    parts = [b"<si><t>%s</t></si>" % text for text in texts]
    parts[1] = "<si><r><t>经</t></r><r><t>度</t></r><rPh><t>jing du</t></rPh></si>".encode()
    with zipfile.ZipFile(shared, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", b"<sst>" + b"".join(parts) + b"</sst>")
    expected = locate_file(locator, book, tmp_path / "a.xlsx", datum="cgcs2000")
    found = locate_file(locator, shared, tmp_path / "b.xlsx", datum="cgcs2000")
    assert (found.statuses, found.lon) == (expected.statuses, "经度")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n, c: b" " * 40_000_000 if "sheet1" in n else c, "unpacked"),
        (lambda n, c: c.replace(b"<sheetData>", b"<sheetData") if "sheet1" in n else c, "readable"),
        (
            lambda n, c: b"<!DOCTYPE x>" + c[c.index(b"<w") :] if "sheet1" in n else c,
            "document type",
        ),
        (lambda n, c: c.replace(b"sheet1.xml", b"sheet9.xml") if "rels" in n else c, "sheet9"),
        (lambda n, c: c.replace(b't="n"><v>', b't="s"><v>99') if "sheet1" in n else c, "readable"),
    ],
)
def test_bad_workbook_is_refused(locator, tmp_path, book, change, said):
    bad = repacked(book, tmp_path / "bad.xlsx", change)
    with pytest.raises(DataError, match=said):
        locate_file(locator, bad, tmp_path / "out.xlsx", datum="wgs84")
    assert not (tmp_path / "out.xlsx").exists()


def test_workbook_without_rows_or_with_the_columns_present_is_refused(locator, tmp_path):
    made = openpyxl.Workbook()
    made.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="no header"):
        locate_file(locator, tmp_path / "a.xlsx", tmp_path / "b.xlsx", datum="wgs84")
    made.active.append(["lon", "lat", "status"])
    made.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="already has a column status"):
        locate_file(locator, tmp_path / "a.xlsx", tmp_path / "b.xlsx", datum="wgs84")
    (tmp_path / "a.xlsx").write_bytes(b"no")
    with pytest.raises(DataError, match="no readable workbook"):
        locate_file(locator, tmp_path / "a.xlsx", tmp_path / "b.xlsx", datum="wgs84")


# --- GeoPackages


def points_file(path, xy, crs="EPSG:4326", shapes=None):
    shapes = shapely.points(xy) if shapes is None else shapes
    frame = gpd.GeoDataFrame(
        {
            "编号": [f"0{k}" for k in range(len(shapes))],
            "n": pd.array([1, None] * 9, "Int32")[: len(shapes)],
        },
        geometry=shapes, crs=crs,
    )  # fmt: skip
    frame.to_file(path, driver="GPKG", layer="事件")
    return frame


def test_points_of_a_geopackage_keep_their_columns_types_and_geometry(locator, tmp_path):
    xy = np.array([[114.61, 33.62], [33.62, 114.61], [114.0, 33.6], [114.62, 33.61]])
    shapes = [*shapely.points(xy[:3]), None, shapely.Point(), shapely.Point(*xy[3])]
    points_file(tmp_path / "a.gpkg", None, shapes=shapes)
    summary = locate_file(locator, tmp_path / "a.gpkg", tmp_path / "b.gpkg", datum="gcj02")
    before, after = (store.read_layer(tmp_path / name, "事件") for name in ("a.gpkg", "b.gpkg"))
    assert after["status"].tolist() == [
        "hit", "swapped", "outside", "no_coordinates", "no_coordinates", "hit",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(after[before.columns], before)
    assert after.crs == before.crs
    expected = locator.locate(xy[[0, 3]], datum="gcj02").microgrid_code
    assert after["microgrid_code"].tolist()[::5] == expected.tolist()
    assert summary.rows == 6


def test_layer_that_contradicts_the_datum_is_refused(locator, tmp_path):
    path, target = tmp_path / "a.gpkg", tmp_path / "b.gpkg"
    metres = datums.convert(np.array([[114.61, 33.62]]), Datum.WGS84, datums.Epsg(4547))
    points_file(path, metres, crs="EPSG:4547")
    assert locate_file(locator, path, target, datum="epsg:4547").statuses == {"hit": 1}
    for datum in ("wgs84", "epsg:4526"):
        with pytest.raises(CoordinateError, match="epsg:4547"):
            locate_file(locator, path, target, datum=datum)


def test_other_geopackages_are_refused(locator, tmp_path):
    path, target = tmp_path / "a.gpkg", tmp_path / "b.gpkg"
    points_file(path, None, shapes=[shapely.box(0, 0, 1, 1)])
    with pytest.raises(DataError, match="Polygon, expected points"):
        locate_file(locator, path, target, datum="wgs84")
    with pytest.raises(UsageError, match="--lon"):
        locate_file(locator, path, target, datum="wgs84", lon="a", lat="b")
    frame = gpd.GeoDataFrame(geometry=shapely.points([[1, 2]]), crs="EPSG:4326")
    frame.to_file(path, driver="GPKG", layer="另一层")
    with pytest.raises(DataError, match="2 spatial layers"):
        locate_file(locator, path, target, datum="wgs84")
    assert not target.exists()


# --- every format


@pytest.mark.parametrize(
    "kind", ["utf-8", "utf-8-sig", "gbk", "gb18030", "xlsx", "parquet", "gpkg"]
)
def test_codes_chinese_and_leading_zeros_survive_every_format(locator, tmp_path, kind):
    code, name = "041160200100100101", "周口市𠮷" if kind != "gbk" else "周口市"
    suffix = kind if kind in ("xlsx", "parquet", "gpkg") else "csv"
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    frame = pd.DataFrame({"code": [code], "name": [name], "lon": [114.61], "lat": [33.62]})
    if kind == "xlsx":
        frame.to_excel(source, index=False)
    elif kind == "parquet":
        frame.to_parquet(source)
    elif kind == "gpkg":
        gpd.GeoDataFrame(frame, geometry=shapely.points([[114.61, 33.62]]), crs=4326).to_file(
            source
        )
    else:
        source.write_bytes(frame.to_csv(index=False).encode(kind))
    locate_file(locator, source, target, datum="cgcs2000")
    read = {
        "xlsx": lambda: pd.read_excel(target, dtype=str),
        "parquet": lambda: pd.read_parquet(target),
        "gpkg": lambda: store.read_layer(target, store.layer_names(target)[0]),
        "csv": lambda: pd.read_csv(target, dtype=str, encoding=kind),
    }[suffix]()
    expected = locator.locate(np.array([[114.61, 33.62]]), datum="cgcs2000")
    columns = ["code", "name", "grid_code", "microgrid_code"]
    assert read[columns].to_numpy().tolist() == [
        [code, name, expected.grid_code[0], expected.microgrid_code[0]]
    ]


def test_paths_may_be_texts_as_the_readme_writes_them(toy_edition, tmp_path, monkeypatch):
    store.write_edition(toy_edition, tmp_path / "city.gpkg", tables={})
    (tmp_path / "in.csv").write_text("lon,lat\n114.6123,33.6212\n1,1\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    city = gg.open("city.gpkg")
    locator = gg.Locator.of("city.gpkg")
    summary = gg.locate_file(locator, "in.csv", "out.csv", datum="wgs84", rejects="rejects.csv")
    assert summary.rows == 2
    assert {"out.csv", "rejects.csv"} < {path.name for path in tmp_path.iterdir()}
    locator.save("kept.locator")
    assert gg.Locator.open("kept.locator").index.digest == city.info.digest
