"""The map page and the documentation of the interface."""

from fastapi import APIRouter, HTTPException, Request, Response

from geogrid.api.assets import all_assets
from geogrid.api.basemap import terms_of
from geogrid.api.deps import Config, Data
from geogrid.api.documents import Format, accepts_json, as_json, landing
from geogrid.partition.imagery.services import MAP_LAYERS

# MapLibre runs its worker from a blob; Swagger UI writes style attributes.
_OWN_FILES_ONLY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; style-src 'self'{}; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


router = APIRouter(include_in_schema=False)


@router.get("/", response_model=None)
async def page(request: Request, f: Format = "") -> Response:
    """Return the map page; to programs that ask for JSON, the landing page of OGC API."""
    if f in ("json", "geojson") or (not f and accepts_json(request)):
        return as_json(landing(request))
    return _page(request, "index.html", _OWN_FILES_ONLY.format(""))


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
async def docs(request: Request) -> Response:
    """Return the documentation of the interface."""
    return _page(request, "docs.html", _OWN_FILES_ONLY.format(" 'unsafe-inline'"))


@router.get("/static/{name:path}")
async def asset(name: str, request: Request) -> Response:
    """Return a file of the pages."""
    found = all_assets().get(name)
    if found is None:
        raise HTTPException(404)
    return found.answer(request.headers)


def _page(request: Request, name: str, policy: str) -> Response:
    return all_assets()[name].answer(request.headers, **{"Content-Security-Policy": policy})
