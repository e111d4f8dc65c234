"""A real browser opens saved maps and the widget, with no network behind them."""

import base64
import html
import json
from collections.abc import Iterator
from contextlib import contextmanager

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from browsing import opened

from geogrid import maps
from geogrid.coverage.check import check
from geogrid.edition import Edition

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def saved_map(toy_edition, tmp_path_factory) -> str:
    units = dict(toy_edition.units)
    units["county"] = units["county"].assign(name=HOSTILE + "{{ 7*7 }}")
    edition = Edition.of(toy_edition.info, units)
    place = units["grid"].geometry.representative_point()[0]
    incidents = gpd.GeoDataFrame(
        {"id": [1], "item": [HOSTILE], "grid_code": [units["grid"]["code"][0]]},
        geometry=[place], crs="EPSG:4490",
    )  # fmt: skip
    path = tmp_path_factory.mktemp("map") / "map.html"
    maps.map_of(edition, incidents=incidents).save(path)
    return path.as_uri()


@contextmanager
def opened_map(browser, address: str, **options: object) -> Iterator:
    """Open a saved map without a network and wait until it is painted; `LAYER` is its grids."""
    size = {"width": 800, "height": 600}  # drawn by the processor: small is quick
    with opened(browser, address, offline=True, **{"viewport": size} | options) as page:
        page.wait_for_function("performance.getEntriesByName('geogrid-painted').length > 0")
        page.evaluate("void (window.LAYER = Object.values(window).find((v) => v && v._raster))")
        yield page


@pytest.fixture(scope="module")
def opened_once(browser, saved_map) -> Iterator:
    with opened_map(browser, saved_map) as page:
        page.evaluate(
            """() => {
              const map = LAYER._map, here = () => [map.getCenter(), map.getZoom()], start = here();
              window.moveBack = () => {
                map.closePopup();
                if (String(here()) !== String(start)) map.setView(...start, { animate: false });
              };
            }"""
        )
        yield page


@pytest.fixture
def page(opened_once):
    """The saved map as it opens; a page for all tests that leave nothing changed but the view."""
    opened_once.mouse.move(2, 2)
    opened_once.evaluate("moveBack()")
    return opened_once


PIXELS = """() => {
  const canvas = LAYER._canvas, counts = new Map(), found = {};
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (const pixel of new Uint32Array(data.buffer)) counts.set(pixel, (counts.get(pixel) || 0) + 1);
  for (const [pixel, count] of counts) { // red first in the lowest byte
    const bgr = [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
    const text = pixel >>> 24 ? bgr.map((v) => v.toString(16).padStart(2, "0")).join("") : "none";
    found["#" + text] = (found["#" + text] || 0) + count;
  }
  return found;
}"""


def coloured(page) -> int:
    """Pixels that show a unit."""
    return sum(n for colour, n in page.evaluate(PIXELS).items() if colour != "#none")


def near(colour: str, counts: dict[str, int]) -> int:
    """Pixels of a colour; half transparent ones come back from the canvas a step off."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return sum(
        count
        for each, count in counts.items()
        if each != "#none"
        and np.abs(rgb - [int(each[k : k + 2], 16) for k in (1, 3, 5)]).max() <= 2
    )


def test_saved_map_paints_without_a_network(page):
    assert coloured(page) > 100_000
    assert page.evaluate("document.querySelectorAll('canvas.geogrid-canvas').length") == 2


VSCODE = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src https: http: data:; font-src https:; connect-src https:; child-src https: data:"
)
"""What outputs of a notebook may do in VS Code, whose own files aside."""


def test_edition_shows_in_the_sandbox_of_a_notebook(browser, toy_edition, tmp_path):
    """A frame of no origin, inline scripts alone, the map in a frame of its own inside."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{VSCODE}">'
    output = html.escape(policy + toy_edition._repr_html_())
    path = tmp_path / "notebook.html"
    path.write_text(
        f'<iframe sandbox="allow-scripts" width="1100" height="660" srcdoc="{output}"></iframe>',
        "utf-8",
    )
    with opened(browser, path.as_uri(), offline=True) as page:
        page.wait_for_function("frames.length === 1")
        map_ = page.frames[1].wait_for_selector("iframe").content_frame()
        assert map_.evaluate("origin") == "null"
        map_.wait_for_selector("canvas[data-painted]")
        map_.evaluate(
            "void (window.LAYER = window[Object.keys(window).find((k) => /^grid_layer/.test(k))])"
        )
        counts = map_.evaluate(PIXELS)
        assert all(near(fill, counts) > 100 for fill in map_.evaluate("LAYER.style.fills"))


