"""Measure check and repair against their rivals, on a whole city with planted faults.

`python benchmarks/coverage.py CITY.gpkg` needs an edition of a whole city, such as the one that
`make demo` writes. mapshaper runs where npm can install it, maup where it is installed.
"""

import argparse
import contextlib
import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import planted

import geogrid as gg
from geogrid.coverage import Topology, check, repair

SEED = 20_261_124
SUBSET = 2_000


def main() -> None:
    """Plant the faults, look for them in every way, repair, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("city", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    edition = gg.open(given.city)
    for what, value, unit in _measured(edition, given.seed):
        print(f"{what:<60} {value:>12,.3f} {unit}", flush=True)


def _measured(edition: gg.Edition, seed: int) -> Iterator[tuple[str, float, str]]:
    check(edition, around=edition.units["microgrid"]["code"][:1])  # compile
    clean, seconds = _timed(lambda: check(edition))
    yield "clean city: findings", len(clean), "of 0"
    yield "clean city: full check with nesting", seconds, "s"
    layers, key = planted.plant(edition, planted.FULL, seed)
    found, seconds = _timed(lambda: check(layers))
    yield "faults planted", len(key), ""
    yield (
        "faults found, with rule, units, place to 1 m",
        len(key) - len(planted.unfound(key, found)),
        "",
    )
    yield "false alarms", len(planted.false_alarms(key, found)), ""
    yield "dirty city: full check", seconds, "s"
    yield "peak memory so far", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "GB"
    yield "local check of 50 units, median", _local(edition, seed), "ms"
    (mended, log), seconds = _timed(lambda: repair(layers))
    yield "dirty city: repair", seconds, "s"
    yield "changes", len(log), ""
    yield "repair of one fault in its neighbourhood, median", _one_fault(layers, key), "ms"
    left = [each for each in check(mended) if each.severity == "error"]
    yield "errors left on purpose", len(left), ""
    yield "narrow faults left", sum(each.rule == "sliver" for each in left), "of 0"
    polygons = edition.units["microgrid"].geometry.to_numpy()
    topology, seconds = _timed(lambda: Topology.of(polygons))
    yield "topology of the micro-grids", seconds, "s"
    same = shapely.equals_exact(topology.polygons(), shapely.normalize(polygons)).mean()
    yield "polygons that come back equal", same, "share"
    dirty = layers["microgrid"]
    yield from _shapely(dirty, key)
    yield from _maup(dirty)
    yield from _mapshaper(dirty)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _local(edition: gg.Edition, seed: int) -> float:
    rng = np.random.default_rng(seed)
    codes = edition.units["microgrid"]["code"].to_numpy()
    times = []
    for _ in range(21):
        first = int(rng.integers(len(codes) - 50))
        times.append(
            _timed(lambda first=first: check(edition, around=codes[first : first + 50]))[1]
        )
    return float(np.median(times) * 1000)


def _one_fault(layers: dict[str, gpd.GeoDataFrame], key: list[planted.Planted]) -> float:
    frame = layers["microgrid"]
    tree = shapely.STRtree(frame.geometry.to_numpy())
    times = []
    for fault in (fault for fault in key if "sliver" in fault.kind):
        touched = tree.query(fault.place, "intersects")
        box = shapely.union_all(frame.geometry.to_numpy()[touched]).envelope
        near = {"microgrid": frame.iloc[np.sort(tree.query(box))]}
        times.append(_timed(lambda near=near: repair(near))[1])
    return float(np.median(times) * 1000)


def _shapely(
    frame: gpd.GeoDataFrame, key: list[planted.Planted]
) -> Iterator[tuple[str, float, str]]:
    """GEOS: invalid edges of the coverage, and overlaps by overlay."""
    shapes = frame.geometry.to_numpy()
    edges, seconds = _timed(lambda: shapely.coverage_invalid_edges(shapes, gap_width=1e-6))
    wrong = edges[~(shapely.is_missing(edges) | shapely.is_empty(edges))]
    places = [fault.place for fault in key]
    near, _ = shapely.STRtree(wrong).query(places, "dwithin", planted.METRE)
    yield "shapely coverage_invalid_edges: faults seen", len(np.unique(near)), ""
    yield "shapely coverage_invalid_edges", seconds, "s"

    def overlay() -> int:
        valid = shapely.make_valid(shapes)
        one, other = shapely.STRtree(valid).query(valid, "overlaps")
        return int((one < other).sum())

    pairs, seconds = _timed(overlay)
    yield "shapely overlay: overlapping pairs", pairs, ""
    yield "shapely overlay", seconds, "s"


def _maup(frame: gpd.GeoDataFrame) -> Iterator[tuple[str, float, str]]:
    try:
        import maup
    except ImportError:
        return
    maup.progress.enabled = False
    some = frame.iloc[:SUBSET].to_crs(4547).rename_geometry("geometry").set_index("code")
    some = some[~some.index.duplicated() & some.is_valid]
    with contextlib.redirect_stdout(io.StringIO()):
        _, seconds = _timed(lambda: maup.smart_repair(some))
    yield f"maup smart_repair of {SUBSET:,} polygons", seconds, "s"
    _, own = _timed(lambda: repair({"microgrid": frame.iloc[:SUBSET]}))
    yield f"geogrid repair of {SUBSET:,} polygons", own, "s"


def _mapshaper(frame: gpd.GeoDataFrame) -> Iterator[tuple[str, float, str]]:
    if shutil.which("npx") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "dirty.geojson"
        frame[["code", frame.geometry.name]].to_file(
            source, driver="GeoJSON", COORDINATE_PRECISION=8
        )
        command = ["npx", "--yes", "-p", "mapshaper", "mapshaper-xl", "8gb", str(source), "-clean",
                   "gap-fill-area=1m2", "-o", str(Path(folder) / "clean.geojson")]  # fmt: skip
        done, seconds = _timed(
            lambda: subprocess.run(command, capture_output=True, text=True, check=False)
        )
        if done.returncode:
            return
        cleaned = json.loads((Path(folder) / "clean.geojson").read_text())["features"]
        yield "mapshaper -clean", seconds, "s"
        yield "mapshaper: features in, out", len(cleaned) - len(frame), "lost or added"


if __name__ == "__main__":
    main()
