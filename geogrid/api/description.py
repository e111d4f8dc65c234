"""What the OpenAPI description says of every route alike, and the framework cannot know."""

from typing import Any

from fastapi import FastAPI

_PROBLEM = "application/problem+json"
_HTML = {"schema": {"type": "string"}}
_NOTHING_THERE = {"description": "There is nothing in this tile."}
_AS_BEFORE = {"description": "As it was: the tag in If-None-Match still fits."}
_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "X-API-Key",
    "description": "Needed where the service was set up with keys; scopes are read, bulk, edit.",
}


def install(app: FastAPI) -> None:
    """Complete the description of `app` when it is first asked for."""
    describe = app.openapi

    def completed() -> dict[str, Any]:
        first = app.openapi_schema is None
        document = describe()
        if first:
            _complete(document)
        return document

    app.openapi = completed  # type: ignore[method-assign]  # the way that FastAPI documents


def _complete(document: dict[str, Any]) -> None:
    document.setdefault("components", {})["securitySchemes"] = {"key": _KEY}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["security"] = [{}, {"key": []}]
            responses = operation["responses"]
            responses["503"] = dict(responses.get("4XX", {}), description="Too busy; ask again.")
            for status, response in responses.items():
                if status[0] in "45":
                    _rename_to_problem(response)
            if path.endswith((".mvt", "/{row}/{col}", "/{x}/{y}")):
                responses |= {"204": _NOTHING_THERE, "304": _AS_BEFORE}
            names = {parameter.get("name") for parameter in operation.get("parameters", ())}
            if "f" in names:
                responses["200"].setdefault("content", {}).setdefault("text/html", _HTML)


def _rename_to_problem(response: dict[str, Any]) -> None:
    content = response.get("content", {})
    if "application/json" in content:
        response["content"] = {_PROBLEM: content["application/json"]}
