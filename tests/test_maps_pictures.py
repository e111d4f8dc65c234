"""Static maps: to scale, every colour where it belongs, no box in place of a character."""

import itertools
import re
from importlib import resources
from io import BytesIO

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import shapely
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont
from geopandas.testing import assert_geodataframe_equal
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from geogrid import maps, store
from geogrid.cli.app import app
from geogrid.coverage.check import check
from geogrid.edition import Edition, to_metres
from geogrid.errors import DataError, UnknownCodeError, UsageError
from geogrid.incidents.warning import COLOURS, NO_DATA
from geogrid.maps.classes import NOTHING_KNOWN, WARNINGS
from geogrid.maps.fonts import OWN, STAND_IN, Font
from geogrid.maps.labels import Names, measured, place
from geogrid.maps.part import Part
from geogrid.maps.scene import Scene
from geogrid.maps.shading import shade, two_lines
from geogrid.maps.sheet import PAPERS, Layout, Sheet

NAMES = resources.files("geogrid.sample") / "zhoukou_divisions.csv"


def pixels(picture: maps.Picture, dpi: int = 100) -> np.ndarray:
    content = BytesIO()
    picture._write(content, "png", dpi)
    return np.asarray(Image.open(content).convert("RGB")).astype(int)


def near(image: np.ndarray, colour: str) -> np.ndarray:
    return (np.abs(image - np.round(np.array(to_rgb(colour)) * 255)) <= 2).all(axis=2)


def in_map(image: np.ndarray, layout: Layout) -> np.ndarray:
    """Cut the frame of the map out of the picture of a sheet."""
    a_mm = image.shape[1] / layout.width
    left, bottom, right, top = (round(mm * a_mm) for mm in layout.map)
    height = image.shape[0]
    return image[height - top + 2 : height - bottom - 2, left + 2 : right - 2]


def test_font_has_a_glyph_for_every_character_of_the_sample_city_and_of_our_texts():
    """Outlines are read by fontTools, which matplotlib's reader does not share."""
    font = TTFont(OWN)
    outlines = font.getGlyphSet()

    def outline(name: str) -> list[object]:
        pen = RecordingPen()
        outlines[name].draw(pen)
        return pen.value

    package = resources.files("geogrid")
    ours = [*package.joinpath("maps").iterdir(), package / "coverage" / "findings.py"]
    texts = [path.read_text("utf-8") for path in ours if path.name.endswith(".py")]
    wanted = set(NAMES.read_text("utf-8-sig") + "".join(texts) + "周口市") - {"\n", "\r", "〓"}
    wanted = {each for each in wanted if not each.isspace()}
    box, known = outline(".notdef"), font.getBestCmap()
    assert len(wanted) > 900
    assert [each for each in wanted if ord(each) not in known] == []
    assert [each for each in wanted if outline(known[ord(each)]) in ([], box)] == []


def test_characters_of_the_city_are_painted_unlike_the_box_of_a_missing_one(toy_edition):
    def painted(character: str) -> bytes:
        figure = Figure((1, 1), dpi=50)
        figure.text(0.2, 0.3, character, fontproperties=Font().at(24), parse_math=False)
        content = BytesIO()
        figure.savefig(content, format="rgba")
        return content.getvalue()

    with pytest.warns(UserWarning, match="missing from font"):
        box = painted("\U00020000")
    shown = {painted(each) for each in "周口市川汇区网格户数"}
    assert len(shown) == 10
    assert box not in shown
    assert painted(" ") not in shown


def test_missing_character_is_named_and_stood_in_for(toy_edition, caplog):
    units = dict(toy_edition.units)
    units["county"] = units["county"].assign(name="\U00020000庄县")
    picture = maps.picture(Edition.of(toy_edition.info, units), level="village")
    assert picture.missing == "\U00020000"
    assert "U+20000" in caplog.text
    assert "\U00020000庄县" in caplog.text
    texts = [text.get_text() for axes in picture.figure.axes for text in axes.texts]
    assert f"{STAND_IN}庄县" in texts
    pixels(picture)  # a glyph that is missing would be a warning, and so an error here


def test_no_character_is_missing_from_an_ordinary_map(toy_edition, caplog):
    assert maps.picture(toy_edition, level="village", findings=check(toy_edition)).missing == ""
    assert not caplog.records


