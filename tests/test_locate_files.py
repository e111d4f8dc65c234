"""Files of positions: rows in are rows out, and every other byte stays."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geogrid.datums import Datum
from geogrid.errors import DataError, UsageError
from geogrid.locate import Locator, locate_file


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
        ("lon,lat\n".encode("utf-16"), "line 1: neither"),
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
    ("source", "target"), [("a.xlsx", "b.xlsx"), ("a.csv", "b.parquet"), ("a.csv", "b.txt.gz")]
)
def test_other_kinds_of_file_are_refused(locator, tmp_path, source, target):
    with pytest.raises(UsageError, match="CSV UTF-8"):
        locate_file(locator, tmp_path / source, tmp_path / target, datum="wgs84")


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
