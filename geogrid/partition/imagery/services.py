"""Tile services by name: Tianditu, or the template of an address. Nothing here uses the network.

The matrix is always web mercator's (zoom as in XYZ, rows from the north). It is never taken from a
service's capabilities: Tianditu's give a wrong scale and swapped corners.
"""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from geogrid.errors import UsageError

KEY_VARIABLE = "GEOGRID_TILE_KEY"
_TIANDITU = (
    "https://t{s}.tianditu.gov.cn/{layer}_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0"
    "&LAYER={layer}&STYLE=default&TILEMATRIXSET=w&FORMAT=tiles"
    "&TILEMATRIX={{z}}&TILEROW={{y}}&TILECOL={{x}}&tk={{key}}"
)
_TIANDITU_LAYERS = ("img", "vec")
MAP_LAYERS = ("vec", "cva", "img", "cia")
"""Layers of Tianditu below a map: drawn map and its labels, imagery and its labels."""

# A personal key may ask for 10,000 tiles of a layer a day; the rest is for the map windows.
_TIANDITU_DAILY = 9_000
_HOSTS = 8
_SAME = {"tilematrix": "z", "tilecol": "x", "tilerow": "y"}
_SECRET = re.compile(
    r"(?i)([?&;](?:tk|key|ak|sk|token|access_?token|api_?key|apikey|sig|signature|secret|password)=)"
    r"[^&;{]*"
)


@dataclass(frozen=True, slots=True)
class Service:
    """Where tiles are fetched, and under which rules.

    Attributes
    ----------
    name : str
        For messages and editions; holds no query and no key.
    template : str
        Address with {z}, {x} and {y} (or {-y}), and {s} (a number of a host), {key}.
    zooms : tuple of int
        First and last zoom.
    daily_limit : int or None
        Requests that may be sent in a day.
    key_variable, referer_variable : str
        Environment variables that hold the key, and the address of the site that it is bound to.
    blank_is_missing : bool
        An all-white tile means that the service did not draw it.
    """

    name: str
    template: str
    zooms: tuple[int, int]
    daily_limit: int | None = None
    key_variable: str = KEY_VARIABLE
    referer_variable: str = ""
    blank_is_missing: bool = False

    @property
    def needs_key(self) -> bool:
        """Whether the address holds a key."""
        return "{key}" in self.template

    @property
    def folder_name(self) -> str:
        """Name of the folder that keeps its tiles; the same whatever the key."""
        public = _SECRET.sub(r"\1", self.template)
        digest = hashlib.sha256(public.encode()).hexdigest()[:10]
        return f"{re.sub(r'[^0-9A-Za-z.]+', '-', self.name).strip('-')[:60]}-{digest}"

    def address(self, zoom: int, x: int, y: int, key: str) -> str:
        """Return the address of a tile."""
        values = {
            "z": zoom, "x": x, "y": y, "-y": (1 << zoom) - 1 - y, "s": (x + y) % _HOSTS, "key": key,
        }  # fmt: skip
        address = self.template
        for name, value in values.items():
            address = address.replace("{" + name + "}", str(value))
        return address


def service_of(place: str) -> Service | None:
    """Return the service that a place names, None if it names none.

    Raises
    ------
    UsageError
        An unknown layer of Tianditu, or a template without its placeholders.
    """
    if place.startswith("tianditu:"):
        return tianditu(place.removeprefix("tianditu:"))
    if re.match(r"(?i)https?://", place):
        return template(place)
    if re.match(r"(?i)[a-z][a-z0-9+.-]+://", place) or place.lower().startswith("/vsi"):
        raise UsageError(
            f"{place.split('?')[0]}: imagery comes from files and folders, tianditu:img, "
            "tianditu:vec, or a template https://…/{z}/{x}/{y}.png."
        )
    return None


def tianditu(layer: str) -> Service:
    """Return a layer of Tianditu: `img` (imagery) or `vec` (the drawn map)."""
    if layer not in _TIANDITU_LAYERS:
        raise UsageError(f"tianditu:{layer} is not known; give tianditu:img or tianditu:vec.")
    return Service(
        name=f"tianditu:{layer}",
        template=_TIANDITU.format(layer=layer, s="{s}"),
        zooms=(1, 18),
        daily_limit=_TIANDITU_DAILY,
        key_variable="TIANDITU_KEY",
        referer_variable="TIANDITU_REFERER",
        blank_is_missing=True,
    )


def map_layer(layer: str, address: str = "", daily_limit: int = _TIANDITU_DAILY) -> Service:
    """Return one of `MAP_LAYERS`; `address` is a template with {layer}, Tianditu's by default."""
    if layer not in MAP_LAYERS:
        raise UsageError(f"there is no layer {layer}; layers are {', '.join(MAP_LAYERS)}.")
    given = template(address.replace("{layer}", layer)) if address else None
    return Service(
        name=f"tianditu:{layer}" if given is None else given.name,
        template=_TIANDITU.format(layer=layer, s="{s}") if given is None else given.template,
        zooms=(1, 18),
        daily_limit=daily_limit,
    )


def template(text: str) -> Service:
    """Return the service of an address with {z}, {x}, {y}, or WMTS's {TileMatrix} and so on."""
    address = re.sub(
        r"\{(TileMatrix|TileCol|TileRow)\}",
        lambda found: "{" + _SAME[found.group(1).lower()] + "}",
        text,
        flags=re.IGNORECASE,
    )
    parts = urlsplit(address)
    name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if "@" in parts.netloc:
        raise UsageError(f"{name}: an address with a user name in it is not used; ask for a key.")
    holes = set(re.findall(r"\{([^{}]*)\}", address))
    if not {"z", "x"} <= holes or len(holes & {"y", "-y"}) != 1:
        raise UsageError(
            f"{name} has not the places {{z}}, {{x}} and {{y}} of a tile. Write, for example, "
            "https://host/{z}/{x}/{y}.png, or a WMTS address with {TileMatrix}, {TileCol}, "
            "{TileRow} in a web-mercator matrix set."
        )
    if unknown := sorted(holes - {"z", "x", "y", "-y", "s", "key"}):
        raise UsageError(
            f"{name}: {{{unknown[0]}}} is not known. Known are {{z}} {{x}} {{y}} {{-y}} {{s}}, and "
            f"{{key}}, which is taken from the environment variable {KEY_VARIABLE}."
        )
    return Service(name=name, template=address, zooms=(0, 22))
