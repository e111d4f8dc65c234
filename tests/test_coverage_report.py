"""Findings as files and as text."""

import csv
import json

import pytest
import shapely

from geogrid import store
from geogrid.codes import LEVELS
from geogrid.coverage import as_text, check, write
from geogrid.errors import UsageError


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
    assert layer.message_zh.tolist() == [each.message_zh for each in findings]


def test_page_loads_nothing_and_escapes_names(findings, tmp_path):
    write(findings, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "http" not in page
    assert "缝隙" in page
    assert "<script" not in page


def test_unknown_suffix_is_refused(findings, tmp_path):
    with pytest.raises(UsageError, match=r"report\.pdf"):
        write(findings, tmp_path / "report.pdf")


def test_text_rounds_rates_down(findings):
    text = as_text(findings)
    assert "100 %" in text.splitlines()[0]
    assert "99." in text.splitlines()[5]
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
