"""Imagery as 8-bit RGB on the pixel lattice of the working CRS, window by window.

A **source** is what the user names: files, a folder, tiles, a service. It becomes **layers**: image
files (GeoTIFF, or VRT over such) and sets of web-mercator tiles (folder, MBTiles). Tiles of a
service are fetched once, before the work begins, into a folder that is then read like any other;
no worker uses the network. All layers are seen through one **lattice**; where they overlap, the
first that holds data wins.

The whole imagery is never in memory. It is read from the overview or zoom that suits the working
resolution. Colours are stretched between two percentiles taken once, and places are projected at
nodes of the lattice, so that all windows agree bit for bit. Pixels without data are masked, never
guessed.
"""

from geogrid.partition.imagery.lattice import Lattice, Window, numbered, rasterise
from geogrid.partition.imagery.mosaic import Imagery, open_imagery, outline
from geogrid.partition.imagery.source import ImagerySource

__all__ = [
    "Imagery",
    "ImagerySource",
    "Lattice",
    "Window",
    "numbered",
    "open_imagery",
    "outline",
    "rasterise",
]
