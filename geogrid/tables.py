"""Tables of records as people send them: CSV in UTF-8 or GBK, read and written without a change.

A record is kept as the bytes it came as, so that what is added is all that differs: quoting,
blanks, line ends and encoding of the other columns stay byte for byte. A table is read in pieces;
its size does not matter.
"""

import codecs
import csv
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from geogrid._kernels import records as kernels
from geogrid.errors import DataError, UsageError

_PAIRS = (
    ("经度", "纬度"),
    ("lon", "lat"),
    ("lng", "lat"),
    ("long", "lat"),
    ("longitude", "latitude"),
    ("lng", "latitude"),
    ("x", "y"),
    ("x坐标", "y坐标"),
    ("坐标x", "坐标y"),
    ("经度坐标", "纬度坐标"),
    ("point_x", "point_y"),
)
"""Headers of longitude and latitude, in lower case, that are understood without being named."""

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A plain decimal number: no blanks, underscores, full-width digits. There is one way to match each
digit: with two, a field of 16,000 takes ten seconds to refuse, while all others wait."""

_UTF8_CHINESE = re.compile(rb"(?:[\xe4-\xe9][\x80-\xbf]{2}){3}")
_DELIMITERS = (",", "\t", ";")
_BOM = b"\xef\xbb\xbf"
_PIECE = 1 << 23
"""Bytes read at once."""

_LONGEST_RECORD = 1 << 24
"""Bytes; a record that is longer is a quote that was not closed."""

_SHORTEST_RECORD = 8
"""Bytes a record may be expected to have at least; shorter ones are read in more pieces."""

_MOST_TOLD, _LONGEST_TOLD = 30, 40
"""Names of columns in a message, and letters of each."""

_NOT_TEXT = {
    b"\x1f\x8b": ("compressed (gzip). Unpack it first.", "gzip 压缩文件，请先解压。"),
    b"PK\x03\x04": (
        "a ZIP archive or a workbook. Unpack it, or name it .xlsx if it is a workbook.",
        "ZIP 压缩包或工作簿，请先解压；若为工作簿，请以 .xlsx 命名。",
    ),
    b"\xd0\xcf\x11\xe0": (
        "an old Excel workbook (.xls). Save it as .xlsx or as 'CSV UTF-8'.",
        "旧版 Excel 工作簿 (.xls)，请另存为 .xlsx 或“CSV UTF-8”。",
    ),
    b"\xff\xfe": (
        "UTF-16 ('Unicode text'). Save it as 'CSV UTF-8'.",
        "UTF-16（“Unicode 文本”），请另存为“CSV UTF-8”。",
    ),
    b"\xfe\xff": ("UTF-16. Save it as 'CSV UTF-8'.", "UTF-16，请另存为“CSV UTF-8”。"),
    b"PAR1": ("a Parquet file. Name it .parquet.", "Parquet 文件，请以 .parquet 命名。"),
}
"""First bytes of files that are called .csv and are not."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first record: its bytes, the line end behind them, and the names of the columns."""

    raw: bytes
    end: bytes
    fields: list[str]


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of a record; none for an empty line."""

    fields: list[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records of a table, one after the other.

    Attributes
    ----------
    data : uint8
        Bytes that begin with the first of them.
    bounds : (n, 6) int64
        Places of each record and its coordinates in `data`, see `kernels.scan`.
    used : int
        Bytes the records take.
    xy : (n, 2) float
        Longitude and latitude as written; NaN where blank, infinity where no number.
    end, line : int
        Place in the file and number of the line behind the last of them.
    """

    data: NDArray[np.uint8]
    bounds: NDArray[np.int64]
    used: int
    xy: NDArray[np.float64]
    end: int
    line: int

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Say which records are not empty lines."""
        filled: NDArray[np.bool_] = self.bounds[:, 1] > self.bounds[:, 0]
        return filled

    def text(self, row: int, encoding: str) -> str:
        """Return a record as text, without its line end."""
        start, end = self.bounds[row, :2]
        return self.data[start:end].tobytes().decode(encoding.replace("-sig", ""))


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file of which the header has been read.

    Attributes
    ----------
    encoding : str
        `utf-8-sig` (with a byte order mark), `utf-8` or `gb18030` (which GBK is part of).
    line : int
        Number of the first line behind the header.
    """

    path: Path
    encoding: str
    delimiter: str
    header: Header
    line: int

    @classmethod
    def open(cls, path: Path) -> "CsvTable":
        """Read the header of a CSV file.

        Raises
        ------
        DataError
            The file is missing or empty, its encoding is neither UTF-8 nor GBK, or it is not text.
        """
        encoding = detect_encoding(path)
        with path.open("rb") as file:
            lines = file.read(_PIECE).splitlines(keepends=True)
        plain = encoding.replace("-sig", "")
        first = lines[0].removeprefix(_BOM).decode(plain)
        if not first.strip():
            raise DataError(
                f"{path} has no header: its first line is empty.", f"{path} 没有表头：首行为空。"
            )
        delimiter = max(_DELIMITERS, key=first.count)
        used: list[bytes] = []
        reader = csv.reader(_noting(lines, plain, used), delimiter=delimiter, strict=True)
        try:
            fields = next(reader)
        except csv.Error as error:
            raise DataError(
                f"{path}, line 1: {error}.", f"{path} 第 1 行不能作为表头：{error}。"
            ) from error
        raw = b"".join(used)
        text = raw.rstrip(b"\r\n")
        header = Header(text, raw[len(text) :], fields)
        return cls(path, encoding, delimiter, header, len(used) + 1)

    def pieces(self, columns: tuple[int, int], start: int = 0, line: int = 0) -> Iterator[Piece]:
        """Yield the records below the header.

        Parameters
        ----------
        columns : longitude and latitude
            Positions of the columns to read as numbers.
        start, line : int
            Where to go on: `end` and `line` of an earlier piece.

        Raises
        ------
        DataError
            A record has not as many fields as the header, or is no text; the line is named.
        """
        line = line or self.line
        with self.path.open("rb") as file:
            offset = file.seek(start or len(self.header.raw) + len(self.header.end))
            rest, last, full = b"", False, False
            while not last or full:
                if not full:
                    added = file.read(_PIECE)
                    rest, last = rest + added, len(added) < _PIECE
                data = np.frombuffer(rest, np.uint8)
                bounds = np.empty((len(data) // _SHORTEST_RECORD + 1, 6), np.int64)
                n, used, lines, fault, fields = kernels.scan(
                    data, last, ord(self.delimiter), len(self.header.fields), columns, bounds
                )
                if n:
                    offset, line = offset + used, line + lines
                    yield self._piece(data, bounds[:n], used, (offset, line))
                if fault != kernels.FINE:
                    raise self._fault(fault, fields, line)
                rest, full = rest[used:], n == len(bounds)
                if len(rest) > _LONGEST_RECORD and not full:
                    raise self._fault(kernels.TEXT_BEHIND_QUOTE, 0, line)

    def read(self) -> pd.DataFrame:
        """Read all records, every field as the text it is; empty lines are left out."""
        for _ in self.pieces((-1, -1)):  # names the line of a record that does not fit
            continue
        return pd.read_csv(
            self.path, sep=self.delimiter, encoding=self.encoding, dtype=str, na_filter=False
        )

    def records(self) -> Iterator[Record]:
        """Yield the records below the header, one by one; for tables of some thousands.

        Raises
        ------
        DataError
            As for `pieces`.
        """
        for _ in self.pieces((-1, -1)):  # names the line of a record that does not fit
            continue
        yield from self._plain_records()

    def head(self, n: int) -> pd.DataFrame:
        """Read the first `n` records at most, up to one that does not fit."""
        columns: list[list[str]] = [[] for _ in self.header.fields]
        filled = (record.fields for record in self._plain_records() if record.fields)
        for fields in itertools.islice(filled, n):
            if len(fields) != len(columns):
                break
            for column, text in zip(columns, fields, strict=True):
                column.append(text)
        return pd.DataFrame(dict(enumerate(columns)), dtype=object)

    def _plain_records(self) -> Iterator[Record]:
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            next(reader)
            try:
                for fields in reader:
                    yield Record(fields)
            except csv.Error as error:  # a field of more than 131,072 letters
                raise DataError(
                    f"{self.path}, line {reader.line_num}: {error}.",
                    f"{self.path} 第 {reader.line_num} 行：字段过长。",
                ) from error

    def _piece(
        self, data: NDArray[np.uint8], bounds: NDArray[np.int64], used: int, end: tuple[int, int]
    ) -> Piece:
        xy = np.empty((len(bounds), 2))
        for row in kernels.numbers(data, bounds, xy).tolist():
            for column, (a, b) in enumerate(bounds[row, 2:].reshape(2, 2)):
                text = data[a:b].tobytes().decode(self.encoding.replace("-sig", ""))
                xy[row, column] = number(_unquoted(text))
        return Piece(data, bounds, used, xy, *end)

    def _fault(self, fault: int, fields: int, line: int) -> DataError:
        n = len(self.header.fields)
        said, zh = {
            kernels.NUL: (
                "not a line of text; is this a CSV file?", "不是文本，请确认文件是 CSV。"
            ),
            kernels.TEXT_BEHIND_QUOTE: (
                "a field begins with a quote and does not end with one, or a record is longer than "
                "16 MB. Close each quote, and double those inside of fields.",
                "字段的引号没有闭合，或一条记录超过 16 MB；请闭合引号，字段内的引号写两个。",
            ),
            kernels.WRONG_NUMBER_OF_FIELDS: (
                f"{fields} fields, but the header has {n}. "
                f"Put fields that contain {self.delimiter!r} in quotes.",
                f"有 {fields} 个字段，表头为 {n} 个；含 {self.delimiter!r} 的字段请加引号。",
            ),
        }[fault]  # fmt: skip
        return DataError(f"{self.path}, line {line}: {said}", f"{self.path} 第 {line} 行：{zh}")


def detect_encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8 if every line is, else GB 18030 if every line is.

    Raises
    ------
    DataError
        Neither fits, or lines in both encodings occur; the message names the line. Or the file is
        no text: compressed, a workbook, UTF-16.
    """
    try:
        with path.open("rb") as file:
            first = file.read(8)
            if not first:
                raise DataError(f"{path} is empty.", f"{path} 是空文件。")
            for magic, (what, zh) in _NOT_TEXT.items():
                if first.startswith(magic):
                    raise DataError(f"{path} is {what}", f"{path} 是 {zh}")
            bad = _first_undecodable(file, "utf-8")
            if bad is None:
                return "utf-8-sig" if first.startswith(_BOM) else "utf-8"
            worse = _first_undecodable(file, "gb18030")
            mixed = _holds_utf8_line(file)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    if worse is not None or mixed:
        line = bad if mixed else worse
        raise DataError(
            f"{path}, line {line}: neither UTF-8 nor GBK throughout. Save the file as 'CSV UTF-8' "
            "and try again.",
            f"{path} 第 {line} 行：编码既非 UTF-8 也非 GBK，或两者混用。请另存为“CSV UTF-8”。",
        )
    return "gb18030"


def coordinate_columns(names: Sequence[str], lon: str | None, lat: str | None) -> tuple[int, int]:
    """Return the positions of the longitude and latitude columns, named or recognised.

    Raises
    ------
    UsageError
        A column is named that is not there or occurs twice; none or several pairs are recognised.
    """
    if (lon is None) != (lat is None):
        raise UsageError(
            "name both columns or none: --lon COLUMN --lat COLUMN",
            "经度列和纬度列应同时指定或都不指定：--lon COLUMN --lat COLUMN",
        )
    if lon is not None and lat is not None:
        return _position(names, lon), _position(names, lat)
    plain = [name.strip().lower() for name in names]
    pairs = [pair for pair in _PAIRS if pair[0] in plain and pair[1] in plain]
    if len(pairs) != 1:
        found = "; ".join(f"{a} and {b}" for a, b in pairs) or "none"
        raise UsageError(
            f"columns of longitude and latitude recognised: {found}. The columns are "
            f"{_told(names)}. Name them: --lon COLUMN --lat COLUMN",
            f"不能确定经度列和纬度列（常用列名：{found if pairs else '无'}）。"
            f"现有的列为 {_told(names)}。请指定：--lon COLUMN --lat COLUMN",
        )
    return _position(plain, pairs[0][0]), _position(plain, pairs[0][1])


def number(text: str) -> float:
    """Return a plain decimal number, NaN for a blank text, infinity for anything else.

    >>> number(" 114.65 "), number(""), number("1_0"), number("nan")
    (114.65, nan, inf, inf)
    """
    text = text.strip()
    if not text:
        return math.nan
    return float(text) if NUMBER.fullmatch(text) else math.inf


def numbers(texts: pa.LargeStringArray) -> NDArray[np.float64]:
    """Return `number` of each text of a column, NaN for null."""
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1].copy()
    held = texts.buffers()[2]
    data = np.frombuffer(b"" if held is None else held, np.uint8)
    values = np.empty(len(texts))
    for row in kernels.numbers_of_texts(data, offsets, values).tolist():
        values[row] = number(data[offsets[row] : offsets[row + 1]].tobytes().decode())
    return np.where(np.asarray(texts.is_null()), np.nan, values)


def _position(names: Sequence[str], name: str) -> int:
    n = list(names).count(name)
    if n != 1:
        raise UsageError(
            f"column {name!r} occurs {n} times, expected once; the columns are {_told(names)}",
            f"列 {name!r} 应出现一次，实际 {n} 次；现有的列为 {_told(names)}",
        )
    return list(names).index(name)


def _told(names: Sequence[str]) -> str:
    """Return names of columns as a list that is not longer than the file."""
    short = [name if len(name) <= _LONGEST_TOLD else name[:_LONGEST_TOLD] + "…" for name in names]
    return ", ".join(short[:_MOST_TOLD] + ["…"] * (len(short) > _MOST_TOLD))


def _unquoted(text: str) -> str:
    quoted = len(text) >= 2 and text[0] == '"'
    return text[1:-1].replace('""', '"') if quoted else text


def _noting(lines: list[bytes], encoding: str, used: list[bytes]) -> Iterator[str]:
    for line in lines:
        if b"\0" in line:
            raise csv.Error("not a line of text; is this a CSV file?")
        used.append(line)
        text = line.removeprefix(_BOM) if len(used) == 1 else line
        yield text.decode(encoding)


def _first_undecodable(file: BinaryIO, encoding: str) -> int | None:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 0
    while True:
        block = file.read(_PIECE)
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            return lines + error.object[: error.start].count(b"\n") + 1
        lines += block.count(b"\n")
        if not block:
            return None


def _holds_utf8_line(file: BinaryIO) -> bool:
    """Say whether a line is surely UTF-8: three Chinese characters in a row by chance are none."""
    file.seek(0)
    rest = b""
    while block := file.read(_PIECE):
        whole, _, rest = (rest + block).rpartition(b"\n")
        if _is_utf8_somewhere(whole):
            return True
        rest = rest if len(rest) < _LONGEST_RECORD else b""  # which is refused for its length
    return _is_utf8_somewhere(rest)


def _is_utf8_somewhere(text: bytes) -> bool:
    """Say whether a line with three Chinese characters in UTF-8 is UTF-8 as a whole."""
    at = 0
    while found := _UTF8_CHINESE.search(text, at):
        start, end = text.rfind(b"\n", at, found.start()) + 1, text.find(b"\n", found.end())
        at = end if end >= 0 else len(text)
        if _decodes(text[start:at]):
            return True
    return False


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
