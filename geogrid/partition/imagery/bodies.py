"""The body of a tile: a whole PNG, JPEG or WebP picture, or an error that says what it is."""

import cv2
import numpy as np

from geogrid.errors import ImageryError
from geogrid.partition.imagery.warp import Pixels


def decoded(body: bytes, what: str) -> Pixels:
    """Return the picture of a tile and where it is not transparent.

    Raises
    ------
    ImageryError
        It is no whole PNG, JPEG or WebP; or a vector tile.
    """
    if body[:2] == b"\x1f\x8b" or body[:1] == b"\x1a":
        raise vector_tiles(what)
    if not is_whole_picture(body):
        raise ImageryError(
            f"{what} is no whole PNG, JPEG or WebP picture ({len(body)} bytes). Fetch or make it "
            "again."
        )
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ImageryError(f"{what} is damaged: it cannot be decoded. Fetch or make it again.")
    pixels = np.asarray(picture)
    pixels = (pixels // 256 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None].repeat(3, axis=2)
    alpha = pixels[..., 3] >= 128 if pixels.shape[2] == 4 else np.ones(pixels.shape[:2], bool)
    return np.ascontiguousarray(pixels[..., 2::-1]), alpha


def is_whole_picture(body: bytes) -> bool:
    """Say whether bytes begin and end as a PNG, JPEG or WebP does; decoders take truncated ones."""
    if body[:8] == b"\x89PNG\r\n\x1a\n":
        return body.rstrip(b"\0")[-8:-4] == b"IEND" or b"IEND" in body[-16:]
    if body[:3] == b"\xff\xd8\xff":
        return b"\xff\xd9" in body[-64:]
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return len(body) >= int.from_bytes(body[4:8], "little") + 8
    return False


def vector_tiles(what: str) -> ImageryError:
    """Return the error for tiles that are no pictures."""
    return ImageryError(
        f"{what} holds vector tiles, no pictures. Give imagery: raster tiles (png, jpg or webp) or "
        "GeoTIFF."
    )
