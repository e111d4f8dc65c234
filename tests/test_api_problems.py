"""Errors of the service: one shape, two languages, the place, and nothing of the inside."""

import pytest
from starlette.exceptions import HTTPException

from geogrid.api import problems
from geogrid.errors import ConflictError, DataError, GeogridError, QuotaError, UnknownCodeError


def _scope(accepted: str) -> dict[str, object]:
    headers = [(b"accept-language", accepted.encode())]
    return {"type": "http", "path": "/v1/网格", "headers": headers}


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("de;q=1, zh;q=0.3", "zh"),
        ("en;q=0, zh;q=0.1", "zh"),
        ("en;q=0", "en"),
        ("zh;q=x", "en"),
        (";;,,=", "en"),
        ("ZH-hans", "zh"),
    ],
)
def test_the_language_is_the_one_preferred_of_two(accepted, language):
    assert problems.language(_scope(accepted)) == language


def test_a_problem_says_it_in_the_language_asked_for_and_in_both():
    problem = problems.Problem(422, "swapped", "swapped pair", "经纬度颠倒", field="lon")
    for language, detail in (("zh", "经纬度颠倒"), ("en", "swapped pair")):
        response = problems.refuse(_scope(language), problem)
        document = problems.ProblemDocument.model_validate_json(response.body)
        assert (document.detail, document.detail_en, document.detail_zh) == (
            detail, "swapped pair", "经纬度颠倒",
        )  # fmt: skip
        assert response.headers["content-language"] == language
        assert document.instance == "/v1/%E7%BD%91%E6%A0%BC"  # a URI reference, RFC 9457 3.1.5
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("error", "status"),
    [(UnknownCodeError("x"), 404), (ConflictError("x"), 409), (DataError("x"), 500),
     (QuotaError("x"), 500), (GeogridError("x"), 500)],
)  # fmt: skip
def test_each_error_of_ours_has_a_status(error, status):
    problem = problems.problem_of(error)
    assert problem.status == status
    assert problem.detail_zh.endswith("：x")


def test_headers_of_an_error_are_kept(make_request):
    error = HTTPException(503, headers={"Retry-After": "7"})
    response = problems._on_http_error(make_request, error)
    assert response.headers["retry-after"] == "7"


@pytest.fixture
def make_request():
    from starlette.requests import Request

    return Request(_scope("zh"))


@pytest.mark.parametrize(
    ("place", "field"),
    [
        (("query", "lon"), "lon"),
        (("path", "z"), "z"),
        (("body",), "body"),
        (("body", "lon", 17), "/lon/17"),
        (("body", "a/b~c"), "/a~1b~0c"),
        (("header", "x-datum"), "x-datum"),
    ],
)
def test_the_field_is_a_name_or_a_pointer_into_the_body(place, field):
    assert problems._field_name("missing", place) == field
