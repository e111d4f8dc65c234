"""The map as a widget: Python recolours it and reads what was clicked.

Imported only where a widget is made, since anywidget is an extra.
"""

import base64
import json

import anywidget
import traitlets

from geogrid.edition import Edition
from geogrid.maps import assets
from geogrid.maps.classes import Colour, classes_of
from geogrid.maps.payload import packed

_RENDER = """
export default {
  render({ model, el }) {
    const shell = document.createElement("div");
    shell.style.height = model.get("height") + "px";
    el.appendChild(shell);
    return geogrid.live(model, shell);
  },
};
"""


def _module() -> str:
    """Return one script for the browser: Leaflet and the map, out of the page's own names."""
    return (
        "const L = (() => { const exports = undefined, module = undefined, define = undefined;\n"
        f"const before = window.L;\n{assets.leaflet()}\nconst own = window.L;\n"
        f"{assets.scripts()}\nwindow.L = before; return own; }})();\n"
        f"const geogrid = L.geogrid;\n{_RENDER}"
    )


class GridWidget(anywidget.AnyWidget):
    """A map of an edition in a notebook.

    Attributes
    ----------
    selected, hover : str
        Code of the unit that was clicked, and of the one under the pointer; empty for none.
        Setting `selected` goes to the unit.
    bounds : list of float
        West, south, east, north of the view. Setting it moves the map.
    classes : bytes
        A class for each unit of the level: setting it recolours without sending geometry.
    style : dict
        Level, colours, labels and heading of the classes.
    """

    _esm = _module()
    _css = assets.leaflet_styles() + assets.styles()

    digest = traitlets.Unicode().tag(sync=True)
    payload = traitlets.Bytes().tag(sync=True)
    classes = traitlets.Bytes().tag(sync=True)
    style = traitlets.Dict().tag(sync=True)
    height = traitlets.Int(560).tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)
    hover = traitlets.Unicode().tag(sync=True)
    bounds = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(self, edition: Edition, color: Colour, level: str) -> None:
        """Show an edition, coloured as `classes_of` says."""
        self._edition = edition
        found = classes_of(edition, color, level)
        super().__init__(
            digest=edition.info.digest,
            payload=base64.b64decode(packed(edition)),
            classes=found.values.tobytes(),
            style={"opacity": 0.92, "labels": True, **found.style()},
            bounds=edition.units["city"].total_bounds.tolist(),
        )

    def recolour(self, color: Colour, level: str = "auto") -> None:
        """Colour the units by something else; the geometry is not sent again.

        Parameters
        ----------
        color, level
            See `geogrid.maps.classes_of`.
        """
        found = classes_of(self._edition, color, level)
        with self.hold_sync():
            self.style = json.loads(json.dumps({**self.style, **found.style()}))
            self.classes = found.values.tobytes()
