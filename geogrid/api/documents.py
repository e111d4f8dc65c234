"""What the documents of OGC API have in common: links, languages, JSON or a page for people."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlencode

import orjson
from fastapi import Query, Request, Response

from geogrid.api.problems import Problem, language

JSON, GEOJSON, HTML = "application/json", "application/geo+json", "text/html"

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
    "http://www.opengis.net/spec/cql2/1.0/conf/case-insensitive-comparison",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions-plus",
    "http://www.opengis.net/spec/cql2/1.0/conf/spatial-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/property-property",
    "http://www.opengis.net/spec/cql2/1.0/conf/arithmetic",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/dataset-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
)
"""What is kept to. Not `oas30`: the description of this interface is OpenAPI 3.1."""

Format = Annotated[
    str, Query(alias="f", pattern="^(|json|geojson|html)$", description="json or html.")
]

_NO_SCRIPTS = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


def wants_page(request: Request, f: str = "") -> bool:
    """Tell whether a page for people is asked for: by `f`, or by the first type accepted."""
    if f:
        return f == "html"
    for each in request.headers.get("accept", "").lower().split(","):
        kind = each.partition(";")[0].strip()
        if kind in (HTML, JSON, GEOJSON):
            return kind == HTML
    return False


def accepts_json(request: Request) -> bool:
    """Tell whether JSON is asked for by name, and no page."""
    accepted = request.headers.get("accept", "").lower()
    return "json" in accepted and HTML not in accepted


def base_of(request: Request) -> str:
    """Return the address of the service, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def link(href: str, rel: str, kind: str, title: str) -> dict[str, object]:
    """Return a link as OGC API writes it."""
    return {"href": href, "rel": rel, "type": kind, "title": title}


def here(request: Request, **changes: str) -> str:
    """Return the address asked for, with some parameters changed."""
    asked = dict(request.query_params) | changes
    path = base_of(request) + request.scope["path"]
    return f"{path}?{urlencode(asked)}" if asked else path


def landing(request: Request) -> dict[str, object]:
    """Return the landing page of the interface."""
    base = base_of(request)
    return {
        "title": "geogrid",
        "description": "网格与微网格。Governance grids and micro-grids.",
        "links": [
            link(f"{base}/?f=json", "self", JSON, "This document"),
            link(f"{base}/", "alternate", HTML, "Map"),
            link(f"{base}/openapi.json", "service-desc", JSON, "The interface (OpenAPI 3.1)"),
            link(f"{base}/docs", "service-doc", HTML, "The interface, to read"),
            link(f"{base}/conformance", "conformance", JSON, "What is kept to"),
            link(f"{base}/collections", "data", JSON, "Collections of features"),
            link(
                f"{base}/tiles",
                "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector",
                JSON,
                "Vector tiles",
            ),
            link(
                f"{base}/tileMatrixSets",
                "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes",
                JSON,
                "Tile matrix sets",
            ),
        ],
    }


def require_parameters(request: Request, known: Iterable[str]) -> None:
    """Refuse a parameter that does not exist: it would be thought to have worked."""
    names = sorted(set(known))
    for name in request.query_params:
        if name not in names:
            raise Problem(
                400,
                "unknown_parameter",
                f"There is no parameter {name[:40]!r}; there are {', '.join(names)}.",
                f"没有参数 {name[:40]!r}，可用的参数为 {', '.join(names)}。",
                field=name[:40],
            )


def as_json(content: object, kind: str = JSON) -> Response:
    """Return a document as JSON."""
    return Response(orjson.dumps(content), media_type=kind, headers={"Vary": "Accept"})


def as_page(request: Request, title: str, body: str) -> Response:
    """Return a page for people: no script, no other host."""
    lang = language(request.scope)
    text = (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)} - geogrid</title>"
        '<link rel="stylesheet" href="/static/collections.css"></head><body>'
        f'<nav><a href="/">{said(request, "地图", "Map")}</a> '
        f'<a href="/collections?f=html">{said(request, "图层", "Collections")}</a> '
        f'<a href="/docs">{said(request, "接口", "Interface")}</a></nav>'
        f"<main><h1>{html.escape(title)}</h1>{body}</main></body></html>\n"
    )
    headers = {"Content-Security-Policy": _NO_SCRIPTS, "Vary": "Accept, Accept-Language"}
    return Response(text, media_type=HTML, headers=headers | {"Content-Language": lang})


def said(request: Request, zh: str, en: str) -> str:
    """Return a text in the language that the request prefers."""
    return zh if language(request.scope) == "zh" else en


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are markup already."""
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'


def anchor(href: str, text: str) -> str:
    """Return a link as markup."""
    return f'<a href="{html.escape(href)}">{html.escape(text)}</a>'


def properties(record: Mapping[str, object]) -> str:
    """Return properties as a table of two columns."""
    return table(
        ["", ""],
        [[html.escape(name), html.escape(_shown(value))] for name, value in record.items()],
    )


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
