"""Shapes of what the service is asked and answers."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from geogrid import datums
from geogrid.api.problems import ProblemDocument
from geogrid.datums import Datum
from geogrid.errors import CoordinateError
from geogrid.locate import Status
from geogrid.tables import NUMBER


def _parse_datum(text: object) -> Datum:
    if isinstance(text, Datum):
        return text
    try:
        return datums.parse(str(text))
    except CoordinateError as error:
        told = {"why": str(error), "zh": error.zh}
        raise PydanticCustomError("unknown_datum", "{why}", told) from error


Level = Literal["city", "county", "township", "village", "grid", "microgrid"]

DatumName = Annotated[Datum, BeforeValidator(_parse_datum)]
"""A datum by name; case does not matter, and there is no default."""


def _range(most: int) -> dict[str, JsonValue]:
    """Tell the range in the schema only: a number beyond it gets advice, not a bare refusal."""
    return {"minimum": -most, "maximum": most}


_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


def _parse_degrees(text: object) -> object:
    if isinstance(text, str) and not (NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text)):
        raise PydanticCustomError("float_parsing", "not a plain decimal number, such as 114.65")
    return text


Degrees = Annotated[float, BeforeValidator(_parse_degrees), Field(allow_inf_nan=False)]
"""Degrees as the text of a query."""


class Asked(BaseModel):
    """One position."""

    model_config = ConfigDict(extra="forbid")

    lon: Annotated[
        Degrees,
        Field(description="Degrees east.", examples=[114.6497], json_schema_extra=_range(180)),
    ]
    lat: Annotated[
        Degrees,
        Field(description="Degrees north.", examples=[33.6204], json_schema_extra=_range(90)),
    ]
    datum: Annotated[
        DatumName,
        Field(
            description="What the degrees refer to; ask whoever supplied them: it cannot be seen."
        ),
    ]


class Link(BaseModel):
    """One unit of a chain or list."""

    level: str
    code: str
    name: str


class Place(BaseModel):
    """Where a position lies. All codes are null, and `chain` is empty, outside the city."""

    status: Status
    grid_code: str | None
    microgrid_code: str | None
    chain: list[Link]
    on_edge: bool
    edge_m: float | None = Field(
        description="Metres to the border of its micro-grid; outside, to the city (below 1 km)."
    )
    neighbour_code: str | None = Field(description="The micro-grid beyond the nearest edge.")
    neighbour_name: str | None
    datum: str
    edition: str
    revision: str


Id = str | int | None
"""What the caller calls a position."""

Longitude = Annotated[float, Field(json_schema_extra=_range(180))]
Latitude = Annotated[float, Field(json_schema_extra=_range(90))]


class BatchAsked(BaseModel):
    """What is said of a batch outside its body."""

    model_config = ConfigDict(extra="forbid")

    datum: Annotated[
        DatumName | None, Field(description="Here, in the header X-Datum, or in a JSON body.")
    ] = None
    lon: Annotated[str | None, Field(max_length=200, description="Column of a CSV table.")] = None
    lat: Annotated[str | None, Field(max_length=200, description="Column of a CSV table.")] = None


class Positions(BaseModel):
    """Positions by column, all columns of one length; null stands for a missing value."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lon: list[Longitude | None]
    lat: list[Latitude | None]
    id: list[Id] | None = Field(default=None, description="Told again, as given, in the answer.")
    datum: DatumName | None = Field(default=None, description="Here or as a parameter.")


