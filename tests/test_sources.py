"""Polygons as offices send them: formats, encodings, datums, names; files that cannot be read."""

import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

from geogrid import store
from geogrid.coverage import check, check_file
from geogrid.datums import Datum, convert
from geogrid.errors import DataError
from geogrid.sources import Reading, parse_pairs, read_layers


@pytest.fixture
def villages(toy_edition) -> gpd.GeoDataFrame:
    return toy_edition["village"][["code", "name", "parent", "geom"]]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geogrid", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_shapefile(frame: gpd.GeoDataFrame, path: Path, encoding: str, *, cpg: bool) -> Path:
    short = frame.rename(columns={"code": "bm", "name": "mc"})
    pyogrio.write_dataframe(short, path, encoding=encoding, driver="ESRI Shapefile")
    if not cpg:
        path.with_suffix(".cpg").unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("encoding", ["UTF-8", "GBK"])
@pytest.mark.parametrize("cpg", [True, False])
def test_a_shapefile_is_read_with_and_without_its_encoding(villages, tmp_path, encoding, cpg):
    named = villages.assign(name=[f"陈州村{k}" for k in range(len(villages))])
    path = write_shapefile(named, tmp_path / "村.shp", encoding, cpg=cpg)
    layers, told = read_layers([path], Reading())
    assert list(layers) == ["village"]
    assert list(layers["village"]["name"]) == list(named["name"])
    assert list(layers["village"]["code"]) == list(named["code"])
    said = " ".join(en for _, en in told)
    assert "layer 村 is taken for level village" in said
    assert "column bm is taken for code" in said
    assert ("read as" in said) == (not cpg)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".parquet"])
def test_formats_give_the_same_findings(villages, tmp_path, suffix):
    path = tmp_path / f"village{suffix}"
    faulty = villages.drop(index=5)
    if suffix == ".gpkg":
        store.write_layers(path, {"village": faulty})
    elif suffix == ".shp":
        write_shapefile(faulty, path, "UTF-8", cpg=True)
    else:
        faulty.to_parquet(path)
    found = check_file(path)
    assert [each.rule for each in found] == [each.rule for each in check({"village": faulty})]


def test_a_file_geodatabase_is_read(villages, tmp_path):
    path = tmp_path / "city.gdb"
    pyogrio.write_dataframe(villages, path, layer="village", driver="OpenFileGDB")
    layers, _ = read_layers([path], Reading())
    assert list(layers["village"]["code"]) == list(villages["code"])


def test_several_files_of_several_levels_are_checked_together(toy_edition, tmp_path):
    paths = []
    for level in ("township", "village"):
        frame = toy_edition[level].rename(columns={"parent": "上级代码"})
        paths.append(tmp_path / f"{level}s.gpkg")
        store.write_layers(paths[-1], {"layer": frame})
    how = Reading(levels={"townships.gpkg": "township", "villages": "village"})
    assert list(check_file(paths, how=how)) == []


def test_a_geojson_file_needs_its_datum_and_is_moved_by_it(villages, tmp_path):
    moved = shapely.transform(
        villages.geometry.to_numpy(), lambda xy: convert(xy, Datum.CGCS2000, Datum.GCJ02)
    )
    path = tmp_path / "village.geojson"
    villages.set_geometry(gpd.GeoSeries(moved, crs="EPSG:4326")).to_file(path)
    with pytest.raises(DataError, match="GCJ-02 and 300 to 600 m off"):
        read_layers([path], Reading())
    layers, _ = read_layers([path], Reading(datum=Datum.GCJ02))
    there = layers["village"].geometry.to_numpy()
    assert shapely.hausdorff_distance(there, villages.geometry.to_numpy()).max() < 1e-7


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def rewritten(change):
    def spoil(path: Path) -> None:
        frame = store.read_layer(path, "village")
        path.unlink()
        pyogrio.write_dataframe(change(frame), path, layer="village", driver="GPKG")

    return spoil


def with_shape(shape: shapely.Geometry):
    def change(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        shapes = frame.geometry.to_numpy().copy()
        shapes[3] = shape
        return frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))

    return rewritten(change)


