"""A folium map as one page that needs no network.

folium's page names a dozen files on five hosts. Those that maps need are written into it; those
that they do not (Bootstrap, icon fonts) are left out; anything else is refused by name.
"""

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import folium
from branca.element import Element
from folium.raster_layers import ImageOverlay, TileLayer, WmsTileLayer

from geogrid.errors import UsageError
from geogrid.maps import assets
from geogrid.store import replacing

_LINK = re.compile(
    r'<script src="(?P<script>[^"]+)"></script>|<link rel="stylesheet" href="(?P<style>[^"]+)"\s*/>'
)
_ADDRESS = re.compile(r"(?:https?:)?//([^/:?#]+)", re.IGNORECASE)

_UNNEEDED = (
    "bootstrap.bundle.min.js", "bootstrap.min.css", "bootstrap-glyphicons.css", "all.min.css",
    "leaflet.awesome-markers.js", "leaflet.awesome-markers.css",
    "leaflet.awesome.rotate.min.css",
)  # fmt: skip
"""Looks of popups and icons; our script draws the pins."""

_RANDOM = re.compile(r"_[0-9a-f]{32}(?![0-9a-f])")

_OURS = "L.geogrid = {"
"""In a page that holds our script."""

_FRAME = 620  # pixels high in a notebook


def offline(map_: folium.Map, hosts: Sequence[str] = ()) -> str:
    """Return the page of a map with all that it needs inside.

    The same map gives the same page.

    Parameters
    ----------
    map_ : folium.Map
        With whatever folium layers it holds.
    hosts : sequence of str
        Hosts that the page may ask, such as the tile server of the office's own network.

    Raises
    ------
    UsageError
        The map holds something that is loaded from another host.
    """
    text = map_.get_root().render()
    missing = [*_tiles(map_, hosts)]
    needs_jquery = re.search(r"\$\(|jQuery", _LINK.sub("", _own_scripts(text))) is not None

    def inlined(found: re.Match[str]) -> str:
        address = found["script"] or found["style"]
        name = address.rpartition("/")[2]
        if name == "leaflet.js":
            return f"<script>{assets.leaflet()}</script>"
        if name == "leaflet.css":
            return f"<style>{assets.leaflet_styles()}</style>"
        if name.startswith("jquery"):
            return f"<script>{assets.jquery()}</script>" if needs_jquery else ""
        if name not in _UNNEEDED and not _allowed(address, hosts):
            missing.append(f"{name} from {_host(address)}")
        return "" if name in _UNNEEDED else found[0]

    text = _LINK.sub(inlined, text)
    if missing:
        raise UsageError(
            f"the map would not work without a network: it loads {'; '.join(missing)}. Take these "
            "parts out (for tiles: folium.Map(tiles=None)), or name hosts of your own network: "
            "save(path, hosts=[…])."
        )
    ours = "" if _OURS in text else f"<style>{assets.styles()}</style>"
    ours += f"<script>{'' if ours == '' else assets.scripts()}L.geogrid.offline();</script>"
    return _numbered(text.replace("</head>", ours + "</head>", 1))


def frame(page: str) -> str:
    """Return a page as a frame for a notebook."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" style="width:100%;height:{_FRAME}px;border:0" '
        'allowfullscreen title="地图 Map"></iframe>'
    )


def save(map_: folium.Map, path: Path | str, *, hosts: Sequence[str] = ()) -> None:
    """Write a map as one HTML file, whole or not at all; the same map gives the same bytes.

    Parameters
    ----------
    map_ : folium.Map
    path : path
    hosts : sequence of str
        Hosts that the page may ask, such as the tile server of the office's own network.

    Raises
    ------
    DataError
        The folder is missing or cannot be written. The old file is unchanged.
    UsageError
        The map holds something that is loaded from another host.
    """
    page = offline(map_, hosts)
    with replacing(Path(path)) as draft:
        draft.write_text(page, "utf-8")


def _tiles(map_: folium.Map, hosts: Sequence[str]) -> Iterator[str]:
    """Name the layers that fetch pictures from a host."""
    for each in _elements(map_):
        if isinstance(each, TileLayer):
            address = str(each.tiles)
        elif isinstance(each, WmsTileLayer | ImageOverlay):
            address = str(each.url)
        else:
            continue
        if _ADDRESS.match(address) and not _allowed(address, hosts):
            yield f"{type(each).__name__} from {_host(address)}"


def _elements(element: Element) -> Iterator[Element]:
    for child in element._children.values():  # noqa: SLF001  # folium has no other way
        yield child
        yield from _elements(child)


def _own_scripts(text: str) -> str:
    """Return the script of the map itself, at the end of the page."""
    return text[text.rindex("<script>") :]


def _host(address: str) -> str:
    found = _ADDRESS.match(address)
    return found[1] if found else address


def _allowed(address: str, hosts: Sequence[str]) -> bool:
    return _host(address) in hosts


def _numbered(page: str) -> str:
    """Replace the random names of folium's elements by numbers in the order of the page."""
    names = dict.fromkeys(_RANDOM.findall(page))
    numbers = {name: f"_{number}" for number, name in enumerate(names, 1)}
    return _RANDOM.sub(lambda found: numbers[found.group()], page)
