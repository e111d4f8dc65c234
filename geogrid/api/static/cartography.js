// The look of the map: which level is drawn at which zoom, and how.

import { ROOT } from "./service.js";

export const FILLS = ["#ffffcc", "#a1dab4", "#41b6c4", "#1d91c0", "#225ea8"];
const LINE = "#22303a";
const MARK = "#e6550d";
const FONTS = ["Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "sans-serif"];
const GRIDS_FROM = 10; // townships are filled further out

export function filledLevel(zoom) {
  return zoom < GRIDS_FROM ? "township" : "grid";
}

export function style(tiles, imagery) {
  const sources = {
    units: {
      type: "vector", tiles: [ROOT + "tiles/{z}/{x}/{y}.mvt"],
      minzoom: tiles.minzoom, maxzoom: tiles.maxzoom, bounds: tiles.bounds,
    },
    picked: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
  };
  const layers = [{ id: "ground", type: "background", paint: { "background-color": "#eef1f3" } }];
  if (imagery) {
    sources.imagery = {
      type: "raster", tiles: [ROOT + "imagery/tiles/{z}/{x}/{y}"], tileSize: 256,
      minzoom: imagery.minzoom, maxzoom: imagery.maxzoom, bounds: imagery.bounds,
    };
    layers.push({ id: "imagery", type: "raster", source: "imagery", layout: { visibility: "none" } });
  }
  const breaks = tiles.households_breaks;
  layers.push(
    fill("township", breaks.township, { maxzoom: GRIDS_FROM }),
    fill("grid", breaks.grid, { minzoom: GRIDS_FROM }),
    line("microgrid", { from: 12, width: [12, 0.25, 15, 0.9, 18, 1.6], opacity: 0.75 }),
    line("grid", { from: 11, width: [11, 0.3, 14, 1.3, 18, 3] }),
    line("village", { from: 10, width: [10, 0.3, 13, 1.6, 18, 4] }),
    line("township", { from: 7, width: [7, 0.4, 10, 1.2, 14, 2.6, 18, 6] }),
    line("county", { from: 6, width: [6, 0.8, 9, 1.9, 14, 4, 18, 8] }),
    ...picked(),
    label("microgrid", 15, 10, ["slice", ["get", "code"], -3]),
    label("grid", 13, 11, ["get", "name"], 14.5),
    label("village", 12, 12, ["get", "name"], 14),
    label("township", 9, 13, ["get", "name"], 12.5),
    label("county", 6, 15, ["get", "name"], 10.5),
  );
  return { version: 8, sources, layers };
}

export function dim(map, on) {
  map.setLayoutProperty("imagery", "visibility", on ? "visible" : "none");
  for (const level of ["township", "grid"]) {
    map.setPaintProperty(`fill-${level}`, "fill-opacity", on ? 0.15 : 1);
  }
  for (const level of ["microgrid", "grid", "village", "township", "county"]) {
    map.setPaintProperty(`line-${level}`, "line-color", on ? "#ffffff" : LINE);
  }
}

function fill(level, breaks, zooms) {
  const steps = ["step", ["get", "households"], FILLS[0]];
  let last = -Infinity; // equal breaks leave a class empty
  breaks.forEach((value, k) => {
    if (value > last) steps.push(value, FILLS[k + 1]);
    last = Math.max(last, value);
  });
  return {
    id: `fill-${level}`, type: "fill", source: "units", "source-layer": level, ...zooms,
    paint: { "fill-color": steps.length > 3 ? steps : FILLS[0], "fill-opacity": 1, "fill-antialias": false },
  };
}

function line(level, { from, width, opacity = 0.9 }) {
  return {
    id: `line-${level}`, type: "line", source: "units", "source-layer": level, minzoom: from,
    layout: { "line-join": "round" },
    paint: {
      "line-color": LINE, "line-opacity": opacity,
      "line-width": ["interpolate", ["linear"], ["zoom"], ...width],
    },
  };
}

function label(level, from, size, text, to = 24) {
  return {
    id: `label-${level}`, type: "symbol", source: "units", "source-layer": "label",
    minzoom: from, maxzoom: to, filter: ["==", ["get", "level"], level],
    layout: {
      "text-field": text, "text-font": FONTS, "text-size": size,
      "text-max-width": 8, "text-padding": 6,
    },
    paint: { "text-color": "#18242d", "text-halo-color": "rgba(255,255,255,.92)", "text-halo-width": 1.6 },
  };
}

function picked() {
  const common = { source: "picked", layout: { "line-join": "round" } };
  const width = ["match", ["get", "level"], "microgrid", 3, 2.2];
  return [
    { id: "picked-halo", type: "line", ...common, paint: { "line-color": "#fff", "line-width": 5.5, "line-opacity": 0.9 } },
    { id: "picked", type: "line", ...common, paint: { "line-color": MARK, "line-width": width } },
    {
      id: "picked-inside", type: "fill", source: "picked",
      filter: ["==", ["get", "level"], "microgrid"],
      paint: { "fill-color": MARK, "fill-opacity": 0.22 },
    },
  ];
}
