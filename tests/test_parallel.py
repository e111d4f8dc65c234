"""The same results in the same order, whatever runs them."""

import os

import pytest

from geogrid.errors import UsageError
from geogrid.parallel import Engine, default_engine, run


def square(number):
    return number * number


def fails_at_three(number):
    if number == 3:
        raise ValueError("three")
    return number


def process(_):
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_units(workers):
    units = list(range(20))
    assert list(run(square, units, Engine(workers))) == [k * k for k in units]


def test_two_workers_are_other_processes():
    assert os.getpid() not in set(run(process, [1, 2, 3], Engine(2)))


@pytest.mark.parametrize("workers", [1, 2])
def test_error_of_a_unit_comes_through(workers):
    with pytest.raises(ValueError, match="three"):
        list(run(fails_at_three, list(range(6)), Engine(workers)))


@pytest.mark.parametrize("workers", [1, 2])
def test_no_units_give_no_results(workers):
    assert list(run(square, [], Engine(workers))) == []


def test_no_workers_are_refused():
    with pytest.raises(UsageError, match="not 0"):
        Engine(workers=0)


def test_default_engine_uses_the_processors_of_this_process():
    assert default_engine().workers == len(os.sched_getaffinity(0))


def test_missing_dask_says_what_to_install():
    pytest.importorskip("sys")
    try:
        import dask.distributed  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"geogrid\[dask\]"):
            list(run(square, [1], Engine(scheduler="tcp://127.0.0.1:1")))
