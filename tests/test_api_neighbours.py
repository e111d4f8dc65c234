"""Neighbours over HTTP, against shapely's intersections of the polygons."""

import planted
import pytest
import shapely
from fastapi.testclient import TestClient

from geogrid import store
from geogrid.api.app import create_app
from geogrid.api.deps import Settings
from geogrid.edition import Edition, to_metres


@pytest.mark.parametrize("level", ["county", "village", "grid", "microgrid"])
def test_neighbours_share_what_the_intersection_of_the_polygons_measures(
    client, toy_edition, level
):
    table = toy_edition.units[level]
    shapes = to_metres(table.geometry.to_numpy(), "EPSG:4547")
    for row in range(0, len(table), max(1, len(table) // 9)):
        code = table["code"].iat[row]
        answer = client.get(f"/v1/units/{code}/neighbours").json()
        degrees = table.geometry.to_numpy()
        common = shapely.intersection(degrees, degrees[row])
        expected = shapely.length(to_metres(common, "EPSG:4547"))
        expected[row] = 0
        found = {each["code"]: each["border_m"] for each in answer["neighbours"]}
        assert found.keys() == set(table["code"][expected > 0])
        for other, length in zip(table["code"], expected, strict=True):
            assert found.get(other, 0) == pytest.approx(length, abs=0.02)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert answer["border_m"] == pytest.approx(shapely.length(shapes[row]), abs=0.02)
        assert answer["outer_m"] == pytest.approx(answer["border_m"] - sum(found.values()), abs=0.1)


def test_the_city_has_no_neighbours_and_a_code_that_is_none_is_not_found(client):
    answer = client.get("/v1/units/4116/neighbours").json()
    assert answer["neighbours"] == []
    assert answer["outer_m"] == answer["border_m"]
    assert client.get("/v1/units/999/neighbours").status_code == 404


def test_neighbours_of_a_unit_with_a_faulty_border_are_told_by_what_still_fits(
    toy_edition, tmp_path
):
    layers, key = planted.plant(toy_edition, {"overlap sliver": 1}, seed=3)
    store.write_edition(Edition.of(toy_edition.info, layers), tmp_path / "c.gpkg", tables={})
    with TestClient(create_app(Settings(edition=tmp_path / "c.gpkg"))) as client:
        one, other = key[0].codes
        answer = client.get(f"/v1/units/{one}/neighbours").json()
        # A cell of the toy city has one edge a side, so nothing of the bent side fits.
        assert len(answer["neighbours"]) == 3
        assert other not in {each["code"] for each in answer["neighbours"]}
        assert answer["outer_m"] > 200
