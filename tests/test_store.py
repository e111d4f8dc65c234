"""Files: whole or not at all, the same bytes each time, damage refused."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geogrid import store
from geogrid.errors import DataError

# Writes generations of a table until it is killed; each generation fills every row with its number.
WRITER = """
import signal, sys
from pathlib import Path
import geopandas as gpd, numpy as np, shapely
from geogrid import store
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells switch it off for background runs
path = Path(sys.argv[1])
boxes = shapely.box(np.arange(1500.0), 0, np.arange(1500.0) + 1, 1)
generation = int(sys.argv[2])
print("ready", flush=True)
while True:
    generation += 1
    frame = gpd.GeoDataFrame({"generation": generation}, geometry=boxes, crs="EPSG:4490",
                             index=range(1500))
    store.write_layers(path, {"grid": frame})
    print(generation, flush=True)
"""


def start_writer(path, generation=0):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(generation)],
        stdout=subprocess.PIPE,
        text=True,
    )


def drafts(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def boxes(n, value="x"):
    x = np.arange(float(n))
    return gpd.GeoDataFrame(
        {"value": [value] * n}, geometry=shapely.box(x, 0, x + 1, 1), crs="EPSG:4490"
    )


def kill_while_writing(path, kills, rng):
    for _ in range(kills):
        writer = start_writer(path)
        try:
            assert writer.stdout.readline() == "ready\n"
            writer.stdout.readline()  # one whole generation is on disk
            time.sleep(rng.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        table = store.read_layer(path, "grid")
        assert len(table) == 1500
        assert table.generation.nunique() == 1


def test_killed_writer_leaves_a_whole_file(tmp_path):
    kill_while_writing(tmp_path / "a.gpkg", 3, np.random.default_rng(1))


@pytest.mark.slow
def test_sixty_killed_writers_leave_a_whole_file(tmp_path):
    kill_while_writing(tmp_path / "a.gpkg", 60, np.random.default_rng(2))


def test_interrupted_writer_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "a.gpkg"
    writer = start_writer(path)
    try:
        for _ in range(3):
            writer.stdout.readline()
        writer.send_signal(signal.SIGINT)
    finally:
        writer.wait(20)
        writer.stdout.close()
    assert store.read_layer(path, "grid").generation.nunique() == 1
    assert drafts(tmp_path) == []


def test_full_disk_leaves_the_old_file_and_says_so(tmp_path):
    path = tmp_path / "a.gpkg"
    store.write_layers(path, {"grid": boxes(10)})
    before = path.read_bytes()
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from test_store import boxes; from geogrid import store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "store.write_layers(Path(sys.argv[1]), {'grid': boxes(20_000)})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    assert done.returncode == 1
    assert "DataError: cannot write" in done.stderr
    assert "The old file, if any, is whole." in done.stderr
    assert path.read_bytes() == before
    assert drafts(tmp_path) == []


def test_limit_of_this_process_is_untouched():
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200_000


def test_error_of_the_caller_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted():
        with store.replacing(path) as draft:
            draft.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert drafts(tmp_path) == []


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        store.write_json(tmp_path / "no" / "a.json", {})


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot write"):
        store.write_json(tmp_path / "a.json", {})


def test_same_tables_give_same_bytes(tmp_path, toy_edition):
    for name in ("a", "b"):
        store.write_edition(toy_edition, tmp_path / f"{name}.gpkg", tables={})
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()


def test_edition_comes_back_as_it_was(tmp_path, toy_edition):
    path = tmp_path / "city.gpkg"
    report = pd.DataFrame({"说明": ["一"]})
    store.write_edition(toy_edition, path, tables={"report": report})
    again = store.read_edition(path)
    assert again.info == toy_edition.info
    assert store.read_layer(path, "report")["说明"].tolist() == ["一"]
    for level in toy_edition.units:
        np.testing.assert_array_equal(again.rings(level).xy, toy_edition.rings(level).xy)


def test_changed_edition_is_refused(tmp_path, toy_edition):
    path = tmp_path / "city.gpkg"
    tables = {level: toy_edition[level] for level in toy_edition.units}
    tables["grid"].loc[0, "households"] += 1
    row = pd.DataFrame(
        [{name: getattr(toy_edition.info, name) for name in toy_edition.info.__slots__}]
    )
    store.write_layers(path, tables | {"edition": row})
    with pytest.raises(DataError, match="changed after it was written"):
        store.read_edition(path)


def test_raw_layers_are_no_edition(tmp_path):
    store.write_layers(tmp_path / "a.gpkg", {"village": boxes(3)})
    with pytest.raises(DataError, match="no layer city, county"):
        store.read_edition(tmp_path / "a.gpkg")


def test_missing_layer_lists_what_there_is(tmp_path):
    store.write_layers(tmp_path / "a.gpkg", {"one": boxes(1), "two": boxes(1)})
    assert store.layer_names(tmp_path / "a.gpkg") == ["one", "two"]
    with pytest.raises(DataError, match="one, two"):
        store.read_layer(tmp_path / "a.gpkg", "three")


@pytest.mark.filterwarnings("ignore")  # GDAL says the same
@pytest.mark.parametrize("content", [b"", b"<VRTDataset/>", b"SQLite format 3\x00" + b"\x00" * 500])
def test_file_that_is_no_geopackage_is_refused(tmp_path, content):
    (tmp_path / "a.gpkg").write_bytes(content)
    with pytest.raises(DataError):
        store.read_layer(tmp_path / "a.gpkg", "grid")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        store.layer_names(tmp_path / "none.gpkg")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_edition_is_refused(tmp_path, toy_edition, share):
    path = tmp_path / "city.gpkg"
    store.write_edition(toy_edition, path, tables={})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError):
        store.read_edition(path)


@pytest.mark.filterwarnings("ignore")  # GDAL says the same
def test_flipped_bit_never_gives_other_content(tmp_path, toy_edition):
    """A flip hits free space, and nothing differs, or the file is refused."""
    path = tmp_path / "city.gpkg"
    store.write_edition(toy_edition, path, tables={})
    content = path.read_bytes()
    rng = np.random.default_rng(3)
    for place in rng.integers(16, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(damaged)
        try:
            assert store.read_edition(path).info == toy_edition.info
        except DataError:
            continue


def test_vector_files_are_read_as_one_table(tmp_path):
    store.write_layers(tmp_path / "a.gpkg", {"one": boxes(2), "two": boxes(3).to_crs("EPSG:4326")})
    both = store.read_vector(tmp_path / "a.gpkg")
    assert both.layer.tolist() == ["one"] * 2 + ["two"] * 3
    boxes(4).to_parquet(tmp_path / "a.parquet")
    assert len(store.read_vector(tmp_path / "a.parquet")) == 4
    store.write_layers(tmp_path / "t.gpkg", {"t": pd.DataFrame({"a": [1]})})
    with pytest.raises(DataError, match="no spatial layer"):
        store.read_vector(tmp_path / "t.gpkg")
