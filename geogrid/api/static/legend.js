// The legend of what is coloured now, always with its thresholds.

import { colouredLevel, FILLS, view, WARNINGS } from "./cartography.js";
import { button, byId, element } from "./dom.js";
import { current, number, say } from "./words.js";

// `warned` is the answer of the service on incidents, or null.
export function showLegend(tiles, zoom, warned, nearer) {
  const box = byId("legend");
  const level = colouredLevel(tiles, zoom);
  if (view.theme === "warnings" && warned) box.replaceChildren(...warnings(warned, level, nearer));
  else box.replaceChildren(...households(level, tiles.households_breaks[level]));
}

function households(level, breaks) {
  const list = element("ol");
  FILLS.forEach((fill, k) => {
    if (k && k < FILLS.length - 1 && breaks[k] === breaks[k - 1]) return;
    list.append(row(fill, classText(breaks, k)));
  });
  return [element("h2", say("householdsOf", { level: levelText(level) })), list];
}

function warnings(found, level, nearer) {
  const list = element("ol");
  // The least number of incidents that reaches a threshold between two numbers.
  const least = (value) => (found.thresholds.measure === "count" ? Math.ceil(value) : value);
  const values = found.thresholds && Object.entries(found.thresholds.values).reverse();
  for (const [k, [colour, value]] of (values || []).entries()) {
    const above = k ? values[k - 1][1] : Infinity;
    list.append(row(WARNINGS[colour], say(colour), least(value) === least(above) ? say("noUnits") : say("reached", { n: number(least(value), 2) }), found.warnings[colour]));
  }
  if (found.thresholds) list.append(row(WARNINGS.none, say("noWarning"), "", found.warnings.none));
  if (found.thresholds || found.others === "no_data") list.append(row("", say("no_data"), "", found.warnings.no_data ?? 0));
  else list.append(element("li", found[`no_thresholds_${current()}`], "hint"));
  const measure = view.warned.measure === "rate" ? say("rateMeasure") : say("count");
  const head = element("h2", `${say(found.level)} · ${measure}`);
  if (level) return [head, list];
  const hint = element("p", say("zoomIn", { level: say(found.level) }), "hint");
  return [head, list, hint, button(say("zoomTo"), nearer)];
}

function row(fill, text, range = "", n = null) {
  const patch = element("i", "", fill ? "" : "hatched");
  if (fill) patch.style.background = fill;
  const made = element("li", "", "", patch, element("span", text));
  if (range) made.append(element("span", range, "range"));
  if (n !== null && n !== undefined) made.append(element("span", number(n), "n"));
  return made;
}

function classText(breaks, k) {
  if (k === 0) return `< ${number(breaks[0])}`;
  if (k === breaks.length) return `≥ ${number(breaks[k - 1])}`;
  const last = breaks[k] - 1;
  return last === breaks[k - 1] ? number(last) : `${number(breaks[k - 1])} – ${number(last)}`;
}

function levelText(level) {
  return current() === "zh" ? say(level) : say(level).toLowerCase();
}
