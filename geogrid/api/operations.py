"""What those who run the service ask: is it alive, what does it serve, what did it do."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from geogrid import __version__
from geogrid.api.deps import Counters, Data
from geogrid.api.metrics import MEDIA_TYPE
from geogrid.api.models import Alive, Ready, Reload
from geogrid.api.problems import Problem
from geogrid.api.reload import Reloader

router = APIRouter(tags=["service"])


async def _reloader(request: Request) -> Reloader:
    found: Reloader = request.app.state.reloader
    return found


Loading = Annotated[Reloader, Depends(_reloader)]


@router.get("/healthz")
async def healthz() -> Alive:
    """Answer as long as the process runs."""
    return Alive(version=__version__)


@router.get("/readyz")
async def readyz(data: Data, reloader: Loading) -> Ready:
    """Tell which edition is served, and how the last attempt to load another one ended."""
    info = data.edition.info
    return Ready(
        edition=info.id,
        revision=data.revision,
        since=reloader.since,
        reload=Reload(state=reloader.state, at=reloader.at, detail=reloader.detail),
    )


@router.get("/metrics", response_class=Response)
async def metrics(counters: Counters) -> Response:
    """Return counters and latencies for Prometheus."""
    return Response(counters.text(), media_type=MEDIA_TYPE)


@router.post("/v1/reload")
async def reload(reloader: Loading) -> Ready:
    """Read the file of the edition anew and serve it; the old edition answers until then.

    409 if the file cannot be used: the old edition is still served.
    """
    dataset = await reloader.reload()
    if reloader.state == "failed":
        raise Problem(
            409,
            "edition_unusable",
            f"The edition before is still served: {reloader.detail}",
            f"仍在提供原有版本：{reloader.detail}",
        )
    return Ready(
        edition=dataset.edition.info.id,
        revision=dataset.revision,
        since=reloader.since,
        reload=Reload(state=reloader.state, at=reloader.at, detail=reloader.detail),
    )
