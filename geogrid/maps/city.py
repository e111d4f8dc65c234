"""The map of a city: grids by households, outlines, micro-grids of some counties, points."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from folium.utilities import JsCode
from numpy.typing import NDArray

from geogrid.codes import LEVELS
from geogrid.coverage.findings import Findings
from geogrid.edition import Edition, integer_rings, to_integers
from geogrid.errors import UnknownCodeError
from geogrid.maps.layers import Furniture, GridLayer, OfflineMap, View
from geogrid.maps.payload import encode_points, encode_rings
from geogrid.schema import EXCHANGE_CRS, require_columns, require_crs

FILLS = ("#ffffcc", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8")
"""ColorBrewer YlGnBu, told apart by colour-blind readers; pale is few households.

Its darkest blue is left out: lines of micro-grids cannot be seen on it.
"""

_LINE = "#22303a"
_INCIDENT = "#d7301f"
_FINDING = "#c51b8a"

# Micro-grids are about 40 pixels wide at this zoom; lines further out make a grey smear.
_MICROGRID_ZOOM = 13


def map_of(
    edition: Edition,
    *,
    color: str | pd.Series = "households",  # noqa: ARG001
    level: str = "auto",  # noqa: ARG001
    incidents: gpd.GeoDataFrame | None = None,
    findings: Findings | None = None,
    microgrids_of: Sequence[str] = (),
) -> "GridMap":
    """Return a map of the whole city that opens without a network.

    Grids are filled by households in classes of about equally many grids. The micro-grids of
    `microgrids_of` are painted from zoom 13 on.

    Parameters
    ----------
    edition : Edition
    microgrids_of : sequence of str
        Codes or names of counties.
    incidents : GeoDataFrame, optional
        Points with the columns `id`, `item` and `grid_code`. Rows without a point are left out.
    findings : Findings, optional
        What a check found; findings without a place are left out.

    Raises
    ------
    UnknownCodeError
        A county that the edition does not hold.
    """
    counties = [_county(edition, each) for each in microgrids_of]
    west, south, east, north = edition.units["city"].total_bounds.tolist()
    canvas = GridMap(
        location=[(south + north) / 2, (west + east) / 2],
        tiles=None,
        zoom_snap=0.5,
        min_zoom=6,
        max_zoom=19,
        font_size="13px",
        attribution_control=False,
    )
    View(west, south, east, north).add_to(canvas)
    layers = [*_units(edition, counties)]
    layers += [] if incidents is None else [_incidents(incidents)]
    layers += [] if findings is None else [_findings(findings)]
    for layer in layers:
        layer.add_to(canvas)
    on_phones = cast(bool, JsCode("window.innerWidth < 700"))  # folium writes it as it is
    folium.LayerControl(collapsed=on_phones).add_to(canvas)
    _furniture(edition).add_to(canvas)
    return canvas


class GridMap(OfflineMap):
    """A folium map of an edition."""

    def save(self, path: Path | str) -> None:  # type: ignore[override]  # folium's takes more
        """Write the map as one HTML file that opens without a network."""
        from geogrid.maps import save

        save(self, Path(path))


def coverage_map(edition: Edition, findings: Findings) -> GridMap:
    """Return a map of what a check found."""
    return map_of(edition, findings=findings)


def warning_map(edition: Edition, warnings: pd.Series) -> GridMap:
    """Return a map of warnings: a Series of `COLOURS` and `no_data` by code."""
    return map_of(edition, color=warnings)


def compare_map(old: Edition, new: Edition) -> GridMap:  # noqa: ARG001
    """Return a map of two editions."""
    return map_of(new)


def balance_map(edition: Edition, level: str = "grid") -> GridMap:
    """Return a map of households over the mean of the parent's units."""
    return map_of(edition, color="balance", level=level)


def _units(edition: Edition, counties: Sequence[str]) -> Iterator[GridLayer]:
    yield _grids(edition)
    for county in dict.fromkeys(counties):
        yield _microgrids(edition, county)
    yield _outlines(edition, "township", "乡镇界 Townships", 0.8)
    yield _outlines(edition, "county", "县界 Counties", 2.0)


def _county(edition: Edition, code_or_name: str) -> str:
    """Return the code of a county given by code or name."""
    table = edition.units["county"]
    found = table.loc[(table["code"] == code_or_name) | (table["name"] == code_or_name), "code"]
    if found.empty:
        known = ", ".join((table["code"] + " " + table["name"]).head(20))
        raise UnknownCodeError(f"no county {code_or_name!r} in edition {edition.info.id}: {known}")
    return str(found.iloc[0])


def _grids(edition: Edition) -> GridLayer:
    table = edition.units["grid"]
    breaks = _breaks(table["households"].to_numpy())
    payload = _described(edition, "grid", table) | {
        "classes": np.searchsorted(breaks, table["households"], side="right").tolist()
    }
    style = {"fills": FILLS, "line": _LINE, "width": 0.5, "title": "网格 Grid"}
    return GridLayer("网格 Grids", payload, style)


