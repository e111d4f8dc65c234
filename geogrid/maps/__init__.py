"""Maps for planners: the whole city in one HTML file that opens by double click, offline.

A map is an ordinary `folium.Map`: show it in a notebook, add folium layers to it, save it.
`picture` makes static maps, PNG, PDF or SVG, to scale and with a font that has Chinese.

>>> from geogrid.maps import GridLayer, map_of, picture, save
"""

from geogrid.maps.city import GridMap, balance_map, coverage_map, map_of, shown, warning_map
from geogrid.maps.classes import Classes, classes_of
from geogrid.maps.compare import compare_map
from geogrid.maps.layers import GridLayer
from geogrid.maps.notebook import widget
from geogrid.maps.page import offline, save
from geogrid.maps.pictures import SUFFIXES as PICTURES
from geogrid.maps.pictures import Picture, picture
from geogrid.maps.sheet import Sheet

__all__ = [
    "PICTURES", "Classes", "GridLayer", "GridMap", "Picture", "Sheet", "balance_map", "classes_of",
    "compare_map", "coverage_map", "map_of", "offline", "picture", "save", "shown", "warning_map",
    "widget",
]  # fmt: skip
