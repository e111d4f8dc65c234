"""Measure tiles and look-ups over HTTP against their rivals, in one run, by processor time.

    pip install 'geogrid[bench]'
    python benchmarks/api.py CITY.gpkg --work FOLDER

Rivals that do not install are left out and named. A server's cost is the user and system time of
all its processes by the requests they answered: it does not depend on what else the machine does.
`wrk` asks (apt-get install wrk); every rival gets the same addresses as ours.
"""

import argparse
import functools
import http.client
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import mapbox_vector_tile
import morecantile
import numpy as np
import pyarrow as pa
import rio_tiler.io
import servers
import shapely

import geogrid as gg
from geogrid import pyramid
from geogrid.api.imagery import Imagery
from geogrid.edition import Edition, to_world
from geogrid.tiles import MAX_ZOOM, MIN_ZOOMS, TileSet

SECONDS = 6
CONNECTIONS = 8
BATCH = 10_000
LIVE_ZOOMS = (12, 13, 14, 15)
IMAGE_ZOOMS = (8, 9, 10, 11)
"""And the two at which the image's own pixels are shown."""
IMAGE_SAMPLE = 6
"""Tiles of a zoom that are cut of an image."""
SAMPLE = 60
"""Tiles of a zoom that are encoded by mapbox-vector-tile, which takes up to 0.1 s each."""

Row = tuple[str, float, str, float | None, str]
"""What, value, unit, what was asked for as a bound, and of which kind (`<=`, `>=` or empty)."""

Tile = tuple[int, int, int]


