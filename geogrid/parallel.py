"""One way to spread work over villages, townships or blocks of records.

Results come in the order of the units and do not depend on the engine: serial, a pool of processes,
or a Dask cluster.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from geogrid.errors import UsageError

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Engine:
    """Where work runs: `workers` processes here, or the Dask scheduler at `scheduler`."""

    workers: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Refuse an impossible number of workers."""
        if self.workers < 1:
            raise UsageError(f"workers must be 1 or more, not {self.workers}")


def default_engine() -> Engine:
    """Return an engine with one process for each processor that this process may use."""
    return Engine(workers=len(os.sched_getaffinity(0)))


def run(fn: Callable[[Unit], Result], units: Sequence[Unit], engine: Engine) -> Iterator[Result]:
    """Yield `fn(unit)` for each unit, in the order of `units`.

    Parameters
    ----------
    fn : callable
        A function of a module (it is sent to other processes by name); what it returns must depend
        on its argument only.
    """
    if engine.scheduler is not None:
        return _run_on_dask(fn, units, engine.scheduler)
    if engine.workers == 1 or len(units) <= 1:
        return map(fn, units)
    return _run_in_processes(fn, units, engine.workers)


def _run_in_processes(
    fn: Callable[[Unit], Result], units: Sequence[Unit], workers: int
) -> Iterator[Result]:
    # Fork would copy the locks of GDAL's, OpenCV's and Arrow's threads in a state nobody unlocks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(units)), mp_context=context)
    try:
        yield from pool.map(fn, units)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_on_dask(
    fn: Callable[[Unit], Result], units: Sequence[Unit], scheduler: str
) -> Iterator[Result]:
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask: install it with pip install 'geogrid[dask]'"
        ) from error
    with Client(scheduler) as client:  # type: ignore[no-untyped-call]  # Dask has no types here
        futures = client.map(fn, units, pure=False)
        for future in futures:
            yield future.result()
