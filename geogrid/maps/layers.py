"""Layers of a folium map that a canvas paints, and the map that carries its scripts with it.

folium's own `GeoJson` writes a style rule a feature, which the browser searches for each feature:
100,000 micro-grids take 79 seconds. Here a layer is packed numbers, painted in one pass.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, cast

import folium
from branca.element import Element, Figure
from folium.map import Layer
from folium.template import Template

_ASSETS = files("geogrid.maps") / "assets"


class OfflineMap(folium.Map):
    """A folium map that asks no host and no other file for anything.

    Leaflet and our scripts are written into the page. What other folium classes need beyond
    Leaflet (jQuery, Bootstrap, icon fonts) is absent: add `CircleMarker`, not `Marker`.
    """

    def __init__(self, **options: Any) -> None:
        """Take the options of `folium.Map`."""
        super().__init__(**options)
        self.default_js, self.default_css = [], []

    def render(self, **kwargs: object) -> None:  # type: ignore[override]  # as folium's own
        """Write the map into its page, after the scripts it needs."""
        header = cast(Figure, self.get_root()).header
        header.add_child(_Text(f"<style>{_styles()}</style>"), name="geogrid_styles")
        header.add_child(_Text(f"<script>{_scripts()}</script>"), name="geogrid_scripts")
        super().render(**kwargs)  # type: ignore[no-untyped-call]  # folium's


class GridLayer(Layer):
    """Polygons or points, painted on one canvas.

    Parameters
    ----------
    name : str
        What the layer control shows.
    payload : mapping
        What `grid_layer.js` decodes: either `xy`, `sizes` and `rings`, or `xy` alone for points.
        `codes`, `names`, `households`, `places`, `place` and `classes` describe the features.
    style : mapping
        `fills` (a colour a class), `line`, `width`, `radius`, `minZoom`, `title`.
    """

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        var {{ this.get_name() }} = L.geogrid.layer(
            {{ this.script_values }});
        {% endmacro %}
        """
    )

    def __init__(
        self, name: str, payload: Mapping[str, object], style: Mapping[str, object]
    ) -> None:
        # The layer control takes names for HTML, and folium takes its own script for a template.
        super().__init__(name=html.escape(name).replace("{", "｛"), overlay=True)
        self._name = "GridLayer"
        self.payload, self.style = dict(payload), dict(style)

    @property
    def script_values(self) -> str:
        """The payload and the style as script."""
        return f"{script_text(self.payload)}, {script_text(self.style)}"


class View(folium.MacroElement):
    """Shows these bounds at once: folium's `fit_bounds` paints another view first and flies."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        {{ this._parent.get_name() }}.fitBounds(
            {{ this.corners|tojson }}, {animate: false, padding: [10, 10]});
        {% endmacro %}
        """
    )

    def __init__(self, west: float, south: float, east: float, north: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # branca's
        self._name = "View"
        self.corners = [[south, west], [north, east]]


class Furniture(folium.MacroElement):
    """Title, legend and scale bar."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        L.geogrid.furnish({{ this._parent.get_name() }}, {{ this.script_values }});
        {% endmacro %}
        """
    )

    def __init__(
        self, title: str, subtitle: str, legend: Sequence[Mapping[str, str]], heading: str
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # branca's
        self._name = "Furniture"
        self.content = {
            "title": title,
            "subtitle": subtitle,
            "legend": [dict(row) for row in legend],
            "heading": heading,
        }

    @property
    def script_values(self) -> str:
        """The content as script."""
        return script_text(self.content)


def script_text(value: object) -> str:
    r"""Return JSON that neither ends a script nor is a template.

    folium reads every script that it writes as a Jinja template once more: a name with two braces
    would be run when the map is saved.

    >>> script_text(["</script>", "{{ 7 * 7 }}"])
    '["\\u003c/script>", "\\u007b{ 7 * 7 }}"]'
    """
    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return re.sub(r"\{(?=[{%#])", r"\\u007b", text)


class _Text(Element):
    """Text for the header, taken as it is: an `Element` of its own would read it as a template."""

    _template = Template("{{ this.text }}")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


def _styles() -> str:
    """Leaflet's style sheet without the images it looks for beside itself, and ours."""
    leaflet = (_ASSETS / "vendor" / "leaflet" / "leaflet.css").read_text("utf-8")
    return re.sub(r"url\(images/[^)]*\)", "none", leaflet) + _own("map.css")


def _scripts() -> str:
    leaflet = (_ASSETS / "vendor" / "leaflet" / "leaflet.js").read_text("utf-8")
    return leaflet.replace("//# sourceMappingURL=leaflet.js.map", "") + _own("grid_layer.js")


def _own(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")
