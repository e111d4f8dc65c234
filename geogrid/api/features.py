"""OGC API Features over the edition in memory: core, reference systems (2) and filters (3)."""

import html
from datetime import date
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from geogrid.api import documents as docs
from geogrid.api import filters
from geogrid.api.caching import accepts_gzip, is_known
from geogrid.api.collections import Collection, Page
from geogrid.api.deps import Config, Data, Dataset, refuse_repeated
from geogrid.api.documents import Format, anchor, link, said
from geogrid.api.problems import Problem
from geogrid.api.settings import Limits
from geogrid.api.systems import CRS84, System, find
from geogrid.codes import LEVEL_NAMES_ZH, LEVELS
from geogrid.schema import EXCHANGE_CRS, UNIT_COLUMNS
from geogrid.tiles import zipped

MAX_LIMIT, DEFAULT_LIMIT = Limits().page, 100
"""Features of a page, unless the service is set to another number."""

_ZIP_BEYOND = 1_000
"""Bytes."""

_SCHEMA = "application/schema+json"

_VARY = "Accept, Accept-Encoding, Accept-Language"

_KINDS = {"text": {"type": "string"}, "integer": {"type": "integer"}, "real": {"type": "number"}}

router = APIRouter(tags=["features"])


def _answered_as(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "object"}}}}}


Level = Annotated[
    str,
    Path(
        description="city, county, township, village, grid or microgrid.",
        json_schema_extra={"enum": [*LEVELS]},
    ),
]
Text = Annotated[str, Query(max_length=200)]


class Asked(BaseModel):
    """What a page of units is asked for by."""

    bbox: str = Field("", max_length=400, description="West, south, east, north; may be a point.")
    bbox_crs: str = Field(CRS84, alias="bbox-crs", max_length=200)
    limit: int = Field(
        DEFAULT_LIMIT,
        ge=1,
        description=f"At most {MAX_LIMIT:,}, or what the service is set to; a larger number "
        "counts as that.",
        json_schema_extra={"maximum": MAX_LIMIT},
    )
    after: str = Field("", max_length=200, description="Code behind which the page begins.")
    when: str = Field(
        "", alias="datetime", max_length=200, description="A time or an interval (RFC 3339)."
    )
    filter: str = Field("", max_length=filters.MAX_LENGTH, description="CQL2.")
    filter_lang: Literal["cql2-text", "cql2-json"] = Field("cql2-text", alias="filter-lang")
    filter_crs: str = Field(CRS84, alias="filter-crs", max_length=200)
    crs: str = Field(CRS84, max_length=200)
    f: Literal["", "json", "geojson", "html"] = ""
    code: str = Field("", max_length=200)
    uid: str = Field("", max_length=200)
    name: str = Field("", max_length=200)
    parent: str = Field("", max_length=200)
    kind: str = Field("", max_length=200)
    households: int | None = None
    area_m2: float | None = Field(None, allow_inf_nan=False)
    valid_from: str = Field("", max_length=200)


@router.get("/conformance")
def conformance(request: Request, f: Format = "") -> Response:
    """List the standards that this interface keeps to."""
    if docs.wants_page(request, f):
        rows = [[html.escape(each)] for each in docs.CONFORMANCE]
        return docs.as_page(
            request, said(request, "遵循的标准", "Conformance"), docs.table([""], rows)
        )
    return docs.as_json({"conformsTo": docs.CONFORMANCE})


@router.get("/collections")
def collections(request: Request, data: Data, f: Format = "") -> Response:
    """List the collections: one for each level."""
    if docs.wants_page(request, f):
        return docs.as_page(
            request, data.edition.info.city, docs.table(_heads(request), _lines(request, data))
        )
    base = docs.base_of(request)
    return docs.as_json(
        {
            "links": [link(f"{base}/collections", "self", docs.JSON, "This document")],
            "crs": [system.uri for system in data.collections.systems],
            "collections": [_description(request, data, level) for level in LEVELS],
        }
    )


@router.get("/collections/{level}")
def collection(level: Level, request: Request, data: Data, f: Format = "") -> Response:
    """Describe a collection."""
    _collection(data, level)
    if docs.wants_page(request, f):
        line = next(line for line in _lines(request, data) if f"/{level}/" in line[0])
        return docs.as_page(request, _title(level), docs.table(_heads(request), [line]))
    return docs.as_json(_description(request, data, level))


@router.get(
    "/collections/{level}/queryables", response_class=Response, responses=_answered_as(_SCHEMA)
)
def queryables(level: Level, request: Request, data: Data, f: Format = "") -> Response:
    """List the properties that can be filtered by (JSON Schema)."""
    _collection(data, level)
    listed: dict[str, dict[str, object]] = {
        name: {"title": name, **_KINDS[kind]} for name, kind in UNIT_COLUMNS.items()
    }
    listed["valid_from"]["format"] = "date"
    listed[filters.GEOMETRY] = {
        "format": "geometry-polygon-or-multipolygon", "x-ogc-role": "primary-geometry",
    }  # fmt: skip
    if docs.wants_page(request, f):
        return docs.as_page(request, _title(level), docs.properties(dict.fromkeys(listed)))
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{docs.base_of(request)}/collections/{level}/queryables",
        "type": "object",
        "title": _title(level),
        "properties": listed,
        "additionalProperties": False,
    }
    return docs.as_json(content, _SCHEMA)