def main() -> None:
    """Print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("city", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="Folder for the rivals.")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="Of each load.")
    parser.add_argument("--imagery", type=Path, help="GeoTIFF, for the part imagery.")
    parser.add_argument(
        "--only", default="", help="encode, pyramid, tiles, lookup, batch, mixed, imagery"
    )
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(given.city, given.work, given.seconds)
    if given.imagery is not None:
        bench.parts["imagery"] = functools.partial(imagery_tiles, given.imagery)
    wanted = given.only.split(",") if given.only else list(bench.parts)
    print(f"{'':<58}{'measured':>12}  {'unit':<16}asked")
    for part in wanted:
        for what, value, unit, bound, kind in bench.parts[part]():
            held = (
                ""
                if bound is None
                else f"{kind} {bound:g}{'' if _held(value, bound, kind) else '  short'}"
            )
            print(f"{what:<58}{value:>12,.3f}  {unit:<16}{held}", flush=True)


def _held(value: float, bound: float, kind: str) -> bool:
    return value <= bound if kind == "<=" else value >= bound


class Bench:
    """The city, the addresses that are asked, and the parts of the benchmark."""

    def __init__(self, city: Path, work: Path, seconds: int) -> None:
        self.city, self.work, self.seconds = city, work, seconds
        self.rng = np.random.default_rng(6)
        self.edition: Edition = gg.open(city)
        self.tiles = TileSet(self.edition)
        self.shown = {zoom: self._shown(zoom) for zoom in LIVE_ZOOMS}
        self.parts: dict[str, Callable[[], Iterator[Row]]] = {
            "encode": self.encode, "pyramid": self.pyramid, "tiles": self.live_tiles,
            "lookup": self.lookup, "batch": self.batch, "mixed": self.mixed,
        }  # fmt: skip

    def _shown(self, zoom: int) -> list[Tile]:
        """Return the tiles of a zoom that are not empty."""
        boxes = ((zoom, x, y) for x, y in self.tiles.covering(zoom))
        return [tile for tile in boxes if self.tiles.encode(*tile)]

    def some(self, zoom: int, n: int) -> list[Tile]:
        """Return tiles of a zoom in which the city is, at random."""
        every = self.shown[zoom]
        return [every[k] for k in self.rng.integers(len(every), size=n).tolist()]

    def points(self, n: int) -> np.ndarray:
        """Return positions within 60 m of homes: where calls come from."""
        table = self.edition.units["microgrid"]
        weights = table["households"].to_numpy() + 0.01
        homes = shapely.get_coordinates(shapely.point_on_surface(table.geometry.to_numpy()))
        chosen = self.rng.choice(len(homes), n, p=weights / weights.sum())
        return (homes[chosen] + self.rng.normal(0, 60 / 111_320, (n, 2))).round(7)

    def anywhere(self, n: int) -> np.ndarray:
        """Return positions in the city's box, some of them kilometres outside."""
        west, south, east, north = self.tiles.bounds
        return self.rng.uniform([west, south], [east, north], (n, 2)).round(7)

    # --- one tile, in memory
    def encode(self) -> Iterator[Row]:
        """Live tiles, beside mapbox-vector-tile on the same polygons."""
        rival = _ByMapbox(self.edition)
        for zoom, asked in ((12, 0.6), (13, None), (14, 0.12), (15, None)):
            sample = self.some(zoom, SAMPLE)
            own = _median_ms(self.tiles.encode, sample * 5)
            other = _median_ms(rival.encode, sample)
            yield f"tile of z{zoom}, median: ours, all levels and labels", own, "ms", asked, "<="
            yield f"tile of z{zoom}, median: mapbox-vector-tile, one level", other, "ms", None, ""
            bound = 60.0 if asked else None
            yield f"tile of z{zoom}: mapbox-vector-tile / ours", other / own, "x", bound, ">="

    # --- the whole pyramid
    def pyramid(self) -> Iterator[Row]:
        """All tiles of z6-z15 as one file, from an edition in memory and by the command."""
        target = self.work / "city.pmtiles"
        pyramid.write(self.edition, target, workers=1)  # compile
        before = time.process_time()
        pyramid.write(self.edition, target, workers=1)
        own = time.process_time() - before
        yield "pyramid z6-15 as PMTiles: ours, edition given", own, "CPU s", None, ""
        yield "its size", target.stat().st_size / 1e6, "MB", None, ""
        command = [sys.executable, "-m", "geogrid", "tiles", str(self.city), "-o", str(target)]
        whole = servers.child_seconds([*command, "-q"])
        yield "the same: geogrid tiles, start and reading included", whole, "CPU s", None, ""
        try:
            file, other = self._tippecanoe()
        except (OSError, subprocess.CalledProcessError) as error:
            return _left_out("tippecanoe", error)
        yield "pyramid z6-15: tippecanoe, seamless, GeoJSON given", other, "CPU s", None, ""
        yield "its size", file.stat().st_size / 1e6, "MB", None, ""
        yield "pyramid: tippecanoe / ours", other / own, "x", 8.0, ">="
        yield "pyramid: tippecanoe / geogrid tiles", other / whole, "x", None, ""

    def _tippecanoe(self) -> tuple[Path, float]:
        layers = {level: self.edition.units[level] for level in MIN_ZOOMS}
        return servers.tippecanoe(self.work, layers, (MIN_ZOOMS, MAX_ZOOM))

    # --- tiles over HTTP
    def live_tiles(self) -> Iterator[Row]:
        """The same random tiles of z12-z15 from every server."""
        chosen = [tile for zoom in LIVE_ZOOMS for tile in self.some(zoom, 500)]
        self.rng.shuffle(chosen)
        with servers.geogrid(self.city) as server:
            own = self._load(server, [f"/tiles/{z}/{x}/{y}.mvt" for z, x, y in chosen])
        yield "tile over HTTP: ours, live, all levels", own, "CPU µs", None, ""
        plain = [f"/{z}/{x}/{y}" for z, x, y in chosen]
        micro = self.edition.units["microgrid"]
        rivals: dict[
            str, tuple[Callable[[], AbstractContextManager[servers.Server]], str, float]
        ] = {
            "tipg + PostGIS, live, one level": (lambda: servers.tipg(self.work, micro), "", 15.0),
            "TileServer-GL, prepared tiles": (self._tileserver, ".pbf", 4.0),
        }
        for name, (started, suffix, bound) in rivals.items():
            try:
                with started() as server:
                    other = self._load(server, [path + suffix for path in plain])
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                _left_out(name, error)
                continue
            yield f"tile over HTTP: {name}", other, "CPU µs", None, ""
            yield f"tile over HTTP: {name.partition(',')[0]} / ours", other / own, "x", bound, ">="

    def _tileserver(self) -> AbstractContextManager[servers.Server]:
        made = self.work / "levels.mbtiles"
        return servers.tileserver(self.work, made if made.exists() else self._tippecanoe()[0])

    # --- look-ups over HTTP
    def lookup(self) -> Iterator[Row]:
        """One position a request."""
        with servers.echo() as server:
            system = self._load(server, ["/"])
        yield "bytes received and sent by uvloop, nothing read", system, "CPU µs", None, ""
        with servers.bare() as server:
            floor = self._load(server, ["/"])
        yield "a constant answer by uvicorn, nothing around it", floor, "CPU µs", None, ""
        with servers.geogrid(self.city) as server:
            for where, xy, asked in (
                ("near homes", self.points(5_000), 60.0),
                ("anywhere in the city's box", self.anywhere(5_000), None),
            ):
                paths = [f"/v1/locate?lon={x}&lat={y}&datum=cgcs2000" for x, y in xy.tolist()]
                cost = self._load(server, paths)
                yield f"look-up over HTTP, {where}", cost, "CPU µs", asked, "<="
                yield "by a constant answer", cost / floor, "x", 1.25, "<="

    def batch(self) -> Iterator[Row]:
        """Positions a second of one core, by the server's processor time."""
        with servers.geogrid(self.city) as server:
            for name, n, asked in (
                ("JSON columns", BATCH, 0.5),
                ("Arrow", BATCH, 1.0),
                ("Arrow", 10 * BATCH, 1.0),
            ):
                body, kind = _body(name, self.points(n))
                _post(server, body, kind)
                before, start, count = server.cpu_seconds(), time.monotonic(), 0
                while time.monotonic() - start < self.seconds:
                    _post(server, body, kind)
                    count += 1
                rate = count * n / (server.cpu_seconds() - before) / 1e6
                yield f"batch of {n:,} as {name}", rate, "M points/s/core", asked, ">="

    def mixed(self) -> Iterator[Row]:
        """Single look-ups, twenty a second, while two callers post batches without a pause."""
        body, kind = _body("Arrow", self.points(10 * BATCH))
        with servers.geogrid(self.city) as server:
            for name, bulk in (("alone", 0), ("while batches of 100,000 run", 2)):
                done = threading.Event()
                callers = [
                    threading.Thread(target=_post_until, args=(done, server, body, kind))
                    for _ in range(bulk)
                ]
                for caller in callers:
                    caller.start()
                times = _paced(server, self.points(20 * self.seconds))
                done.set()
                for caller in callers:
                    caller.join()
                asked = 25.0 if bulk else None
                yield f"single look-up {name}, median", float(np.median(times)), "ms", None, ""
                yield (
                    f"single look-up {name}, p99",
                    float(np.quantile(times, 0.99)),
                    "ms",
                    asked,
                    "<=",
                )

    def _load(self, server: servers.Server, paths: Sequence[str]) -> float:
        """Return the processor time of a request in microseconds."""
        wrk(server.address, paths, 1)  # warm
        before = server.cpu_seconds()
        answered = wrk(server.address, paths, self.seconds)
        return (server.cpu_seconds() - before) / answered * 1e6


