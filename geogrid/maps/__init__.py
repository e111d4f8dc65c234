"""Maps for planners: the whole city in one HTML file that opens by double click, offline.

A map is an ordinary `folium.Map`: show it in a notebook, add folium layers to it, save it.
`picture` makes static maps, PNG, PDF or SVG, to scale and with a font that has Chinese.

>>> from geogrid.maps import GridLayer, map_of, picture, save

Names are imported when they are first used: who looks at a map does not wait for matplotlib.
"""

from importlib import import_module

_SOURCES = {
    "Classes": "classes", "GridLayer": "layers", "GridMap": "city", "Picture": "pictures",
    "Sheet": "sheet", "balance_map": "city", "classes_of": "classes", "compare_map": "compare",
    "coverage_map": "city", "map_of": "city", "offline": "page", "picture": "pictures",
    "save": "page", "shown": "city", "warning_map": "city", "widget": "notebook",
}  # fmt: skip

PICTURES = (".png", ".pdf", ".svg")
"""What `Picture.save` writes."""

__all__ = ["PICTURES", *sorted(_SOURCES)]  # names of _SOURCES


def __getattr__(name: str) -> object:
    """Import a public name at first use."""
    if name not in _SOURCES:
        raise AttributeError(f"module 'geogrid.maps' has no attribute {name!r}")
    return getattr(import_module(f"geogrid.maps.{_SOURCES[name]}"), name)
