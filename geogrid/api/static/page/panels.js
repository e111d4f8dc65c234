// The boxes beside the map.

import { byId, el } from "./dom.js";
import { area, lang, number, percent, text } from "./text.js";

const LEVELS = ["county", "township", "village", "grid", "microgrid"];

export function showOverview({ edition, coverage }) {
  const counts = LEVELS.map((level) => el("div", { class: "count" },
    el("b", {}, number(edition.counts[level])), el("span", {}, text().many[level])));
  byId("overview").replaceChildren(
    el("div", { class: "counts" }, ...counts),
    rate(coverage),
    el("footer", {}, el("span", {}, text().hint), el("a", { href: "docs" }, text().docs)),
  );
}

function rate(coverage) {
  if (!coverage) return el("div", { class: "rate" }, el("span", {}, text().coverage), el("i", {}, text().checking));
  const share = Math.min(...Object.values(coverage.coverage_rate));
  const said = coverage.n_findings ? text().findings(coverage.n_findings) : text().clean;
  const rules = coverage.findings.map((rule) => el("li", {}, `${lang === "zh" ? rule.name_zh : rule.name_en}: ${number(rule.n)}`));
  return el("div", { class: `rate ${coverage.ok ? "good" : "bad"}` },
    el("span", {}, text().coverage), el("b", {}, percent(share)), el("i", {}, said),
    rules.length ? el("ul", {}, ...rules) : null);
}

export function showPlace(place, { close }) {
  const box = byId("place");
  box.hidden = !place;
  document.body.classList.toggle("has-place", Boolean(place));
  if (!place) return;
  const button = el("button", { type: "button", class: "close", "aria-label": text().close, onclick: close }, "×");
  if (place.status === "outside") {
    box.replaceChildren(button, el("h2", {}, text().outside), position(place));
    return;
  }
  const last = place.chain.at(-1);
  const { households, area_m2 } = place.unit.properties;
  box.replaceChildren(
    button,
    el("p", { class: "level" }, text().levels[last.level]),
    el("h2", {}, last.name),
    code(last.code),
    el("p", { class: "facts" }, `${text().households(number(households))} · ${area(area_m2)}`),
    el("ol", { class: "chain" }, ...place.chain.slice(0, -1).map((unit) =>
      el("li", {}, el("span", {}, text().levels[unit.level]), el("b", {}, unit.name), el("code", {}, unit.code)))),
    place.status === "hit" ? edge(place) : "",
    place.status === "hit" ? position(place) : "",
  );
}

function code(value) {
  const button = el("button", { type: "button", class: "plain" }, text().copy);
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(value);
    button.textContent = text().copied;
  });
  const dashed = [value.slice(0, 12), value.slice(12, 15), value.slice(15)].filter(Boolean).join("-");
  return el("p", { class: "code" }, el("code", {}, dashed), button);
}

function edge(place) {
  const beyond = place.neighbour_code ? text().neighbour(place.neighbour_code) : text().cityEdge;
  const said = place.on_edge ? text().onEdge : text().edge(place.edge_m);
  return el("p", { class: place.edge_m < 20 ? "edge near" : "edge" }, said, el("br"), beyond);
}

function position({ lon, lat }) {
  return el("p", { class: "position" }, `${lon.toFixed(6)}, ${lat.toFixed(6)} · ${text().datum}`);
}

export function showLegend(level, classes, breaks, switcher) {
  const limits = breaks[level];
  const rows = classes
    .map((colour, k) => [colour, k === 0 ? 0 : limits[k - 1], k < limits.length ? limits[k] - 1 : null])
    .filter(([, from, to]) => to === null || to >= from)
    .map(([colour, from, to]) => {
      const swatch = el("i");
      swatch.style.background = colour;
      return el("li", {}, swatch, to === null ? `≥ ${number(from)}` : `${number(from)} – ${number(to)}`);
    });
  byId("legend").replaceChildren(
    ...[el("h3", {}, text().legend(text().levels[level])), el("ul", {}, ...rows), switcher].filter(Boolean));
}