class Position(BaseModel):
    """One position of a batch; null stands for a missing value."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lon: Longitude | None
    lat: Latitude | None
    id: Id = None


class PositionsByRow(BaseModel):
    """Positions one by one, all of one datum."""

    model_config = ConfigDict(extra="forbid", strict=True)

    points: list[Position]
    datum: DatumName | None = Field(default=None, description="Here or as a parameter.")


class PlaceOfBatch(BaseModel):
    """Where one position of a batch lies."""

    id: Id = None
    status: Status
    grid_code: str | None
    microgrid_code: str | None
    on_edge: bool
    edge_m: float | None
    neighbour_code: str | None


class PlacesByRow(BaseModel):
    """Answers one by one, in the order asked."""

    points: list[PlaceOfBatch]
    datum: str
    edition: str
    revision: str


class Places(BaseModel):
    """Answers by column, in the order asked."""

    id: list[Id] | None = None
    status: list[Status]
    grid_code: list[str | None]
    microgrid_code: list[str | None]
    on_edge: list[bool]
    edge_m: list[float | None]
    neighbour_code: list[str | None]
    datum: str
    edition: str
    revision: str


class State(StrEnum):
    """What becomes of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobAsked(BaseModel):
    """How to read the file of a job."""

    model_config = ConfigDict(extra="forbid")

    datum: Annotated[
        str,
        Field(
            max_length=20,
            description="wgs84, cgcs2000, gcj02, bd09, or epsg:CODE of any other system.",
            examples=["gcj02", "epsg:4547"],
        ),
    ]
    name: Annotated[str, Field(max_length=200, description="Name of the file.")] = ""
    lon: Annotated[str | None, Field(max_length=200, description="Column of longitudes.")] = None
    lat: Annotated[str | None, Field(max_length=200, description="Column of latitudes.")] = None


class Remark(BaseModel):
    """What should be known of a result, in two languages."""

    en: str
    zh: str


class JobStatus(BaseModel):
    """A job: how far it is, and what came of it."""

    id: str
    state: State
    progress: float = Field(ge=0, le=1)
    file: str
    datum: str
    edition: str
    revision: str
    created: datetime
    finished: datetime | None
    expires: datetime | None = Field(description="When the files will be removed.")
    rows: int | None
    statuses: dict[str, int] = Field(description="How many rows have each status.")
    columns: list[str] | None = Field(description="Those that were read as coordinates.")
    encoding: str | None
    warnings: list[Remark]
    problem: ProblemDocument | None = Field(description="Why it failed.")
    result: str | None
    rejects: str | None


class Found(Link):
    """A unit that a search found."""

    parents: list[Link]
    bbox: list[float]


class Child(Link):
    """A unit of a list of children."""

    households: int
    area_m2: float


class UnitProperties(Link):
    """What is known of a unit."""

    uid: str
    kind: str
    households: int
    area_m2: float
    valid_from: str
    chain: list[Link]
    n_children: int
    edition: str


class UnitFeature(BaseModel):
    """A unit as a GeoJSON feature; coordinates are CGCS2000 longitude and latitude."""

    type: Literal["Feature"] = "Feature"
    id: str
    bbox: list[float]
    properties: UnitProperties
    geometry: dict[str, object]


class EditionSummary(BaseModel):
    """An edition that this service answers from."""

    id: str
    revision: str
    parent_id: str
    city: str
    created: str
    weights: str
    imagery_source: str
    imagery_date: str
    counts: dict[str, int]
    bounds: list[float]
    tiles: str
    imagery: str | None = Field(description="TileJSON of the imagery, if there is any.")


class Alive(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"
    version: str


class Reload(BaseModel):
    """How the last attempt to load another edition went; `detail` says why it failed."""

    state: Literal["none", "building", "done", "unchanged", "failed"]
    at: str
    detail: str


class Ready(BaseModel):
    """The edition that is served, since when, and the last attempt to load another."""

    status: Literal["ready"] = "ready"
    edition: str
    revision: str
    since: str
    reload: Reload


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema with its definitions put where they are referred to.

    A part of an OpenAPI document cannot bring definitions of its own.
    """
    known = schema.get("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, list):
            return [put(each) for each in part]
        if not isinstance(part, dict):
            return part
        name = str(part.get("$ref", "")).rpartition("/")[2]
        rest = {key: put(value) for key, value in part.items() if key not in ("$ref", "$defs")}
        return put(known[name]) | rest if name else rest

    inlined: dict[str, Any] = put(schema)
    return inlined
