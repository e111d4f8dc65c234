"""The longer jobs behind the commands: divide and write, serve."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from geogrid import store
from geogrid.cli.console import Console
from geogrid.cli.figures import report_text
from geogrid.errors import DataError, GeogridError, UsageError
from geogrid.parallel import Engine
from geogrid.partition import report_files
from geogrid.partition.pipeline import Division, Request, partition
from geogrid.partition.report import as_table


def divide(
    request: Request,
    output: Path,
    engine: Engine,
    console: Console,
    *,
    report: Path | None = None,
) -> Division:
    """Divide a city and write the edition; a run that was stopped goes on where it was.

    Parameters
    ----------
    report : Path, optional
        Folder to write the report to.
    """
    if not output.parent.is_dir():
        raise DataError(
            f"cannot write {output}: there is no folder {output.parent}. Make it first."
        )
    if report is not None:
        report_files.make_folder(report)
    folder = output.with_name(f".{output.stem}.work-{request.key()}")
    for stale in output.parent.glob(f".{output.stem}.work-*"):
        if stale != folder:
            shutil.rmtree(stale)
    if folder.exists():
        console.say(f"继续上次未完成的划分:{folder}", f"going on with what is in {folder}")
    folder.mkdir(exist_ok=True)
    try:
        with console.progress() as tick:
            division = partition(request, folder, engine=engine, progress=tick)
            tick("writing", 0, 1)
            store.write_edition(
                division.edition, output, tables={"report": as_table(division.report.levels)}
            )
            if report is not None:
                report_files.write(report, division.edition, division.report, request.norms)
            tick("writing", 1, 1)
    except GeogridError:
        # Bad input will be corrected, and then nothing here fits any more.
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return division


def division_json(division: Division) -> dict[str, object]:
    """Return what was made, for machines."""
    info = division.edition.info
    return {
        "edition": info.id,
        "digest": info.digest,
        "counts": division.edition.counts(),
        "weights": info.weights,
        "coverage_rate": division.findings.coverage_rate,
        "repairs": len(division.repairs),
        "report": report_files.level_records(division.report),
    }


def division_text(division: Division, lang: str) -> str:
    """Return what was made, for people."""
    zh = lang == "zh"
    info, counts = division.edition.info, division.edition.counts()
    lines = [
        f"{info.city}: {counts['village']} 个村(社区),{counts['grid']} 个网格,"
        f"{counts['microgrid']} 个微网格"
        if zh
        else f"{info.city}: {counts['village']} villages, {counts['grid']} grids, "
        f"{counts['microgrid']} micro-grids",
        f"权重:{'户数' if info.weights == 'households' else '影像中的建成区面积(未提供户数)'}"
        if zh
        else f"weights: {info.weights}",
    ]
    if division.repairs:
        n = len(division.repairs)
        lines.append(
            f"边界与专属区域处理 {n} 处:" if zh else f"{n} changes of boundaries and sites:"
        )
        lines += [f"  {r.message_zh if zh else r.message_en}" for r in division.repairs[:20]]
    return "\n".join([*lines, report_text(division.report, lang)])


def serve_city(given: Mapping[str, object], console: Console) -> None:
    """Serve an edition until stopped; what is not `given` stands in the environment or a file."""
    from geogrid.api import server
    from geogrid.api import settings as setup

    settings = setup.read(dict(given))
    if not settings.edition.is_file():
        raise UsageError(
            f"there is no file {settings.edition}. Make an edition with `geogrid partition`."
        )

    def ready(address: str) -> None:
        console.say(f"地图:{address}  (Ctrl-C 结束)", f"map: {address}  (Ctrl-C stops)")

    console.say("正在加载 …", "loading …")
    server.run(settings, ready)
