"""Errors as problem documents (RFC 9457), one shape for every endpoint.

`code` is stable and meant for programs; `detail` is for people, in the language that the request
prefers (`Accept-Language`); `detail_en` and `detail_zh` say it in both. `field` is the parameter
that is wrong, or the place in a JSON body as a pointer (`/lon/17`, RFC 6901). The HTTP status of
each error of ours stands in one table here.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Scope

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

_SENTENCES = {
    "missing": ("is missing", "缺少参数"),
    "extra_forbidden": (
        "there is no such parameter; /docs lists them",
        "没有这个参数，参数见 /docs",
    ),
    "finite_number": ("expected a finite number", "应为有限的数字"),
    "float_type": ("expected a number", "应为数字"),
    "int_parsing": ("expected a whole number", "应为整数"),
    "int_from_float": ("expected a whole number", "应为整数"),
    "int_parsing_size": ("expected a whole number of a few digits", "应为整数，位数过多"),
    "bool_parsing": ("expected true or false", "应为 true 或 false"),
    "enum": ("expected {expected}", "应为 {expected}"),
    "literal_error": ("expected {expected}", "应为 {expected}"),
    "less_than_equal": ("at most {le}", "不得大于 {le}"),
    "greater_than_equal": ("at least {ge}", "不得小于 {ge}"),
    "string_too_short": ("at least {min_length} character(s)", "至少 {min_length} 个字符"),
    "string_too_long": ("at most {max_length} characters", "最多 {max_length} 个字符"),
    "string_pattern_mismatch": ("expected the form {pattern}", "格式应为 {pattern}"),
    "date_parsing": ("expected a day as YYYY-MM-DD", "应为日期，写作 YYYY-MM-DD"),
    "date_from_datetime_parsing": ("expected a day as YYYY-MM-DD", "应为日期，写作 YYYY-MM-DD"),
    "date_from_datetime_inexact": ("expected a day as YYYY-MM-DD", "应为日期，写作 YYYY-MM-DD"),
    "unknown_datum": ("{why}", "{zh}"),
    "float_parsing": (
        "expected a plain decimal number, such as 114.65",
        "应为普通小数，例如 114.65",
    ),
}
"""What is wrong with a parameter, by the framework's name of it."""

_WHICH_DATUM = (
    ": wgs84, cgcs2000, gcj02 or bd09; ask whoever supplied the coordinates, it cannot be seen"
)
_WHICH_DATUM_ZH = "：wgs84、cgcs2000、gcj02 或 bd09，请向数据提供方确认，从数字上看不出"

_HTTP_CHINESE = {
    400: "请求格式不正确",
    401: "需要密钥",
    403: "没有权限",
    404: "没有此地址，全部接口见 /docs",
    405: "此地址不支持该请求方法，支持的方法见 Allow",
    406: "不能以所要求的格式回答",
    408: "请求超时",
    409: "与当前状态冲突",
    410: "内容已被替换",
    411: "请求须注明长度",
    412: "内容已改变",
    413: "请求过大",
    414: "地址过长",
    421: "主机名不符",
    415: "不支持此内容类型",
    429: "请求过多",
    431: "请求头过大",
    503: "服务繁忙",
}


class FieldProblem(BaseModel):
    """One parameter that is wrong."""

    field: str
    code: str
    detail: str
    detail_en: str
    detail_zh: str


class ProblemDocument(BaseModel):
    """What every error of this service looks like (`application/problem+json`)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    detail_en: str
    detail_zh: str
    field: str | None = None
    instance: str
    request_id: str | None = None
    errors: list[FieldProblem] = []


class Problem(Exception):  # noqa: N818  # the standard's word
    """An answer other than success."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        detail_zh: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the HTTP status, a stable code, a sentence in two languages, and further headers."""
        super().__init__(detail)
        self.status, self.code, self.field = status, code, field
        self.detail, self.detail_zh = detail, detail_zh
        self.headers = dict(headers or {})


