"""Text tables read in pieces: against Python's `csv`, and every byte kept."""

import csv
import io
import math
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geogrid import tables
from geogrid._kernels import records as kernels
from geogrid.errors import DataError
from geogrid.tables import CsvTable, number

MOST, LAST = 64, True


def scanned(data, n_fields, *, compiled=True):
    """Return the fields 0 and 1 of each record as the kernel finds them, and the fault."""
    raw = np.frombuffer(data, np.uint8)
    bounds = np.empty((MOST, 6), np.int64)
    scan = kernels.scan if compiled else kernels.scan.py_func
    n, used, lines, fault, _ = scan(raw, LAST, ord(","), n_fields, (0, 1), bounds)
    rows = []
    for start, end, *places in bounds[:n].tolist():
        fields = [data[a:b].decode() for a, b in (places[:2], places[2:])]
        rows.append([tables._unquoted(field) for field in fields] if end > start else [])
    return rows, (n, used, lines, fault)


@given(st.text(alphabet='a",\n\r市 ', max_size=24), st.integers(2, 3))
def test_records_are_those_of_the_csv_module(text, n_fields):
    data = text.encode()
    found, tail = scanned(data, n_fields)
    assert (found, tail) == scanned(data, n_fields, compiled=False)
    lines = io.StringIO(text, newline="")
    expected, broken = [], False
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error:
            broken = True
            break
        if fields and len(fields) != n_fields:
            broken = True
            break
        expected.append(fields[:2])
    assert found == expected
    assert (tail[3] != kernels.FINE) == broken
    if not broken:
        assert tail[1] == len(data)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(70, 140).map(repr),
    st.decimals(-200, 200, places=9).map(str),
    st.integers(-(10**25), 10**25).map(str),
    st.text(alphabet="0123456789.eE+- ", max_size=12),
    st.text(alphabet="1.１²x_", max_size=6),
)


@given(NUMBERS)
def test_number_of_bytes_is_the_number_of_the_text(text):
    raw = np.frombuffer(text.encode(), np.uint8)
    for parse in (kernels.number, kernels.number.py_func):
        with np.errstate(over="ignore"):  # Python's own integers warn where the machine's wrap
            value, certain = parse(raw, 0, len(raw))
        if certain:
            assert value == number(text) or (math.isnan(value) and math.isnan(number(text)))


@given(st.floats(70, 140), st.integers(0, 14))
def test_usual_coordinates_are_read_without_help(value, places):
    for text in (repr(value), f"{value:.{places}f}"):
        raw = np.frombuffer(text.encode(), np.uint8)
        found, certain = kernels.number(raw, 0, len(raw))
        assert found == float(text)
        assert certain


def test_texts_of_a_column_are_numbers_or_none():
    texts = ["114.5", "", None, "x", "１", "1e400", " 33 ", "0.1234567890123456789"]
    expected = np.array([114.5, np.nan, np.nan, np.inf, np.inf, np.inf, 33, 0.1234567890123456789])
    column = pa.array([None, *texts], pa.large_string())
    np.testing.assert_array_equal(tables.numbers(column[1:]), expected)
    assert len(tables.numbers(column[:0])) == 0


@pytest.mark.parametrize("piece", [7, 16, 61, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_size_of_the_pieces_decides_nothing(tmp_path, monkeypatch, piece, end):
    rows = [f'{k},"a,""{k}{end}b",{k / 7}, 33.{k} ' for k in range(40)]
    rows[7:7] = ["", ""]
    path = tmp_path / "a.csv"
    path.write_bytes(end.join(["id,text,lon,lat", *rows]).encode())
    table = CsvTable.open(path)
    monkeypatch.setattr(tables, "_PIECE", piece)
    pieces = list(table.pieces((2, 3)))
    data = b"".join(each.data[: each.used].tobytes() for each in pieces)
    assert table.header.raw + table.header.end + data == path.read_bytes()
    xy = np.vstack([each.xy[each.filled] for each in pieces])
    np.testing.assert_array_equal(xy, [(float(repr(k / 7)), float(f"33.{k}")) for k in range(40)])
    assert pieces[-1].end == path.stat().st_size
    later = list(table.pieces((2, 3), pieces[0].end, pieces[0].line))
    assert sum(len(each.bounds) for each in later) == 42 - len(pieces[0].bounds)


def test_records_shorter_than_expected_are_all_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"x,y\n" + b"1,2\n" * 5000)
    pieces = list(CsvTable.open(path).pieces((0, 1)))
    assert sum(len(each.bounds) for each in pieces) == 5000


@pytest.mark.parametrize("content", [b'1,"2' + b"x" * 300, b"1,2" + b"2" * 300 + b"\n"])
def test_record_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch, content):
    monkeypatch.setattr(tables, "_PIECE", 64)
    monkeypatch.setattr(tables, "_LONGEST_RECORD", 128)
    path = tmp_path / "a.csv"
    path.write_bytes(b"x,y\n1,2\n" + content + b"3,4\n" * 10)
    with pytest.raises(DataError, match=r"line 3: .*quote"):
        list(CsvTable.open(path).pieces((0, 1)))


