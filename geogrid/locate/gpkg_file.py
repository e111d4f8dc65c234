"""Locate the points of a GeoPackage, batch by batch."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geogrid import store
from geogrid.datums import Epsg
from geogrid.errors import CoordinateError, DataError, UsageError
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


def locate_gpkg(locator: Locator, job: Job) -> LocateSummary:
    """Locate the points of the only spatial layer of a GeoPackage."""
    if job.lon is not None or job.lat is not None:
        raise UsageError("--lon and --lat are for tables; a GeoPackage's points are located.")
    layer, crs, names = store.point_layer(job.source)
    job.refuse_present(names)
    _compare(job, crs)
    named = guard.telling_columns(names, job)
    texts = arrow_texts(locator)
    with opened_rejects(job.rejects) as rejects:
        tally = Tally(rejects)

        def located(batches: Iterator[pa.RecordBatch], geometry: str) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                xy = _points(batch.column(geometry), job)
                if tally.rows == 0:
                    told = {name: texts_of(batch.column(name)) for name in named}
                    tally.warnings += guard.examine(locator, job, xy, told)
                found = locator.locate(xy, datum=job.datum, edges=True)
                tally.add(found)
                job.tell(tally.rows, tally.rows)
                columns = [*batch.columns, *added_columns(found, texts)]
                yield pa.record_batch(columns, schema=extended(batch.schema))

        store.rewrite_points(job.source, job.target, layer, located, extended)
    return tally.summary(job, f"GeoPackage, {layer}", ("x", "y"))


def _points(column: pa.Array, job: Job) -> NDArray[np.float64]:
    wkb = column.to_numpy(zero_copy_only=False)
    shapes = shapely.from_wkb(wkb)
    other = np.flatnonzero(~np.isin(shapely.get_type_id(shapes), (-1, 0)))
    if len(other):
        raise DataError(
            f"{job.source}: a {shapes[other[0]].geom_type}, expected points. "
            "Make points of it first (for example 'Centroids' in QGIS)."
        )
    xy = np.full((len(shapes), 2), np.nan)
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    xy[there] = shapely.get_coordinates(shapes[there])
    return xy


def _compare(job: Job, crs: tuple[int | None, bool]) -> None:
    """Refuse a datum that the layer's own reference system contradicts.

    Degrees of any kind agree with any datum: layers labelled EPSG:4326 often hold GCJ-02.
    """
    code, projected = crs
    declared = job.datum.code if isinstance(job.datum, Epsg) else None
    if (projected and declared != code) or (declared not in (None, code) and code is not None):
        raise CoordinateError(
            f"{job.source} says epsg:{code}, but --datum says {job.datum.value}. "
            f"Give --datum epsg:{code} if the layer is right."
        )
