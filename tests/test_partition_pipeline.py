"""From boundaries and imagery to an edition: on drawn scenes, on real ones, and on bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from geogrid import store
from geogrid.edition import Edition, snap
from geogrid.errors import (
    BoundaryError,
    DataError,
    GeogridError,
    ImageryError,
    QuotaError,
    UsageError,
)
from geogrid.parallel import Engine
from geogrid.partition.pipeline import Division, Request, partition
from geogrid.schema import GRID_UNIT

STEP = 4.0
SIDE = 300  # pixels: a scene of 1.2 km
X0, Y0 = 560_000.0, 3_720_000.0


def scene_pixels(seed: int = 3) -> np.ndarray:
    """Blocks of crops with noise, and a road across: (3, SIDE, SIDE) uint8."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(60, 190, (SIDE // 25, SIDE // 15, 3))
    image = blocks.repeat(25, 0).repeat(15, 1)[:SIDE, :SIDE].astype(float)
    image[148:151] = 215
    image += rng.normal(0, 4, image.shape)
    return np.moveaxis(np.clip(image, 0, 255).astype(np.uint8), -1, 0)


def write_image(path: Path, pixels: np.ndarray, **changes: object) -> Path:
    profile = {
        "driver": "GTiff", "width": pixels.shape[2], "height": pixels.shape[1],
        "count": pixels.shape[0], "dtype": pixels.dtype, "crs": "EPSG:4547",
        "transform": Affine(STEP, 0, X0, 0, -STEP, Y0),
    } | changes  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels)
    return path


def four_villages(crs: str = "EPSG:4547") -> gpd.GeoDataFrame:
    """Four villages that meet at a crooked cross inside the scene."""
    w, e, s, n = X0 + 20, X0 + 1180, Y0 - 1180, Y0 - 20
    top, right, foot, left = (X0 + 580, n), (e, Y0 - 480), (X0 + 660, s), (w, Y0 - 700)
    hub = (X0 + 540, Y0 - 610)
    rings = [
        [(w, n), left, hub, top], [top, hub, right, (e, n)],
        [left, (w, s), foot, hub], [hub, foot, (e, s), right],
    ]  # fmt: skip
    frame = gpd.GeoDataFrame(
        {"code": [f"41160200120{k}" for k in range(1, 5)],
         "name": [f"第{k}村" for k in range(1, 5)],
         "parent": ["411602001"] * 4, "kind": ["村委会"] * 4},
        geometry=[shapely.Polygon(ring) for ring in rings], crs="EPSG:4547",
    )  # fmt: skip
    return frame.to_crs(crs)


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    store.write_layers(tmp_path / "boundaries.gpkg", {"village": four_villages()})
    return tmp_path / "boundaries.gpkg", write_image(tmp_path / "imagery.tif", scene_pixels())


def request_for(boundaries: Path, imagery: Path, **changes: object) -> Request:
    wanted = {"n_grids": 8, "n_microgrids": 40, "date": "2026-01-01"} | changes
    return Request(boundaries, imagery, **wanted)  # type: ignore[arg-type]


def divided(request: Request, folder: Path, workers: int = 1) -> Division:
    folder.mkdir(exist_ok=True)
    return partition(request, folder, engine=Engine(workers))


def assert_proven(edition: Edition, land: shapely.Geometry) -> None:
    """Prove the coverage of `land` (degrees) by GEOS overlay, not by pairing half-edges."""
    square_degree = 1e10  # m², about
    for level, table in edition.units.items():
        polygons = table.geometry.to_numpy()
        assert shapely.is_valid(polygons).all(), level
        assert (shapely.get_type_id(polygons) == 3).all(), level
        assert shapely.coverage_is_valid(polygons), level
        union = shapely.union_all(polygons)
        assert len(shapely.get_rings(union)) == 1, level
        assert abs(shapely.area(polygons).sum() - union.area) * square_degree < 1e-3, level
        # Whole steps of the grid, and the vertices inserted, bend an outline by up to a millimetre.
        bend = land.length * GRID_UNIT
        assert shapely.symmetric_difference(union, land).area < bend, level
    for level, above in (("microgrid", "grid"), ("grid", "village"), ("village", "township")):
        table = edition.units[level].set_index("parent").geometry
        for code, geometry in edition.units[above].set_index("code").geometry.items():
            members = shapely.union_all(np.atleast_1d(table.loc[[code]].to_numpy()))
            assert shapely.equals(members, geometry), (level, code)


