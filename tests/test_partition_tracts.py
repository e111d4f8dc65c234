"""Dedicated sites: cut out of their villages, one grid each, coded 901 to 999."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from test_partition_pipeline import (
    X0,
    Y0,
    assert_proven,
    divided,
    four_villages,
    request_for,
    scene_pixels,
    write_image,
)

from geogrid import store
from geogrid.codes import LEVELS
from geogrid.edition import Edition, snap, to_metres
from geogrid.errors import BoundaryError, QuotaError
from geogrid.partition.pipeline import Division

SCHOOL = shapely.box(X0 + 100, Y0 - 300, X0 + 260, Y0 - 180)  # inside the first village
PARK = shapely.box(X0 + 700, Y0 - 700, X0 + 900, Y0 - 300)  # in the second and the fourth
WORKS = shapely.box(X0 + 10, Y0 - 1000, X0 + 300, Y0 - 900)  # cuts the third in two, and juts out


def write_sites(folder: Path, *shapes: shapely.Geometry, names: list[str] | None = None) -> Path:
    named = names or ["第一中学", "人民公园", "纺织厂"][: len(shapes)]
    frame = gpd.GeoDataFrame({"name": named}, geometry=list(shapes), crs="EPSG:4547")
    store.write_layers(folder / "sites.gpkg", {"sites": frame})
    return folder / "sites.gpkg"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tracts")
    store.write_layers(folder / "boundaries.gpkg", {"village": four_villages()})
    return folder / "boundaries.gpkg", write_image(folder / "imagery.tif", scene_pixels())


def with_sites(inputs: tuple[Path, Path], folder: Path, *sites: shapely.Geometry) -> Division:
    return divided(request_for(*inputs, dedicated=write_sites(folder, *sites)), folder / "work")


def sites_of(edition: Edition) -> gpd.GeoDataFrame:
    grids = edition.units["grid"]
    own = grids[grids["kind"] == "dedicated"].set_index("code")
    return own.set_geometry(
        gpd.GeoSeries(to_metres(own.geometry.to_numpy(), "EPSG:4547"), own.index)
    )


def test_each_site_is_one_grid_with_a_dedicated_code_and_its_own_outline(inputs, tmp_path) -> None:
    division = with_sites(inputs, tmp_path, SCHOOL, PARK, WORKS)
    edition = division.edition
    assert_proven(edition, shapely.union_all(snap(four_villages("EPSG:4490").geometry.to_numpy())))
    found = sites_of(edition)
    assert found["name"].to_dict() == {
        "411602001201901": "第1村第一中学专属网格",
        "411602001202901": "第2村人民公园专属网格",
        "411602001203901": "第3村纺织厂专属网格",
        "411602001204901": "第4村人民公园专属网格",
    }
    villages = four_villages().set_index("code").geometry
    for code, site in (("411602001201901", SCHOOL), ("411602001202901", PARK)):
        whole = site & villages[code[:12]]
        bend = whole.length * 0.002  # vertices that zones insert lie up to a millimetre beside
        assert shapely.symmetric_difference(found.geometry[code], whole).area < bend
    micro = edition.units["microgrid"]
    assert (micro["kind"] == "dedicated").sum() == micro["parent"].isin(found.index).sum() > 0
    basic = edition.units["grid"][edition.units["grid"]["kind"] != "dedicated"]
    assert basic["code"].str[-3:].astype(int).max() < 900
    told = [repair.codes for repair in division.repairs if repair.rule == "site_divided"]
    assert told == [("411602001202", "411602001204")]


def test_a_site_that_cuts_its_village_leaves_two_tracts_of_whole_grids(inputs, tmp_path) -> None:
    strip = shapely.box(X0, Y0 - 1000, X0 + 700, Y0 - 900)
    edition = with_sites(inputs, tmp_path, strip).edition
    assert (shapely.get_type_id(edition.units["grid"].geometry.to_numpy()) == 3).all()
    own = edition.units["grid"]["parent"] == "411602001203"
    assert own.sum() >= 3
    assert (edition.units["grid"][own]["kind"] == "dedicated").sum() == 1


def test_a_corner_beyond_the_border_stays_with_the_village(inputs, tmp_path) -> None:
    juts = shapely.box(X0 + 400, Y0 - 300, X0 + 568, Y0 - 200)  # a few metres into village 2
    found = sites_of(with_sites(inputs, tmp_path, juts).edition)
    assert list(found.index) == ["411602001201901"]


def test_rows_and_workers_in_another_order_give_the_same_edition(inputs, tmp_path) -> None:
    first = with_sites(inputs, tmp_path, SCHOOL, PARK, WORKS).edition
    (tmp_path / "b").mkdir()
    sites = write_sites(
        tmp_path / "b", WORKS, PARK, SCHOOL, names=["纺织厂", "人民公园", "第一中学"]
    )
    other = divided(request_for(*inputs, dedicated=sites), tmp_path / "b/work", workers=2).edition
    for level in LEVELS:
        assert first.units[level].drop(columns="uid").equals(other.units[level].drop(columns="uid"))


def test_sites_and_the_land_beside_them_are_kept_by_the_next_edition(inputs, tmp_path) -> None:
    first = with_sites(inputs, tmp_path, SCHOOL, PARK, WORKS).edition
    store.write_edition(first, tmp_path / "first.gpkg", tables={})
    request = request_for(
        *inputs, dedicated=tmp_path / "sites.gpkg", previous=tmp_path / "first.gpkg",
        date="2027-01-01",
    )  # fmt: skip
    second = divided(request, tmp_path / "next").edition
    for level in ("grid", "microgrid"):
        before, after = first.units[level], second.units[level]
        assert (before["code"].to_numpy() == after["code"].to_numpy()).all()
        assert shapely.equals_exact(before.geometry.to_numpy(), after.geometry.to_numpy()).all()


def test_fixed_counts_of_a_village_hold_with_its_sites(inputs, tmp_path) -> None:
    table = tmp_path / "quotas.csv"
    table.write_text("code,grids,microgrids\n411602001201,3,14\n", encoding="utf-8")
    sites = write_sites(tmp_path, SCHOOL)
    edition = divided(
        request_for(*inputs, dedicated=sites, quotas=table), tmp_path / "work"
    ).edition
    grids = edition.units["grid"]
    own = grids[grids["parent"] == "411602001201"]
    assert len(own) == 3
    assert edition.units["microgrid"]["parent"].isin(own["code"]).sum() == 14
    table.write_text("code,grids\n411602001201,1\n", encoding="utf-8")
    with pytest.raises(QuotaError, match="411602001201 is to have 1 grids; its 2 tracts"):
        divided(request_for(*inputs, dedicated=sites, quotas=table), tmp_path / "work2")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([SCHOOL, shapely.box(X0 + 200, Y0 - 300, X0 + 400, Y0 - 180)], "overlap: .*人民公园"),
        ([shapely.box(X0 - 900, Y0, X0 - 800, Y0 + 90)], "1 dedicated sites lie in no village"),
        ([shapely.Point(X0 + 100, Y0 - 300)], "row 1: Point"),
        ([shapely.Polygon([(X0, Y0), (X0 + 99, Y0 - 99), (X0 + 99, Y0), (X0, Y0 - 99)])],
         "row 1: Self-intersection"),
    ],
)  # fmt: skip
def test_sites_that_cannot_serve_are_refused_by_name_and_place(
    inputs, tmp_path, shapes, message
) -> None:
    with pytest.raises(BoundaryError, match=message):
        with_sites(inputs, tmp_path, *shapes)


def test_more_tracts_than_grids_are_refused(inputs, tmp_path) -> None:
    sites = write_sites(tmp_path, SCHOOL, PARK, WORKS)
    with pytest.raises(QuotaError, match="4 dedicated sites and 4 tracts of other land"):
        divided(request_for(*inputs, dedicated=sites, n_grids=5), tmp_path / "work")


def test_households_of_a_site_count_in_its_grid_alone(inputs, tmp_path) -> None:
    x, y = np.meshgrid(np.arange(X0 + 30, X0 + 1180, 40), np.arange(Y0 - 1180, Y0 - 25, 40))
    houses = gpd.GeoDataFrame(
        {"households": np.full(x.size, 5)},
        geometry=shapely.box(x.ravel(), y.ravel(), x.ravel() + 8, y.ravel() + 8),
        crs="EPSG:4547",
    )
    houses.to_parquet(tmp_path / "houses.parquet")
    request = request_for(
        *inputs, dedicated=write_sites(tmp_path, SCHOOL), households=tmp_path / "houses.parquet"
    )
    grids = divided(request, tmp_path / "work").edition.units["grid"]
    inside = shapely.contains(SCHOOL, shapely.centroid(houses.geometry.to_numpy())).sum() * 5
    assert grids.set_index("code")["households"]["411602001201901"] == inside
