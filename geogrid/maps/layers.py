"""Layers of a folium map that a canvas paints, and what stands around the map.

folium's own `GeoJson` writes a style rule a feature, which the browser searches for each feature:
100,000 micro-grids take more than a minute. Here a layer is packed numbers, painted in one pass.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

import folium
from branca.element import Element, Figure
from folium.map import Layer
from folium.template import Template

from geogrid.edition import Edition
from geogrid.maps.assets import scripts, styles
from geogrid.maps.classes import Classes, Colour, classes_of
from geogrid.maps.payload import compressed, packed, text_of

OPACITY = 0.92
"""Of the fills: imagery or tiles below are guessed, colours stay those of the legend."""

_BLOCK = 1 << 19
"""Characters of an edition in a block; browsers copy one long text over and over as it arrives."""


class GridLayer(Layer):
    """A whole edition, painted on one canvas.

    Works in any `folium.Map`, beside any other layer: borders of all levels by zoom, names, a card
    under the pointer, a legend.

    Parameters
    ----------
    edition : Edition
    level : str
        `auto`, or the level whose units are filled: see `classes_of`.
    color
        What they are filled by: see `classes_of`.
    name : str
        What the layer control shows.
    opacity : float
        Of the fills, 0 to 1.
    labels : bool
        Whether units are named on the map.

    Examples
    --------
    >>> import folium, geogrid as gg
    >>> edition = gg.open("city.gpkg")                                     # doctest: +SKIP
    >>> gg.maps.GridLayer(edition, color="balance").add_to(folium.Map())   # doctest: +SKIP
    """

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        var {{ this.get_name() }} = L.geogrid.layer({{ this.script_values }});
        {% endmacro %}
        """
    )

    def __init__(
        self,
        edition: Edition,
        level: str = "auto",
        *,
        color: Colour = "households",
        name: str = "网格 Grids",
        opacity: float = OPACITY,
        labels: bool = True,
    ) -> None:
        # The layer control takes names for HTML, and folium takes its own script for a template.
        super().__init__(name=html.escape(name).replace("{", "｛"), overlay=True)
        self._name = "GridLayer"
        self.edition = edition
        self.classes = classes_of(edition, color, level)
        self.style = {"opacity": opacity, "labels": labels}

    @property
    def script_values(self) -> str:
        """The digest under which the page holds the edition, and the style."""
        return f"{script_text(self.edition.info.digest)}, {script_text(styled(self))}"

    def render(self, **kwargs: object) -> None:  # type: ignore[override]  # as folium's own
        """Write the layer into its page, after the scripts and the edition, which it may share."""
        digest, text = self.edition.info.digest, packed(self.edition)
        parts = [text[start : start + _BLOCK] for start in range(0, len(text), _BLOCK)]
        blocks = [
            f'<script type="text/plain" data-edition="{digest}">{each}</script>' for each in parts
        ]
        _equipped(self).add_child(Text("".join(blocks)), name=f"geogrid_{digest}")
        super().render(**kwargs)  # type: ignore[no-untyped-call]  # folium's


def styled(layer: GridLayer) -> dict[str, object]:
    """Return classes and style of a layer for its script."""
    values = text_of(compressed(layer.classes.values.tobytes()))
    return {**layer.style, **layer.classes.style(), "classes": values}


class PointLayer(Layer):
    """Points in classes of colour, found under the pointer.

    Parameters
    ----------
    name : str
        What the layer control shows.
    payload : mapping
        `xy`, longitude and latitude one after the other; `codes`, `names`, `notes` (texts),
        `classes` (numbers) and `boxes` (west, south, east, north or null) describe the points.
    style : mapping
        `fills` and `labels_of` (a colour and a text a class), `radius`, `title`; `list` shows
        the points in a list of at most `most`.
    """

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        var {{ this.get_name() }} = L.geogrid.points({{ this.script_values }});
        {% endmacro %}
        """
    )

    def __init__(
        self, name: str, payload: Mapping[str, object], style: Mapping[str, object]
    ) -> None:
        super().__init__(name=html.escape(name).replace("{", "｛"), overlay=True)
        self._name = "PointLayer"
        self.payload, self.style = dict(payload), dict(style)

    @property
    def script_values(self) -> str:
        """The points, packed, and the style as script."""
        text = json.dumps(self.payload, ensure_ascii=False, separators=(",", ":"))
        return f'"{text_of(compressed(text.encode()))}", {script_text(self.style)}'

    def render(self, **kwargs: object) -> None:  # type: ignore[override]  # as folium's own
        """Write the layer into its page, after the scripts that it needs."""
        _equipped(self)
        super().render(**kwargs)  # type: ignore[no-untyped-call]  # folium's


class LineLayer(Layer):
    """Lines in degrees, each a list of longitude and latitude one after the other."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        var {{ this.get_name() }} = L.geogrid.lines({{ this.script_values }});
        {% endmacro %}
        """
    )

    def __init__(
        self, name: str, lines: Sequence[Sequence[float]], style: Mapping[str, object]
    ) -> None:
        super().__init__(name=html.escape(name).replace("{", "｛"), overlay=True)
        self._name = "LineLayer"
        self.lines, self.style = [list(line) for line in lines], dict(style)

    @property
    def script_values(self) -> str:
        """The lines and the style as script."""
        return f"{script_text(self.lines)}, {script_text(self.style)}"

    def render(self, **kwargs: object) -> None:  # type: ignore[override]  # as folium's own
        """Write the layer into its page, after the scripts that it needs."""
        _equipped(self)
        super().render(**kwargs)  # type: ignore[no-untyped-call]  # folium's


class Call(folium.MacroElement):
    """A call of one of the map's own functions, with the map and some values."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        L.geogrid.{{ this.function }}({{ this.values }});
        {% endmacro %}
        """
    )

    def __init__(self, function: str, *values: object) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # branca's
        self._name = "Call"
        self.function, self.given = function, values

    @property
    def values(self) -> str:
        """The map, then the values: elements by their names."""
        texts = [
            each.get_name() if isinstance(each, Layer) else script_text(each) for each in self.given
        ]
        return ", ".join([cast(Element, self._parent).get_name(), *texts])


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


def script_text(value: object) -> str:
    r"""Return JSON that neither ends a script nor is a template.

    folium reads every script that it writes as a Jinja template once more: a name with two braces
    would be run when the map is saved.

    >>> script_text(["</script>", "{{ 7 * 7 }}"])
    '["\\u003c/script>", "\\u007b{ 7 * 7 }}"]'
    """
    text = json.dumps(value).replace("<", "\\u003c")
    return re.sub(r"\{(?=[{%#])", r"\\u007b", text)


class Text(Element):
    """Text for the header, taken as it is: an `Element` of its own would read it as a template."""

    _template = Template("{{ this.text }}")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


def _equipped(layer: Layer) -> Element:
    """Return the header of the layer's page, which holds our scripts once, after Leaflet's."""
    header = cast(Figure, layer.get_root()).header
    header.add_child(Text(f"<style>{styles()}</style>"), name="geogrid_styles")
    header.add_child(Text(f"<script>{scripts()}</script>"), name="geogrid_scripts")
    return header


__all__ = [
    "Call", "Classes", "GridLayer", "LineLayer", "PointLayer", "Text", "View", "script_text",
    "styled",
]  # fmt: skip
