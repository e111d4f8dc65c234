"""Units by code and by name, and the edition as a whole."""

import json
from typing import Annotated

import shapely
from fastapi import APIRouter, Depends, Query

from geogrid.api.deps import Data, Dataset, each_once
from geogrid.api.directory import Unit
from geogrid.api.models import (
    Child,
    EditionSummary,
    Found,
    Link,
    UnitFeature,
    UnitProperties,
)

router = APIRouter(prefix="/v1", tags=["units"], dependencies=[Depends(each_once)])


@router.get("/units/{code}")
def unit(code: str, data: Data) -> UnitFeature:
    """Return one unit of any level as a GeoJSON feature with its chain of parents."""
    found = data.directory.unit(code)
    return UnitFeature(
        id=code,
        bbox=data.directory.bbox(found),
        properties=_properties(data, found),
        geometry=_geometry(data, found),
    )


@router.get("/units/{code}/children")
def children(code: str, data: Data) -> list[Child]:
    """List the units one level below a unit; a micro-grid has none."""
    units = data.directory.children(data.directory.unit(code))
    return [_child(data, each) for each in units]


@router.get("/search")
def search(
    q: Annotated[
        str, Query(min_length=1, max_length=64, description="Start of a code, or a name.")
    ],
    data: Data,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[Found]:
    """Find units by the start of their code or a part of their name, upper levels first."""
    text = q.strip().replace("-", "") if q.strip().replace("-", "").isdigit() else q.strip()
    if not text.isprintable() or not text:
        return []
    return [_found(data, each) for each in data.directory.search(text, limit)]


@router.get("/editions")
def editions(data: Data) -> list[EditionSummary]:
    """List the editions that this service answers from."""
    info = data.edition.info
    return [
        EditionSummary(
            id=info.id,
            revision=data.revision,
            parent_id=info.parent_id,
            city=info.city,
            created=info.created,
            weights=info.weights,
            imagery_source=info.imagery_source,
            imagery_date=info.imagery_date,
            counts=data.edition.counts(),
            bounds=list(data.tiles.bounds),
            tiles="/tiles.json",
            imagery=None if data.imagery is None else "/imagery/tiles.json",
        )
    ]


def _properties(data: Dataset, found: Unit) -> UnitProperties:
    row = data.edition.units[found.level].iloc[found.row]
    return UnitProperties(
        level=found.level,
        code=found.code,
        name=found.name,
        uid=row["uid"],
        kind=row["kind"],
        households=row["households"],
        area_m2=row["area_m2"],
        valid_from=row["valid_from"],
        chain=_links(data.directory.chain(found)),
        n_children=len(data.directory.children(found)),
        edition=data.edition.info.id,
    )


def _geometry(data: Dataset, found: Unit) -> dict[str, object]:
    """All digits: neighbours must keep equal vertices."""
    polygon = data.edition.units[found.level].geometry.iat[found.row]
    geometry: dict[str, object] = json.loads(shapely.to_geojson(shapely.orient_polygons(polygon)))
    return geometry


def _child(data: Dataset, found: Unit) -> Child:
    table = data.edition.units[found.level]
    return Child(
        level=found.level,
        code=found.code,
        name=found.name,
        households=table["households"].iat[found.row],
        area_m2=table["area_m2"].iat[found.row],
    )


def _found(data: Dataset, unit: Unit) -> Found:
    return Found(
        level=unit.level,
        code=unit.code,
        name=unit.name,
        parents=_links(data.directory.chain(unit)[:-1]),
        bbox=data.directory.bbox(unit),
    )


def _links(units: list[Unit]) -> list[Link]:
    return [Link(level=each.level, code=each.code, name=each.name) for each in units]