def circle(n: int) -> shapely.Polygon:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return shapely.Polygon(np.column_stack([np.cos(angle), np.sin(angle)]) / 100 + [114.6, 33.6])


def without_number() -> shapely.Polygon:
    with np.errstate(invalid="ignore"):
        return shapely.from_wkt("POLYGON ((114 33, nan 33, 114 34, 114 33))")


def with_zone_number(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    moved = frame.to_crs(4547)
    return moved.set_geometry(moved.geometry.translate(38e6))


BAD = {
    "million vertices": (with_shape(circle(1_000_000)), "feature 4 has 1,000,001 vertices"),
    "NaN": (with_shape(without_number()), "no numbers"),
    "axes swapped": (
        rewritten(lambda f: f.set_geometry(
            gpd.GeoSeries(shapely.transform(f.geometry.to_numpy(), lambda xy: xy[:, ::-1]),
                          crs=f.crs))), "latitude before longitude"
    ),
    "metres as degrees": (
        rewritten(lambda f: f.to_crs(4547).set_crs(4490, allow_override=True)), "not degrees"
    ),
    "wrong zone": (rewritten(with_zone_number), "far outside"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_checked_is_refused_in_one_line(villages, tmp_path, name):
    spoil, message = BAD[name]
    path = tmp_path / "raw.gpkg"
    store.write_layers(path, {"village": villages})
    spoil(path)
    with pytest.raises(DataError, match=message) as error:
        check_file(path)
    assert "\n" not in str(error.value)


def test_the_command_ends_with_3_and_writes_nothing(villages, tmp_path):
    path, report = tmp_path / "raw.gpkg", tmp_path / "report.json"
    store.write_layers(path, {"village": villages})
    truncated(path)
    for command in (
        ("check", path, "--report", report),
        ("repair", path, "-o", tmp_path / "x.gpkg"),
    ):
        done = run(*command)
        assert done.returncode == 3, done.stderr
        assert done.stderr.count("\n") == 1
        assert sorted(p.name for p in tmp_path.iterdir()) == ["raw.gpkg"]


def test_the_commands_find_mend_and_find_nothing_more(villages, tmp_path):
    shapes = villages.geometry.to_numpy().copy()
    x = shapely.get_coordinates(shapes[5])[1, 0]
    ring = shapely.get_coordinates(shapes[5])[:-1]
    ring[1] += (-3e-7 if x > shapes[5].centroid.x else 3e-7, 0)
    shapes[5] = shapely.Polygon(np.round(ring, 8))
    faulty = villages.set_geometry(gpd.GeoSeries(shapes, crs=villages.crs))
    store.write_layers(tmp_path / "raw.gpkg", {"village": faulty})
    assert run("check", tmp_path / "raw.gpkg").returncode == 1
    done = run("repair", tmp_path / "raw.gpkg", "-o", tmp_path / "out.gpkg", "--lang", "en")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "changes" in done.stdout
    assert run("check", tmp_path / "out.gpkg", "--level", "village=village").returncode == 0
    assert len(store.read_layer(tmp_path / "out.gpkg", "repairs")) >= 1


def test_names_stand_in_the_configuration_of_the_folder(villages, tmp_path, monkeypatch):
    frame = villages.rename(columns={"code": "WGBM"}).drop(columns=["parent"])
    store.write_layers(tmp_path / "data.gpkg", {"XZC": frame})
    monkeypatch.chdir(tmp_path)
    assert run("check", "data.gpkg").returncode == 3
    (tmp_path / "geogrid.toml").write_text(
        '[check.levels]\nXZC = "village"\n[check.columns]\ncode = "WGBM"\n', encoding="utf-8"
    )
    done = run("check", "data.gpkg")
    assert done.returncode == 0, done.stderr
    (tmp_path / "geogrid.toml").write_text("[check]\nlayers = 1\n", encoding="utf-8")
    assert "layers is unknown" in run("check", "data.gpkg").stderr


def test_pairs_of_options_are_parsed_or_refused():
    assert parse_pairs(["村界=village"], "--level") == {"村界": "village"}
    with pytest.raises(DataError, match="NAME=VALUE"):
        parse_pairs(["village"], "--level")
