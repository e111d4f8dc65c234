"""Boxes in every reference system against shapely on the tables, and boxes that are none."""

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

ITEMS = "/collections/microgrid/items"
PROBLEM = "application/problem+json"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
NORTH_FIRST = {"4490": True, "4326": True, "4547": True, "3857": False}
SYSTEMS = {CRS84: (None, False)} | {
    f"http://www.opengis.net/def/crs/EPSG/0/{code}": (f"EPSG:{code}", north)
    for code, north in NORTH_FIRST.items()
}
STEPS = 1000
"""A corner is a place on a lattice of the city's box and a third of it around."""
SLACK = 0.01
"""Metres. A side that is straight in metres is bent in degrees, where the service compares."""


@pytest.fixture(scope="module")
def projected(toy_edition) -> dict[str, np.ndarray]:
    """The micro-grids in each system, east before north, by pyproj."""
    shapes = toy_edition.units["microgrid"].geometry.to_numpy()
    found = {}
    for uri, (crs, _) in SYSTEMS.items():
        if crs in (None, "EPSG:4490", "EPSG:4326"):  # equal numbers
            found[uri] = shapes
        else:
            way = pyproj.Transformer.from_crs("EPSG:4490", crs, always_xy=True)
            found[uri] = shapely.transform(
                shapes, lambda xy, way=way: np.column_stack(way.transform(*xy.T))
            )
    return found


place = st.integers(-STEPS // 3, STEPS + STEPS // 3)
corners = st.tuples(place, place, place, place)
heights = st.one_of(st.none(), st.tuples(st.integers(-99, 0), st.integers(0, 99)))


@pytest.mark.parametrize("uri", SYSTEMS)
def test_a_box_selects_what_intersects_it_in_its_own_system(client, toy_edition, projected, uri):
    codes, shapes = toy_edition.units["microgrid"]["code"].to_numpy(str), projected[uri]
    west, south, east, north = shapely.total_bounds(shapes)
    _, north_first = SYSTEMS[uri]
    slack = SLACK if east - west > 360 else 0.0

    @settings(max_examples=40)
    @given(corners=corners, heights=heights)
    def selects(corners, heights):
        x = west + np.sort(corners[:2]) * ((east - west) / STEPS)
        y = south + np.sort(corners[2:]) * ((north - south) / STEPS)
        ends = np.column_stack([y, x] if north_first else [x, y]).tolist()
        if heights is not None:
            ends = [[*end, height] for end, height in zip(ends, heights, strict=True)]
        asked = {"bbox": ",".join(map(repr, [*ends[0], *ends[1]])), "bbox-crs": uri, "limit": 300}
        answer = client.get(ITEMS, params=asked)
        assert answer.status_code == 200, answer.text
        found = {feature["id"] for feature in answer.json()["features"]}
        assert answer.json()["numberMatched"] == answer.json()["numberReturned"] == len(found)
        box = shapely.multipoints(np.column_stack([x, y])).envelope  # a point, a line or an area
        if not slack:
            assert found == set(codes[shapely.intersects(shapes, box)])
            return
        surely, perhaps = (
            set(codes[shapely.intersects(shapes, shapely.buffer(box, way * slack))])
            for way in (-1, 1)
        )
        assert surely <= found <= perhaps

    selects()


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)
not_finite = st.sampled_from(["nan", "inf", "-inf", "1e999", "", " ", "x", "1_0x", "0x1", "1;2"])


@st.composite
def _no_boxes(draw) -> str:
    """Too few or too many numbers, one that is none, or the second corner before the first."""
    kind = draw(st.sampled_from(["length", "number", "order"]))
    if kind == "length":
        n = draw(st.sampled_from([1, 2, 3, 5, 7, 8, 30]))
        return ",".join(draw(st.lists(numbers, min_size=n, max_size=n)))[:400]
    n = draw(st.sampled_from([4, 6]))
    if kind == "number":
        parts = draw(st.lists(numbers, min_size=n, max_size=n))
        parts[draw(st.integers(0, n - 1))] = draw(not_finite)
        return ",".join(parts)
    low, high = draw(st.floats(-80, 80)), draw(st.floats(0.001, 9))
    parts = [low] * n
    parts[draw(st.sampled_from([0, 1]))] = low + high
    return ",".join(map(repr, parts))


@settings(max_examples=100)
@given(box=_no_boxes(), uri=st.sampled_from(list(SYSTEMS)))
def test_what_is_no_box_is_refused_with_a_problem(client, box, uri):
    answer = client.get(ITEMS, params={"bbox": box, "bbox-crs": uri})
    assert answer.status_code in (400, 422), (box, answer.text)
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["detail_zh"]


@settings(max_examples=80)
@given(
    box=st.one_of(st.text(max_size=40), st.lists(numbers, min_size=4, max_size=6).map(",".join)),
    uri=st.one_of(st.sampled_from(list(SYSTEMS)), st.text(max_size=20)),
)
def test_no_box_is_a_server_error(client, box, uri):
    answer = client.get(ITEMS, params={"bbox": box, "bbox-crs": uri, "limit": 1})
    assert answer.status_code in (200, 400, 422), (box, uri, answer.text)
    assert answer.status_code == 200 or answer.headers["content-type"] == PROBLEM