def test_counts_are_exact_and_the_coverage_is_proven_by_overlay(inputs, tmp_path: Path) -> None:
    division = divided(request_for(*inputs), tmp_path / "work")
    counts = division.edition.counts()
    assert (counts["village"], counts["grid"], counts["microgrid"]) == (4, 8, 40)
    assert division.findings.ok
    assert division.findings.coverage_rate["microgrid"] == 1.0
    land = snap(four_villages("EPSG:4490").geometry.to_numpy())
    assert_proven(division.edition, shapely.union_all(land))
    micro, grid = division.edition.units["microgrid"], division.edition.units["grid"]
    assert micro.groupby("parent").size().min() >= 1
    assert set(micro["parent"]) == set(grid["code"])
    assert (micro["code"].str[:15] == micro["parent"]).all()
    assert division.edition.info.weights.startswith("built-up area")


def test_borders_follow_what_the_imagery_shows(inputs, tmp_path: Path) -> None:
    for level in divided(request_for(*inputs), tmp_path / "work").report.levels:
        assert level.seen > 1.3 * level.seen_by_chance


def test_borders_follow_given_lines_where_nothing_else_shows(inputs, tmp_path: Path) -> None:
    boundaries, imagery = inputs
    write_image(imagery, np.full((3, SIDE, SIDE), 120, np.uint8))
    lines = [
        shapely.LineString([(X0, Y0 - 150 * k - 40), (X0 + 1200, Y0 - 150 * k)]) for k in range(8)
    ]
    lined = gpd.GeoDataFrame({"name": "road"}, index=range(8), geometry=lines, crs="EPSG:4547")
    store.write_layers(tmp_path / "roads.gpkg", {"roads": lined})
    request = request_for(boundaries, imagery, barriers=tmp_path / "roads.gpkg")
    for level in divided(request, tmp_path / "work").report.levels:
        assert level.lined > 4 * level.lined_by_chance > 0
        assert level.seen == level.seen_by_chance == 0
        shares = [getattr(level, f"border_{name}") for name in
                  ("seen", "lined", "link", "unseen", "administrative")]  # fmt: skip
        assert sum(shares) == pytest.approx(1, abs=1e-9)


def test_all_inner_borders_are_known_and_measured_as_in_the_edition(inputs, tmp_path: Path) -> None:
    """The weak borders of a picture of nothing are all inner borders: measure them by overlay."""
    boundaries, imagery = inputs
    write_image(imagery, np.full((3, SIDE, SIDE), 120, np.uint8))
    division = divided(request_for(boundaries, imagery), tmp_path / "work")
    weak = division.report.weak_edges
    edition = division.edition
    outlines = edition.units["village"].to_crs("EPSG:4547").boundary.union_all().length
    rim = edition.units["city"].to_crs("EPSG:4547").length.sum()
    for found in division.report.levels:
        table = edition.units[found.level].to_crs("EPSG:4547")
        shape_of, listed = table.set_index("code").geometry, weak[weak["level"] == found.level]
        for row in listed.itertuples():
            shared = shapely.intersection(shape_of[row.code], shape_of[row.neighbour_code])
            assert row.length_m == pytest.approx(shared.length, rel=0.01, abs=0.2)
        inner = (table.length.sum() - rim) / 2 - (outlines - rim)
        assert found.border_administrative == pytest.approx(outlines / (inner + outlines), rel=1e-3)
        # What is not listed is shorter than 20 m.
        assert 0.98 * inner < listed["length_m"].sum() < inner + 1