def test_old_browsers_without_decompression_and_base64_paint_the_same(browser, saved_map, page):
    expected = page.evaluate(PIXELS)
    before = "delete window.DecompressionStream; delete Uint8Array.fromBase64"
    with opened_map(browser, saved_map, before=before) as old:
        assert old.evaluate("typeof DecompressionStream") == "undefined"
        assert old.evaluate("typeof Uint8Array.fromBase64") == "undefined"
        assert old.evaluate(PIXELS) == expected


def test_every_class_is_visible_city_wide_even_one_unit_of_it(browser, toy_edition, tmp_path):
    """As those of a whole city on a screen, units are a few pixels wide at the last zoom."""
    codes = toy_edition.units["microgrid"]["code"]
    states = pd.Series("none", index=codes)
    states.iloc[[5, 90, 170, 255]] = ["blue", "yellow", "orange", "red"]
    states.iloc[40:60] = "no_data"
    map_ = maps.warning_map(toy_edition, states)
    map_.save(tmp_path / "map.html")
    with opened_map(browser, (tmp_path / "map.html").as_uri()) as page:
        layer = next(each for each in map_._children.values() if isinstance(each, maps.GridLayer))
        for zoom, least in ((12, 40), (11, 3)):
            page.evaluate(f"void LAYER._map.setView([33.62, 114.62], {zoom}, {{animate: false}})")
            counts = page.evaluate(PIXELS)
            for fill in layer.classes.fills:
                assert near(fill, counts) >= least, (zoom, fill)
        assert near("#8a969e", counts) >= 10  # the hatching
        texts = page.inner_text(".geogrid-legend")
        assert "红 red" in texts
        assert "无数据 no data" in texts


CRACKS = """() => {
  const { ids, view } = LAYER._raster, units = new Set();
  const cracks = [];
  let empty = 0;
  for (let row = 0; row < view.height; row++) {
    for (let column = 0; column < view.width; column++) {
      const i = row * view.width + column;
      if (ids[i] >= 0) { if (ids[i] !== ids[i - 1]) units.add(ids[i]); continue; }
      empty++;
      if (column < 2 || column > view.width - 3) continue;
      const left = Math.max(ids[i - 1], ids[i - 2]), right = Math.max(ids[i + 1], ids[i + 2]);
      if (left < 0 || right < 0) continue;
      const at = L.point(column + 0.5, row + 0.5).divideBy(LAYER._ratio).add(LAYER._topLeft);
      const { lng, lat } = LAYER._map.layerPointToLatLng(at);
      cracks.push([lng, lat]);
    }
  }
  return { empty, cracks, units: units.size };
}"""


