"""Findings as files and as text."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import planted
import pytest
import shapely

from geogrid import store
from geogrid.codes import LEVELS
from geogrid.coverage import Checklist, as_text, check, read_exceptions, write
from geogrid.coverage.findings import RULES
from geogrid.errors import DataError, UsageError


@pytest.fixture(scope="module")
def findings(toy_edition):
    layers = {level: toy_edition[level] for level in LEVELS}
    return check(layers | {"microgrid": layers["microgrid"].drop(index=[100, 0])})


def test_json_has_the_documented_shape(findings, tmp_path):
    write(findings, tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert content == json.loads(findings.to_json())
    assert content["coverage_rate"]["grid"] == 1.0
    first = content["findings"][0]
    assert set(first) >= {
        "rule", "severity", "codes", "point", "bbox", "area_m2", "width_m",
        "message_en", "message_zh", "fix",
    }  # fmt: skip
    assert len(first["point"]) == 2
    assert len(first["bbox"]) == 4


def test_csv_opens_in_excel_with_chinese(findings, tmp_path):
    path = tmp_path / "report.csv"
    write(findings, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rule"] for row in rows] == [each.rule for each in findings]
    assert float(rows[0]["lon"]) == pytest.approx(findings[0].point[0])


def test_geopackage_shows_the_places(findings, tmp_path):
    write(findings, tmp_path / "report.gpkg")
    layer = store.read_layer(tmp_path / "report.gpkg", "findings")
    assert [(p.x, p.y) for p in layer.geometry] == [each.point for each in findings]
    places = store.read_layer(tmp_path / "report.gpkg", "places")
    assert set(places.geom_type) == {"MultiPolygon"}
    assert shapely.area(places.geometry.to_numpy()).min() > 0
    assert layer.message_zh.tolist() == [each.message_zh for each in findings]


def test_page_loads_nothing_and_escapes_names(findings, tmp_path):
    evil = "</script><script>alert(1)</script>"
    hostile = replace(findings, items=(replace(findings[0], near=evil), *findings.items))
    write(hostile, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "http://" not in page
    assert "https://" not in page
    assert "缝隙" in page
    assert page.count("<script") == 3  # data, script, and the name inside the data
    assert "</script><script>alert" not in page


def test_the_page_lists_filters_zooms_and_speaks_two_languages(browser, toy_edition, tmp_path):
    layers, _ = planted.plant(toy_edition, {"deleted unit": 1, "wrong code": 1}, seed=4)
    findings = check(layers)
    write(findings, tmp_path / "report.html", outlines=toy_edition["township"])
    asked = []
    with browser.new_context(locale="zh-CN") as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(str(error)))
        page.goto((tmp_path / "report.html").as_uri())
        assert page.locator("#list li").count() == len(findings)
        blank = page.locator("#canvas").screenshot()
        page.locator("#list li").first.click()
        assert page.locator("#detail").inner_text().startswith(findings[0].message_zh)
        assert page.locator("#canvas").screenshot() != blank
        page.select_option("#rule", "gap")
        assert page.locator("#list li").count() == sum(each.rule == "gap" for each in findings)
        page.click("#language")
        assert page.locator("h1").inner_text() == "Coverage check"
        assert "gap" in page.locator("#list li").first.inner_text()
        page.fill("#search", "no such village")
        assert page.locator("#list li").count() == 0
    assert asked == [(tmp_path / "report.html").as_uri()]


def test_csv_holds_no_formula_and_no_code_that_excel_rounds(findings, tmp_path):
    risky = replace(findings[0], near="=HYPERLINK(1)", codes=("411602001001003012",))
    write(replace(findings, items=(risky,)), tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["near"] == "'=HYPERLINK(1)"
    assert row["codes"] == "'411602001001003012"


def test_known_faults_are_shown_with_their_reason_and_count_as_notes(toy_edition, tmp_path):
    layers = {level: toy_edition[level] for level in LEVELS}
    layers["microgrid"] = layers["microgrid"].drop(index=100)
    gap = check(layers)[0]
    table = tmp_path / "known.csv"
    table.write_text(f"编码,规则,原因\n{gap.codes[0]},gap,水库\n", encoding="gb18030")
    findings = check(layers, rules=Checklist(exceptions=read_exceptions(table)))
    assert findings.ok
    assert [(each.severity, each.excused) for each in findings] == [("note", "水库")]
    assert findings.coverage_rate["microgrid"] < 1.0
    assert "水库" in as_text(findings, "zh")
    table.write_text("code,rule,reason\n4116,no_such_rule,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2"):
        read_exceptions(table)


def test_unknown_suffix_is_refused(findings, tmp_path):
    with pytest.raises(UsageError, match=r"report\.pdf"):
        write(findings, tmp_path / "report.pdf")


def test_text_rounds_rates_down(findings):
    text = as_text(findings)
    rates = [line.split()[2] for line in text.splitlines()[1:7]]
    assert rates[:5] == ["100"] * 5
    assert rates[5].startswith("99.")
    assert text.endswith("2 errors")
    assert as_text(findings, "zh").endswith("2 处错误")


def test_geodataframe_has_a_point_for_each_finding(findings):
    frame = findings.to_geodataframe()
    assert frame.crs == "EPSG:4490"
    assert all(isinstance(point, shapely.Point) for point in frame.geometry)


def test_findings_are_a_sequence(findings):
    assert findings[0] in findings
    assert findings[:1] == findings.items[:1]
    assert list(reversed(findings)) == [*findings.items[::-1]]


@pytest.mark.parametrize("page", ["coverage.md", "coverage.zh.md"])
def test_every_rule_is_in_the_documentation(page):
    text = (Path(__file__).parent.parent / "docs" / page).read_text("utf-8")
    for name, rule in RULES.items():
        said = (rule.zh, rule.fix_zh) if page == "coverage.zh.md" else (rule.en, rule.fix_en)
        assert all(part in text for part in (f"`{name}`", *said)), name