def test_same_bytes_for_any_number_of_workers_and_any_order_of_rows(inputs, tmp_path: Path) -> None:
    boundaries, imagery = inputs
    far = four_villages()
    far["code"] = far["code"].str.replace("411602001", "411602002")
    far["parent"] = "411602002"
    far.geometry = far.geometry.translate(0, -1160)
    both = gpd.pd.concat([four_villages(), far], ignore_index=True)
    both.geometry = shapely.set_precision(both.geometry.to_numpy(), 0.001)
    tall = np.concatenate([scene_pixels(), scene_pixels(4)], axis=1)
    write_image(imagery, tall)
    digests = set()
    for run, (workers, order) in enumerate([(1, 1), (2, 1), (2, -1)]):
        store.write_layers(boundaries, {"village": both.iloc[::order]})
        edition = divided(
            request_for(boundaries, imagery, n_grids=16, n_microgrids=80),
            tmp_path / f"work{run}", workers,
        ).edition  # fmt: skip
        store.write_edition(edition, tmp_path / "city.gpkg", tables={})
        digests.add((edition.info.digest, (tmp_path / "city.gpkg").read_bytes()))
    assert len(digests) == 1


def test_households_are_counted_where_the_buildings_stand(inputs, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    xy = rng.uniform([X0 + 60, Y0 - 1100], [X0 + 1100, Y0 - 60], (300, 2))
    houses = gpd.GeoDataFrame(
        {"户数": rng.integers(1, 6, 300)}, geometry=gpd.points_from_xy(*xy.T), crs="EPSG:4547"
    )
    store.write_layers(tmp_path / "houses.gpkg", {"houses": houses})
    request = request_for(*inputs, households=tmp_path / "houses.gpkg")
    edition = divided(request, tmp_path / "work").edition
    assert edition.info.weights == "households"
    for table in edition.units.values():
        assert table["households"].sum() == houses["户数"].sum()
    grid = edition.units["grid"].to_crs("EPSG:4547").iloc[0]
    assert grid["households"] == houses["户数"][houses.within(grid.geom)].sum()


def test_a_killed_run_goes_on_and_gives_the_same_bytes(inputs, tmp_path: Path) -> None:
    whole = divided(request_for(*inputs), tmp_path / "whole").edition.info.digest
    folder = tmp_path / "killed"
    divided(request_for(*inputs), folder)
    next(folder.glob("*.zones.npz")).unlink()
    grown = next(folder.glob("*.atoms.npz")).stat().st_mtime_ns
    assert divided(request_for(*inputs), folder).edition.info.digest == whole
    assert next(folder.glob("*.atoms.npz")).stat().st_mtime_ns == grown


# ---- imagery of every make -------------------------------------------------------------------


def as_16_bit(path: Path) -> None:
    write_image(path, scene_pixels().astype(np.uint16) * 40 + 300)


def as_one_band(path: Path) -> None:
    write_image(path, scene_pixels().mean(axis=0, keepdims=True).astype(np.uint8))


def as_palette(path: Path) -> None:
    table = {k: (k, 255 - k, (3 * k) % 256, 255) for k in range(256)}
    write_image(path, scene_pixels()[:1])
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, table)


def as_rotated(path: Path) -> None:
    turned = Affine(5.94, 0.83, X0 - 300, 0.83, -5.94, Y0 + 60)
    write_image(path, scene_pixels(), transform=turned)


def as_degrees(path: Path) -> None:
    west, _, east, north = four_villages("EPSG:4490").total_bounds
    step = (east - west) / 270
    write_image(path, scene_pixels(), crs="EPSG:4490",
                transform=Affine(step, 0, west - 5 * step, 0, -step, north + 5 * step))  # fmt: skip


def as_four_bands(path: Path) -> None:
    pixels = scene_pixels()
    write_image(path, np.concatenate([pixels, pixels[:1]]))


