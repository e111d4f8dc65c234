"""Check and repair files: an edition, or layers of polygons in one file or several."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import geopandas as gpd

from geogrid import store
from geogrid.codes import LEVELS
from geogrid.coverage.check import EVERYTHING, check
from geogrid.coverage.checklist import Checklist
from geogrid.coverage.findings import Findings, finding
from geogrid.coverage.log import RepairLog
from geogrid.coverage.repair import MAX_GAP_WIDTH, repair
from geogrid.edition import Edition
from geogrid.errors import DataError
from geogrid.sources import Reading, read_layers

_log = logging.getLogger(__name__)

GUESSED = Reading()
"""Levels and columns by their usual names."""

_ORIENTATION = ("township", "county", "city", "village")

Tell = Callable[[str, str], None]
"""Told in Chinese and in English."""


def check_file(
    path: Path | Sequence[Path],
    boundary: Path | None = None,
    rules: Checklist = EVERYTHING,
    *,
    how: Reading = GUESSED,
    tell: Tell | None = None,
) -> Findings:
    """Check a file: an edition, or layers of polygons of any levels, in one file or several.

    Parameters
    ----------
    how : Reading
        Which layer is which level, which column is which, and in which datum.
    tell : callable, optional
        Told what was guessed; by default the log is.

    Raises
    ------
    DataError
        A file or `boundary` cannot be read, or no level can be told.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    container = None if boundary is None else store.read_vector(boundary)
    city, changed = _read(paths, how, tell)
    found = check(city, container, rules)
    if changed:
        found = replace(found, items=(finding("changed_file", "city", ()), *found.items))
    return found


def repair_file(
    path: Path | Sequence[Path],
    output: Path,
    *,
    max_gap_width: float = MAX_GAP_WIDTH,
    how: Reading = GUESSED,
    tell: Tell | None = None,
) -> tuple[RepairLog, Findings]:
    """Repair a file and write the result as a GeoPackage, with the changes as table `repairs`.

    Returns
    -------
    RepairLog, Findings
        What was changed, and what is left.

    Raises
    ------
    DataError
        As for `check_file`, or `output` cannot be written.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    city, _ = _read(paths, how, tell)
    mended, log = repair(city, max_gap_width=max_gap_width)
    tables = {"repairs": log.to_dataframe()}
    if isinstance(mended, Edition):
        store.write_edition(mended, output, tables=tables)
    else:
        store.write_layers(output, {**mended, **tables})
    return log, check(mended)


def outlines_of(path: Path | Sequence[Path], how: Reading = GUESSED) -> gpd.GeoDataFrame | None:
    """Return polygons to find one's way by on a map of findings: townships, or what there is."""
    paths = [path] if isinstance(path, Path) else list(path)
    if len(paths) == 1 and paths[0].suffix.lower() == ".gpkg":
        names = store.layer_names(paths[0])
        level = next((level for level in _ORIENTATION if level in names), None)
        return None if level is None else store.read_layer(paths[0], level)
    layers, _ = read_layers(paths, how)
    return next((layers[level] for level in _ORIENTATION if level in layers), None)


def _read(
    paths: Sequence[Path], how: Reading, tell: Tell | None
) -> tuple[Edition | dict[str, gpd.GeoDataFrame], bool]:
    """Return an edition or layers, and whether an edition was changed after it was written."""
    alone = paths[0] if len(paths) == 1 and paths[0].suffix.lower() == ".gpkg" else None
    changed = alone is not None and {*LEVELS, "edition"} <= set(store.layer_names(alone))
    if changed and alone is not None:
        try:
            return store.read_edition(alone), False
        except DataError as error:
            _log.info("%s is read layer by layer: %s", alone, error)
    layers, guesses = read_layers(paths, how)
    for zh, en in guesses:
        if tell is None:
            _log.warning("%s", en)
        else:
            tell(zh, en)
    return layers, changed
