"""Boundaries and imagery in, an edition out."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid import store
from geogrid.codes import kind_of
from geogrid.coverage.check import check
from geogrid.coverage.checklist import Checklist
from geogrid.coverage.clean import Repair
from geogrid.coverage.findings import Findings
from geogrid.edition import Edition, EditionInfo, to_metres
from geogrid.errors import DataError, ImageryError, QuotaError, UsageError
from geogrid.norms import Norms
from geogrid.parallel import Engine, run
from geogrid.partition.assemble import assemble, gather
from geogrid.partition.boundaries import Boundaries, read_boundaries, working_crs
from geogrid.partition.imagery import Imagery, ImagerySource, open_imagery, outline
from geogrid.partition.lines import read_lines
from geogrid.partition.previous import counts_by_village, earlier_tracts
from geogrid.partition.quotas import Land, apportioned, read_counts
from geogrid.partition.report import Report, measure
from geogrid.partition.townships import (
    Quota,
    Township,
    divide_township,
    grow_township,
    seed_of,
)
from geogrid.partition.tracts import Tract, cut_out, read_sites, whole_villages
from geogrid.partition.zones import PRESETS
from geogrid.schema import EXCHANGE_CRS, require_columns, require_crs

# Atoms in a mean micro-grid by land, beside those by households.
_ATOMS_BY_LAND = 8.0
_HOUSEHOLD_NAMES = ("households", "户数", "hushu", "household")

Progress = Callable[[str, int, int], None]
"""Called with the stage, the units done and the units in all."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to divide, and how.

    Attributes
    ----------
    imagery : Path, str or ImagerySource
        A file, folder, tile service or several of them.
    n_grids, n_microgrids : int
        The exact counts.
    households : Path, optional
        Buildings or address points with a column `households` (GeoPackage or GeoParquet). Without
        it, weights come from built-up area in the imagery.
    barriers : Path, optional
        Lines that borders shall follow: roads, rivers, railways. Rivers, railways and expressways
        are crossed only where a road crosses them.
    resolution : float, optional
        Metres a pixel to work at.
    date : str
        Day of issue, YYYY-MM-DD.
    preset : str
        What the division favours: balanced, follow-roads or even.
    quality : int
        How many divisions of a village are tried; the best is taken.
    norms : Norms, optional
        Households that units of some kind should have: quotas are in proportion, and the report
        compares with them.
    previous : Path, optional
        An edition to go on from: its villages keep their counts, and their grids where these are
        even enough still.
    dedicated : Path, optional
        Polygons of sites (school, hospital, park, enterprise) that are a grid of their own; they
        count among the grids.
    quotas : Path, optional
        CSV with the numbers of grids and micro-grids of villages; these are exact, the rest of the
        totals goes to the other villages.
    """

    boundaries: Path
    imagery: Path | str | ImagerySource
    n_grids: int
    n_microgrids: int
    date: str
    households: Path | None = None
    barriers: Path | None = None
    resolution: float | None = None
    seed: int = 1
    preset: str = "balanced"
    quality: int = 1
    norms: Norms | None = None
    previous: Path | None = None
    quotas: Path | None = None
    dedicated: Path | None = None

    def __post_init__(self) -> None:
        """Refuse counts that no city could have, and unknown ways of dividing it."""
        if self.preset not in PRESETS:
            raise UsageError(f"preset {self.preset!r}: there are {', '.join(PRESETS)}.")
        if self.quality < 1:
            raise UsageError(f"quality {self.quality}: give the number of tries, 1 or more.")
        if not 1 <= self.n_grids <= self.n_microgrids:
            raise UsageError(
                f"{self.n_grids} grids and {self.n_microgrids} micro-grids: ask for at least one "
                "grid, and at least as many micro-grids as grids."
            )

    def key(self) -> str:
        """Return a digest of the inputs (path, size, time of change) and the parameters."""
        pictures = ImagerySource.of(self.imagery).files()
        inputs = [
            self.boundaries,
            self.households,
            self.barriers,
            self.previous,
            self.quotas,
            self.dedicated,
            *pictures,
        ]
        stamps = [
            (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns)
            for path in inputs
            if path is not None and path.exists()
        ]
        content = json.dumps([stamps, {key: str(value) for key, value in asdict(self).items()}])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Division:
    """A new edition, what was mended in the boundaries, its figures and its proof."""

    edition: Edition
    repairs: list[Repair]
    report: Report
    findings: Findings


def partition(
    request: Request, folder: Path, *, engine: Engine, progress: Progress | None = None
) -> Division:
    """Divide a city.

    Parameters
    ----------
    folder : Path
        Where finished townships are kept until the end; a run of the same request goes on there.
    engine : Engine
        Where to work; the result does not depend on it.

    Raises
    ------
    BoundaryError, ImageryError, QuotaError, DataError
        The inputs cannot be used, or the counts cannot be reached.
    """
    tell = progress or (lambda _stage, _done, _total: None)
    tell("boundaries", 0, 1)
    boundaries = read_boundaries(request.boundaries)
    if request.n_grids < len(boundaries.villages):
        raise QuotaError(
            f"{request.n_grids} grids for {len(boundaries.villages)} villages: every village needs "
            "at least one. Ask for more grids."
        )
    crs = working_crs(boundaries.villages)
    imagery = open_imagery(
        request.imagery,
        crs,
        resolution=request.resolution,
        area=boundaries.villages.geometry.to_crs(crs).to_numpy(),
        progress=tell,
    )
    _require_overlap(boundaries.villages, imagery)
    houses = _read_houses(request.households)
    previous = None if request.previous is None else store.read_edition(request.previous)
    tracts, divided = _tracts(request, boundaries.villages, crs)
    townships = _townships(request, tracts, imagery, (houses, previous, folder))
    tell("boundaries", 1, 1)
    _each(grow_township, townships, "atoms", engine, tell)
    quotas = _quotas(request, townships, previous)
    works = [(town, {tract.key: quotas[tract.key] for tract in town.tracts}) for town in townships]
    _each(divide_township, works, "zones", engine, tell)
    tell("edition", 0, 2)
    pieces = gather(townships)
    info = _info(request, boundaries, imagery, previous)
    edition, codes = assemble(pieces, boundaries, info, _in_degrees(houses), previous)
    tell("edition", 1, 2)
    expected = {"grid": request.n_grids, "microgrid": request.n_microgrids}
    findings = check(edition, rules=Checklist(expected=expected))
    if not findings.ok:
        raise DataError(
            f"the division is not a valid coverage, nothing was written: {findings[0].message_en} "
            "Please report this with the boundaries."
        )
    tell("edition", 2, 2)
    tell("report", 0, 1)
    report = measure(edition, pieces, codes, houses=houses, norms=request.norms)
    tell("report", 1, 1)
    return Division(edition, [*boundaries.repairs, *divided], report, findings)


def _each(
    fn: Callable[..., None],
    units: Sequence[object],
    stage: str,
    engine: Engine,
    tell: Progress,
) -> None:
    tell(stage, 0, len(units))
    for done, _ in enumerate(run(fn, units, engine), start=1):
        tell(stage, done, len(units))


def _require_overlap(villages: gpd.GeoDataFrame, imagery: Imagery) -> None:
    """Refuse at once imagery that lies elsewhere; holes are found village by village."""
    frame = outline(imagery)
    metric = villages.geometry.to_crs(imagery.lattice.crs)
    shapely.prepare(frame)
    outside = ~shapely.intersects(frame, metric.to_numpy())
    if not outside.any():
        return
    named = ", ".join(villages["code"][outside][:10])
    west, south, east, north = villages.to_crs(EXCHANGE_CRS).total_bounds
    raise ImageryError(
        f"{outside.sum()} of {len(villages)} villages lie wholly outside {imagery.name} "
        f"({metric[outside].area.sum() / 1e6:.2f} km²): {named}. The boundaries span "
        f"{west:.4f}, {south:.4f} to {east:.4f}, {north:.4f}; is a reference system wrong?"
    )


def _read_houses(path: Path | None) -> gpd.GeoDataFrame | None:
    """Read the household layer: polygons or points with a count."""
    if path is None:
        return None
    frame = store.read_vector(path)
    require_crs(frame, str(path))
    names = [name for name in _HOUSEHOLD_NAMES if name in frame.columns]
    if not names:
        require_columns(frame, _HOUSEHOLD_NAMES[:1], str(path))
    frame = frame[[names[0], frame.geometry.name]].rename(columns={names[0]: "households"})
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())]
    if not (frame["households"] >= 0).all() or frame["households"].sum() <= 0:
        raise DataError(
            f"{path}: households must be zero or more and not all zero. Leave --households out "
            "to weigh by built-up area in the imagery instead."
        )
    return frame


def _in_degrees(houses: gpd.GeoDataFrame | None) -> NDArray[np.float64]:
    """Return longitude, latitude and households; a footprint counts where its centroid lies."""
    if houses is None:
        return np.empty((0, 3))
    points = gpd.GeoSeries(shapely.centroid(houses.geometry.to_numpy()), crs=houses.crs)
    return np.column_stack(
        [shapely.get_coordinates(points.to_crs(EXCHANGE_CRS)), houses["households"]]
    )


def _tracts(
    request: Request, villages: gpd.GeoDataFrame, crs: str
) -> tuple[dict[str, list[Tract]], list[Repair]]:
    """Return the tracts of each township, and which sites were divided between villages."""
    divided: list[Repair] = []
    if request.dedicated is None:
        tracts = whole_villages(villages)
    else:
        tracts, divided = cut_out(villages, read_sites(request.dedicated, crs), crs)
    if request.n_grids < len(tracts):
        sites = sum(tract.site is not None for tract in tracts)
        raise QuotaError(
            f"{request.n_grids} grids for {sites} dedicated sites and {len(tracts) - sites} tracts "
            "of other land: each needs at least one. Ask for more grids, or give fewer sites."
        )
    township = villages.set_index("code")["parent"]
    grouped: dict[str, list[Tract]] = {}
    for tract in tracts:
        grouped.setdefault(str(township[tract.village]), []).append(tract)
    return dict(sorted(grouped.items())), divided


def _townships(
    request: Request,
    tracts: Mapping[str, list[Tract]],
    imagery: Imagery,
    inputs: tuple[gpd.GeoDataFrame | None, Edition | None, Path],
) -> list[Township]:
    houses, previous, folder = inputs
    crs = imagery.lattice.crs
    metric = {
        code: to_metres(np.array([tract.outline for tract in group], object), crs)
        for code, group in tracts.items()
    }
    area = sum(float(shapely.area(shapes).sum()) for shapes in metric.values())
    pixels = area / imagery.lattice.step**2
    shapes, points = _metric_houses(houses, crs)
    lines = read_lines(request.barriers, crs)
    every = [tract for group in tracts.values() for tract in group]
    earlier = {} if previous is None else earlier_tracts(previous, every)
    made = []
    for code, group in tracts.items():
        box = shapely.box(*shapely.total_bounds(metric[code])).buffer(imagery.lattice.step)
        rows = _rows_in(points, box.bounds)
        made.append(
            Township(
                code=code,
                tracts=tuple(group),
                imagery=imagery,
                houses=points[rows],
                has_houses=houses is not None,
                footprints=shapes[rows][shapely.get_dimensions(shapes[rows]) == 2],
                lines=lines.near(box),
                atoms_per_pixel=_ATOMS_BY_LAND * request.n_microgrids / pixels,
                households_per_microgrid=(
                    np.inf if houses is None else points[:, 2].sum() / request.n_microgrids
                ),
                preset=PRESETS[request.preset],
                quality=request.quality,
                earlier={t.key: earlier[t.key] for t in group if t.key in earlier},
                folder=folder,
            )
        )
    return made


def _metric_houses(
    houses: gpd.GeoDataFrame | None, crs: str
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Return the shapes, and centre and households `(n, 3)`, from west to east."""
    if houses is None:
        return np.empty(0, object), np.empty((0, 3))
    shapes = houses.geometry.to_crs(crs).to_numpy()
    xy = shapely.get_coordinates(shapely.centroid(shapes))
    points = np.column_stack([xy, houses["households"]])
    order = np.argsort(points[:, 0], kind="stable")
    return shapes[order], points[order]


