"""Build a dataset in another process and take it over without a pause.

Reading and indexing 100,000 micro-grids in a thread stops all others for up to a second at a time:
GEOS, GDAL and pandas hold the interpreter while they work. So a process of low priority builds the
dataset and writes it to a file: arrays as they are, the rest pickled. The file is mapped here, not
read; only geometries and texts are made anew, some at a time. The file is a private one that has no
name by the time it is used. The process stays for a while: a publisher often replaces more than one
file, and to start it takes longer than to build a county.
"""

import gc
import io
import multiprocessing
import os
import pickle
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import ACCESS_COPY, mmap
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
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
_SHARE = 20_000
"""Bytes of geometries that are made in one go: with ten times as many, the slowest look-up in a
hundred beside it takes a third longer."""

_TEXTS = 2_000
"""Texts that are made in one go: half a millisecond."""

_LOCK = type(threading.Lock())

_NICENESS = 10
"""Of the process: look-ups go first."""

_REST_SECONDS = 20.0
"""How long the process waits for another edition."""


class Builder:
    """The process that builds, started when it is needed and ended when it has rested."""

    def __init__(self, rest_seconds: float = _REST_SECONDS) -> None:
        """Start nothing yet."""
        self._rest_seconds = rest_seconds
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._rest: threading.Timer | None = None

    def load(self, settings: Settings) -> Dataset:
        """Return what `deps.load` returns, built in the other process.

        Raises
        ------
        DataError
            A file cannot be used, or the process ended before it was done.
        """
        with self._lock, tempfile.TemporaryDirectory(prefix="geogrid-") as folder:
            if self._rest is not None:
                self._rest.cancel()
            path = Path(folder, "dataset")
            try:
                line = self._started()
                line.send((settings, path))
                error = line.recv()
            except (EOFError, OSError):
                self._stop()
                error = f"reading {settings.edition} ended unexpectedly (is the memory full?)."
            self._rest = threading.Timer(self._rest_seconds, self.end)
            self._rest.daemon = True
            self._rest.start()
            if error is not None:
                raise DataError(error)
            return _taken_over(path)

    def end(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stop()

    def _started(self) -> Connection:
        """Return the line to the process."""
        if self._line is None or self._process is None or not self._process.is_alive():
            self._stop()
            context = multiprocessing.get_context("spawn")
            self._line, there = context.Pipe()
            self._process = context.Process(target=_build, args=(there,), daemon=True)
            self._process.start()
            there.close()
        return self._line

    def _stop(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._line = self._process = None


def _build(line: Connection) -> None:
    """Build one dataset after the other, until the service ends."""
    os.nice(_NICENESS)
    with suppress(EOFError):
        while True:
            settings, path = line.recv()
            try:
                _hand_over(load(settings), path)
            except GeogridError as error:
                line.send(str(error))
            else:
                line.send(None)


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
    path.with_name(f"{path.name}.places").write_bytes(pickle.dumps(places))
    path.with_name(f"{path.name}.rest").write_bytes(stream.getbuffer())


def _taken_over(path: Path) -> Dataset:
    places = pickle.loads(path.with_name(f"{path.name}.places").read_bytes())  # ours
    rest = path.with_name(f"{path.name}.rest").read_bytes()
    with path.open("rb") as file:
        # A copy of what is written to, shared otherwise: kernels are compiled for arrays as they
        # were, and those that could be written to must still be.
        mapped = memoryview(mmap(file.fileno(), 0, access=ACCESS_COPY))
    buffers = []
    for start, size, readonly in places:
        part = mapped[start : start + size]
        buffers.append(part.toreadonly() if readonly else part)
    with _no_collection():
        dataset: Dataset = pickle.loads(rest, buffers=buffers)  # ours
    return dataset


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let nobody look for garbage: what is made is kept, and to look through it takes 0.2 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
        return _reduced(obj)


def _reduced(obj: Any) -> Any:
    """Say how to make a long column of texts anew; leave all else to pickle."""
    if not isinstance(obj, np.ndarray) or obj.dtype != object or obj.size <= _TEXTS:
        return NotImplemented
    flat = obj.ravel().tolist()
    if not all(type(each) is str for each in flat):
        return NotImplemented
    parts = [flat[at : at + _TEXTS] for at in range(0, len(flat), _TEXTS)]
    shares = [("".join(part), np.cumsum([len(each) for each in part]).tolist()) for part in parts]
    return _texts, (shares, obj.shape)


def _texts(shares: list[tuple[str, list[int]]], shape: tuple[int, ...]) -> NDArray[np.object_]:
    """Return texts of their sums, share by share: pickle would let nobody in before the last."""
    made: list[str] = []
    for text, ends in shares:
        made += [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    found = np.empty(len(made), object)
    for at in range(0, len(made), _TEXTS):
        found[at : at + _TEXTS] = made[at : at + _TEXTS]
    return found.reshape(shape)


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
