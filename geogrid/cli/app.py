"""The commands: each parses, calls the library, and shapes the answer."""

import gc
import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from geogrid.cli.console import EXIT_FINDINGS, Console, default_language, errors_as_exit_codes

app = typer.Typer(
    name="geogrid",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Divide a city into grids, check them, find the grid of a point. "
    "划分网格、检查覆盖、落格定位。",
)

_LANG = default_language()

Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")]
Lang = Annotated[str, typer.Option("--lang", help="Language of messages: zh or en.")]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes; all processors by default.")
]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a Dask scheduler instead.")
]
Seed = Annotated[int, typer.Option("--seed", help="Same inputs and seed, same bytes.")]
Date = Annotated[str | None, typer.Option("--date", help="Day of issue, YYYY-MM-DD.")]

_MANY_OBJECTS, _AS_ALWAYS = 200_000, gc.get_threshold()
"""When to look for garbage. Commands make a city of objects that stay; to look through them again
and again takes a tenth of the time. A service runs for long, and looks as often as always."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_MANY_OBJECTS)
    app()


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("geogrid-demo"),
    counties: Annotated[str, typer.Option("--counties", help="Names or codes, by comma.")] = "",
    serve: Annotated[bool, typer.Option(help="Serve the map at the end.")] = True,
    port: Annotated[int, typer.Option(help="Port of the map page.")] = 8000,
    seed: Seed = 1,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Run the main job end to end on the sample city. 在示例城市上完整演示。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console):
        from geogrid.cli.demo import Demo, run_demo

        plan = Demo(out, _names(counties), seed, _engine(workers, None), _today(None))
        summary = run_demo(plan, console)
        print(json.dumps(summary.as_json(), ensure_ascii=False) if as_json else summary.text(lang))
        if serve:
            _serve(console, edition=summary.city, imagery=summary.imagery, port=port, access_log="")


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")],
    counties: Annotated[str, typer.Option("--counties", help="Names or codes, by comma.")] = "",
    resolution: Annotated[float, typer.Option("--resolution", help="Metres a pixel.")] = 5.0,
    seed: Seed = 1,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Write the inputs of the invented sample city. 生成虚构的示例城市数据。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console), console.progress() as tick:
        from geogrid import sample as city

        summary = city.write(
            folder,
            counties=_names(counties) or None,
            resolution=resolution,
            seed=seed,
            workers=_engine(workers, None).workers,
            progress=lambda stage, share: tick(stage, share, 1.0),
        )
    _answer(summary.to_dict(), summary.as_text(lang), as_json)


@app.command()
def partition(
    boundaries: Annotated[Path, typer.Argument(help="GeoPackage with layer village.")],
    imagery: Annotated[
        list[str],
        typer.Argument(
            help="GeoTIFF, VRT or MBTiles, several or a folder of them, a folder of tiles, "
            "https://…/{z}/{x}/{y}.png, tianditu:img or tianditu:vec. The first wins."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Edition to write (.gpkg).")],
    grids: Annotated[int, typer.Option("--grids", help="Exact number of grids.")],
    microgrids: Annotated[int, typer.Option("--microgrids", help="Exact number of micro-grids.")],
    households: Annotated[
        Path | None, typer.Option(help="Buildings or points with a column households.")
    ] = None,
    barriers: Annotated[Path | None, typer.Option(help="Lines that borders shall follow.")] = None,
    resolution: Annotated[
        float | None, typer.Option("--resolution", help="Metres a pixel to work at.")
    ] = None,
    bands: Annotated[
        str, typer.Option("--bands", help="Bands to read as red,green,blue, such as 3,2,1.")
    ] = "",
    zoom: Annotated[int | None, typer.Option("--zoom", help="Zoom of tiles.")] = None,
    tms: Annotated[bool, typer.Option("--tms", help="Tile rows count from the south.")] = False,
    tile_cache: Annotated[
        Path | None, typer.Option("--tile-cache", help="Folder that keeps fetched tiles.")
    ] = None,
    tile_limit: Annotated[
        int | None, typer.Option("--tile-limit", help="Requests a day to a tile service.")
    ] = None,
    imagery_date: Annotated[
        str | None, typer.Option("--imagery-date", help="Day of imagery that does not say it.")
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", help="balanced, follow-roads or even.")
    ] = "balanced",
    quality: Annotated[
        int, typer.Option("--quality", help="Tries a village; the best is taken.")
    ] = 1,
    previous: Annotated[
        Path | None, typer.Option("--previous", help="Edition to go on from; grids stay.")
    ] = None,
    quotas: Annotated[
        Path | None, typer.Option("--quotas", help="CSV with counts of grids by village code.")
    ] = None,
    dedicated: Annotated[
        Path | None, typer.Option("--dedicated", help="Polygons of sites that are a grid each.")
    ] = None,
    norms: Annotated[
        str, typer.Option("--norms", help="Households by kind, urban=300-500/30-50,rural=20-40.")
    ] = "",
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for report.json, .csv, weak_edges.gpkg.")
    ] = None,
    seed: Seed = 1,
    date: Date = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Divide villages along what the imagery shows. 依据影像划分网格和微网格。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console):
        from geogrid.cli.jobs import divide, division_json, division_text
        from geogrid.norms import Norms
        from geogrid.partition.imagery import ImagerySource
        from geogrid.partition.pipeline import Request

        source = ImagerySource(
            tuple(imagery), _bands(bands), zoom, tms,
            "" if imagery_date is None else _day(imagery_date, "--imagery-date"),
            tile_cache, tile_limit,
        )  # fmt: skip
        request = Request(
            boundaries, source, grids, microgrids, _today(date), households, barriers,
            resolution, seed, preset, quality, Norms.parse(norms) if norms else None, previous,
            quotas, dedicated,
        )  # fmt: skip
        division = divide(request, output, _engine(workers, scheduler), console, report=report)
        _answer(division_json(division), division_text(division, lang), as_json)


Levels = Annotated[
    list[str] | None, typer.Option("--level", help="Layer or file and its level, 村界=village.")
]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="Our column and yours, code=村代码.")
]
GeoJsonDatum = Annotated[
    str | None, typer.Option("--datum", help="Of GeoJSON: wgs84, cgcs2000, gcj02 or bd09.")
]
Encoding = Annotated[str, typer.Option("--encoding", help="Of shapefiles without .cpg, gbk.")]
GivenCrs = Annotated[str, typer.Option("--crs", help="Of files that do not say theirs.")]


@app.command()
def check(
    files: Annotated[
        list[Path],
        typer.Argument(help="Edition, or polygons: .gpkg, .shp, .geojson, .gdb, .parquet."),
    ],
    boundary: Annotated[Path | None, typer.Option(help="Polygon that must be covered.")] = None,
    report: Annotated[Path | None, typer.Option(help=".html, .json, .csv or .gpkg")] = None,
    grids: Annotated[int | None, typer.Option("--grids", help="Expected number.")] = None,
    microgrids: Annotated[int | None, typer.Option("--microgrids", help="Expected number.")] = None,
    levels: Levels = None,
    columns: Columns = None,
    datum: GeoJsonDatum = None,
    encoding: Encoding = "",
    crs: GivenCrs = "",
    sliver_width: Annotated[
        float, typer.Option("--sliver-width", help="Metres; narrower is a sliver.")
    ] = 1.0,
    rules: Annotated[str, typer.Option("--rules", help="Only these rules, by comma.")] = "",
    exceptions: Annotated[
        Path | None, typer.Option(help="CSV of known faults: code, rule, reason.")
    ] = None,
    buildings: Annotated[Path | None, typer.Option(help="Polygons no border may cut.")] = None,
    points: Annotated[Path | None, typer.Option(help="Points that lie in one unit each.")] = None,
    workers: Annotated[Path | None, typer.Option(help="CSV of workers by unit: code.")] = None,
    norms: Annotated[str, typer.Option("--norms", help="Households by kind, as partition.")] = "",
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Prove the coverage, or show where it fails. 检查覆盖、缝隙、重叠、嵌套和编码。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console):
        from geogrid.cli.checking import Beside, checklist, reading
        from geogrid.coverage import report as reports
        from geogrid.coverage.files import check_file, outlines_of

        how = reading(levels or [], columns or [], datum, (encoding, crs))
        beside = Beside(buildings, points, workers, exceptions, norms)
        wanted = checklist({"grid": grids, "microgrid": microgrids}, sliver_width, rules, beside)
        findings = check_file(files, boundary, wanted, how=how, tell=console.say)
        if report is not None:
            drawn = outlines_of(files, how) if report.suffix.startswith(".htm") else None
            reports.write(findings, report, outlines=drawn)
        _answer(findings.to_dict(), reports.as_text(findings, lang), as_json)
    if not findings.ok:
        raise typer.Exit(EXIT_FINDINGS)


@app.command()
def repair(
    files: Annotated[list[Path], typer.Argument(help="As for check.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="GeoPackage to write.")],
    max_gap_width: Annotated[
        float, typer.Option("--max-gap-width", help="Metres; wider faults are left.")
    ] = 1.0,
    levels: Levels = None,
    columns: Columns = None,
    datum: GeoJsonDatum = None,
    encoding: Encoding = "",
    crs: GivenCrs = "",
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Mend what has one right answer, and log it. 修补有唯一答案的问题并逐条记录。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console):
        from geogrid.cli.checking import reading, repaired_json, repaired_text
        from geogrid.coverage.files import repair_file

        how = reading(levels or [], columns or [], datum, (encoding, crs))
        log, left = repair_file(
            files, output, max_gap_width=max_gap_width, how=how, tell=console.say
        )
        _answer(repaired_json(log, left), repaired_text(log, left, output, lang), as_json)
    if not left.ok:
        raise typer.Exit(EXIT_FINDINGS)


@app.command()
def locate(
    city: Annotated[Path, typer.Argument(help="Edition.")],
    source: Annotated[
        Path, typer.Argument(help="Table of points: CSV, XLSX, Parquet or GeoPackage.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write.")],
    datum: Annotated[
        str, typer.Option("--datum", help="wgs84, cgcs2000, gcj02, bd09 or epsg:CODE.")
    ],
    lon: Annotated[str | None, typer.Option(help="Column of longitudes.")] = None,
    lat: Annotated[str | None, typer.Option(help="Column of latitudes.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="CSV file for the records without a micro-grid.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Column with each record's village, to prove the datum.")
    ] = None,
    buildings: Annotated[
        Path | None, typer.Option(help="Buildings at which the records lie, to prove the datum.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on with a datum that does not fit.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Find the grid and micro-grid of each point of a table. 批量落格。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console), console.progress() as tick:
        from geogrid import datums
        from geogrid.locate import Locator, locate_file

        known = datums.parse_reference(datum)
        summary = locate_file(
            Locator.of(city), source, output, datum=known, lon=lon, lat=lat, rejects=rejects,
            unit=unit, buildings=buildings, force=force,
            progress=lambda done, total: tick("locating", done, total),
        )  # fmt: skip
    _answer(asdict(summary), summary.as_text(lang), as_json)


@app.command()
def stats(
    city: Annotated[Path, typer.Argument(help="Edition.")],
    located: Annotated[Path, typer.Argument(help="Incidents that `geogrid locate` located.")],
    output: Annotated[Path, typer.Option("-o", "--output", help=".csv, .xlsx or .gpkg")],
    level: Annotated[str, typer.Option("--level", help="city … microgrid.")] = "village",
    by: Annotated[str, typer.Option("--by", help="day, week or month.")] = "",
    items: Annotated[
        Path | None, typer.Option(help="List of items; counts by category too.")
    ] = None,
    warn: Annotated[
        str, typer.Option("--warn", help="quantile, natural, or four thresholds by comma.")
    ] = "",
    measure: Annotated[str, typer.Option(help="Warn by count or by rate.")] = "count",
    least: Annotated[int, typer.Option(help="Fewer incidents give no warning.")] = 1,
    text: Annotated[
        str | None, typer.Option("--text", help="Column of addresses, for incidents not located.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Count incidents by unit, time and category, and warn in four colours. 事件统计与预警。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console):
        from geogrid.cli.counting import Question, count, counted_text

        question = Question(level, by, items, warn, measure, least, text)
        counted = count(city, located, output, question)
        _answer(counted.to_dict(), counted_text(counted, output, lang), as_json)


@app.command(name="map")
def draw_map(
    city: Annotated[Path, typer.Argument(help="Edition.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help=".html, or .png, .pdf, .svg for print.")
    ],
    part: Annotated[
        str, typer.Option("--part", help="Print this county … grid only: code or name.")
    ] = "",
    color: Annotated[
        str, typer.Option("--color", help="By households, balance, kind …; density, none in print.")
    ] = "households",
    level: Annotated[str, typer.Option("--level", help="Level whose units are filled.")] = "auto",
    imagery: Annotated[
        Path | None, typer.Option("--imagery", help="Picture to lay under the units (.html).")
    ] = None,
    warnings: Annotated[
        Path | None, typer.Option("--warnings", help="Show warnings: CSV of `geogrid stats`.")
    ] = None,
    findings: Annotated[
        bool, typer.Option("--findings", help="Check the edition and show what is found.")
    ] = False,
    paper: Annotated[str, typer.Option("--paper", help="A2, A3, A4 or A5.")] = "A4",
    title: Annotated[str, typer.Option("--title", help="Title of the print.")] = "",
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Write a map that opens without a network, or one for print. 输出离线地图或打印用图。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console):
        from geogrid import maps, store
        from geogrid.cli.printing import Print, write_page, write_print

        edition = store.read_edition(city)
        wanted = Print(color, level, part, warnings, findings, paper, title)
        if output.suffix.lower() in maps.PICTURES:
            write_print(edition, output, wanted)
        else:
            write_page(edition, output, wanted, imagery)
        console.say(f"已写出 {output}", f"wrote {output}")


@app.command()
def tiles(
    city: Annotated[Path, typer.Argument(help="Edition.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="PMTiles file to write.")],
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Write all vector tiles as one PMTiles file. 导出矢量瓦片。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console), console.progress() as tick:
        from geogrid import pyramid, store

        written = pyramid.write(
            store.read_edition(city),
            output,
            workers=workers,
            progress=lambda done, total: tick("vector tiles", done, total),
        )
    _answer(asdict(written), written.as_text(lang), as_json)


@app.command()
def serve(
    city: Annotated[Path | None, typer.Argument(help="Edition; may stand in geogrid.toml.")] = None,
    imagery: Annotated[Path | None, typer.Option(help="GeoTIFF to show below.")] = None,
    incidents: Annotated[
        Path | None, typer.Option(help="Located incidents to show: a file or a folder.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="List of items; incidents by category too.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen at (8000).")] = None,
    quiet: Quiet = False,
    lang: Lang = _LANG,
) -> None:
    """Serve look-ups, tiles and the map page. 提供查询接口、瓦片和地图页面。"""
    console = Console(lang, quiet)
    with errors_as_exit_codes(console):
        _serve(
            console, edition=city, imagery=imagery, incidents=incidents, items=items, host=host,
            port=port,
        )  # fmt: skip


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Who will use it; stands in the access log.")],
    scopes: Annotated[str, typer.Option("--scopes", help="read, bulk, edit, by comma.")] = "read",
    as_json: Json = False,
    lang: Lang = _LANG,
) -> None:
    """Make a key for the service; only its hash is kept. 生成服务密钥,只保存其哈希值。"""
    console = Console(lang)
    with errors_as_exit_codes(console):
        from geogrid.api import keys

        secret, made = keys.make(name, _names(scopes))
        console.say(
            "密钥只显示这一次,请交给使用者;下一行写入 keys 或 keys_file 设置:",
            "The key is shown this once, for who will use it; the line below goes into the "
            "settings keys or keys_file:",
        )
        _answer({"key": secret, "line": made.line()}, f"{secret}\n{made.line()}", as_json)


def _serve(console: Console, **given: Path | str | int | None) -> None:
    from geogrid.cli.jobs import serve_city

    gc.set_threshold(*_AS_ALWAYS)
    serve_city(given, console)


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.replace("，", ",").split(",") if name.strip())


def _engine(workers: int | None, scheduler: str | None):  # type: ignore[no-untyped-def]  # lazy import
    from geogrid.parallel import Engine, default_engine

    return Engine(workers or default_engine().workers, scheduler)


def _today(date: str | None) -> str:
    if date is None:
        return f"{datetime.now(ZoneInfo('Asia/Shanghai')):%Y-%m-%d}"
    return _day(date, "--date")


def _day(date: str, option: str) -> str:
    from geogrid.errors import UsageError

    try:
        return f"{datetime.strptime(date, '%Y-%m-%d'):%Y-%m-%d}"  # noqa: DTZ007  # a day, no time
    except ValueError as error:
        raise UsageError(f"{option} {date!r} is not a day; write it as 2026-01-31.") from error


def _bands(listed: str) -> tuple[int, int, int] | None:
    from geogrid.errors import UsageError

    names = _names(listed)
    if not names:
        return None
    if len(names) != 3 or not all(name.isdigit() for name in names):
        raise UsageError(f"--bands {listed!r}: name three, as red,green,blue, such as 3,2,1.")
    red, green, blue = map(int, names)
    return red, green, blue


def _answer(content: object, text: str, as_json: bool) -> None:
    print(json.dumps(content, ensure_ascii=False, indent=1) if as_json else text, file=sys.stdout)
