"""What the OpenAPI description says of every route alike, or in Chinese.

The rest the framework takes from routes, models and docstrings.
"""

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

_TAGS = {
    "locate": "坐标查询：落在哪个网格。Which grid a position lies in.",
    "jobs": "作业：整个文件落格。Whole files.",
    "units": "单元：按代码或名称。Units by code or name.",
    "coverage": "检查：覆盖率与问题。Coverage rate and findings.",
    "incidents": "事件：计数与四色预警。Counts and warnings.",
    "features": "要素：OGC API Features。",
    "tiles": "瓦片：OGC API Tiles、TileJSON。",
    "basemap": "天地图底图。Tianditu below the units.",
    "service": "运行状态。How the service is.",
}

_CHINESE = {
    "GET /v1/locate": "查询一个坐标",
    "POST /v1/locate/batch": "批量查询坐标",
    "POST /v1/jobs": "提交文件作业",
    "GET /v1/jobs/{job_id}": "作业的进度与结果",
    "DELETE /v1/jobs/{job_id}": "终止并删除作业",
    "GET /v1/jobs/{job_id}/result": "下载结果文件",
    "GET /v1/jobs/{job_id}/rejects": "下载未落格的行及原因",
    "GET /v1/convert": "转换坐标系",
    "GET /v1/units/{code}": "按代码查单元",
    "GET /v1/units/{code}/children": "下级单元",
    "GET /v1/units/{code}/neighbours": "相邻单元及共用边界长度",
    "GET /v1/search": "按名称或代码搜索",
    "GET /v1/editions": "当前版本",
    "GET /v1/coverage": "覆盖率与问题汇总",
    "GET /v1/coverage/findings": "问题列表",
    "GET /v1/incidents": "事件表概况",
    "GET /v1/incidents/stats": "各单元事件数与预警",
    "GET /conformance": "遵循的标准",
    "GET /collections": "图层列表",
    "GET /collections/{level}": "图层说明",
    "GET /collections/{level}/queryables": "可查询的属性",
    "GET /collections/{level}/items": "查询一个图层的单元",
    "GET /collections/{level}/items/{code}": "图层中的一个单元",
    "GET /tileMatrixSets": "瓦片矩阵集列表",
    "GET /tileMatrixSets/{matrix_set}": "瓦片矩阵集说明",
    "GET /tiles": "瓦片集列表",
    "GET /tiles/WebMercatorQuad": "瓦片集说明",
    "GET /tiles/WebMercatorQuad/{z}/{row}/{col}": "全部层级的矢量瓦片",
    "GET /collections/{level}/tiles": "一个层级的瓦片集列表",
    "GET /collections/{level}/tiles/WebMercatorQuad": "一个层级的瓦片集说明",
    "GET /collections/{level}/tiles/WebMercatorQuad/{z}/{row}/{col}": "一个层级的矢量瓦片",
    "GET /tiles/{z}/{x}/{y}.mvt": "矢量瓦片",
    "GET /tiles/{version}/{z}/{x}/{y}.mvt": "固定版本的矢量瓦片，可永久缓存",
    "GET /tiles.json": "矢量瓦片说明 (TileJSON)",
    "GET /imagery/tiles.json": "影像瓦片说明 (TileJSON)",
    "GET /imagery/tiles/{z}/{x}/{y}": "影像瓦片",
    "GET /basemap/{layer}/{z}/{x}/{y}": "天地图瓦片",
    "GET /healthz": "服务是否存活",
    "GET /readyz": "所用版本与最近一次更新",
    "GET /metrics": "运行指标 (Prometheus)",
    "POST /v1/reload": "立即重新读取版本文件",
}
"""What each operation is, before its English name."""


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
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            chinese = _CHINESE.get(f"{method.upper()} {path}", "")
            operation["summary"] = f"{chinese} · {operation['summary']}".removeprefix(" · ")
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
