"""Land that is divided on its own: a village, or a dedicated site and what is left beside it.

A site (school, hospital, park, enterprise) becomes one dedicated grid of its village (R-03). Its
land is cut out of the village first, so that no border of a basic grid runs through it and no
household counts twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geogrid import store
from geogrid.coverage.clean import Repair, clean_villages
from geogrid.coverage.edges import is_polygonal, on_integer_grid
from geogrid.edition import to_metres
from geogrid.errors import BoundaryError
from geogrid.schema import EXCHANGE_CRS, GRID_UNIT

# Square metres. Less of a site beyond the border of a village is how the site was drawn, less of a
# village beside a site is a corner that nobody would walk as a grid of its own.
_CORNER = 1000.0
# Metres: what is left beside a site and nowhere wider is a strip, not land to divide.
_STRIP = 10.0
# Share of the smaller of two sites that may lie in the other; it goes to the larger.
_COMMON = 0.01
_NAMES = ("name", "名称", "单位名称", "mc")
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Tract:
    """Land of one village that is divided on its own.

    Attributes
    ----------
    key : str
        The village's code; in a village with sites `code-2` and so on for further rests, `code-D1`
        and so on for sites.
    village : str
        Code of the village.
    site : str, optional
        Name of the dedicated site, perhaps empty; None for land of basic grids.
    outline : Polygon
        In EPSG:4490, on the integer grid.
    """

    key: str
    village: str
    site: str | None
    outline: shapely.Polygon

    @property
    def kind(self) -> str:
        """`dedicated` or `basic`."""
        return "basic" if self.site is None else "dedicated"


@dataclass(frozen=True, slots=True)
class Sites:
    """Dedicated sites: polygons in EPSG:4490 on the integer grid, and their names."""

    polygons: NDArray[np.object_]
    names: NDArray[np.object_]


def read_sites(path: Path, crs: str) -> Sites:
    """Read dedicated sites: one polygon and, where there is a column for it, one name a row.

    Parts of a multipolygon are sites of their own. The largest comes first, whatever the order of
    the rows.

    Parameters
    ----------
    crs : str
        The working CRS, in which areas are compared.

    Raises
    ------
    BoundaryError
        A row is no valid polygon, or two sites overlap; each is named with its place.
    """
    frame = store.read_vector(path)
    shapes = on_integer_grid(frame, str(path))
    bad = np.flatnonzero(~is_polygonal(shapes) | ~shapely.is_valid(shapes))
    if len(bad) or not len(shapes):
        listed = "; ".join(f"row {k + 1}: {_reason(shapes[k])}" for k in bad[:_LISTED].tolist())
        raise BoundaryError(
            f"{path}: {len(bad)} of {len(shapes)} dedicated sites are no valid polygons: "
            f"{listed or 'there are no rows'}. Draw each as a polygon and try again."
        )
    column = next((name for name in _NAMES if name in frame.columns), None)
    given = [""] * len(frame) if column is None else frame[column].fillna("").astype(str)
    parts, row = shapely.get_parts(shapes, return_index=True)
    names = np.array(given, object)[row]
    metric = to_metres(parts, crs)
    place = shapely.get_coordinates(shapely.centroid(metric)).round(1)
    order = np.lexsort([place[:, 1], place[:, 0], -shapely.area(metric).round(1)])
    sites = Sites(parts[order], names[order])
    _refuse_overlaps(sites, metric[order], path)
    return sites


def whole_villages(villages: gpd.GeoDataFrame) -> list[Tract]:
    """Return each village as one tract, in the order of the codes."""
    ordered = villages.sort_values("code")
    return [
        Tract(code, code, None, outline)
        for code, outline in zip(ordered["code"], ordered.geometry, strict=True)
    ]


def cut_out(villages: gpd.GeoDataFrame, sites: Sites, crs: str) -> tuple[list[Tract], list[Repair]]:
    """Cut sites out of their villages.

    A site that reaches into several villages is a dedicated grid of each of them. Corners of less
    than 1,000 m², and strips narrower than 10 m that a site leaves of a village, go with the
    neighbour that they share the longest border with.

    Parameters
    ----------
    villages : GeoDataFrame
        Columns `code` and geometry: a coverage in EPSG:4490, on the integer grid.

    Returns
    -------
    list of Tract
        Ordered by key; together they cover what the villages cover.
    list of Repair
        Sites that were divided at the border of a village.

    Raises
    ------
    BoundaryError
        A site lies outside the villages.
    """
    ordered = villages.sort_values("code")
    codes, shapes = ordered["code"].to_numpy(object), ordered.geometry.to_numpy()
    site, village = shapely.STRtree(shapes).query(sites.polygons, predicate="intersects")
    part = shapely.intersection(sites.polygons[site], shapes[village], grid_size=GRID_UNIT)
    area = shapely.area(to_metres(part, crs))
    largest = np.zeros(len(sites.polygons))
    np.maximum.at(largest, site, area)
    _refuse_outside(sites, largest)
    kept = (area > 0) & ((area >= _CORNER) | (area == largest[site]))
    site, village = site[kept], village[kept]
    tracts: list[Tract] = []
    for row, code in enumerate(codes):
        own = np.sort(site[village == row])
        tracts += _village_tracts(code, shapes[row], _of(sites, own), crs)
    settled = _settled(tracts)
    return settled, _divided_sites(sites, site, codes[village])


def _of(sites: Sites, rows: NDArray[np.int64]) -> Sites:
    return Sites(sites.polygons[rows], sites.names[rows])


def _village_tracts(code: str, outline: shapely.Polygon, sites: Sites, crs: str) -> list[Tract]:
    """Cut one village; its land without an own tract goes to the neighbour it borders on most."""
    if not len(sites.polygons):
        return [Tract(code, code, None, outline)]
    faces: list[shapely.Polygon] = []
    site: list[int] = []
    rest = outline
    for number, polygon in enumerate(sites.polygons):
        faces += _polygons(shapely.intersection(rest, polygon, grid_size=GRID_UNIT))
        site += [number] * (len(faces) - len(site))
        rest = shapely.difference(rest, polygon, grid_size=GRID_UNIT)
    n_sites = len(faces)
    faces += _polygons(rest)
    metric = to_metres(np.array(faces, object), crs)
    thin = shapely.is_empty(shapely.buffer(metric, -_STRIP / 2))
    large = (shapely.area(metric) >= _CORNER) & ~thin
    # The parts of a site come largest first; that one is its grid, however small.
    large[np.flatnonzero(np.diff(site, prepend=-1))] = True
    merged = _with_corners(np.array(faces, object), large)
    sites_first = np.flatnonzero(large[:n_sites])
    rests = n_sites + np.flatnonzero(large[n_sites:])
    rests = rests[np.argsort(-shapely.area(metric[rests]), kind="stable")]
    tracts = [
        Tract(code if k == 1 else f"{code}-{k}", code, None, merged[row])
        for k, row in enumerate(rests.tolist(), start=1)
    ]
    return tracts + [
        Tract(f"{code}-D{k}", code, str(sites.names[site[row]]), merged[row])
        for k, row in enumerate(sites_first.tolist(), start=1)
    ]


def _with_corners(faces: NDArray[np.object_], large: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return the faces, the small ones joined to the large neighbour with the longest border."""
    merged = faces.copy()
    waiting = np.flatnonzero(~large).tolist()
    hosts = np.flatnonzero(large)
    while waiting:
        shared = [
            shapely.length(
                shapely.intersection(
                    shapely.boundary(faces[row]),
                    shapely.boundary(merged[hosts]),
                    grid_size=GRID_UNIT,
                )
            )
            for row in waiting
        ]
        best = int(np.argmax([one.max() for one in shared]))
        host = hosts[int(np.argmax(shared[best]))]
        row = waiting.pop(best)
        merged[host] = _polygons(shapely.union(merged[host], faces[row], grid_size=GRID_UNIT))[0]
    return merged