@pytest.mark.parametrize("ratio", [1, 2])
def test_neighbours_meet_without_a_pixel_between_them(browser, toy_edition, saved_map, ratio):
    """Where two coloured pixels have a bare one between them, that is land outside the city."""
    city = toy_edition.units["city"].geometry[0].buffer(-1e-5)
    size = {"width": 640 // ratio, "height": 450 // ratio}
    with opened_map(browser, saved_map, device_scale_factor=ratio, viewport=size) as page:
        for zoom in (14, 14.5, 17):
            page.evaluate(f"void LAYER._map.setView([33.62, 114.62], {zoom}, {{animate: false}})")
            found = page.evaluate(CRACKS)
            assert found["units"] > 4
            assert not shapely.intersects_xy(city, *np.reshape(found["cracks"], (-1, 2)).T).any()
        # The last view lies inside the city: no background at all.
        assert found["empty"] == 0
        assert "#none" not in page.evaluate(PIXELS)


def test_pixels_belong_to_the_unit_whose_land_they_show(toy_edition, page):
    """Against GEOS: the unit of pixels in the middle of the view, at two zooms."""
    polygons = toy_edition.units["microgrid"].geometry.to_numpy()
    tree = shapely.STRtree(polygons)
    for zoom in (13, 15):
        page.evaluate(f"void LAYER._map.setView([33.6201, 114.6203], {zoom}, {{animate: false}})")
        found = page.evaluate(
            """() => {
              const places = [];
              for (let k = 0; k < 400; k++) {
                const point = [250.5 + ((k * 37) % 300), 150.5 + ((k * 91) % 300)];
                const at = LAYER._map.containerPointToLatLng(point), hit = LAYER.find(at);
                places.push([at.lng, at.lat, hit ? hit.u : -1]);
              }
              return places;
            }"""
        )
        lon, lat, unit = np.array(found).T
        points = shapely.points(lon, lat)
        # Half a pixel and half a step: nearer to a border both answers are right.
        size = 360 / 256 / 2**zoom
        inside = tree.query(points, predicate="within")
        clear = [
            (point, owner)
            for point, owner in inside.T
            if polygons[owner].boundary.distance(points[point]) > size
        ]
        assert len(clear) > 100
        assert all(unit[point] == owner for point, owner in clear)


def test_saved_map_tells_the_unit_under_the_pointer_and_shows_names_as_text(page):
    page.mouse.move(400, 310)
    page.mouse.move(410, 310)
    tip = page.wait_for_selector(".geogrid-tip .geogrid-card")
    assert "户 households" in tip.inner_text()
    page.mouse.click(410, 310)
    card = page.wait_for_selector(".leaflet-popup .geogrid-card")
    assert "户 households" in card.inner_text()
    assert "微网格户数 Households" in card.inner_text()
    assert HOSTILE in card.inner_text()
    assert "64 网格 grids · 256 微网格 micro-grids" in page.inner_text(".geogrid-title")


def test_pointer_is_answered_at_once(page):
    took = page.evaluate(
        """() => {
          const at = LAYER._map.getCenter(), times = [];
          for (let k = 0; k < 100; k++) {
            const begun = performance.now();
            LAYER.describe(LAYER.find(at));
            times.push(performance.now() - begun);
          }
          return times.sort((a, b) => a - b)[50];
        }"""
    )
    assert took < 5  # milliseconds, the median


def test_saved_map_hides_and_shows_a_layer(page):
    page.uncheck(".leaflet-control-layers label:has-text('Grids') input")
    assert page.evaluate("document.querySelectorAll('canvas.geogrid-canvas').length") == 1
    assert page.query_selector(".geogrid-legend") is None
    page.check(".leaflet-control-layers label:has-text('Grids') input")
    page.wait_for_selector(".geogrid-legend")
    assert coloured(page) > 100_000


def test_vertices_in_the_browser_are_those_of_the_edition(browser, toy_edition, tmp_path):
    """What the script unpacked against the edition's own, in web mercator pixels of zoom 18."""
    maps.map_of(toy_edition).save(tmp_path / "map.html")
    with opened_map(browser, (tmp_path / "map.html").as_uri()) as page:
        found = page.evaluate(
            """() => {
              const { city } = LAYER, found = [];
              for (let k = 0; k < city.xy.length; k += 2) {
                found.push((city.xy[k] + city.origin[0]) + " " + (city.xy[k + 1] + city.origin[1]));
              }
              return [...new Set(found)].sort();
            }"""
        )
        codes = page.evaluate(
            "LAYER.city.levels.map((level, d) => LAYER.city.code(d, level.n - 1))"
        )
    lon, lat = np.unique(
        shapely.get_coordinates(toy_edition.units["microgrid"].geometry.to_numpy()), axis=0
    ).T
    y = 0.5 - np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)) / (2 * np.pi)
    steps = np.rint(np.column_stack([lon / 360 + 0.5, y]) * 256 * 2**18).astype(int)
    assert found == sorted({f"{x} {y}" for x, y in steps.tolist()})
    assert codes == [table["code"].iloc[-1] for table in toy_edition.units.values()]


def test_folium_features_work_offline(browser, toy_edition, tmp_path):
    map_ = maps.map_of(toy_edition)
    folium.Marker(
        [33.62, 114.62], popup="<b>一号点</b>", tooltip="提示", icon=folium.Icon(color="red")
    ).add_to(map_)
    folium.Marker([33.63, 114.63]).add_to(map_)
    folium.CircleMarker([33.61, 114.61], radius=9, popup="圆").add_to(map_)
    folium.GeoJson(
        shapely.box(114.60, 33.60, 114.605, 33.605).__geo_interface__, name="GeoJSON"
    ).add_to(map_)
    map_.save(tmp_path / "map.html")
    with opened_map(browser, (tmp_path / "map.html").as_uri()) as page:
        pins = page.query_selector_all("img.leaflet-marker-icon")
        assert len(pins) == 2
        assert all(pin.evaluate("each => each.naturalWidth > 0") for pin in pins)
        pins[0].click()
        assert page.wait_for_selector(".leaflet-popup b").inner_text() == "一号点"


