"""The whole interface against its own description: no input is a server error, all answers fit."""

from collections.abc import Iterator
from urllib.parse import quote

import numpy as np
import pytest
import rasterio
import requests
import schemathesis
from attackers import Service, serving
from conftest import build_toy_edition
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rasterio.transform import from_bounds
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from geogrid import store
from geogrid.api.app import create_app
from geogrid.api.settings import Settings

# rasterio 1.4 multiplies transforms in the way that affine 3.1 discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

# What an answer must be, whatever was asked.
CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance,
]  # fmt: skip

_QUIET = {"deadline": None, "derandomize": True, "database": None,
          "suppress_health_check": list(HealthCheck)}  # fmt: skip
_FEW = settings(max_examples=10, phases=[Phase.explicit, Phase.generate], **_QUIET)
_MANY = settings(max_examples=150, phases=[Phase.explicit, Phase.generate], **_QUIET)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with an image, as a process of its own."""
    folder = tmp_path_factory.mktemp("schema")
    store.write_edition(build_toy_edition(), folder / "city.gpkg", tables={})
    profile = {
        "driver": "GTiff", "width": 256, "height": 256, "count": 3, "dtype": "uint8",
        "crs": "EPSG:4326", "transform": from_bounds(114.60, 33.60, 114.65, 33.65, 256, 256),
    }  # fmt: skip
    with rasterio.open(folder / "image.tif", "w", **profile) as file:
        file.write(np.full((3, 256, 256), 120, np.uint8))
    options = ("--imagery", str(folder / "image.tif"))
    with serving(folder / "city.gpkg", *options, reload_seconds=0, access_log="") as service:
        yield service
    assert not [line for line in service.said if " failed: " in line]


DESCRIPTION = schemathesis.openapi.from_dict(create_app(Settings(edition="none.gpkg")).openapi())
OPERATIONS = [each.ok() for each in DESCRIPTION.get_all_operations()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.label)
def test_every_answer_fits_the_description(service, operation):
    """Requests that fit the description and requests that do not."""

    @_FEW
    @given(case=operation.as_strategy(GenerationMode.POSITIVE))
    def fitting(case: schemathesis.Case) -> None:
        case.call_and_validate(address(service), checks=CHECKS, timeout=30)

    @_FEW
    @given(case=operation.as_strategy(GenerationMode.NEGATIVE))
    def unfit(case: schemathesis.Case) -> None:
        case.call_and_validate(address(service), checks=CHECKS, timeout=30)

    fitting()
    if operation.query or operation.body:  # a text in a path fits whatever it is
        unfit()


number = st.one_of(
    st.integers(), st.integers(0, 30), st.floats().map(repr), st.text(max_size=5),
    st.sampled_from(["@2x@2x", "1.5", "-0", "٣", "1_0", "0x10", " 1", "%00", "..", ""]),
).map(str)  # fmt: skip


@_MANY
@given(place=st.tuples(number, number, number), form=st.sampled_from([
    "/tiles/{}/{}/{}.mvt", "/imagery/tiles/{}/{}/{}", "/tiles/v/{}/{}/{}.mvt",
]))  # fmt: skip
def test_no_address_of_a_tile_is_a_server_error(service, place, form):
    path = form.format(*(quote(each, safe="") for each in place))
    answer = requests.get(address(service) + path, timeout=30)
    assert answer.status_code in (200, 204, 400, 404, 410, 422), path
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


def address(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"
