"""Files that offices send by mistake, and hostile ones: each is refused by its cause, or reported.

Whatever is refused is one line and leaves the folder as it was.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from geogrid import store
from geogrid.coverage import Checklist, check_file
from geogrid.datums import Datum
from geogrid.errors import DataError
from geogrid.sources import Reading

ROW = 5
Spoil = Callable[[gpd.GeoDataFrame, Path], Path]


@pytest.fixture
def villages(toy_edition) -> gpd.GeoDataFrame:
    return toy_edition["village"][["code", "name", "parent", "geom"]]


def geopackage(frame: gpd.GeoDataFrame, folder: Path, layer: str = "village") -> Path:
    path = folder / "raw.gpkg"
    pyogrio.write_dataframe(frame, path, layer=layer, driver="GPKG", append=path.exists())
    return path


def with_shape(draw: Callable[[shapely.Polygon], shapely.Geometry | None]) -> Spoil:
    def spoil(frame: gpd.GeoDataFrame, folder: Path) -> Path:
        shapes = frame.geometry.to_numpy().copy()
        shapes[ROW] = draw(shapes[ROW])
        return geopackage(frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs)), folder)

    return spoil


def changed(change: Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]) -> Spoil:
    return lambda frame, folder: geopackage(change(frame), folder)


def with_bytes(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(frame: gpd.GeoDataFrame, folder: Path) -> Path:
        path = folder / name
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            pyogrio.write_dataframe(frame, path, layer="village", driver="GPKG")
        path.write_bytes(change(path.read_bytes()))
        return path

    return spoil


def with_ring(ring: Callable[[list[list[float]]], list[list[float]]]) -> Spoil:
    """Write GeoJSON by hand: no library lets such a ring through."""

    def spoil(frame: gpd.GeoDataFrame, folder: Path) -> Path:
        content = json.loads(frame.to_json(drop_id=True))
        coordinates = content["features"][ROW]["geometry"]["coordinates"]
        content["features"][ROW]["geometry"]["coordinates"] = [ring(coordinates[0])]
        path = folder / "village.geojson"
        path.write_text(json.dumps(content), "utf-8")
        return path

    return spoil


def with_text(name: str, text: str) -> Spoil:
    def spoil(_: gpd.GeoDataFrame, folder: Path) -> Path:
        (folder / name).write_text(text, "utf-8")
        return folder / name

    return spoil


def without(suffix: str) -> Spoil:
    def spoil(frame: gpd.GeoDataFrame, folder: Path) -> Path:
        path = folder / "village.shp"
        pyogrio.write_dataframe(frame.rename(columns={"code": "bm"}), path, encoding="UTF-8")
        path.with_suffix(suffix).unlink()
        return path

    return spoil


def zipped(name: str, inner: str, content: bytes) -> Spoil:
    def spoil(_: gpd.GeoDataFrame, folder: Path) -> Path:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(inner, content)
        return folder / name

    return spoil


def in_sqlite(path: Path, statements: str, *, killed: bool = False) -> Path:
    """Run SQL in another process: two libraries on one file in one process corrupt it."""
    code = (
        "import os, sqlite3, sys\n"
        "base = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "base.executescript(sys.argv[2])\n"
        "os._exit(1) if sys.argv[3] else base.close()\n"
    )
    arguments = [str(path), statements, "killed" if killed else ""]
    subprocess.run([sys.executable, "-c", code, *arguments], check=not killed)
    return path


def killed_while_writing(frame: gpd.GeoDataFrame, folder: Path) -> Path:
    """Leave a hot journal: a writer dies within a transaction larger than its cache."""
    filling = (
        "PRAGMA cache_size = 1; BEGIN; CREATE TABLE more (x);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500)"
        "INSERT INTO more SELECT randomblob(9000) FROM n;"
    )
    return in_sqlite(geopackage(frame, folder), filling, killed=True)


VRT = (
    "<OGRVRTDataSource><OGRVRTLayer name='village'><SrcDataSource>/etc/passwd</SrcDataSource>"
    "</OGRVRTLayer></OGRVRTDataSource>"
)

REFUSED: dict[str, tuple[Spoil, str]] = {
    "an empty file": (with_bytes("raw.gpkg", lambda _: b""), "is not a GeoPackage"),
    "no features": (changed(lambda f: f.iloc[:0]), "holds no features"),
    "a point among polygons": (with_shape(lambda p: p.centroid), "feature 6 is a Point"),
    "a collection among polygons": (
        with_shape(lambda p: shapely.GeometryCollection([p, p.centroid])),
        "feature 6 is a GeometryCollection",
    ),
    "lines only": (changed(lambda f: f.set_geometry(f.boundary)), "16 of 16 features are no"),
    "a ring that is not closed": (with_ring(lambda r: r[:-1]), "feature 6 of 16 has a ring"),
    "a ring of one vertex": (with_ring(lambda r: r[:1]), "feature 6 of 16 has a ring"),
    "no column of codes": (changed(lambda f: f.drop(columns="code")), "no column code"),
    "a layer of no level": (lambda f, d: geopackage(f, d, "hamlets"), "there are raw.gpkg: ham"),
    "no numbers": (
        with_shape(lambda _: shapely.Polygon([(114, 33), (np.inf, 33), (114, 34)])), "no numbers"
    ),
    "no reference system": (
        changed(lambda f: f.set_crs(None, allow_override=True)), "no coordinate reference system"
    ),
    "another reference system": (
        changed(lambda f: f.set_crs(4547, allow_override=True)), "114.*are degrees"
    ),
    "the zone's number before the easting": (
        changed(lambda f: (g := f.to_crs(4547)).set_geometry(g.translate(38e6))), "far outside"
    ),
    "degrees said to be of a system of the whole world": (
        changed(lambda f: f.set_crs(3857, allow_override=True)), "114.*are degrees"
    ),
    "a datum that needs parameters": (
        changed(lambda f: f.set_crs(4610, allow_override=True)), "Xian 1980"
    ),
    "a virtual file named .geojson": (with_text("village.geojson", VRT), "not what its name says"),
    "a virtual file named .gpkg": (with_text("raw.gpkg", VRT), "is not a GeoPackage"),
    "a virtual file": (with_text("village.vrt", VRT), "polygons are read from"),
    "other JSON": (with_text("village.json", '{"a": 1}'), "village.json"),
    "a GeoPackage cut in two": (
        with_bytes("raw.gpkg", lambda b: b[: len(b) // 2]), "damaged or cut off"
    ),
    "a GeoPackage without its last page": (
        with_bytes("raw.gpkg", lambda b: b[:-4096]), "damaged or cut off"
    ),
    "a GeoParquet file cut in two": (
        with_bytes("village.parquet", lambda b: b[: len(b) // 2]), "cannot read"
    ),
    "a journal beside the file": (killed_while_writing, "a program was stopped while it wrote"),
    "a zip bomb named .gpkg": (
        zipped("raw.gpkg", "a.gpkg", b"\0" * 50_000_000), "is not a GeoPackage"
    ),
    "a zip that climbs": (zipped("village.zip", "../../a.gpkg", b"x"), "polygons are read from"),
    "a folder": (
        lambda _, d: (d / "raw.gpkg").mkdir() or d / "raw.gpkg",  # type: ignore[func-returns-value]
        "Is a directory",
    ),
    "an empty geodatabase": (
        lambda _, d: (d / "raw.gdb").mkdir() or d / "raw.gdb",  # type: ignore[func-returns-value]
        "not a file geodatabase",
    ),
    "a shapefile without .dbf": (without(".dbf"), r"no village\.dbf beside it"),
    "a shapefile without .shx": (without(".shx"), r"no village\.shx beside it"),
    "a shapefile without .prj": (without(".prj"), r"no village\.prj beside it"),
    "no file": (lambda _, d: d / "raw.gpkg", "No such file"),
    "an address on the network": (
        lambda _, _d: Path("http://127.0.0.1:9/village.geojson"), "No such file"
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_by_its_cause(villages, tmp_path, name) -> None:
    spoil, message = REFUSED[name]
    path = spoil(villages, tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=message) as error:
        check_file(path, how=Reading(datum=Datum.CGCS2000))
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


def recoded(row: int, code: str | None) -> Spoil:
    return changed(lambda f: f.assign(code=[code if k == row else c for k, c in enumerate(f.code)]))


def crossed(polygon: shapely.Polygon) -> shapely.Polygon:
    ring = shapely.get_coordinates(polygon)[:-1]
    half = len(ring) // 2
    return shapely.Polygon(np.vstack([ring[:1], ring[half : half + 1], ring[1:half], ring[half:]]))


def pinched(polygon: shapely.Polygon) -> shapely.Polygon:
    """Let the ring touch itself: a notch from one corner reaches the middle of an edge."""
    ring = shapely.get_coordinates(polygon)[:-1]
    middle = (ring[2] + ring[3]) / 2
    return shapely.Polygon(np.vstack([ring[:1], middle, ring[1:3], middle, ring[3:]]))


def holed(size: float) -> Callable[[shapely.Polygon], shapely.Polygon]:
    def draw(polygon: shapely.Polygon) -> shapely.Polygon:
        x, y = shapely.get_coordinates(polygon.centroid)[0]
        return shapely.Polygon(
            polygon.exterior, [shapely.box(x, y, x + size, y + size).exterior]
        )  # fmt: skip

    return draw


def levels(parent: str) -> Spoil:
    """Give one village another parent, and write its townships too."""

    def spoil(frame: gpd.GeoDataFrame, folder: Path) -> Path:
        towns = frame.dissolve("parent").reset_index()
        towns = towns.assign(code=towns["parent"], parent=towns["parent"].str[:6])
        geopackage(towns, folder, "township")
        own = [parent if k == ROW else each for k, each in enumerate(frame["parent"])]
        return geopackage(frame.assign(parent=own), folder)

    return spoil


REPORTED: dict[str, tuple[Spoil, set[str]]] = {
    "a bow-tie": (with_shape(crossed), {"invalid_geometry", "gap"}),
    "a ring that touches itself": (with_shape(pinched), {"invalid_geometry", "gap"}),
    "no geometry": (with_shape(lambda _: None), {"no_geometry", "gap"}),
    "an empty geometry": (with_shape(lambda _: shapely.Polygon()), {"no_geometry", "gap"}),
    "a ring of two vertices": (
        with_ring(lambda r: [r[0], r[1], r[0]]), {"invalid_geometry", "gap"}
    ),
    "coordinates beyond any system": (
        with_shape(lambda _: shapely.Polygon([(114, 33), (1e300, 33), (114, 34)])),
        {"bad_coordinates", "gap"},
    ),
    "a code used twice": (recoded(3, "411601001001"), {"duplicate_code"}),
    "a blank code": (recoded(3, ""), {"malformed_code"}),
    "no code": (recoded(3, None), {"malformed_code"}),
    "a code too short": (recoded(3, "41160100100"), {"malformed_code"}),
    "a code from Excel": (recoded(3, "4.11601E+11"), {"code_became_number"}),
    "a parent that is not there": (levels("411699999"), {"unknown_parent", "union_differs"}),
    "a parent elsewhere": (levels("411604002"), {"outside_parent"}),
    "the same polygon twice": (
        changed(lambda f: pd.concat([f, f.iloc[[3]].assign(code="411601001099")])),
        {"duplicate_geometry", "foreign_code"},
    ),
    "a pinhole": (with_shape(holed(3e-8)), {"hole"}),
    "a lake": (with_shape(holed(1e-4)), {"hole"}),
    "a unit of two parts": (
        with_shape(lambda p: shapely.MultiPolygon([p, shapely.box(116, 33, 116.001, 33.001)])),
        {"multipart"},
    ),
    "heights": (
        changed(lambda f: f.set_geometry(shapely.force_3d(f.geometry.to_numpy()))), {"has_z"}
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REPORTED)
def test_a_fault_of_a_file_is_a_finding(villages, tmp_path, name) -> None:
    spoil, rules = REPORTED[name]
    found = check_file(spoil(villages, tmp_path), how=Reading(datum=Datum.CGCS2000))
    said = {each.rule for each in found}
    assert said
    assert said - {"spike", "outside"} <= rules
    assert not {"no_geometry", "invalid_geometry", "bad_coordinates"} & (rules - said)


def test_blank_codes_are_named_by_their_rows_and_are_no_duplicates(villages, tmp_path) -> None:
    codes = ["" if k in (3, 7) else code for k, code in enumerate(villages["code"])]
    found = check_file(geopackage(villages.assign(code=codes), tmp_path))
    assert [each.rule for each in found] == ["malformed_code"] * 2
    assert ["row 4" in found[0].message_en, "第 8 行" in found[1].message_zh] == [True, True]


def test_one_unit_too_few_is_a_finding_with_both_counts(toy_edition, tmp_path) -> None:
    frame = toy_edition["microgrid"].iloc[:-1]
    found = check_file(
        geopackage(frame, tmp_path, "microgrid"), rules=Checklist(expected={"microgrid": 256})
    )
    (count,) = [each for each in found if each.rule == "count"]
    assert "255 units, expected 256" in count.message_en


def test_another_boundary_is_a_finding_at_the_outline(villages, tmp_path) -> None:
    path = geopackage(villages, tmp_path)
    wider = gpd.GeoDataFrame(geometry=[shapely.box(*villages.total_bounds)], crs=villages.crs)
    boundary = tmp_path / "boundary.gpkg"
    store.write_layers(boundary, {"boundary": wider})
    assert "edge_gap" in {each.rule for each in check_file(path, boundary)}


@pytest.mark.filterwarnings("ignore")
def test_a_layer_of_curves_is_read_as_straight_edges_and_says_so(villages, tmp_path) -> None:
    path = in_sqlite(
        geopackage(villages, tmp_path),
        "UPDATE gpkg_geometry_columns SET geometry_type_name = 'CURVEPOLYGON'",
    )
    told: list[str] = []
    assert list(check_file(path, tell=lambda _zh, en: told.append(en))) == []
    assert any("holds curves (CURVEPOLYGON), read as short straight edges" in each for each in told)


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_of_an_edition_is_refused_or_said_or_changes_nothing(
    toy_edition, tmp_path, seed
) -> None:
    path = tmp_path / "city.gpkg"
    store.write_edition(toy_edition, path, tables={})
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    content[int(rng.integers(100, len(content)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)
    try:
        found = check_file(path)
    except DataError:
        return
    if not len(found):
        assert store.read_edition(path).info.digest == toy_edition.info.digest
