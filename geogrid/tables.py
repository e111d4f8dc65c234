"""Tables of records as people send them: CSV in UTF-8 or GBK, read and written without a change.

A record is kept as the text it came as, so that what is added is all that differs: quoting, blanks,
line ends and encoding of the other columns stay byte for byte.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from geogrid.errors import DataError, UsageError

_PAIRS = (
    ("经度", "纬度"),
    ("lon", "lat"),
    ("lng", "lat"),
    ("long", "lat"),
    ("longitude", "latitude"),
    ("x", "y"),
    ("x坐标", "y坐标"),
    ("坐标x", "坐标y"),
)
"""Headers of longitude and latitude, in lower case, that are understood without being named."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_DELIMITERS = (",", "\t", ";")
_LONGEST_FIELD = 10**6


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its text with the line end taken off, the line end, and its fields."""

    text: str
    end: str
    fields: list[str]


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file of which the header has been read.

    Attributes
    ----------
    encoding : str
        `utf-8-sig` (with a byte order mark), `utf-8` or `gb18030` (which GBK is part of).
    """

    path: Path
    encoding: str
    delimiter: str
    header: Record

    @classmethod
    def open(cls, path: Path) -> "CsvTable":
        """Read the header of a CSV file.

        Raises
        ------
        DataError
            The file is missing or empty, its encoding is neither UTF-8 nor GBK, or it is not text.
        """
        encoding = detect_encoding(path)
        with path.open(encoding=encoding, newline="") as file:
            line = file.readline()
        if not line.strip():
            raise DataError(f"{path} has no header: its first line is empty.")
        delimiter = max(_DELIMITERS, key=line.count)
        table = cls(path, encoding, delimiter, Record("", "", []))
        return cls(path, encoding, delimiter, next(table._records()))

    def records(self) -> Iterator[Record]:
        """Yield the records below the header; an empty line is a record without fields.

        Raises
        ------
        DataError
            A record has not as many fields as the header; the message names the line.
        """
        records = self._records()
        next(records)
        yield from records

    def _records(self) -> Iterator[Record]:
        used: list[str] = []
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(_noting(file, used), delimiter=self.delimiter, strict=True)
            n_fields = len(self.header.fields)
            while True:
                line = reader.line_num + 1
                try:
                    fields = next(reader, None)
                except csv.Error as error:
                    raise DataError(f"{self.path}, line {line}: {error}.") from error
                if fields is None:
                    return
                if n_fields and fields and len(fields) != n_fields:
                    raise DataError(
                        f"{self.path}, line {line}: {len(fields)} fields, but the header has "
                        f"{n_fields}. Put fields that contain {self.delimiter!r} in quotes."
                    )
                raw = "".join(used)
                used.clear()
                text = raw.rstrip("\r\n")
                yield Record(text, raw[len(text) :], fields)


def detect_encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8 if every line is, else GB 18030 if every line is.

    Raises
    ------
    DataError
        Neither fits, or lines in both encodings occur; the message names the line.
    """
    try:
        with path.open("rb") as file:
            first = file.readline()
            file.seek(0)
            if not first:
                raise DataError(f"{path} is empty.")
            bad = _first_undecodable(file, "utf-8")
            if bad is None:
                return "utf-8-sig" if first.startswith(b"\xef\xbb\xbf") else "utf-8"
            file.seek(0)
            worse = _first_undecodable(file, "gb18030")
            file.seek(0)
            mixed = _first_chinese_utf8(file)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    if worse is not None or mixed is not None:
        line = worse if mixed is None else bad
        raise DataError(
            f"{path}, line {line}: neither UTF-8 nor GBK throughout. Save the file as "
            "'CSV UTF-8' and try again."
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
        raise UsageError("name both columns or none: --lon COLUMN --lat COLUMN")
    if lon is not None and lat is not None:
        return _position(names, lon), _position(names, lat)
    plain = [name.strip().lower() for name in names]
    pairs = [pair for pair in _PAIRS if pair[0] in plain and pair[1] in plain]
    if len(pairs) != 1:
        found = "; ".join(f"{a} and {b}" for a, b in pairs) or "none"
        raise UsageError(
            f"columns of longitude and latitude recognised: {found}. The columns are "
            f"{', '.join(names)}. Name them: --lon COLUMN --lat COLUMN"
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
    return float(text) if _NUMBER.fullmatch(text) else math.inf


def _position(names: Sequence[str], name: str) -> int:
    n = list(names).count(name)
    if n != 1:
        raise UsageError(
            f"column {name!r} occurs {n} times, expected once; the columns are {', '.join(names)}"
        )
    return list(names).index(name)


def _noting(lines: Iterator[str], used: list[str]) -> Iterator[str]:
    for line in lines:
        if len(line) > _LONGEST_FIELD or "\0" in line:
            raise csv.Error("not a line of text; is this a CSV file?")
        used.append(line)
        yield line


def _first_undecodable(lines: Iterator[bytes], encoding: str) -> int | None:
    for number_of_line, line in enumerate(lines, 1):
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            return number_of_line
    return None


def _first_chinese_utf8(lines: Iterator[bytes]) -> int | None:
    """Return the first line that is surely UTF-8: three Chinese characters by chance are none."""
    for number_of_line, line in enumerate(lines, 1):
        try:
            if not line.isascii() and len(_CHINESE.findall(line.decode("utf-8"))) >= 3:
                return number_of_line
        except UnicodeDecodeError:
            continue
    return None
