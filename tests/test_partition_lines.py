"""Given lines, and the ones that divide."""

from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely

from geogrid.errors import DataError
from geogrid.partition.atoms import grow
from geogrid.partition.barriers import Barriers, impose
from geogrid.partition.lines import read_lines
from geogrid.partition.zones import assign

CRS = "EPSG:4547"


def write(path: Path, wkt: list[str], **columns: list[str | None]) -> Path:
    frame = gpd.GeoDataFrame(columns, geometry=shapely.from_wkt(wkt), crs=CRS)
    frame.to_file(path)
    return path


def test_rivers_railways_and_expressways_divide_and_other_lines_do_not(tmp_path) -> None:
    kinds = ["river", "road", "Railway", "高速公路", "motorway_link", "canal", None]
    path = write(
        tmp_path / "lines.gpkg",
        [f"LINESTRING (0 {10 * k}, 100 {10 * k})" for k in range(7)],
        kind=kinds,
    )
    assert read_lines(path, CRS).dividing.tolist() == [True, False, True, True, *[False] * 3]


def test_a_dividing_line_is_open_where_a_road_crosses_it(tmp_path) -> None:
    path = write(
        tmp_path / "lines.gpkg",
        [
            "MULTILINESTRING ((0 50, 60 50), (60 50, 100 50))",
            "LINESTRING (20 0, 20 100)",
            "LINESTRING (70 50, 70 100)",
            "LINESTRING (90 0, 90 100)",
        ],
        waterway=["river", None, None, None],
        railway=[None, None, None, "rail"],
    )
    lines = read_lines(path, CRS)
    assert len(lines.shapes) == 5
    assert lines.crossings.tolist() == [[20, 50]]
    assert lines.near(shapely.box(80, 0, 100, 20)).dividing.tolist() == [True]
    assert len(lines.near(shapely.box(80, 0, 100, 20)).crossings) == 0


def test_a_file_without_lines_is_refused(tmp_path) -> None:
    path = write(tmp_path / "points.gpkg", ["POINT (0 0)"], kind=["river"])
    with pytest.raises(DataError, match="no lines"):
        read_lines(path, CRS)


def land_with_river(*, bridge: bool) -> tuple[Barriers, np.ndarray]:
    """A plain of 40 x 60 pixels and a river from north-west to south-east."""
    rng = np.random.default_rng(3)
    relief = rng.integers(500, 1500, (40, 60)).astype(np.uint16)
    seen = Barriers(relief, np.zeros((40, 60, 3), np.int16), np.zeros((40, 60), np.float32))
    river = np.array([[10, -1], [40, 41]], np.int32)
    walls = np.zeros((40, 60), np.uint8)
    cv2.polylines(walls, [river], isClosed=False, color=1)
    if bridge:
        cv2.circle(walls, (25, 20), 3, color=0, thickness=-1)
    return impose(seen, np.zeros((40, 60), bool), [river], walls > 0), walls > 0


@pytest.mark.parametrize("bridge", [False, True])
def test_no_zone_reaches_across_a_river_but_by_a_bridge(*, bridge: bool) -> None:
    barriers, _ = land_with_river(bridge=bridge)
    inside = np.ones((40, 60), bool)
    mass = np.full((40, 60), 60 / 2400, np.float32)
    atoms = grow(barriers, inside, mass=mass, weight=mass)
    row, col = np.indices((40, 60))
    line = 10 + (row + 1) * 30 / 42
    west, east = (set(atoms.labels[side]) for side in (col < line - 2, col > line + 2))
    assert not west & east
    across = np.isin(atoms.first, list(west)) != np.isin(atoms.second, list(west))
    assert across.any()
    assert atoms.shut[across].all() != bridge
    assert not atoms.shut[~across].any()
    grid, microgrid = assign(atoms, n_grids=3, n_microgrids=12, seed=1)
    if not bridge:
        for zone in (grid, microgrid):
            assert not set(zone[list(west)]) & set(zone[list(east)])
