"""The map as a widget in a notebook."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from geogrid.edition import Edition
from geogrid.errors import UsageError
from geogrid.maps.classes import Colour

if TYPE_CHECKING:
    from geogrid.maps.live import GridWidget


def widget(edition: Edition, *, color: Colour = "households", level: str = "auto") -> "GridWidget":
    """Return a map that Python can recolour, and that tells what is clicked.

    Parameters
    ----------
    edition : Edition
    color, level
        See `geogrid.maps.classes_of`.

    Raises
    ------
    UsageError
        anywidget is not installed.

    Examples
    --------
    >>> import geogrid as gg
    >>> shown = gg.maps.widget(gg.open("city.gpkg"))  # doctest: +SKIP
    >>> shown.recolour("balance", "village")          # doctest: +SKIP
    >>> shown.selected                                # doctest: +SKIP
    '411602001001'
    """
    if find_spec("anywidget") is None:
        raise UsageError(
            'a map as a widget needs anywidget: pip install "geogrid[jupyter]", then restart the '
            "kernel. gg.map(edition) shows the same map without it, but cannot be recoloured."
        )
    from geogrid.maps.live import GridWidget

    return GridWidget(edition, color, level)
