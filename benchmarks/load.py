"""Load the service with faults, at full size: slow, greedy and leaving clients, editions swapped.

`python benchmarks/load.py CITY.gpkg [--seconds 60] [--only pause|over|attack|faults]`; needs wrk,
and some minutes. `pause` measures look-ups while the edition given is built anew. `over` asks five
times as much as can be answered, and five times as much as one caller may. `attack` is 1,100 slow
heads, 300 slow bodies, 50 clients that do not read and four bodies of 200 MB, all at once. `faults`
is wrk with look-ups and units while editions are swapped every second and clients misbehave.
"""

import argparse
import asyncio
import contextlib
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from attackers import (
    HOST,
    Service,
    ask,
    flood,
    get,
    healthy,
    non_readers,
    percentile,
    serving,
    slow_bodies,
    slow_heads,
)

from geogrid import store
from geogrid.edition import Edition

_MEGABYTE = 1e6
_PARTS = ("pause", "over", "attack", "faults")
_OVER = 5
_PAGE = get("/collections/microgrid/items?limit=2000", "Accept-Encoding: gzip")
"""Half a megabyte: the clients here share the processors, and must keep up with five times it."""
_PER_SECOND = 50
_PAUSE_MS = 10  # between requests of one connection: faults, not overload, are looked for


