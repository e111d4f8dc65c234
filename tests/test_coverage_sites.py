"""A fault of every kind from a nanometre to thirty metres is told at its place; nothing else is."""

from collections import Counter, defaultdict

import numpy as np
import pytest
import shapely
import sites

from geogrid.coverage import Findings, check
from geogrid.coverage.findings import RULES

MILLIMETRES = 2e-8
"""Degrees: two steps, the farthest that noding puts a place from what was done."""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[list[sites.Site], Findings, Findings]:
    """The key, what is found at the sites, and what is found without them."""
    key_file = tmp_path_factory.mktemp("sites") / "key.json"
    layers, container, clean = sites.faulty_city(20_261_125, key_file)
    found = check(layers, container)
    return sites.read_key(key_file), found, check(clean, container)


def where(finding) -> shapely.Geometry | None:
    """Return the place of a finding; none where there is no geometry to point at."""
    if finding.shape is not None:
        return finding.shape
    return shapely.Point(finding.point) if finding.point else None


def unfound(key, found) -> list[sites.Site]:
    """Return the faulty sites that no finding names with one of its units, at its place."""
    places = [where(each) for each in found]
    of = defaultdict(list)
    for each, place in zip(found, places, strict=True):
        for code in each.codes:
            of[code].append(place)

    def told_at(site) -> bool:
        spot = shapely.from_wkt(site.place)
        return any(
            place is None or shapely.dwithin(place, spot, MILLIMETRES)
            for code in site.codes
            for place in of[code]
        )

    return [site for site in key if not site.harmless and not told_at(site)]


def test_there_are_608_sites_of_19_kinds() -> None:
    plan = sites.planned()
    assert len(plan) == 608
    assert len({kind for kind, _ in plan}) == 19
    assert Counter(size for _, size in plan) == {0.0: 108, **dict.fromkeys(sites.SIZES, 50)}


def test_the_city_without_faults_has_no_finding_of_any_severity(told) -> None:
    _, _, clean = told
    assert list(clean) == []


def test_every_site_is_told_with_its_unit_and_its_place(told) -> None:
    key, found, _ = told
    assert unfound(key, found) == []


def test_from_a_centimetre_on_every_site_is_an_error(told) -> None:
    key, found, _ = told
    wide = [site for site in key if site.size == 0 or site.size >= 0.01]
    assert unfound(wide, [each for each in found if each.severity == "error"]) == []


def test_nothing_is_told_where_nothing_is_wrong(told) -> None:
    key, found, _ = told
    faulty = [site for site in key if not site.harmless]
    tree = shapely.STRtree([shapely.from_wkt(site.place) for site in faulty])
    placeless = {code for each in found if each.point is None for code in each.codes}
    assert placeless <= {code for site in faulty for code in site.codes}
    places = shapely.get_parts([place for place in map(where, found) if place is not None])
    near, _ = tree.query(places, "dwithin", MILLIMETRES)
    assert len(np.unique(near)) == len(places)


def test_every_finding_says_rule_units_place_and_size(told) -> None:
    _, found, _ = told
    for each in found:
        assert each.codes
        assert each.rule in RULES
        if each.rule in ("gap", "edge_gap", "overlap", "sliver", "hole", "outside_parent"):
            west, south, east, north = each.bbox
            assert west <= each.point[0] <= east
            assert south <= each.point[1] <= north
            assert each.area_m2 > 0
            assert each.width_m > 0
            assert shapely.dwithin(each.shape, shapely.Point(each.point), MILLIMETRES)


def test_vertices_nearer_than_a_step_are_one_note_a_level_with_how_far_apart_they_were(
    told,
) -> None:
    _, found, _ = told
    notes = [each for each in found if each.rule == "rounded_together"]
    assert [(each.level, each.severity) for each in notes] == [("microgrid", "note")]
    assert "mm apart, taken for one vertex" in notes[0].message_en
