"""The report of a division, against figures worked out by hand on a city of six cells."""

import json
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geogrid import store
from geogrid.cli.figures import report_text
from geogrid.codes import LEVELS
from geogrid.edition import Edition, EditionInfo, to_degrees, to_metres, uid_of
from geogrid.errors import DataError, UsageError
from geogrid.norms import Norm, Norms
from geogrid.partition import report_files
from geogrid.partition.assemble import Pieces
from geogrid.partition.report import LevelReport, Report, measure

V1, V2 = "411602001001", "411602001002"
MICRO = [V1 + "001001", V1 + "001002", V1 + "002001", V1 + "002002", V2 + "001001", V2 + "001002"]
HOUSEHOLDS = [10, 30, 20, 20, 0, 40]
WEST, SOUTH = 11_460_000_000, 3_360_000_000  # steps of 1e-8 degree
# Seen, lined, link, contrast along the borders of the drawing below.
ALONG = {(0, 1): (1, 0, 0, 10), (2, 3): (0, 1, 0, 0), (0, 2): (0, 0, 1, 2),
         (1, 3): (0, 0, 0, 3), (4, 5): (0.5, 0, 0, 4)}  # fmt: skip


def six_cells(size: int = 100_000) -> Edition:
    """A city of two villages and three grids; `size` is 0.001 degree.

      village 1     village 2
    +------+------+------+
    |  0   |  1   |  4   |   0 | 1 seen, 2 | 3 on a given line
    +------+------+------+   0 - 2 a link, 1 - 3 nothing
    |  2   |  3   |  5   |   4 - 5 seen in half, but weakly
    +------+------+------+   grids 0 1, 2 3 and 4 5
    """
    cells = [(0, 1), (1, 1), (0, 0), (1, 0), (2, 1), (2, 0)]
    boxes = shapely.polygons(
        [
            to_degrees(
                np.array([WEST, SOUTH])
                + size * np.array([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)])
            )
            for x, y in cells
        ]
    )
    codes = {"city": 4, "county": 6, "township": 9, "village": 12, "grid": 15, "microgrid": 18}
    units = {}
    for level in LEVELS:
        frame = gpd.GeoDataFrame({"households": HOUSEHOLDS}, geometry=boxes, crs="EPSG:4490")
        frame["code"] = [code[: codes[level]] for code in MICRO]
        frame = frame.dissolve("code", aggfunc="sum").reset_index().rename_geometry("geom")
        above = LEVELS[max(LEVELS.index(level) - 1, 0)]
        frame["parent"] = ["" if level == "city" else c[: codes[above]] for c in frame["code"]]
        frame["uid"] = [uid_of(code) for code in frame["code"]]
        frame["name"], frame["kind"], frame["valid_from"] = frame["code"], "rural", "2026-01-01"
        frame["area_m2"] = frame.to_crs("EPSG:4547").area.round(3)
        units[level] = frame
    info = EditionInfo(
        id="six", parent_id="", city="六格市", created="2026-01-01", working_crs="EPSG:4547",
        imagery_source="none", imagery_date="", weights="households", seed=1, parameters="{}",
    )  # fmt: skip
    return Edition.of(info, units)


def pieces_of(atoms: list[tuple[str, float]] | None = None) -> Pieces:
    """The evidence of the drawing, the pieces in another order than the codes."""
    order = np.array([3, 0, 5, 1, 4, 2])  # piece k is the micro-grid order[k]
    place = np.argsort(order)
    known = atoms or list(zip([code[:12] for code in MICRO], HOUSEHOLDS, strict=True))
    return Pieces(
        polygons=np.empty(6, object),
        tract=np.array([MICRO[k][:12] for k in order]),
        village=np.array([MICRO[k][:12] for k in order]),
        site=np.full(6, None),
        grid=np.zeros(6, np.int64),
        weight=np.array(HOUSEHOLDS, float)[order],
        pairs=np.sort(place[np.array(list(ALONG))], axis=1),
        along=np.array(list(ALONG.values()), float),
        chance=np.array([[30.0, 5.0, 100.0], [10.0, 5.0, 100.0]]),
        atom_weight=np.array([weight for _, weight in known], float),
        atom_tract=np.array([code for code, _ in known]),
        held=np.full(6, ""),
        held_grid=np.full(6, ""),
    )


