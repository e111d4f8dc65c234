"""Errors as problem documents (RFC 9457), one shape for every endpoint.

`code` is stable and meant for programs; `detail` and `detail_zh` are for people; `field` names the
parameter that is wrong. The HTTP status of each error of ours stands in one table here.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from geogrid.errors import (
    ConflictError,
    CoordinateError,
    DataError,
    GeogridError,
    UnknownCodeError,
    UsageError,
)

_STATUSES: tuple[tuple[type[GeogridError], int, str], ...] = (
    (UnknownCodeError, 404, "unknown_code"),
    (CoordinateError, 422, "coordinate"),
    (UsageError, 400, "usage"),
    (ConflictError, 409, "conflict"),
    (DataError, 500, "data"),
    (GeogridError, 500, "internal"),
)

# Sentences in Chinese for what the framework says in English only.
_CHINESE = {
    "missing": "缺少参数",
    "unknown_datum": "坐标系应为 wgs84、cgcs2000、gcj02、bd09 之一，请向数据提供方确认",
    "finite_number": "应为有限的数字",
    "float_parsing": "应为数字",
    "float_type": "应为数字",
    "int_parsing": "应为整数",
    "less_than_equal": "超出允许的最大值",
    "greater_than_equal": "低于允许的最小值",
    "string_too_short": "文字太短",
    "string_too_long": "文字太长",
    "json_invalid": "请求体不是有效的 JSON",
}
_HTTP_CHINESE = {404: "没有此资源", 405: "不支持此请求方法", 413: "请求过大"}


class FieldProblem(BaseModel):
    """One parameter that is wrong."""

    field: str
    code: str
    detail: str
    detail_zh: str


class ProblemDocument(BaseModel):
    """What every error of this service looks like (`application/problem+json`)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    detail_zh: str
    field: str | None = None
    instance: str
    errors: list[FieldProblem] = []


class Problem(Exception):  # noqa: N818  # the standard's word
    """An answer other than success."""

    def __init__(
        self, status: int, code: str, detail: str, detail_zh: str, *, field: str | None = None
    ) -> None:
        """Take the HTTP status, a stable code and a sentence in two languages."""
        super().__init__(detail)
        self.status, self.code, self.field = status, code, field
        self.detail, self.detail_zh = detail, detail_zh


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemDocument, "description": "A problem document (RFC 9457)."},
    "422": {"model": ProblemDocument, "description": "A parameter is missing or wrong."},
}
"""What the OpenAPI description says of errors, in place of FastAPI's own shape."""


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(GeogridError, _on_geogrid_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)


def respond(instance: str, problem: Problem, fields: Sequence[FieldProblem] = ()) -> JSONResponse:
    """Return a problem as a response to the request for `instance`."""
    document = ProblemDocument(
        type=f"urn:geogrid:problem:{problem.code}",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        detail_zh=problem.detail_zh,
        field=problem.field,
        instance=instance,
        errors=list(fields),
    )
    return JSONResponse(
        document.model_dump(exclude_none=True),
        problem.status,
        {"Cache-Control": "no-store"},
        "application/problem+json",
    )


def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return respond(request.url.path, error)


def _on_geogrid_error(request: Request, error: Exception) -> JSONResponse:
    for kind, status, code in _STATUSES:
        if isinstance(error, kind):
            problem = Problem(status, code, str(error), _zh_of(error))
            return respond(request.url.path, problem)
    raise error


def _zh_of(error: Exception) -> str:
    """Put a Chinese sentence before the message, which names what was given."""
    texts = {UnknownCodeError: "本版本中没有此代码", CoordinateError: "坐标或坐标系不能使用"}
    texts |= {UsageError: "参数不正确", DataError: "数据不能使用"}
    lead = next((text for kind, text in texts.items() if isinstance(error, kind)), "请求失败")
    return f"{lead}：{error}"


def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = [_field_problem(item) for item in error.errors()]
    first = fields[0]
    detail, zh = (f"{first.field}: {first.detail}", f"{first.field}：{first.detail_zh}")
    problem = Problem(422, first.code, detail, zh, field=first.field)
    return respond(request.url.path, problem, fields)


def _field_problem(item: dict[str, object]) -> FieldProblem:
    place = item["loc"]
    assert isinstance(place, tuple)
    name = ".".join(str(part) for part in place[1:]) or str(place[0])
    if item["type"] == "json_invalid":  # the framework gives the position of the character
        name = "body"
    code, said = str(item["type"]), str(item["msg"]).removeprefix("Value error, ")
    zh = _CHINESE.get(code, "参数不正确")
    if code == "value_error":
        zh = f"{zh}：{said}"
    return FieldProblem(field=name, code=code, detail=said, detail_zh=zh)


def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name.lower()
    zh = _HTTP_CHINESE.get(error.status_code, "请求不能处理")
    problem = Problem(error.status_code, code, str(error.detail), zh)
    return respond(request.url.path, problem)


def _on_bug(request: Request, error: Exception) -> JSONResponse:
    del error  # logged by the server; its text may hold paths and data
    said = Problem(
        500, "internal", "The service failed; see its log.", "服务内部错误，请查看日志。"
    )
    return respond(request.url.path, said)
