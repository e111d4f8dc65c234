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
    "GET /v1/locate": (
        "查询一个坐标",
        "查一个坐标所在的微网格及其各级上级；位于公共边上的点归编码最小的微网格。",
    ),
    "POST /v1/locate/batch": (
        "批量查询坐标",
        "一次查询多个坐标：按列或按行的 JSON、Arrow IPC 流、CSV。结果保持原有顺序，每行有 sta"
        "tus；CSV 在原表后加四列。",
    ),
    "POST /v1/jobs": (
        "提交文件作业",
        "整个文件落格，请求体就是文件：CSV（UTF-8 或 GBK）、XLSX、Parquet。返回作业，直到其 s"
        "tate 为 done 或 failed 前可反复查询；结果为原有各行，后加 grid_code、microgrid_code"
        "、status、edge_m。",
    ),
    "GET /v1/jobs/{job_id}": (
        "作业的进度与结果",
        "作业进行到哪里，结果如何。",
    ),
    "DELETE /v1/jobs/{job_id}": (
        "终止并删除作业",
        "终止未完成的作业，并删除其文件。",
    ),
    "GET /v1/jobs/{job_id}/result": (
        "下载结果文件",
        "加上四列的文件；作业完成前返回 409。",
    ),
    "GET /v1/jobs/{job_id}/rejects": (
        "下载未落格的行及原因",
        "没有落入微网格的行及原因，CSV；作业完成前返回 409。",
    ),
    "GET /v1/convert": (
        "转换坐标系",
        "把一个坐标转换到另一坐标系；CGCS2000 与 WGS 84 按数值相等处理。",
    ),
    "GET /v1/units/{code}": (
        "按代码查单元",
        "任一级的一个单元，GeoJSON，含各级上级。",
    ),
    "GET /v1/units/{code}/children": (
        "下级单元",
        "下一级的单元；微网格没有下级。",
    ),
    "GET /v1/units/{code}/neighbours": (
        "相邻单元及共用边界长度",
        "同级中共用一段边界的单元；只共用一点的不算。",
    ),
    "GET /v1/search": (
        "按名称或代码搜索",
        "代码以此开头或名称中含有此文字的单元，上级在前。",
    ),
    "GET /v1/editions": (
        "当前版本",
        "服务所用的版本。",
    ),
    "GET /v1/coverage": (
        "覆盖率与问题汇总",
        "数量、覆盖率和问题汇总；每个版本只检查一次，检查期间返回 202，state 为 checking。",
    ),
    "GET /v1/coverage/findings": (
        "问题列表",
        "问题列表：位置、涉及的单元和处理办法。",
    ),
    "GET /v1/incidents": (
        "事件表概况",
        "事件表中有多少事件，涉及哪些日期和类别。",
    ),
    "GET /v1/incidents/stats": (
        "各单元事件数与预警",
        "按单元统计事件，给出四色预警，以及一个单元随时间的变化。",
    ),
    "GET /conformance": (
        "遵循的标准",
        "本接口遵循的标准。",
    ),
    "GET /collections": (
        "图层列表",
        "图层列表：每一级为一个图层。",
    ),
    "GET /collections/{level}": (
        "图层说明",
        "一个图层的说明。",
    ),
    "GET /collections/{level}/queryables": (
        "可查询的属性",
        "可用于过滤的属性（JSON Schema）。",
    ),
    "GET /collections/{level}/items": (
        "查询一个图层的单元",
        "一级中符合条件的单元，按代码排序，分页返回。",
    ),
    "GET /collections/{level}/items/{code}": (
        "图层中的一个单元",
        "一个单元。",
    ),
    "GET /tileMatrixSets": (
        "瓦片矩阵集列表",
        "瓦片矩阵集，仅一个。",
    ),
    "GET /tileMatrixSets/{matrix_set}": (
        "瓦片矩阵集说明",
        "瓦片矩阵集的说明（OGC 17-083r4）。",
    ),
    "GET /tiles": (
        "瓦片集列表",
        "整个版本的瓦片集，仅一个，含各级。",
    ),
    "GET /tiles/WebMercatorQuad": (
        "瓦片集说明",
        "含各级的瓦片集的说明。",
    ),
    "GET /tiles/WebMercatorQuad/{z}/{row}/{col}": (
        "全部层级的矢量瓦片",
        "含各级的一个矢量瓦片。",
    ),
    "GET /collections/{level}/tiles": (
        "一个层级的瓦片集列表",
        "一级的瓦片集，仅一个。",
    ),
    "GET /collections/{level}/tiles/WebMercatorQuad": (
        "一个层级的瓦片集说明",
        "一级的瓦片集的说明。",
    ),
    "GET /collections/{level}/tiles/WebMercatorQuad/{z}/{row}/{col}": (
        "一个层级的矢量瓦片",
        "一级的一个矢量瓦片，从该级的起始级别起；没有内容时返回 204。",
    ),
    "GET /tiles/{z}/{x}/{y}.mvt": (
        "矢量瓦片",
        "含各级的一个矢量瓦片，各级从其起始级别起；没有内容时返回 204。",
    ),
    "GET /tiles/{version}/{z}/{x}/{y}.mvt": (
        "固定版本的矢量瓦片，可永久缓存",
        "不会改变的矢量瓦片：version 为当前版本。",
    ),
    "GET /tiles.json": (
        "矢量瓦片说明 (TileJSON)",
        "矢量瓦片的说明（TileJSON 3.0）；households_breaks 为地图的分级。",
    ),
    "GET /imagery/tiles.json": (
        "影像瓦片说明 (TileJSON)",
        "影像瓦片的说明（TileJSON 3.0）。",
    ),
    "GET /imagery/tiles/{z}/{x}/{y}": (
        "影像瓦片",
        "影像瓦片，JPEG，影像边缘为 WebP；没有影像时返回 204。",
    ),
    "GET /basemap/{layer}/{z}/{x}/{y}": (
        "天地图瓦片",
        "底图瓦片，与其服务所给的图片相同；没有时返回 204。",
    ),
    "GET /healthz": (
        "服务是否存活",
        "进程运行时即有回答。",
    ),
    "GET /readyz": (
        "所用版本与最近一次更新",
        "所用版本，以及最近一次更新的结果。",
    ),
    "GET /metrics": (
        "运行指标 (Prometheus)",
        "供 Prometheus 读取的计数和耗时。",
    ),
    "POST /v1/reload": (
        "立即重新读取版本文件",
        "重新读取版本文件并启用，在此之前仍由原版本回答；文件不可用时返回 409，原版本继续服务。",
    ),
}
"""Name and sentence of each operation, put before the English ones."""

