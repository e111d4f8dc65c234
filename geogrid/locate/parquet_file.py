"""Locate the records of a Parquet file, batch by batch."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geogrid import store, tables
from geogrid.errors import DataError
from geogrid.locate import guard
from geogrid.locate.job import (
    Job,
    LocateSummary,
    Tally,
    added_columns,
    arrow_texts,
    extended,
    opened_rejects,
    texts_of,
)
from geogrid.locate.locator import Locator

_BATCH = 1 << 18
"""Records at once: 100 MB for thirty columns."""

_DICTIONARY_BYTES = 1 << 23
"""Room for all codes of a city in a dictionary; they would be written out in full otherwise."""


def locate_parquet(locator: Locator, job: Job) -> LocateSummary:
    """Locate a Parquet file."""
    try:
        with pq.ParquetFile(job.source, page_checksum_verification=True) as file:
            return _located(locator, job, file)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, FileNotFoundError) as error:
        raise DataError(
            f"cannot read {job.source}: {error}", f"不能读取 {job.source}：{error}"
        ) from error


def _located(locator: Locator, job: Job, file: pq.ParquetFile) -> LocateSummary:
    schema = file.schema_arrow
    job.refuse_present(schema.names)
    columns = tables.coordinate_columns(schema.names, job.lon, job.lat)
    warnings = _examined(locator, job, file, columns)
    schema, texts = extended(schema), arrow_texts(locator)
    done = 0
    with (
        store.replacing(job.target) as draft,
        opened_rejects(job.rejects) as rejects,
        pq.ParquetWriter(
            draft,
            schema,
            compression=_compression(file),
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
        ) as writer,
    ):
        tally = Tally(rejects)
        tally.warnings += warnings
        for batch in file.iter_batches(_BATCH):
            xy = np.column_stack([floats(batch.column(column), job) for column in columns])
            found = locator.locate(xy, datum=job.datum, edges=True)
            added = added_columns(found, texts)
            writer.write_batch(pa.record_batch([*batch.columns, *added], schema=schema))
            tally.add(found)
            done += len(batch)
            job.tell(done, file.metadata.num_rows)
    names = file.schema_arrow.names
    return tally.summary(job, "parquet", (names[columns[0]], names[columns[1]]))


def _examined(
    locator: Locator, job: Job, file: pq.ParquetFile, columns: tuple[int, int]
) -> list[tuple[str, str]]:
    """Compare the first records with what is known of their places."""
    names = file.schema_arrow.names
    named = guard.telling_columns(names, job)
    if not named and job.buildings is None:
        return []
    wanted = [names[k] for k in columns]
    for batch in file.iter_batches(guard.MOST, columns=[*wanted, *named]):
        xy = np.column_stack([floats(batch.column(name), job) for name in wanted])
        told = {name: texts_of(batch.column(name)) for name in named}
        return guard.examine(locator, job, xy, told)
    return []


def floats(column: pa.Array, job: Job) -> NDArray[np.float64]:
    """Return a column of numbers or of texts as floats; null is NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return tables.numbers(column.cast(pa.large_string()))
    try:
        if pa.types.is_boolean(column.type):
            raise pa.ArrowInvalid("true is no degree")
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"{job.source}: a column of coordinates holds {column.type}, no numbers. "
            "Name the columns: --lon COLUMN --lat COLUMN",
            f"{job.source}：坐标列的类型为 {column.type}，不是数字。"
            "请指定：--lon COLUMN --lat COLUMN",
        ) from error
    return values


def _compression(file: pq.ParquetFile) -> str:
    """Return how the file is compressed itself."""
    if not file.metadata.num_row_groups or not file.metadata.num_columns:
        return "snappy"
    name = str(file.metadata.row_group(0).column(0).compression).lower()
    return "none" if name == "uncompressed" else name