def _rows_in(
    points: NDArray[np.float64], bounds: tuple[float, float, float, float]
) -> NDArray[np.int64]:
    """Return the rows of points (sorted by x) that lie within bounds."""
    west, south, east, north = bounds
    first, last = np.searchsorted(points[:, 0], [west, east])
    y = points[first:last, 1]
    return np.flatnonzero((y >= south) & (y <= north)) + int(first)


def _quotas(
    request: Request, townships: Sequence[Township], previous: Edition | None
) -> dict[str, Quota]:
    """Apportion both counts over the tracts: the only step that needs the whole city."""
    land = _land(townships)
    before = {} if previous is None else counts_by_village(previous)
    fixed = {code: before[code] for code in land.villages if code in before}
    if request.quotas is not None:
        fixed |= read_counts(request.quotas)
    # A tract that is what it was keeps its counts, unless an office has changed its village's.
    kept = {
        tract.key: (len(earlier.grid_codes), len(earlier.codes))
        for township in townships
        for tract in township.tracts
        if (earlier := township.earlier.get(tract.key)) is not None
        and fixed[tract.village] == before[tract.village]
    }
    counts = apportioned(
        land, (request.n_grids, request.n_microgrids), fixed=fixed, kept=kept, norms=request.norms
    )
    return {
        key: Quota(grids, microgrids, seed_of(key, request.seed))
        for key, (grids, microgrids) in zip(land.keys, counts.tolist(), strict=True)
    }


