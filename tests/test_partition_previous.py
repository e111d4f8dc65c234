"""Going on from an earlier edition: what stays, what changes, and with which codes."""

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
from geogrid.edition import Edition
from geogrid.errors import QuotaError
from geogrid.schema import EXCHANGE_CRS


def houses(crowd: float = 1.0) -> gpd.GeoDataFrame:
    """A house every 40 m; those in the north-west of the first village hold `crowd` times more."""
    x, y = np.meshgrid(np.arange(X0 + 30, X0 + 1180, 40), np.arange(Y0 - 1180, Y0 - 25, 40))
    boxes = shapely.box(x.ravel(), y.ravel(), x.ravel() + 8, y.ravel() + 8)
    corner = (x.ravel() < X0 + 200) & (y.ravel() > Y0 - 350)
    return gpd.GeoDataFrame(
        {"households": np.where(corner, 4.0 * crowd, 4.0)}, geometry=boxes, crs="EPSG:4547"
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Path, Edition]:
    """A folder with the inputs and the first edition."""
    folder = tmp_path_factory.mktemp("previous")
    store.write_layers(folder / "boundaries.gpkg", {"village": four_villages()})
    write_image(folder / "imagery.tif", scene_pixels())
    houses().to_parquet(folder / "houses.parquet")
    request = request_for(
        folder / "boundaries.gpkg", folder / "imagery.tif", households=folder / "houses.parquet"
    )
    edition = divided(request, folder / "work").edition
    store.write_edition(edition, folder / "first.gpkg", tables={})
    return folder, edition


def next_edition(folder: Path, work: str, **changes: object) -> Edition:
    wanted = {
        "households": folder / "houses.parquet",
        "previous": folder / "first.gpkg",
        "date": "2027-01-01",
    } | changes
    boundaries = wanted.pop("boundaries", folder / "boundaries.gpkg")
    request = request_for(Path(str(boundaries)), folder / "imagery.tif", **wanted)
    return divided(request, folder / work).edition


def land() -> shapely.Geometry:
    return four_villages(EXCHANGE_CRS).union_all()


def test_nothing_changes_where_no_norm_is_broken(first) -> None:
    folder, edition = first
    later = next_edition(folder, "same", seed=9, preset="even")
    for level in ("grid", "microgrid"):
        before, now = edition.units[level], later.units[level]
        assert (before["code"] == now["code"]).all()
        assert (before["uid"] == now["uid"]).all()
        assert (now["valid_from"] == "2026-01-01").all()
        assert shapely.equals_exact(before.geometry.to_numpy(), now.geometry.to_numpy()).all()
    assert later.info.parent_id == edition.info.id


def test_only_the_village_whose_norm_is_broken_changes(first, tmp_path) -> None:
    folder, edition = first
    houses(crowd=6.0).to_parquet(tmp_path / "grown.parquet")
    later = next_edition(folder, "grown", households=tmp_path / "grown.parquet")
    assert_proven(later, land())
    assert later.counts() == edition.counts()
    before, now = (one.units["microgrid"].set_index("code") for one in (edition, later))
    elsewhere = ~now.index.str.startswith("411602001201")
    assert set(now.index[~elsewhere]) != set(before.index[before.index.str[:12] == "411602001201"])
    kept = now[elsewhere]
    assert set(kept.index) == set(before.index[~before.index.str.startswith("411602001201")])
    # Neighbours may insert vertices into the common border, a millimetre beside it at most.
    apart = shapely.hausdorff_distance(
        kept.geometry.to_numpy(), before.loc[kept.index].geometry.to_numpy()
    )
    assert apart.max() <= 3e-8
    own = later.units["grid"].set_index("code")["households"]
    own = own[own.index.str.startswith("411602001201")]
    first_village = edition.units["grid"]["code"].str.startswith("411602001201")
    assert len(own) == first_village.sum()
    assert abs(own / own.mean() - 1).max() <= 0.15


def test_units_that_became_others_take_new_serials(first, tmp_path) -> None:
    folder, edition = first
    houses(crowd=6.0).to_parquet(tmp_path / "grown.parquet")
    later = next_edition(folder, "codes", households=tmp_path / "grown.parquet")
    before, now = (one.units["microgrid"].set_index("code") for one in (edition, later))
    new = now.index.difference(before.index)
    assert len(new)
    for code in now.index.intersection(before.index):
        one, other = now.geometry[code], before.geometry[code]
        assert one.intersection(other).area >= 0.9 * one.union(other).area
    for code in new:
        siblings = before.index[before.index.str.startswith(code[:15])]
        assert all(code > sibling for sibling in siblings)


def test_a_village_with_another_outline_is_divided_anew_and_keeps_its_counts(first, tmp_path):
    folder, edition = first
    villages = four_villages()
    corner = shapely.box(X0, Y0 - 120, X0 + 120, Y0)
    villages.loc[0, "geometry"] = villages.geometry[0].difference(corner)
    store.write_layers(tmp_path / "boundaries.gpkg", {"village": villages})
    later = next_edition(folder, "outline", boundaries=tmp_path / "boundaries.gpkg")
    assert_proven(later, villages.to_crs(EXCHANGE_CRS).union_all())
    for level in ("grid", "microgrid"):
        before, now = edition.units[level]["code"], later.units[level]["code"]
        assert before.str[:12].value_counts().to_dict() == now.str[:12].value_counts().to_dict()


def test_counts_that_the_previous_edition_rules_out_are_refused(first) -> None:
    folder, _ = first
    with pytest.raises(QuotaError, match="9 grids cannot be reached: 4 villages have fixed counts"):
        next_edition(folder, "more", n_grids=9)
