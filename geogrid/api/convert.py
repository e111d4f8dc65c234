"""A position in one datum as the same place in another, such as a phone's on our map."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel

from geogrid import datums
from geogrid.api.models import Asked, DatumName
from geogrid.api.problems import Problem
from geogrid.datums import Datum

router = APIRouter(prefix="/v1", tags=["locate"])


class Question(Asked):
    """A position, and the datum that is wanted."""

    to: DatumName = Datum.CGCS2000


class Position(BaseModel):
    """A position with its datum."""

    lon: float
    lat: float
    datum: str


@router.get("/convert")
async def convert(question: Annotated[Question, Query()]) -> Position:
    """Convert one position; CGCS2000 and WGS 84 are taken as equal numbers."""
    if abs(question.lon) > 180 or abs(question.lat) > 90:
        raise Problem(
            422,
            "out_of_range",
            f"{question.lon}, {question.lat} is no longitude and latitude in degrees.",
            f"{question.lon}, {question.lat} 不是以度为单位的经纬度。",
            field="lat" if abs(question.lat) > 90 else "lon",
        )
    xy = np.array([[question.lon, question.lat]])
    lon, lat = datums.convert(xy, question.datum, question.to)[0].tolist()
    return Position(lon=round(lon, 8), lat=round(lat, 8), datum=question.to.value)
