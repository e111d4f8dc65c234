"""One position in another datum over HTTP."""

import numpy as np
import pytest

from geogrid import datums
from geogrid.datums import Datum


def test_a_position_goes_to_another_datum_and_back(client):
    ask = {"lon": 114.6497, "lat": 33.6204, "datum": "wgs84", "to": "gcj02"}
    there = client.get("/v1/convert", params=ask).json()
    assert there["datum"] == "gcj02"
    assert (there["lon"], there["lat"]) == pytest.approx((114.6550742, 33.6187537), abs=6e-8)
    back = client.get("/v1/convert", params={**there, "datum": "gcj02"}).json()
    assert back["datum"] == "cgcs2000"
    assert (back["lon"], back["lat"]) == pytest.approx((114.6497, 33.6204), abs=2e-8)
    (expected,) = datums.convert(np.array([[114.6497, 33.6204]]), Datum.BD09, Datum.CGCS2000)
    found = client.get("/v1/convert", params=ask | {"datum": "bd09", "to": "cgcs2000"}).json()
    assert (found["lon"], found["lat"]) == pytest.approx(tuple(expected), abs=1e-8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lon": 1e300},
        {"lat": 91},
        {"datum": "wgs48"},
        {"to": "x"},
        {"lon": "nan"},
        {"z": 1},
        {"lon": 33.62, "lat": 114.62},
        {"lon": 0, "lat": 0},
        {"lon": -245.35},
        {"to": "epsg:4610"},
    ],
)
def test_a_position_that_cannot_be_converted_is_refused_by_field(client, wrong):
    response = client.get(
        "/v1/convert", params={"lon": 114.6, "lat": 33.6, "datum": "gcj02"} | wrong
    )
    assert response.status_code == 422
    assert response.json()["field"] == next(iter(wrong))
    if "lon" in wrong:  # told as a look-up tells it
        asked = {"lon": 114.6, "lat": 33.6, "datum": "gcj02"} | wrong
        told = client.get("/v1/locate", params=asked).json()
        assert (told["code"], told["detail"]) == (
            response.json()["code"],
            response.json()["detail"],
        )