_COLUMNS = "lon=COLUMN&lat=COLUMN"
"""How a caller names the columns, where the command line is told otherwise."""

_FORCE = re.compile(r", or --force [^.]*|，?确知无误时可用 --force")
"""What nobody may do from afar: go on with a datum that the file refutes."""

_FILE_FIELDS = ((UsageError, "lon"), (CoordinateError, "datum"))
"""The parameter that is to be changed, where it is not the file."""

_DOCUMENT = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
}
_OGC = ("/collections", "/conformance", "/tileMatrixSets", "/tiles")
"""Beginnings of the addresses that OGC API describes."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"content": _DOCUMENT, "description": "A problem document (RFC 9457)."},
    "422": {"content": _DOCUMENT, "description": "A parameter is missing or wrong."},
}
"""What the OpenAPI description says of errors, in place of FastAPI's own shape."""


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(GeogridError, _on_geogrid_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


def status_of_invalid(path: str) -> int:
    """Return the status for a parameter that is missing or wrong.

    OGC API asks for 400 (Features part 1, `/req/core/query-param-invalid`); elsewhere 422 tells
    what was understood and is wrong from what is no request.

    >>> status_of_invalid("/collections/grid/items"), status_of_invalid("/v1/locate")
    (400, 422)
    """
    return 400 if path.startswith(_OGC) else 422


def refuse(scope: Scope, problem: Problem, fields: Sequence[FieldProblem] = ()) -> JSONResponse:
    """Return a problem as the response to a request, in the language that it prefers."""
    request_id = scope.get("state", {}).get("request_id")
    return respond(
        quote(scope["path"]), problem, fields, lang=language(scope), request_id=request_id
    )


def respond(
    instance: str,
    problem: Problem,
    fields: Sequence[FieldProblem] = (),
    *,
    lang: str = "en",
    request_id: str | None = None,
) -> JSONResponse:
    """Return a problem as a response to the request for `instance`."""
    described = document(instance, problem, fields, lang=lang)
    body = described.model_copy(update={"request_id": request_id}).model_dump(exclude_none=True)
    headers = {"Cache-Control": "no-store", "Content-Language": lang} | problem.headers
    return JSONResponse(body, problem.status, headers, "application/problem+json")


def document(
    instance: str, problem: Problem, fields: Sequence[FieldProblem] = (), *, lang: str
) -> ProblemDocument:
    """Describe a problem of what `instance` names."""
    zh = lang == "zh"
    return ProblemDocument(
        type=f"urn:geogrid:problem:{problem.code}",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        code=problem.code,
        detail=problem.detail_zh if zh else problem.detail,
        detail_en=problem.detail,
        detail_zh=problem.detail_zh,
        field=problem.field,
        instance=instance,
        errors=[
            each.model_copy(update={"detail": each.detail_zh}) if zh else each for each in fields
        ],
    )


def language(scope: Scope) -> str:
    """Return the language that a request prefers: `zh` or `en`, which is also for any other.

    >>> language({"type": "http", "headers": [(b"accept-language", b"de, zh-CN;q=0.8, en;q=0.5")]})
    'zh'
    """
    best, lang = 0.0, "en"
    for each in Headers(scope=scope).get("accept-language", "").lower().split(","):
        tag, _, weight = each.partition(";")
        known = tag.strip().partition("-")[0]
        number = _weight(weight)
        if known in ("zh", "en") and number > best:
            best, lang = number, known
    return lang


def _weight(parameter: str) -> float:
    """Return the number behind `q=`, one where there is none."""
    name, _, text = parameter.strip().partition("=")
    try:
        return float(text) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


def problem_of(error: GeogridError) -> Problem:
    """Return one of our errors as a problem, by the table above."""
    for kind, status, code in _STATUSES:
        if isinstance(error, kind):
            field = "code" if kind is UnknownCodeError else None
            return Problem(status, code, str(error), _zh_of(error), field=field)
    raise error


def problem_of_file(error: GeogridError, folder: Path) -> Problem:
    """Return what is wrong with a file that the caller sent, without the place where we put it."""
    said, zh = (_of_a_caller(text, folder) for text in (str(error), error.zh))
    field = next((name for kind, name in _FILE_FIELDS if isinstance(error, kind)), "body")
    return Problem(422, problem_of(error).code, said, _zh_of(type(error)(said, zh)), field=field)


def _of_a_caller(text: str, folder: Path) -> str:
    """Return what is said on the command line as it is said over HTTP."""
    text = text.replace(f"{folder}/", "").replace("--lon COLUMN --lat COLUMN", _COLUMNS)
    return _FORCE.sub("", text).replace("--datum ", "datum=")


def unsupported(types: Sequence[str]) -> Problem:
    """Return what to say of a body of another type than these, or of a compressed one."""
    return Problem(
        415,
        "unsupported_type",
        f"Send the body uncompressed, with Content-Type {', '.join(types)}.",
        f"请求体不得压缩，Content-Type 应为 {'、'.join(types)}。",
        field="Content-Type",
        headers={"Accept-Post": ", ".join(types)},
    )


def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return refuse(request.scope, error)


def _on_geogrid_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GeogridError)
    return refuse(request.scope, problem_of(error))


