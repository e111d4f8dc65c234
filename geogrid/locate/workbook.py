"""Excel workbooks as ZIP archives of XML: rows read in place, cells put behind them.

Everything that is not added is copied byte for byte: formats, formulas, other sheets. A library
that reads a workbook and writes it anew would lose what it does not know.
"""

import re
import xml.parsers.expat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.sax.saxutils import unescape

from geogrid.errors import DataError

_MOST_BYTES = 1 << 31
"""Bytes of XML; a million rows of thirty columns take about three quarters of it."""

_HIGHEST_RATIO = 200
"""The XML of sheets shrinks to a tenth or a thirtieth; beyond this it is a bomb."""

_SMALL = 1 << 24
"""Bytes that are harmless whatever they were packed into."""

_PIECE = 1 << 20
_WORKBOOK, _STRINGS = "xl/workbook.xml", "xl/sharedStrings.xml"

Take = Callable[[dict[int, str]], None]
"""Called with the texts of each row that has any, by column from 0."""


@dataclass(slots=True)
class Sheet:
    """Where the rows of a sheet end.

    Attributes
    ----------
    part, title : str
        Name in the archive, and the one people see.
    ends : list of int
        Place in the XML of the end of each row that has a text.
    numbers : list of int
        Number of each such row, as cells name it.
    width : int
        Columns in use.
    prefix : str
        What the names of elements begin with.
    dimension : int or None
        Place of the element that tells the extent.
    """

    part: str
    title: str
    ends: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    width: int = 0
    prefix: str = ""
    dimension: int | None = None


def first_sheet(archive: zipfile.ZipFile) -> Sheet:
    """Return the first sheet that is shown, not read yet."""
    book = archive.read(_WORKBOOK).decode("utf-8")
    sheets = re.findall(r"<(?:\w+:)?sheet\s[^>]*>", book)
    shown = [tag for tag in sheets if 'state="hidden"' not in tag and "veryHidden" not in tag]
    if not shown:
        raise KeyError("it has no sheet")
    wanted = _attribute(shown[0], "id")
    links = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8")
    for tag in re.findall(r"<(?:\w+:)?Relationship\s[^>]*>", links):
        if _attribute(tag, "Id") == wanted:
            target = _attribute(tag, "Target")
            part = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            return Sheet(part, unescape(_attribute(shown[0], "name"), {"&quot;": '"'}))
    raise KeyError(f"its first sheet, {wanted}, is not there")


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'[\s:]{name}="([^"]*)"', tag)
    return found[1] if found else ""


def read_rows(archive: zipfile.ZipFile, sheet: Sheet, take: Take) -> None:
    """Read a sheet row by row; fill in where its rows end."""
    reader = _Reader(sheet, _shared_strings(archive), take)
    with archive.open(sheet.part) as file:
        reader.read(file)


def refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise `DataError` for an archive that unpacks to too much, or is locked."""
    sizes = [(info.file_size, info.compress_size) for info in archive.infolist()]
    packed = max((size / max(small, 1) for size, small in sizes if size > _SMALL), default=0)
    if sum(size for size, _ in sizes) > _MOST_BYTES or packed > _HIGHEST_RATIO:
        whole = sum(size for size, _ in sizes) / 1e9
        raise DataError(
            f"{path} would take {whole:.1f} GB unpacked ({packed:.0f} times its size). Save its "
            "first sheet as 'CSV UTF-8' instead.",
            f"{path} 解压后有 {whole:.1f} GB（为原来的 {packed:.0f} 倍）。"
            "请把第一个工作表另存为“CSV UTF-8”。",
        )
    if any(info.flag_bits & 1 for info in archive.infolist()):
        raise DataError(
            f"{path} is protected by a password. Save it without one.",
            f"{path} 有密码保护，请去掉密码后另存。",
        )


def extend(archive: zipfile.ZipFile, sheet: Sheet, cells: Iterator[bytes], target: Path) -> None:
    """Copy a workbook, with `cells` put in front of the end of the sheet's rows, one a row."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for info in archive.infolist():
            with archive.open(info) as file, out.open(_copied(info), "w") as member:
                if info.filename == sheet.part:
                    _extend(file, member, sheet, cells)
                else:
                    while piece := file.read(_PIECE):
                        member.write(piece)


def letters(column: int) -> str:
    """Return the name of a column.

    >>> letters(0), letters(27)
    ('A', 'AB')
    """
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


