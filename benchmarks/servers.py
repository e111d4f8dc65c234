"""Start the rivals of the tile and look-up service, and ours, and read what processor they use.

Each lives below a work folder: Python packages in a virtual environment of its own, node packages
in a folder, PostgreSQL as a cluster that is gone afterwards. Nothing of them enters our own
environment.
"""

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
import shapely

_TICK = os.sysconf("SC_CLK_TCK")
_PATIENCE = 300  # seconds until a server has to answer; the first start compiles


@dataclass(frozen=True, slots=True)
class Server:
    """A server: where its tiles or answers are, and the processes that do the work."""

    address: str
    roots: tuple[int, ...]

    def cpu_seconds(self) -> float:
        """Return user and system time of all its processes, dead children included."""
        return sum(_tree_seconds(root) for root in self.roots)


def _tree_seconds(root: int) -> float:
    times, children = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        pid = int(stat.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        times[pid] = sum(map(int, fields[11:15])) / _TICK
    left, total = [root], 0.0
    while left:
        pid = left.pop()
        total += times.get(pid, 0.0)
        left += children.get(pid, [])
    return total


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def running(
    command: list[str], probe: str, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; go on as soon as the address `probe` answers."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=log, env={**os.environ, **(env or {})}
        )
        try:
            _await(process, probe, log)
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _await(process: subprocess.Popen[bytes], probe: str, log) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(probe, timeout=10).close()
            return
        time.sleep(0.3)
    log.seek(0)
    raise RuntimeError(f"{process.args} does not answer: {log.read()[-800:].decode()}")


@contextlib.contextmanager
def geogrid(city: Path) -> Iterator[Server]:
    """Serve an edition as users do."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "geogrid", "serve", str(city), "--port", str(port), "-q"]
    with running(command, f"{address}/readyz") as process:
        yield Server(address, (process.pid,))


_BARE = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    kind = (b"content-type", b"application/json")
    length = (b"content-length", b"800")
    await send({"type": "http.response.start", "status": 200, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": b" " * 800})
"""


_ECHO = """
import asyncio
import sys
import uvloop

ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: 800\\r\\n\\r\\n" + b" " * 800

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(ANSWER)

async def serve():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

uvloop.run(serve())
"""


@contextlib.contextmanager
def echo() -> Iterator[Server]:
    """Answer 800 bytes to whatever arrives: what the system takes to receive and to send."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-c", _ECHO, str(port)], f"{address}/") as process:
        yield Server(address, (process.pid,))


@contextlib.contextmanager
def bare() -> Iterator[Server]:
    """Serve 800 bytes to whoever asks, by uvicorn: what no application for it can go below."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bare.py").write_text(_BARE)
        command = [sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", folder, "--port",
                   str(port), "--no-access-log", "--log-level", "warning"]  # fmt: skip
        with running(command, f"http://127.0.0.1:{port}/") as process:
            yield Server(f"http://127.0.0.1:{port}", (process.pid,))


def environment(work: Path, name: str, *packages: str) -> Path:
    """Return the folder of programs of a virtual environment with these packages."""
    folder = work / name
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", *packages], check=True)
        (folder / "installed").touch()
    return folder / "bin"


