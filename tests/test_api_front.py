"""The front answers plain requests before the framework: the same bytes, found by another way."""

import re
from collections.abc import Iterator
from pathlib import Path

import mapbox_vector_tile
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from geogrid._kernels import places
from geogrid.api import lookup, tiles
from geogrid.api.app import create_app
from geogrid.api.deps import Dataset
from geogrid.api.front import Front
from geogrid.api.metrics import Metrics
from geogrid.api.settings import Settings
from geogrid.datums import Datum
from geogrid.edition import to_degrees, to_world


@pytest.fixture(scope="module")
def fast(data: Dataset) -> Iterator[TestClient]:
    """The service as it is."""
    with TestClient(create_app(Settings(edition=Path("toy")), dataset=data)) as client:
        yield client


@pytest.fixture(scope="module")
def slow(data: Dataset) -> Iterator[TestClient]:
    """The service without its front: FastAPI answers everything."""
    app = create_app(Settings(edition=Path("toy")), dataset=data)
    app.user_middleware = [each for each in app.user_middleware if each.cls is not Front]
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def both(fast: TestClient, slow: TestClient) -> tuple[TestClient, TestClient]:
    return fast, slow


def same(both: tuple[TestClient, TestClient], address: str, headers: dict[str, str]) -> None:
    """Ask both; status, headers and body must be equal."""
    named = headers | {"X-Request-Id": "same"}
    one, other = (client.get(address, headers=named) for client in both)
    assert (one.status_code, one.content) == (other.status_code, other.content)
    for each in (one, other):
        each.headers.pop("x-request-id", None)
    assert one.headers == other.headers


near = st.tuples(st.floats(114.59, 114.66), st.floats(33.59, 33.66))
far = st.tuples(st.floats(-200, 200), st.floats(-100, 100))
swapped = near.map(lambda pair: pair[::-1])
datums = st.sampled_from([*(datum.value for datum in Datum), "GCJ02", "wgs48"])
orders = st.permutations(["lon", "lat", "datum"])
digits = st.integers(0, 17)


@given(pair=st.one_of(near, near, far, swapped), datum=datums, order=orders, digits=digits)
def test_look_ups_before_and_behind_the_framework_give_the_same_bytes(
    both, pair, datum, order, digits
):
    given = {"lon": f"{pair[0]:.{digits}f}", "lat": f"{pair[1]:.{digits}f}", "datum": datum}
    query = "&".join(f"{name}={given[name]}" for name in order)
    same(both, f"/v1/locate?{query}", {})


@given(query=st.text(alphabet="lonatdum=&.-+%0123456789 eE_NaNinfwgs84", max_size=60))
def test_any_other_query_gives_the_same_error(both, query):
    same(both, f"/v1/locate?{query}", {"Accept-Language": "zh"})


def test_vertices_are_told_as_the_framework_tells_them(both, data):
    """Points on edges, on the outline, and a step outside it."""
    vertices = to_degrees(data.edition.rings("city").xy)[:12]
    steps = np.array([[0, 0], [0, 1e-8], [-1e-8, 0]])
    for lon, lat in (vertices[:, None] + steps).reshape(-1, 2).tolist():
        same(both, f"/v1/locate?lon={lon:.8f}&lat={lat:.8f}&datum=cgcs2000", {})


@given(
    lon=st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{0,18})?", fullmatch=True),
    lat=st.decimals(-99, 99, places=12).map("{:f}".format),
    name=st.sampled_from([*(datum.value for datum in Datum), "wgs", "wgs844", ""]),
)
def test_numbers_and_datums_are_read_as_python_reads_them(lon, lat, name):
    values = np.array([datum.value.encode() for datum in Datum])
    names = values.view(np.uint8).reshape(len(values), -1)
    query = f"lat={lat}&datum={name}&lon={lon}".encode()
    east, north, datum = places.plain(query, names)
    if datum < 0:
        digits = len(re.sub(r"\D", "", lon).lstrip("0"))
        odd = re.fullmatch(r"-?\d{1,3}(\.\d{1,17})?", lon) is None
        assert odd or digits > 15 or name not in [each.value for each in Datum]
    else:
        assert (east, north) == (float(lon), float(lat))
        assert list(Datum)[datum].value == name


