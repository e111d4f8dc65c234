"""Imagery under a map: one picture in web mercator, written into the page."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pyproj
from folium.raster_layers import ImageOverlay

from geogrid.edition import Edition
from geogrid.partition.imagery import open_imagery

_WIDTH = 1600
"""Pixels of the longer side: half a megabyte as JPEG."""

_QUALITY = 72
_BARE = np.array([238, 241, 243], np.uint8)
"""Colour where there is no imagery: the map's own ground."""
_MERCATOR = "EPSG:3857"


def overlay(edition: Edition, imagery: Path | str) -> ImageOverlay:
    """Return a picture of the city's imagery to lay under its units.

    Raises
    ------
    ImageryError
        The imagery cannot be read or lies elsewhere.
    """
    west, south, east, north = edition.units["city"].total_bounds.tolist()
    project = pyproj.Transformer.from_crs("EPSG:4490", _MERCATOR, always_xy=True)
    (left, right), (low, high) = project.transform([west, east], [south, north])
    source = open_imagery(imagery, _MERCATOR, resolution=max(right - left, high - low) / _WIDTH)
    window = source.lattice.window((left, low, right, high))
    rgb, known = source.read(window)
    rgb = np.where(known[..., None], rgb, _BARE)
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    data = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
    bounds = source.lattice.bounds(window)
    lon, lat = project.transform(
        [bounds[0], bounds[2]], [bounds[1], bounds[3]], direction="INVERSE"
    )
    return ImageOverlay(data, [[lat[0], lon[0]], [lat[1], lon[1]]], name="影像 Imagery", zindex=1)
