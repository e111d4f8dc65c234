// The page: wires the map, the search and the panels to the service.

import { LEVELS, view } from "./cartography.js";
import { beginCheck, openFinding, showCheck } from "./check.js";
import { byId, narrow } from "./dom.js";
import { beginIncidents, count, nearer, showIncidents, switchWarnings, warnings } from "./incidents.js";
import { showLayers } from "./layers.js";
import { showLegend } from "./legend.js";
import { clickedLevel, draw, flyTo, nameMap, openMap, openTip, renew, repaint, whenReplaced, zoom } from "./map.js";
import { showPlace } from "./panel.js";
import { recall, remember } from "./place.js";
import { onMap, showPoint } from "./point.js";
import { openSearch } from "./search.js";
import { ask, keepKey, whenKeyIsAsked } from "./service.js";
import { dismiss, fail, toast } from "./toasts.js";
import { begin, current, number, say, toggle } from "./words.js";

const TABS = ["layers", "point", "check", "incidents"];
const POLL = 20_000; // milliseconds between looks whether the edition is still the same

const context = { tiles: null, edition: null, about: null, found: null, map: null, asked: 0, changed, pick };

let gone = false, asking = null, watching = null;

begin(recall("lang"));
words();
whenKeyIsAsked(askKey);
start().catch(fail);

async function start() {
  openTabs();
  openSearch(pick);
  byId("language").addEventListener("click", () => { toggle(); remember("lang", current()); words(); });
  byId("print").addEventListener("click", () => window.print());
  byId("close").addEventListener("click", close);
  document.addEventListener("keydown", keys);
  window.addEventListener("hashchange", returned);
  window.addEventListener("beforeprint", () => { document.body.dataset.printed = say("printed", { day: new Date().toLocaleDateString(current()) }); });
  await load();
  const imagery = context.about.imagery ? await ask("imagery/tiles.json") : null;
  if (LEVELS.includes(recall("level"))) view.level = recall("level");
  context.map = openMap(context.tiles, context.about, imagery);
  if (context.map) listen(context.map);
  else document.body.dataset.ready = "yes";
  byId("check").addEventListener("repaint", repaint);
  words();
  changed();
  if (recall("unit")) pick(recall("unit"), false);
  setInterval(watch, POLL);
  document.addEventListener("visibilitychange", () => document.hidden || watch());
  beginCheck(showCheck).catch(fail);
  await beginIncidents(context);
  showIncidents(context);
  if (recall("tab") === "incidents" && context.about.incidents) await switchWarnings(true, context);
}

async function load() {
  const [editions, tiles, about] = await Promise.all([ask("v1/editions"), ask("tiles.json"), ask("page.json")]);
  Object.assign(context, { edition: editions[0], tiles, about });
}

function listen(map) {
  const canvas = map.getCanvas();
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") press(map.getCenter());
  });
  map.on("click", (event) => {
    const faults = map.getLayer("fault-points") && view.faults ? map.queryRenderedFeatures(event.point, { layers: ["fault-points"] }) : [];
    if (faults.length) {
      openTab("check");
      openFinding(faults[0].properties.number);
    } else press(event.lngLat);
  });
  map.on("zoomend", legend);
  whenReplaced(watch);
  openTip((level, { properties }) => [
    Object.assign(document.createElement("b"), { textContent: properties.name || properties.code }),
    `${say(level)} · ${say("households")} ${number(properties.households)}`,
  ]);
}

// ---- asking

function press({ lng, lat }) {
  lookUp({ lon: lng, lat, datum: "cgcs2000" }, clickedLevel()).catch(fail);
}

async function lookUp(position, level) {
  const mine = ++context.asked;
  const place = await ask("v1/locate", position);
  const spot = await onMap(position);
  const link = place.chain.find((each) => each.level === level) || place.chain.at(-1);
  const unit = link ? await ask(`v1/units/${link.code}`) : null;
  if (mine !== context.asked) return null;
  show({ place, unit, spot, position: [position.lon, position.lat] });
  return { unit, spot };
}

// The panel of coordinates: the finest unit, and the map goes there.
async function look(position) {
  const found = await lookUp(position, "microgrid");
  if (found?.unit) flyTo(found.unit.bbox);
}

async function pick(code, move = true) {
  const mine = ++context.asked;
  try {
    const unit = await ask(`v1/units/${encodeURIComponent(code)}`);
    if (mine !== context.asked) return;
    show({ unit });
    if (move) flyTo(unit.bbox);
  } catch (error) {
    if (error.code === "unknown_code") {
      toast("unit", say("unitGone", { code }));
      close();
    } else fail(error);
  }
}

// ---- showing

function show(found) {
  context.found = found;
  if (narrow()) openTab("");
  place();
  draw("picked", found.unit ? [found.unit] : []);
  draw("spot", found.spot ? [{ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: found.spot } }] : []);
  remember("unit", found.unit?.id || "");
}

function place() {
  showPlace(context.found, { pick, hasIncidents: context.about.incidents });
}