CODES = np.array(MICRO)[[3, 0, 5, 1, 4, 2]]


def cell_metres(edition: Edition) -> tuple[float, float]:
    """Width and height of a cell in metres."""
    shape = to_metres(edition.units["microgrid"].geometry.to_numpy()[2:3], "EPSG:4547")[0]
    a, b, c, *_ = np.array(shapely.orient_polygons(shape).exterior.coords)
    one, other = np.hypot(*(b - a)), np.hypot(*(c - b))
    return float(min(one, other)), float(max(one, other))


def houses_at(*boxes: tuple[float, float, float, float], households: int = 1) -> gpd.GeoDataFrame:
    """Footprints in cells of the drawing: west, south, east, north, in widths of a cell."""
    corner, size = np.array([WEST, SOUTH]) / 1e8, 0.001
    shapes = [
        shapely.box(*(corner + size * np.array(box[:2])), *(corner + size * np.array(box[2:])))
        for box in boxes
    ]
    frame = gpd.GeoDataFrame({"households": households}, index=range(len(boxes)), geometry=shapes,
                             crs="EPSG:4490")  # fmt: skip
    return frame.to_crs("EPSG:4547")


@pytest.fixture
def edition() -> Edition:
    return six_cells()


@pytest.fixture
def report(edition: Edition) -> Report:
    return measure(edition, pieces_of(), CODES)


def levels_of(report: Report) -> tuple[LevelReport, LevelReport]:
    grid, micro = report.levels
    assert (grid.level, micro.level) == ("grid", "microgrid")
    return grid, micro


# ---- borders ---------------------------------------------------------------------------------


def test_shares_of_the_borders_are_those_drawn_and_sum_to_1(
    edition: Edition, report: Report
) -> None:
    w, h = cell_metres(edition)
    grid, micro = levels_of(report)
    outlines = 6 * w + 6 * h  # around the city, and between the villages
    every = outlines + 3 * w + 2 * h
    assert micro.border_seen == pytest.approx((h + w / 2) / every, rel=1e-3)
    assert micro.border_lined == pytest.approx(h / every, rel=1e-3)
    assert micro.border_link == pytest.approx(w / every, rel=1e-3)
    assert micro.border_unseen == pytest.approx(1.5 * w / every, rel=1e-3)
    assert micro.border_administrative == pytest.approx(outlines / every, rel=1e-3)
    assert micro.seen == pytest.approx((h + w / 2) / (3 * w + 2 * h), rel=1e-3)
    assert micro.lined == pytest.approx(h / (3 * w + 2 * h), rel=1e-3)
    assert (micro.seen_by_chance, micro.lined_by_chance) == pytest.approx((0.2, 0.05))
    every = outlines + 2 * w
    assert (grid.border_seen, grid.border_lined, grid.seen) == (0, 0, 0)
    assert grid.border_link == pytest.approx(w / every, rel=1e-3)
    assert grid.border_unseen == pytest.approx(w / every, rel=1e-3)
    for level in (grid, micro):
        shares = [getattr(level, f"border_{name}") for name in
                  ("seen", "lined", "link", "unseen", "administrative")]  # fmt: skip
        assert sum(shares) == pytest.approx(1, abs=1e-12)


def test_a_border_of_which_nothing_is_known_counts_as_unseen(edition: Edition) -> None:
    known = pieces_of()
    blind = replace(known, pairs=known.pairs[:0], along=known.along[:0])
    _, micro = levels_of(measure(edition, blind, CODES))
    assert micro.border_seen == micro.border_lined == micro.border_link == 0
    assert micro.border_unseen == pytest.approx(1 - micro.border_administrative)