def main() -> None:
    """Run the parts and print what each found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("city", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", choices=_PARTS)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    for name in _PARTS:
        if given.only in (None, name):
            found = globals()[name](given.city, given.seconds)
            print(json.dumps({"part": name} | found, indent=1), flush=True)


def pause(city: Path, seconds: int) -> dict[str, object]:
    """Ask one after the other on one connection: alone, and while the edition is built anew."""
    with serving(city, reload_seconds=0, access_log="") as service:
        points = _points(city, 2_000)
        alone = asyncio.run(_look_ups(service.port, points, min(seconds, 10)))
        before = service.rss()
        during, took, after = asyncio.run(_while_reloading(service, points))
    return {
        "alone_ms": _spread(alone), "while_building_ms": _spread(during),
        "building_s": round(took, 1), "look_ups": [len(alone), len(during)],
        "rss_mb": [round(each / _MEGABYTE) for each in (before, *after)],
    }  # fmt: skip


def over(city: Path, seconds: int) -> dict[str, object]:
    """Offer pages and look-ups at five times the rate that is reached, and that is allowed."""
    seconds = min(seconds, 30)
    with serving(city, reload_seconds=0, access_log="") as service:
        capacity, alone = asyncio.run(_capacity(service.port))
        sizes = [service.rss()]
        offer = _offered_and_recovered(service.port, _OVER * capacity, seconds)
        answers, health, recovered = asyncio.run(_watched(offer, service, sizes))
    few = {"limits__requests_per_second": _PER_SECOND}
    with serving(city, reload_seconds=0, access_log="", **few) as service:
        place = get(_points(city, 1)[0])
        often = asyncio.run(_offered(service.port, place, _OVER * _PER_SECOND, 10))
    last = [each for each in answers if each[0] > seconds / 2]
    return {
        "capacity_per_second": round(capacity), "alone_ms": _spread(alone),
        "at_five_times": _by_status(answers), "second_half": _by_status(last),
        "healthz": [len(health), _spread(health)], "recovered_s": round(recovered, 2),
        "rss_above_start_mb": round((max(sizes) - sizes[0]) / _MEGABYTE),
        "at_five_times_what_one_may": _by_status(often),
    }  # fmt: skip


def attack(city: Path, _: int) -> dict[str, object]:
    """All clients that mean harm, one kind after the other, while somebody asks for /healthz."""
    script = get("/static/vendor/maplibre-gl/maplibre-gl.js").replace(b"Connection: close\r\n", b"")

    async def run(port: int) -> tuple[list[float], list[bytes]]:
        asking = asyncio.create_task(healthy(port, 100, 0.2))
        async with (
            slow_heads(port, 1_100), slow_bodies(port, 300), non_readers(port, 50, script * 20),
        ):  # fmt: skip
            floods = (flood(port, 200_000_000, chunked=k % 2 == 0) for k in range(4))
            return await asking, await asyncio.gather(*floods)

    with serving(city, reload_seconds=0, access_log="") as service:
        before = service.rss()
        peak = [before]
        took, answers = asyncio.run(_watched(run(service.port), service, peak))
    return {
        "healthz": f"{len(took)}/100", "ms": _spread(took),
        "bodies": [answer[9:12].decode() for answer in answers],
        "rss_above_start_mb": round((max(peak) - before) / _MEGABYTE),
    }  # fmt: skip


def faults(city: Path, seconds: int) -> dict[str, object]:
    """Let wrk ask for what two editions answer in different ways, and see that none is mixed."""
    with tempfile.TemporaryDirectory() as folder:
        served, files = Path(folder, "city.gpkg"), _two_editions(city, Path(folder))
        shutil.copyfile(files[0], served)
        script = Path(folder, "ask.lua")
        script.write_text(
            _LUA.replace("PATHS", json.dumps(_paths(city))[1:-1]).replace("PAUSE", str(_PAUSE_MS))
        )
        with serving(served, reload_seconds=0, access_log="") as service:
            sizes: list[int] = []
            work = _faulty(service, (script, served, files), seconds)
            said, answers, swaps = asyncio.run(_watched(work, service, sizes))
    counts = dict(re.findall(r"^(ok|bad|mixed) (\d+)$", said, re.M))
    tenth = max(len(sizes) // 10, 1)
    return {
        "wrk": {name: int(n) for name, n in counts.items()},
        "socket_errors": "".join(re.findall(r"Socket errors.*", said)),
        "requests_per_second": re.findall(r"Requests/sec:\s+(.*)", said),
        "latency": re.findall(r"(?:50|90|99)%\s+\S+", said),
        "swaps": swaps, "misbehaved": dict(Counter(answers)),
        "rss_mb_by_tenth": [round(max(sizes[k : k + tenth]) / _MEGABYTE)
                            for k in range(0, len(sizes) - tenth + 1, tenth)],
    }  # fmt: skip


async def _capacity(port: int) -> tuple[float, list[float]]:
    """Return how many pages a second four callers get, one after the other, and their seconds."""
    took: list[float] = []
    await ask(port, _PAGE)
    began = time.perf_counter()

    async def caller() -> None:
        while time.perf_counter() < began + 5:
            asked = time.perf_counter()
            assert b" 200 OK" in await ask(port, _PAGE)
            took.append(time.perf_counter() - asked)

    await asyncio.gather(*(caller() for _ in range(4)))
    return len(took) / (time.perf_counter() - began), took


Answer: TypeAlias = tuple[float, str, float]
"""When it was asked for, its status, and the seconds it took."""


async def _offered(port: int, request: bytes, per_second: float, seconds: float) -> list[Answer]:
    """Ask at a rate, whatever is answered."""
    began = time.perf_counter()

    async def one() -> Answer:
        asked = time.perf_counter()
        answer = b""
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            answer = await ask(port, request, 60)
        retry = b"retry-after" in answer
        status = answer[9:12].decode() + (" with Retry-After" if retry else "")
        return asked - began, status or "none", time.perf_counter() - asked

    asking = []
    for k in range(int(per_second * seconds)):
        await asyncio.sleep(max(0, began + k / per_second - time.perf_counter()))
        asking.append(asyncio.create_task(one()))
    return await asyncio.gather(*asking)


async def _offered_and_recovered(
    port: int, per_second: float, seconds: int
) -> tuple[list[Answer], list[float], float]:
    health = asyncio.create_task(healthy(port, seconds * 4, 0.2))
    over = time.perf_counter() + seconds
    answers = await _offered(port, _PAGE, per_second, seconds)
    while b" 200 OK" not in await ask(port, _PAGE):
        await asyncio.sleep(0.1)
    recovered = time.perf_counter() - over
    return answers, await health, recovered


def _by_status(answers: list[Answer]) -> dict[str, list[object]]:
    found: dict[str, list[float]] = {}
    for _, status, seconds in answers:
        found.setdefault(status, []).append(seconds)
    return {status: [len(took), _spread(took)] for status, took in sorted(found.items())}


async def _look_ups(port: int, paths: list[str], seconds: float) -> list[float]:
    took: list[float] = []
    reader, writer = await asyncio.open_connection(HOST, port)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        path = paths[len(took) % len(paths)]
        began = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert head.startswith(b"HTTP/1.1 200")
        assert length is not None
        await reader.readexactly(int(length[1]))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.001)
    writer.close()
    return took


async def _while_reloading(
    service: Service, paths: list[str]
) -> tuple[list[float], float, list[int]]:
    request = get("/v1/reload").replace(b"GET", b"POST")
    took: list[float] = []
    sizes: list[int] = []
    began = time.perf_counter()
    for _ in range(2):
        reloading = asyncio.create_task(ask(service.port, request, 600))
        while not reloading.done():
            took += await _look_ups(service.port, paths, 0.5)
        assert b"200 OK" in await reloading
        sizes.append(service.rss())
    return took, (time.perf_counter() - began) / 2, sizes


async def _watched(work, service: Service, sizes: list[int]):  # type: ignore[no-untyped-def]
    """Do work and note the memory of the service every quarter of a second."""
    task = asyncio.ensure_future(work)
    while not task.done():
        sizes.append(service.rss())
        await asyncio.sleep(0.25)
    return await task


async def _faulty(
    service: Service, files: tuple[Path, Path, list[Path]], seconds: int
) -> tuple[str, list[str], int]:
    script, served, editions = files
    request, swaps = get("/v1/reload").replace(b"GET", b"POST"), 0
    await ask(service.port, request, 60)  # the process that builds has started
    end = time.monotonic() + seconds
    wrk = await asyncio.create_subprocess_exec(
        "wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "--timeout", "10s",
        "-s", str(script),
        f"http://{HOST}:{service.port}", stdout=subprocess.PIPE,
    )  # fmt: skip
    misbehaving = asyncio.create_task(_misbehave(service.port, end))
    while time.monotonic() < end:
        began = time.monotonic()
        draft = served.with_name("draft")
        shutil.copyfile(editions[(swaps + 1) % 2], draft)
        draft.replace(served)
        swaps += b'"state":"done"' in await ask(service.port, request, 60)
        await asyncio.sleep(max(0, 1 - (time.monotonic() - began)))
    said, _ = await wrk.communicate()
    return said.decode(), await misbehaving, swaps


async def _misbehave(port: int, end: float) -> list[str]:
    """Send slow heads and bodies all the time, huge bodies and uploads that are left again."""
    found: list[str] = []
    async with slow_heads(port, 100), slow_bodies(port, 30):
        while time.monotonic() < end:
            answer = await flood(port, 20_000_000, chunked=len(found) % 2 == 0)
            found.append(f"huge body {answer[9:12].decode()}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                head = f"POST /v1/locate/batch HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 99999"
                writer.write(head.encode() + b"\r\n\r\n[[[[[[")
                await asyncio.sleep(0.2)
                writer.transport.abort()
                found.append("upload left")
    return found


def _two_editions(city: Path, folder: Path) -> list[Path]:
    """Write the edition twice, with names that tell which it is."""
    whole, paths = store.read_edition(city), []
    for name in ("first", "other"):
        units = {
            level: table.assign(name=name + table["name"]) for level, table in whole.units.items()
        }
        paths.append(folder / f"{name}.gpkg")
        made = Edition.of(replace(whole.info, id=name), units)
        store.write_edition(made, paths[-1], tables={})
    return paths


def _points(city: Path, n: int) -> list[str]:
    west, south, east, north = store.read_edition(city).units["city"].total_bounds
    xy = np.random.default_rng(1).uniform([west, south], [east, north], (n, 2)).round(6)
    return [f"/v1/locate?lon={lon}&lat={lat}&datum=cgcs2000" for lon, lat in xy.tolist()]


def _paths(city: Path) -> list[str]:
    codes = store.read_edition(city).units["grid"]["code"].tolist()
    units = [f"/v1/units/{code}" for code in codes[:: max(len(codes) // 50, 1)]]
    return [*_points(city, 200), *units, "/v1/search?q=1", "/v1/editions"]


def _spread(seconds: list[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: round(1000 * percentile(seconds, share), 2) for name, share in shares.items()}


# Every answer names one edition: by its id, or by what its names begin with.
_LUA = """
local paths = {PATHS}
local k = 0
local threads = {}
ok, bad, mixed = 0, 0, 0
function setup(thread) table.insert(threads, thread) end
function request()
  k = k % #paths + 1
  return wrk.format("GET", paths[k])
end
function delay() return PAUSE end
function response(status, headers, body)
  local first, other = body:find('"first', 1, true), body:find('"other', 1, true)
  if status ~= 200 then bad = bad + 1
  elseif first and other then mixed = mixed + 1
  else ok = ok + 1 end
end
function done()
  for _, each in ipairs(threads) do
    io.write("ok " .. each:get("ok") .. "\\nbad " .. each:get("bad"))
    io.write("\\nmixed " .. each:get("mixed") .. "\\n")
  end
end
"""


if __name__ == "__main__":
    main()