@pytest.mark.parametrize("part", ["", "411602", "411602001001"])
def test_map_is_to_scale(toy_edition, part):
    """Extents counted in pixels, times the scale, are those of the unit on the ground."""
    where = Part.of(toy_edition, part)
    layout = Layout.of(Sheet(), where.metres)
    red = pd.Series("red", toy_edition.units[where.level]["code"])
    inside = in_map(pixels(maps.picture(toy_edition, red, part=part), dpi=200), layout)
    rows, cols = np.nonzero(near(inside, WARNINGS[-1]))
    table = toy_edition.units[where.level].set_index("code")
    shape = to_metres(table.geometry.loc[[where.code]].to_numpy(), "EPSG:4547")
    west, south, east, north = shapely.total_bounds(shape)
    a_pixel = 25.4 / 200 / 1000 * layout.scale
    line = 4 * a_pixel  # the outline covers the edge
    assert np.ptp(cols) * a_pixel == pytest.approx(east - west, abs=2 * line)
    assert np.ptp(rows) * a_pixel == pytest.approx(north - south, abs=2 * line)


def test_paper_lies_or_stands_whichever_makes_the_map_larger():
    long = Layout.of(Sheet(), (0, 0, 3000, 500))
    tall = Layout.of(Sheet(paper="A3"), (0, 0, 500, 3000))
    assert (long.width, long.height) == (297, 210)
    assert (tall.width, tall.height) == (297, 420)
    west, south, east, north = tall.metres
    assert west < 0
    assert east > 500
    assert south < 0
    assert north > 3000
    assert (east - west) / (tall.map[2] - tall.map[0]) == pytest.approx(tall.scale / 1000)


@pytest.mark.parametrize("metres", [180.0, 7_000.0, 140_000.0])
def test_scale_bar_is_a_round_length_that_fits(metres):
    layout = Layout.of(Sheet(), (0, 0, metres, metres))
    length = layout.bar()
    assert re.fullmatch("[125]0*", f"{length:g}")
    assert 15 < length / layout.metres_a_mm <= 40 * layout.size
    assert layout.scale == float(f"{layout.scale:.1e}")


def test_every_warning_colour_is_seen_and_units_without_data_are_hatched(toy_edition):
    codes = toy_edition.units["village"]["code"]
    states = itertools.islice(itertools.cycle([*COLOURS, NO_DATA]), len(codes))
    warnings = pd.Series(list(states), index=codes)
    layout = Layout.of(Sheet(), Part.of(toy_edition, "").metres)
    image = in_map(pixels(maps.picture(toy_edition, warnings)), layout)
    for colour in WARNINGS:
        assert near(image, colour).mean() > 0.01
    # In the hatched village: neither all white nor without white, and never pale as "none" is.
    hatched = toy_edition.units["village"].geometry[5].buffer(-0.001)
    corner = Scene(toy_edition, Part.of(toy_edition, ""), layout, "village", 100)
    box = shapely.bounds(corner.on_paper(np.array([hatched])))[0] - np.tile(layout.map[:2], 2)
    a_mm = 100 / 25.4
    left, bottom, right, top = (box * a_mm).round().astype(int)
    seen = image[image.shape[0] - top : image.shape[0] - bottom, left:right]
    # A name may stand in it, so a share and not all.
    assert 0.3 < near(seen, NOTHING_KNOWN).mean() < 0.95
    assert near(seen, WARNINGS[0]).mean() < 0.01


def test_neighbours_leave_no_crack(toy_edition):
    layout = Layout.of(Sheet(), Part.of(toy_edition, "").metres)
    picture = maps.picture(toy_edition, "none", level="microgrid")
    for artist in [*picture.figure.axes[0].texts]:
        artist.remove()
    for artist in picture.figure.axes[0].collections[1:]:
        artist.remove()  # borders
    image = in_map(pixels(picture), layout)
    scene = Scene(toy_edition, Part.of(toy_edition, ""), layout, "city", 100)
    city = scene.on_paper(toy_edition.units["city"].geometry.to_numpy())[0].buffer(-0.5)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    covered = shapely.contains_xy(
        city, layout.map[0] + (x + 2.5) / 100 * 25.4,
        layout.map[1] + (image.shape[0] - y + 2.5) / 100 * 25.4,
    )  # fmt: skip
    assert covered.mean() > 0.3
    assert near(image, "#f4f4f1")[covered].all()


def test_every_border_is_drawn_once_as_one_of_its_highest_level(toy_edition):
    """Lengths against half the sum of perimeters, less that of the level above."""
    part = Part.of(toy_edition, "")
    layout = Layout.of(Sheet(), part.metres)
    scene = Scene(toy_edition, part, layout, "microgrid", 600)
    axes = Figure().add_subplot()
    levels = scene.borders(axes)
    assert levels == ["outline", "county", "township", "village", "grid", "microgrid"]
    perimeter = {
        level: shapely.length(scene.on_paper(table.geometry.to_numpy())).sum()
        for level, table in toy_edition.units.items()
    }
    above, expected = perimeter["city"], [perimeter["city"]]
    for level in levels[1:]:
        expected.append((perimeter[level] - above) / 2)
        above = perimeter[level]
    drawn = [
        sum(length(path) for path in collection.get_paths()) for collection in axes.collections
    ]
    assert drawn == pytest.approx(expected, rel=0.002)


