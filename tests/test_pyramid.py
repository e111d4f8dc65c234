"""The archive of tiles, read back by the PMTiles package and by GDAL."""

import gzip
import itertools
import json

import mapbox_vector_tile
import numpy as np
import pyogrio
import pytest
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import zxy_to_tileid
from typer.testing import CliRunner

from geogrid import pyramid, store
from geogrid.cli.app import app
from geogrid.errors import DataError, UsageError
from geogrid.tiles import MAX_ZOOM, MIN_ZOOMS, TileSet


@pytest.fixture(scope="module")
def archive(toy_edition, tmp_path_factory):
    path = tmp_path_factory.mktemp("pyramid") / "city.pmtiles"
    return path, pyramid.write(toy_edition, path)


@pytest.fixture(scope="module")
def tiles_of(archive):
    with archive[0].open("rb") as file:
        return {place: gzip.decompress(body) for place, body in all_tiles(MmapSource(file))}


def test_every_tile_is_what_the_tile_set_encodes(toy_edition, archive, tiles_of):
    tiles = TileSet(toy_edition)
    zooms = range(min(MIN_ZOOMS.values()), MAX_ZOOM + 1)
    expected = {(z, x, y): tiles.encode(z, x, y) for z in zooms for x, y in tiles.covering(z)}
    assert tiles_of == {place: body for place, body in expected.items() if body}
    assert archive[1].tiles == len(tiles_of)


def test_numbers_of_tiles_are_those_of_the_package():
    rng = np.random.default_rng(1)
    for z in range(16):
        xy = rng.integers(0, 1 << z, (40, 2))
        expected = [zxy_to_tileid(z, x, y) for x, y in xy.tolist()]
        assert pyramid.tile_numbers(z, xy).tolist() == expected


def test_no_unit_is_missing_at_any_zoom_of_its_level(toy_edition, tiles_of):
    places = itertools.groupby(sorted(tiles_of), key=lambda place: place[0])
    for z, group in places:
        seen = {level: set() for level in MIN_ZOOMS}
        for place in group:
            for name, layer in mapbox_vector_tile.decode(tiles_of[place]).items():
                if name in seen:
                    seen[name] |= {each["properties"]["code"] for each in layer["features"]}
        for level, first in MIN_ZOOMS.items():
            expected = set(toy_edition.units[level]["code"]) if z >= first else set()
            assert seen[level] == expected, (z, level)


def test_header_and_metadata_say_what_is_inside(toy_edition, archive):
    with archive[0].open("rb") as file:
        reader = Reader(MmapSource(file))
        header, metadata = reader.header(), reader.metadata()
    west, _, _, north = TileSet(toy_edition).bounds
    assert (header["min_zoom"], header["max_zoom"]) == (6, 15)
    assert header["min_lon_e7"] / 1e7 == pytest.approx(west, abs=1e-7)
    assert header["max_lat_e7"] / 1e7 == pytest.approx(north, abs=1e-7)
    assert header["clustered"]
    layers = {layer["id"]: layer["minzoom"] for layer in metadata["vector_layers"]}
    assert layers == {**MIN_ZOOMS, "label": 6}
    assert metadata["revision"] == toy_edition.info.digest


def test_gdal_reads_the_archive(toy_edition, archive):
    frame = pyogrio.read_dataframe(archive[0], layer="microgrid", ZOOM_LEVEL=15)
    assert set(frame["code"]) == set(toy_edition.units["microgrid"]["code"])
    assert frame.crs.to_epsg() == 3857


def test_any_number_of_threads_gives_the_same_bytes(toy_edition, archive, tmp_path):
    again = tmp_path / "again.pmtiles"
    pyramid.write(toy_edition, again, workers=3)
    assert again.read_bytes() == archive[0].read_bytes()


def test_an_archive_that_fails_leaves_the_old_one(toy_edition, tmp_path):
    path = tmp_path / "city.pmtiles"
    path.write_bytes(b"old")

    def stop(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        pyramid.write(toy_edition, path, progress=stop)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="PMTiles"):
        pyramid.write(toy_edition, tmp_path / "city.mbtiles")


def test_the_command_writes_the_same_archive(toy_edition, archive, tmp_path):
    city, out = tmp_path / "city.gpkg", tmp_path / "out.pmtiles"
    store.write_edition(toy_edition, city, tables={})
    done = CliRunner().invoke(app, ["tiles", str(city), "-o", str(out), "--json", "-q"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tiles"] == archive[1].tiles
    assert out.read_bytes() == archive[0].read_bytes()
    wrong = CliRunner().invoke(app, ["tiles", str(city), "-o", str(tmp_path / "out.zip")])
    assert wrong.exit_code == 2
