"""Divide a city into governance grids, check them, and find the grid of a point.

>>> import geogrid as gg
>>> sorted(set(gg.__all__) & {"open", "check", "Locator", "map"})
['Locator', 'check', 'map', 'open']

Names are imported when they are first used: `import geogrid` is instant.
"""

from importlib import import_module

__version__ = "0.1.0"

_SOURCES = {
    "Checklist": ("geogrid.coverage.checklist", "Checklist"),
    "Edition": ("geogrid.edition", "Edition"),
    "Gazetteer": ("geogrid.gazetteer", "Gazetteer"),
    "Locator": ("geogrid.locate", "Locator"),
    "check": ("geogrid.coverage.check", "check"),
    "locate_file": ("geogrid.locate", "locate_file"),
    "map": ("geogrid.maps", "map_of"),
    "repair": ("geogrid.coverage.repair", "repair"),
    "open": ("geogrid.store", "read_edition"),
}

_SUBPACKAGES = ("maps",)
"""What is used by its name: `gg.maps.coverage_map`."""

__all__ = ["__version__", *sorted(_SOURCES)]  # names of _SOURCES


def __getattr__(name: str) -> object:
    """Import a public name at first use."""
    if name in _SUBPACKAGES:
        return import_module(f"geogrid.{name}")
    if name not in _SOURCES:
        raise AttributeError(f"module 'geogrid' has no attribute {name!r}")
    module, attribute = _SOURCES[name]
    return getattr(import_module(module), attribute)


def shown(edition: object) -> str:
    """Return an edition as HTML for a notebook: its map.

    Here, because what draws lies above what is drawn.
    """
    text: str = import_module("geogrid.maps").shown(edition)
    return text