@pytest.mark.parametrize(
    "make", [as_16_bit, as_one_band, as_palette, as_rotated, as_degrees, as_four_bands]
)
def test_imagery_of_other_makes_is_divided_as_well(
    make: Callable[[Path], None], inputs, tmp_path: Path
) -> None:
    make(inputs[1])
    division = divided(request_for(*inputs), tmp_path / "work")
    assert division.edition.counts()["microgrid"] == 40
    assert division.findings.ok


def without_crs(boundaries: Path, imagery: Path) -> None:
    write_image(imagery, scene_pixels(), crs=None)


def in_another_place(boundaries: Path, imagery: Path) -> None:
    write_image(imagery, scene_pixels(), transform=Affine(STEP, 0, X0 + 50_000, 0, -STEP, Y0))


def in_a_wrong_crs(boundaries: Path, imagery: Path) -> None:
    write_image(imagery, scene_pixels(), crs="EPSG:4549")


def without_a_corner(boundaries: Path, imagery: Path) -> None:
    write_image(imagery, scene_pixels()[:, :200, :])


def with_a_hole(boundaries: Path, imagery: Path) -> None:
    pixels = scene_pixels()
    pixels[:, 40:110, 40:120] = 0
    write_image(imagery, pixels, nodata=0)


def without_any_data(boundaries: Path, imagery: Path) -> None:
    write_image(imagery, np.zeros((3, SIDE, SIDE), np.uint8), nodata=0)


def not_an_image(boundaries: Path, imagery: Path) -> None:
    imagery.write_bytes(b"not an image at all")


