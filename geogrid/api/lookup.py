"""Which grid and micro-grid a position lies in: one position, or columns of them."""

import math
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from geogrid.api.deps import Data, Dataset
from geogrid.api.models import DatumName, Link, Place, Places, Positions
from geogrid.api.problems import Problem
from geogrid.locate import Located, Status

MAX_POSITIONS = 10_000

router = APIRouter(prefix="/v1/locate", tags=["locate"])

Degrees = Annotated[float, Query(allow_inf_nan=False, description="Degrees.")]


@router.get("")
async def locate(
    lon: Degrees, lat: Degrees, datum: Annotated[DatumName, Query()], data: Data
) -> Place:
    """Find the micro-grid of one position; a point on an edge belongs to the lowest code."""
    found = data.locator.locate(np.array([[lon, lat]]), datum=datum, edges=True)
    status = Status(str(found.status[0]))
    if status not in (Status.HIT, Status.OUTSIDE):
        field = "lat" if abs(lat) > 90 and status is Status.OUT_OF_RANGE else "lon"
        raise Problem(422, status.value, found.reason(0), found.reason(0, "zh"), field=field)
    return Place(
        datum=datum.value,
        edition=data.edition.info.id,
        revision=data.revision,
        status=status,
        grid_code=str(found.grid_code[0]) or None,
        microgrid_code=str(found.microgrid_code[0]) or None,
        chain=_chain(data, found),
        on_edge=bool(found.on_edge[0]),
        edge_m=_metres(found.edge_m[0]),
        neighbour_code=str(found.neighbour_code[0]) or None,
    )


@router.post("/batch")
def locate_batch(positions: Positions, data: Data) -> Places:
    """Find the micro-grids of up to 10,000 positions; answers keep the order, each has a status."""
    if len(positions.lon) > MAX_POSITIONS:
        raise _too_many(len(positions.lon))
    xy = np.array([positions.lon, positions.lat], np.float64).T
    found = data.locator.locate(xy, datum=positions.datum, edges=True)
    return Places(
        datum=positions.datum.value,
        edition=data.edition.info.id,
        revision=data.revision,
        status=found.status.tolist(),
        grid_code=_nullable(found.grid_code.tolist()),
        microgrid_code=_nullable(found.microgrid_code.tolist()),
        on_edge=found.on_edge.tolist(),
        edge_m=[_metres(value) for value in found.edge_m.tolist()],
        neighbour_code=_nullable(found.neighbour_code.tolist()),
    )


def _chain(data: Dataset, found: Located) -> list[Link]:
    row = int(found.row[0])
    if row < 0:
        return []
    units = data.directory.chain(data.directory.at("microgrid", row))
    return [Link(level=unit.level, code=unit.code, name=unit.name) for unit in units]


def _metres(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 2)


def _nullable(codes: list[str]) -> list[str | None]:
    return [code or None for code in codes]


def _too_many(n: int) -> Problem:
    return Problem(
        413,
        "too_many_positions",
        f"{n:,} positions; at most {MAX_POSITIONS:,} at once. Send several batches, or locate "
        "a whole file with `geogrid locate`.",
        f"共 {n:,} 个坐标，一次最多 {MAX_POSITIONS:,} 个。"
        "请分批提交，或用 geogrid locate 处理整个文件。",
        field="lon",
    )
