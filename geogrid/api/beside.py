"""Build a dataset in another process and take it over without a pause.

Reading and indexing 100,000 micro-grids in a thread stops all others for up to a second at a time:
GEOS, GDAL and pandas hold the interpreter while they work. So a process of low priority builds the
dataset and writes it to a file: arrays as they are, the rest pickled. The file is mapped here, not
read; only the geometries are made anew, a thousand at a time. The file is a private one that has no
name by the time it is used.
"""

import io
import multiprocessing
import os
import pickle
import tempfile
import threading
from mmap import ACCESS_COPY, mmap
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import shapely
from geopandas.array import GeometryArray
from numpy.typing import NDArray

from geogrid.api.deps import Dataset, load
from geogrid.api.imagery import Imagery
from geogrid.api.settings import Settings
from geogrid.errors import DataError, GeogridError

_ALIGNMENT = 64
_SHARE = 200_000
"""Bytes of geometries that are made in one go: some milliseconds."""

_LOCK = type(threading.Lock())

_NICENESS = 10
"""Of the process: look-ups go first."""


def load_beside(settings: Settings) -> Dataset:
    """Return what `deps.load` returns, built in another process.

    Raises
    ------
    DataError
        A file cannot be used, or the process ended before it was done.
    """
    with tempfile.TemporaryDirectory(prefix="geogrid-") as folder:
        path = Path(folder, "dataset")
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_build, args=(settings, path, there), daemon=True)
        process.start()
        there.close()
        try:
            error = here.recv()
        except EOFError:
            error = f"reading {settings.edition} ended unexpectedly (is the memory full?)."
        process.join()
        if error is not None:
            raise DataError(error)
        return _taken_over(path)


def _build(settings: Settings, path: Path, answer: Connection) -> None:
    os.nice(_NICENESS)
    try:
        _hand_over(load(settings), path)
    except GeogridError as error:
        answer.send(str(error))
    else:
        answer.send(None)


def _hand_over(dataset: Dataset, path: Path) -> None:
    """Write a dataset: its arrays, the rest of it, and where the arrays stand."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(dataset)
    places, end = [], 0
    with path.open("wb") as file:
        for buffer in buffers:
            raw = buffer.raw()
            places.append((end, raw.nbytes, raw.readonly))
            file.seek(end)
            file.write(raw)
            end = -(-(end + raw.nbytes) // _ALIGNMENT) * _ALIGNMENT
        file.truncate(max(end, 1))
    rest = path.with_name(f"{path.name}.rest")
    rest.write_bytes(pickle.dumps((places, stream.getvalue())))


def _taken_over(path: Path) -> Dataset:
    places, rest = pickle.loads(path.with_name(f"{path.name}.rest").read_bytes())  # ours
    with path.open("rb") as file:
        # A copy of what is written to, shared otherwise: kernels are compiled for arrays as they
        # were, and those that could be written to must still be.
        mapped = memoryview(mmap(file.fileno(), 0, access=ACCESS_COPY))
    buffers = []
    for start, size, readonly in places:
        part = mapped[start : start + size]
        buffers.append(part.toreadonly() if readonly else part)
    dataset: Dataset = pickle.loads(rest, buffers=buffers)  # ours
    return dataset


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Say how to make anew what cannot be pickled, or not without a pause."""
        if isinstance(obj, GeometryArray):
            geometries = np.asarray(obj, object)
            wkb = shapely.to_wkb(geometries)
            ends = np.cumsum([len(each) for each in wkb], dtype=np.int64)
            return _geometries, (np.frombuffer(b"".join(wkb), np.uint8), ends, obj.crs)
        if isinstance(obj, MappingProxyType):
            return _read_only, (dict(obj),)
        if isinstance(obj, _LOCK):
            return threading.Lock, ()
        if isinstance(obj, Imagery):
            return Imagery, (obj.path,)
        return NotImplemented


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


def _geometries(blob: NDArray[np.uint8], ends: NDArray[np.int64], crs: object) -> GeometryArray:
    """Return geometries of their WKB, a share at a time: other threads get their turn between."""
    made = np.empty(len(ends), object)
    starts = np.concatenate([[0], ends[:-1]])
    firsts = np.unique(np.searchsorted(starts, np.arange(0, len(blob), _SHARE)))
    for first, end in zip(firsts, [*firsts[1:], len(ends)], strict=True):
        part = slice(first, end)
        pairs = zip(starts[part].tolist(), ends[part].tolist(), strict=True)
        made[part] = shapely.from_wkb([blob[a:b].tobytes() for a, b in pairs])
    return GeometryArray(made, crs=crs)
