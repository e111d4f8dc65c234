"""The files of the pages, kept in memory as they are sent.

They are few and small. Read from disk for each request, piece by piece and in threads, fifty
callers who read nothing kept everybody else waiting for a third of a second.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

from geogrid.api.caching import accepts_gzip, is_known
from geogrid.tiles import zipped

FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, the same as gzip, and what tells it from other versions."""

    content: bytes
    packed: bytes
    media_type: str
    tag: str

    def answer(self, asked: Headers, **more: str) -> Response:
        """Return the file, or that the caller has it already."""
        small = accepts_gzip(asked)
        headers = {
            "ETag": f'"{self.tag}{"-gzip" if small else ""}"',
            "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **more,
        }  # fmt: skip
        if is_known(asked, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if not small:
            return Response(self.content, headers=headers, media_type=self.media_type)
        headers["Content-Encoding"] = "gzip"
        return Response(self.packed, headers=headers, media_type=self.media_type)


@cache
def all_assets() -> dict[str, Asset]:
    """Return every file by its path in the folder; read once in a process."""
    files = (path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in files}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:16]
    return Asset(content, zipped(content), _TYPES.get(path.suffix, "text/plain"), tag)