def test_findings_are_listed_and_lead_to_their_place(browser, toy_edition, tmp_path):
    units = dict(toy_edition.units)
    units["microgrid"] = units["microgrid"].drop(index=100)
    broken = Edition.of(toy_edition.info, units)
    maps.coverage_map(broken, check(broken)).save(tmp_path / "map.html")
    with opened_map(browser, (tmp_path / "map.html").as_uri()) as page:
        before = page.evaluate("LAYER._map.getZoom()")
        item = page.wait_for_selector(".geogrid-item")
        item.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".leaflet-popup .geogrid-card")
        assert page.evaluate("LAYER._map.getZoom()") > before


def test_slider_divides_the_old_edition_from_the_new(browser, toy_edition, tmp_path):
    """The whole old city is urban, the whole new one rural."""
    units = {**toy_edition.units}
    units["microgrid"] = units["microgrid"].assign(kind="urban")
    old = Edition.of(toy_edition.info, units)
    maps.compare_map(old, toy_edition).save(tmp_path / "map.html")
    with opened_map(browser, (tmp_path / "map.html").as_uri()) as page:
        page.wait_for_function("document.querySelectorAll('canvas.geogrid-canvas').length === 2")
        page.wait_for_timeout(300)

        def told(x: int) -> str:
            page.mouse.move(x, 300)
            page.mouse.move(x + 1, 300)
            page.wait_for_timeout(100)
            return page.inner_text(".geogrid-tip")

        assert "urban" in told(340)
        assert "rural" in told(460)
        page.focus(".geogrid-swipe-range")
        page.keyboard.press("Home")
        assert "rural" in told(340)


MODEL = """
const state = STATE, listeners = {};
for (const name of ["payload", "classes"]) {
  state[name] = new DataView(Uint8Array.from(atob(state[name]), (c) => c.charCodeAt(0)).buffer);
}
window.model = {
  get: (name) => state[name],
  set: (name, value) => { state[name] = value; (listeners[name] || []).forEach((each) => each()); },
  save_changes() {},
  on: (names, call) => names.split(" ").forEach((name) =>
    (listeners[name.slice("change:".length)] ||= []).push(call)),
};
const source = new Blob([SOURCE], { type: "text/javascript" });
import(URL.createObjectURL(source)).then((module) =>
  module.default.render({ model: window.model, el: document.body }));
"""


def test_widget_tells_what_is_clicked_and_shows_what_is_set(browser, toy_edition, tmp_path):
    """The widget's script with a model that does what the notebook's does."""
    shown = maps.widget(toy_edition)
    state = {name: getattr(shown, name) for name in ("digest", "style", "height", "bounds")}
    for name in ("payload", "classes"):
        state[name] = base64.b64encode(getattr(shown, name)).decode()
    state |= {"selected": "", "hover": ""}
    script = MODEL.replace("STATE", json.dumps(state)).replace("SOURCE", "document.title")
    page_text = f"<meta charset=utf-8><style>{shown._css}</style><body><script>{script}</script>"
    source = json.dumps(str(shown._esm)).replace("</", "<\\/")
    page_text = page_text.replace("[document.title]", f"[{source}]")
    (tmp_path / "widget.html").write_text(page_text, "utf-8")
    codes = set(toy_edition.units["microgrid"]["code"])
    with opened(browser, (tmp_path / "widget.html").as_uri(), offline=True) as page:
        page.wait_for_function("performance.getEntriesByName('geogrid-painted').length > 0")
        assert page.evaluate("[typeof L, typeof define]") == ["undefined", "undefined"]
        page.mouse.click(640, 300)
        assert page.evaluate("model.get('selected')") in codes
        code = toy_edition.units["microgrid"]["code"][7]
        before = page.evaluate("model.get('bounds')")
        page.evaluate(f"model.set('selected', '{code}')")
        page.wait_for_selector(f".leaflet-popup:has-text('{code}')")
        west, south, east, north = page.evaluate("model.get('bounds')")
        assert (west, south, east, north) != before
        middle = toy_edition.units["microgrid"].geometry[7].centroid
        assert west < middle.x < east
        assert south < middle.y < north
        page.evaluate(
            """() => {
              const style = { ...model.get("style"), fills: ["#123456"], labels_of: ["只有一类"] };
              model.set("style", style);
              model.set("classes", new DataView(new Uint8Array(256).buffer));
            }"""
        )
        page.wait_for_selector(".geogrid-legend:has-text('只有一类')")
        assert "256" in page.inner_text(".geogrid-legend")
