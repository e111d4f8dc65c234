// The look of the map: which level is drawn and coloured at which zoom, and how.

import { here, ROOT } from "./service.js";

export const LEVELS = ["county", "township", "village", "grid", "microgrid"];
export const FILLS = ["#fdf6d8", "#bfe0c2", "#73bfc2", "#3a8fbf", "#2a5b9c"];
export const WARNINGS = { red: "#d7263d", orange: "#f28c28", yellow: "#ffd54a", blue: "#4a90d9", none: "#f4f6f7", no_data: "#d5d9dc" };
export const SEVERITIES = { error: "#c2185b", warning: "#b26a00", note: "#546e7a" };

const LINE = "#22303a";
const MARK = "#d9480f";
const FONTS = ["Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "sans-serif"];
const CLOSE = 14; // from this zoom on micro-grids are coloured, where nobody chose a level
const LAST = 24;

// What the reader chose to see; the map is painted from it and from nothing else.
export const view = {
  level: "auto", shown: new Set(LEVELS), labels: true,
  imagery: false, imageryOpacity: 1, basemap: "none", basemapOpacity: 1, colours: 1, coloursChosen: false,
  theme: "households", warned: { level: "village", others: "none" }, faults: true,
};

export function minZoom(tiles, level) {
  return tiles.vector_layers.find((layer) => layer.id === level).minzoom;
}

// The coloured levels: [level, from zoom, to zoom].
function ranges(tiles) {
  const first = (level) => minZoom(tiles, level);
  if (view.theme === "warnings") return [[view.warned.level, first(view.warned.level), LAST]];
  if (view.level === "auto") return [["township", 0, first("grid")], ["grid", first("grid"), CLOSE], ["microgrid", CLOSE, LAST]];
  const wanted = LEVELS.slice(0, LEVELS.indexOf(view.level) + 1);
  const all = wanted.map((level, k) => [level, first(level), Math.min(LAST, ...wanted.slice(k + 1).map(first))]);
  return all.filter(([, from, to]) => from < to);
}

// The level that is coloured at a zoom; null where the warned level is not drawn yet.
export function colouredLevel(tiles, zoom) {
  return ranges(tiles).find(([, from, to]) => from <= zoom && zoom < to)?.[0] ?? null;
}

export function unitTiles(tiles) {
  return tiles.tiles.map(here);
}

export function style(tiles, about, imagery) {
  const empty = { type: "geojson", data: { type: "FeatureCollection", features: [] } };
  const promoteId = Object.fromEntries(LEVELS.map((level) => [level, "code"]));
  const sources = {
    units: {
      type: "vector", tiles: unitTiles(tiles), promoteId,
      minzoom: tiles.minzoom, maxzoom: tiles.maxzoom, bounds: tiles.bounds,
    },
    picked: empty, spot: empty, faults: empty, shapes: empty,
  };
  const layers = [{ id: "ground", type: "background", paint: { "background-color": "#e9edf0" } }];
  if (about.basemap) {
    for (const name of about.basemap) {
      sources[name] = { type: "raster", tiles: [`${ROOT}basemap/${name}/{z}/{x}/{y}`], tileSize: 256, minzoom: 1, maxzoom: 18 };
    }
    layers.push(raster("vec"), raster("img"));
  }
  if (imagery) {
    sources.imagery = {
      type: "raster", tiles: imagery.tiles.map(here), tileSize: 256,
      minzoom: imagery.minzoom, maxzoom: imagery.maxzoom, bounds: imagery.bounds,
    };
    layers.push(raster("imagery"));
  }
  layers.push(
    ...LEVELS.map((level) => fill("fill", level, { "fill-color": FILLS[0] })),
    ...LEVELS.map((level) => fill("empty", level, { "fill-pattern": "hatching" })),
    line("microgrid", [12, 0.25, 15, 0.9, 18, 1.6], 0.75),
    line("grid", [10, 0.2, 11, 0.4, 14, 1.3, 18, 3]),
    line("village", [10, 0.3, 13, 1.6, 18, 4]),
    line("township", [7, 0.4, 10, 1.2, 14, 2.6, 18, 6]),
    line("county", [6, 0.8, 9, 1.9, 14, 4, 18, 8]),
  );
  if (about.basemap) layers.push(raster("cva"), raster("cia"));
  layers.push(
    ...picked(),
    label("microgrid", 15, 11, ["slice", ["get", "code"], -3]),
    label("grid", 13, 11.5, ["get", "name"], 14.5),
    label("village", 12, 12, ["get", "name"], 14),
    label("township", 9, 13, ["get", "name"], 12.5),
    label("county", 6, 15, ["get", "name"], 10.5),
    ...faults(),
    { id: "spot", type: "circle", source: "spot", paint: { "circle-radius": 6, "circle-color": MARK, "circle-stroke-color": "#fff", "circle-stroke-width": 2.5 } },
  );
  return { version: 8, sources, layers };
}

// Bring the map to what `view` says.
export function paint(map, tiles) {
  const show = (id, on) => map.getLayer(id) && map.setLayoutProperty(id, "visibility", on ? "visible" : "none");
  const picture = view.imagery || view.basemap !== "none";
  const bright = view.imagery || view.basemap === "img";
  const coloured = new Map(ranges(tiles).map(([level, from, to]) => [level, [from, to]]));
  for (const level of LEVELS) {
    const warned = view.theme === "warnings";
    for (const id of [`fill-${level}`, `empty-${level}`]) {
      show(id, coloured.has(level) && (warned || id.startsWith("fill")));
      if (coloured.has(level)) map.setLayerZoomRange(id, ...coloured.get(level));
    }
    map.setPaintProperty(`fill-${level}`, "fill-color", warned ? warnedColours() : householdColours(tiles, level));
    map.setPaintProperty(`fill-${level}`, "fill-opacity", colours(picture));
    map.setPaintProperty(`empty-${level}`, "fill-opacity", emptyOpacity(colours(picture)));
    show(`line-${level}`, view.shown.has(level));
    map.setPaintProperty(`line-${level}`, "line-color", bright ? "#ffffff" : LINE);
    show(`label-${level}`, view.labels && view.shown.has(level));
  }
  show("imagery", view.imagery);
  if (view.imagery) map.setPaintProperty("imagery", "raster-opacity", view.imageryOpacity);
  for (const [name, labels] of [["vec", "cva"], ["img", "cia"]]) {
    const on = view.basemap === name;
    for (const id of [name, labels]) {
      show(id, on);
      if (on && map.getLayer(id)) map.setPaintProperty(id, "raster-opacity", view.basemapOpacity);
    }
  }
  for (const id of ["fault-shapes", "fault-lines", "fault-points", "fault-marked"]) show(id, faultsShown());
}

// Colours of findings and of warnings do not go together, so one at a time.
function faultsShown() {
  return view.faults && (view.theme !== "warnings" || document.body.dataset.tab === "check");
}

// A picture below shows through, unless the reader chose otherwise.
export function colours(picture = view.imagery || view.basemap !== "none") {
  return picture && !view.coloursChosen ? 0.25 : view.colours;
}

// Grey hatching for units of which nothing is known: it is no colour of warning.
export function hatching() {
  const size = 12, data = new Uint8Array(size * size * 4);
  for (let k = 0; k < size * size; k++) {
    const dark = (k % size + Math.floor(k / size)) % 6 < 2;
    data.set(dark ? [140, 148, 154, 255] : [226, 230, 233, 255], k * 4);
  }
  return { width: size, height: size, data };
}

function householdColours(tiles, level) {
  const steps = ["step", ["get", "households"], FILLS[0]];
  let last = -Infinity; // equal breaks leave a class empty
  tiles.households_breaks[level].forEach((value, k) => {
    if (value > last) steps.push(value, FILLS[k + 1]);
    last = Math.max(last, value);
  });
  return steps.length > 3 ? steps : FILLS[0];
}

const STATE = ["to-string", ["feature-state", "warning"]];

function warnedColours() {
  const pairs = ["red", "orange", "yellow", "blue", "none"].flatMap((name) => [name, WARNINGS[name]]);
  return ["match", STATE, ...pairs, WARNINGS[view.warned.others]];
}

function emptyOpacity(opacity) {
  if (view.warned.others === "no_data") return ["match", STATE, ["red", "orange", "yellow", "blue", "none"], 0, opacity];
  return ["match", STATE, "no_data", opacity, 0];
}

function raster(name) {
  return { id: name, type: "raster", source: name, layout: { visibility: "none" }, paint: { "raster-fade-duration": 150 } };
}

function fill(name, level, look) {
  return {
    id: `${name}-${level}`, type: "fill", source: "units", "source-layer": level,
    layout: { visibility: "none" }, paint: { "fill-antialias": false, ...look },
  };
}

function line(level, width, opacity = 0.9) {
  return {
    id: `line-${level}`, type: "line", source: "units", "source-layer": level,
    layout: { "line-join": "round" },
    paint: { "line-color": LINE, "line-opacity": opacity, "line-width": ["interpolate", ["linear"], ["zoom"], ...width] },
  };
}

function label(level, from, size, text, to = LAST) {
  return {
    id: `label-${level}`, type: "symbol", source: "units", "source-layer": "label",
    minzoom: from, maxzoom: to, filter: ["==", ["get", "level"], level],
    layout: { "text-field": text, "text-font": FONTS, "text-size": size, "text-max-width": 8, "text-padding": 6 },
    paint: { "text-color": "#18242d", "text-halo-color": "rgba(255,255,255,.92)", "text-halo-width": 1.6 },
  };
}

function picked() {
  const common = { source: "picked", layout: { "line-join": "round" } };
  return [
    { id: "picked-inside", type: "fill", source: "picked", paint: { "fill-color": MARK, "fill-opacity": 0.14 } },
    { id: "picked-halo", type: "line", ...common, paint: { "line-color": "#fff", "line-width": 6, "line-opacity": 0.9 } },
    { id: "picked", type: "line", ...common, paint: { "line-color": MARK, "line-width": 2.8 } },
  ];
}

function faults() {
  const colour = ["match", ["get", "severity"], "error", SEVERITIES.error, "warning", SEVERITIES.warning, SEVERITIES.note];
  const size = (small, large) => ["interpolate", ["linear"], ["zoom"], 8, small, 14, large];
  return [
    { id: "fault-shapes", type: "fill", source: "shapes", paint: { "fill-color": colour, "fill-opacity": 0.55 } },
    { id: "fault-lines", type: "line", source: "shapes", paint: { "line-color": colour, "line-width": 2 } },
    { id: "fault-points", type: "circle", source: "faults", paint: { "circle-radius": size(4, 7), "circle-color": colour, "circle-opacity": 0.92, "circle-stroke-color": "#fff", "circle-stroke-width": 1.6 } },
    { id: "fault-marked", type: "circle", source: "faults", filter: ["==", ["get", "number"], -1], paint: { "circle-radius": size(10, 14), "circle-color": "rgba(0,0,0,0)", "circle-stroke-color": "#111", "circle-stroke-width": 2.4 } },
  ];
}