def _microgrids(edition: Edition, county: str) -> GridLayer:
    name = edition.units["county"].set_index("code")["name"][county]
    table = edition.units["microgrid"]
    inside = table[_ancestors(edition, "microgrid", "county") == county]
    style = {
        "line": _LINE, "width": 0.7, "minZoom": _MICROGRID_ZOOM, "title": "微网格 Micro-grid",
    }  # fmt: skip
    title = f"微网格 Micro-grids: {name or county} (zoom ≥ {_MICROGRID_ZOOM})"
    return GridLayer(title, _described(edition, "microgrid", inside), style)


def _outlines(edition: Edition, level: str, title: str, width: float) -> GridLayer:
    payload = encode_rings(edition.rings(level))
    return GridLayer(title, payload, {"line": _LINE, "width": width})


def _incidents(incidents: gpd.GeoDataFrame) -> GridLayer:
    require_columns(incidents, ("id", "item", "grid_code"), "the table of incidents")
    require_crs(incidents, "the table of incidents")
    placed = incidents[incidents.geometry.notna() & ~incidents.geometry.is_empty]
    points = placed.geometry.to_crs(EXCHANGE_CRS).to_numpy()
    payload = {
        "xy": encode_points(to_integers(shapely.get_coordinates(points))),
        "codes": placed["grid_code"].fillna("").astype(str).tolist(),
        "names": (placed["id"].astype(str) + " " + placed["item"].astype(str)).tolist(),
    }
    style = {"line": _INCIDENT, "radius": 2.5, "title": "事件 Incident"}
    return GridLayer(f"事件 Incidents ({len(placed):,})", payload, style)


def _findings(findings: Findings) -> GridLayer:
    placed = [each for each in findings if each.point is not None]
    points = np.array([each.point for each in placed]).reshape(-1, 2)
    payload = {
        "xy": encode_points(to_integers(points)),
        "codes": [" ".join(each.codes) for each in placed],
        "names": [f"{each.message_zh} {each.message_en}" for each in placed],
    }
    style = {"line": _FINDING, "radius": 5, "title": "问题 Finding"}
    return GridLayer(f"检查发现的问题 Findings ({len(placed):,})", payload, style)


def _described(edition: Edition, level: str, table: gpd.GeoDataFrame) -> dict[str, object]:
    """Return units as a payload: outlines, codes, names, households and where they belong."""
    places, place = np.unique(
        _places(edition, level)[edition.units[level].index.isin(table.index)], return_inverse=True
    )
    return encode_rings(integer_rings(table.geometry.to_numpy())) | {
        "codes": table["code"].tolist(),
        "names": table["name"].tolist(),
        "households": table["households"].tolist(),
        "places": places.tolist(),
        "place": place.tolist(),
    }


def _places(edition: Edition, level: str) -> NDArray[np.str_]:
    """Return the names of county, township and village of each unit of `level`."""
    found = np.full(len(edition.units[level]), "")
    for above, divider in (("county", ""), ("township", " / "), ("village", " / ")):
        names = edition.units[above].set_index("code")["name"]
        of_unit = names[_ancestors(edition, level, above)].to_numpy(str)
        found = np.char.add(np.char.add(found, divider), of_unit)
    return found


def _ancestors(edition: Edition, level: str, above: str) -> NDArray[np.str_]:
    """Return the code of the unit of level `above` that holds each unit of `level`."""
    found = edition.units[level]["parent"]
    for between in LEVELS[LEVELS.index(above) + 1 : LEVELS.index(level)][::-1]:
        found = found.map(edition.units[between].set_index("code")["parent"])
    codes: NDArray[np.str_] = found.to_numpy(str)
    return codes


def _breaks(households: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first value of each class but the lowest; fewer classes where values repeat."""
    shares = np.arange(1, len(FILLS)) / len(FILLS)
    breaks = np.unique(np.quantile(households, shares, method="higher"))
    above: NDArray[np.int64] = breaks[breaks > households.min()]
    return above


def _furniture(edition: Edition) -> Furniture:
    counts = edition.counts()
    grids, microgrids = counts["grid"], counts["microgrid"]
    households = edition.units["grid"]["households"].to_numpy()
    edges = [households.min(), *_breaks(households), households.max() + 1]
    legend = [
        {"fill": fill, "text": f"{first:,} – {last - 1:,}" if last - 1 > first else f"{first:,}"}
        for fill, first, last in zip(FILLS, edges, edges[1:], strict=False)
    ]
    return Furniture(
        f"{edition.info.city} 网格图 Grid map",
        f"{grids:,} 网格 grids · {microgrids:,} 微网格 micro-grids\n"
        f"影像 Imagery: {edition.info.imagery_source}",
        legend,
        "每网格户数 Households a grid",
    )
