"""Look-ups of one position with everything that callers get wrong, by the number of the case."""

import numpy as np
import pytest
import shapely

from geogrid.api.models import Place
from geogrid.api.problems import ProblemDocument
from geogrid.edition import to_degrees

GOOD = {"lon": "114.62", "lat": "33.62", "datum": "cgcs2000"}


@pytest.mark.parametrize(
    ("change", "code", "field", "advice"),
    [
        pytest.param({"lon": "NaN"}, "finite_number", "lon", "", id="not-a-number"),
        pytest.param({"lon": "-Infinity"}, "finite_number", "lon", "", id="infinity"),
        pytest.param({"lat": "1e400"}, "finite_number", "lat", "", id="beyond-floats"),
        pytest.param({"lat": "9" * 5000}, "finite_number", "lat", "", id="5000-digits"),
        pytest.param({"lon": "null"}, "float_parsing", "lon", "", id="null"),
        pytest.param({"lat": None}, "missing", "lat", "", id="missing"),
        pytest.param({"lon": '"114.6"'}, "float_parsing", "lon", "", id="quoted"),
        pytest.param({"lon": "true"}, "float_parsing", "lon", "", id="true"),
        pytest.param({"lon": "[114.62,33.62]"}, "float_parsing", "lon", "", id="a-pair"),
        pytest.param(
            {"lon": "33.6", "lat": "114.6"}, "swapped", "lon", "114.6000000, 33.6", id="swapped"
        ),
        pytest.param({"lon": "181"}, "out_of_range", "lon", "", id="lon-181"),
        pytest.param({"lon": "-245.35"}, "out_of_range", "lon", "", id="once-round"),
        pytest.param({"lat": "91"}, "out_of_range", "lat", "", id="lat-91"),
        pytest.param({"lon": "0", "lat": "0"}, "no_coordinates", "lon", "phone", id="null-island"),
        pytest.param(
            {"lon": "557553", "lat": "3721433"}, "out_of_range", "lat", "metres", id="metres"
        ),
        pytest.param({"lon": "１１４.62"}, "float_parsing", "lon", "", id="full-width"),
        pytest.param({"lon": "1_0"}, "float_parsing", "lon", "", id="underscore"),
        pytest.param({"lon": "0x10"}, "float_parsing", "lon", "", id="hexadecimal"),
        pytest.param({"lon": " 114.62"}, "float_parsing", "lon", "", id="leading-blank"),
        pytest.param({"lon": "114,62"}, "float_parsing", "lon", "", id="comma"),
        pytest.param({"lon": "114°37'"}, "float_parsing", "lon", "", id="minutes"),
        pytest.param({"lon": ""}, "float_parsing", "lon", "", id="empty"),
        pytest.param({"lon": ["114.62", "33.62"]}, "repeated", "lon", "2 times", id="twice"),
        pytest.param({"Lon": "114.62"}, "extra_forbidden", "Lon", "", id="another-case"),
        pytest.param({"key": "secret"}, "extra_forbidden", "key", "", id="unknown"),
        pytest.param({"datum": "wgs48"}, "unknown_datum", "datum", "wgs84", id="wgs48"),
        pytest.param({"datum": "xian80"}, "unknown_datum", "datum", "gcj02", id="xian80"),
        pytest.param({"datum": ""}, "unknown_datum", "datum", "bd09", id="empty-datum"),
        pytest.param({"datum": None}, "missing", "datum", "", id="no-datum"),
    ],
)
def test_what_cannot_be_right_is_refused_with_advice(client, change, code, field, advice):
    asked = {name: text for name, text in (GOOD | change).items() if text is not None}
    response = client.get("/v1/locate", params=asked)
    problem = ProblemDocument.model_validate_json(response.content)
    assert response.headers["content-type"] == "application/problem+json"
    assert (problem.status, problem.code, problem.field) == (422, code, field)
    assert advice in problem.detail
    assert any("\u4e00" <= letter <= "\u9fff" for letter in problem.detail_zh)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/locate", 405),
        ("PUT", "/v1/locate/batch", 405),
        ("GET", "/v1/locate/%00", 404),
        ("GET", "/v1/jobs/%2e%2e%2fetc", 404),
    ],
)
def test_another_method_or_path_is_a_problem(client, method, path, status):
    response = client.request(method, path, follow_redirects=False)
    assert response.status_code == status
    assert ProblemDocument.model_validate_json(response.content).status == status
    assert status != 405 or response.headers["allow"]


def test_a_wrong_method_is_told_all_that_are_right(client):
    assert client.patch("/v1/jobs/x").headers["allow"] == "DELETE, GET, HEAD"


def test_every_error_is_described_as_what_it_is(client):
    document = client.get("/openapi.json").json()
    assert "ProblemDocument" in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status.startswith("4"):
                    assert list(response["content"]) == ["application/problem+json"], path


def test_a_corner_where_four_meet_is_the_lowest_codes(client, data):
    microgrids = data.edition["microgrid"]
    corner = shapely.intersection_all(microgrids.geom.iloc[[0, 1, 2, 3]].to_numpy())
    lon, lat = corner.x, corner.y
    asked = GOOD | {"lon": f"{lon:.8f}", "lat": f"{lat:.8f}"}
    answer = Place.model_validate(client.get("/v1/locate", params=asked).json())
    assert (answer.on_edge, answer.edge_m) == (True, 0)
    assert answer.microgrid_code == microgrids.code.iloc[:4].min()
    assert answer.chain[-1].code == answer.microgrid_code
    assert answer.chain[-2].code == answer.grid_code


def test_the_outline_is_inside_and_a_step_beyond_it_is_outside_with_its_distance(client, data):
    west = to_degrees(data.edition.rings("city").xy)
    lon, lat = west[np.argmin(west[:, 0])]
    on = client.get("/v1/locate", params=GOOD | {"lon": f"{lon:.8f}", "lat": f"{lat:.8f}"}).json()
    assert (on["status"], on["on_edge"], on["edge_m"]) == ("hit", True, 0)
    beyond = GOOD | {"lon": f"{lon - 1e-6:.8f}", "lat": f"{lat:.8f}"}
    out = client.get("/v1/locate", params=beyond).json()
    assert (out["status"], out["grid_code"], out["chain"]) == ("outside", None, [])
    assert out["edge_m"] == pytest.approx(0.09, abs=0.011)
    beside = data.edition["microgrid"].set_index("code").loc[out["neighbour_code"]]
    assert beside.geom.touches(shapely.Point(lon, lat))
    assert out["neighbour_name"] == beside["name"]
