"""Maps for planners: the whole city in one HTML file that opens by double click, offline.

A map is an ordinary `folium.Map`: show it in a notebook, add folium layers to it, save it.

`picture` makes static maps, PNG, PDF or SVG, to scale and with a font that has Chinese.

>>> from geogrid.maps import map_of, picture, save
"""

import re
from pathlib import Path

import folium

from geogrid.maps.city import (
    GridMap,
    balance_map,
    compare_map,
    coverage_map,
    map_of,
    warning_map,
)
from geogrid.maps.layers import GridLayer
from geogrid.maps.pictures import SUFFIXES as PICTURES
from geogrid.maps.pictures import Picture, picture
from geogrid.maps.sheet import Sheet
from geogrid.store import replacing

__all__ = [
    "PICTURES", "GridLayer", "GridMap", "Picture", "Sheet", "balance_map", "compare_map",
    "coverage_map", "map_of", "picture", "save", "warning_map",
]  # fmt: skip


def save(map_: folium.Map, path: Path) -> None:
    """Write a map as one HTML file, whole or not at all; the same map gives the same bytes.

    Raises
    ------
    DataError
        The folder is missing or cannot be written. The old file is unchanged.
    """
    page = _numbered(map_.get_root().render())
    with replacing(path) as draft:
        draft.write_text(page, "utf-8")


def _numbered(page: str) -> str:
    """Replace the random names of folium's elements by numbers in the order of the page."""
    names = dict.fromkeys(_RANDOM.findall(page))
    numbers = {name: f"_{number}" for number, name in enumerate(names, 1)}
    return _RANDOM.sub(lambda found: numbers[found.group()], page)


_RANDOM = re.compile(r"_[0-9a-f]{32}(?![0-9a-f])")
