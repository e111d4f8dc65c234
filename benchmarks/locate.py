"""Measure the look-up against its rivals, and against an oracle in plain Python integers.

    pip install 'geogrid[bench]'
    python benchmarks/locate.py CITY.gpkg --work FOLDER

Rivals that are not installed are left out and named. Every figure is of the run that prints it, on
as many processors as the process may use; rivals get the same points, in memory, and so do we.
"""

import argparse
import contextlib
import importlib.util
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import servers
import shapely
from numpy.typing import NDArray

import geogrid as gg
from geogrid import datums
from geogrid.datums import Datum
from geogrid.edition import Edition, to_degrees, to_integers
from geogrid.locate import Locator, guard, locate_file

RECORDS = 8_380_000
"""Base records of the reference city."""

CALLS = 20_000

Points = NDArray[np.float64]


def points_of(edition: Edition, n: int, rng: np.random.Generator) -> Points:
    """Return 70 % around settlements and 30 % anywhere in the city's box, shuffled, CGCS2000."""
    table = edition["microgrid"]
    weights = table["households"].to_numpy() + 0.01
    homes = shapely.get_coordinates(table.geometry.representative_point().to_numpy())
    chosen = rng.choice(len(homes), n * 7 // 10, p=weights / weights.sum())
    near = homes[chosen] + rng.normal(0, 60 / 111_320, (len(chosen), 2))
    west, south, east, north = table.total_bounds
    anywhere = rng.uniform([west, south], [east, north], (n - len(near), 2))
    xy = np.vstack([near, anywhere])
    rng.shuffle(xy)
    return xy


def points_on_borders(
    edition: Edition, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return `n` vertices, and `n` points exactly on edges, in steps."""
    rings = edition.rings("microgrid")
    edges, _ = rings.half_edges()
    vertices = rings.xy[rng.integers(0, len(rings.xy), n)]
    some = edges[rng.integers(0, len(edges), n)]
    steps = some[:, 2:] - some[:, :2]
    common = np.gcd(np.abs(steps[:, 0]), np.abs(steps[:, 1]))
    part = rng.integers(0, common + 1)
    return vertices, some[:, :2] + steps // common[:, None] * part[:, None]


def best_of(times: int, work: Callable[[], object]) -> float:
    """Return the shortest of several times, in seconds."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent)


def say(what: str, figure: str) -> None:
    print(f"{what:<58}{figure}", flush=True)


# --- index and single points


def measure_index(city: Path, edition: Edition, work: Path) -> Locator:
    Locator(edition)  # compile
    say("index: build", f"{best_of(2, lambda: Locator(edition)):.2f} s")
    kept = work / "city.locator"
    Locator(edition).save(kept)
    say("index: file", f"{kept.stat().st_size / 1e6:.0f} MB")
    say("index: open", f"{best_of(5, lambda: Locator.open(kept).index.codes) * 1e3:.1f} ms")
    locator = Locator.open(kept)
    locator.find(114.65, 33.62, datum="gcj02")
    for datum in ("cgcs2000", "gcj02"):

        def ask(name: str = datum) -> None:
            for _ in range(CALLS):
                locator.find(114.65, 33.62, datum=name)

        say(f"one point from Python, {datum}", f"{best_of(3, ask) / CALLS * 1e6:.2f} us")
    table = work / "hundred.csv"
    table.write_text("lon,lat\n" + "114.65,33.62\n" * 100)
    command = [
        sys.executable, "-m", "geogrid", "locate", str(city), str(table),
        "-o", str(work / "hundred.out.csv"), "--datum", "gcj02", "-q",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)  # keeps the index beside the city

    def run() -> None:
        subprocess.run(command, check=True, capture_output=True)

    say("geogrid locate, 100 rows, new process", f"{best_of(3, run):.2f} s")
    return locator


# --- columns of points


def measure_columns(locator: Locator, edition: Edition, xy: Points, n_rival: int) -> None:
    parents = locator.index.units_of("grid")

    def both_levels() -> None:
        row = locator.locate(xy, datum="cgcs2000").row
        np.append(parents, -1).take(row)

    both_levels()
    ours = len(xy) / best_of(5, both_levels)
    say(f"ours, both levels, {len(xy):,} points", f"{ours / 1e6:.2f} M points/s")
    gcj = datums.convert(xy, Datum.CGCS2000, Datum.GCJ02)
    seconds = best_of(3, lambda: locator.locate(gcj, datum="gcj02"))
    say("ours, with the inverse of GCJ-02", f"{len(xy) / seconds / 1e6:.2f} M points/s")
    seconds = best_of(3, lambda: locator.locate(xy, datum="cgcs2000", edges=True))
    say("ours, with edge distance and neighbour", f"{len(xy) / seconds / 1e6:.2f} M points/s")
    faces = np.arange(1 << 24, dtype=np.int32)
    at = np.random.default_rng(0).integers(0, len(faces), len(xy))
    say("a bare gather of as many", f"{len(xy) / best_of(3, lambda: faces[at]) / 1e6:.0f} M/s")
    table, few = edition["microgrid"][["code", "parent", "geom"]], xy[:n_rival]
    fastest = 0.0
    for name, prepare in RIVALS.items():
        try:
            with prepare(table, few) as join:
                pairs = join()
                rate = len(few) / best_of(2, join)
        except (ImportError, FileNotFoundError):
            say(name, "not installed")
            continue
        fastest = max(fastest, rate)
        say(f"{name} ({pairs:,} pairs of {len(few):,})", f"{rate / 1e6:.2f} M points/s")
    say("ours over the best rival", f"{ours / fastest:.1f} times")


@contextlib.contextmanager
def geopandas_join(table: gpd.GeoDataFrame, xy: Points) -> Iterator[Callable[[], int]]:
    points = gpd.GeoDataFrame(geometry=shapely.points(xy), crs=table.crs)
    yield lambda: len(gpd.sjoin(points, table, predicate="intersects"))


@contextlib.contextmanager
def strtree_query(table: gpd.GeoDataFrame, xy: Points) -> Iterator[Callable[[], int]]:
    points, tree = shapely.points(xy), shapely.STRtree(table.geometry.to_numpy())
    yield lambda: tree.query(points, predicate="intersects").shape[1]


@contextlib.contextmanager
def duckdb_tables(table: gpd.GeoDataFrame, xy: Points) -> Iterator[Any]:
    """Yield a connection to micro-grids `m` (code, geom) and points `p` (id, geom)."""
    import duckdb  # a rival, perhaps not installed

    spec = importlib.util.find_spec("duckdb_extension_spatial")
    found = [] if spec is None or spec.origin is None else sorted(
        Path(spec.origin).parent.rglob("spatial.duckdb_extension")
    )  # fmt: skip
    base = duckdb.connect(config={"threads": len(os.sched_getaffinity(0))})
    base.execute(f"LOAD '{found[0]}'" if found else "LOAD spatial")
    polygons = pa.table({"code": table["code"], "wkb": shapely.to_wkb(table.geometry.to_numpy())})
    points = pa.table({"id": np.arange(len(xy)), "x": xy[:, 0], "y": xy[:, 1]})
    base.register("given_polygons", polygons)
    base.register("given_points", points)
    base.execute("CREATE TABLE m AS SELECT code, ST_GeomFromWKB(wkb) AS geom FROM given_polygons")
    base.execute("CREATE TABLE p AS SELECT id, ST_Point(x, y) AS geom FROM given_points")
    yield base
    base.close()


@contextlib.contextmanager
def duckdb_join(table: gpd.GeoDataFrame, xy: Points) -> Iterator[Callable[[], int]]:
    query = "SELECT count(m.code) FROM p JOIN m ON ST_Intersects(p.geom, m.geom)"
    with duckdb_tables(table, xy) as base:
        yield lambda: int(base.execute(query).fetchall()[0][0])


@contextlib.contextmanager
def sedona_join(table: gpd.GeoDataFrame, xy: Points) -> Iterator[Callable[[], int]]:
    import sedonadb  # a rival, perhaps not installed

    base = sedonadb.connect()
    polygons = pa.table({"code": table["code"], "wkb": shapely.to_wkb(table.geometry.to_numpy())})
    base.create_data_frame(polygons).to_view("given_polygons")
    base.create_data_frame(pa.table({"x": xy[:, 0], "y": xy[:, 1]})).to_view("given_points")
    geometry = "SELECT code, ST_GeomFromWKB(wkb) AS geom FROM given_polygons"
    base.sql(geometry).to_memtable().to_view("m")
    base.sql("SELECT ST_Point(x, y) AS geom FROM given_points").to_memtable().to_view("p")
    query = "SELECT count(m.code) AS n FROM p JOIN m ON ST_Intersects(p.geom, m.geom)"
    yield lambda: int(base.sql(query).to_pandas()["n"].iloc[0])


@contextlib.contextmanager
def postgis_join(table: gpd.GeoDataFrame, xy: Points) -> Iterator[Callable[[], int]]:
    """Ask a server of its own, which is gone afterwards."""
    workers = len(os.sched_getaffinity(0)) - 1
    settings = (
        "-c shared_buffers=1GB -c work_mem=256MB "
        f"-c max_parallel_workers_per_gather={workers}"
    )  # fmt: skip
    with servers.postgis(settings) as base:
        polygons = shapely.to_wkb(table.geometry.to_numpy(), hex=True)
        given = pd.DataFrame({"code": table["code"], "wkb": polygons})
        given.to_csv(base.folder / "m.csv", index=False)
        pd.DataFrame(xy).to_csv(base.folder / "p.csv", index=False)
        for query in (
            "CREATE TABLE m_given (code text, geom geometry)",
            "CREATE TABLE p_given (x float8, y float8)",
            f"COPY m_given FROM '{base.folder}/m.csv' (FORMAT csv, HEADER)",
            f"COPY p_given FROM '{base.folder}/p.csv' (FORMAT csv, HEADER)",
            "CREATE TABLE m AS SELECT code, geom FROM m_given",
            "CREATE TABLE p AS SELECT ST_Point(x, y) AS geom FROM p_given",
            "CREATE INDEX ON m USING gist (geom)",
            "VACUUM ANALYZE m",
            "VACUUM ANALYZE p",
        ):
            base.ask(query)
        query = "SELECT count(m.code) FROM p JOIN m ON ST_Intersects(m.geom, p.geom)"
        yield lambda: int(base.ask(query))


RIVALS = {
    "geopandas sjoin": geopandas_join,
    "shapely STRtree": strtree_query,
    "duckdb spatial": duckdb_join,
    "sedonadb": sedona_join,
    "PostGIS": postgis_join,
}


# --- one answer, however it is asked


def measure_agreement(locator: Locator, edition: Edition, xy: Points, work: Path) -> None:
    """Ask for the same positions in five ways, and count what differs from columns."""
    borders = points_on_borders(edition, len(xy) // 18, np.random.default_rng(3))
    xy = np.vstack([xy, to_degrees(np.vstack(borders))]).round(8)
    codes = locator.locate(xy, datum="cgcs2000").microgrid_code.tolist()

    def differ(answers: list[str]) -> str:
        different = sum(a != b for a, b in zip(answers, codes, strict=True))
        return f"{different} of {len(codes):,} differ"

    one_by_one = [locator.find(lon, lat, datum="cgcs2000")[0] for lon, lat in xy.tolist()]
    say("one answer: columns, one by one", differ(one_by_one))
    table = pa.table({"lon": xy[:, 0], "lat": xy[:, 1]})
    for kind, write in (("parquet", pq.write_table), ("csv", pa.csv.write_csv)):
        source, target = work / f"golden.{kind}", work / f"golden.out.{kind}"
        write(table, source)
        locate_file(locator, source, target, datum="cgcs2000")
        options = {"dtype": str, "keep_default_na": False} if kind == "csv" else {}
        answers = getattr(pd, f"read_{kind}")(target, **options)["microgrid_code"]
        say(f"one answer: columns, {kind} file", differ(answers.fillna("").tolist()))
    try:
        say("one answer: columns, SQL of DuckDB (lowest code)", differ(duckdb_codes(edition, xy)))
    except ImportError:
        say("duckdb", "not installed")


def duckdb_codes(edition: Edition, xy: Points) -> list[str]:
    """Return the lowest micro-grid code that touches each position, in SQL, on whole steps."""
    table, corner = edition["microgrid"], to_integers(edition["microgrid"].total_bounds[:2])

    def steps(degrees: Points) -> NDArray[np.float64]:
        return (to_integers(degrees) - corner).astype(float)

    shapes = table[["code"]].assign(geometry=shapely.transform(table.geometry.to_numpy(), steps))
    query = (
        "SELECT coalesce(min(m.code), '') FROM p LEFT JOIN m ON ST_Intersects(p.geom, m.geom) "
        "GROUP BY p.id ORDER BY p.id"
    )
    with duckdb_tables(gpd.GeoDataFrame(shapes), steps(xy)) as base:
        return [code for (code,) in base.execute(query).fetchall()]


# --- files


def measure_files(locator: Locator, xy: Points, work: Path) -> None:
    gcj = datums.convert(xy, Datum.CGCS2000, Datum.GCJ02).round(8)
    table = pa.table({"id": np.arange(len(gcj)), "lon": gcj[:, 0], "lat": gcj[:, 1]})
    pq.write_table(table, work / "records.parquet")
    pa.csv.write_csv(table, work / "records.csv")
    few = table.slice(0, 100)
    for kind, write in (("parquet", pq.write_table), ("csv", pa.csv.write_csv)):
        write(few, work / f"few.{kind}")  # compile
        locate_file(locator, work / f"few.{kind}", work / f"few.out.{kind}", datum="gcj02")
        source, target = work / f"records.{kind}", work / f"records.out.{kind}"
        started, used = time.perf_counter(), time.process_time()
        locate_file(locator, source, target, datum="gcj02")
        seconds, used = time.perf_counter() - started, time.process_time() - used
        say(f"{kind} in and out, GCJ-02, {len(gcj):,} records", f"{seconds:.1f} s ({used:.1f} CPU)")
        target.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    say("peak memory of this process so far, with all points", f"{peak:.2f} GB")


# --- exactness


def measure_exactness(locator: Locator, edition: Edition, n: int, sample: int) -> None:
    """Compare with plain Python integers: every point on an edge, and a sample of the others."""
    rng = np.random.default_rng(7)
    rings = edition.rings("microgrid")
    edges, _ = rings.half_edges()
    on_vertices, on_edges = points_on_borders(edition, n // 20, rng)
    where = rng.random((n // 10, 1))
    some = edges[rng.integers(0, len(edges), n // 10)]
    near = np.rint(some[:, :2] + (some[:, 2:] - some[:, :2]) * where).astype(np.int64)
    near += rng.integers(-2, 3, near.shape)
    low, high = rings.xy.min(axis=0), rings.xy.max(axis=0)
    rest = rng.integers(low, high, (n - len(on_vertices) - len(on_edges) - len(near), 2))
    points = np.vstack([on_vertices, on_edges, near, rest])
    found = locator.locate(to_degrees(points), datum="cgcs2000")
    n_on = len(on_vertices) + len(on_edges)
    say(f"exactness: {n:,} points, on an edge or vertex", f"{int(found.on_edge.sum()):,}")
    others = n_on + rng.choice(n - n_on, sample, replace=False)
    asked = np.union1d(np.concatenate([np.arange(n_on), others]), np.flatnonzero(found.on_edge))
    started = time.perf_counter()
    wrong, none_inside = _compare(rings, points[asked], found.row[asked])
    spent = time.perf_counter() - started
    say(f"exactness: differences from the oracle, {len(asked):,} asked", f"{wrong} ({spent:.0f} s)")
    say("exactness: on the coverage, without a micro-grid", f"{none_inside}")
    inside = shapely.contains_xy(edition["city"].geometry.iloc[0], to_degrees(rest[:200_000]))
    missed = int((inside & (found.row[len(points) - len(rest) :][:200_000] < 0)).sum())
    say("exactness: inside the city's outline, without one", f"{missed}")


def _compare(rings: object, points: NDArray[np.int64], rows: NDArray[np.int32]) -> tuple[int, int]:
    """Return differences from the oracle, and points it places that were not placed."""
    xy, starts, owners = rings.xy, rings.starts, rings.owners
    n = int(owners[-1]) + 1
    firsts = np.searchsorted(owners, np.arange(n + 1))
    vertices = starts[firsts[:-1]]
    low, high = np.minimum.reduceat(xy, vertices), np.maximum.reduceat(xy, vertices)
    tree = shapely.STRtree(shapely.box(*low.T, *high.T))
    polygons: dict[int, list[list[tuple[int, int]]]] = {}
    wrong = none = 0
    for first in range(0, len(points), 100_000):
        some = points[first : first + 100_000]
        which, candidate = tree.query(shapely.points(some.astype(float)))
        order = np.lexsort((candidate, which))
        answers = np.full(len(some), -1)
        for k, row in zip(which[order].tolist(), candidate[order].tolist(), strict=True):
            if answers[k] >= 0:
                continue
            if row not in polygons:
                polygons[row] = [
                    [tuple(v) for v in xy[starts[r] : starts[r + 1]].tolist()]
                    for r in range(firsts[row], firsts[row + 1])
                ]
            if _covers(polygons[row], int(some[k, 0]), int(some[k, 1])):
                answers[k] = row
        given = rows[first : first + 100_000]
        wrong += int((answers != given).sum())
        none += int(((answers >= 0) & (given < 0)).sum())
    return wrong, none


def _covers(rings: list[list[tuple[int, int]]], x: int, y: int) -> bool:
    """Say whether a polygon covers a point, by winding, in Python's integers."""
    winding = 0
    for ring in rings:
        x0, y0 = ring[0]
        for x1, y1 in ring[1:]:
            if y0 <= y < y1 or y1 <= y < y0 or y in (y0, y1):
                turn = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
                if (
                    turn == 0
                    and min(x0, x1) <= x <= max(x0, x1)
                    and min(y0, y1) <= y <= max(y0, y1)
                ):
                    return True
                if y0 <= y < y1 and turn > 0:
                    winding += 1
                elif y1 <= y < y0 and turn < 0:
                    winding -= 1
            x0, y0 = x1, y1
    return winding != 0


# --- datum guard


def measure_guard(locator: Locator, xy: Points) -> None:
    """500 records, 20 with a known village: read in the wrong and in the right datum."""
    villages = np.append(locator.index.unit_codes("village"), "")
    of = np.append(locator.index.units_of("village"), -1)
    refused = wrongly = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        some = xy[rng.integers(0, len(xy), 2000)]
        found = locator.locate(some, datum="cgcs2000")
        some, row = some[found.row >= 0][:500], found.row[found.row >= 0][:500]
        units = villages[of[row]].astype(object)
        units[rng.permutation(500)[20:]] = ""
        sent = datums.convert(some, Datum.CGCS2000, Datum.GCJ02).round(7)
        evidence = guard.by_unit(locator, sent, units.tolist(), "village")
        refused += evidence.refutes(Datum.WGS84)
        wrongly += evidence.refutes(Datum.GCJ02)
    say("guard: GCJ-02 declared WGS84, refused", f"{refused} of 100")
    say("guard: GCJ-02 declared GCJ-02, refused", f"{wrongly} of 100")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("city", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files made")
    parser.add_argument("--points", type=int, default=RECORDS)
    parser.add_argument("--rival-points", type=int, default=2_000_000)
    parser.add_argument("--exact-points", type=int, default=10_000_000)
    parser.add_argument("--sample", type=int, default=200_000)
    parser.add_argument("--only", default="columns,agreement,files,exactness,guard")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    say("processors, load before", f"{len(os.sched_getaffinity(0))}, {load}")
    edition = gg.open(given.city)
    xy = points_of(edition, given.points, np.random.default_rng(1))
    locator = measure_index(given.city, edition, given.work)
    if "columns" in given.only:
        measure_columns(locator, edition, xy, given.rival_points)
    if "agreement" in given.only:
        measure_agreement(locator, edition, xy[:90_000], given.work)
    if "files" in given.only:
        measure_files(locator, xy, given.work)
    if "exactness" in given.only:
        measure_exactness(locator, edition, given.exact_points, given.sample)
    if "guard" in given.only:
        measure_guard(locator, xy)


if __name__ == "__main__":
    main()
