// What the boxes beside the map show. Texts are set as text: names come from files.

import { FILLS } from "./cartography.js";
import { number, say } from "./words.js";

const LEVELS = ["city", "county", "township", "village", "grid", "microgrid"];

export const byId = (id) => document.getElementById(id);

export function element(name, text = "", kind = "") {
  const found = document.createElement(name);
  if (text !== "") found.textContent = text;
  if (kind) found.className = kind;
  return found;
}

// `found` holds `place` (an answer of locate) or nothing, and `unit` (a feature) or nothing.
export function showPlace(found, pick) {
  const box = byId("place");
  box.replaceChildren();
  byId("panel").hidden = false;
  if (found.unit) box.append(...unitRows(found, pick));
  else box.append(element("h2", say("outside")));
  if (found.place) box.append(facts(placeFacts(found)));
}

function unitRows({ unit, grid }, pick) {
  const { level, name, code, households, area_m2: area, n_children: children } = unit.properties;
  const own = [[say("households"), number(households)], [say("area"), areaText(area)]];
  if (grid) own.splice(1, 0, [`${say("grid")} · ${say("households")}`, number(grid.properties.households)]);
  if (children) own.push([say("children"), number(children)]);
  return [
    element("p", say(level), "kind"),
    element("h2", name || code),
    element("p", dashed(code), "code"),
    facts(own),
    chain(unit.properties.chain, pick),
  ];
}

function placeFacts({ place, lngLat }) {
  const rows = [[say("position"), `${lngLat.lng.toFixed(6)}, ${lngLat.lat.toFixed(6)}`]];
  if (place.on_edge) rows.push([say("edge"), say("onEdge")]);
  else if (place.edge_m !== null) rows.push([say("edge"), `${number(place.edge_m, 1)} m`]);
  if (place.neighbour_code) rows.push([say("neighbour"), dashed(place.neighbour_code)]);
  return rows;
}

function chain(links, pick) {
  const list = element("ol", "", "chain");
  for (const link of links) {
    const row = element("li");
    const button = element("button");
    button.type = "button";
    button.append(element("span", say(link.level), "kind"), element("b", link.name || link.code), element("span", dashed(link.code), "code"));
    button.addEventListener("click", () => pick(link.code));
    row.append(button);
    list.append(row);
  }
  return list;
}

function facts(rows) {
  const list = element("dl");
  for (const [name, value] of rows) list.append(element("dt", name), element("dd", value));
  return list;
}

export function showCoverage(coverage, edition) {
  const box = byId("coverage");
  const counts = LEVELS.slice(1).map((level) => [say(level), number(edition.counts[level])]);
  const rows = coverage
    ? [[say("rate"), percent(coverage.coverage_rate)], [say("findings"), number(coverage.n_findings)]]
    : [[say("rate"), say("checking")]];
  box.replaceChildren(element("h2", say("coverage")), facts([...counts, ...rows, [say("edition"), edition.id]]));
  if (coverage) box.append(findings(coverage.findings));
}

function findings(rules) {
  const list = element("ul", "", "findings");
  const key = document.documentElement.lang === "zh" ? "name_zh" : "name_en";
  for (const rule of rules) list.append(element("li", `${rule[key]}: ${number(rule.n)}`, rule.severity));
  return list;
}

export function showLegend(level, breaks) {
  byId("legend-title").textContent = say("householdsOf", { level: say(level).toLowerCase() });
  const list = byId("classes");
  list.replaceChildren();
  FILLS.forEach((fill, k) => {
    if (k && k < FILLS.length - 1 && breaks[k] === breaks[k - 1]) return;
    const row = element("li"), patch = element("i");
    patch.style.background = fill;
    row.append(patch, classText(breaks, k));
    list.append(row);
  });
}

function classText(breaks, k) {
  if (k === 0) return `< ${number(breaks[0])}`;
  return k === breaks.length ? `≥ ${number(breaks[k - 1])}` : `${number(breaks[k - 1])} – ${number(breaks[k] - 1)}`;
}

// Never rounded up: 99.9999 % is not full coverage.
function percent(rates) {
  const least = Math.min(...Object.values(rates));
  return `${(Math.floor(least * 1e6) / 1e4).toFixed(least >= 1 ? 0 : 4)} %`;
}

function areaText(area) {
  return area >= 1e5 ? `${number(area / 1e6, 2)} km²` : `${number(area)} m²`;
}

function dashed(code) {
  return [code.slice(0, 12), code.slice(12, 15), code.slice(15)].filter(Boolean).join("-");
}