function close() {
  context.asked++;
  context.found = null;
  if (byId("panel").contains(document.activeElement)) context.map?.getCanvas().focus({ preventScroll: true });
  byId("panel").hidden = true;
  draw("picked", []);
  draw("spot", []);
  remember("unit", "");
}

// What is seen has changed: the map is painted anew, and the controls too unless they are in use.
function changed(controls = true) {
  repaint();
  if (controls) {
    showLayers(context, changed);
    showIncidents(context);
  }
  remember("level", view.level === "auto" ? "" : view.level);
  legend();
}

function legend() {
  if (context.tiles) showLegend(context.tiles, zoom(), warnings(), () => nearer(context));
}

function words() {
  document.documentElement.lang = current();
  for (const each of document.querySelectorAll("[data-say]")) each.textContent = say(each.dataset.say);
  for (const each of document.querySelectorAll("[data-title]")) {
    each.title = say(each.dataset.title);
    each.setAttribute("aria-label", each.title);
  }
  byId("language").textContent = say("language");
  byId("language").lang = current() === "zh" ? "en" : "zh";
  byId("query").placeholder = say("search");
  byId("query").setAttribute("aria-label", say("search"));
  byId("tabs").setAttribute("aria-label", say("panels"));
  showPoint({ look, centre: () => context.map.getCenter() });
  if (!context.edition) return;
  const { city, counts, id, imagery_source: source } = context.edition;
  byId("city").textContent = document.title = city;
  byId("counts").textContent = say("counts", { grid: number(counts.grid), microgrid: number(counts.microgrid) });
  byId("source").textContent = `${say("edition")} ${id} · ${say("source", { source })}`;
  nameMap();
  showLayers(context, changed);
  showCheck();
  showIncidents(context);
  legend();
  if (context.found) place();
}

// ---- tabs, keys, address

function openTabs() {
  for (const tab of byId("tabs").children) {
    tab.addEventListener("click", () => {
      const again = tab.getAttribute("aria-selected") === "true" && narrow();
      openTab(again ? "" : tab.dataset.tab);
    });
  }
  byId("tabs").addEventListener("keydown", (event) => {
    const all = [...byId("tabs").children];
    const to = all.indexOf(document.activeElement) + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0);
    if (!["ArrowRight", "ArrowLeft"].includes(event.key)) return;
    const next = all[(to + all.length) % all.length];
    next.focus();
    openTab(next.dataset.tab);
  });
  const asked = recall("tab");
  openTab(TABS.includes(asked) ? asked : narrow() ? "" : "layers");
}

function openTab(name) {
  for (const tab of byId("tabs").children) {
    const on = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on || (!name && tab.dataset.tab === TABS[0]) ? 0 : -1;
    byId(tab.dataset.tab).hidden = !on;
  }
  document.body.dataset.tab = name;
  byId("panels").scrollTop = 0;
  if (context.map) repaint();
  remember("tab", name === "layers" ? "" : name);
  if (name === "incidents" && context.about?.incidents && view.theme !== "warnings") switchWarnings(true, context).catch(fail);
}

function keys(event) {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("query").focus();
    byId("query").select();
  } else if (event.key === "Escape" && !event.target.closest("dialog")) {
    if (narrow() && document.body.dataset.tab) openTab("");
    else if (!byId("panel").hidden) close();
    else document.activeElement?.blur();
  }
}

function returned() {
  const code = recall("unit");
  if (code && code !== context.found?.unit?.id) pick(code, false);
  if (TABS.includes(recall("tab"))) openTab(recall("tab"));
  if (recall("lang") && recall("lang") !== current()) { toggle(); words(); }
}

// Several requests may lack the key at once: one dialog answers them all.
function askKey() {
  asking ||= askOnce().finally(() => { asking = null; });
  return asking;
}

async function askOnce() {
  const dialog = byId("key"), text = byId("key-text");
  dialog.showModal();
  const given = await new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
  const key = text.value.trim();
  text.value = "";
  if (given !== "ok" || !key) return false;
  keepKey(key);
  return true;
}

// ---- a service that went, an edition that changed

// A screenful of tiles may tell so at once: one look answers them all.
function watch() {
  watching ||= watchOnce().finally(() => { watching = null; });
}

async function watchOnce() {
  if (!context.edition) return;
  let ready;
  try {
    ready = await ask("readyz");
  } catch (error) {
    if (error.status === 0 && !gone) fail(error);
    gone ||= error.status === 0;
    return;
  }
  if (gone) {
    gone = false;
    dismiss("gone");
    toast("back", say("back"), { calm: true });
  }
  if (ready.revision !== context.edition.revision) await replaced().catch(fail);
}

async function replaced() {
  await load();
  await renew(context.tiles);
  words();
  changed();
  toast("edition", say("newEdition", { id: context.edition.id }), { calm: true, lasting: true });
  if (context.found?.unit) pick(context.found.unit.id, false);
  beginCheck(showCheck).catch(fail);
  await beginIncidents(context);
  if (view.theme === "warnings") await count(context);
}