class _Reader:
    """Reads rows of a sheet, with the places where they end."""

    def __init__(self, sheet: Sheet, shared: list[str], take: Take) -> None:
        self._sheet, self._shared, self._take = sheet, shared, take
        self._cells: dict[int, str] = {}
        self._row, self._column, self._kind = 0, -1, ""
        self._text: list[str] | None = None
        self._parser = xml.parsers.expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _refuse_doctype

    def read(self, file: IO[bytes]) -> None:
        while piece := file.read(_PIECE):
            self._parser.Parse(piece)
        self._parser.Parse(b"", True)  # noqa: FBT003  # the parser takes no name

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        prefix, _, local = name.rpartition(":")
        if local == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._cells, self._column = {}, -1
        elif local == "c":
            named = attributes.get("r")
            self._column = _column(named) if named else self._column + 1
            self._kind = attributes.get("t", "n")
            self._sheet.width = max(self._sheet.width, self._column + 1)
        elif local in ("v", "t"):
            self._text = []
        elif local == "dimension":
            self._sheet.dimension = self._parser.CurrentByteIndex
        elif local == "sheetData":
            self._sheet.prefix = prefix + ":" if prefix else ""

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        if local in ("v", "t") and self._text is not None:
            text, self._text = "".join(self._text), None
            if self._kind == "s":
                text = self._shared[int(text)]
            self._cells[self._column] = self._cells.get(self._column, "") + text
        elif local == "row" and any(text.strip() for text in self._cells.values()):
            self._sheet.ends.append(self._parser.CurrentByteIndex)
            self._sheet.numbers.append(self._row)
            self._take(self._cells)

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def _refuse_doctype(*_: object) -> None:
    raise DataError(
        "the workbook declares a document type, which no workbook does. Save it anew.",
        "工作簿中含文档类型声明，正常的工作簿没有。请重新另存。",
    )


def _column(name: str) -> int:
    """Return the column of a cell's name, from 0.

    >>> _column("A1"), _column("AB12")
    (0, 27)
    """
    number = 0
    for letter in name.rstrip("0123456789"):
        number = number * 26 + ord(letter) - 64
    return number - 1


def _shared_strings(archive: zipfile.ZipFile) -> list[str]:
    """Return the texts that cells refer to by number; readings (phonetic) are left out."""
    if _STRINGS not in archive.namelist():
        return []
    texts: list[str] = []
    state = {"text": False, "reading": False}

    def start(name: str, _: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local == "si":
            texts.append("")
        state["reading"] |= local == "rPh"
        state["text"] = local == "t" and not state["reading"]

    def end(name: str) -> None:
        state["text"] = False
        state["reading"] &= name.rpartition(":")[2] != "rPh"

    def characters(text: str) -> None:
        if state["text"]:
            texts[-1] += text

    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _refuse_doctype
    with archive.open(_STRINGS) as file:
        parser.ParseFile(file)
    return texts


def _extend(file: IO[bytes], target: IO[bytes], sheet: Sheet, cells: Iterator[bytes]) -> None:
    """Copy the XML of a sheet with cells put in front of the end of each row."""
    source = _Copier(file, target)
    if sheet.dimension is not None:
        # The extent is a hint that would hide the new columns from readers that believe it.
        source.copy_to(sheet.dimension)
        source.skip_tag()
    for end, added in zip(sheet.ends, cells, strict=True):
        source.copy_to(end)
        target.write(added)
    source.copy_rest()


class _Copier:
    """Copies a stream up to given places."""

    def __init__(self, file: IO[bytes], target: IO[bytes]) -> None:
        self._file, self._target = file, target
        self._held, self._before, self._at = b"", 0, 0  # bytes held, bytes before, bytes used

    def copy_to(self, place: int) -> None:
        while place > self._before + len(self._held):
            self.copy_rest(once=True)
        until = place - self._before
        self._target.write(self._held[self._at : until])
        self._at = until

    def skip_tag(self) -> None:
        while b">" not in self._held[self._at :]:
            self._held += self._file.read(_PIECE)
        self._at = self._held.index(b">", self._at) + 1

    def copy_rest(self, *, once: bool = False) -> None:
        while True:
            self._target.write(self._held[self._at :])
            self._before += len(self._held)
            self._held, self._at = self._file.read(_PIECE), 0
            if once or not self._held:
                return


def _copied(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    copy = zipfile.ZipInfo(info.filename, info.date_time)
    copy.compress_type, copy.external_attr = zipfile.ZIP_DEFLATED, info.external_attr
    return copy
