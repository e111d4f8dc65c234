// The page: a map of the units, a search box, and the grid of the place that was clicked.

import { get } from "./api.js";
import { byId, el } from "./dom.js";
import { showLegend, showOverview, showPlace } from "./panels.js";
import { CLASSES, FILLED, select, showImagery, style } from "./style.js";
import { lang, switchLanguage, text } from "./text.js";

const origin = new URL(".", location.href).href;
const state = { edition: null, tiles: null, coverage: null, place: null, imagery: false };
let map = null;
let marker = null;

function say(message) {
  const notice = byId("notice");
  notice.textContent = message;
  notice.hidden = !message;
}

function filledLevel() {
  const zoom = map ? map.getZoom() : 0;
  return FILLED.filter(([, from]) => zoom >= from).at(-1)[0];
}

function render() {
  document.documentElement.lang = lang;
  byId("lang").textContent = text().other;
  byId("q").placeholder = text().search;
  byId("q").setAttribute("aria-label", text().search);
  if (!state.edition) return;
  document.title = `${state.edition.city} · geogrid`;
  byId("title").textContent = state.edition.city;
  byId("subtitle").textContent = text().subtitle(state.edition);
  showOverview(state);
  showPlace(state.place, { close: clear });
  if (map) showLegend(filledLevel(), CLASSES, state.tiles.households_breaks, switcher());
}

function switcher() {
  if (!state.edition.imagery) return null;
  const box = el("input", { type: "checkbox", id: "imagery-on", checked: state.imagery });
  box.addEventListener("change", () => {
    state.imagery = box.checked;
    showImagery(map, box.checked);
  });
  return el("label", { class: "switch" }, box, text().imagery);
}

function clear() {
  state.place = null;
  marker?.remove();
  if (map) select(map, []);
  render();
}

async function pick({ lng, lat }) {
  try {
    const found = await get("v1/locate", { lon: lng.toFixed(8), lat: lat.toFixed(8), datum: "cgcs2000" });
    say("");
    const unit = found.microgrid_code ? await get(`v1/units/${found.microgrid_code}`) : null;
    state.place = { ...found, lon: lng, lat, unit };
    marker.setLngLat([lng, lat]).addTo(map);
    select(map, found.chain);
    render();
  } catch (error) {
    say(error.message);
  }
}

async function openUnit(found) {
  const [west, south, east, north] = found.bbox;
  map?.fitBounds([[west, south], [east, north]], { padding: room(), maxZoom: 16, duration: 700 });
  const unit = await get(`v1/units/${found.code}`);
  state.place = { chain: unit.properties.chain, unit, status: "unit" };
  marker?.remove();
  if (map) select(map, unit.properties.chain);
  render();
}

const isNarrow = () => window.innerWidth < 720;

/** Part of the map that no panel hides. */
const room = () => (isNarrow() ? { top: 130, bottom: 250, left: 20, right: 20 } : { top: 40, bottom: 40, left: 390, right: 60 });

function listenToSearch() {
  const input = byId("q");
  const list = byId("results");
  let latest = 0;
  const look = async () => {
    const q = input.value.trim();
    const turn = ++latest;
    if (!q) { list.hidden = true; return; }
    const found = await get("v1/search", { q, limit: 12 }).catch((error) => { say(error.message); return []; });
    if (turn !== latest) return;
    list.replaceChildren(...(found.length ? found.map(item) : [el("li", { class: "none" }, text().nothing)]));
    list.hidden = false;
  };
  const item = (unit) => {
    const open = () => { list.hidden = true; input.value = unit.name; openUnit(unit); };
    return el("li", {}, el("button", { type: "button", onclick: open },
      el("span", { class: "name" }, unit.name),
      el("span", { class: "tag" }, text().levels[unit.level]),
      el("span", { class: "where" }, `${unit.code} · ${unit.parents.slice(1).map((parent) => parent.name).join(" › ") || state.edition.city}`)));
  };
  let timer = 0;
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 180); });
  input.addEventListener("keydown", (event) => { if (event.key === "Escape") list.hidden = true; });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("button")?.click();
  });
  document.addEventListener("click", (event) => { if (!byId("search").contains(event.target)) list.hidden = true; });
}

function hasWebgl() {
  const canvas = document.createElement("canvas");
  return Boolean(canvas.getContext("webgl2") ?? canvas.getContext("webgl"));
}

async function startMap() {
  if (!hasWebgl()) { say(text().noWebgl); return; }
  const imagery = state.edition.imagery && await get(state.edition.imagery.replace(/^\//, ""));
  const raster = imagery && {
    tiles: [`${origin}imagery/tiles/{z}/{x}/{y}`], bounds: imagery.bounds, maxzoom: imagery.maxzoom,
    minzoom: Math.max(0, imagery.minzoom - 3),
  };
  const [west, south, east, north] = state.tiles.bounds;
  map = new maplibregl.Map({
    container: "map",
    style: style(origin, state.tiles.bounds, state.tiles.households_breaks, raster),
    bounds: [[west, south], [east, north]],
    fitBoundsOptions: { padding: room() },
    hash: "map",
    minZoom: 5,
    maxZoom: 19,
    dragRotate: false,
    pitchWithRotate: false,
    attributionControl: false,
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl(), "bottom-right");
  map.on("click", (event) => pick(event.lngLat));
  map.on("error", (event) => say(event.error?.message ?? text().failed));
  map.getCanvas().style.cursor = "crosshair";
  let level = filledLevel();
  map.on("zoom", () => { if (filledLevel() !== level) { level = filledLevel(); render(); } });
  marker = new maplibregl.Marker({ color: "#d4380d", scale: 0.8 });
  window.geogrid = { map, state };
}

async function start() {
  byId("lang").addEventListener("click", () => { switchLanguage(); render(); });
  listenToSearch();
  render();
  try {
    const [editions, tiles] = await Promise.all([get("v1/editions"), get("tiles.json")]);
    state.edition = editions[0];
    state.tiles = tiles;
    await startMap();
    render();
    state.coverage = await get("v1/coverage");
    render();
  } catch (error) {
    say(error.message);
  }
}

start();