@router.get(
    "/collections/{level}/items", response_class=Response, responses=_answered_as(docs.GEOJSON)
)
def items(
    level: Level, request: Request, data: Data, config: Config, asked: Annotated[Asked, Query()]
) -> Response:
    """Return the units of a level that match, in the order of their codes, a page at a time."""
    refuse_repeated(request)
    docs.require_parameters(request, (f.alias or n for n, f in Asked.model_fields.items()))
    found, page = _collection(data, level), docs.wants_page(request, asked.f)
    selected = _selected(data, found, asked)
    system = find(asked.crs, data.collections.systems, "crs")
    if page:
        variant = "-html-" + said(request, "zh", "en")
    else:
        variant = "-gzip" if accepts_gzip(request.headers) else ""
    headers = {"ETag": f'"{data.version}{variant}"', "Cache-Control": "no-cache", "Vary": _VARY}
    if is_known(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    listed = found.page(selected, asked.after, min(asked.limit, config.limits.page))
    answer = _page(request, found, listed) if page else _features(request, found, listed, system)
    answer.headers.update(headers)
    return answer


@router.get(
    "/collections/{level}/items/{code}",
    response_class=Response,
    responses=_answered_as(docs.GEOJSON),
)
def item(
    level: Level, code: str, request: Request, data: Data, crs: Text = CRS84, f: Format = ""
) -> Response:
    """Return one unit."""
    docs.require_parameters(request, ("f", "crs"))
    found = _collection(data, level)
    system = find(crs, data.collections.systems, "crs")
    row = found.row(code)
    if row is None:
        raise Problem(
            404,
            "unknown_code",
            f"No unit {code[:40]!r} in {level}; find codes by name with /v1/search?q=.",
            f"{_title(level)} 中没有 {code[:40]!r}，可用 /v1/search?q= 按名称查找。",
            field="code",
        )
    rows = np.array([row])
    if docs.wants_page(request, f):
        record = found.records(rows)[0]
        ways = _paragraph(anchor(docs.here(request, f="json"), "GeoJSON"))
        return docs.as_page(request, str(record["name"]), docs.properties(record) + ways)
    base = f"{docs.base_of(request)}/collections/{level}"
    links = [
        link(f"{base}/items/{code}", "self", docs.GEOJSON, "This document"),
        link(f"{base}/items/{code}?f=html", "alternate", docs.HTML, "This document, to read"),
        link(base, "collection", docs.JSON, _title(level)),
    ]
    body = found.features(rows, system)[0][:-1] + b',"links":' + orjson.dumps(links) + b"}"
    headers = {"Content-Crs": f"<{system.uri}>", "Vary": "Accept"}
    return Response(body, media_type=docs.GEOJSON, headers=headers)


def _collection(data: Dataset, level: str) -> Collection:
    if level not in data.collections.by_level:
        raise Problem(
            404,
            "unknown_collection",
            f"There is no collection {level[:40]!r}; there are {', '.join(LEVELS)}.",
            f"没有图层 {level[:40]!r}，可用的图层为 {', '.join(LEVELS)}。",
            field="level",
        )
    return data.collections.by_level[level]


def _selected(data: Dataset, found: Collection, asked: Asked) -> NDArray[np.bool_] | None:
    """Return which units match everything that is asked for; None stands for all."""
    systems = data.collections.systems
    masks = [
        *_in_box(found, asked.bbox, find(asked.bbox_crs, systems, "bbox-crs")),
        *_valid(found, asked.when),
        *_equal(found, asked),
    ]
    if asked.filter:
        system = find(asked.filter_crs, systems, "filter-crs")
        masks.append(filters.select(found, asked.filter, asked.filter_lang, system))
    return np.logical_and.reduce(masks) if masks else None


def _in_box(found: Collection, bbox: str, system: System) -> list[NDArray[np.bool_]]:
    if not bbox:
        return []
    try:
        numbers = [float(part) for part in bbox.split(",")]
    except ValueError as error:
        raise Problem(
            400, "box", f"bbox: {bbox[:80]!r} is no list of numbers.",
            f"bbox：{bbox[:80]!r} 不是数字列表。", field="bbox",
        ) from error  # fmt: skip
    return [found.within(system.to_degrees(filters.box_of(numbers, "bbox"), "bbox"))]


def _valid(found: Collection, when: str) -> list[NDArray[np.bool_]]:
    """Units are valid from a day on: an interval meets that unless it ends before."""
    if not when:
        return []
    parts = [part.strip() for part in when.split("/")]
    try:
        days = [None if part in ("", "..") else date.fromisoformat(part[:10]) for part in parts]
    except ValueError as error:
        raise _no_time(when) from error
    if len(days) > 2 or (len(days) == 1 and days[0] is None):
        raise _no_time(when)
    if len(days) == 2 and days[0] and days[1] and days[0] > days[1]:
        raise _no_time(when)
    if days[-1] is None:
        return []
    return [found.table["valid_from"].to_numpy(str) <= days[-1].isoformat()]


def _no_time(when: str) -> Problem:
    return Problem(
        400, "time",
        f"datetime: {when[:60]!r} is no time or interval (RFC 3339), such as 2026-01-01/..",
        f"datetime：{when[:60]!r} 不是时间或由早到晚的时间区间，例如 2026-01-01/..",
        field="datetime",
    )  # fmt: skip


def _equal(found: Collection, asked: Asked) -> list[NDArray[np.bool_]]:
    given = {name: getattr(asked, name) for name in UNIT_COLUMNS}
    wanted = {name: value for name, value in given.items() if value not in ("", None)}
    return [found.table[name].to_numpy() == value for name, value in wanted.items()]


def _features(request: Request, found: Collection, listed: Page, system: System) -> Response:
    """Return a page as a GeoJSON feature collection."""
    links = [
        link(docs.here(request), "self", docs.GEOJSON, "This document"),
        link(docs.here(request, f="html"), "alternate", docs.HTML, "This document, to read"),
    ]
    if listed.next_after:
        next_page = docs.here(request, after=listed.next_after)
        links.append(link(next_page, "next", docs.GEOJSON, "The next page"))
    body = (
        b'{"type":"FeatureCollection","numberMatched":%d,"numberReturned":%d,"links":%s,"features":[%s]}'
        % (
            listed.n_matched,
            len(listed.rows),
            orjson.dumps(links),
            b",".join(found.features(listed.rows, system)),
        )
    )
    headers = {"Content-Crs": f"<{system.uri}>"}
    if len(body) > _ZIP_BEYOND and accepts_gzip(request.headers):
        body, headers["Content-Encoding"] = zipped(body), "gzip"
    return Response(body, media_type=docs.GEOJSON, headers=headers)


def _page(request: Request, found: Collection, listed: Page) -> Response:
    """Return a page for people."""
    records = found.records(listed.rows)
    shown = ("code", "name", "kind", "households", "area_m2")
    heads = [said(request, zh, en) for zh, en in zip(
        ("代码", "名称", "类别", "户数", "面积 (m²)"), shown, strict=True
    )]  # fmt: skip
    rows = [
        [
            anchor(f"/collections/{found.level}/items/{each['code']}?f=html", str(each["code"])),
            *(
                html.escape(str(each[name] if each[name] is not None else ""))
                for name in shown[1:4]
            ),
            f"{each['area_m2']:,.0f}",
        ]
        for each in records
    ]
    count = said(request, f"共 {listed.n_matched:,} 个", f"{listed.n_matched:,} in all")
    ways = [anchor(docs.here(request, f="json"), "GeoJSON")]
    if listed.next_after:
        following = docs.here(request, after=listed.next_after)
        ways.append(anchor(following, said(request, "下一页", "Next page")))
    body = _paragraph(count) + docs.table(heads, rows) + _paragraph(" ".join(ways))
    return docs.as_page(request, _title(found.level), body)


def _description(request: Request, data: Dataset, level: str) -> dict[str, object]:
    base = f"{docs.base_of(request)}/collections/{level}"
    info = data.edition.info
    links = [
        link(base, "self", docs.JSON, "This document"),
        link(f"{base}?f=html", "alternate", docs.HTML, "This document, to read"),
        link(f"{base}/items", "items", docs.GEOJSON, _title(level)),
        link(f"{base}/items?f=html", "items", docs.HTML, _title(level)),
        link(
            f"{base}/queryables",
            "http://www.opengis.net/def/rel/ogc/1.0/queryables",
            _SCHEMA,
            "Queryables",
        ),
    ]
    if level != "city":
        rel = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"
        links.append(link(f"{base}/tiles", rel, docs.JSON, "Vector tiles"))
    return {
        "id": level,
        "title": _title(level),
        "description": f"{info.city} {info.id}: {data.collections.by_level[level].n:,}",
        "links": links,
        "extent": {
            "spatial": {"bbox": [list(data.tiles.bounds)], "crs": CRS84},
            "temporal": {"interval": [[f"{info.created[:10]}T00:00:00Z", None]]},
        },
        "itemType": "feature",
        "crs": [system.uri for system in data.collections.systems],
        "storageCrs": find(EXCHANGE_CRS, data.collections.systems, "storageCrs").uri,
    }


def _title(level: str) -> str:
    return f"{LEVEL_NAMES_ZH[level]} {level}"


def _heads(request: Request) -> list[str]:
    return [said(request, "图层", "Collection"), said(request, "数量", "Features"), ""]


def _lines(request: Request, data: Dataset) -> list[list[str]]:
    return [
        [
            anchor(f"/collections/{level}/items?f=html", _title(level)),
            f"{data.collections.by_level[level].n:,}",
            anchor(f"/collections/{level}/queryables", said(request, "可查询的属性", "Queryables")),
        ]
        for level in LEVELS
    ]


def _paragraph(text: str) -> str:
    return f"<p>{text}</p>"