_PARAMETERS = {
    "Degrees east.": "经度。",
    "Degrees north.": "纬度。",
    "What the degrees refer to; ask whoever supplied them: it cannot be seen.": "坐标系。",
    "Here, in the header X-Datum, or in a JSON body.": "写在这里、请求头或请求体中。",
    "Column of a CSV table.": "CSV 表中的列。",
    "As `datum`.": "同 datum。",
    "wgs84, cgcs2000, gcj02, bd09, or epsg:CODE of any other system.": "坐标系或 epsg:代码。",
    "Name of the file.": "文件名。",
    "Column of longitudes.": "经度列。",
    "Column of latitudes.": "纬度列。",
    "The same key and file again give the same job.": "相同的键和文件得到同一作业。",
    "Start of a code, or a name.": "代码的开头，或名称。",
    "Seconds to wait for the check before answering 202.": "返回 202 前等待检查的秒数。",
    "First day, YYYY-MM-DD.": "起始日期。",
    "Last day, included.": "结束日期，含当日。",
    "quantile, natural, or four thresholds by comma.": "分级方法，或以逗号分隔的四个阈值。",
    "Fewer incidents give no warning and are not told.": "少于此数的不预警，也不给出数量。",
    "Code of a category.": "类别代码。",
    "Unit whose `parts` are wanted.": "要分解的单元。",
    "json or html.": "格式。",
    "city, county, township, village, grid or microgrid.": "层级。",
    "county, township, village, grid or microgrid.": "层级。",
    "West, south, east, north; may be a point.": "西、南、东、北；可为一点。",
    "Code behind which the page begins.": "从此代码之后开始。",
    "A time or an interval (RFC 3339).": "时间或时间区间。",
    "CQL2.": "过滤条件。",
}
"""Sentences for parameters, by the English ones; one that holds a number has none here."""


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
            name, sentence = _CHINESE.get(f"{method.upper()} {path}", ("", ""))
            operation["summary"] = f"{name} · {operation['summary']}".removeprefix(" · ")
            operation["description"] = f"{sentence}\n\n{operation['description']}".strip()
            operation["security"] = [{}, {"key": []}]
            responses = operation["responses"]
            responses["503"] = dict(responses.get("4XX", {}), description="Too busy; ask again.")
            for status, response in responses.items():
                if status[0] in "45":
                    _rename_to_problem(response)
            if path.endswith((".mvt", "/{row}/{col}", "/{x}/{y}")):
                responses |= {"204": _NOTHING_THERE, "304": _AS_BEFORE}
            parameters = operation.get("parameters", ())
            for each in parameters:
                english = each.get("description", "")
                each["description"] = _PARAMETERS.get(english, "") + english
            if "f" in {each.get("name") for each in parameters}:
                responses["200"].setdefault("content", {}).setdefault("text/html", _HTML)


def _rename_to_problem(response: dict[str, Any]) -> None:
    content = response.get("content", {})
    if "application/json" in content:
        response["content"] = {_PROBLEM: content["application/json"]}
