// The map: opened once, told what to show, and tells what is pointed at.

import { colouredLevel, hatching, paint, style, unitTiles, view } from "./cartography.js";
import { byId, element, narrow } from "./dom.js";
import { ask, headers, ROOT } from "./service.js";
import { toast } from "./toasts.js";
import { say } from "./words.js";

const NOTHING = { type: "FeatureCollection", features: [] };
const REPLACED = 410; // how tiles of an edition that was replaced are answered
const INSIDE = 16; // no nearer than this when a unit is shown

let map = null, tiles = null, ready = null;

// Returns null where the browser cannot draw.
export function openMap(found, about, imagery) {
  tiles = found;
  const [west, south, east, north] = tiles.bounds;
  try {
    map = new maplibregl.Map({
      container: "map", style: style(tiles, about, imagery),
      bounds: [[west, south], [east, north]], fitBoundsOptions: { padding: padding() },
      maxZoom: 19, hash: "map", dragRotate: false, pitchWithRotate: false, attributionControl: false,
      canvasContextAttributes: { preserveDrawingBuffer: true }, // for printing
      localIdeographFontFamily: "Noto Sans CJK SC, Microsoft YaHei, PingFang SC, sans-serif",
      transformRequest: (url) => (url.startsWith(ROOT) ? { url, headers: headers() } : { url }),
    });
  } catch (error) {
    toast("webgl", `${say("noWebgl")} (${error.message})`, { lasting: true });
    return null;
  }
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "bottom-right");
  map.addControl(new maplibregl.ScaleControl({ unit: "metric" }), "bottom-right");
  map.getCanvas().style.cursor = "crosshair";
  ready = new Promise((resolve) => map.once("load", resolve));
  ready.then(() => { map.addImage("hatching", hatching()); repaint(); });
  map.once("idle", () => { document.body.dataset.ready = "yes"; });
  map.on("resize", shape);
  shape();
  map.on("render", () => { delete document.body.dataset.idle; });
  map.on("idle", () => { document.body.dataset.idle = "yes"; });
  map.on("styleimagemissing", () => map.hasImage("hatching") || map.addImage("hatching", hatching()));
  map.on("error", failed);
  return map;
}

// The map and its buttons in the language of the page.
export function nameMap() {
  const named = { ".maplibregl-canvas": "map", ".maplibregl-ctrl-zoom-in": "zoomTo", ".maplibregl-ctrl-zoom-out": "zoomOut" };
  for (const [selector, key] of Object.entries(named)) {
    const part = map?.getContainer().querySelector(selector);
    part?.setAttribute("aria-label", say(key));
    if (part && key !== "map") part.title = say(key);
  }
}

// Paper takes the shape of the map on the screen.
function shape() {
  const { clientWidth: width, clientHeight: height } = map.getContainer();
  if (!matchMedia("print").matches) document.body.style.setProperty("--shape", `${width} / ${height}`);
}

export function repaint() {
  if (map?.isStyleLoaded() || map?.loaded()) paint(map, tiles);
  else ready?.then(() => paint(map, tiles));
}

export function zoom() {
  return map ? map.getZoom() : 0;
}

// The level that a click asks for.
export function clickedLevel() {
  if (view.theme === "warnings") return view.warned.level;
  return view.level === "auto" ? colouredLevel(tiles, zoom()) : view.level;
}

export function flyTo(box, most = INSIDE) {
  const [west, south, east, north] = box;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  map?.fitBounds([[west, south], [east, north]], { padding: padding(), maxZoom: most, duration: calm ? 0 : 600 });
}

export async function draw(source, features) {
  if (!map) return;
  await ready;
  map.getSource(source).setData({ ...NOTHING, features });
}

export async function mark(number) {
  if (!map) return;
  await ready;
  map.setFilter("fault-marked", ["==", ["get", "number"], number]);
}

// Warnings of units as states of their features; the tiles stay as they are.
export async function warn(level, units) {
  if (!map) return;
  await ready;
  for (const each of tiles.vector_layers) {
    if (each.id !== "label") map.removeFeatureState({ source: "units", sourceLayer: each.id });
  }
  for (const unit of units) {
    map.setFeatureState({ source: "units", sourceLayer: level, id: unit.code }, { warning: unit.warning || "none" });
  }
}

// Do some work when the service has no tiles of this edition any more.
export function whenReplaced(work) {
  map.on("error", ({ error }) => { if (error?.status === REPLACED) work(); });
}

// Another edition: its tiles, and no state of the old one.
export async function renew(found) {
  tiles = found;
  if (!map) return;
  await ready;
  map.removeFeatureState({ source: "units" });
  map.getSource("units").setTiles(unitTiles(tiles));
  repaint();
}

// Name and figure of the unit under the pointer.
export function openTip(text) {
  const tip = element("div", "", "tip");
  tip.hidden = true;
  byId("stage").append(tip);
  let due = false;
  map.on("mousemove", (event) => {
    if (due || matchMedia("(hover: none)").matches) return;
    due = true;
    requestAnimationFrame(() => { due = false; show(event.point); });
  });
  map.on("mouseout", () => { tip.hidden = true; });
  map.on("movestart", () => { tip.hidden = true; });

  function show(point) {
    const level = colouredLevel(tiles, zoom());
    const layers = [`fill-${level}`].filter((id) => map.getLayer(id));
    const [feature] = layers.length ? map.queryRenderedFeatures(point, { layers }) : [];
    tip.hidden = !feature;
    if (!feature) return;
    tip.replaceChildren(...text(level, feature));
    const taken = byId("panel").hidden ? 0 : byId("panel").clientWidth + 24;
    const right = point.x > map.getContainer().clientWidth - taken - 240;
    tip.style.transform = `translate(${point.x + (right ? -12 : 14)}px, ${point.y + 14}px) translateX(${right ? -100 : 0}%)`;
  }
}

// What lies over the map: on narrow screens a sheet at the lower edge, else the card at the right.
export function padding() {
  if (!narrow()) return { top: 40, left: 40, right: byId("panel").hidden ? 40 : 390, bottom: 40 };
  const sheet = Math.max(byId("panel").offsetHeight, byId("panels").offsetHeight);
  return { top: 118, left: 14, right: 14, bottom: sheet ? sheet + 14 : 150 };
}

async function failed({ error, sourceId }) {
  console.warn(error && error.message);
  if (!error || error.name === "AbortError" || error.status === REPLACED) return;
  if (["vec", "cva", "img", "cia"].includes(sourceId) && error.url) {
    try {
      await ask(error.url);
    } catch (problem) {
      toast("basemap", say("basemapFailed") + problem.text);
    }
  } else if (error.status || error.url || error.message === "Failed to fetch") {
    toast("tiles", say("tileFailed"));
  }
}