def test_weak_edges_come_weakest_first_with_codes_and_lines(
    edition: Edition, report: Report
) -> None:
    w, _ = cell_metres(edition)
    weak = report.weak_edges
    assert weak["rank"].tolist() == [1, 2, 3, 4]
    assert weak["strength"].tolist() == [2, 2.5, 3, 4]
    assert weak["level"].tolist() == ["microgrid", "grid", "microgrid", "microgrid"]
    pairs = [(0, 2), (0, 2), (1, 3), (4, 5)]
    for row, (one, other) in zip(weak.itertuples(), pairs, strict=True):
        n = 15 if row.level == "grid" else 18
        assert (row.code, row.neighbour_code) == (MICRO[one][:n], MICRO[other][:n])
    assert weak["length_m"].to_numpy() == pytest.approx(np.array([1, 2, 1, 1]) * w, abs=0.1)
    assert weak["seen_share"].tolist() == [0, 0, 0, 0.5]
    middle = SOUTH / 1e8 + 0.001
    west = WEST / 1e8
    for row, width in ((0, 0.001), (1, 0.002)):
        drawn = shapely.LineString([(west, middle), (west + width, middle)])
        assert shapely.hausdorff_distance(weak.geometry[row], drawn) < 1e-12
        assert weak.geometry[row].length == pytest.approx(width)
    points = shapely.points(weak[["lon", "lat"]].to_numpy())
    assert (shapely.distance(points, weak.geometry.to_numpy()) == 0).all()
    grid, micro = levels_of(report)
    assert (grid.weak_edges, micro.weak_edges) == (1, 3)


def test_borders_shorter_than_20_m_are_not_listed() -> None:
    report = measure(six_cells(10_000), pieces_of(), CODES)  # cells of 9 by 11 m
    assert report.weak_edges["level"].tolist() == []


def test_a_border_mostly_on_given_lines_is_not_weak(edition: Edition) -> None:
    known = pieces_of()
    lined = known.along.copy()
    lined[:, 1] = 0.6
    lined[:, 0] = lined[:, 2] = 0
    assert measure(edition, replace(known, along=lined), CODES).weak_edges.empty


# ---- balance ---------------------------------------------------------------------------------


def test_balance_is_taken_against_the_mean_of_the_siblings(report: Report) -> None:
    grid, micro = levels_of(report)
    # -1, -.5, 0, 0, .5, 1 around their grids' mean of 20.
    found = (micro.balance_p5, micro.balance_p50, micro.balance_p95, micro.balance_max)
    assert found == pytest.approx((-0.875, 0, 0.875, 1))
    assert micro.deviation == pytest.approx(0.5)
    assert micro.empty == 1
    assert (grid.balance_p5, grid.balance_max, grid.deviation) == (0, 0, 0)


def test_the_floor_knows_whole_units_and_whole_atoms(edition: Edition) -> None:
    # Village 1 weighs 80 in 4 micro-grids, village 2 weighs 40 in 2: 20 each, were atoms divisible.
    # An atom of 40 puts one micro-grid 20 above and another 20 below, of 6 that weigh 20.
    atoms = [(V1, 20.0)] * 4 + [(V2, 40.0)]
    _, micro = levels_of(measure(edition, pieces_of(atoms), CODES))
    assert micro.floor_counts == 0
    assert micro.floor == pytest.approx((20 + 20) / (6 * 20))
    even = [(V1, 10.0)] * 8 + [(V2, 10.0)] * 4
    _, micro = levels_of(measure(edition, pieces_of(even), CODES))
    assert micro.floor == 0


def test_norms_are_compared_by_kind_and_absent_without_any(
    edition: Edition, report: Report
) -> None:
    assert levels_of(report)[1].norm_within is None
    norms = Norms.parse("urban=300-500/30-50,rural=20-30")
    grid, micro = levels_of(measure(edition, pieces_of(), CODES, norms=norms))
    # 10, 30, 20, 20, 0, 40 households against 20 to 30: -.5, 0, 0, 0, -1, a third.
    assert micro.norm_within == pytest.approx(0.5)
    assert micro.norm_p5 == pytest.approx(-0.875)
    assert (micro.norm_p50, micro.norm_max) == pytest.approx((0, 1 / 3))
    assert grid.norm_within is None


