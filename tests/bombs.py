"""Files of some kilobytes that ask for gigabytes or hours; none lies in the repository."""

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
_BOOK = '<workbook><sheets><sheet name="a" r:id="r1"/></sheets></workbook>'
_LINKS = '<Relationships><Relationship Id="r1" Target="sheet1.xml"/></Relationships>'
_HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>lon</t></is></c>' \
        '<c r="B1" t="inlineStr"><is><t>lat</t></is></c></row>'  # fmt: skip


def workbook(rows: str, **parts: str) -> bytes:
    """Return a workbook with a header and these rows; `strings` are its shared texts."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("xl/workbook.xml", _BOOK)
        archive.writestr("xl/_rels/workbook.xml.rels", _LINKS)
        archive.writestr(
            "xl/sheet1.xml", f"<worksheet><sheetData>{_HEAD}{rows}</sheetData></worksheet>"
        )
        if "strings" in parts:
            archive.writestr("xl/sharedStrings.xml", f"<sst>{parts['strings']}</sst>")
    return sink.getvalue()


def long_text() -> bytes:
    """Return a Parquet table that is two gigabytes of text in memory."""
    long = pa.DictionaryArray.from_arrays(np.zeros(2000, np.int32), ["x" * 1_000_000])
    columns = {"lon": np.full(2000, 114.62), "lat": np.full(2000, 33.62), "text": long}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, store_schema=False, compression="zstd")
    return sink.getvalue()


def many_rows(n_groups: int = 2000) -> bytes:
    """Return a Parquet file of two billion rows: one group of rows, named again and again."""
    column = np.full(1_000_000, 114.62)
    sink = io.BytesIO()
    pq.write_table(pa.table({"lon": column, "lat": column}), sink)
    whole = sink.getvalue()
    footer = pq.read_metadata(io.BytesIO(whole))
    group = pq.read_metadata(io.BytesIO(whole))
    for _ in range(n_groups - 1):
        footer.append_row_groups(group)
    told = io.BytesIO()
    footer.write_metadata_file(told)
    size = int.from_bytes(whole[-8:-4], "little")
    return whole[: -8 - size] + told.getvalue()[4:]


def many_cells() -> bytes:
    """Return a workbook of 50 MB of empty cells."""
    return workbook('<row r="2">' + "<c/>" * 12_000_000 + "</row>" + _noise(400_000))


def long_number() -> bytes:
    """Return a workbook in which many cells refer to one text of a million digits."""
    cells = '<c t="s"><v>0</v></c>' * 2
    return workbook(f"<row>{cells}</row>" * 20_000, strings=f"<si><t>{'1' * 1_000_000}x</t></si>")


def entities() -> bytes:
    """Return a workbook whose texts are defined by each other, ten times each."""
    names = [f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12)]
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(""))) as whole, zipfile.ZipFile(sink, "w") as archive:
        for name in whole.namelist():
            text = whole.read(name).decode()
            if name == "xl/sheet1.xml":
                kinds = f'<!DOCTYPE x [<!ENTITY a0 "x">{"".join(names)}]>'
                text = kinds + text.replace("lon", "&a11;")
            archive.writestr(name, text)
    return sink.getvalue()


def zeros() -> bytes:
    """Return a workbook with a part that unpacks to a thousand times its size."""
    return workbook(" " * 60_000_000)


def long_identity(n: int = 100_000) -> bytes:
    """Return an Arrow stream of 1.6 MB whose identifiers are 100 gigabytes when written out."""
    column = pa.array(np.zeros(n, np.int8))
    ids = pa.DictionaryArray.from_arrays(column, ["x" * 1_000_000])
    return _streamed(pa.table({"lon": column, "lat": column, "id": ids}))


def long_run(n: int = 100_000) -> bytes:
    """Return the same as a run of one value."""
    ids = pa.RunEndEncodedArray.from_arrays(pa.array([n], pa.int32()), pa.array(["x" * 1_000_000]))
    column = pa.array(np.zeros(n, np.int8))
    return _streamed(pa.table({"lon": column, "lat": column, "id": ids}))


def _streamed(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _noise(n: int) -> str:
    """Return a comment that does not shrink, so that the whole is no obvious bomb."""
    return f"<!--{np.random.default_rng(0).bytes(n // 2).hex()}-->"
