"""Scripts and style sheets of the maps: our own, and vendored ones with licence and checksum."""

import re
from functools import cache
from importlib.resources import files

_HERE = files("geogrid.maps.assets")


def scripts() -> str:
    """Return our own script, which needs Leaflet before it.

    Of ASCII alone, as all that a map writes: a browser keeps such a page at a byte a character.
    """
    return _text("grid_layer.js").encode("ascii", "backslashreplace").decode("ascii")


def styles() -> str:
    """Return our own style sheet."""
    return _text("map.css")


def leaflet() -> str:
    """Return Leaflet's script, without the address of its source map."""
    return _text("vendor/leaflet/leaflet.js").replace("//# sourceMappingURL=leaflet.js.map", "")


def leaflet_styles() -> str:
    """Return Leaflet's style sheet without the images it looks for beside itself."""
    return re.sub(r"url\(images/[^)]*\)", "none", _text("vendor/leaflet/leaflet.css"))


def jquery() -> str:
    """Return jQuery, which folium's popups need."""
    return _text("vendor/jquery/jquery.min.js")


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text("utf-8")
