"""Commands: exit codes, languages, start-up, and the demonstration end to end."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from geogrid import store
from geogrid.edition import Edition


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geogrid", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def city(toy_edition: Edition, tmp_path: Path) -> Path:
    store.write_edition(toy_edition, tmp_path / "city.gpkg", tables={})
    return tmp_path / "city.gpkg"


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for command in ("demo", "sample", "partition", "check", "locate", "stats", "map", "serve"):
        assert command in shown.stdout
    code = (
        "import sys, geogrid.cli; "
        "print(sorted({'geopandas', 'numba', 'pandas', 'rasterio', 'folium'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_check_of_a_clean_edition_exits_0_and_says_100_percent(city: Path) -> None:
    done = run("check", city, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["findings"] == []
    assert set(answer["coverage_rate"].values()) == {1.0}


def test_check_of_wrong_counts_exits_1_and_names_the_rule(city: Path, tmp_path: Path) -> None:
    done = run("check", city, "--grids", "65", "--json", "--report", tmp_path / "report.html")
    assert done.returncode == 1
    assert [found["rule"] for found in json.loads(done.stdout)["findings"]] == ["count"]
    assert "https://" not in (tmp_path / "report.html").read_text("utf-8")


def test_unreadable_input_exits_3_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.gpkg").write_bytes(b"no")
    done = run("check", tmp_path / "bad.gpkg", "--lang", "zh")
    assert done.returncode == 3
    assert done.stderr.startswith("错误: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_locate_needs_a_datum_and_knows_its_names(city: Path, tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("id,lon,lat\n1,114.61,33.61\n", "utf-8")
    assert run("locate", city, table, "-o", tmp_path / "out.csv").returncode == 2
    wrong = run("locate", city, table, "-o", tmp_path / "out.csv", "--datum", "wgs48")
    assert wrong.returncode in (2, 3)
    assert "gcj02" in wrong.stderr
    assert not (tmp_path / "out.csv").exists()
    done = run("locate", city, table, "-o", tmp_path / "out.csv", "--datum", "cgcs2000", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["statuses"]["hit"] == 1
    out = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert len(out["microgrid_code"][0]) == 18


def test_stats_count_and_warn(city: Path, tmp_path: Path) -> None:
    rows = "".join(f"{k},2026-01-0{k % 7 + 1},114.6{k % 5}1,33.6{k % 4}1\n" for k in range(90))
    table = tmp_path / "points.csv"
    table.write_text(f"id,time,lon,lat\n{rows}99,2026-01-01,,\n", "utf-8")
    located, out = tmp_path / "located.csv", tmp_path / "stats.xlsx"
    done = run("locate", city, table, "-o", located, "--datum", "cgcs2000")
    assert done.returncode == 0, done.stderr
    done = run("stats", city, located, "-o", out, "--by", "day", "--warn", "1,3,5,7", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["incidents"] + answer["unplaced"] == 91
    assert sum(answer["warnings"].values()) == answer["units"] == 16
    assert pd.read_excel(out, "breakdown")["incidents"].sum() == answer["incidents"]
    told = run("stats", city, located, "-o", out, "--warn", "1,3,5,7", "--lang", "zh")
    assert "阈值: 1, 3, 5, 7" in told.stdout
    assert run("stats", city, located, "-o", out, "--warn", "high").returncode == 2


def test_map_is_one_file_without_a_foreign_address(city: Path, tmp_path: Path) -> None:
    done = run("map", city, "-o", tmp_path / "map.html", "--color", "balance", "-q")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "map.html").stat().st_size < 2_000_000


@pytest.mark.slow
def test_demo_runs_end_to_end_on_one_county_and_twice(tmp_path: Path) -> None:
    arguments = ("demo", "--counties", "411671", "--no-serve", "--out", tmp_path, "--json")
    started = time.monotonic()
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    answer = json.loads(first.stdout)
    assert answer["counts"]["village"] == 43
    assert answer["counts"]["grid"] == round(14_738 * 43 / 5_113)
    assert answer["counts"]["microgrid"] == round(100_622 * 43 / 5_113)
    assert answer["findings"] == 0
    assert answer["incidents"]["hit"] > 170
    assert "left" in first.stderr or time.monotonic() - started < 60
    second = run(*arguments)
    assert json.loads(second.stdout)["digest"] == answer["digest"]