def _zh_of(error: Exception) -> str:
    """Return the message in Chinese, or in English behind a Chinese sentence."""
    texts = {UnknownCodeError: "本版本中没有此代码", CoordinateError: "坐标或坐标系不能使用"}
    texts |= {UsageError: "参数不正确", DataError: "数据不能使用"}
    if isinstance(error, GeogridError) and error.zh:
        return error.zh
    lead = next((text for kind, text in texts.items() if isinstance(error, kind)), "请求失败")
    return f"{lead}：{error}"


def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = [_field_problem(item) for item in error.errors()]
    first = fields[0]
    detail, zh = (f"{first.field}: {first.detail}", f"{first.field}：{first.detail_zh}")
    status = 400 if first.code == "json_invalid" else status_of_invalid(request.scope["path"])
    problem = Problem(status, first.code, detail, zh, field=first.field)
    return refuse(request.scope, problem, fields)


def _field_problem(item: dict[str, object]) -> FieldProblem:
    place = item["loc"]
    assert isinstance(place, tuple)
    code, said = str(item["type"]), str(item["msg"]).removeprefix("Value error, ")
    en, zh = _SENTENCES.get(code, (said.replace("{", "{{").replace("}", "}}"), "参数不正确"))
    context = item.get("ctx", {})
    assert isinstance(context, dict)
    en, zh = en.format(**context), zh.format(**context)
    name = _field_name(code, place)
    if (code, name) == ("missing", "datum"):
        en, zh = en + _WHICH_DATUM, zh + _WHICH_DATUM_ZH
    return FieldProblem(field=name, code=code, detail=en, detail_en=en, detail_zh=zh)


def _field_name(code: str, place: tuple[str | int, ...]) -> str:
    """Return the name of a parameter, or the place in a body as a JSON pointer."""
    where, *inside = (str(part) for part in place)
    if where != "body":
        return ".".join(inside) or where
    if code == "json_invalid" or not inside:  # the framework gives the number of the character
        return "body"
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in inside)


def _allowed(scope: Scope) -> list[str]:
    """Return the methods of all routes of a path; the framework names those of the first."""
    routes = [each for each in scope["app"].routes if not isinstance(each, Mount)]
    methods = [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(each.matches({**scope, "method": method})[0] is Match.FULL for each in routes)
    ]
    return sorted([*methods, "HEAD"]) if "GET" in methods else methods


def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name.lower()
    zh = _HTTP_CHINESE.get(error.status_code, "请求不能处理")
    headers, detail = error.headers, str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is no such address; /docs lists those there are."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_allowed(request.scope))}
        detail = f"This address takes {headers['Allow']}."
        zh = f"此地址支持的请求方法为 {headers['Allow']}"
    problem = Problem(error.status_code, code, detail, zh, headers=headers)
    return refuse(request.scope, problem)
