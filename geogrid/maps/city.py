"""Maps of a city: by a column, by findings, by warnings, by balance."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from folium.utilities import JsCode
from numpy.typing import NDArray

from geogrid.coverage.findings import RULES, Findings
from geogrid.edition import Edition
from geogrid.errors import UsageError
from geogrid.incidents.warning import COLOURS, NO_DATA
from geogrid.maps.classes import Colour
from geogrid.maps.layers import OPACITY, Call, GridLayer, PointLayer, View
from geogrid.maps.page import frame, offline, save
from geogrid.schema import EXCHANGE_CRS, require_columns, require_crs

_SEVERITIES = {
    "error": ("#c2185b", "错误 Error"),
    "warning": ("#e08214", "警告 Warning"),
    "note": ("#5b6b78", "提示 Note"),
}
_INCIDENT = "#d7301f"

_LISTED = 300
"""Findings in the list beside the map; all are points on it."""

_PALE = 0.55
"""Opacity of the fills over imagery."""


class GridMap(folium.Map):
    """A folium map of an edition; it shows in a notebook and opens from a file, offline.

    Add any folium layer to it. What is loaded from another host is refused when it is saved or
    shown.
    """

    def __init__(self, edition: Edition, title: str, subtitle: str = "") -> None:
        west, south, east, north = edition.units["city"].total_bounds.tolist()
        super().__init__(
            location=[(south + north) / 2, (west + east) / 2],
            tiles=None,
            zoom_snap=0.5,
            min_zoom=6,
            max_zoom=19,
            font_size="13px",
            attribution_control=False,
        )
        View(west, south, east, north).add_to(self)
        content = {"title": title, "subtitle": subtitle or _subtitle(edition), "page": True}
        Call("furnish", content).add_to(self)

    def add_child(  # type: ignore[no-untyped-def]  # as folium's own
        self, child, name=None, index=None
    ):
        """Add an element; the control of layers stays the last, as it must know all before it."""
        super().add_child(child, name, index)
        for key, each in [*self._children.items()]:
            if isinstance(each, folium.LayerControl):
                self._children.move_to_end(key)
        return self

    def save(  # type: ignore[override]  # folium's takes no hosts
        self, path: Path | str, *, hosts: Sequence[str] = ()
    ) -> None:
        """Write the map as one HTML file that opens by double click: see `geogrid.maps.save`."""
        save(self, path, hosts=hosts)

    def _repr_html_(self) -> str:  # type: ignore[override]  # folium's takes what it ignores
        """Show the map in a notebook, without a network."""
        return frame(offline(self))


def map_of(
    edition: Edition,
    *,
    color: Colour = "households",
    level: str = "auto",
    incidents: gpd.GeoDataFrame | None = None,
    findings: Findings | None = None,
    imagery: Path | str | None = None,
) -> GridMap:
    """Return a map of the whole city, all micro-grids, that opens without a network.

    Parameters
    ----------
    edition : Edition
    color : str, Series, Classes or MapClassifier
        What units are filled by: see `geogrid.maps.classes_of`.
    level : str
        `auto`, or the level whose units are filled.
    incidents : GeoDataFrame, optional
        Points with the columns `id`, `item` and `grid_code`. Rows without a point are left out.
    findings : Findings, optional
        What a check found; those without a place are in the list only.
    imagery : path, optional
        Picture to lay under the units, reduced to about 1,600 pixels: see `open_imagery`.

    Examples
    --------
    >>> import geogrid as gg
    >>> city = gg.open("city.gpkg")                        # doctest: +SKIP
    >>> gg.map(city, color="balance").save("map.html")     # doctest: +SKIP
    """
    layer = GridLayer(edition, level, color=color, opacity=OPACITY if imagery is None else _PALE)
    canvas = GridMap(edition, f"{edition.info.city} 网格图 Grid map")
    if imagery is not None:
        from geogrid.maps.underlay import overlay  # brings what reads rasters

        overlay(edition, imagery).add_to(canvas)
    layer.add_to(canvas)
    if incidents is not None:
        _incidents(incidents).add_to(canvas)
    if findings is not None:
        _add_findings(canvas, findings)
    return controlled(canvas)


def coverage_map(edition: Edition, findings: Findings) -> GridMap:
    """Return a map of what a check found, by severity, with a list that leads to each place.

    Examples
    --------
    >>> import geogrid as gg
    >>> city = gg.open("city.gpkg")                                    # doctest: +SKIP
    >>> gg.maps.coverage_map(city, gg.check(city)).save("check.html")  # doctest: +SKIP
    """
    rates = " · ".join(
        f"{level} {rate:.4%}" for level, rate in findings.coverage_rate.items() if rate < 1
    )
    said = f"覆盖率 Coverage: {rates or '100 %'}\n问题 Findings: {len(findings):,}"
    canvas = GridMap(edition, f"{edition.info.city} 覆盖检查 Coverage check", said)
    GridLayer(edition, color="kind", opacity=_PALE).add_to(canvas)
    _add_findings(canvas, findings)
    return controlled(canvas)


def warning_map(
    edition: Edition,
    warnings: pd.Series | pd.DataFrame,
    *,
    incidents: gpd.GeoDataFrame | None = None,
) -> GridMap:
    """Return a map of warnings in four colours; units without data are hatched.

    Parameters
    ----------
    edition : Edition
    warnings : Series or DataFrame
        States (`none`, `blue`, `yellow`, `orange`, `red`, `no_data`) by code, or a table with the
        columns `code` and `warning` as `incidents.warned` gives it. Units that are not in it have
        no data.
    incidents : GeoDataFrame, optional
        As for `map_of`.

    Raises
    ------
    UsageError
        Another state.
    """
    states = warnings
    if isinstance(states, pd.DataFrame):
        require_columns(states, ("code", "warning"), "the table of warnings")
        states = states.set_index("code")["warning"]
    strange = sorted(set(states.dropna().astype(str)) - {*COLOURS, NO_DATA})
    if strange:
        raise UsageError(
            f"warning {strange[0]!r}: expected {', '.join(COLOURS)} or {NO_DATA}; "
            "`geogrid.incidents.warned` gives them"
        )
    canvas = GridMap(edition, f"{edition.info.city} 四色预警 Warnings in four colours")
    GridLayer(edition, color=states.astype(object)).add_to(canvas)
    if incidents is not None:
        _incidents(incidents).add_to(canvas)
    return controlled(canvas)


def balance_map(edition: Edition, level: str = "grid") -> GridMap:
    """Return a map of households over the mean of the parent's units: where to split or merge."""
    canvas = GridMap(edition, f"{edition.info.city} 户数均衡 Balance of households")
    GridLayer(edition, level, color="balance").add_to(canvas)
    return controlled(canvas)


