"""Addresses: found where they are sure, ambiguous where they are not, never guessed."""

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from geogrid.codes import LEVELS
from geogrid.edition import Edition, EditionInfo
from geogrid.gazetteer import Address, Gazetteer

UNITS = {
    "city": [("4116", "周口市", "")],
    "county": [
        ("411602", "川汇区", "4116"), ("411627", "太康县", "4116"),
        ("411671", "周口临港开发区", "4116"),
    ],
    "township": [
        ("411602001", "陈州街回族街道", "411602"), ("411602002", "七一路街道", "411602"),
        ("411627100", "城关回族镇", "411627"), ("411627101", "常营镇", "411627"),
        ("411671001", "许湾街道", "411671"),
    ],
    "village": [
        ("411602001001", "陈州社区居民委员会", "411602001"),
        ("411602001200", "王庄村民委员会", "411602001"),
        ("411602002001", "程庄居民委员会", "411602002"),
        ("411627100200", "王庄村民委员会", "411627100"),
        ("411627101200", "王庄村民委员会", "411627101"),
        ("411627101201", "大李村民委员会", "411627101"),
        ("411627101202", "小王庄村民委员会", "411627101"),
        ("411671001200", "许湾村民委员会", "411671001"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def gazetteer():
    units = {}
    for level in LEVELS:
        rows = UNITS.get(level) or [(UNITS["village"][0][0] + "001", "x", UNITS["village"][0][0])]
        frame = pd.DataFrame(rows, columns=["code", "name", "parent"])
        frame = frame.assign(uid="", kind="", households=1, area_m2=1.0, valid_from="")
        shapes = [shapely.box(k, 0, k + 1, 1) for k in range(len(frame))]
        units[level] = gpd.GeoDataFrame(frame, geometry=shapes, crs="EPSG:4490")
    info = EditionInfo("t", "", "周口市", "2026-01-01", "EPSG:4547", "", "", "", 1, "{}")
    return Gazetteer(Edition.of(info, units))


@pytest.mark.parametrize(
    ("text", "level", "code"),
    [
        ("周口市川汇区陈州街回族街道陈州社区居民委员会", "village", "411602001001"),
        ("川汇区陈州社区12号楼", "village", "411602001001"),
        ("川汇区 陈州 社区居委会门口", "village", "411602001001"),
        ("陈州社区3号楼", "village", "411602001001"),
        ("川汇区陈州3号楼", "village", "411602001001"),  # the stem, in a county that is named
        ("川汇区程庄居委会", "village", "411602002001"),
        ("太康县常营镇王庄村", "village", "411627101200"),
        ("太康常营王庄", "village", "411627101200"),
        ("太康县城关镇王庄村委会", "village", "411627100200"),  # without 回族
        ("川汇区王庄村", "village", "411602001200"),  # one of three lies there
        ("常营镇小王庄村", "village", "411627101202"),  # not 王庄村
        ("川汇区七一路办事处", "township", "411602002"),
        ("川汇区", "county", "411602"),
        ("临港开发区许湾街道许湾村", "village", "411671001200"),
        ("周口市", "city", "4116"),
    ],
)
def test_unit_is_found_by_full_and_short_names(gazetteer, text, level, code):
    (found,) = gazetteer.find([text])
    assert (found.level, found.code, found.candidates) == (level, code, ())
    assert 0.6 < found.score <= 1


@pytest.mark.parametrize(
    ("text", "level", "code", "candidates"),
    [
        ("王庄村东头", "", "", ("411602001200", "411627100200", "411627101200")),
        ("周口市王庄村", "city", "4116", ("411602001200", "411627100200", "411627101200")),
        ("太康县王庄村", "county", "411627", ("411627100200", "411627101200")),
        # A longer name of which the list knows only the end is not that village.
        ("太康县常营镇前王庄村", "township", "411627101", ("411627101200",)),
        ("常营", "", "", ("411627101",)),  # a stem alone says too little
    ],
)
def test_ambiguous_name_stays_so_with_its_candidates(gazetteer, text, level, code, candidates):
    (found,) = gazetteer.find([text])
    assert (found.level, found.code, found.candidates) == (level, code, candidates)


@pytest.mark.parametrize(
    ("text", "level", "code"),
    [
        ("川汇区太康路12号", "county", "411602"),  # a road, not the county
        ("川汇区七一路20号", "county", "411602"),  # a road, not the subdistrict
        ("川汇区常营镇", "county", "411602"),  # the text contradicts itself
        ("太康县陈州社区", "county", "411627"),
        ("某处", "", ""),
        ("", "", ""),
    ],
)
def test_what_is_not_named_is_not_guessed(gazetteer, text, level, code):
    (found,) = gazetteer.find([text])
    assert (found.level, found.code, found.candidates) == (level, code, ())


def test_score_falls_with_short_forms_and_lonely_names(gazetteer):
    texts = ["川汇区陈州社区居民委员会", "川汇区陈州社区", "陈州社区", "川汇区陈州", "x"]
    scores = [found.score for found in gazetteer.find(texts)]
    assert scores == [1.0, 0.95, 0.76, 0.8, 0.0]
    assert gazetteer.find(["x"]) == [Address()]


def test_two_counties_named_is_no_county(gazetteer):
    (found,) = gazetteer.find(["川汇区与太康县交界处"])
    assert (found.level, found.candidates) == ("", ("411602", "411627"))


def test_every_full_address_of_the_real_city_finds_its_village(real_data):
    table = pd.read_csv(real_data / "zhoukou_divisions.csv", dtype=str)
    names, parents = (table.set_index("code")[c] for c in ("name", "parent"))
    villages = table[table["level"] == "village"]
    units = {}
    for level in LEVELS:
        frame = table[table["level"] == level][["code", "name", "parent"]].fillna("")
        if not len(frame):
            frame = pd.DataFrame([("x", "x", "x")], columns=["code", "name", "parent"])
        frame = frame.assign(uid="", kind="", households=1, area_m2=1.0, valid_from="")
        shapes = [shapely.box(k, 0, k + 1, 1) for k in range(len(frame))]
        units[level] = gpd.GeoDataFrame(frame, geometry=shapes, crs="EPSG:4490")
    info = EditionInfo("t", "", "周口市", "2026-01-01", "EPSG:4547", "", "", "", 1, "{}")
    gazetteer = Gazetteer(Edition.of(info, units))

    def address(code):
        town = parents[code]
        return names[parents[town]] + names[town] + names[code]

    found = gazetteer.find([address(code) for code in villages["code"]])
    wrong = [
        (address(code), each)
        for code, each in zip(villages["code"], found, strict=True)
        if each.level == "village" and each.code != code
    ]
    missed = [address(c) for c, each in zip(villages["code"], found, strict=True) if each.code != c]
    assert wrong == []
    assert len(missed) <= 5, missed[:20]
    # The bare name: right where it is the only one, never another village's.
    bare = gazetteer.find(villages["name"].tolist())
    several = villages["name"].duplicated(keep=False).to_numpy()
    for code, each, twice in zip(villages["code"], bare, several, strict=True):
        assert each.level != "village" or (each.code == code and not twice)