def test_norms_are_read_from_a_short_text() -> None:
    norms = Norms.parse("urban=300-500/30-50, rural=40，dedicated=1-9")
    assert norms.grid == {"urban": Norm(300, 500)}
    assert norms.microgrid == {
        "urban": Norm(30, 50), "rural": Norm(40, 40), "dedicated": Norm(1, 9),
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["urban", "village=20", "urban=50-30", "urban=0-5", "urban=30,urban=40", "urban=1.2.3"]
)
def test_norms_that_cannot_be_right_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="norm"):
        Norms.parse(text)


def test_shape_is_that_of_the_cells(edition: Edition, report: Report) -> None:
    w, h = cell_metres(edition)
    _, micro = levels_of(report)
    assert micro.compactness == pytest.approx(np.pi * w * h / (w + h) ** 2, rel=1e-4)
    assert micro.reock == pytest.approx(w * h / (np.pi * (w**2 + h**2) / 4), rel=1e-4)
    assert micro.reock_p5 == pytest.approx(micro.reock, rel=1e-4)


# ---- buildings -------------------------------------------------------------------------------

INSIDE = (0.2, 1.2, 0.4, 1.4)
ACROSS_0_1 = (0.9, 1.2, 1.1, 1.4)
ACROSS_0_2 = (0.2, 0.9, 0.4, 1.1)
ACROSS_VILLAGES = (1.9, 1.2, 2.1, 1.4)
BY_A_HAIR = (0.801, 0.2, 1.0005, 0.4)
AT_THE_BORDER = (0.8, 0.5, 1.0, 0.7)
BEYOND_THE_CITY = (3.2, 0.2, 3.4, 0.4)


def test_buildings_are_counted_as_cut_at_the_levels_whose_border_cuts_them(
    edition: Edition,
) -> None:
    houses = houses_at(INSIDE, ACROSS_0_1, ACROSS_0_2, ACROSS_VILLAGES, BY_A_HAIR, AT_THE_BORDER,
                       BEYOND_THE_CITY)  # fmt: skip
    grid, micro = levels_of(measure(edition, pieces_of(), CODES, houses=houses))
    assert (micro.buildings_cut, micro.buildings_cut_by_villages) == (3, 1)
    assert (grid.buildings_cut, grid.buildings_cut_by_villages) == (2, 1)


def test_points_cannot_be_cut(edition: Edition) -> None:
    houses = houses_at(INSIDE)
    houses.geometry = houses.centroid
    _, micro = levels_of(measure(edition, pieces_of(), CODES, houses=houses))
    assert micro.buildings_cut is None


def test_a_building_that_crosses_itself_is_measured_by_what_it_encloses(edition: Edition) -> None:
    houses = houses_at(ACROSS_0_1)
    a, b, c, d, _ = houses.geometry[0].exterior.coords
    houses.geometry = [shapely.Polygon([a, c, b, d])]
    _, micro = levels_of(measure(edition, pieces_of(), CODES, houses=houses))
    assert micro.buildings_cut == 1


@pytest.mark.parametrize(
    ("atoms_of_village_2", "house", "reason", "buildings"),
    [
        ([40.0], (2.2, 1.2, 2.4, 1.4), "quota", 1),
        ([20.0, 20.0], (2.2, 1.2, 2.4, 1.4), "no_households", 1),
        ([20.0, 20.0, 0.0], (2.2, 0.2, 2.4, 0.4), "open_land", 0),
        ([40.0, 0.0], (2.2, 0.2, 2.4, 0.4), "quota", 0),
    ],
)
def test_a_microgrid_without_people_is_listed_with_its_reason(
    atoms_of_village_2: list[float],
    house: tuple[float, float, float, float],
    reason: str,
    buildings: int,
    edition: Edition,
) -> None:
    pieces = pieces_of([(V1, 20.0)] * 4 + [(V2, weight) for weight in atoms_of_village_2])
    report = measure(edition, pieces, CODES, houses=houses_at(house, INSIDE))
    assert report.empty is not None
    (row,) = report.empty.to_dict("records")
    assert (row["code"], row["reason"], row["buildings"]) == (MICRO[4], reason, buildings)
    assert row["village_microgrids"] == 2
    assert row["village_inhabited_atoms"] == sum(weight > 0 for weight in atoms_of_village_2)


