"""What a map for print is coloured by: as on the page (`classes`), and by density or nothing."""

import re

import numpy as np
import pandas as pd

from geogrid.codes import LEVEL_NAMES_ZH
from geogrid.edition import Edition
from geogrid.maps.classes import Classes, Colour, classes_of

LEVEL_NAMES_EN = {
    "city": "city", "county": "county", "township": "township", "village": "village",
    "grid": "grid", "microgrid": "micro-grid",
}  # fmt: skip
LEVEL_PLURALS_EN = {
    "city": "cities", "county": "counties", "township": "townships", "village": "villages",
    "grid": "grids", "microgrid": "micro-grids",
}  # fmt: skip
PLAIN = "#f4f4f1"
"""Fill of units that are coloured by nothing."""


def shade(edition: Edition, level: str, color: Colour) -> Classes:
    """Return the classes of the units of `level`.

    Besides what `classes_of` takes: `density`, households to a square kilometre, and `none`. Where
    no households are known, units are hatched and not pale: no data is not little.
    """
    table = edition.units[level]
    if isinstance(color, str) and color == "none":
        label = f"{LEVEL_NAMES_ZH[level]} {LEVEL_NAMES_EN[level]}"
        return Classes(level, np.zeros(len(table), np.uint8), (PLAIN,), (label,), "单元 Units")
    households = table["households"].astype(float)
    if not households.any():
        households = households.mask(households == 0)
    if isinstance(color, str) and color == "density":
        density = (households / (table["area_m2"] / 1e6)).round()
        name = "每平方公里户数 Households a km²"
        return classes_of(edition, pd.Series(density.to_numpy(), table["code"], name=name), level)
    if isinstance(color, str) and color == "households":
        name = f"每{LEVEL_NAMES_ZH[level]}户数 Households a {LEVEL_NAMES_EN[level]}"
        return classes_of(
            edition, pd.Series(households.to_numpy(), table["code"], name=name), level
        )
    return classes_of(edition, color, level)


def two_lines(heading: str) -> list[str]:
    """Return a heading as Chinese and English, where it has both.

    >>> two_lines("每网格户数 Households a grid")
    ['每网格户数', 'Households a grid']
    """
    return re.split(r"\n|(?<=[^\x00-\x7f])\s+(?=[A-Za-z])", heading, maxsplit=1)