def shown(edition: Edition) -> str:
    """Return an edition as HTML for a notebook: its map."""
    return map_of(edition)._repr_html_()


def controlled(canvas: GridMap) -> GridMap:
    """Return the map with a control of its layers, folded on phones."""
    on_phones = cast(bool, JsCode("window.innerWidth < 700"))  # folium writes it as it is
    folium.LayerControl(collapsed=on_phones).add_to(canvas)
    return canvas


def _subtitle(edition: Edition) -> str:
    counts = edition.counts()
    grids, microgrids = counts["grid"], counts["microgrid"]
    return (
        f"{grids:,} 网格 grids · {microgrids:,} 微网格 micro-grids\n"
        f"影像 Imagery: {edition.info.imagery_source}"
    )


def _incidents(incidents: gpd.GeoDataFrame) -> PointLayer:
    require_columns(incidents, ("id", "item", "grid_code"), "the table of incidents")
    require_crs(incidents, "the table of incidents")
    placed = incidents[incidents.geometry.notna() & ~incidents.geometry.is_empty]
    points = placed.geometry.to_crs(EXCHANGE_CRS).to_numpy()
    payload = {
        "xy": _degrees(shapely.get_coordinates(points)),
        "codes": placed["grid_code"].fillna("").astype(str).tolist(),
        "names": (placed["id"].astype(str) + " " + placed["item"].astype(str)).tolist(),
    }
    style = {"fills": [_INCIDENT], "radius": 2.2, "title": "事件 Incident"}
    return PointLayer(f"事件 Incidents ({len(placed):,})", payload, style)


def _add_findings(canvas: GridMap, findings: Findings) -> None:
    """Add the findings as points, worst first, and a list of them."""
    rank = list(_SEVERITIES)
    placed = [each for each in findings if each.point is not None]
    placed.sort(key=lambda each: rank.index(each.severity))
    payload = {
        "xy": _degrees(np.array([each.point for each in placed]).reshape(-1, 2)),
        "codes": [" ".join(each.codes) for each in placed],
        "names": [
            f"{RULES[each.rule].zh} {RULES[each.rule].en}"
            + (f" · {each.near}" if each.near else "")
            for each in placed
        ],
        "notes": [f"{each.message_zh} {each.message_en}" for each in placed],
        "classes": [rank.index(each.severity) for each in placed],
        "boxes": [each.bbox for each in placed],
    }
    style = {
        "fills": [fill for fill, _ in _SEVERITIES.values()],
        "labels_of": [text for _, text in _SEVERITIES.values()],
        "radius": 5, "most": _LISTED, "title": "检查发现的问题 Findings",
        "empty": "没有问题 Nothing found",
    }  # fmt: skip
    layer = PointLayer(f"检查发现的问题 Findings ({len(placed):,})", payload, style)
    layer.add_to(canvas)
    Call("list", layer).add_to(canvas)


def _degrees(xy: NDArray[np.float64]) -> list[float]:
    """Return points as numbers of six decimals (0.1 m), longitude and latitude in turn."""
    numbers: list[float] = np.round(xy, 6).ravel().tolist()
    return numbers
