"""What a VRT is made of: only plain mosaics of files below its own folder are read."""

from pathlib import Path
from xml.etree import ElementTree as ET

from geogrid.errors import ImageryError

# What a plain mosaic is written with. Others make GDAL warp, compute, or follow a path or address.
_VRT_ELEMENTS = frozenset(
    {
        "VRTDataset", "SRS", "GeoTransform", "Metadata", "MDI", "VRTRasterBand",
        "NoDataValue", "ColorInterp", "ColorTable", "Entry", "Description", "SimpleSource",
        "ComplexSource", "SourceFilename", "SourceBand", "SourceProperties", "SrcRect",
        "DstRect", "NODATA", "ScaleOffset", "ScaleRatio", "UseMaskBand", "MaskBand",
        "OverviewList", "HideNoDataValue", "UnitType", "Offset", "Scale", "BlockXSize",
        "BlockYSize",
    }
)  # fmt: skip


def vrt_sources(path: Path) -> list[Path]:
    """Return the files that a VRT is made of, in its order.

    Raises
    ------
    ImageryError
        It is no plain mosaic, or reaches for anything but files below its own folder: a VRT may
        name other hosts, other files, or programs.
    """
    try:
        root = ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError) as error:
        raise ImageryError(
            f"{path} is not a readable VRT: {error}. Make it with gdalbuildvrt."
        ) from error
    for element in root.iter():
        if element.tag not in _VRT_ELEMENTS or element.get("subClass"):
            raise ImageryError(
                f"{path} holds <{element.tag} {element.get('subClass', '')}".rstrip()
                + ">: only plain mosaics of files are read (gdalbuildvrt). "
                "Write what it computes to a GeoTIFF with gdal_translate."
            )
    return [_below(path, element) for element in root.iter("SourceFilename")]


def vrt_frames(path: Path) -> tuple[tuple[int, int, int, int], ...]:
    """Return the rectangles of a VRT that its files fill; none if one has no rectangle."""
    frames = []
    for source in ET.fromstring(path.read_bytes()).iter():
        if source.tag not in {"SimpleSource", "ComplexSource"}:
            continue
        place = source.find("DstRect")
        if place is None:
            return ()
        left, top, width, height = (
            float(place.get(name, "0")) for name in ("xOff", "yOff", "xSize", "ySize")
        )
        frames.append((round(left), round(top), round(left + width), round(top + height)))
    return tuple(dict.fromkeys(frames))


def _below(path: Path, element: ET.Element) -> Path:
    """Return the file that an element names, if it lies below the VRT's own folder."""
    text = (element.text or "").strip()
    folder = path.parent.resolve()
    relative = element.get("relativeToVRT") == "1"
    # GDAL would look for a relative path that is not marked as such below the working directory.
    placed = relative or Path(text).is_absolute()
    found = (path.parent / text).resolve()
    if placed and found.is_relative_to(folder) and found.is_file():
        return found
    raise ImageryError(
        f"{path} takes pixels from {text!r}. A VRT may take them only from files below its own "
        f"folder {folder}, never from other hosts or places: move the files there and make it "
        "again with gdalbuildvrt."
    )