# ---- files -----------------------------------------------------------------------------------


def whole_report(edition: Edition) -> Report:
    return measure(edition, pieces_of(), CODES, houses=houses_at(INSIDE, ACROSS_0_1))


def test_the_files_hold_the_figures_the_empty_microgrids_and_the_weak_borders(
    edition: Edition, tmp_path: Path
) -> None:
    report = whole_report(edition)
    files = report_files.write(tmp_path / "new" / "report", edition, report, None)
    assert [path.name for path in files] == ["report.json", "report.csv", "weak_edges.gpkg"]
    content = json.loads(files[0].read_text("utf-8"))
    assert content["digest"] == edition.info.digest
    assert content["norms"] is None
    assert [level["level"] for level in content["levels"]] == ["grid", "microgrid"]
    assert content["levels"][1]["buildings_cut"] == 1
    assert "norm_p5" not in content["levels"][1]
    assert [unit["code"] for unit in content["empty_microgrids"]] == [MICRO[4]]
    assert content["weak_edges_m"]["grid"] == pytest.approx(2 * cell_metres(edition)[0], abs=0.1)
    rows = pd.read_csv(files[1], dtype=str, keep_default_na=False)
    assert files[1].read_bytes().startswith(b"\xef\xbb\xbf")
    assert set(rows["figure"]) <= set(report_files.FIGURES) | {"empty_microgrid"}
    value = rows.set_index(["level", "figure"])["value"]
    assert value["microgrid", "units"] == "6"
    assert float(value["microgrid", "border_seen"]) == pytest.approx(
        report.levels[1].border_seen, rel=1e-4
    )
    empty = rows[rows["figure"] == "empty_microgrid"].iloc[0]
    assert (empty["code"], empty["reason"], empty["value"]) == (MICRO[4], "quota", "0")
    weak = store.read_layer(files[2], "weak_edge")
    assert weak["rank"].tolist() == [1, 2, 3, 4]
    assert weak.crs.to_epsg() == 4490
    style = store.read_layer(files[2], "layer_styles").iloc[0]
    assert style["f_table_name"] == "weak_edge"
    assert 'attr="strength"' in style["styleQML"]


def test_the_same_report_gives_the_same_bytes(edition: Edition, tmp_path: Path) -> None:
    one = report_files.write(tmp_path / "one", edition, whole_report(edition), None)
    two = report_files.write(tmp_path / "two", edition, whole_report(edition), None)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_report_without_weak_borders_has_an_empty_layer(tmp_path: Path) -> None:
    edition = six_cells(10_000)
    report = measure(edition, pieces_of(), CODES)
    files = report_files.write(tmp_path, edition, report, Norms.parse("rural=20-30"))
    assert len(store.read_layer(files[2], "weak_edge")) == 0
    content = json.loads(files[0].read_text("utf-8"))
    assert content["empty_microgrids"] is None
    assert content["norms"]["microgrid"] == {"rural": {"least": 20, "most": 30}}


def test_a_folder_that_cannot_be_made_is_named(edition: Edition, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(DataError, match=r"cannot make the folder .*report"):
        report_files.write(tmp_path / "report", edition, whole_report(edition), None)


@pytest.mark.parametrize(("lang", "word"), [("zh", "微网格"), ("en", "micro-grids")])
def test_the_table_for_a_terminal_fits_100_columns(lang: str, word: str, edition: Edition) -> None:
    norms = Norms.parse("rural=1-2/1-2")
    report = measure(edition, pieces_of(), CODES, houses=houses_at(INSIDE, ACROSS_0_1), norms=norms)
    text = report_text(report, lang)
    assert word in text
    for line in text.splitlines():
        assert sum(2 if ord(char) > 0x2E80 else 1 for char in line) <= 100, line