# --- PostGIS and tipg
@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL cluster with PostGIS, in a folder that is gone afterwards."""

    folder: Path
    programs: Path
    user: tuple[str, ...]
    port: int

    @property
    def pid(self) -> int:
        """The first process of the server."""
        return int((self.folder / "data/postmaster.pid").read_text().splitlines()[0])

    def run(self, program: str, *options: str) -> str:
        """Run one of PostgreSQL's programs as its user and return what it says."""
        command = [*self.user, str(self.programs / program), *options]
        done = subprocess.run(
            command, check=True, cwd=self.folder, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def ask(self, query: str) -> str:
        """Return the answer to a query."""
        at = ("-h", str(self.folder), "-p", str(self.port), "-U", "bench")
        return self.run("psql", *at, "-Atq", "-c", query, "postgres")


@contextlib.contextmanager
def postgis(settings: str) -> Iterator[Cluster]:
    """Start a cluster of its own with these settings, at a port of this machine alone."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or not list(Path("/usr/share/postgresql").glob("*/extension/postgis.control")):
        raise FileNotFoundError("no PostgreSQL with PostGIS")
    # The server refuses to run as root.
    user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="postgis") as folder:
        if user:
            shutil.chown(folder, "postgres")
        base = Cluster(Path(folder), found[-1].parent, user, free_port())
        base.run("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "bench")
        options = (
            f"-p {base.port} -c listen_addresses=127.0.0.1 "
            f"-c unix_socket_directories={folder} {settings}"
        )
        start = ["-D", f"{folder}/data", "-l", f"{folder}/log", "-w", "-o", options]
        base.run("pg_ctl", "start", *start)
        try:
            base.ask("CREATE EXTENSION postgis")
            yield base
        finally:
            base.run("pg_ctl", "stop", "-D", f"{folder}/data", "-m", "fast")


def _fill(base: Cluster, microgrid: gpd.GeoDataFrame) -> None:
    """Write the table `micro`, indexed."""
    polygons = shapely.to_wkb(microgrid.geometry.to_numpy(), hex=True)
    table = pd.DataFrame({"id": range(len(microgrid)), "wkb": polygons})
    table = table.join(microgrid[["code", "name", "households"]].reset_index(drop=True))
    table.to_csv(base.folder / "micro.csv", index=False)
    for query in (
        "CREATE TABLE given (id int, wkb geometry, code text, name text, n int)",
        f"COPY given FROM '{base.folder}/micro.csv' (FORMAT csv, HEADER)",
        "CREATE TABLE micro AS SELECT id, code, name, n AS households, "
        "ST_SetSRID(wkb, 4326)::geometry(Polygon, 4326) AS geom FROM given",
        "DROP TABLE given",
        "ALTER TABLE micro ADD PRIMARY KEY (id)",
        "CREATE INDEX ON micro USING gist (geom)",
        "VACUUM ANALYZE micro",
    ):
        base.ask(query)


@contextlib.contextmanager
def tipg(work: Path, microgrid: gpd.GeoDataFrame) -> Iterator[Server]:
    """Serve the micro-grids by tipg; its processor time and PostgreSQL's."""
    programs = environment(work, "tipg", "tipg", "uvicorn[standard]")
    port = free_port()
    with postgis("-c shared_buffers=1GB -c jit=off") as base:
        _fill(base, microgrid)
        env = {
            "DATABASE_URL": f"postgresql://bench@127.0.0.1:{base.port}/postgres",
            "TIPG_DB_SCHEMAS": '["public"]', "DB_MIN_CONN_SIZE": "1",
        }  # fmt: skip
        command = [str(programs / "uvicorn"), "tipg.main:app", "--port", str(port),
                   "--no-access-log", "--log-level", "warning"]  # fmt: skip
        address = f"http://127.0.0.1:{port}/collections/public.micro/tiles/WebMercatorQuad"
        with running(command, f"http://127.0.0.1:{port}/collections", env) as process:
            yield Server(address, (process.pid, base.pid))


# --- tippecanoe and TileServer-GL
def tippecanoe(
    work: Path, layers: Mapping[str, gpd.GeoDataFrame], zooms: tuple[Mapping[str, int], int]
) -> tuple[Path, float]:
    """Return a pyramid of all levels without a seam, and the processor time it took.

    By default tippecanoe simplifies each polygon by itself and drops what makes a tile large; the
    options take both back. Features are written beforehand.
    """
    first, last = zooms
    programs = environment(work, "tippecanoe", "tippecanoe")
    source, target = work / "levels.geojsonl", work / "levels.mbtiles"
    with source.open("w", encoding="utf-8") as file:
        for level, zoom in first.items():
            told = {"minzoom": zoom, "maxzoom": last, "layer": level}
            frame = layers[level]
            for row, (shape, *values) in enumerate(
                zip(shapely.to_geojson(frame.geometry.to_numpy()), frame["code"], frame["name"],
                    frame["households"].tolist(), strict=True)
            ):  # fmt: skip
                properties = json.dumps(
                    dict(zip(("code", "name", "households"), values, strict=True)),
                    ensure_ascii=False,
                )
                file.write(
                    f'{{"type":"Feature","id":{row},"tippecanoe":{json.dumps(told)},'
                    f'"properties":{properties},"geometry":{shape}}}\n'
                )
    command = [
        str(programs / "tippecanoe"), "-q", "-f", "-o", str(target), "-P", "-Z",
        str(min(first.values())), "-z", str(last), "--no-feature-limit", "--no-tile-size-limit",
        "--no-simplification-of-shared-nodes", "--no-tiny-polygon-reduction", str(source),
    ]  # fmt: skip
    before = _children_seconds()
    subprocess.run(command, check=True)
    return target, _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def child_seconds(command: list[str]) -> float:
    """Run a program and return its processor time."""
    before = _children_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return _children_seconds() - before


@contextlib.contextmanager
def tileserver(work: Path, tiles: Path) -> Iterator[Server]:
    """Serve a pyramid by TileServer-GL light."""
    folder = work / "node"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "node_modules/.bin/tileserver-gl-light"
    if not program.parent.exists():
        subprocess.run(
            ["npm", "install", "--silent", "--prefix", str(folder), "tileserver-gl-light"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    program = next(program.parent.glob("tileserver-gl*"))
    port = free_port()
    config = work / "tileserver.json"
    # Without a configuration it looks for styles that the light package does not bring.
    paths = {"root": str(work), "mbtiles": str(tiles.parent), "pmtiles": str(tiles.parent)}
    data = {"levels": {tiles.suffix[1:]: tiles.name}}
    config.write_text(json.dumps({"options": {"paths": paths}, "data": data}))
    command = [str(program), "-c", str(config), "-p", str(port), "-b", "127.0.0.1", "--silent"]
    with running(command, f"http://127.0.0.1:{port}/data/levels.json") as process:
        path = "/data/levels"
        yield Server(f"http://127.0.0.1:{port}{path}", (process.pid,))
