"""Ours and its rivals on the Voronoi city: counts, contiguity, balance, shape, time and memory."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rivals import RIVALS, timed
from voronoi import City, make
from zoning import Zones, borders_of, carried_on, dissolved, ours, quotas, score

N_GRIDS, N_MICROGRIDS, N_ATOMS = 14_738, 100_622, 500_000
# Seconds after which a rival is given up.
_PATIENCE = 900


@dataclass(frozen=True, slots=True)
class Result:
    """Zones, CPU seconds and the peak memory of a process in GB."""

    zones: Zones
    cpu: float
    memory: float


def compare(n_atoms: int, names: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of all methods, and what ours promises beside it."""
    share = n_atoms / N_ATOMS
    city = make(n_atoms)
    counts = quotas(city, round(N_GRIDS * share), round(N_MICROGRIDS * share))
    rows = []
    first: Zones | None = None
    for preset in ("balanced", "follow-roads", "even"):
        result = _alone(_ours, (city, counts, preset))
        first = first or result.zones
        rows += _rows(f"geogrid {preset}", city, result)
    for name in names:
        try:
            rows += _rows(name, city, _alone(_rival, (name, city, counts)))
        except multiprocessing.TimeoutError:
            rows.append({"method": f"{name}: not done in {_PATIENCE} s"})
    assert first is not None
    return pd.DataFrame(rows), _promises(city, counts, first)


def _promises(city: City, counts: NDArray[np.int64], first: Zones) -> pd.DataFrame:
    """Measure determinism, the warm start and the way from polygons to polygons."""
    start = time.perf_counter()
    two = ours(city, counts, preset="balanced", workers=2)
    both = time.perf_counter() - start
    four = ours(city, counts, preset="balanced", workers=4)
    rng = np.random.default_rng(0)
    noisy = replace(city, people=city.people * (1 + 0.1 * rng.normal(size=len(city))))
    later = carried_on(noisy, first, counts, city.people)
    facts = {
        "seconds on two cores, both levels": both,
        "same with 1, 2 and 4 workers": float(
            all(
                (one == other).all()
                for zones in (two, four)
                for one, other in ((zones.grid, first.grid), (zones.microgrid, first.microgrid))
            )
        ),
        "atoms that keep their grid after 10 % noise": float((later == first.grid).mean()),
        **_from_polygons_to_polygons(city, counts),
    }
    return pd.DataFrame({"fact": facts.keys(), "value": facts.values()})


def _from_polygons_to_polygons(city: City, counts: NDArray[np.int64]) -> dict[str, float]:
    start = time.perf_counter()
    borders_of(city.xy, city.starts)
    cells = city.polygons()
    zones = ours(city, counts, preset="balanced", workers=2)
    microgrids = dissolved(cells, zones.microgrid)
    parent = np.zeros(len(microgrids), np.int32)
    parent[zones.microgrid] = zones.grid
    grids = dissolved(microgrids, parent)
    valid = shapely.coverage_is_valid(microgrids) and shapely.coverage_is_valid(grids)
    spent = time.perf_counter() - start
    lost = abs(shapely.area(grids).sum() - shapely.area(cells).sum())
    single = (shapely.get_type_id(np.concatenate([grids, microgrids])) == 3).all()
    return {
        "seconds from polygons to polygons": spent,
        "valid coverages of single polygons": float(valid and single),
        "m² lost": float(lost),
    }


def _rows(name: str, city: City, result: Result) -> list[dict[str, float | str]]:
    rows: list[dict[str, float | str]] = []
    zones = result.zones
    there = zones.grid >= 0
    levels = [("grid", zones.grid, city.village), ("microgrid", zones.microgrid, zones.grid)]
    for level, zone, parent in levels:
        if (zone[there] < 0).all():
            continue
        part, own, family = _of(city, there, zone), zone[there], parent[there]
        scores = score(part, own, family)
        rows.append({"method": name, "level": level, **scores})
        rows[-1] |= {"CPU s": result.cpu, "GB": result.memory}
    return rows


def _of(city: City, there: NDArray[np.bool_], zone: NDArray[np.int32]) -> City:
    """Return the atoms that were given zones; their borders with others are outline."""
    if there.all():
        return city
    number = np.cumsum(there) - 1
    inner = there[city.first] & there[city.second]
    rim = city.rim.copy()
    for one, other in ((city.first, city.second), (city.second, city.first)):
        leaving = there[one] & ~there[other]
        rim += np.bincount(one[leaving], city.length[leaving], len(zone))
    return replace(
        city,
        people=city.people[there],
        area=city.area[there],
        village=city.village[there],
        rim=rim[there],
        first=number[city.first[inner]].astype(np.int32),
        second=number[city.second[inner]].astype(np.int32),
        length=city.length[inner],
        kind=city.kind[inner],
    )


def _alone(work: Callable[..., Result], given: tuple[object, ...]) -> Result:
    """Do work in a process of its own, so that its memory can be told."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply_async(work, given).get(_PATIENCE)


def _ours(city: City, counts: NDArray[np.int64], preset: str) -> Result:
    # The first village compiles or loads the kernels.
    ours(make(2_000), quotas(make(2_000), 59, 402), preset=preset, workers=1)
    start = time.process_time()
    zones = ours(city, counts, preset=preset, workers=1)
    spent = time.process_time() - start
    return Result(zones, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def _rival(name: str, city: City, counts: NDArray[np.int64]) -> Result:
    return Result(*timed(name, city, counts))


ALL = list(RIVALS)