def length(path: mpl.path.Path) -> float:
    steps = np.hypot(*np.diff(path.vertices, axis=0).T)
    return float(steps[path.codes[1:] != mpl.path.Path.MOVETO].sum())


def test_names_do_not_cover_one_another_and_stay_in_the_frame():
    rng = np.random.default_rng(5)
    corners = rng.uniform(0, 90, (300, 2))
    boxes = shapely.box(*corners.T, *(corners + rng.uniform(2, 12, (300, 2))).T)
    names = Names([f"第{k}网格" for k in range(300)], boxes, 7.0, inside=False)
    placed = place([names], (0, 0, 100, 100), Font())
    assert len(placed) > 40
    em = 7 * 25.4 / 72
    assert measured("第九网格", 7.0, Font())[0] == pytest.approx(4 * em, rel=0.01)
    taken = []
    for label in placed:
        width, height = measured(label.text, label.points, Font())
        taken.append(
            shapely.box(label.x - width / 2, label.y - height / 2,
                        label.x + width / 2, label.y + height / 2)
        )  # fmt: skip
    first, second = shapely.STRtree(taken).query(np.array(taken), predicate="intersects")
    assert (first == second).all()
    assert shapely.box(0, 0, 100, 100).contains_properly(shapely.MultiPolygon(taken))


def test_findings_are_drawn_where_they_are_in_the_colour_of_their_severity(toy_edition):
    units = dict(toy_edition.units)
    units["microgrid"] = units["microgrid"].drop(index=100)
    broken = Edition.of(toy_edition.info, units)
    findings = check(broken)
    layout = Layout.of(Sheet(), Part.of(broken, "").metres)
    red = near(
        in_map(pixels(maps.picture(broken, "none", level="village", findings=findings)), layout),
        "#c8102e",
    )
    hole = toy_edition.units["microgrid"].geometry[[100]].to_crs("EPSG:4547").total_bounds
    rows, cols = np.nonzero(red)
    a_pixel = 25.4 / 100 * layout.metres_a_mm
    x = layout.metres[0] + (cols + 2.5) * a_pixel
    y = layout.metres[1] + (red.shape[0] - rows + 2.5) * a_pixel
    assert np.abs(np.median(x) - (hole[0] + hole[2]) / 2) < (hole[2] - hole[0]) / 2
    assert np.abs(np.median(y) - (hole[1] + hole[3]) / 2) < (hole[3] - hole[1]) / 2


def test_rectangle_is_filled_to_the_edge_with_what_lies_in_it(toy_edition):
    west, south, east, north = toy_edition.units["city"].total_bounds
    middle = (
        west + 0.4 * (east - west), south + 0.4 * (north - south),
        west + 0.6 * (east - west), south + 0.55 * (north - south),
    )  # fmt: skip
    picture = maps.picture(toy_edition, "none", level="microgrid", part=middle)
    layout = Layout.of(Sheet(), Part.of(toy_edition, middle).metres)
    image = in_map(pixels(picture), layout)
    assert near(image, "#ffffff").mean() < 0.05  # rims of names only
    corners = image[[5, 5, -5, -5], [5, -5, 5, -5]]
    assert not (corners == 255).all(axis=1).any()


def test_balance_is_households_over_the_mean_of_the_siblings(toy_edition):
    table = toy_edition.units["grid"]
    expected = [
        row.households / table.households[table.parent == row.parent].mean()
        for row in table.itertuples()
    ]
    classes = shade(toy_edition, "grid", "balance").values
    assert [0.8 <= each < 1.25 for each in expected] == (classes == 2).tolist()


def test_units_without_households_are_no_data_and_not_few(toy_edition):
    units = {level: table.assign(households=0) for level, table in toy_edition.units.items()}
    silent = Edition.of(toy_edition.info, units)
    for measure in ("households", "balance", "density"):
        shading = shade(silent, "grid", measure)
        assert {shading.fills[k] for k in set(shading.values.tolist())} == {NOTHING_KNOWN}
        assert shading.hatched
        assert maps.picture(silent, measure, level="township").figure.axes


