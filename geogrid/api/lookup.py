"""Which grid and micro-grid a position lies in."""

import math
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Response

from geogrid.api.deps import Counters, Data, Dataset, each_once
from geogrid.api.metrics import Metrics
from geogrid.api.models import Asked, Link, Place
from geogrid.api.problems import Problem
from geogrid.locate import Located, Status

PATH = "/v1/locate"

router = APIRouter(prefix=PATH, tags=["locate"])

ANSWERED = (Status.HIT, Status.OUTSIDE)
"""What is an answer; anything else is a mistake in what was asked."""


@router.get("", dependencies=[Depends(each_once)])
async def locate(
    asked: Annotated[Asked, Query()], data: Data, response: Response, counters: Counters
) -> Place:
    """Find the micro-grid of one position; a point on an edge belongs to the lowest code."""
    xy = np.array([[asked.lon, asked.lat]])
    found = data.locator.locate(xy, datum=asked.datum, edges=True)
    status = Status(str(found.status[0]))
    counters.position(status, on_edge=bool(found.on_edge[0]))
    require_position(found, asked)
    response.raw_headers += data.answers.headers[1:]
    return Place(
        datum=asked.datum.value,
        edition=data.edition.info.id,
        revision=data.revision,
        status=status,
        grid_code=str(found.grid_code[0]) or None,
        microgrid_code=str(found.microgrid_code[0]) or None,
        chain=_chain(data, found),
        on_edge=bool(found.on_edge[0]),
        edge_m=_metres(found.edge_m[0]),
        neighbour_code=str(found.neighbour_code[0]) or None,
        neighbour_name=_name(data, int(found.beside[0])),
    )


def require_position(found: Located, asked: Asked) -> None:
    """Refuse a position that cannot be one, with what it looks like."""
    status = Status(str(found.status[0]))
    if status not in ANSWERED:
        field = "lat" if abs(asked.lat) > 90 and status is Status.OUT_OF_RANGE else "lon"
        raise Problem(422, status.value, found.reason(0), found.reason(0, "zh"), field=field)


def locate_quickly(data: Dataset, query: bytes, counters: Metrics) -> bytearray | None:
    """Answer a plain query as `locate` does, byte for byte; None for any other query.

    Plain is: `lon`, `lat` and `datum`, once each, nothing escaped, a position that can be right.
    """
    found = data.answers.to_query(query)
    if found is None:
        return None
    answer, status, on_edge = found
    if status not in ANSWERED:
        return None
    counters.position(status, on_edge=on_edge)
    return answer


def _name(data: Dataset, row: int) -> str | None:
    return data.directory.at("microgrid", row).name if row >= 0 else None


def _chain(data: Dataset, found: Located) -> list[Link]:
    row = int(found.row[0])
    if row < 0:
        return []
    units = data.directory.chain(data.directory.at("microgrid", row))
    return [Link(level=unit.level, code=unit.code, name=unit.name) for unit in units]


def _metres(value: float) -> float | None:
    return None if math.isnan(value) else float(np.round(value, 2))
