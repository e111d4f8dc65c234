"""A position in one datum as the same place in another, such as a phone's on our map."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from geogrid import datums
from geogrid.api.deps import Data, each_once
from geogrid.api.lookup import require_position
from geogrid.api.models import Asked, DatumName
from geogrid.datums import Datum

router = APIRouter(prefix="/v1", tags=["locate"], dependencies=[Depends(each_once)])


class Question(Asked):
    """A position, and the datum that is wanted."""

    to: DatumName = Datum.CGCS2000


class Position(BaseModel):
    """A position with its datum."""

    lon: float
    lat: float
    datum: str


@router.get("/convert")
async def convert(question: Annotated[Question, Query()], data: Data) -> Position:
    """Convert one position; CGCS2000 and WGS 84 are taken as equal numbers."""
    xy = np.array([[question.lon, question.lat]])
    require_position(data.locator.locate(xy, datum=question.datum), question)
    lon, lat = datums.convert(xy, question.datum, question.to)[0].tolist()
    return Position(lon=round(lon, 8), lat=round(lat, 8), datum=question.to.value)