def test_records_one_by_one_and_the_first_of_them_are_those_of_the_pieces(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('x,y\n1,"a\n""b"\n\n2,市\n'.encode("gbk"))
    table = CsvTable.open(path)
    assert [each.fields for each in table.records()] == [["1", 'a\n"b'], [], ["2", "市"]]
    assert table.head(1).to_numpy().tolist() == [["1", 'a\n"b']]
    assert table.read().to_numpy().tolist() == [["1", 'a\n"b'], ["2", "市"]]
    with path.open("ab") as file:
        file.write(b"3\n")
    assert len(table.head(9)) == 2
    with pytest.raises(DataError, match="line 6: 1 fields"):
        list(table.records())


@pytest.mark.parametrize(
    ("magic", "said"),
    [
        (b"\x1f\x8b\x08", "compressed"), (b"PK\x03\x04", "workbook"), (b"PAR1", "Parquet"),
        (b"\xd0\xcf\x11\xe0", "xls"), (b"\xff\xfel\x00", "UTF-16"),
    ],
)  # fmt: skip
def test_what_is_only_called_csv_is_told_what_it_is(tmp_path, magic, said):
    (tmp_path / "a.csv").write_bytes(magic * 9)
    with pytest.raises(DataError, match=said):
        CsvTable.open(tmp_path / "a.csv")


def test_character_cut_by_a_piece_is_no_fault_and_a_bad_one_is_named_by_its_line(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tables, "_PIECE", 64)
    path = tmp_path / "a.csv"
    for encoding in ("utf-8", "gb18030"):
        text = "经度,纬度\n" + "周口市川汇区,𠮷\n" * 30
        path.write_bytes(text.encode(encoding))
        assert tables.detect_encoding(path) == encoding
    path.write_bytes(text.encode() + b"\xff\xff\n")
    with pytest.raises(DataError, match="line 32: neither"):
        tables.detect_encoding(path)


LONG_LINE = b"lon,lat,t\n1,2,\xd6\xdc"


@pytest.mark.parametrize(
    "work",
    [
        lambda n, _: tables.number("1" * n + "x"),
        lambda n, _: tables.number("1." + "1" * n + "e"),
        lambda n, path: detected(path, LONG_LINE + b"x" * n),
        lambda n, path: detected(path, LONG_LINE + b"\xe4\xbd\xa0\xe4\xbd\xa0x" * (n // 7)),
    ],
    ids=["digits", "decimals", "letters", "characters"],
)
def test_a_long_field_takes_time_in_proportion_to_its_length(tmp_path, work):
    """And not to the square of it: two megabytes would hold a service for hours."""

    def seconds(n: int) -> float:
        took = []
        for _ in range(5):
            began = time.process_time()
            work(n, tmp_path / "a.csv")
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(40_000) < 20 * max(seconds(5_000), 1e-4)  # the square of eight is 64


def detected(path, content):
    path.write_bytes(content)
    assert tables.detect_encoding(path) == "gb18030"


def test_a_line_of_utf8_in_a_gbk_file_is_found_wherever_it_stands(tmp_path, monkeypatch):
    gbk, utf8 = "周口市川汇区\n".encode("gbk"), "周口市川汇区\n".encode()
    for piece in (16, 64, 1 << 20):
        monkeypatch.setattr(tables, "_PIECE", piece)
        for before in range(4):
            for end in (utf8, utf8.rstrip(b"\n"), utf8 + gbk):
                path = tmp_path / "a.csv"
                path.write_bytes(b"lon,lat\n" + gbk * before + gbk + end)
                with pytest.raises(DataError, match="neither UTF-8 nor GBK throughout"):
                    tables.detect_encoding(path)
                path.write_bytes(b"lon,lat\n" + gbk * (before + 2))
                assert tables.detect_encoding(path) == "gb18030"


def test_three_hundred_columns_are_read(tmp_path):
    names = [f"c{k}" for k in range(298)] + ["lon", "lat"]
    path = tmp_path / "a.csv"
    path.write_text(",".join(names) + "\n" + ",".join(["x"] * 298 + ["114.5", "33.5"]) + "\n")
    table = CsvTable.open(path)
    (piece,) = table.pieces(tables.coordinate_columns(table.header.fields, None, None))
    assert piece.xy.tolist() == [[114.5, 33.5]]


def test_records_are_extended_as_python_does():
    data = np.frombuffer(b"1,2\r\n\r\n3,4\n5,6", np.uint8)
    bounds = np.empty((9, 6), np.int64)
    n, used, lines, fault, _ = kernels.scan(data, LAST, ord(","), 2, (0, 1), bounds)
    assert (n, used, lines, fault) == (4, len(data), 4, kernels.FINE)
    codes, names = (
        np.array(texts).view(np.uint8).reshape(len(texts), -1)
        for texts in ([b"123456", b"98765"], [b"hit", b"outside"])
    )
    args = (
        data, bounds[:n], used, np.array([1, -1, -1, 0], np.int32), np.array([0, 1, 1, 0], np.int8),
        np.array([0.005, np.nan, np.nan, 1234.567]), codes, codes, names, ord(","),
    )  # fmt: skip
    for extend in (kernels.extend, kernels.extend.py_func):
        out = np.zeros(200, np.uint8)
        size = extend(*args, out)
        assert out[:size].tobytes() == (
            b"1,2,98765,98765,hit,0.00\r\n\r\n3,4,,,outside,\n5,6,123456,123456,hit,1234.57"
        )


@given(st.floats(0, 99_999))
def test_distances_have_two_decimals(value):
    out = np.zeros(20, np.uint8)
    size = kernels.decimal(out, 0, value)
    assert out[:size].tobytes().decode() == f"{np.rint(value * 100) / 100:.2f}"
    assert kernels.decimal(out, 0, math.nan) == 0