def imagery_tiles(path: Path) -> Iterator[Row]:
    """Tiles of an image, beside rio-tiler's with its file kept open, both read once before."""
    ours = Imagery(path)
    matrices = morecantile.tms.get("WebMercatorQuad")
    rng = np.random.default_rng(6)
    with rio_tiler.io.Reader(path) as image:
        for zoom in (*IMAGE_ZOOMS, ours.max_zoom - 1, ours.max_zoom):
            boxes = [(zoom, x, y) for x, y, _ in matrices.tiles(*ours.bounds, [zoom])]
            some = [boxes[k] for k in rng.permutation(len(boxes)).tolist()]
            shown = [tile for tile in some[: 2 * IMAGE_SAMPLE] if ours.tile(*tile) is not None]
            shown = shown[:IMAGE_SAMPLE]
            own = _warm_ms(ours.tile, shown)
            other = _warm_ms(functools.partial(_by_rio_tiler, image), shown)
            yield f"imagery tile of z{zoom}, median: ours", own, "CPU ms", None, ""
            yield f"imagery tile of z{zoom}, median: rio-tiler", other, "CPU ms", None, ""
            yield f"imagery tile of z{zoom}: rio-tiler / ours", other / own, "x", None, ""


def _by_rio_tiler(image: rio_tiler.io.Reader, z: int, x: int, y: int) -> bytes:
    """Return a tile as ours are: JPEG where the image fills it, WebP at its edge."""
    cut = image.tile(x, y, z, tilesize=256, resampling_method="bilinear")
    if cut.mask.all():
        return bytes(cut.render(add_mask=False, img_format="JPEG", quality=85))
    return bytes(cut.render(img_format="WEBP", quality=80))


