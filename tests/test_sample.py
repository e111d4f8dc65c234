"""The sample city: real outlines and codes, an invented landscape, the same bytes every time."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from geogrid import sample, store
from geogrid.datums import Datum, convert
from geogrid.errors import UsageError
from geogrid.sample import divisions

PORT = "411671"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sample")
    sample.write(place, counties=["周口临港开发区"], resolution=10, workers=1)
    return place


def layer(folder: Path, name: str) -> gpd.GeoDataFrame:
    return store.read_layer(folder / "boundaries.gpkg", name)


def test_same_arguments_give_the_same_bytes_for_any_number_of_workers(
    folder: Path, tmp_path: Path
) -> None:
    sample.write(tmp_path, counties=[PORT], resolution=10, workers=2)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "README.txt",
        "boundaries.gpkg",
        "buildings.parquet",
        "imagery.tif",
        "incidents.csv",
        "items.csv",
        "truth.gpkg",
        "workers.csv",
    ]
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_another_seed_gives_another_landscape(folder: Path, tmp_path: Path) -> None:
    sample.write(tmp_path, counties=[PORT], resolution=10, seed=2, workers=1)
    assert (folder / "imagery.tif").read_bytes() != (tmp_path / "imagery.tif").read_bytes()


def test_codes_and_names_are_those_of_the_divisions(folder: Path) -> None:
    table = divisions.read_divisions()
    villages = layer(folder, "village")
    own = table[table["parent"].str.startswith(PORT) & (table["level"] == "village")]
    pd.testing.assert_frame_equal(
        villages[["code", "name", "parent", "kind"]].astype(object),
        own[["code", "name", "parent", "kind"]].reset_index(drop=True).astype(object),
    )
    assert list(layer(folder, "county")["name"]) == ["周口临港开发区"]
    assert len(layer(folder, "township")) == 3


@pytest.mark.parametrize("level", ["city", "county", "township", "village"])
def test_every_level_is_a_valid_coverage_on_the_integer_grid(folder: Path, level: str) -> None:
    polygons = layer(folder, level).geometry.to_numpy()
    assert shapely.is_valid(polygons).all()
    assert (shapely.get_type_id(polygons) == 3).all()
    assert shapely.coverage_is_valid(polygons)
    steps = shapely.get_coordinates(polygons) * 1e8
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("level", "above"), [("village", "township"), ("township", "county"), ("county", "city")]
)
def test_levels_nest_edge_for_edge(folder: Path, level: str, above: str) -> None:
    children = layer(folder, level).dissolve("parent").geometry
    parents = layer(folder, above).set_index("code").geometry
    assert (children.index == parents.index).all()
    assert shapely.equals(children.to_numpy(), parents.to_numpy()).all()
    assert abs(shapely.area(children).sum() - shapely.area(parents).sum()) < 1e-12


def test_the_port_zone_lies_in_the_two_counties_that_give_the_land(folder: Path) -> None:
    outlines = divisions.read_outlines(["411602", "411623"])
    zone = layer(folder, "county").geometry[0]
    # Scraps of cells at the border of the two follow their neighbour; both give a good part.
    shares = {code: shapely.intersection(zone, land).area / zone.area
              for code, land in outlines.items()}  # fmt: skip
    assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
    assert min(shares.values()) > 0.2


def test_buildings_stand_in_villages_with_plausible_households(folder: Path) -> None:
    villages = layer(folder, "village").to_crs("EPSG:4547")
    buildings = gpd.read_parquet(folder / "buildings.parquet")
    joined = buildings.sjoin(villages[["code", "kind", "geometry"]], predicate="within")
    assert len(joined) == len(buildings)
    households = joined.groupby("code")["households"].sum().reindex(villages["code"])
    assert households.min() >= 30
    rural = households[(villages["kind"] == "村委会").to_numpy()]
    assert rural.max() <= 800


def test_imagery_covers_every_village_and_shows_something(folder: Path) -> None:
    villages = layer(folder, "village").to_crs("EPSG:4547")
    with rasterio.open(folder / "imagery.tif") as image:
        assert image.overviews(1)
        assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        mask = image.dataset_mask() > 0
        assert image.read(1)[mask].std() > 20
        centres = shapely.get_coordinates(shapely.get_point(villages.exterior.to_numpy(), 0))
        inner = shapely.get_coordinates(villages.representative_point().to_numpy())
        for x, y in np.concatenate([centres, inner]):
            row, col = image.index(x, y)
            assert mask[row, col]


def test_incidents_are_gbk_gcj02_and_a_dozen_of_them_are_bad(folder: Path) -> None:
    table = pd.read_csv(folder / "incidents.csv", encoding="gbk", dtype=str, keep_default_na=False)
    assert len(table) == 200
    assert set(table["item"]) <= set(pd.read_csv(folder / "items.csv", dtype=str)["code"])
    xy = table[["经度", "纬度"]].apply(pd.to_numeric, errors="coerce").to_numpy()
    with np.errstate(invalid="ignore"):
        points = shapely.points(convert(xy, Datum.GCJ02, Datum.CGCS2000))
    inside = shapely.contains(layer(folder, "city").geometry[0], points)
    assert 170 <= inside.sum() <= 188


def test_the_list_of_items_has_55_categories_and_338_items_and_says_it_is_invented(
    folder: Path,
) -> None:
    items = pd.read_csv(folder / "items.csv", dtype=str)
    assert items["category"].nunique() == 55
    assert len(items) == items["code"].nunique() == 338
    assert items["name"].str.contains("虚构").all()
    assert "虚构" in (folder / "README.txt").read_text("utf-8")


def test_truth_lies_where_the_image_shows_it(folder: Path) -> None:
    roads = store.read_layer(folder / "truth.gpkg", "roads")
    assert {"road", "path"} <= set(roads["class"])
    assert len(store.read_layer(folder / "truth.gpkg", "parcels"))


@pytest.mark.parametrize("wanted", [["不存在"], ["411699"], []])
def test_an_unknown_county_is_refused_with_the_list(wanted: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="411602 川汇区"):
        sample.write(tmp_path / "x", counties=wanted)
    assert not (tmp_path / "x").exists()


@pytest.mark.city
def test_the_whole_city_has_all_its_divisions_and_the_area_of_the_outlines(tmp_path: Path) -> None:
    summary = sample.write(tmp_path, resolution=20)
    assert (summary.counties, summary.townships, summary.villages) == (11, 209, 5113)
    assert (summary.incidents, summary.workers) == (20_000, 19_361)
    assert 3.0e6 < summary.households < 3.2e6
    codes = divisions.choose_counties(divisions.read_divisions(), None)
    outlines = divisions.read_outlines(codes)
    land = shapely.union_all(list(outlines.values()))
    assert layer(tmp_path, "city").geometry[0].area == pytest.approx(land.area, rel=1e-9)
