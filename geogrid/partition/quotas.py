"""How many grids and micro-grids each tract gets: from a table, from before, or by weight.

A tract is a village, or a part of one that is divided on its own; a dedicated site is one grid.
What an office has fixed for a village is taken as it is. The rest of the exact totals goes to the
other villages by Webster's method on capped weights. Where norms are given, a household counts in
proportion to how small the zones of its kind should be, so that kinds with larger zones get fewer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geogrid.errors import QuotaError
from geogrid.norms import Norms
from geogrid.partition.apportion import capped, loads, webster
from geogrid.tables import CsvTable

Counts = Mapping[str, tuple[int, int]]
"""Grids and micro-grids by village code; 0 where a count is not fixed."""

_CODE_NAMES = ("code", "village_code", "村代码", "村编码", "行政村代码", "社区代码", "编码")
_GRID_NAMES = ("grids", "n_grids", "网格数", "网格")
_MICROGRID_NAMES = ("microgrids", "n_microgrids", "微网格数", "微网格")
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Land:
    """The tracts, and the weight and the area of each one's atoms.

    Attributes
    ----------
    keys, villages : sequence of text
        The tracts, and the code of the village of each.
    kinds : sequence of text
        `urban`, `rural`, or `dedicated` for a site, which is one grid.
    weights, areas : sequence of (k,) arrays
    """

    keys: Sequence[str]
    villages: Sequence[str]
    kinds: Sequence[str]
    weights: Sequence[NDArray[np.float64]]
    areas: Sequence[NDArray[np.float64]]


def read_counts(path: Path) -> dict[str, tuple[int, int]]:
    """Read a table of counts by village: CSV in UTF-8 or GBK.

    Columns are found by their names: the village's code, the number of grids and, if it is there,
    that of micro-grids. An empty cell leaves a count open.

    Raises
    ------
    QuotaError
        A column is missing, or rows cannot be used; each is named with its reason.
    """
    table = CsvTable.open(path)
    names = [name.strip().lower() for name in table.header.fields]
    code, grids, microgrids = (
        next((names.index(name) for name in known if name in names), -1)
        for known in (_CODE_NAMES, _GRID_NAMES, _MICROGRID_NAMES)
    )
    if code < 0 or grids < 0:
        raise QuotaError(
            f"{path} needs a column with the village's code (such as {_CODE_NAMES[0]} or "
            f"{_CODE_NAMES[2]}) and one with its number of grids ({_GRID_NAMES[0]} or "
            f"{_GRID_NAMES[2]}); it has {', '.join(table.header.fields)}."
        )
    found: dict[str, tuple[int, int]] = {}
    faults: list[str] = []
    for number, record in enumerate(table.records(), start=2):
        if not any(record.fields):
            continue
        village = record.fields[code].strip()
        cells = [record.fields[k].strip() if k >= 0 else "" for k in (grids, microgrids)]
        fault = _fault(village, cells, found)
        if fault:
            faults.append(f"row {number}: {fault}")
        else:
            found[village] = (int(cells[0] or 0), int(cells[1] or 0))
    if faults:
        more = f"; and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise QuotaError(f"{path}: {'; '.join(faults[:_LISTED])}{more}. Mend these rows.")
    return found


def apportioned(
    land: Land,
    totals: tuple[int, int],
    *,
    fixed: Counts,
    kept: Counts = MappingProxyType({}),
    norms: Norms | None = None,
) -> NDArray[np.int64]:
    """Return the numbers of grids and micro-grids of each tract `(n, 2)`.

    Both columns sum to `totals` exactly; every tract has at least one grid, a site exactly one, at
    least as many micro-grids as grids, and no more of either than atoms.

    Parameters
    ----------
    fixed : Counts
        By village.
    kept : Counts
        By tract: tracts that are what they were.

    Raises
    ------
    QuotaError
        The totals cannot be reached with what is fixed; villages are named.
    """
    atoms = np.array([len(some) for some in land.weights])
    _require_known(land, fixed)
    shares = loads(_by_norm(land, norms, totals[1]), land.areas)
    given = _given(land, fixed, kept, [float(share.sum()) for share in shares])
    _require_room(land, given, atoms)
    _require_atoms(land, atoms, totals[1])
    # A fixed number of micro-grids is a limit to the grids as well.
    room = np.where(given[:, 1] > 0, np.minimum(given[:, 1], atoms), atoms)
    grids = _level("grids", capped(shares, totals[0])[0], totals[0], (given[:, 0], None, room))
    micros = _level(
        "micro-grids", capped(shares, totals[1])[0], totals[1], (given[:, 1], grids, atoms)
    )
    return np.column_stack([grids, micros])


def _given(land: Land, fixed: Counts, kept: Counts, weights: Sequence[float]) -> NDArray[np.int64]:
    """Return the counts of each tract as far as they are fixed `(n, 2)`, 0 where not."""
    given = np.array([kept.get(key, (0, 0)) for key in land.keys]).reshape(-1, 2)
    site = np.array([kind == "dedicated" for kind in land.kinds])
    given[site, 0] = 1
    rows_of = pd.Series(list(land.villages)).groupby(list(land.villages)).indices
    for village, counts in fixed.items():
        rows = rows_of[village]
        if len(rows) == 1 and not site[rows[0]]:
            given[rows[0]] = counts
            continue
        share = np.array(weights)[rows]
        for level, count in enumerate(counts):
            if count:
                least = np.maximum(1, given[rows, 0])
                open_ = given[rows, level] == 0
                most = np.where(open_, count, given[rows, level])
                least = np.where(open_, least, most)
                _require_between(village, (count, level), (least, most))
                given[rows, level] = webster(share, count, least=least, most=most)
    return given


def _require_between(
    village: str,
    asked: tuple[int, int],
    limits: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    count, level = asked
    least, most = (int(limit.sum()) for limit in limits)
    if not least <= count <= most:
        raise QuotaError(
            f"{village} is to have {count} {('grids', 'micro-grids')[level]}; its "
            f"{len(limits[0])} tracts (dedicated sites, and the land beside them) need {least} at "
            f"least and can hold {most}. Change the count or the sites."
        )


def _level(
    name: str,
    weights: NDArray[np.float64],
    total: int,
    limits: tuple[NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]],
) -> NDArray[np.int64]:
    given, floor, room = limits
    least = np.where(given > 0, given, 1 if floor is None else floor)
    most = np.where(given > 0, given, room)
    for reached, word in ((int(least.sum()), "least"), (int(most.sum()), "most")):
        if (reached > total) if word == "least" else (reached < total):
            raise QuotaError(
                f"{total} {name} cannot be reached: {(given > 0).sum()} villages have fixed "
                f"counts ({given.sum()} in all), and with them it is {reached} at {word}, "
                f"{abs(reached - total)} off. Change the counts, or what is asked for."
            )
    return webster(weights, total, least=least, most=most)


def _fault(village: str, cells: list[str], found: Counts) -> str:
    """Return what is wrong with a row, if anything."""
    if not re.fullmatch(r"\d{12}", village):
        return (
            f"{village!r} is no village code of 12 digits; was it rounded by a spreadsheet? Keep "
            "the column as text"
        )
    if village in found:
        return f"{village} stands there twice"
    if not all(re.fullmatch(r"|0*[1-9]\d*", cell) for cell in cells):
        return f"{village} has counts {' and '.join(cells)}: write whole numbers from 1"
    grids, microgrids = (int(cell or 0) for cell in cells)
    if 0 < microgrids < grids:
        return f"{village} has {grids} grids and only {microgrids} micro-grids"
    return ""


def _require_known(land: Land, fixed: Counts) -> None:
    unknown = sorted(set(fixed) - set(land.villages))
    if unknown:
        raise QuotaError(
            f"{len(unknown)} villages with fixed counts are not in the boundaries: "
            f"{', '.join(unknown[:_LISTED])}. Take them out, or give the boundaries of that day."
        )


def _require_room(land: Land, given: NDArray[np.int64], atoms: NDArray[np.int64]) -> None:
    full = np.flatnonzero((given > atoms[:, None]).any(axis=1))
    if len(full):
        listed = ", ".join(
            f"{land.keys[k]} ({given[k].max()} of {atoms[k]})" for k in full[:_LISTED].tolist()
        )
        raise QuotaError(
            f"{len(full)} villages are to have more units than the imagery shows pieces of land: "
            f"{listed}. Give finer imagery or smaller counts."
        )


def _require_atoms(land: Land, atoms: NDArray[np.int64], n_microgrids: int) -> None:
    if n_microgrids <= atoms.sum():
        return
    fewest = np.argsort(atoms, kind="stable")[:_LISTED].tolist()
    raise QuotaError(
        f"{n_microgrids} micro-grids from {atoms.sum()} pieces of land that the imagery shows: ask "
        "for fewer, or give finer imagery. Villages with the fewest: "
        + ", ".join(f"{land.keys[k]} ({atoms[k]})" for k in fewest)
        + "."
    )


def _by_norm(land: Land, norms: Norms | None, n_microgrids: int) -> Sequence[NDArray[np.float64]]:
    """Return weights in zones of the kind's norm, for kinds without a norm in mean zones."""
    if norms is None:
        return land.weights
    mean = sum(float(some.sum()) for some in land.weights) / n_microgrids
    middle = {kind: (norm.least + norm.most) / 2 for kind, norm in norms.microgrid.items()}
    return [
        some / middle.get(kind, mean) for kind, some in zip(land.kinds, land.weights, strict=True)
    ]