def _polygons(shape: shapely.Geometry) -> list[shapely.Polygon]:
    parts = shapely.get_parts(shape)
    parts = parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)]
    return list(parts[np.argsort(-shapely.area(parts), kind="stable")])


def _settled(tracts: list[Tract]) -> list[Tract]:
    """Return the tracts as a coverage: vertices that cutting added are added across as well."""
    frame = gpd.GeoDataFrame(
        {"code": [tract.key for tract in tracts]},
        geometry=[tract.outline for tract in tracts],
        crs=EXCHANGE_CRS,
    )
    mended, _ = clean_villages(frame)
    return sorted(
        (
            Tract(tract.key, tract.village, tract.site, outline)
            for tract, outline in zip(tracts, mended.geometry, strict=True)
        ),
        key=lambda tract: tract.key,
    )


def _divided_sites(
    sites: Sites, site: NDArray[np.int64], codes: NDArray[np.object_]
) -> list[Repair]:
    """Say which sites became a grid in each of several villages."""
    said = []
    for row in np.flatnonzero(np.bincount(site, minlength=len(sites.polygons)) > 1).tolist():
        own = tuple(sorted(codes[site == row]))
        lon, lat = _place(sites.polygons[row])
        who, where = sites.names[row] or "a site", f"{lon:.7f}, {lat:.7f}"
        said.append(
            Repair(
                "site_divided", own, (lon, lat), 0.0,
                f"dedicated site {who}: lies in villages {', '.join(own)} and becomes a grid of "
                f"each, at {where}.",
                f"专属区域{sites.names[row]}：跨{'、'.join(own)}，在各村(社区)各设一个专属网格，"
                f"位置 {where}。",
            )
        )  # fmt: skip
    return said


