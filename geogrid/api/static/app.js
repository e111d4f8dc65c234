// The page: wires the map, the search and the boxes to the service.

import { dim, filledLevel, style } from "./cartography.js";
import { byId, element, showCoverage, showLegend, showPlace } from "./panel.js";
import { ask } from "./service.js";
import { current, number, say, toggle } from "./words.js";

const state = { edition: null, tiles: null, coverage: null, found: null, map: null, asked: 0 };

start().catch((error) => notice(say("failed") + error.message));

async function start() {
  translate();
  byId("language").addEventListener("click", () => { toggle(); translate(); });
  const [editions, tiles] = await Promise.all([ask("v1/editions"), ask("tiles.json")]);
  state.edition = editions[0];
  state.tiles = tiles;
  translate();
  openMap(state.edition.imagery ? await ask("imagery/tiles.json") : null);
  openSearch();
  byId("close").addEventListener("click", () => clear());
  state.coverage = await ask("v1/coverage");
  translate();
}

function openMap(imagery) {
  const [west, south, east, north] = state.tiles.bounds;
  try {
    state.map = new maplibregl.Map({
      container: "map",
      style: style(state.tiles, imagery),
      bounds: [[west, south], [east, north]],
      fitBoundsOptions: { padding: padding() },
      maxZoom: 19,
      hash: true,
      dragRotate: false,
      pitchWithRotate: false,
      attributionControl: false,
      localIdeographFontFamily: "Noto Sans CJK SC, Microsoft YaHei, PingFang SC, sans-serif",
    });
  } catch (error) {
    notice(`${say("noWebgl")} (${error.message})`);
    return;
  }
  const map = state.map;
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "bottom-right");
  map.addControl(new maplibregl.ScaleControl({ unit: "metric" }), "bottom-right");
  map.getCanvas().style.cursor = "crosshair";
  map.on("click", (event) => locate(event.lngLat));
  map.on("zoomend", legend);
  map.on("error", (event) => console.warn(event.error && event.error.message));
  map.once("idle", () => { document.body.dataset.ready = "yes"; });
  byId("imagery").hidden = !imagery;
  byId("imagery-on").addEventListener("change", (event) => dim(map, event.target.checked));
  legend();
}

// ---- asking

async function locate(lngLat) {
  const mine = ++state.asked;
  await trying(async () => {
    const place = await ask("v1/locate", { lon: lngLat.lng, lat: lngLat.lat, datum: "cgcs2000" });
    const codes = place.microgrid_code ? [place.microgrid_code, place.grid_code] : [];
    const [unit, grid] = await Promise.all(codes.map((code) => ask(`v1/units/${code}`)));
    if (mine === state.asked) show({ place, lngLat, unit, grid });
  });
}

async function pick(code) {
  const mine = ++state.asked;
  await trying(async () => {
    const unit = await ask(`v1/units/${encodeURIComponent(code)}`);
    if (mine !== state.asked) return;
    show({ unit });
    const [west, south, east, north] = unit.bbox;
    state.map.fitBounds([[west, south], [east, north]], { padding: padding(), maxZoom: 16 });
  });
}

async function trying(work) {
  try {
    await work();
    notice("");
  } catch (error) {
    notice(say("failed") + error.message);
  }
}

// ---- showing

function show(found) {
  state.found = found;
  showPlace(found, pick);
  const features = [found.grid, found.unit].filter(Boolean);
  draw(features);
}

function clear() {
  state.asked++;
  state.found = null;
  byId("panel").hidden = true;
  draw([]);
}

function draw(features) {
  const source = state.map.getSource("picked");
  if (source) source.setData({ type: "FeatureCollection", features });
}

function legend() {
  const level = filledLevel(state.map.getZoom());
  showLegend(level, state.tiles.households_breaks[level]);
}

function translate() {
  document.documentElement.lang = current();
  byId("language").textContent = say("language");
  byId("query").placeholder = say("search");
  byId("query").setAttribute("aria-label", say("search"));
  byId("imagery-text").textContent = say("imagery");
  if (!state.edition) return;
  const { city, counts } = state.edition;
  byId("city").textContent = document.title = city;
  byId("counts").textContent = say("counts", { grid: number(counts.grid), microgrid: number(counts.microgrid) });
  byId("source").textContent = say("source", { source: state.edition.imagery_source });
  showCoverage(state.coverage, state.edition);
  if (state.map) legend();
  if (state.found) showPlace(state.found, pick);
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

function padding() {
  const wide = window.innerWidth > 700;
  return wide ? { top: 90, left: 40, right: 40, bottom: 40 } : { top: 120, left: 15, right: 15, bottom: 120 };
}

// ---- searching

function openSearch() {
  const input = byId("query"), list = byId("results");
  let timer = 0, last = "";
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => trying(search), 200);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") open([]);
    if (event.key === "Enter") (list.querySelector("button") || input).click();
    if (event.key === "ArrowDown") list.querySelector("button")?.focus();
  });
  list.addEventListener("keydown", (event) => {
    const row = event.target.closest("li");
    const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
    if (event.key === "Escape") { open([]); input.focus(); }
    next?.querySelector("button")?.focus();
  });
  document.addEventListener("click", (event) => {
    if (!byId("search").contains(event.target)) open([]);
  });

  async function search() {
    const text = (last = input.value.trim());
    const found = text ? await ask("v1/search", { q: text, limit: 12 }) : [];
    if (text !== last) return;
    open(found.map(row), text && !found.length ? [element("li", say("nothing"), "empty")] : []);
  }

  function row(unit) {
    const item = element("li"), button = element("button");
    button.type = "button";
    const parents = (unit.parents || []).slice(1).map((each) => each.name).join(" / ");
    button.append(element("span", say(unit.level), "kind"), element("b", unit.name), element("span", unit.code, "code"), element("span", parents, "parents"));
    button.addEventListener("click", () => { open([]); pick(unit.code); });
    item.append(button);
    return item;
  }

  function open(rows, empty = []) {
    list.replaceChildren(...rows, ...empty);
    list.hidden = !list.children.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
  }
}