def _left_out(name: str, error: Exception) -> None:
    print(f"{name} is left out: {error}", file=sys.stderr, flush=True)


_SCRIPT = """
local paths, n = {}, 0
for line in io.lines("%s") do n = n + 1; paths[n] = line end
local k = math.random(n)
request = function()
  k = k %% n + 1
  return wrk.format("GET", "%s" .. paths[k], {["Accept-Encoding"] = "gzip"})
end
"""


def wrk(address: str, paths: Sequence[str], seconds: int) -> int:
    """Ask for these paths below an address in turn; return how many were answered."""
    host, _, prefix = address.removeprefix("http://").partition("/")
    with tempfile.TemporaryDirectory() as folder:
        listed, script = Path(folder, "paths"), Path(folder, "ask.lua")
        listed.write_text("\n".join(paths))
        script.write_text(_SCRIPT % (listed, f"/{prefix}" if prefix else ""))
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            str(script),
            f"http://{host}",
        ]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if failed or "Socket errors" in said:
        raise RuntimeError(f"{address}: {said}")
    found = re.search(r"(\d+) requests in", said)
    assert found, said
    return int(found[1])


def _body(name: str, xy: np.ndarray) -> tuple[bytes, str]:
    if name == "Arrow":
        table = pa.table({"lon": xy[:, 0], "lat": xy[:, 1]})
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue(), "application/vnd.apache.arrow.stream"
    columns = {"datum": "cgcs2000", "lon": xy[:, 0].tolist(), "lat": xy[:, 1].tolist()}
    return json.dumps(columns).encode(), "application/json"


def _connect(server: servers.Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=60)


def _post(server: servers.Server, body: bytes, kind: str) -> bytes:
    connection = _connect(server)
    path = "/v1/locate/batch" + ("?datum=cgcs2000" if "arrow" in kind else "")
    connection.request("POST", path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {content[:300]!r}")
    return content


def _post_until(done: threading.Event, server: servers.Server, body: bytes, kind: str) -> None:
    while not done.is_set():
        _post(server, body, kind)


def _paced(server: servers.Server, xy: np.ndarray) -> list[float]:
    """Return milliseconds of single look-ups, one every twentieth of a second."""
    connection, times = _connect(server), []
    for x, y in xy.tolist():
        time.sleep(0.05)
        start = time.perf_counter()
        connection.request("GET", f"/v1/locate?lon={x}&lat={y}&datum=cgcs2000")
        connection.getresponse().read()
        times.append((time.perf_counter() - start) * 1000)
    return times


def _median_ms(encode: Callable[..., bytes], tiles: Sequence[Tile]) -> float:
    encode(*tiles[0])
    times = []
    for tile in tiles:
        start = time.perf_counter()
        encode(*tile)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _warm_ms(encode: Callable[..., object], tiles: Sequence[Tile]) -> float:
    """Return the median of processor time; each tile was read just before, so no disk is in it."""
    times = []
    for tile in tiles:
        encode(*tile)
        before = time.process_time()
        encode(*tile)
        times.append(time.process_time() - before)
    return statistics.median(times) * 1000


class _ByMapbox:
    """The micro-grids by mapbox-vector-tile: an index, clipping by GEOS, its encoder."""

    def __init__(self, edition: Edition) -> None:
        table = edition.units["microgrid"]
        self.shapes = shapely.transform(table.geometry.to_numpy(), to_world)
        self.tree = shapely.STRtree(self.shapes)
        self.values = table[["code", "name", "households"]].to_dict("records")

    def encode(self, z: int, x: int, y: int) -> bytes:
        side = 1 / (1 << z)
        west, north = x * side, y * side
        margin = side * 64 / 4096
        rows = self.tree.query(
            shapely.box(west - margin, north - margin, west + side + margin, north + side + margin)
        )
        cut = shapely.clip_by_rect(
            self.shapes[rows], west - margin, north - margin, west + side + margin,
            north + side + margin,
        )  # fmt: skip
        features = [
            {"geometry": shape, "properties": self.values[row], "id": row}
            for row, shape in zip(rows.tolist(), cut, strict=True)
            if not shape.is_empty
        ]
        bounds = (west, north, west + side, north + side)
        encoded: bytes = mapbox_vector_tile.encode(
            {"name": "microgrid", "features": features},
            default_options={"quantize_bounds": bounds, "extents": 4096, "y_coord_down": True},
        )
        return encoded


if __name__ == "__main__":
    main()
