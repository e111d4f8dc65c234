"""Files of positions: rows in are rows out, and every other byte stays."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geogrid import tables
from geogrid.datums import Datum
from geogrid.errors import DataError, UsageError
from geogrid.locate import Locator, csv_file, locate_file


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
    pq.write_table(pa.table({"lon": [True], "lat": [1.0]}), source)
    pq.write_table(pa.table({"lon": [[1.0]], "lat": [1.0]}), source)
    with pytest.raises(DataError, match="list"):
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
