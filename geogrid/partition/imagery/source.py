"""What a user names as imagery: places, and how to read them."""

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path

from geogrid.errors import ImageryError, UsageError
from geogrid.partition.imagery.services import Service, service_of
from geogrid.partition.imagery.tiles import TileFolder
from geogrid.partition.imagery.vrt import vrt_sources

# A folder is taken as the first of these of which it holds any: a VRT stands for files beside it.
_FILE_KINDS = ((".tif", ".tiff"), (".vrt",), (".mbtiles",))
_VECTOR_TILES = (".pmtiles", ".pbf", ".mvt")

Bands = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ImagerySource:
    """Where imagery comes from, as the user says it.

    Attributes
    ----------
    places : tuple of text
        Files (GeoTIFF, VRT, MBTiles), folders of images or of tiles, patterns with `*`, templates
        `https://…/{z}/{x}/{y}.png`, `tianditu:img` or `tianditu:vec`. Where they overlap the first
        wins.
    bands : tuple of int, optional
        The bands to read as red, green and blue.
    zoom : int, optional
        Zoom of tiles; by default the one that suits the resolution.
    tms : bool
        Rows of tiles are counted from the south.
    date : text
        Day of the imagery where it does not say so itself.
    cache : Path, optional
        Where fetched tiles are kept; by default in the user's cache folder.
    tile_limit : int, optional
        Requests a day to a service.
    """

    places: tuple[str, ...]
    bands: Bands | None = None
    zoom: int | None = None
    tms: bool = False
    date: str = ""
    cache: Path | None = None
    tile_limit: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no source could be."""
        if not self.places:
            raise UsageError("no imagery was named; give a file, a folder or a tile service.")
        if self.zoom is not None and not 0 <= self.zoom <= 24:
            raise UsageError(f"--zoom {self.zoom}: zooms go from 0 to 24; 16 is about 2 m a pixel.")
        if self.tile_limit is not None and self.tile_limit < 0:
            raise UsageError(f"--tile-limit {self.tile_limit}: give 0 or more requests a day.")

    @classmethod
    def of(cls, given: "Path | str | ImagerySource") -> "ImagerySource":
        """Return a source for a path or name."""
        return given if isinstance(given, ImagerySource) else cls((str(given),))

    def parts(self) -> "list[Path | TileFolder | Service]":
        """Return the files, tile folders and services meant, in order.

        Raises
        ------
        ImageryError
            A place holds no imagery.
        """
        parts: list[Path | TileFolder | Service] = []
        for place in self.places:
            service = service_of(place)
            parts += [service] if service else self._local(place)
        return parts

    def files(self) -> list[Path]:
        """Return every file on disk that the pixels come from."""
        found: list[Path] = []
        for part in self.parts():
            if isinstance(part, TileFolder):
                found += sorted(path for path in part.root.glob("*/*/*.*"))
            elif isinstance(part, Path):
                found += [part, *(vrt_sources(part) if part.suffix.lower() == ".vrt" else [])]
        return found

    def kept_in(self, service: Service) -> Path:
        """Return the folder that keeps a service's tiles."""
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return (self.cache or Path(home) / "geogrid" / "tiles") / service.folder_name

    def _local(self, place: str) -> list[Path | TileFolder]:
        path = Path(place)
        if path.is_dir():
            return self._folder(path)
        if path.exists() or not re.search(r"[*?\[]", place):
            return [_file(path)]
        found = sorted(glob.glob(place, recursive=True))  # noqa: PTH207  # absolute patterns too
        if not found:
            raise ImageryError(f"no file fits the pattern {place}.")
        return [_file(Path(name)) for name in found]

    def _folder(self, folder: Path) -> list[Path | TileFolder]:
        entries = sorted(folder.iterdir())
        for kinds in _FILE_KINDS:
            if images := [path for path in entries if path.suffix.lower() in kinds]:
                return list(images)
        if any(entry.is_dir() and entry.name.isdigit() for entry in entries):
            return [TileFolder(folder, self.tms)]
        held = ", ".join(entry.name for entry in entries[:5]) or "nothing"
        raise ImageryError(
            f"the folder {folder} holds no imagery: no .tif, .vrt or .mbtiles, and no folders "
            f"{{z}}/{{x}}/ of tiles. It holds {held}. Name the folder that does."
        )


def _file(path: Path) -> Path:
    if path.suffix.lower() in _VECTOR_TILES:
        raise ImageryError(
            f"{path} is a file of vector tiles or an archive that is not read. Give GeoTIFF, VRT "
            "or raster MBTiles."
        )
    return path