def pointing_elsewhere(boundaries: Path, imagery: Path) -> None:
    imagery.write_text("<VRTDataset rasterXSize='9' rasterYSize='9'></VRTDataset>")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_crs, "no coordinate reference system"),
        (in_another_place, "4 of 4 villages lie wholly outside"),
        (in_a_wrong_crs, "wholly outside"),
        (without_a_corner, r"no data in [234] villages of 411602001: 41160200120\d near 114\.\d+"),
        (with_a_hole, r"no data in 1 villages .* km² \(\d+%\)"),
        (without_any_data, "every pixel is marked as missing"),
        (not_an_image, "not a readable GeoTIFF"),
        (pointing_elsewhere, "not a readable GeoTIFF"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_imagery_that_cannot_serve_is_refused_by_name_and_place(
    spoil: Callable[[Path, Path], None], said: str, inputs, tmp_path: Path
) -> None:
    spoil(*inputs)
    with pytest.raises(ImageryError, match=said):
        divided(request_for(*inputs), tmp_path / "work")


# ---- boundaries ------------------------------------------------------------------------------


def moved(frame: gpd.GeoDataFrame, row: int, geometry: shapely.Geometry) -> gpd.GeoDataFrame:
    shapes = list(frame.geometry)
    shapes[row] = geometry
    return frame.set_geometry(shapes, crs=frame.crs)


def with_a_wide_gap(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    hole = shapely.box(X0 + 300, Y0 - 400, X0 + 400, Y0 - 300)
    return moved(frame, 0, shapely.difference(frame.geometry[0], hole))


def with_an_overlap(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return moved(frame, 0, frame.geometry[0].buffer(60))


def with_a_bow_tie(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    a, b, c, d, *_ = frame.geometry[0].exterior.coords
    return moved(frame, 0, shapely.Polygon([a, c, b, d]))


def with_a_double_code(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.assign(code=["411602001201"] * 2 + list(frame.code[2:]))


def with_a_short_code(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.assign(code=["4116020012", *frame.code[1:]])


def with_no_geometry(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return moved(frame, 2, None)


def without_codes(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.drop(columns="code")


def with_no_crs(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.set_crs(None, allow_override=True)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (with_a_wide_gap, "gap"),
        (with_an_overlap, "overlap"),
        (with_a_bow_tie, "411602001201"),
        (with_a_double_code, "411602001201"),
        (with_a_short_code, "4116020012"),
        (with_no_geometry, "411602001203"),
        (without_codes, "no column code"),
        (with_no_crs, "no coordinate reference system"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*crs.*was not provided.*:UserWarning")
def test_boundaries_that_cannot_serve_are_refused_by_name(
    spoil: Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame], said: str, inputs, tmp_path: Path
) -> None:
    store.write_layers(inputs[0], {"village": spoil(four_villages())})
    with pytest.raises(DataError, match=said):
        divided(request_for(*inputs), tmp_path / "work")


def test_a_village_without_its_township_is_refused_by_name(inputs, tmp_path: Path) -> None:
    township = four_villages().dissolve().assign(code="411602009", parent="411602")
    store.write_layers(inputs[0], {"village": four_villages(), "township": township})
    with pytest.raises(BoundaryError, match="411602001201 -> 411602001"):
        divided(request_for(*inputs), tmp_path / "work")


def test_a_narrow_gap_is_mended_and_reported(inputs, tmp_path: Path) -> None:
    frame = four_villages()
    a, b, c, d, *_ = frame.geometry[0].exterior.coords
    frame = moved(frame, 0, shapely.Polygon([a, b, (c[0] - 0.5, c[1] + 0.4), d]))
    store.write_layers(inputs[0], {"village": frame})
    division = divided(request_for(*inputs), tmp_path / "work")
    assert division.repairs
    assert division.findings.ok


# ---- counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "error", "said"),
    [
        ({"n_grids": 0}, UsageError, "at least one"),
        ({"n_grids": 9, "n_microgrids": 8}, UsageError, "at least as many micro-grids"),
        ({"n_grids": 3}, QuotaError, "3 grids for 4 villages"),
        ({"n_microgrids": 90_000}, QuotaError, r"Villages with the fewest: 41160200120\d \(\d+\)"),
    ],
)
def test_counts_that_cannot_be_reached_are_refused(
    counts: dict[str, int], error: type[GeogridError], said: str, inputs, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        divided(request_for(*inputs, **counts), tmp_path / "work")


def test_no_households_at_all_is_refused(inputs, tmp_path: Path) -> None:
    houses = gpd.GeoDataFrame(
        {"households": [0, 0]}, geometry=gpd.points_from_xy([X0 + 300] * 2, [Y0 - 300] * 2),
        crs="EPSG:4547",
    )  # fmt: skip
    store.write_layers(tmp_path / "houses.gpkg", {"houses": houses})
    with pytest.raises(DataError, match="not all zero"):
        divided(request_for(*inputs, households=tmp_path / "houses.gpkg"), tmp_path / "work")


# ---- the command -----------------------------------------------------------------------------


def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geogrid", *map(str, arguments), "--lang", "en"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_writes_an_edition_and_leaves_nothing_else(inputs, tmp_path: Path) -> None:
    city = tmp_path / "city.gpkg"
    done = run_command("partition", *inputs, "-o", city, "--grids", "8", "--microgrids", "40",
                       "--workers", "1", "--json", "--report", tmp_path / "report")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["microgrid"] == 40
    assert store.read_edition(city).counts()["grid"] == 8
    assert {path.name for path in tmp_path.iterdir()} == {
        "boundaries.gpkg", "imagery.tif", "city.gpkg", "report",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.json", "report.csv", "weak_edges.gpkg",
    }  # fmt: skip
    written = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert written["levels"] == json.loads(done.stdout)["report"]
    assert run_command("check", city, "-q").returncode == 0


def test_a_report_that_cannot_be_written_is_refused_before_the_work(inputs, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    done = run_command("partition", *inputs, "-o", tmp_path / "city.gpkg", "--grids", "8",
                       "--microgrids", "40", "--report", tmp_path / "report")  # fmt: skip
    assert done.returncode == 3
    assert "cannot make the folder" in done.stderr
    assert not list(tmp_path.glob(".city*"))


def test_bad_input_ends_with_one_message_its_exit_code_and_the_old_file(
    inputs, tmp_path: Path
) -> None:
    city = tmp_path / "city.gpkg"
    city.write_bytes(b"the old file")
    with_a_hole(*inputs)
    done = run_command("partition", *inputs, "-o", city, "--grids", "8", "--microgrids", "40")
    assert done.returncode == 3
    assert "has no data in 1 villages" in done.stderr
    assert "Traceback" not in done.stderr
    assert city.read_bytes() == b"the old file"
    assert {path.name for path in tmp_path.iterdir()} == {
        "boundaries.gpkg", "imagery.tif", "city.gpkg",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_command_leaves_the_old_file_and_can_go_on(
    way: signal.Signals, inputs, tmp_path: Path
) -> None:
    city = tmp_path / "city.gpkg"
    city.write_bytes(b"the old file")
    arguments = ["partition", *map(str, inputs), "-o", str(city), "--grids", "8", "--microgrids",
                 "40", "--workers", "1", "--date", "2026-01-01"]  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-m", "geogrid", *arguments], stderr=subprocess.PIPE,
        # Shells switch it off for what runs in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".city.work-*/*.atoms.npz")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(running.pid, way)
    running.communicate(timeout=60)
    assert city.read_bytes() == b"the old file"
    assert run_command(*arguments).returncode == 0
    whole = divided(request_for(*inputs), tmp_path / "whole").edition.info.digest
    assert store.read_edition(city).info.digest == whole


# ---- real imagery ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_grids", "n_microgrids"),
    [
        ("naip_40.0558_-92.2733.tif", 6, 40),
        ("m_4709963_se_14_1_20180716.tif", 12, 80),
        ("RGB-PanSharpen_AOI_2_Vegas_img0.tif", 6, 40),
    ],
)
def test_real_scenes_are_divided_exactly(
    name: str, n_grids: int, n_microgrids: int, real_data: Path, tmp_path: Path
) -> None:
    imagery = real_data / "imagery" / name
    with rasterio.open(imagery) as source:
        frame = gpd.GeoDataFrame(
            {"code": ["411602001001"], "name": [name]},
            geometry=[shapely.box(*source.bounds)], crs=source.crs,
        )  # fmt: skip
    store.write_layers(tmp_path / "village.gpkg", {"village": frame})
    division = divided(
        request_for(tmp_path / "village.gpkg", imagery, n_grids=n_grids, n_microgrids=n_microgrids),
        tmp_path / "work",
    )
    edition = division.edition
    assert (edition.counts()["grid"], edition.counts()["microgrid"]) == (n_grids, n_microgrids)
    assert division.findings.ok
    assert_proven(edition, frame.to_crs("EPSG:4490").geometry[0])
    for level in division.report.levels:
        assert level.seen > 1.5 * level.seen_by_chance


def test_scratch_folders_of_other_requests_are_cleared(inputs, tmp_path: Path) -> None:
    stale = tmp_path / ".city.work-0123456789abcdef"
    stale.mkdir()
    done = run_command("partition", *inputs, "-o", tmp_path / "city.gpkg", "--grids", "8",
                       "--microgrids", "40", "--workers", "1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not stale.exists()
    shutil.rmtree(stale, ignore_errors=True)


def test_a_township_in_two_parts_is_divided_and_is_no_fault(inputs, tmp_path: Path) -> None:
    """The first and the fourth village meet in one point only."""
    frame = four_villages()
    frame["parent"] = ["411602001", "411602002", "411602002", "411602001"]
    frame["code"] = frame["parent"] + frame["code"].str[-3:]
    store.write_layers(tmp_path / "parts.gpkg", {"village": frame})
    division = divided(request_for(tmp_path / "parts.gpkg", inputs[1]), tmp_path / "work")
    townships = division.edition.units["township"]
    assert (shapely.get_type_id(townships.geometry.to_numpy()) == 6).all()
    assert {(each.rule, each.severity) for each in division.findings} == {("multipart", "note")}
    store.write_edition(division.edition, tmp_path / "city.gpkg", tables={})
    again = store.read_edition(tmp_path / "city.gpkg")
    assert again.info == division.edition.info
    for level, table in again.units.items():
        assert table.geom_equals(division.edition.units[level]).all(), level