def test_numbers_of_a_series_become_classes_and_units_without_one_are_unknown(toy_edition):
    codes = toy_edition.units["grid"]["code"]
    values = pd.Series(np.arange(60.0), index=codes[:60], name="事件 Incidents")
    shading = shade(toy_edition, "grid", values)
    assert two_lines(shading.heading) == ["事件", "Incidents"]
    assert shading.values.tolist() == [k // 10 for k in range(60)] + [6] * 4
    assert shading.hatched == (6,)
    picture = maps.picture(toy_edition, values)
    texts = [text.get_text() for axes in picture.figure.axes for text in axes.texts]
    assert {"0 – 9 (10)", "50 – 59 (10)", "无数据 No data (4)"} <= set(texts)


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_same_map_is_the_same_file(toy_edition, tmp_path, kind):
    for name in ("a", "b"):
        maps.picture(toy_edition, level="village").save(tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert b"20" + b"26-1" not in (tmp_path / f"a.{kind}").read_bytes()[-2000:]


def test_caller_s_matplotlib_is_left_alone_and_does_not_change_the_map(toy_edition):
    plain = maps.picture(toy_edition, level="village")._repr_png_()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9}):
        before = mpl.rcParams.copy()
        styled = maps.picture(toy_edition, level="village")._repr_png_()
        assert mpl.rcParams.copy() == before
    assert styled == plain


def test_sizes_of_pages_are_those_of_the_paper(toy_edition, tmp_path):
    maps.picture(toy_edition, level="county", sheet=Sheet(paper="A3")).save(tmp_path / "map.pdf")
    page = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", (tmp_path / "map.pdf").read_bytes())
    assert page is not None
    millimetres = sorted(float(each) * 25.4 / 72 for each in page.groups())
    assert millimetres == pytest.approx(sorted(PAPERS["A3"]), abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"color": "height"}, "color='height'"),
        ({"level": "street"}, "no level 'street'"),
        ({"part": "411602", "level": "city"}, "no part of a city"),
        ({"part": (0.0, 0.0, 1.0, 1.0)}, "holds nothing of"),
    ],
)
def test_what_cannot_be_drawn_is_refused(toy_edition, arguments, message):
    with pytest.raises(UsageError, match=message):
        maps.picture(toy_edition, **arguments)


def test_unknown_and_ambiguous_parts_are_refused_with_codes(toy_edition):
    units = dict(toy_edition.units)
    units["village"] = units["village"].assign(name="李庄")
    with pytest.raises(UnknownCodeError, match=r"units are called '李庄'.*411601001001"):
        maps.picture(Edition.of(toy_edition.info, units), part="李庄")
    with pytest.raises(UnknownCodeError, match="no unit with code or name '王庄'"):
        maps.picture(toy_edition, part="王庄")
    with pytest.raises(UnknownCodeError, match="1 of 1 codes"):
        maps.picture(toy_edition, pd.Series(["red"], index=["9"]))


@pytest.mark.parametrize("sheet", [{"paper": "Letter"}, {"dpi": 10}, {"dpi": 5000}])
def test_sheet_that_cannot_be_printed_is_refused(sheet):
    with pytest.raises(UsageError):
        Sheet(**sheet)


def test_failed_save_keeps_the_old_file(toy_edition, tmp_path):
    picture = maps.picture(toy_edition, level="county")
    with pytest.raises(UsageError, match=r"\.png, \.pdf, \.svg"):
        picture.save(tmp_path / "map.jpg")
    with pytest.raises(DataError, match="no folder"):
        picture.save(tmp_path / "missing" / "map.png")
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_font_is_refused(tmp_path):
    (tmp_path / "font.ttf").write_text("no font")
    with pytest.raises(DataError, match="cannot be read as a font"):
        Font(tmp_path / "font.ttf")


def test_command_prints_what_the_suffix_asks_for(toy_edition, tmp_path):
    store.write_edition(toy_edition, tmp_path / "city.gpkg", tables={})
    codes = toy_edition.units["village"]["code"]
    table = pd.DataFrame({"code": codes, "warning": "red"})
    table.to_csv(tmp_path / "stats.csv", index=False)
    city = str(tmp_path / "city.gpkg")
    for arguments in (["map.pdf", "--part", "411602", "--level", "village"],
                      ["map.png", "--level", "county", "--findings"],
                      ["warn.png", "--warnings", str(tmp_path / "stats.csv")]):  # fmt: skip
        path = tmp_path / arguments[0]
        done = CliRunner().invoke(app, ["map", city, "-o", str(path), *arguments[1:]])
        assert done.exit_code == 0, done.output
        assert path.read_bytes()[:4] in (b"%PDF", b"\x89PNG")
    warned = np.asarray(Image.open(tmp_path / "warn.png").convert("RGB")).astype(int)
    assert near(warned, WARNINGS[-1]).mean() > 0.2
    done = CliRunner().invoke(app, ["map", city, "-o", str(tmp_path / "x.png"), "--part", "9"])
    assert done.exit_code == 3
    assert "no unit with code or name '9'" in done.output


def test_geodataframe_of_the_edition_is_not_changed(toy_edition):
    before = {level: table.copy() for level, table in toy_edition.units.items()}
    maps.picture(toy_edition, "balance", part="411601", level="grid")
    for level, table in toy_edition.units.items():
        assert_geodataframe_equal(table, before[level])