def _land(townships: Sequence[Township]) -> Land:
    keys: list[str] = []
    villages: list[str] = []
    kinds: list[str] = []
    weights: list[NDArray[np.float64]] = []
    areas: list[NDArray[np.float64]] = []
    for township in townships:
        with np.load(township.atoms_file) as grown:
            for number, tract in enumerate(township.tracts):
                keys.append(tract.key)
                villages.append(tract.village)
                kinds.append("dedicated" if tract.site is not None else kind_of(tract.village))
                weights.append(grown[f"{number}.weight"])
                areas.append(grown[f"{number}.area"])
    return Land(keys, villages, kinds, weights, areas)


def _info(
    request: Request, boundaries: Boundaries, imagery: Imagery, previous: Edition | None
) -> EditionInfo:
    city = boundaries.above["city"].iloc[0]
    weights = "households" if request.households else "built-up area seen in the imagery"
    parameters = {
        "n_grids": request.n_grids,
        "n_microgrids": request.n_microgrids,
        "resolution_m": imagery.lattice.step,
        "barriers": request.barriers.name if request.barriers else "",
        "preset": request.preset,
        "quality": request.quality,
    }
    return EditionInfo(
        id=f"{city['code']}-{request.date}",
        parent_id="" if previous is None else previous.info.id,
        city=str(city["name"]),
        created=request.date,
        working_crs=imagery.lattice.crs,
        imagery_source=imagery.source,
        imagery_date=imagery.date,
        weights=weights,
        seed=request.seed,
        parameters=json.dumps(parameters, sort_keys=True),
    )