@pytest.mark.parametrize(
    ("query", "plain"),
    [
        (b"lon=114.62&lat=33.62&datum=wgs84", True),
        (b"datum=bd09&lat=33.62&lon=114.62", True),
        (b"lon=0.5&lat=0.5&datum=wgs84", True),
        (b"lon=114.62&lat=33.62", False),
        (b"lon=114.62&lat=33.62&datum=WGS84", False),
        (b"lon=114.62&lat=33.62&datum=wgs84&", False),
        (b"lon=114.62&lat=33.62&datum=wgs84&lon=1", False),
        (b"lon=114.62&lon=33.62&lat=33.6&datum=wgs84", False),
        (b"lon=33.62&lat=114.62&datum=wgs84", False),
        (b"lon=+114.62&lat=33.62&datum=wgs84", False),
        (b"lon=1e2&lat=33.62&datum=wgs84", False),
        (b"lon=1_0&lat=33.62&datum=wgs84", False),
        (b"lon=nan&lat=33.62&datum=wgs84", False),
        (b"lon=0&lat=0&datum=wgs84", False),
        (b"lon=%31&lat=33.62&datum=wgs84", False),
        ("lon=１１４&lat=33.62&datum=wgs84".encode(), False),
        (b"", False),
    ],
)
def test_the_front_answers_what_is_plain_only(data, query, plain):
    assert (lookup.locate_quickly(data, query, Metrics()) is not None) is plain


@given(
    zoom=st.integers(-1, 17),
    pair=st.one_of(near, far.filter(lambda pair: abs(pair[1]) < 85)),
    asked=st.tuples(
        st.sampled_from(["", "*", '"other"', "own", 'W/"x", own']),
        st.sampled_from(["gzip", "identity", "gzip;q=0"]),
        st.sampled_from(["", "own/", "0123456789abcdef-0.1.0/"]),
    ),
)
def test_tiles_before_and_behind_the_framework_give_the_same_bytes(both, data, zoom, pair, asked):
    known, encoding, version = asked
    x, y = (to_world(np.array([pair]))[0] * 2.0**zoom).astype(int).tolist()
    headers = {"Accept-Encoding": encoding}
    address = f"/tiles/{version.replace('own', data.version)}{zoom}/{x}/{y}.mvt"
    if known:
        own = both[1].get(address, headers=headers).headers.get("etag", "")
        headers["If-None-Match"] = known.replace("own", own)
    same(both, address, headers)


def test_a_tile_of_a_version_may_be_kept_for_ever_and_another_version_is_refused(fast, data):
    x, y = (to_world(np.array([[114.62, 33.62]]))[0] * (1 << 13)).astype(int).tolist()
    response = fast.get(f"/tiles/{data.version}/13/{x}/{y}.mvt")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.content == fast.get(f"/tiles/13/{x}/{y}.mvt").content
    assert "microgrid" in mapbox_vector_tile.decode(response.content)
    other = fast.get(f"/tiles/{'0' * 16}-0.1.0/13/{x}/{y}.mvt")
    assert (other.status_code, other.json()["code"]) == (410, "unknown_version")
    assert data.version in other.json()["detail"]


def test_the_front_does_answer_tiles(data):
    asked = tiles.Headers({})
    assert tiles.vector_answer_quickly(data, "/tiles/12/0/0.mvt", asked).status_code == 204
    assert tiles.vector_answer_quickly(data, "/tiles/6/0/0.mvt", asked) is None
    known = tiles.Headers({"if-none-match": "*"})
    assert tiles.vector_answer_quickly(data, "/tiles/6/0/0.mvt", known).status_code == 304


def test_an_answer_names_the_revision_and_is_not_kept(fast, data):
    response = fast.get("/v1/locate?lon=114.62&lat=33.62&datum=wgs84")
    assert response.headers["x-dataset-revision"] == data.revision == response.json()["revision"]
    assert response.headers["cache-control"] == "no-store"
