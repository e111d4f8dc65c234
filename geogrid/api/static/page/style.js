// Cartography: which level is filled and labelled at which zoom.

export const CLASSES = ["#e8f3ee", "#c2e0d7", "#8ac6bd", "#4a9ea1", "#1d6a78"];

// From this zoom on the households of a level are shown.
export const FILLED = [["township", 0], ["grid", 10.5], ["microgrid", 13]];

// Without `glyphs` the browser draws the text: no font server is needed.
const FONTS = ["PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", "sans-serif"];

const LINES = [
  { level: "microgrid", from: 12.8, colour: "#2b5d66", width: [13, 0.3, 16, 1.1], opacity: 0.65 },
  { level: "grid", from: 10.3, colour: "#1c4a55", width: [10.5, 0.25, 13, 1, 16, 2.2], opacity: 0.8 },
  { level: "village", from: 11.5, colour: "#7a4a1f", width: [11.5, 0.5, 16, 2], opacity: 0.75, dash: [3, 2] },
  { level: "township", from: 7, colour: "#6b3f16", width: [7, 0.4, 10, 1.1, 15, 2.6], opacity: 0.9 },
  { level: "county", from: 6, colour: "#4a2810", width: [6, 0.8, 10, 2, 15, 3.6], opacity: 1 },
];

const LABELS = [
  { level: "microgrid", from: 15, to: 24, size: [15, 10, 18, 13], colour: "#23474f" },
  { level: "grid", from: 12.8, to: 24, size: [12.8, 10.5, 17, 15], colour: "#12383f" },
  { level: "village", from: 11.6, to: 15.5, size: [11.6, 10.5, 15, 14], colour: "#5d3512" },
  { level: "township", from: 9, to: 13.5, size: [9, 11, 13, 16], colour: "#4d2a0c", weight: true },
  { level: "county", from: 6, to: 11, size: [6, 12, 10, 20], colour: "#331a06", weight: true },
];

export function style(origin, bounds, breaks, imagery) {
  return {
    version: 8,
    sources: {
      units: {
        type: "vector", tiles: [`${origin}tiles/{z}/{x}/{y}.mvt`], minzoom: 6, maxzoom: 15, bounds,
      },
      ...(imagery && {
        imagery: { type: "raster", tileSize: 256, ...imagery },
      }),
    },
    layers: [
      { id: "background", type: "background", paint: { "background-color": "#f3f2ee" } },
      ...(imagery ? [{ id: "imagery", type: "raster", source: "imagery", layout: { visibility: "none" }, paint: { "raster-fade-duration": 150 } }] : []),
      ...FILLED.map(([level, from], k) => fill(level, from, FILLED[k + 1]?.[1] ?? 24, breaks[level])),
      ...LINES.map(line),
      outline("grid", "#d4380d", 2.4),
      outline("microgrid", "#d4380d", 3.4),
      ...LABELS.map(label).reverse(),
    ],
  };
}

/** Show or hide the imagery; over it, fills give way to lines. */
export function showImagery(map, shown) {
  map.setLayoutProperty("imagery", "visibility", shown ? "visible" : "none");
  for (const [level] of FILLED) map.setPaintProperty(`${level}-fill`, "fill-opacity", shown ? 0.12 : 0.9);
  for (const { level, colour } of LINES) map.setPaintProperty(`${level}-line`, "line-color", shown ? "#fff6d6" : colour);
}

export function select(map, chain) {
  for (const level of ["grid", "microgrid"]) {
    const code = chain.find((unit) => unit.level === level)?.code ?? "";
    map.setFilter(`${level}-selected`, ["==", ["get", "code"], code]);
  }
}

function fill(level, minzoom, maxzoom, limits) {
  // Equal limits would not be ascending: a class that holds nobody is left out.
  const steps = [];
  limits.forEach((limit, k) => { if (limit > (steps.at(-2) ?? -1)) steps.push(limit, CLASSES[k + 1]); else steps[steps.length - 1] = CLASSES[k + 1]; });
  return {
    id: `${level}-fill`, type: "fill", source: "units", "source-layer": level, minzoom, maxzoom,
    paint: { "fill-color": ["step", ["get", "households"], CLASSES[0], ...steps], "fill-opacity": 0.9, "fill-antialias": false },
  };
}

function line({ level, from, colour, width, opacity, dash }) {
  return {
    id: `${level}-line`, type: "line", source: "units", "source-layer": level, minzoom: from,
    layout: { "line-join": "round" },
    paint: {
      "line-color": colour, "line-opacity": opacity,
      "line-width": ["interpolate", ["linear"], ["zoom"], ...width],
      ...(dash && { "line-dasharray": dash }),
    },
  };
}

function outline(level, colour, width) {
  return {
    id: `${level}-selected`, type: "line", source: "units", "source-layer": level,
    filter: ["==", ["get", "code"], ""], layout: { "line-join": "round" },
    paint: { "line-color": colour, "line-width": width, ...(level === "grid" && { "line-dasharray": [2, 1.2] }) },
  };
}

function label({ level, from, to, size, colour, weight }) {
  return {
    id: `${level}-label`, type: "symbol", source: "units", "source-layer": "label",
    minzoom: from, maxzoom: to, filter: ["==", ["get", "level"], level],
    layout: {
      "text-field": ["get", "name"], "text-font": FONTS, "text-max-width": 8, "text-padding": 4,
      "text-size": ["interpolate", ["linear"], ["zoom"], ...size],
      ...(weight && { "text-letter-spacing": 0.08 }),
    },
    paint: { "text-color": colour, "text-halo-color": "rgba(255,255,255,.92)", "text-halo-width": weight ? 1.8 : 1.4 },
  };
}
