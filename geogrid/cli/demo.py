"""The main job, end to end: sample city, division, proof, incidents, map."""

from dataclasses import asdict, dataclass
from pathlib import Path

import geopandas as gpd

from geogrid import datums, incidents, sample, store
from geogrid.cli.console import Console, Meter
from geogrid.cli.figures import padded, report_text
from geogrid.cli.jobs import divide, division_json
from geogrid.coverage.check import check
from geogrid.coverage.checklist import Checklist
from geogrid.coverage.findings import Findings
from geogrid.errors import DataError
from geogrid.locate import LocateSummary, Locator, locate_file
from geogrid.maps.city import map_of
from geogrid.parallel import Engine
from geogrid.partition.pipeline import Division, Request

CITY_GRIDS, CITY_MICROGRIDS = 14_738, 100_622
"""Counts of the reference city, as published in 2022."""

_CITY_VILLAGES = 5_113


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demonstration is asked to do."""

    out: Path
    counties: tuple[str, ...]
    seed: int
    engine: Engine
    date: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Time and peak memory (all processes together) of one stage."""

    name_zh: str
    name_en: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What the demonstration made."""

    city: Path
    imagery: Path
    page: Path
    report: Path
    division: Division
    findings: Findings
    located: LocateSummary
    stages: list[Stage]

    def as_json(self) -> dict[str, object]:
        """Return the figures for machines."""
        return division_json(self.division) | {
            "findings": len(self.findings),
            "incidents": dict(self.located.statuses),
            "stages": [asdict(stage) for stage in self.stages],
            "files": [str(path) for path in (self.city, self.imagery, self.page, self.report)],
        }

    def text(self, lang: str) -> str:
        """Return the figures as a table for people."""
        zh = lang == "zh"
        counts, rate = self.division.edition.counts(), self.findings.coverage_rate
        lines = ["", "示例城市(景观为虚构)" if zh else "Sample city (the landscape is invented)"]
        lines += _rows(
            [
                ("县区 / 乡镇 / 村" if zh else "counties / townships / villages",
                 f"{counts['county']} / {counts['township']} / {counts['village']:,}"),
                ("网格" if zh else "grids", f"{counts['grid']:,}"),
                ("微网格" if zh else "micro-grids", f"{counts['microgrid']:,}"),
                ("覆盖率" if zh else "coverage",
                 "  ".join(f"{level} {share:.4%}" for level, share in rate.items())),
                ("缝隙、重叠、嵌套、编码问题" if zh else "gaps, overlaps, nesting or code faults",
                 f"{len(self.findings)}"),
            ]
        )  # fmt: skip
        lines += [
            "",
            *(f"  {line}" for line in report_text(self.division.report, lang).splitlines()),
        ]
        located = "  ".join(f"{name} {n:,}" for name, n in self.located.statuses.items())
        lines += _rows([("事件落格" if zh else "incidents", located)])
        lines += ["", "阶段                     秒       峰值内存 MB" if zh
                  else "stage                  seconds    peak memory MB"]  # fmt: skip
        for stage in self.stages:
            name = stage.name_zh if zh else stage.name_en
            lines.append(f"  {padded(name, 22)}{stage.seconds:>7.1f}{stage.peak_mb:>14,.0f}")
        total = sum(stage.seconds for stage in self.stages)
        lines.append(f"  {padded('合计' if zh else 'all', 22)}{total:>7.1f}")
        lines += ["", *(str(path) for path in (self.city, self.page, self.report))]
        return "\n".join(lines)


def run_demo(plan: Demo, console: Console) -> Summary:
    """Make the sample city, divide it, prove it, locate its incidents, draw it."""
    plan.out.mkdir(parents=True, exist_ok=True)
    inputs, city, page = plan.out / "sample", plan.out / "city.gpkg", plan.out / "map.html"
    report = plan.out / "report"
    stages: list[Stage] = []

    console.say("1/5 示例城市(虚构)", "1/5 the sample city (invented)")
    with Meter() as meter, console.progress() as tick:
        sample.write(
            inputs,
            counties=plan.counties or None,
            seed=plan.seed,
            workers=plan.engine.workers,
            progress=lambda stage, share: tick(stage, share, 1.0),
        )
    stages.append(_stage("示例数据", "sample city", meter))

    console.say("2/5 划分", "2/5 dividing")
    with Meter() as meter:
        division = divide(_request(inputs, plan), city, plan.engine, console, report=report)
    stages.append(_stage("划分并写出", "divide and write", meter))

    console.say("3/5 检查覆盖", "3/5 proving the coverage")
    with Meter() as meter:
        edition = store.read_edition(city)
        expected = {level: n for level, n in division.edition.counts().items() if "grid" in level}
        findings = check(edition, rules=Checklist(expected=expected))
    stages.append(_stage("读回并检查", "read back and check", meter))
    if not findings.ok:
        raise DataError(f"the coverage has faults: {findings[0].message_en}")

    console.say("4/5 事件落格", "4/5 locating incidents")
    with Meter() as meter:
        locator = Locator(edition)
        target = plan.out / "incidents.located.csv"
        located = locate_file(locator, inputs / "incidents.csv", target, datum=datums.Datum.GCJ02)
    stages.append(_stage("事件落格", "locate incidents", meter))

    console.say("5/5 地图", "5/5 the map")
    with Meter() as meter:
        map_of(edition, incidents=_incident_points(target)).save(page)
    stages.append(_stage("地图", "map", meter))
    return Summary(city, inputs / "imagery.tif", page, report, division, findings, located, stages)


def _request(inputs: Path, plan: Demo) -> Request:
    """Ask for the counts of the reference city, in proportion where only some counties are made."""
    villages = len(store.read_layer(inputs / "boundaries.gpkg", "village"))
    share = villages / _CITY_VILLAGES
    return Request(
        boundaries=inputs / "boundaries.gpkg",
        imagery=inputs / "imagery.tif",
        n_grids=round(CITY_GRIDS * share),
        n_microgrids=round(CITY_MICROGRIDS * share),
        households=inputs / "buildings.parquet",
        date=plan.date,
        seed=plan.seed,
    )


def _incident_points(located: Path) -> gpd.GeoDataFrame:
    """Return the incidents that were found, as points in CGCS2000."""
    table = incidents.read(located)
    table = table[table["status"] == "hit"]
    xy = table[["经度", "纬度"]].to_numpy(float)
    moved = datums.convert(xy, datums.Datum.GCJ02, datums.Datum.CGCS2000)
    points = gpd.points_from_xy(moved[:, 0], moved[:, 1], crs="EPSG:4490")
    return gpd.GeoDataFrame(table[["id", "item", "grid_code"]], geometry=points)


def _stage(zh: str, en: str, meter: Meter) -> Stage:
    return Stage(zh, en, round(meter.seconds, 1), round(meter.peak_bytes / 1e6))


def _rows(rows: list[tuple[str, str]]) -> list[str]:
    return [f"  {padded(name, 44)}{value}" for name, value in rows]
