"""The map page and the documentation of the interface."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from geogrid.api.basemap import terms_of
from geogrid.api.deps import Config, Data
from geogrid.api.documents import Format, accepts_json, as_json, landing
from geogrid.partition.imagery.services import MAP_LAYERS

STATIC = Path(__file__).parent / "static"

# MapLibre runs its worker from a blob; Swagger UI writes style attributes.
_OWN_FILES_ONLY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; style-src 'self'{}; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


router = APIRouter(include_in_schema=False)


@router.get("/", response_model=None)
def page(request: Request, f: Format = "") -> Response:
    """Return the map page; to programs that ask for JSON, the landing page of OGC API."""
    if f in ("json", "geojson") or (not f and accepts_json(request)):
        return as_json(landing(request))
    return _page("index.html", _OWN_FILES_ONLY.format(""))


@router.get("/page.json")
def about(data: Data, config: Config) -> dict[str, object]:
    """Say what the page can show beside the units."""
    return {
        "revision": data.revision,
        "imagery": data.imagery is not None,
        "incidents": config.incidents is not None,
        "basemap": None if terms_of(config) is None else MAP_LAYERS,
    }


@router.get("/docs")
def docs() -> FileResponse:
    """Return the documentation of the interface."""
    return _page("docs.html", _OWN_FILES_ONLY.format(" 'unsafe-inline'"))


def _page(name: str, policy: str) -> FileResponse:
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return FileResponse(STATIC / name, headers=headers)