def _refuse_overlaps(sites: Sites, metric: NDArray[np.object_], path: Path) -> None:
    first, second = shapely.STRtree(metric).query(metric, predicate="intersects")
    pair = first < second
    first, second = first[pair], second[pair]
    common = shapely.area(shapely.intersection(metric[first], metric[second]))
    # The second of a pair is the smaller one.
    wrong = np.flatnonzero(common > _COMMON * shapely.area(metric[second]))
    if len(wrong):
        raise BoundaryError(
            f"{path}: {len(wrong)} pairs of dedicated sites overlap: "
            + "; ".join(_pairs(sites, first[wrong], second[wrong], common[wrong]))
            + ". Land belongs to one grid: draw them side by side."
        )


def _pairs(
    sites: Sites,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    common: NDArray[np.float64],
) -> Iterator[str]:
    rows = zip(first.tolist(), second.tolist(), common.tolist(), strict=True)
    for one, other, area in list(rows)[:_LISTED]:
        lon, lat = _place(shapely.intersection(sites.polygons[one], sites.polygons[other]))
        names = " and ".join(sites.names[row] or f"site {row + 1}" for row in (one, other))
        yield f"{names} by {area:,.0f} m² at {lon:.6f}, {lat:.6f}"


def _refuse_outside(sites: Sites, largest: NDArray[np.float64]) -> None:
    outside = np.flatnonzero(largest == 0)
    if len(outside):
        listed = "; ".join(
            "{} at {:.6f}, {:.6f}".format(
                sites.names[row] or "a site", *_place(sites.polygons[row])
            )
            for row in outside[:_LISTED].tolist()
        )
        raise BoundaryError(
            f"{len(outside)} dedicated sites lie in no village: {listed}. Take them out, or check "
            "their reference system."
        )


def _reason(shape: shapely.Geometry | None) -> str:
    if shape is None or shape.is_empty:
        return "no geometry"
    polygonal = shape.geom_type.endswith("Polygon")
    return str(shapely.is_valid_reason(shape) if polygonal else shape.geom_type)


def _place(shape: shapely.Geometry) -> tuple[float, float]:
    point = shapely.point_on_surface(shape)
    return point.x, point.y
